"""Files beside a model that sound like a configuration, and are not in a known format's list."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from itertools import islice
from pathlib import Path

__all__ = ["other_files_beside"]

_SOUNDS_LIKE_ONE = re.compile(
    r"(?i)(preproc|processor|transform|normali[sz]|config|cfg|signature|metadata|pipeline|infer|deploy|settings|args|hyp|opt)"
    r".*\.(json|ya?ml|toml|ini|cfg|pbtxt|prototxt|xml)$"
)
_OTHER_PURPOSES = re.compile(
    r"(?i)token|generation|adapter|quant|special|vocab|merges|package|tsconfig|optimi[sz]er|compose|docker"
)
_MOST_ENTRIES = 2000  # of a folder that is looked through


def other_files_beside(model: Path | None, known: Collection[str]) -> list[str]:
    """Return the names of such files in a model's folder, sorted.

    Parameters
    ----------
    model : Path or None
        The model file; beside a model in memory there is nothing.
    known : collection of str
        The names that are looked for anyway; ``{stem}`` stands for the model's own name without its suffix.

    Examples
    --------
    >>> for name in ("transforms.yaml", "tokenizer_config.json", "config.json"):
    ...     _ = Path(name).write_text("")
    >>> other_files_beside(Path("model.onnx"), ["config.json"])
    ['transforms.yaml']
    """
    if model is None:
        return []
    names_read = {name.replace("{stem}", model.stem) for name in known}
    try:
        with os.scandir(model.parent) as entries:
            names = [entry.name for entry in islice(entries, _MOST_ENTRIES)]
    except OSError:
        return []
    return sorted(
        name
        for name in names
        if name not in names_read and _SOUNDS_LIKE_ONE.search(name) and not _OTHER_PURPOSES.search(name)
    )
