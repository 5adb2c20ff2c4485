"""A model, an image and a method: the explanation.

====================  ============================================================
:mod:`.explaining`    the whole way from the image to the result, stage by stage
:mod:`.targets`       which classes are explained
:mod:`.result`        the result: a map and its record
:mod:`.provenance`    how a map was made, in four parts
:mod:`.warnings`      what the reader of a map should know
:mod:`.versions`      the packages that a map depends on
:mod:`.saving`        files written, and read back
====================  ============================================================
"""
