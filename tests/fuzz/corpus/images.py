"""Small photos in every format that is read, and the variants of each."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, features

__all__ = ["images"]

_SIZE = (24, 16)  # width, height


@cache
def images() -> dict[str, bytes]:
    """Return intact image files by their names."""
    generator = np.random.default_rng(3)
    pixels = np.kron(generator.integers(0, 256, (4, 6, 3)), np.ones((4, 4, 1))).astype(np.uint8)  # (H, W, 3)
    photo = Image.fromarray(pixels)
    grey16 = Image.fromarray(pixels[..., 0].astype(np.uint16) << 8)
    turned = Image.Exif()
    turned[274] = 6
    second = photo.rotate(90).resize(_SIZE)
    files = {
        "plain.jpg": _saved(photo, "JPEG"),
        "progressive.jpg": _saved(photo, "JPEG", progressive=True, optimize=True),
        "turned.jpg": _saved(photo, "JPEG", exif=turned, comment=b"a comment", dpi=(72, 72)),
        "grey.jpg": _saved(photo.convert("L"), "JPEG"),
        "cmyk.jpg": _saved(photo.convert("CMYK"), "JPEG"),
        "profile.jpg": _saved(photo, "JPEG", icc_profile=bytes(128)),
        "two.jpg": _saved(photo, "MPO", following=second),
        "plain.png": _saved(photo, "PNG", exif=turned),
        "palette.png": _saved(photo.quantize(8), "PNG", transparency=1),
        "alpha.png": _saved(photo.convert("RGBA"), "PNG"),
        "grey16.png": _saved(grey16, "PNG"),
        "one-bit.png": _saved(photo.convert("1"), "PNG"),
        "animated.png": _saved(photo, "PNG", following=second),
        "plain.bmp": _saved(photo, "BMP"),
        "palette.bmp": _saved(photo.quantize(8), "BMP"),
        "plain.gif": _saved(photo.quantize(8), "GIF"),
        "animated.gif": _saved(photo, "GIF", following=second),
        "plain.tif": _saved(photo, "TIFF"),
        "grey16.tif": _saved(grey16, "TIFF"),
        "real.tif": _saved(photo.convert("F"), "TIFF"),
        "cmyk.tif": _saved(photo.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        "pages.tif": _saved(photo, "TIFF", following=second),
        "network-input.npy": _array(np.zeros((3, 20, 20), np.float32)),
        "bytes.npy": _array(pixels),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4"):
        image = photo.convert("1") if compression == "group4" else photo
        files[f"{compression}.tif"] = _saved(image, "TIFF", compression=compression)
    if features.check("webp"):
        files["plain.webp"] = _saved(photo, "WEBP")
        files["lossless.webp"] = _saved(photo.convert("RGBA"), "WEBP", lossless=True, exif=turned)
        files["animated.webp"] = _saved(photo, "WEBP", following=second)
    if features.check("avif"):
        files["plain.avif"] = _saved(photo, "AVIF")
        files["animated.avif"] = _saved(photo, "AVIF", following=second)
    return files


def _saved(image: Image.Image, kind: str, following: Image.Image | None = None, **settings: Any) -> bytes:
    file = io.BytesIO()
    if following is not None:
        settings |= {"save_all": True, "append_images": [following.copy()]}
    image.copy().save(file, kind, **settings)  # saving changes an image
    return file.getvalue()


def _array(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()
