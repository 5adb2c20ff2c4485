"""The command line: click over the library, with no logic of its own.

====================  ============================================================
:mod:`.main`          the program, and the commands on one model
:mod:`.comparison`    compare
:mod:`.evaluation`    evaluate and report
:mod:`.survey`        survey and survey-score
:mod:`.options`       the options that several commands share
:mod:`.images`        the images of a command, one by one
:mod:`.terminal`      what a user sees
====================  ============================================================
"""
