"""``docs/heatmap.html``: a page that needs no server, and knows the presets as they are."""

from __future__ import annotations

import re

import numpy as np

from onnx_cam.image.preprocessing import PRESETS
from tests.page import Page
from tests.places import ROOT

TEXT = (ROOT / "docs" / "heatmap.html").read_text(encoding="utf-8")


class FormPage(Page):
    """A page with the other tags that have no end."""

    VOID = (*Page.VOID, "input")


def test_the_page_is_whole_and_loads_nothing_from_a_network() -> None:
    page = FormPage(TEXT)
    assert page.open == []
    assert [script.get("src") for script in page.all("script")] == ["ort.wasm.min.js", None]
    assert "http" not in TEXT


def test_every_control_has_a_label_and_what_happens_is_said() -> None:
    page = FormPage(TEXT)
    controls = [*page.all("input"), *page.all("select")]
    assert len(controls) == len(page.all("label")) == 7
    for control in controls:
        assert re.search(rf'<label>[^<]+\n? *<(input|select) id="{control["id"]}"', TEXT)
    (status,) = [one for one in page.all("p") if one.get("id") == "status"]
    assert (status["role"], status["aria-live"]) == ("status", "polite")
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("canvas")[0]["role"] == "img"


def test_its_presets_are_those_of_onnx_cam() -> None:
    rows = re.findall(r"(\w+): \{ scale: ([^,]+), mean: \[([^]]+)\], std: \[([^]]+)\](, bgr: true)? \},", TEXT)
    assert [row[0] for row in rows] == list(PRESETS)
    for name, scale, mean, std, is_bgr in rows:
        preset = PRESETS[name]
        top, _, bottom = scale.partition(" / ")
        np.testing.assert_allclose(float(top) / float(bottom or 1), preset.scale)
        np.testing.assert_allclose([float(x) for x in mean.split(",")], preset.mean)
        np.testing.assert_allclose([float(x) for x in std.split(",")], preset.std)
        assert bool(is_bgr) == (preset.channels == "BGR")
        assert f'<option value="{name}">' in TEXT
    assert f"CROP = {PRESETS['imagenet'].crop_pct}" in TEXT
