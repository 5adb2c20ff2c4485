"""Open images in HEIF's container: AVIF with Pillow's own decoder, HEIC with pillow-heif's."""

from __future__ import annotations

import io
from typing import Any

from onnx_cam.errors import MissingDecoderError

__all__ = ["open_avif", "open_heic"]


def open_avif(content: bytes, label: str) -> Any:
    """Open an AVIF image, and return a PIL image that is not loaded yet.

    Raises
    ------
    MissingDecoderError
        This Pillow was built without AVIF.
    """
    import PIL
    from PIL import Image, features

    if not features.check("avif"):
        raise MissingDecoderError(
            f"{label} is an AVIF image, which Pillow {PIL.__version__} cannot decode here; install one that can: "
            "pip install 'pillow>=11.3', or convert the image to PNG or JPEG"
        )
    return Image.open(io.BytesIO(content), formats=("AVIF",))


def open_heic(content: bytes, label: str) -> Any:
    """Open a HEIC image, and return a PIL image that is not loaded yet.

    The decoder is called here, and not registered with Pillow: what other code in the process opens stays the same.

    Raises
    ------
    MissingDecoderError
        The extra is not installed.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise MissingDecoderError(
            f"{label} is a HEIC image, which needs the extra 'heic' (pillow-heif): pip install 'onnx-cam[heic]', "
            "or convert the image to PNG or JPEG"
        ) from error
    opener: Any = HeifImageFile
    return opener(io.BytesIO(content))
