"""Running models: ONNX Runtime, its devices, and the loop that scores masked images.

==================  ==================================================================
:mod:`.devices`     a device's name to execution providers that really loaded
:mod:`.session`     a model on a device: arrays in, arrays out, errors in one line
:mod:`.scores`      a model's output to probabilities and logits
:mod:`.masks`       activation maps to masks: upsampling, min-max, noise
:mod:`.scorer`      the engine: every input of a schedule, scored in batches
==================  ==================================================================
"""
