"""Where the axes of each tensor lie in the network's input, as far as the operators say.

=====================  ==================================================================
:mod:`.spans`          an axis, or a row of tokens, and the part of the input that it covers
:mod:`.follow`         the walk from the image through the graph
:mod:`.shape_rules`    operators that rearrange axes: Reshape, Transpose, Concat, Gather …
:mod:`.frame_rules`    operators that change the frame: Slice, Pad, Split, Resize, convolutions
=====================  ==================================================================
"""
