"""Running models: ONNX Runtime, its devices, and the loop that scores masked images.

=======================  ====================================================================
:mod:`.devices`          a device's name to execution providers, and their options
:mod:`.load`             a model on a device, or one line that says why not
:mod:`.session`          a model that takes images: arrays in, arrays out
:mod:`.scores`           a model's output to probabilities and logits
:mod:`.masks`            activation maps to masks: upsampling and min-max
:mod:`.noise`            noise fields, from a seed
:mod:`.schedule`         what a method wants scored, and the inputs that really differ
:mod:`.score_session`    a score graph on a device: maps in, scores out
:mod:`.batch_size`       how many inputs a run takes
:mod:`.memory`           memory that ran out, in every wording
:mod:`.grid_run`         those inputs, cut into runs, and runs that fail
:mod:`.scorer`           the engine: every input of a schedule, scored in batches
=======================  ====================================================================
"""
