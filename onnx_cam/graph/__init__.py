"""ONNX in, ONNX or facts about it out: nothing here runs a model.

=====================  ==============================================================
:mod:`.read`           a file, checked, as a protobuf
:mod:`.image_input`    which input takes the image, its layout, size and type
:mod:`.built_in`       the normalisation that the graph does itself
:mod:`.head`           which output holds the scores, and whether they are logits
:mod:`.find_layers`    the tensors that can be explained, ranked
:mod:`.tokens`         the tokens of a transformer, and their grid
:mod:`.linear_head`    the linear layer behind global pooling, where there is one
:mod:`.constants`      the values of constants, wherever they lie
:mod:`.free_batch`     a fixed batch, freed
:mod:`.walk`           from tensor to consumer and producer
:mod:`.tap`            tensors as extra outputs; nothing else changes
:mod:`.score_graph`    masking in front of the model and scoring behind it, in one graph
=====================  ==============================================================
"""
