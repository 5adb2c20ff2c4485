"""What lies beside a model file that may be a symbolic link: beside the link, and beside what it leads to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["broken_link", "files_beside", "link_chain"]

_MAX_LINKS = 40  # as many as Linux follows

_MODELS_FOLDER = "onnx"
"""Hugging Face keeps ONNX files in this folder of a repository, and their configuration in the one above."""


def link_chain(path: str | os.PathLike[str]) -> list[Path]:
    """Return the absolute path of a file and, while that is a symbolic link, what it leads to, link by link.

    Model stores keep files under names that say nothing, and link to them under the names that count: the caches of
    Hugging Face, DVC and git-annex, and volumes of Kubernetes. Links that lead in a circle are followed once.

    Examples
    --------
    >>> _ = os.makedirs("blobs"), Path("blobs/5a1c").write_text("")
    >>> os.symlink("blobs/5a1c", "linked.onnx")
    >>> [path.name for path in link_chain("linked.onnx")]
    ['linked.onnx', '5a1c']
    """
    chain = [Path(os.path.abspath(path))]
    while os.path.islink(chain[-1]) and len(chain) <= _MAX_LINKS:
        folder, name = os.path.split(os.readlink(chain[-1]))
        # The folders on the way may be links, too: ".." is the parent of what they lead to.
        target = Path(os.path.realpath(chain[-1].parent / folder)) / name
        if target in chain:
            break
        chain.append(target)
    return chain


def files_beside(model: Path | None, names: Sequence[str]) -> list[Path]:
    """Return the files of those names that lie beside a model: beside a link first, then beside what it leads to.

    Parameters
    ----------
    model : Path or None
        The model file; beside a model in memory there is nothing. If it lies in a folder named ``onnx``, the folder
        above counts as well.
    names : sequence of str
        The names, the likeliest first; ``{stem}`` stands for the model's own name without its suffix.

    Returns
    -------
    list of Path
        Files, each once, and links that lead to none: reading one of those says so.

    Examples
    --------
    >>> _ = Path("config.json").write_text("{}")
    >>> [path.name for path in files_beside(Path("model.onnx"), ["{stem}.json", "config.json"])]
    ['config.json']
    """
    files: dict[str, Path] = {}  # by where each really lies
    for place in [] if model is None else link_chain(model):
        for folder in _folders(place):
            for name in names:
                path = folder / name.replace("{stem}", place.stem)
                if os.path.isfile(path) or broken_link(path):
                    files.setdefault(os.path.realpath(path), path)
    return list(files.values())


def _folders(place: Path) -> list[Path]:
    folder = place.parent
    names = {folder.name, os.path.basename(os.path.realpath(folder))}
    return [folder, folder.parent] if _MODELS_FOLDER in names else [folder]


def broken_link(path: str | os.PathLike[str]) -> str | None:
    """Return what a symbolic link leads to, where that does not exist or leads back to it; None for anything else.

    Examples
    --------
    >>> os.symlink("nowhere", "photo.jpg")
    >>> broken_link("photo.jpg")
    'nowhere'
    >>> broken_link("model.onnx") is None
    True
    """
    try:
        return os.readlink(path) if os.path.islink(path) and not os.path.exists(path) else None
    except (OSError, ValueError):
        return None
