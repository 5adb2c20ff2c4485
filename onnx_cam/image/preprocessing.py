"""From an image to the network's input: resize, crop, scale and normalise."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ImageError, PreprocessingError
from onnx_cam.graph.frame import Frame
from onnx_cam.image.files import MAX_PIXELS
from onnx_cam.image.geometry import Geometry
from onnx_cam.image.resizing import LIBRARIES, RESIZES, Interpolation, LibraryName, Resize, Size

__all__ = ["PRESETS", "Preprocessing"]

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_RGB, _RGBA = 3, 4  # numbers of channels
_OTHERS = "name another with --preprocess, e.g. a FILE.json with three numbers each"


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input: resize, centre crop, ``(pixel · scale − mean) / std``.

    Attributes
    ----------
    name : str
        A preset's name, or ``custom``.
    resize : {"cover", "shorter-side", "stretch", "stretch-crop", "fit", "crop", "crop-first"}
        "cover": scale the image until it covers the input's size divided by `crop_pct`, then crop the centre.
        "shorter-side": the same, but only the shorter side counts, and the longer one is rounded as `library` does.
        "stretch": resize the image to the input's size and ignore its aspect ratio.
        "stretch-crop": the same, to the input's size divided by `crop_pct`, then crop the centre.
        "fit": scale the image until it fits into the input's size divided by `crop_pct`, then pad it, or crop the
        centre.
        "crop": crop the centre of the image, at its own size.
        "crop-first": crop the centre of the image, as large as the input's aspect ratio allows times `crop_pct`, then
        resize it to the input's size.
        Where an image is smaller than a crop, it is padded.
    crop_pct : float
        The input's side divided by the resized image's (shorter) side, from 0.05 to 20; above 1, the image is padded.
    interpolation : {"linear", "cubic", "lanczos", "nearest", "area", "hamming"}
        How pixels are interpolated.
    library : {"onnx-cam", "opencv", "pillow", "torchvision"}
        The library whose resizing and rounding is followed. "onnx-cam" is OpenCV's resizing, by area for an image that
        is reduced by more than a factor of two, except for "nearest".
    channels : {"RGB", "BGR"}
        The order of the channels. An input of one channel takes the luma, and the average of the constants; one of four
        takes alpha as the fourth, in either order.
    scale : float
        What a pixel value from 0 to 255 is multiplied by.
    mean, std : tuple of float
        Subtracted from, and divided by, after `scale`; in the order of `channels`. Three numbers, or four for an input
        that takes alpha; three that are equal count for alpha, too.
    size : tuple of int or None
        ``(H, W)`` in pixels, for a network whose input size is free.
    pad : tuple of int
        The colour of padding, RGB from 0 to 255; a fourth number is its alpha, which is otherwise 0 (transparent), as
        the usual libraries pad.
    source : str
        Where the preprocessing was found.
    notes : tuple of str
        What the user should know about how it was found, a line each; not part of the preprocessing itself.

    Examples
    --------
    >>> white = np.full((32, 32, 3), 255, np.uint8)
    >>> network_input, geometry = PRESETS["tf"].apply(white, (28, 28))
    >>> network_input.shape, float(network_input.max()), geometry.crop
    ((3, 28, 28), 1.0, (2, 2, 30, 30))
    """

    name: str
    resize: Resize = "cover"
    crop_pct: float = 0.875
    interpolation: Interpolation = "linear"
    library: LibraryName = "onnx-cam"
    channels: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    size: tuple[int, int] | None = None
    pad: tuple[int, ...] = (0, 0, 0)
    source: str = ""
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def normalises(self) -> bool:
        """Whether it changes the pixel values at all."""
        return self.scale != 1 or any(self.mean) or any(value != 1 for value in self.std)

    def describe(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, which ``--preprocess FILE.json`` reads back.

        Examples
        --------
        >>> PRESETS["caffe"].describe()["mean"]
        [103.939, 116.779, 123.68]
        """
        described = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        del described["notes"]
        return described

    def apply(self, image: Pixels, size: tuple[int, int], channels: int = 3) -> tuple[Floats, Geometry]:
        """Return the network's input and its geometry.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3) or (H, W, 4), uint8, RGB or RGBA
            Alpha is dropped where the network does not take it, and 255 where the image has none. Resizing treats it as
            `library` does.
        size : tuple of int
            ``(H, W)`` of the network's input, in pixels.
        channels : {1, 3, 4}
            The number of channels of the network's input, C.

        Returns
        -------
        ndarray of shape (C, H, W), float32
        Geometry

        Raises
        ------
        ImageError
            The image is so narrow that the resized one would be too large.
        PreprocessingError
            An image has no such number of channels, or the constants are not for it.
        """
        self._constants(channels)  # refuse before the work
        cropped, geometry = self._resize_and_crop(_with_alpha(image, channels), size)  # (H, W, 3 or 4)
        return self.normalise(cropped, channels), geometry

    def pixel(self, value: float, channels: int = 3) -> Floats:
        """Return what a pixel value becomes in network-input space, shape (C, 1, 1).

        Examples
        --------
        >>> PRESETS["tf"].pixel(0).ravel().tolist()
        [-1.0, -1.0, -1.0]
        """
        mean, std = self._constants(channels)
        return (np.float32(value) * np.float32(self.scale) - mean) / std

    def _resize_and_crop(self, image: Pixels, size: tuple[int, int]) -> tuple[Pixels, Geometry]:
        height, width = image.shape[:2]
        enlarged = round(size[0] / self.crop_pct), round(size[1] / self.crop_pct)
        library = LIBRARIES[self.library]
        resized_size = RESIZES[self.resize]((height, width), size, enlarged, library)
        if resized_size[0] * resized_size[1] > MAX_PIXELS:
            raise ImageError(
                f"an image of {width}×{height} pixels would be resized to {resized_size[1]}×{resized_size[0]}; "
                "crop it first"
            )
        if self.resize == "crop-first":
            return self._crop_and_resize(image, size)
        resized = image if resized_size == (height, width) else library.resize(image, resized_size, self.interpolation)
        # Cut out the centre, or pad what is smaller, and say where it lies in the image as given.
        top, left = (library.crop_start(resized_size[axis] - size[axis]) for axis in (0, 1))
        y0, y1 = _in_image(top, size[0], resized_size[0], height)
        x0, x1 = _in_image(left, size[1], resized_size[1], width)
        rows, columns = _visible(top, size[0], resized_size[0]), _visible(left, size[1], resized_size[1])
        cells = Frame(rows[0] / size[0], columns[0] / size[1], rows[1] / size[0], columns[1] / size[1])
        pad = (*self.pad, 0)[: image.shape[2]]
        cropped = np.full((*size, image.shape[2]), pad, np.uint8)
        cropped[slice(*rows), slice(*columns)] = resized[
            rows[0] + top : rows[1] + top, columns[0] + left : columns[1] + left
        ]
        return cropped, Geometry(height, width, (x0, y0, x1, y1), cells)

    def _crop_and_resize(self, image: Pixels, size: Size) -> tuple[Pixels, Geometry]:
        height, width = image.shape[:2]
        reduction = min(height / size[0], width / size[1]) * min(self.crop_pct, 1.0)
        crop_height, crop_width = (max(int(side * reduction), 1) for side in size)
        y0, x0 = (height - crop_height) // 2, (width - crop_width) // 2
        cropped = np.ascontiguousarray(image[y0 : y0 + crop_height, x0 : x0 + crop_width])
        resized = LIBRARIES[self.library].resize(cropped, size, self.interpolation)
        return resized, Geometry(height, width, (x0, y0, x0 + crop_width, y0 + crop_height))

    def normalise(self, image: Pixels, channels: int) -> Floats:
        """Return ``(pixel · scale − mean) / std``.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3) or (H, W, 4), uint8, RGB or RGBA
        channels : {1, 3, 4}
            The number of channels of the network's input, C.

        Returns
        -------
        ndarray of shape (C, H, W), float32

        Raises
        ------
        PreprocessingError
            The result is not finite, or there is no way to that many channels.

        Examples
        --------
        >>> PRESETS["raw"].normalise(np.full((1, 1, 3), 7, np.uint8), channels=3).ravel().tolist()
        [7.0, 7.0, 7.0]
        """
        import cv2

        mean, std = self._constants(channels)
        image = _with_alpha(image, channels)
        if channels == 1:
            pixels = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)[None]
        else:
            order = [0, 1, 2, 3] if self.channels == "RGB" else [2, 1, 0, 3]
            pixels = np.moveaxis(image[..., order[:channels]], -1, 0)  # (C, H, W)
        with np.errstate(over="ignore", invalid="ignore"):
            normalised: Floats = (pixels.astype(np.float32) * np.float32(self.scale) - mean) / std
        if not np.isfinite(normalised).all():
            raise PreprocessingError(
                f"preprocessing {self.name!r} turns pixels into NaN or infinite numbers; fix its constants"
            )
        return np.ascontiguousarray(normalised)

    def fits(self, channels: int) -> bool:
        """Return whether it can make a network's input of that many channels.

        Examples
        --------
        >>> PRESETS["tf"].fits(4), PRESETS["imagenet"].fits(4)
        (True, False)
        """
        return not self._misfit(channels)

    def _constants(self, channels: int) -> tuple[Floats, Floats]:
        if misfit := self._misfit(channels):
            raise PreprocessingError(misfit)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        if channels == 1:
            mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
        elif channels > len(mean):
            mean, std = np.append(mean, mean[:1]), np.append(std, std[:1])
        return mean[:, None, None], std[:, None, None]

    def _misfit(self, channels: int) -> str:
        """Return why no input of that many channels can be made; empty where it can."""
        if channels not in (1, _RGB, _RGBA):
            return (
                f"the model takes {channels} channels, an image file has 3 (or 4 with alpha); "
                "give the network's input itself: --preprocess none with a .npy file"
            )
        if len(self.mean) == _RGBA and channels != _RGBA:
            return (
                f"preprocessing {self.name!r} has constants for 4 channels, and the model takes {channels}: {_OTHERS}"
            )
        if (
            len(self.mean) == _RGB
            and channels == _RGBA
            and any(len(set(values)) > 1 for values in (self.mean, self.std))
        ):
            return (
                f"preprocessing {self.name!r} has constants for red, green and blue, and the model takes 4 channels: "
                'give a --preprocess FILE.json whose "mean" and "std" have four numbers, the last one for alpha'
            )
        return ""


def _with_alpha(image: Pixels, channels: int) -> Pixels:
    """Return an image with alpha, opaque where it has none, for a network of four channels; otherwise without."""
    if channels != _RGBA:
        return image[..., :_RGB] if image.shape[2] > _RGB else image
    if image.shape[2] == _RGBA:
        return image
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])


def _visible(start: int, length: int, resized: int) -> tuple[int, int]:
    """Return which pixels of a crop lie within the resized image; the others are padding."""
    return max(-start, 0), min(resized - start, length)


def _in_image(start: int, length: int, resized: int, limit: int) -> tuple[int, int]:
    """Return where a crop of the resized image begins and ends in the image as given: one pixel at least."""
    factor = limit / resized
    low = min(max(round(start * factor), 0), limit - 1)
    return low, max(low + 1, min(round((start + length) * factor), limit))


_UNIT = Preprocessing("unit", scale=1 / 255, source="preset unit")

PRESETS: dict[str, Preprocessing] = {
    "imagenet": replace(
        _UNIT, name="imagenet", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), source="preset imagenet"
    ),
    "tf": Preprocessing("tf", scale=1 / 127.5, mean=(1.0, 1.0, 1.0), source="preset tf"),
    "caffe": Preprocessing("caffe", channels="BGR", mean=(103.939, 116.779, 123.68), source="preset caffe"),
    "unit": _UNIT,
    "raw": Preprocessing("raw", source="preset raw"),
}
"""The presets by name; all of them resize and crop alike."""
