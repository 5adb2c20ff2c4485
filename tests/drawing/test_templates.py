"""Every page escapes what it prints."""

from __future__ import annotations

import subprocess
import sys

import pytest
from jinja2 import UndefinedError

from onnx_cam.drawing.templates import make_environment
from tests.places import ROOT


def test_what_a_template_prints_is_escaped() -> None:
    page = make_environment("comparison").from_string("<p title='{{ text }}'>{{ text }}</p>")
    escaped = "&lt;script&gt;&#39;&#34;&amp;{{ x }}"
    assert page.render(text="<script>'\"&{{ x }}") == f"<p title='{escaped}'>{escaped}</p>"


def test_a_variable_that_nobody_passes_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'label' is undefined"):
        make_environment("comparison").from_string("{{ label }}").render()


def test_a_missing_folder_is_an_error() -> None:
    with pytest.raises(ValueError, match="missing"):
        make_environment("missing")


def test_jinja_is_imported_when_a_page_is_written() -> None:
    code = "import sys, onnx_cam.comparison.comparing; assert 'jinja2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
