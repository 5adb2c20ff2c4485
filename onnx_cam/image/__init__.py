"""From an image file to the network's input, and from a map back to the image.

==========================  ===============================================================
:mod:`.files`               which files are images, their bytes, the names of their results
:mod:`.sources`             what a user can hand over as an image: paths, bytes, file objects, arrays
:mod:`.kinds`               what a file is by its first bytes
:mod:`.decoding`            from bytes to upright RGB or RGBA pixels
:mod:`.heif`                opens AVIF and HEIC
:mod:`.sixteen_bits`        decodes images of 16 bits per channel
:mod:`.bit_depth`           the real range of such pixels, and how they become 8-bit ones
:mod:`.libtiff`             collects what libtiff writes to standard error
:mod:`.preprocessing`       resizes, crops and normalises; the presets
:mod:`.resizing`            resizes and rounds as OpenCV, Pillow or torchvision do
:mod:`.configurations`      the preprocessing that a model or a file beside it states
:mod:`.geometry`            where the network's input lies in the image
:mod:`.picture`             an image together with the network's input made from it
:mod:`.baselines`           the baseline images X_b
==========================  ===============================================================
"""
