"""The report: one page, readable by anyone, that takes nothing from elsewhere."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onnx_cam
from onnx_cam.errors import OutputError, SettingError
from onnx_cam.evaluation import Evaluation, evaluate, summarise
from onnx_cam.evaluation.report import write_report
from onnx_cam.evaluation.report.provenance import name_runs
from onnx_cam.metrics import AverageDrop, Deletion, Specificity, Win
from tests import tiny
from tests.evaluation import made
from tests.evaluation.made import Figures
from tests.page import Page

SCRIPT = "<script>alert(1)</script>"
LABELS = [SCRIPT, 'dog "&" cat', "https://example.org/a b", "鳥 {{ 7 * 7 }}"]
FACTS: dict[str, Any] = {
    "unreadable": {"<b>cut off</b>.jpg": "'cut off' ends too early"},
    "left_out": {"the model predicts another class": 3, "too small": 0},
    "notes": ["2 images <count> once"],
    "versions": {"onnx-cam": "1.2.3", "onnxruntime": "4.5.6"},
    "seed": 77,
    "level": 0.95,
    "resamples": 2000,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Run a real evaluation of a tiny model on twelve images with untrusted names."""
    folder = tmp_path_factory.mktemp("report")
    model = onnx_cam.load(tiny.save(tiny.model(), folder), device="cpu", labels=LABELS, preprocess="imagenet")
    (folder / "images").mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (5, 7, 3), np.uint8)
        name = f"<img src=x onerror=alert({i})>.png"
        Image.fromarray(pixels).resize((56, 40)).save(folder / "images" / name)
    found = evaluate(
        model,
        folder / "images",
        methods="scorecam,iscam:samples=2,equal",
        out=folder / "run",
        ignore_labels=True,
        steps=5,
    )
    return dataclasses.replace(found, facts={**found.facts, **FACTS})


@pytest.fixture(scope="module")
def page(run: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written([run], tmp_path_factory.mktemp("page"))


def written(runs: list[Evaluation], folder: Path) -> str:
    write_report(runs, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_takes_nothing_from_elsewhere_and_runs_nothing(page: str) -> None:
    parsed = Page(page)
    assert parsed.open == []
    assert "default-src 'none'" in parsed.all("meta")[2]["content"]
    assert not {"script", "link", "iframe", "object", "form", "base"} & {tag for tag, _ in parsed.tags}
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    for _, attributes in parsed.tags:
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    outside = re.sub(r"base64,[^\"]*", "", page).replace("https://example.org/a b", "")
    assert not re.search(r"https?:|@import|url\((?!#)", outside)


def test_untrusted_names_stay_text(page: str) -> None:
    assert SCRIPT not in page
    assert "<img src=x" not in page
    text = Page(page).text
    assert "<img src=x onerror=alert(" in text
    assert "<b>cut off</b>.jpg" in text
    assert "2 images <count> once" in text


def test_every_id_is_there_once_and_every_reference_leads_somewhere(page: str) -> None:
    tags = Page(page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = [attributes["href"][1:] for _, attributes in tags if "href" in attributes]
    references += [name for _, attributes in tags for name in attributes.get("aria-labelledby", "").split()]
    references += re.findall(r"url\(#([^)]+)\)", page)
    assert references
    assert set(references) <= set(ids)


def test_keyboard_and_screen_reader(page: str) -> None:
    parsed = Page(page)
    assert parsed.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in parsed.all("meta")
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attributes["scope"] in ("col", "row") for attributes in parsed.all("th"))
    regions = [attributes for _, attributes in parsed.tags if attributes.get("class") == "scroll"]
    assert len(regions) == len(parsed.all("table")) == 4  # figures, two curves, wins
    assert all(a["tabindex"] == "0" and a["role"] == "region" for a in regions)
    assert all("aria-label" in a or "aria-labelledby" in a for a in [*regions, *parsed.all("table")])
    assert all(attributes["role"] == "img" for attributes in parsed.all("svg"))
    assert len(parsed.all("desc")) == len(parsed.all("svg")) == 2
    pictures = parsed.all("img")
    assert len(pictures) == 6  # two methods, three cases; none of the controls
    for attributes in pictures:
        assert attributes["alt"]
        with Image.open(io.BytesIO(base64.b64decode(attributes["src"].split(",")[1]))) as picture:
            assert picture.size == (int(attributes["width"]), int(attributes["height"]))
    assert "prefers-color-scheme: dark" in page


def test_the_figures_are_the_summarys(run: Evaluation, page: str) -> None:
    text = " ".join(Page(page).text.split())
    for figures in summarise(run).values():
        for name, digits in (("average-drop", 1), ("insertion", 3), ("class-change", 3)):
            found = figures[name]
            assert f"{found['value']:.{digits}f}" in text
            assert f"[{found['low']:.{digits}f}, {found['high']:.{digits}f}]" in text
        for against in figures["win"].values():
            assert f"ties {against['ties']:.1f}" in text


def test_what_was_run_is_said(page: str) -> None:
    text = " ".join(Page(page).text.split())
    for said in (
        "score probability, steps 5, baseline blur",
        "share of pixels kept 1",
        "onnx-cam: 1.2.3; onnxruntime: 4.5.6",
        "the model predicts another class: 3",
        "'cut off' ends too early",
        "2,000 resamples",
        "1 more could not be used",
        "seed77",
        "samples 2",
        "relu2, 6×5×5",
        "12 images, of 12 drawn in the dataset's order",
    ):
        assert said in text, said
    assert "too small: 0" not in text


def test_the_same_run_gives_the_same_bytes(run: Evaluation, page: str, tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    assert written([run], tmp_path) == page
    assert dict(matplotlib.rcParams) == before


def test_several_runs_stand_side_by_side(run: Evaluation, page: str, tmp_path: Path) -> None:
    other = dataclasses.replace(run, facts={**run.facts, "model": "C:\\models\\other.onnx"})
    parsed = Page(written([run, other], tmp_path))
    assert parsed.open == []
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"models", "run-1", "run-2"} <= set(ids)
    assert {"href": "#run-2"} in parsed.all("a")
    assert "All runs" in parsed.text
    assert "use different images" not in parsed.text
    fewer = dataclasses.replace(other, images=other.images[1:])
    assert "use different images" in written([run, fewer], tmp_path)
    assert "All runs" not in page
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_runs_have_names_of_their_own(run: Evaluation) -> None:
    def called(model: str | None, folder: str) -> Evaluation:
        return dataclasses.replace(run, facts={"model": model} if model else {}, folder=Path(folder))

    assert name_runs([called("/a/vgg.onnx", "x"), called("b\\resnet.onnx", "x")]) == ["vgg.onnx", "resnet.onnx"]
    assert name_runs([called("a.onnx", "x"), called("a.onnx", "y")]) == ["a.onnx, x", "a.onnx, y"]
    assert name_runs([called("a.onnx", "p/x"), called("a.onnx", "q/x")]) == ["a.onnx, x (run 1)", "a.onnx, x (run 2)"]
    assert name_runs([called(None, "runs/x")]) == ["x"]


@pytest.mark.parametrize("images", [0, 1, 2])
def test_little_is_still_a_report(images: int, tmp_path: Path) -> None:
    found = made.evaluation({AverageDrop(): {"a": [1.0] * images}, Win(): {"a": [0.1] * images}})
    text = Page(written([found], tmp_path)).text
    assert "too narrow to rely on" in text
    assert text.count("best: ") == (images == 2)
    assert text.count("only image: ") == (images == 1)


def test_maps_that_are_all_empty(tmp_path: Path) -> None:
    curve = [[1.0, 0.5, 0.0]] * 12
    figures: Figures = {Deletion(): {"a": [0.5] * 12, "b<i>": [None] * 12}}
    found = made.evaluation(figures, empty={"b<i>": range(12)}, curves={"a": curve, "b<i>": curve})
    text = " ".join(Page(written([found], tmp_path)).text.split())
    assert "Not drawn because all their maps are empty: b<i>." in text
    assert "All its maps are empty." in text
    assert "more than 1 % of the method's maps are empty" in text


def test_the_first_screen_answers_before_the_figures(run: Evaluation, tmp_path: Path) -> None:
    means = {"cam": 1.0, "gradcam": 4.0, "<b>": 9.0, "equal": 20.0, "centre": 0.5}
    noise = np.random.default_rng(0).normal(0, 0.1, (len(means), 12))
    won = {name: [*(mean + noise[i])] for i, (name, mean) in enumerate(means.items())}
    sound = {**won, "centre": [30.0] * 12}
    found = made.evaluation({AverageDrop(): won, Deletion(): sound}, curves={name: [[1.0, 0.0]] * 12 for name in means})
    parsed = Page(written([found], tmp_path))
    text = " ".join(parsed.text.split())
    assert parsed.open == []
    assert "3 methods and 2 controls on 12 images" in text
    places = [
        text.index(said)
        for said in (
            "In short",
            "It is better than every other method by Deletion.",
            "Average Drop is won by the control centre, which is better than cam, the best method, by 0.5 points",
            "the control centre is better than the best method",
            "<b> 9.0[9.0, 9.0]",
            "equal control 20.1",
            "Kendall's τ of the order in which two metrics put the 3 methods",
        )
    ]
    assert places == sorted(places)
    assert text.count("wins 0.5") == 1
    both = Page(written([found, run], tmp_path))
    assert both.open == []
    assert both.text.count("In short") == 2
    assert "equal (control)" in both.text


def test_the_error_of_a_budget_has_a_column_of_its_own(tmp_path: Path) -> None:
    figures: Figures = {AverageDrop(): {"cam": [1.0] * 12, "scorecam:budget=5%": [2.0] * 12}}
    found = made.evaluation(figures)
    assert "Relative error" not in Page(written([found], tmp_path)).text
    maps = {
        key: dataclasses.replace(one, record={**one.record, "error": {"relative_error": 0.25}})
        if key[1] != "cam"
        else one
        for key, one in found.maps.items()
    }
    text = Page(written([dataclasses.replace(found, maps=maps)], tmp_path)).text
    assert "Relative error (%)" in text
    assert "25.0[25.0, 25.0]" in text


def test_without_a_direction_there_are_no_examples(tmp_path: Path) -> None:
    found = made.evaluation({Specificity(): {"a": [0.1, 0.2], "b": [0.3, 0.4]}})
    parsed = Page(written([found], tmp_path))
    assert parsed.all("img") == []
    assert "Examples" not in parsed.text


def test_the_record_is_in_the_page(run: Evaluation, page: str) -> None:
    from html import unescape

    (record,) = re.findall("<pre>(.*?)</pre>", page, re.DOTALL)
    assert json.loads(unescape(record)) == json.loads(json.dumps(dict(run.facts)))


def test_no_run_and_no_place(run: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no run to report on"):
        write_report([], tmp_path / "a.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OutputError, match=r"folder\.html' is a folder"):
        write_report([run], tmp_path / "folder.html")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_without_the_extra_one_line_says_so() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from onnx_cam.evaluation.report import write_report\n"
        "from onnx_cam.errors import MissingExtraError\n"
        "try: write_report([], 'x.html')\n"
        "except MissingExtraError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "the report needs Matplotlib, which is not installed: pip install 'onnx-cam[report]'\n"
