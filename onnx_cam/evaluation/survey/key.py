"""The key of a survey: which method made which map. It is a file of its own, and nothing of it is in the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onnx_cam.errors import OutputError, one_line

__all__ = ["KEY_NAME", "NOT_SURE", "PAGE_NAME", "VERSION", "Item", "Key", "read_key"]

KEY_NAME = "key.json"
PAGE_NAME = "survey.html"
NOT_SURE = "not sure"
VERSION = 1
"""The version of the key and of the answers."""

_NOTE = (
    "Which method made which map. Do not give this file to the reviewers, because it undoes the blinding. "
    f"They get only {PAGE_NAME}."
)


@dataclass(frozen=True)
class Item:
    """An image of the survey.

    Attributes
    ----------
    image, sha256 : str
        The image's name in the dataset, and the hash of its file.
    class_name : str
        The predicted class, whose maps are shown.
    maps : mapping of str to tuple of str
        The methods that each letter stands for: several where their maps look the same.

    Examples
    --------
    >>> Item("cat.jpg", "ab12", "cat", {"A": ("sscam2",), "B": ("cam", "gradcam")}).maps["B"]
    ('cam', 'gradcam')
    """

    image: str
    sha256: str
    class_name: str
    maps: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Key:
    """The key of a survey, which undoes the blinding.

    Attributes
    ----------
    survey : str
        The survey's id: a hash of what its page shows, in the page's order.
    seed : int
        Random seed of the draw of images, and of the order of images and maps.
    methods : mapping of str to str
        Each method's name, and its key in the run.
    items : mapping of str to Item
        The images by their number in the page.
    left_out : mapping of str to int
        Why images that were drawn are not shown, and how many there are for each reason.
    run : mapping
        Facts of the run: ``model_sha256``, ``layer``, ``dataset``, ``versions`` and more.

    Examples
    --------
    >>> item = Item("cat.jpg", "ab12", "cat", {"A": ("sscam2",), "B": ("cam", "gradcam")})
    >>> Key("f423eb05c9847097", 7, {"sscam2": "", "cam": "", "gradcam": ""}, {"1": item}).alike
    1
    """

    survey: str
    seed: int
    methods: Mapping[str, str]
    items: Mapping[str, Item]
    left_out: Mapping[str, int] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alike(self) -> int:
        """The number of images for which several methods' maps look the same."""
        return sum(any(len(names) > 1 for names in item.maps.values()) for item in self.items.values())

    def as_json(self) -> bytes:
        """Return the key as the content of its file."""
        content = {
            "note": _NOTE,
            "version": VERSION,
            "survey": self.survey,
            "seed": self.seed,
            "methods": dict(self.methods),
            "items": {
                number: {"image": item.image, "sha256": item.sha256, "class": item.class_name, "maps": dict(item.maps)}
                for number, item in self.items.items()
            },
            "left_out": dict(self.left_out),
            "run": dict(self.run),
        }
        return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_key(folder: str | Path) -> Key:
    """Read the key of a survey.

    Parameters
    ----------
    folder : str or Path
        The survey's folder.

    Raises
    ------
    OutputError
        There is no key, or it is damaged.

    Examples
    --------
    >>> item = Item("cat.jpg", "ab12", "cat", {"A": ("sscam2",), "B": ("cam",)})
    >>> key = Key("f423eb05c9847097", 7, {"sscam2": "", "cam": ""}, {"1": item})
    >>> _ = Path("key.json").write_bytes(key.as_json())
    >>> read_key(".") == key
    True
    """
    path = Path(folder) / KEY_NAME
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != VERSION:
            raise ValueError(f"its version is {content['version']}, expected {VERSION}")
        return _key(content)
    except FileNotFoundError as error:
        raise OutputError(f"no survey in '{folder}'; expected the folder that onnx-cam survey -o wrote") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(
            f"cannot read '{path}' as the key of a survey ({type(error).__name__}: {one_line(error, 80)}); "
            "restore it from a backup, or make the survey again with the same seed"
        ) from error


def _key(content: dict[str, Any]) -> Key:
    items = {
        str(number): Item(
            item["image"], item["sha256"], item["class"], {k: tuple(names) for k, names in item["maps"].items()}
        )
        for number, item in content["items"].items()
    }
    methods = dict(content["methods"])
    unknown = {name for item in items.values() for names in item.maps.values() for name in names} - set(methods)
    if unknown or not items or not isinstance(content["survey"], str):
        raise ValueError(f"no survey, no items, or unknown methods {sorted(unknown)}")
    return Key(
        survey=content["survey"],
        seed=int(content["seed"]),
        methods=methods,
        items=items,
        left_out=dict(content["left_out"]),
        run=dict(content["run"]),
    )
