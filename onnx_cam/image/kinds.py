"""What a file is by its first bytes, whatever its name says: AVIF, HEIF, or one of the kinds that are not read."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["HeifKind", "heif_kind", "is_sequence", "unread_kind"]

HeifKind = Literal["AVIF", "HEIF"]

_PROBE_BYTES = 4096
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_CONTAINER_BRANDS = {b"mif1", b"mif2", b"mif3", b"msf1", b"miaf"}  # the same for both; the other brands tell which

_CONVERT = "convert it to PNG or JPEG"
_EXPORT = "export it as PNG or TIFF"
_DEVELOP = "develop it to PNG or JPEG"
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL image", _CONVERT),
    (rb"\x00\x00\x00\x0cjP {2}\r\n\x87\n|\xff\x4f\xff\x51", "a JPEG 2000 image", _CONVERT),
    (rb"P[1-7]\s", "a PNM image (PBM, PGM, PPM)", "convert it to PNG"),
    (rb"8BPS", "a Photoshop document", _EXPORT),
    (rb"gimp xcf", "a GIMP document", _EXPORT),
    (rb"\x00\x00[\x01\x02]\x00", "a Windows icon or cursor", _CONVERT),
    (rb"\x76\x2f\x31\x01|#\?(RADIANCE|RGBE)", "a high dynamic range image", "convert it to PNG with 8 or 16 bits"),
    (rb"(\xef\xbb\xbf)?\s*<(svg\b|[?!][^\x00]*<svg\b)", "an SVG drawing", _EXPORT),
    (rb"%PDF-", "a PDF document", "save the page, or the picture in it, as PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript document", _EXPORT),
    (rb".{128}DICM", "a DICOM file", _EXPORT),
    (rb"SIMPLE {2}= ", "a FITS file", _EXPORT),
    (rb"\x5c\x01\x00\x00.{340}(n\+1|ni1)\x00", "a NIfTI volume", "export one slice of it as PNG or TIFF"),
    (rb"\x89HDF\r\n", "an HDF5 file", _EXPORT),
    (rb"II[*]\x00.{4}CR|.{4}ftypcrx |FUJIFILMCCD-RAW|II(RO|RS|U\x00)|FOVb", "a raw camera file", _DEVELOP),
    (rb".{4}ftyp|\x1a\x45\xdf\xa3|RIFF.{4}AVI |\x00\x00\x01[\xba\xb3]", "a video", "save one frame of it as PNG"),
    (rb"\x93NUMPY", "a NumPy array", "if it holds the network's input, use --preprocess none"),
    (rb"PK\x03\x04", "a ZIP archive, or a document in one", "unpack it"),
    (rb"\x1f\x8b|7z\xbc\xaf|Rar!|\xfd7zXZ|BZh", "a compressed file", "unpack it"),
    (rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype html|html\b|!--[^\x00]*<html\b)", "a web page", "download the image itself"),
)
"""How files of a kind begin, what they are, and what to do."""


def heif_kind(head: bytes) -> HeifKind | None:
    r"""Tell which of the image formats in HEIF's container a file is; None for all other files.

    Parameters
    ----------
    head : bytes
        The file's beginning, or all of it.

    Examples
    --------
    >>> heif_kind(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"), heif_kind(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    ('AVIF', 'HEIF')
    >>> heif_kind(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ") is None  # a video
    True
    """
    if head[4:8] != b"ftyp":
        return None
    major = head[8:12]
    end = min(int.from_bytes(head[:4], "big"), _PROBE_BYTES)
    brands = {major} if major not in _CONTAINER_BRANDS else {head[at : at + 4] for at in range(16, end, 4)}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS or major in _CONTAINER_BRANDS else None


def is_sequence(head: bytes) -> bool:
    r"""Tell whether a file in HEIF's container says that it is a sequence of images, as a video is.

    Examples
    --------
    >>> is_sequence(b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc")
    True
    """
    return head[4:8] == b"ftyp" and head[8:12] in (b"avis", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs")


def unread_kind(head: bytes) -> tuple[str, str] | None:
    r"""Return what a file is that is not read as an image, and what to do with it; None where that is unknown.

    Parameters
    ----------
    head : bytes
        The file's beginning, or all of it.

    Examples
    --------
    >>> unread_kind(b"%PDF-1.7\n")
    ('a PDF document', 'save the page, or the picture in it, as PNG')
    """
    probe = head[:_PROBE_BYTES]
    return next(((kind, advice) for pattern, kind, advice in _KINDS if re.match(pattern, probe, re.DOTALL)), None)
