"""Files that are not images that can be read: the error says what they are."""

from __future__ import annotations

import re
import time

import pytest

from onnx_cam.errors import ImageError
from onnx_cam.image.decoding import decode
from onnx_cam.image.files import image_file
from onnx_cam.image.kinds import heif_kind, unread_kind

BEGINNINGS = {
    "a JPEG XL image": [b"\xff\x0a\xfa", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "a JPEG 2000 image": [b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"],
    "a PNM image": [b"P5\n3 3\n65535\n", b"P6 2 2 255 "],
    "a Photoshop document": [b"8BPS\0\1"],
    "a Windows icon": [b"\0\0\1\0\1\0"],
    "an SVG drawing": [b"<svg xmlns='x'>", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a -->\n<!DOCTYPE svg>\n<svg>"],
    "a PDF document": [b"%PDF-1.7\n"],
    "a PostScript document": [b"%!PS-Adobe-3.0"],
    "a DICOM file": [bytes(128) + b"DICM"],
    "a FITS file": [b"SIMPLE  =                    T"],
    "a NIfTI volume": [b"\x5c\1\0\0" + bytes(340) + b"n+1\0"],
    "an HDF5 file": [b"\x89HDF\r\n\x1a\n"],
    "a raw camera file": [
        b"\0\0\0\x18ftypcrx \0\0\0\1",
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
    ],
    "a video": [b"\0\0\0\x20ftypisom\0\0\2\0", b"\0\0\0\x14ftypqt  ", b"\x1a\x45\xdf\xa3", b"RIFF\x10\0\0\0AVI LIST"],
    "a NumPy array": [b"\x93NUMPY\1\0"],
    "a ZIP archive": [b"PK\3\4\x14\0"],
    "a compressed file": [b"\x1f\x8b\x08\0", b"7z\xbc\xaf\x27\x1c"],
    "a web page": [b"<!DOCTYPE html>\n<html>", b"<html lang='en'>"],
}


@pytest.mark.parametrize("what", BEGINNINGS)
def test_the_error_says_what_a_file_is(what: str) -> None:
    for beginning in BEGINNINGS[what]:
        with pytest.raises(
            ImageError, match=rf"^'a.jpg' is {re.escape(what)}.*, and not an image that can be read; \w+"
        ):
            decode(image_file("a.jpg", beginning + bytes(600)))


@pytest.mark.parametrize("content", [b"hello", b"\0" * 5000, b"GIF89", b"P9 3", b"<!-- -->"])
def test_other_files_get_the_list_of_formats(content: bytes) -> None:
    assert unread_kind(content) is None
    with pytest.raises(ImageError, match=r"not an image that can be read; expected JPEG, PNG, .*AVIF or HEIF"):
        decode(image_file("a.jpg", content))


def test_a_tiff_that_pillow_cannot_read_is_called_one() -> None:
    with pytest.raises(ImageError, match="is a TIFF image that is damaged or cut off, or of a kind that Pillow cannot"):
        decode(image_file("a.tif", b"II*\0" + bytes(100)))


@pytest.mark.parametrize(
    ("major", "others", "kind"),
    [
        (b"avif", b"mif1miaf", "AVIF"),
        (b"avis", b"msf1", "AVIF"),
        (b"mif1", b"miafavif", "AVIF"),
        (b"mif1", b"miafheic", "HEIF"),
        (b"mif1", b"", "HEIF"),
        (b"heix", b"mif1", "HEIF"),
        (b"heic", b"mif1avif", "HEIF"),
        (b"isom", b"avif", None),
    ],
)
def test_brands(major: bytes, others: bytes, kind: str | None) -> None:
    size = (16 + len(others)).to_bytes(4, "big")
    assert heif_kind(size + b"ftyp" + major + bytes(4) + others + b"avifheic") == kind


@pytest.mark.parametrize("piece", [b"<!--", b"<!-- -->", b" ", b"<html", b"<?xml>", b"<!DOCTYPE ", b"\n<"])
def test_no_beginning_takes_long_to_judge(piece: bytes) -> None:
    start = time.perf_counter()
    unread_kind(piece * 4096)
    assert time.perf_counter() - start < 1
