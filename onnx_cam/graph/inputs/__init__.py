"""What a model's inputs take, and how every kind of them becomes one image input of four dimensions.

===================  ================================================================================
`prepare`            Chooses the image's input, and leaves a graph whose only input it is.
`four_dimensions`    Adds the batch or channel dimension that an image's input lacks.
`constant_inputs`    Turns the other inputs into constants.
`values`             From what a user writes as a value to an array of an input's type and shape.
`other_subjects`     Says what an input takes that takes no image: a volume, a signal, text.
`axes_read`          Which dimensions the first layer reads as batch, channels, rows and columns.
`element_types`      The types of element that an image can be cast to.
===================  ================================================================================
"""
