"""Where the images that an annotation file names may lie, and nowhere else."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Sequence

from onnx_cam.errors import DatasetError
from onnx_cam.evaluation.datasets.annotation_file import quoted

__all__ = ["ImagePaths"]

_DRIVE = re.compile(r"[A-Za-z]:/")


class ImagePaths:
    """The folders in which the images of a dataset are looked for.

    Each folder is listed once, so that a dataset of a million files does not cost a million calls of the system.

    Parameters
    ----------
    folder : str
        The dataset's own folder.
    images : str or None
        The folder that the user gave. If there is one, the images are looked for only there.
    below : sequence of str
        Folders inside either, in the order in which they are tried.

    Attributes
    ----------
    existing : int
        How many of the images that were looked for are there.

    Raises
    ------
    DatasetError
        There is no folder `images`.

    Examples
    --------
    >>> paths = ImagePaths(".", None, ("", "val"))
    >>> paths.find(["cat.jpeg", "cat.jpg"], "'photos.csv', line 2")
    ('./cat.jpg', 'cat.jpg')
    """

    def __init__(self, folder: str, images: str | None, below: Sequence[str] = ("",)) -> None:
        if images is not None and not os.path.isdir(images):
            raise DatasetError(f"no folder '{images}'; expected the folder of the images")
        self._roots = [os.path.realpath(root) for root in (folder, images) if root is not None]
        self._folder = folder if images is None else images
        self._below = tuple(dict.fromkeys(below if images is None else ("", *below)))
        self._listings: dict[str, dict[str, bool]] = {}
        self._inside: dict[str, bool] = {}
        self.existing = 0

    def find(self, names: Iterable[str], where: str) -> tuple[str, str]:
        """Return the path and the name of the first file that exists, otherwise those that the first name stands for.

        Parameters
        ----------
        names : iterable of str
            What the file may be called, the most likely name first.
        where : str
            The place in the annotations, for the message.

        Raises
        ------
        DatasetError
            A name leads out of the dataset's folder and of the images' folder.
        """
        first = None
        for name in names:
            for path, plain in self._candidates(name, where):
                first = first or (path, plain)
                if self._holds(path, where):
                    self.existing += 1
                    return path, plain
        assert first is not None  # there is a name
        return first

    def check(self, count: int, path: str) -> None:
        """Refuse a dataset none of whose images exists.

        Parameters
        ----------
        count : int
            Images of the dataset.
        path : str
            Its annotations, for the message.
        """
        if count and not self.existing:
            folders = ", ".join(f"'{os.path.normpath(os.path.join(self._folder, below))}'" for below in self._below)
            raise DatasetError(
                f"none of the {count:,} images of '{path}' exists in {folders}; give their folder with --images"
            )

    def _candidates(self, name: str, where: str) -> list[tuple[str, str]]:
        plain = _plain(name, where)
        if not os.path.isabs(plain):
            return [(os.path.join(self._folder, below, plain), plain) for below in self._below]
        for root in self._roots:
            real = os.path.join(os.path.realpath(os.path.dirname(plain)), os.path.basename(plain))
            if _within(real, root):
                return [(plain, os.path.relpath(real, root).replace(os.sep, "/"))]
        raise self._outside(name, where)

    def _holds(self, path: str, where: str) -> bool:
        folder, name = os.path.split(path)
        listing = self._listed(folder)
        if name not in listing:
            return False
        if not self._inside[folder] or (listing[name] and not self._is_inside(path)):
            raise self._outside(path, where)
        return True

    def _listed(self, folder: str) -> dict[str, bool]:
        """Return a folder's files, and whether each is a link."""
        if folder not in self._listings:
            try:
                with os.scandir(folder or ".") as entries:
                    self._listings[folder] = {entry.name: entry.is_symlink() for entry in entries if entry.is_file()}
            except OSError:  # no such folder: the images lie elsewhere, or reading them will say what is wrong
                self._listings[folder] = {}
            self._inside[folder] = self._is_inside(folder)
        return self._listings[folder]

    def _is_inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return any(_within(real, root) for root in self._roots)

    def _outside(self, name: str, where: str) -> DatasetError:
        return DatasetError(
            f"{where}: the image {quoted(name)} lies outside '{self._folder}'; expected a path inside it, "
            "or give the folder of the images with --images"
        )


def _plain(name: str, where: str) -> str:
    """Return a file's name in one spelling: ``a/b.jpg``, which never begins with ``..``."""
    try:
        os.fsencode(name)
    except UnicodeError:
        raise DatasetError(f"{where}: invalid file name {quoted(name)}: expected text that can be a path") from None
    plain = posixpath.normpath(name.strip().replace("\\", "/")) if name.strip() else ""
    if plain in ("", ".") or "\0" in plain:
        raise DatasetError(f"{where}: invalid file name {quoted(name)}: expected the path of an image")
    if plain.split("/")[0] == ".." or (_DRIVE.match(plain) and os.sep == "/"):
        raise DatasetError(
            f"{where}: the image {quoted(name)} lies outside the dataset's folder; expected a path inside it"
        )
    return plain


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
