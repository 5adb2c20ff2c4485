"""What a user can hand over as an image: a path, bytes, a file object, an array or a PIL image."""

from __future__ import annotations

import inspect
import io
import os
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ImageError, one_line, one_line_text
from onnx_cam.files import read_at_most
from onnx_cam.image.files import MAX_FILE_BYTES, ImageFile, image_file, read_image

__all__ = ["ARRAYS", "Array", "BinaryFile", "ImageLike", "as_array", "is_pil", "open_source"]

if TYPE_CHECKING:
    from PIL.Image import Image

Array = NDArray[Any]
"""An array of any dtype, as the user gave it."""

ARRAYS = "an (H, W, 3) array of uint8 or uint16, RGB"
"""The arrays that are images, for messages."""


class BinaryFile(Protocol):
    """A file object that is open for reading bytes: an open file, ``io.BytesIO``, an upload."""

    def read(self, size: int = -1, /) -> bytes:
        """Return that many of the bytes that follow; all of them without a size."""


ImageLike: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile | Array | Image | ImageFile"
)
"""What a user can hand over as an image; see :func:`onnx_cam.explain`."""


def open_source(image: object) -> ImageFile | None:
    """Return the image file that a path, bytes or a file object stands for; None for arrays and PIL images.

    Raises
    ------
    ImageError
        It cannot be read.

    Examples
    --------
    >>> with open("cat.jpg", "rb") as file:
    ...     open_source(file).stem
    'cat'
    >>> open_source(b"GIF89a").name is None
    True
    """
    if isinstance(image, ImageFile):
        return image
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if isinstance(image, bytes | bytearray | memoryview):
        if memoryview(image).nbytes > MAX_FILE_BYTES:  # before it is copied
            raise ImageError("the image in memory is larger than 1 GiB; expected a photo: make it smaller")
        return image_file(None, bytes(image))
    if is_pil(image) or isinstance(image, np.ndarray) or not callable(getattr(image, "read", None)):
        return None
    return _read(image)


def _read(file: Any) -> ImageFile:
    """Read a file object from where it stands."""
    name = getattr(file, "name", None)  # an int where a file was opened by its descriptor
    name = one_line_text(name) or None if isinstance(name, str) else None
    label = "the file object" if name is None else f"the file object '{name}'"
    if isinstance(file, io.TextIOBase):
        raise ImageError(f"{label} is open for text; expected bytes: open it with mode 'rb'")
    try:
        content = read_at_most(_Chunks(file, label), MAX_FILE_BYTES)  # type: ignore[arg-type]
    except ImageError:
        raise
    except Exception as error:  # it may be anything: a socket, an archive's member, a user's own class
        raise ImageError(f"cannot read {label}: {one_line(error)}; expected an image open for reading bytes") from error
    if not content:
        raise ImageError(f"{label} has no bytes left to read; if it was read before, rewind it with seek(0)")
    return image_file(name, content)


class _Chunks:
    """A user's file object, of which every chunk is checked: it may return anything."""

    def __init__(self, file: Any, label: str) -> None:
        self._file = file
        self._label = label
        self._is_read = False

    def read(self, size: int) -> bytes:
        chunk = self._next(size)
        if isinstance(chunk, str):
            raise ImageError(f"{self._label} gives text; expected bytes: open it with mode 'rb'")
        if inspect.isawaitable(chunk):
            getattr(chunk, "close", lambda: None)()  # a coroutine that is never awaited warns
            raise ImageError(f"{self._label} has to be awaited; hand over its bytes: await upload.read()")
        if not isinstance(chunk, bytes | bytearray | memoryview | None):
            raise ImageError(f"{self._label} gives {type(chunk).__name__}; expected bytes")
        return bytes(chunk or b"")

    def _next(self, size: int) -> object:
        if self._is_read:
            return b""
        try:
            return self._file.read(size)
        except TypeError:  # its read() takes no size: it gives everything at once
            self._is_read = True
            return self._file.read()


def is_pil(image: object) -> TypeGuard[Image]:
    """Whether something is a PIL image; Pillow is not imported for that."""
    return hasattr(image, "getexif")


def as_array(image: object, expected: str) -> Array:
    """Return an array, or what can be turned into one, such as a tensor on the CPU.

    Parameters
    ----------
    image : object
        What the user handed over.
    expected : str
        What is taken, for the message.

    Raises
    ------
    ImageError
        It is something else.

    Examples
    --------
    >>> as_array(None, "a path")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.ImageError: got None as an image; expected a path
    """
    if isinstance(image, np.ndarray):
        return image
    what = "None" if image is None else f"an object of type {type(image).__name__}"
    if not hasattr(image, "__array__"):
        several = "; for several images, hand them over one by one" if isinstance(image, list | tuple | set) else ""
        raise ImageError(f"got {what} as an image; expected {expected}{several}")
    try:
        return np.asarray(image)
    except Exception as error:  # a tensor on a GPU, or with a gradient
        raise ImageError(
            f"got {what} as an image, which cannot be read as an array ({one_line(error, 80)}); expected {expected}"
        ) from error
