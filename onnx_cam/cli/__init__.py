"""The command line: click over the library, with no logic of its own.

====================  ============================================================
:mod:`.main`          the program, and the commands on one model
:mod:`.comparison`    compare
:mod:`.evaluation`    evaluate and report
:mod:`.survey`        survey and survey-score
:mod:`.options`       the options that several commands share
:mod:`.images`        the images of a command, one by one
:mod:`.pipeline`      the same as a pipeline: read, explain, write
:mod:`.command`       a command: --debug, and errors as lines
:mod:`.failures`      how a command ends that cannot do what it should
:mod:`.terminal`      what a user sees: results, tables, progress
:mod:`.echo`          lines of text and JSON
:mod:`.encoding`      output in any encoding
====================  ============================================================
"""
