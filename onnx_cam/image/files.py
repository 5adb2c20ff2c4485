"""Image files: what is accepted as one, which ones a name stands for, and what their results are called."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx_cam.errors import ImageError, one_line, one_line_text
from onnx_cam.files import read_at_most
from onnx_cam.graph.file_kinds.pointers import MAX_PROBE_BYTES, pointer_kind
from onnx_cam.graph.links import broken_link

__all__ = [
    "FORMATS",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "NAMELESS_STEM",
    "STANDARD_INPUT",
    "SUFFIXES",
    "SYSTEM_FILES",
    "ImageFile",
    "ImageList",
    "find_images",
    "image_file",
    "list_images",
    "listed",
    "read_image",
    "safe_stem",
    "stem_of",
    "stems",
]

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""The formats that are decoded, by Pillow's name, and their suffixes in lower case. A new format is one line here."""

SUFFIXES = tuple(sorted(suffix for suffixes in FORMATS.values() for suffix in suffixes))
"""What counts as an image in a folder."""

SYSTEM_FILES = ("desktop.ini", "thumbs.db")
"""What file managers leave in a folder, beside files that begin with a dot."""

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded."""

MIN_SIDE = 2
"""Pixels; a smaller image has no region to point at."""

STANDARD_INPUT = "-"
"""The name that stands for standard input."""

MAX_FILE_BYTES = 1 << 30
"""1 GiB; a larger file is not an image."""

NAMELESS_STEM = "image"
"""What the results of an image are named after that is handed over as bytes."""

_NAMELESS = "the image in memory"
_MAX_STEM_BYTES = 100  # a file name has at most 255, and the method and the class are appended
_MAX_LISTED = 5


@dataclass(frozen=True)
class ImageFile:
    """An image file as it was read.

    Attributes
    ----------
    name : str or None
        The path as it was given, or ``-`` for standard input; the name of a file object, or None where it has none.
    sha256 : str
        The hash of the file's bytes, in hexadecimal digits.
    content : bytes
        The file's bytes.

    Examples
    --------
    >>> ImageFile("photos/cat.jpg", "", b"").stem
    'cat'
    """

    name: str | None
    sha256: str
    content: bytes

    @property
    def stem(self) -> str:
        """What result files are named after."""
        return NAMELESS_STEM if self.name is None else stem_of(self.name)

    @property
    def label(self) -> str:
        """What messages call it."""
        return _NAMELESS if self.name is None else f"'{self.name}'"


def read_image(name: str | os.PathLike[str]) -> ImageFile:
    """Read a file's bytes; ``-`` is standard input.

    Raises
    ------
    ImageError
        The file is missing, unreadable, empty or larger than 1 GiB.

    Examples
    --------
    >>> read_image("cat.jpg").content[:2].hex()  # as every JPEG begins
    'ffd8'
    """
    name = os.fsdecode(name)
    try:
        if name == STANDARD_INPUT and sys.stdin is None:
            raise ImageError("standard input is closed; expected an image on it")
        if name == STANDARD_INPUT:
            content = read_at_most(sys.stdin.buffer, MAX_FILE_BYTES)
        else:
            with open(name, "rb") as file:
                content = read_at_most(file, MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from error
    return image_file(name, content)


def image_file(name: str | None, content: bytes) -> ImageFile:
    """Return an image file of bytes that were read.

    Raises
    ------
    ImageError
        They are empty, too many, or a pointer in place of a file.

    Examples
    --------
    >>> image_file(None, b"GIF89a").stem
    'image'
    """
    what = _NAMELESS if name is None else f"the image '{name}'"
    if not content:
        raise ImageError(f"{what} is empty; expected an image file")
    if len(content) > MAX_FILE_BYTES:
        raise ImageError(f"{what} is larger than 1 GiB; expected a photo: make it smaller")
    if pointer := pointer_kind(content[:MAX_PROBE_BYTES]):
        raise ImageError(f"{what} is {pointer}")
    return ImageFile(name, hashlib.sha256(content).hexdigest(), content)


def _unreadable(name: str, error: Exception) -> ImageError:
    if target := broken_link(name):
        return ImageError(
            f"cannot read the image '{name}': it is a link to '{target}', which does not exist or links back; "
            "fetch that file, or copy the image in place of the link"
        )
    if isinstance(error, FileNotFoundError):
        return ImageError(f"no image '{name}'; expected the path of an image file")
    return ImageError(f"cannot read the image '{name}': {one_line(error)}")


@dataclass(frozen=True)
class ImageList:
    """Image paths, and what lies beside them in their folders.

    Attributes
    ----------
    paths : tuple of str
        The images.
    notes : tuple of str
        What was skipped in each folder, a line each.
    """

    paths: tuple[str, ...]
    notes: tuple[str, ...] = ()


def list_images(names: Iterable[str], suffixes: Iterable[str] = SUFFIXES) -> list[str]:
    """Return the image paths that names stand for: a file, a folder's images, a glob pattern, or ``-``.

    Parameters
    ----------
    names : iterable of str
        Paths and patterns. A path that does not exist is returned as it is: reading it reports the error.
    suffixes : iterable of str
        The file name endings that count as images in a folder, in lower case.

    Returns
    -------
    list of str
        In the order of the names, a folder's and a pattern's images sorted; each path once.

    Raises
    ------
    ImageError
        A folder cannot be read, or a folder or a pattern has no image.

    Examples
    --------
    >>> list_images(["dog.jpg", "*.jpg", "cat.png"])
    ['dog.jpg', 'cat.jpg', 'cat.png']
    """
    return list(find_images(names, suffixes).paths)


def find_images(names: Iterable[str], suffixes: Iterable[str] = SUFFIXES) -> ImageList:
    """Return the image paths that names stand for, as `list_images` does, and what was skipped on the way.

    Examples
    --------
    >>> found = find_images(["."])
    >>> found.paths
    ('./cat.jpg', './cat.png', './dog.jpg')
    >>> found.notes  # doctest: +ELLIPSIS
    ("'.': skipped 3 files without an image's ending (.avif, ...): labels.txt, model.onnx, photos.csv",)
    """
    endings = tuple(suffixes)
    lists = [_expand(name, endings) for name in names]
    paths = dict.fromkeys(path for one in lists for path in one.paths)
    return ImageList(tuple(paths), tuple(dict.fromkeys(note for one in lists for note in one.notes)))


def _expand(name: str, suffixes: tuple[str, ...]) -> ImageList:
    if name == STANDARD_INPUT or os.path.isfile(name):
        return ImageList((name,))
    if os.path.isdir(name):
        return _in_folder(name, suffixes)
    if glob.has_magic(name) and not os.path.lexists(name):
        matches = glob.glob(name, recursive=True)
        paths = sorted(path for path in matches if os.path.isfile(path) or broken_link(path))
        if not paths:
            raise ImageError(f"no image in '{name}'; expected files ending in {', '.join(suffixes)}")
        return ImageList(tuple(paths))
    return ImageList((name,))  # reading it says what is wrong


def _in_folder(folder: str, suffixes: tuple[str, ...]) -> ImageList:
    """Return a folder's images, links that lead nowhere among them: reading those reports the error."""
    try:
        with os.scandir(folder) as entries:
            is_folder = {entry.path: os.path.isdir(entry.path) for entry in entries if _counts(entry.name)}
    except OSError as error:
        raise ImageError(f"cannot read the folder '{folder}': {error.strerror or error}") from error
    paths = sorted(path for path, is_dir in is_folder.items() if not is_dir and path.lower().endswith(suffixes))
    others = sorted(is_folder.keys() - set(paths))
    notes = []
    if files := [os.path.basename(path) for path in others if not is_folder[path]]:
        notes.append(f"{_count(files, 'file')} without an image's ending ({', '.join(suffixes)}): {listed(files)}")
    if folders := [os.path.basename(path) for path in others if is_folder[path]]:
        notes.append(f"{_count(folders, 'folder')} (search with a pattern such as '**/*.jpg'): {listed(folders)}")
    skipped = f"skipped {' and '.join(notes)}" if notes else ""
    if not paths:
        raise ImageError(
            f"no image in '{folder}'; expected files ending in {', '.join(suffixes)}{skipped and '; '}{skipped}"
        )
    return ImageList(tuple(paths), (f"'{folder}': {skipped}",) if skipped else ())


def _counts(name: str) -> bool:
    """Whether a folder's entry is more than a file manager's own."""
    is_hidden = name.startswith(".") and not name.lower().endswith(SUFFIXES)
    return not is_hidden and name.lower() not in SYSTEM_FILES


def _count(names: Sequence[str], what: str) -> str:
    return f"{len(names)} {what}" if len(names) == 1 else f"{len(names)} {what}s"


def listed(names: Sequence[str]) -> str:
    """Return the first names of a list, and how many there are beside them.

    Examples
    --------
    >>> listed(["a.heic", "b.avif"]), listed(list("abcdefg"))
    ('a.heic, b.avif', 'a, b, c, d, e and 2 more')
    """
    shown = ", ".join(one_line_text(name) for name in names[:_MAX_LISTED])
    return f"{shown} and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else shown


def stem_of(name: str) -> str:
    """Return an image's name without folder and suffix, as a beginning of file names that every file system accepts.

    Examples
    --------
    >>> stem_of("photos/cat: asleep.jpg")
    'cat_ asleep'
    >>> stem_of("-")
    'stdin'
    """
    return safe_stem("stdin" if name == STANDARD_INPUT else Path(name).stem, _MAX_STEM_BYTES)


def safe_stem(text: str, limit: int = 2 * _MAX_STEM_BYTES) -> str:
    """Return a text as the beginning of a file's name, of `limit` bytes at most.

    Examples
    --------
    >>> safe_stem("tiger/lion?")
    'tiger_lion_'
    """
    plain = re.sub(r"[\x00-\x1f/\\:*?\"<>|\ud800-\udfff]", "_", text)
    return plain.encode()[:limit].decode(errors="ignore") or "image"


def stems(names: Iterable[str]) -> list[str]:
    """Return a name for the results of each image: its stem, with a short hash of its path where two share one.

    Examples
    --------
    >>> stems(["a/cat.jpg", "b/dog.jpg"])
    ['cat', 'dog']
    >>> [len(stem) for stem in stems(["a/cat.jpg", "b/cat.jpg"])]  # "cat-" and eight digits
    [12, 12]
    """
    names = list(names)
    plain = [stem_of(name) for name in names]
    counts = Counter(stem.casefold() for stem in plain)
    return [
        f"{stem}-{_short_hash(name)}" if counts[stem.casefold()] > 1 else stem
        for name, stem in zip(names, plain, strict=True)
    ]


def _short_hash(name: str) -> str:
    return hashlib.sha256(os.fsencode(os.path.abspath(name))).hexdigest()[:8]
