"""The pages' templates: one Jinja2 environment for all of them, so that every page escapes what it prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_cam.drawing.canvas import data_uri

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["make_environment"]


def make_environment(folder: str) -> Environment:
    """Return the Jinja2 environment that renders the templates of one folder of the package.

    Every expression is escaped, since file names, class names and a model's metadata can hold any character; a variable
    that a template names and nobody passes is an error. Besides Jinja2's own filters there is
    ``content | data_uri("image/png")``, see :func:`onnx_cam.drawing.canvas.data_uri`.

    Jinja2 is imported on the first call, so that importing this module stays cheap.

    Parameters
    ----------
    folder : str
        The folder that holds the templates, relative to the package and with forward slashes, e.g. ``comparison`` or
        ``evaluation/report``.

    Returns
    -------
    jinja2.Environment

    Raises
    ------
    ValueError
        The package has no such folder.

    Examples
    --------
    >>> environment = make_environment("comparison")
    >>> environment.from_string("<b>{{ label }}</b>").render(label="cat & <dog>")
    '<b>cat &amp; &lt;dog&gt;</b>'
    >>> environment.from_string('{{ content | data_uri("text/plain") }}').render(content=b"abc")
    'data:text/plain;base64,YWJj'
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("onnx_cam", folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    return environment
