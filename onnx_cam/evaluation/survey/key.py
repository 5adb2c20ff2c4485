"""The key of a survey: which map is of which method. It is in a file of its own, and never in the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_cam.errors import OutputError, one_line

__all__ = ["KEY_NAME", "NOT_SURE", "PAGE_NAME", "VERSION", "Item", "Key", "read_key"]

KEY_NAME = "key.json"
PAGE_NAME = "survey.html"
NOT_SURE = "not sure"
VERSION = 1
"""Of the key, and of the answers."""

_NOTE = (
    "Which map is of which method. Keep this file from the reviewers: it undoes the blinding. "
    f"They get {PAGE_NAME} alone."
)


@dataclass(frozen=True)
class Item:
    """An image of the survey.

    Attributes
    ----------
    image, sha256 : str
        Its name in the dataset, and the file's hash.
    said : str
        The class whose maps are shown.
    maps : mapping of str to tuple of str
        Each letter's methods: several where their maps look the same.
    """

    image: str
    sha256: str
    said: str
    maps: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Key:
    """What undoes the blinding.

    Attributes
    ----------
    survey : str
        The survey's id: a hash of what its page shows, in the page's order.
    seed : int
        Of the draw of images, and of the order of images and maps.
    methods : mapping of str to str
        Each method's name, and its key in the run.
    items : mapping of str to Item
        By the number in the page.
    left_out : mapping of str to int
        Why images that were drawn are not shown, and how many.
    run : mapping
        What the maps were made with: ``model_sha256``, ``layer``, ``dataset``, ``versions``.
    """

    survey: str
    seed: int
    methods: Mapping[str, str]
    items: Mapping[str, Item]
    left_out: Mapping[str, int]
    run: Mapping[str, Any]

    @property
    def alike(self) -> int:
        """Of how many images some methods' maps look the same."""
        return sum(any(len(names) > 1 for names in item.maps.values()) for item in self.items.values())

    def as_json(self) -> bytes:
        """Return the key as a file's content."""
        content = {
            "note": _NOTE,
            "version": VERSION,
            "survey": self.survey,
            "seed": self.seed,
            "methods": dict(self.methods),
            "items": {
                number: {"image": item.image, "sha256": item.sha256, "said": item.said, "maps": dict(item.maps)}
                for number, item in self.items.items()
            },
            "left_out": dict(self.left_out),
            "run": dict(self.run),
        }
        return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_key(folder: str | Path) -> Key:
    """Read the key of a survey.

    Raises
    ------
    OutputError
        There is none, or it is damaged.
    """
    path = Path(folder) / KEY_NAME
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != VERSION:
            raise ValueError(f"its version is {content['version']}, this onnx-cam reads {VERSION}")
        return _key(content)
    except FileNotFoundError as error:
        raise OutputError(f"no survey in '{folder}'; expected the folder that onnx-cam survey -o wrote") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(
            f"'{path}' cannot be read as a survey's key ({type(error).__name__}: {one_line(error, 80)}); "
            "expected it as onnx-cam survey wrote it: take it from a backup, or make the survey again with its seed"
        ) from error


def _key(content: dict[str, Any]) -> Key:
    items = {
        str(number): Item(
            item["image"], item["sha256"], item["said"], {k: tuple(names) for k, names in item["maps"].items()}
        )
        for number, item in content["items"].items()
    }
    methods = dict(content["methods"])
    unknown = {name for item in items.values() for names in item.maps.values() for name in names} - set(methods)
    if unknown or not items or not isinstance(content["survey"], str):
        raise ValueError(f"no survey, no items, or unknown methods {sorted(unknown)}")
    return Key(content["survey"], int(content["seed"]), methods, items, dict(content["left_out"]), dict(content["run"]))
