"""Running models: ONNX Runtime, its devices, and the loop that scores masked images.

========================  ==========================================================================
:mod:`.devices`           what a user calls a device, and the execution provider that runs it
:mod:`.packages`          more than one package of ONNX Runtime, which spoil each other
:mod:`.device_session`    a model on the requested device, or one line that says why not
:mod:`.custom_operators`  shared libraries of custom operators
:mod:`.session`           a model that takes images: arrays in, arrays out
:mod:`.late_session`      one that is opened when it is first needed
:mod:`.gradient_session`  the way back from the logits to a layer
:mod:`.run_limit`         ends runs of models with a Loop after a while
:mod:`.scores`            from a model's output to probabilities and logits
:mod:`.masks`             from activation maps to masks: upsampling and min-max normalisation
:mod:`.noise`             noise fields, drawn from a seed
:mod:`.schedule`          what a method wants scored, and which of those inputs differ
:mod:`.scorer`            the engine: every input of a schedule, scored in batches
:mod:`.block_run`         a table of inputs cut into runs, several at once, and runs that fail repeated
:mod:`.grid_run`          a grid of masked images as such a table
:mod:`.image_run`         images that are scored as they are, as such a table
:mod:`.score_session`     a score graph on a device: maps in, scores out
:mod:`.concurrent_runs`   runs of one session that are under way at once
:mod:`.lanes`             the lanes of a session: each runs a batch at a time
:mod:`.batch_size`        how many inputs a run takes
:mod:`.spread`            how the cores are shared out: runs at once, and threads of each
:mod:`.cores`             how many cores the process may use
:mod:`.memory`            errors that mean that memory ran out, and how much is free
:mod:`.map_distance`      the distance of two maps whatever their scale
:mod:`.self_test`         each device, tested with a convolution
========================  ==========================================================================
"""
