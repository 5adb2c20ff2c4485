"""The folders of this machine, which no answer names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

__all__ = ["NO_FOLDERS", "Folders"]


@dataclass(frozen=True)
class Folders:
    """The folders of this machine that no answer names.

    Attributes
    ----------
    paths : tuple of str
        The longest first, each with its separator at the end.

    Examples
    --------
    >>> Folders(("/srv/models/",)).without({"source": "/srv/models/config.json", "size": [224, 224]})
    {'source': 'config.json', 'size': [224, 224]}
    """

    paths: tuple[str, ...]

    @classmethod
    def of(cls, model: str | PurePath | None) -> Folders:
        """Return the folder of a model's file, as it was named and as it is found."""
        if model is None:
            return cls(())
        folders = {os.path.dirname(path) for path in (str(model), os.path.abspath(model), os.path.realpath(model))}
        named = sorted((folder + os.sep for folder in folders if folder.strip(os.sep)), key=len, reverse=True)
        return cls(tuple(named))

    def without(self, value: Any) -> Any:
        """Return JSON values, or a text, without these folders before the names of files."""
        if isinstance(value, str):
            for folder in self.paths:
                value = value.replace(folder, "")
            return value
        if isinstance(value, Mapping):
            return {key: self.without(one) for key, one in value.items()}
        return [self.without(one) for one in value] if isinstance(value, list) else value


NO_FOLDERS = Folders(())
"""Those of a model in memory."""
