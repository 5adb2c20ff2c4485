"""Fuzzing: damaged models, images, configurations and label files, each run in a worker process with limits.

Right is success, or an `OnnxCamError` whose message is one line. Everything else is a finding: another exception, a
crash of the process, more than a time limit, more than a memory limit.

======================  ===============================================================================
:mod:`.kinds`           the kinds of input: how one is made from its seed, and what reads it
:mod:`.corpus`          the intact files that damage starts from, made in code
:mod:`.mutators`        what is changed: bytes, values of a configuration, messages of a protobuf
:mod:`.readers`         what an input runs through: the public functions
:mod:`.worker`          a process that makes inputs, runs them, and tells how that ended
:mod:`.runner`          workers watched from outside: time limits, crashes
:mod:`.report`          findings, grouped by where they come from; the summary
======================  ===============================================================================
"""
