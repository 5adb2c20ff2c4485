"""The page of a survey: one file that needs no network and holds no method's name."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from types import ModuleType

from onnx_cam.errors import MissingExtraError
from onnx_cam.evaluation.survey.key import NOT_SURE, VERSION

__all__ = ["Question", "load_jinja", "write_page"]

_FOLDER = "onnx_cam.evaluation.survey"


@dataclass(frozen=True)
class Question:
    """An image as a reviewer sees it.

    Attributes
    ----------
    number : str
        Its place in the page.
    said : str
        The class whose maps are shown.
    picture : bytes
        The image, a JPEG file.
    maps : mapping of str to bytes
        The maps by their letters, JPEG files.
    """

    number: str
    said: str
    picture: bytes
    maps: Mapping[str, bytes]


def load_jinja() -> ModuleType:
    """Import Jinja2.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError("a survey needs Jinja2; install it: pip install 'onnx-cam[report]'") from error
    return jinja2


def write_page(survey: str, questions: Sequence[Question]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    survey : str
        The survey's id.
    questions : sequence of Question
    """
    jinja2 = load_jinja()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["jpeg"] = _data_uri
    style, script = _read("page.css"), _read("page.js")
    from markupsafe import Markup

    page: str = environment.from_string(_read("page.html")).render(
        survey=survey,
        version=VERSION,
        not_sure=NOT_SURE,
        questions=questions,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return page


def _read(name: str) -> str:
    return files(_FOLDER).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what the page's security policy knows an inline script or style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data_uri(content: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
