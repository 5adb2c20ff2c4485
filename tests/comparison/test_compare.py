"""Several methods side by side: the maps, the picture, the page, the command."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from collections.abc import Callable
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.comparison.captions import cost, image_name, label_and_score, method_name
from onnx_cam.comparison.grid import _map_caption, _wrap, draw_picture, draw_thumbnail, lay_out
from onnx_cam.errors import ImageError, LayerError, MissingExtraError, OutputError, SettingError
from onnx_cam.methods import METHODS, ScoreCAM
from tests import tiny
from tests.explanations import altered
from tests.page import Page

LABELS = ["<script>alert(1)</script>", 'dog "&" cat', "a label that goes on and on, " * 20, "鳥"]
METHOD_NAMES = "scorecam,sscam2:authors,sscam2:paper"
MODULE = import_module("onnx_cam.comparison.comparing")  # the attribute of that name is the function


def pixels(seed: int, height: int = 30, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier(tiny_path: Path) -> onnx_cam.Classifier:
    return onnx_cam.load(tiny_path, device="cpu", labels=LABELS, preprocess="imagenet")


@pytest.fixture(scope="module")
def comparison(classifier: onnx_cam.Classifier) -> onnx_cam.Comparison:
    images = [pixels(0), pixels(1, 40, 20)]
    return onnx_cam.compare(classifier, images, methods=METHOD_NAMES, samples=2, target=[0, 2], seed=3, batch_size=4)


# --- the maps


def test_the_maps_are_those_of_explain(classifier: onnx_cam.Classifier, comparison: onnx_cam.Comparison) -> None:
    assert [len(row) for row in comparison.rows] == [3, 3, 3, 3]
    for i, image in enumerate([pixels(0), pixels(1, 40, 20)]):
        for j, (name, variant) in enumerate([("scorecam", None), ("sscam2", "authors"), ("sscam2", "paper")]):
            settings: dict[str, Any] = {"samples": 2} if name == "sscam2" else {}
            explanations = onnx_cam.explain(
                classifier, image, method=name, variant=variant, target=[0, 2], seed=3, batch_size=4, **settings
            )
            for k, result in enumerate(explanations):
                cell = comparison.rows[2 * i + k][j]
                np.testing.assert_array_equal(cell.map, result.map)
                assert cell.target == result.target
                assert cell.parameters == result.parameters
                assert cell.image_sha256 == result.image_sha256


def test_an_images_activations_are_computed_once(tiny_path: Path) -> None:
    """The second method of an image needs no tapped pass; from the second image on, no baseline either."""

    def fresh() -> onnx_cam.Classifier:
        return onnx_cam.load(tiny_path, device="cpu", preprocess="imagenet")

    images = [pixels(0), pixels(1)]
    made = onnx_cam.compare(fresh(), images, methods=[onnx_cam.SSCAM2("authors", samples=1), ScoreCAM()])
    passes = [onnx_cam.explain(fresh(), image).passes for image in images]
    assert [row[1].passes for row in made.rows] == [passes[0] - 1, passes[1] - 2]


def test_one_image_is_as_good_as_a_list(classifier: onnx_cam.Classifier, tmp_path: Path) -> None:
    Image.fromarray(pixels(0)).save(tmp_path / "a.png")
    one = onnx_cam.compare(classifier, tmp_path / "a.png", methods="scorecam")
    several = onnx_cam.compare(classifier, [pixels(0)], methods=["scorecam"])
    np.testing.assert_array_equal(one.rows[0][0].map, several.rows[0][0].map)
    assert one.rows[0][0].record()["image"] == str(tmp_path / "a.png")


def test_samples_are_for_the_methods_that_have_them(comparison: onnx_cam.Comparison) -> None:
    assert [getattr(method, "samples", None) for method in comparison.methods] == [None, 2, 2]


def test_all_leaves_out_what_cannot_work_here(classifier: onnx_cam.Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    class NeedsMore(ScoreCAM):
        name = "needs-more"

        def weigh(self, subject: Any) -> Any:
            raise MissingExtraError("needs-more needs torch; install onnx-cam[torch]")

    monkeypatch.setattr(MODULE, "METHODS", {"scorecam": ScoreCAM, "needs-more": NeedsMore})
    monkeypatch.setitem(METHODS, "needs-more", NeedsMore)
    made = onnx_cam.compare(classifier, pixels(0))
    assert [method.name for method in made.methods] == ["scorecam"]
    assert made.left_out == {"needs-more:paper": "needs-more needs torch; install onnx-cam[torch]"}
    assert "needs-more:paper, left out" in made.html()
    with pytest.raises(MissingExtraError):
        onnx_cam.compare(classifier, pixels(0), methods="scorecam,needs-more")
    with pytest.raises(LayerError, match="relu99"):  # no method's fault
        onnx_cam.compare(classifier, pixels(0), layer="relu99")


def test_what_cannot_work_fails_before_the_long_work(
    classifier: onnx_cam.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    weigh = ScoreCAM.weigh

    def noted(method: ScoreCAM, subject: Any) -> Any:
        ran.append(method.name)
        return weigh(method, subject)

    monkeypatch.setattr(ScoreCAM, "weigh", noted)
    for methods in ("scorecam,cam", "scorecam,gradcam,cam"):
        with pytest.raises(LayerError, match="cam needs"):
            onnx_cam.compare(classifier, pixels(0), methods=methods, layer="relu1")
    assert not ran
    made = onnx_cam.compare(classifier, pixels(0), methods="scorecam,cam,gradcam")
    assert ran
    assert [explanation.method for explanation in made.rows[0]] == ["scorecam", "cam", "gradcam"]


def test_the_page_counts_images_and_not_rows(classifier: onnx_cam.Classifier) -> None:
    made = onnx_cam.compare(classifier, [pixels(0), pixels(1)], methods="cam", target=[0, 1, 2])
    assert len(made.rows) == 6
    assert "<h1>1 method on 2 images</h1>" in made.html()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"methods": "scorcam"}, "unknown method 'scorcam'; did you mean 'scorecam'"),
        ({"methods": "sscam2:papr"}, "unknown variant 'papr' of sscam2; did you mean 'paper'"),
        ({"methods": "sscam2:"}, "unknown variant ''"),
        ({"methods": "sscam2,scorecam,sscam2:range"}, "sscam2:range is given twice"),
        ({"methods": " , "}, "no method to compare"),
        ({"methods": []}, "no method to compare"),
        ({"methods": "scorecam", "samples": 3}, "none of scorecam has samples"),
        ({"methods": "sscam2", "samples": 0}, "samples=0 of sscam2"),
        ({"methods": "scorecam", "seed": -1}, "seed=-1"),
        ({"methods": "scorecam", "batch_size": 0}, "batch_size=0"),
        ({"methods": "scorecam", "images": []}, "no image to compare"),
        ({"methods": "scorecam", "target": []}, "an empty list of targets"),
        ({"methods": "scorecam", "target": "top300"}, "has 600 cells"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], match: str, classifier: onnx_cam.Classifier) -> None:
    arguments = dict(settings)
    with pytest.raises(SettingError, match=match):
        onnx_cam.compare(classifier, arguments.pop("images", pixels(0)), **arguments)


def test_the_same_method_with_other_settings_is_another_column(classifier: onnx_cam.Classifier) -> None:
    methods = [onnx_cam.SSCAM2(samples=1), onnx_cam.SSCAM2(samples=2)]
    made = onnx_cam.compare(classifier, pixels(0), methods=methods)
    assert [result.parameters["samples"] for result in made.rows[0]] == [1, 2]


# --- the picture


def test_every_cell_of_the_grid_is_where_it_should_be(comparison: onnx_cam.Comparison) -> None:
    grid = comparison.grid(side=200)
    layout = lay_out(comparison.rows, 200)
    assert (layout.rows, layout.columns) == (4, 4)
    assert grid.shape == (layout.size[1], layout.size[0], 3)
    assert grid.dtype == np.uint8
    assert (layout.width, layout.height) == (200, 200)  # 200×150 and 100×200 fit
    for i, row in enumerate(comparison.rows):
        pictures = [draw_picture(row[0], 200), *(draw_thumbnail(e, 200, alpha=0.5, colormap="turbo") for e in row)]
        for j, picture in enumerate(pictures):
            height, width = picture.shape[:2]
            assert max(height, width) == 200
            x, y = layout.corner(i, j)
            left, top = x, y + layout.height - height
            drawn = grid[top : top + height, left : left + width]
            np.testing.assert_array_equal(drawn[3:-3, 3:-3], picture[3:-3, 3:-3])  # less an empty map's frame
            caption = grid[y + layout.height : layout.corner(i + 1, j)[1] - 1, x : x + layout.width]
            assert (caption != 255).any()
            assert (grid[top : top + height, x - 1 : x] == 255).all()  # nothing reaches into the gap
            assert (grid[y:, x - 1 : x] == 255).all()


def test_the_background_is_white(comparison: onnx_cam.Comparison) -> None:
    grid = comparison.grid()
    for edge in (grid[0], grid[-1], grid[:, 0], grid[:, -1]):
        assert (edge == 255).all()


@pytest.mark.parametrize(("height", "width"), [(2, 3000), (3000, 2), (2, 2)])
def test_odd_shapes(height: int, width: int, classifier: onnx_cam.Classifier) -> None:
    made = onnx_cam.compare(classifier, pixels(0, height, width), methods="scorecam")
    assert min(made.grid(side=100).shape[:2]) > 100
    assert made.html(side=100)


def test_a_thumbnail_of_an_images_own_size_is_its_overlay(classifier: onnx_cam.Classifier) -> None:
    result = onnx_cam.explain(classifier, pixels(0, 64, 90))
    np.testing.assert_array_equal(draw_thumbnail(result, 90, alpha=0.5, colormap="turbo"), result.overlay())


def test_an_empty_map_is_marked(comparison: onnx_cam.Comparison) -> None:
    row = comparison.rows[0]
    cam = np.zeros_like(row[0].cam)
    empty = altered(row[0], cam=cam, specificity=None, warnings=("the map is empty: so it is",))
    marked = dataclasses.replace(comparison, rows=((empty, row[1], row[2]),))
    layout = lay_out(marked.rows, 320)
    x, y = layout.corner(0, 1)
    assert (marked.grid()[y : y + layout.height, x] == (185, 28, 28)).all(axis=-1).any()
    page = Page(marked.html())
    assert page.all("td")[0] == {"class": "empty"}
    assert "empty map" in page.text
    assert "the map is empty: so it is" in page.text
    assert page.all("img")[1]["alt"].startswith("Empty map by scorecam:paper")


def test_in_a_narrow_cell_a_long_line_becomes_two(comparison: onnx_cam.Comparison) -> None:
    result = altered(
        comparison.rows[0][1],
        pixels=pixels(0, 300, 60),
        passes=123_456,
        seconds=1234.5,
        parameters={"samples": 2, "sigma": 0.5, "budget": 100, "tolerance": 0.05},
    )
    layout = lay_out([[result]], 320)
    lines = [line.text for line in _wrap(_map_caption(result, 2), layout.text, layout.width)]
    assert lines[:2] == ["sscam2:authors", "budget=100:tolerance=0.05"]
    assert lines[3:5] == ["123,456 forward passes", "1234.5 s, all 2 classes"]
    relative_error, interval = result.precision.split(" (")
    assert lines[6:] == [relative_error, f"({interval}", "samples 2, sigma 0.5"]
    assert layout.caption_lines == len(lines) == 9


def test_captions(comparison: onnx_cam.Comparison) -> None:
    result = comparison.rows[0][1]
    assert method_name(result) == "sscam2:authors"
    assert image_name(result) == "array"
    assert image_name(altered(result, image="a\\b/c\nd.png")) == "c d.png"
    assert image_name(altered(result, image="-")) == "standard input"
    assert cost(altered(result, passes=1234, seconds=2.34), 1) == ("1,234 forward passes", " · 2.3 s")
    assert cost(altered(result, passes=1, seconds=2), 2) == ("1 forward pass", " · 2.0 s, all 2 classes")
    assert label_and_score(result, onnx_cam.Target(3, None, 0.5)) == ("class 3", " · 0.500")
    assert label_and_score(result, onnx_cam.Target(3, "cat", 1.23e-7)) == ("cat", " (3) · 1.2e-07")


# --- the page


def test_the_page_is_a_table_that_says_what_is_seen(comparison: onnx_cam.Comparison) -> None:
    page = Page(comparison.html())
    assert page.open == []
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    scopes = [attributes["scope"] for attributes in page.all("th")]
    assert scopes == ["col"] * 4 + ["row"] * 4
    assert len(page.all("td")) == 12
    images = page.all("img")
    assert len(images) == 16
    for attributes in images:
        kind, content = attributes["src"].split(",", maxsplit=1)
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(content, validate=True))) as picture:
            assert picture.size == (int(attributes["width"]), int(attributes["height"]))
    alts = [attributes["alt"] for attributes in images]
    assert alts[0].startswith("array, as given; the model predicts ")
    assert alts[2].endswith(
        "by sscam2:authors on array, class "
        + "".join(label_and_score(comparison.rows[0][1], comparison.rows[0][1].target))
    )


def test_the_page_takes_nothing_from_elsewhere_and_runs_nothing(comparison: onnx_cam.Comparison) -> None:
    text = comparison.html()
    page = Page(text)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    assert not {"script", "link", "iframe", "object", "a", "form"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "prefers-color-scheme: dark" in text


def test_the_pages_pictures_are_the_grids(comparison: onnx_cam.Comparison) -> None:
    sources = [attributes["src"] for attributes in Page(comparison.html(side=100)).all("img")]
    with Image.open(io.BytesIO(base64.b64decode(sources[1].split(",")[1]))) as picture:
        expected = draw_thumbnail(comparison.rows[0][0], 100, alpha=0.5, colormap="turbo")
        np.testing.assert_array_equal(np.asarray(picture), expected)


# --- the files


def test_every_map_has_its_record_in_the_file(comparison: onnx_cam.Comparison, tmp_path: Path) -> None:
    paths = comparison.save(tmp_path / "new" / "grid.PNG", tmp_path / "grid.html")
    assert [path.name for path in paths] == ["grid.PNG", "grid.html"]
    with Image.open(paths[0]) as picture:
        np.testing.assert_array_equal(np.asarray(picture), comparison.grid())
        in_png = json.loads(picture.info["onnx-cam"])
    record_text = re.search("<pre>(.*)</pre>", paths[1].read_text(encoding="utf-8"), re.DOTALL)
    assert record_text
    in_page = json.loads(unescape(record_text[1]))
    expected = json.loads(json.dumps(comparison.record()))
    assert in_png == in_page == expected
    assert len(expected["records"]) == 12
    for record in expected["records"]:
        assert {"model_sha256", "image_sha256", "seed", "parameters", "versions"} <= set(record)
    assert expected["methods"] == ["scorecam:paper", "sscam2:authors", "sscam2:paper"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["grid.PNG", "grid.html", "new"]


def test_a_file_that_cannot_be_written(comparison: onnx_cam.Comparison, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"cannot write '.*grid.pgn'; did you mean '.png'"):
        comparison.save(tmp_path / "grid.pgn")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match=r"folder.png"):
        comparison.save(tmp_path / "grid.html", tmp_path / "folder.png")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_drawing_settings_are_checked(comparison: onnx_cam.Comparison) -> None:
    for wrong in ({"alpha": 2}, {"colormap": "turbu"}, {"side": 3}, {"side": 10**6}, {"side": True}):
        settings: dict[str, Any] = wrong
        for draw in (comparison.grid, comparison.html):
            with pytest.raises(SettingError):
                draw(**settings)


def test_a_notebook_shows_the_grid(comparison: onnx_cam.Comparison) -> None:
    assert comparison._repr_html_().startswith('<img src="data:image/png;base64,')
    assert repr(comparison) == "<Comparison of 3 methods: 4 rows>"


# --- the command

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in a folder with a model and three images."""
    monkeypatch.chdir(tmp_path)
    tiny.save(tiny.model(metadata={"labels": json.dumps(LABELS)}), tmp_path)
    (tmp_path / "images").mkdir()
    for i in range(3):
        Image.fromarray(pixels(i)).save(tmp_path / "images" / f"{i}.png")
    return lambda *words, **settings: CliRunner().invoke(main, ["compare", *map(str, words)], **settings)


def made(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in ("tiny.onnx", "images"))


def test_the_command(run: Run, tmp_path: Path) -> None:
    result = run("tiny.onnx", "images", "--methods", "scorecam, sscam2:paper", "--samples", "2", "-o", "a/b/g.png")
    assert result.exit_code == 0, result.stderr
    assert made(tmp_path) == ["a"]
    assert result.stdout.splitlines()[-1] == "wrote a/b/g.png"
    assert len(result.stdout.splitlines()) == 1 + 6 + 1
    assert "preprocessing: ImageNet's, a guess" in result.stderr


def test_all_methods_and_the_default_file(run: Run, tmp_path: Path) -> None:
    result = run("tiny.onnx", "images/0.png", "--samples", "1", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert made(tmp_path) == ["comparison.png"]
    with Image.open("comparison.png") as picture:
        record = json.loads(picture.info["onnx-cam"])
    names = [*record["methods"], *record["left_out"]]
    assert {name.split(":")[0] for name in names} == set(METHODS)


def test_json_is_one_record_a_map(run: Run, tmp_path: Path) -> None:
    words = ["--methods", "scorecam,iscam", "--target", "top2", "--json", "-o", "g.html", "-o", "g.png"]
    result = run("tiny.onnx", "images/0.png", "images/1.png", *words)
    assert result.exit_code == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(Path(r["image"]).name, r["method"]) for r in records] == [
        (f"{image}.png", method) for image in (0, 1) for _ in range(2) for method in ("scorecam", "iscam")
    ]
    assert all(record["files"] == {"html": "g.html", "png": "g.png"} for record in records)
    assert made(tmp_path) == ["g.html", "g.png"]


def test_standard_input_is_read_once_for_all_methods(run: Run) -> None:
    content = Path("images/0.png").read_bytes()
    result = run("tiny.onnx", "-", "--methods", "scorecam,iscam", "--json", input=content)
    assert [json.loads(line)["image"] for line in result.stdout.splitlines()] == ["-", "-"]


def test_network_inputs(run: Run) -> None:
    np.save("x.npy", tiny.image())
    result = run("tiny.onnx", "x.npy", "--preprocess", "none", "--methods", "scorecam", "--json")
    assert json.loads(result.stdout)["preprocessing"]["name"] == "none"


def test_one_bad_image_among_several(run: Run, tmp_path: Path) -> None:
    (tmp_path / "images" / "1.png").write_bytes(b"no image")
    result = run("tiny.onnx", "images", "missing.png", "--methods", "scorecam", "--json", "--quiet")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr.count("error:") == 2
    assert "2 of 4 images failed" in result.stderr
    assert made(tmp_path) == ["comparison.png"]


@pytest.mark.parametrize("words", [["missing.png"], ["missing.png", "none*.png"], ["tiny.onnx"]])
def test_no_image_no_file(words: list[str], run: Run, tmp_path: Path) -> None:
    result = run("tiny.onnx", *words, "--methods", "scorecam", "-o", "new/folder/grid.png")
    assert result.exit_code == 1
    assert result.stderr.count("error:") == len(words)
    assert result.stdout == ""
    assert made(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--methods", "scorcam"], "did you mean 'scorecam'"),
        (["--methods", "scorecam,scorecam"], "scorecam:paper is given twice"),
        (["--methods", "scorecam:papr"], "did you mean 'paper'"),
        (["--methods", ","], "no method"),
        (["--methods", "scorecam", "--samples", "2"], "none of scorecam has samples"),
        (["-o", "grid.jpg"], "cannot write 'grid.jpg'"),
        (["-o", "grid"], "Expected a name ending in .png or .html"),
        (["-o", "grid.png", "-o", ".png"], "cannot write '.png'"),
        (["--samples", "0"], "samples"),
        (["--seed", "-1"], "seed"),
        (["--target", "top0"], "invalid target 'top0'"),
        (["--colormap", "rainbows"], "colormap"),
    ],
)
def test_wrong_usage(words: list[str], match: str, run: Run) -> None:
    result = run("missing.onnx", "images", *words)  # judged before the model is looked for
    assert result.exit_code == 2, result.output
    assert "Usage:" in result.stderr
    assert match in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--layer", "relu99"], "did you mean 'relu2'"),
        (["--target", "9"], "no class 9"),
        (["--target", "top150"], "at most 400|expected 1 to 400"),
        (["-o", "images.png"], "'images.png' is a folder"),
        (["-o", "tiny.onnx/grid.png"], "cannot write to the folder 'tiny.onnx'"),
    ],
)
def test_errors_are_one_line(words: list[str], match: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "images.png").mkdir()
    result = run("tiny.onnx", "images", "--methods", "scorecam", *words, "--quiet")
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1
    assert re.search(match, result.stderr), result.stderr
    assert made(tmp_path) == ["images.png"]


def test_an_interrupt_leaves_nothing_behind(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MODULE, "explain", interrupted)
    assert run("tiny.onnx", "images", "-o", "new/grid.png").exit_code == 130
    assert made(tmp_path) == []


def test_a_failing_image_is_an_error_of_the_library(classifier: onnx_cam.Classifier) -> None:
    with pytest.raises(ImageError, match=r"no image 'missing.png'"):
        onnx_cam.compare(classifier, [pixels(0), "missing.png"], methods="scorecam")
