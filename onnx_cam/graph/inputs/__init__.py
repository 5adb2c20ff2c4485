"""What a model's inputs take, and how one of them becomes an image input of four dimensions.

========================  ===========================================================================
:mod:`.prepare`           chooses the image's input, and leaves a graph whose only input it is
:mod:`.image_input`       that input: its layout, sizes and type
:mod:`.four_dimensions`   adds the batch or channel dimension that it lacks
:mod:`.constant_inputs`   turns the other inputs into constants
:mod:`.values`            from what a user gives as a value to an array of the input's type and shape
:mod:`.other_subjects`    says what an input takes in place of an image: a volume, a signal, text
:mod:`.axes_read`         which dimensions the first layer reads as batch, channels, rows and columns
:mod:`.element_types`     the types of element that an image can be cast to
:mod:`.declared`          what a file declares about an input
========================  ===========================================================================
"""
