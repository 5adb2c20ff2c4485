"""The page of a survey: one file that needs no network and does not contain the name of any method."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from onnx_cam.drawing.templates import make_environment
from onnx_cam.evaluation.survey.key import NOT_SURE, VERSION

__all__ = ["Question", "write_page"]

_FOLDER = "evaluation/survey"


@dataclass(frozen=True)
class Question:
    """An image as a reviewer sees it.

    Attributes
    ----------
    number : str
        Its number in the page, from 1.
    class_name : str
        The predicted class, whose maps are shown.
    picture : bytes
        The image as a JPEG file.
    maps : mapping of str to bytes
        The maps as JPEG files, by their letters.

    Examples
    --------
    >>> Question("1", "cat", b"", {"A": b"", "B": b""}).class_name
    'cat'
    """

    number: str
    class_name: str
    picture: bytes
    maps: Mapping[str, bytes]


def write_page(survey: str, questions: Sequence[Question]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    survey : str
        The survey's id.
    questions : sequence of Question

    Returns
    -------
    str

    Examples
    --------
    >>> page = write_page("f423eb05c9847097", [Question("1", "cat", b"", {"A": b"", "B": b""})])
    >>> "Map B" in page
    True
    """
    from markupsafe import Markup

    style, script = _read("page.css"), _read("page.js")
    return (
        make_environment(_FOLDER)
        .get_template("page.html")
        .render(
            survey=survey,
            version=VERSION,
            not_sure=NOT_SURE,
            questions=questions,
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )


def _read(name: str) -> str:
    return files("onnx_cam").joinpath(_FOLDER, name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the hash by which the page's security policy allows an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
