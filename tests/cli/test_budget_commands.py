"""A budget and a tolerance as a user meets them: what is printed, recorded, drawn and compared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.errors import SettingError
from onnx_cam.image.geometry import Geometry
from tests import tiny, wide
from tests.explanations import altered
from tests.page import Page

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(wide.model(), tmp_path_factory.mktemp("model"), "wide.onnx")


@pytest.fixture(scope="module")
def classifier(model: Path) -> onnx_cam.Classifier:
    return onnx_cam.load(model, device="cpu", preprocess="imagenet", labels=["cat", "dog", "bird", "fish"])


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    coarse = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(np.kron(coarse, np.ones((10, 10, 1), np.uint8))).save(path)
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


RECORDED = {"20": (20, 20), "25%": (19, 0.25), "0.25": (19, 0.25), "100%": (wide.EXACT, 1.0), "500%": (wide.EXACT, 1.0)}


@pytest.mark.parametrize("budget", RECORDED)
def test_the_record_says_what_was_run_of_what(budget: str, run: Run, model: Path, photo: Path) -> None:
    passes, recorded = RECORDED[budget]
    result = run("explain", model, photo, "--budget", budget, "--json", "--out", "out")
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    record = json.loads(line)
    assert record["parameters"]["budget"] == recorded
    assert "tolerance" not in record["parameters"]
    assert (record["passes"], record["exact_passes"]) == (passes + 2, wide.EXACT)
    assert set(record["files"]) == {"overlay", "map", "record"}
    assert (record["error"] is None) == (passes == wide.EXACT)
    if record["error"]:
        assert set(record["error"]) == {"of", "relative_error", "relative_error_interval", "level", "largest_deviation"}
        low, high = record["error"]["relative_error_interval"]
        assert 0 < low < record["error"]["relative_error"] < high
        assert record["error"]["level"] == 0.9
        assert record["error"]["largest_deviation"] > 0
    assert json.loads(Path(record["files"]["record"]).read_text()) == record


def test_without_a_budget_the_record_is_as_it_was(run: Run, model: Path, photo: Path) -> None:
    result = run("explain", model, photo, "--json", "--out", "out")
    record = json.loads(result.stdout)
    assert (record["exact_passes"], record["error"]) == (None, None)
    assert record["parameters"] == {"score": "probability", "baseline": "zero"}
    assert set(record["files"]) == {"overlay", "map", "record"}
    assert len(list(Path("out").iterdir())) == 3


def test_a_person_is_told_the_relative_error(run: Run, model: Path, photo: Path) -> None:
    told = run("explain", model, photo, "--budget", "25%")
    assert told.exit_code == 0, told.stderr
    (line,) = [line for line in told.stdout.splitlines() if "relative error" in line]
    assert "running only some of the" in line
    assert str(wide.EXACT) in line
    exact = run("explain", model, photo)
    assert "relative error" not in exact.stdout
    assert "the map is exact" in run("explain", model, photo, "--tolerance", "0").stderr


# --- the picture of the error


def test_save_error_writes_a_picture_and_the_numbers(run: Run, model: Path, photo: Path) -> None:
    words = [
        "explain",
        model,
        photo,
        "--budget",
        "25%",
        "--target",
        "top2",
        "--save",
        "error",
        "--out",
        "out",
        "--json",
    ]
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    assert len(list(Path("out").iterdir())) == 2 * 5
    for line in result.stdout.splitlines():
        record = json.loads(line)
        assert set(record["files"]) == {"overlay", "map", "record", "error", "deviation"}
        assert json.loads(Path(record["files"]["record"]).read_text())["files"] == record["files"]
        error = np.load(record["files"]["deviation"], allow_pickle=False)
        assert (error.shape, error.dtype) == ((8, 8), np.float32)
        assert error.max() == pytest.approx(record["error"]["largest_deviation"])
        with Image.open(record["files"]["error"]) as picture:
            assert (picture.format, picture.mode) == ("PNG", "RGB")
            assert picture.width == 3 * 320 + 2 * 12  # a photo of 60×40 pixels is drawn at 320, so that one can read
            assert picture.height > 320 * 40 / 60
    assert onnx_cam.read_saved(record["files"]["record"])[0] == record


@pytest.mark.parametrize("words", [["--method", "scorecam"], ["--budget", "100%"], ["--method", "cam"]], ids=" ".join)
def test_where_there_is_no_error_none_is_saved_and_that_is_said(
    words: list[str], run: Run, model: Path, photo: Path
) -> None:
    result = run("explain", model, photo, *words, "--save", "error", "--out", "out")
    assert result.exit_code == 0, result.stderr
    assert len(list(Path("out").iterdir())) == 3
    assert "no error to save" in result.stderr
    assert "no error to save" not in run("explain", model, photo, *words, "--save", "error", "--quiet").stderr


def test_what_is_said_of_a_single_noisy_sample_is_true(run: Run, model: Path, photo: Path) -> None:
    """SS-CAM(2) has noise; one sample does not show how much."""
    said = run("explain", model, photo, "--method", "sscam2", "--samples", "1", "--save", "error").stderr
    assert "no error to save" in said
    assert "without noise" not in said


def test_the_picture_shows_what_is_settled(classifier: onnx_cam.Classifier, photo: Path) -> None:
    """Bright where the chance is 1, dark where it is 0, both in stripes where it is open; pale outside the crop."""
    found = onnx_cam.explain(classifier, photo, budget="25%")
    large = altered(
        found,
        pixels=np.full((400, 600, 3), (200, 100, 0), np.uint8),
        geometry=Geometry(400, 600, (100, 0, 500, 400)),
    )

    def third_panel(chance: float) -> np.ndarray:
        made = altered(large, above_average=np.full((8, 8), chance, np.float32)).error_picture()
        assert made.shape[1] == 3 * 600 + 2 * 12
        return np.asarray(made[:400, -600:])

    bright, dark, stripes = (third_panel(chance) for chance in (1.0, 0.0, 0.5))
    assert (bright[:, 100:500] == (200, 100, 0)).all()
    assert (bright[:, :100] == dark[:, :100]).all()
    assert np.ptp(dark[:, 100:500].reshape(-1, 3), axis=0).max() == 0
    assert dark[:, 100:500].max() < 60
    assert dark[:, :100].min() > 180
    share = (stripes[:, 100:500] == (200, 100, 0)).all(axis=2).mean()
    assert 0.4 < share < 0.6


def test_a_map_without_an_error_has_no_picture_of_it(classifier: onnx_cam.Classifier, photo: Path) -> None:
    with pytest.raises(SettingError, match="no error to draw"):
        onnx_cam.explain(classifier, photo).error_picture()


def test_values_are_placed_in_the_image_as_they_are() -> None:
    placed = Geometry(20, 40, (10, 0, 30, 20)).upsample(np.array([[2.0, 4.0]], np.float32))
    assert placed.dtype == np.float32
    assert (placed[:, 10] == 2).all()
    assert (placed[:, 29] == 4).all()
    assert not placed[:, :10].any()
    assert not placed[:, 30:].any()


# --- comparisons


@pytest.fixture(scope="module")
def comparison(classifier: onnx_cam.Classifier, photo: Path) -> onnx_cam.Comparison:
    return onnx_cam.compare(classifier, photo, methods="scorecam,scorecam:budget=25%,sscam2:budget=10%", samples=4)


def test_a_comparison_takes_a_method_with_and_without_a_budget(
    comparison: onnx_cam.Comparison, classifier: onnx_cam.Classifier, photo: Path
) -> None:
    ((exact, part, noisy),) = comparison.rows
    assert [one.exact_passes for one in (exact, part, noisy)] == [None, wide.EXACT, 4 * wide.EXACT]
    alone = onnx_cam.explain(classifier, photo, budget="25%")
    np.testing.assert_allclose(part.cam, alone.cam, atol=1e-4 * alone.cam.max())
    np.testing.assert_allclose(exact.cam, onnx_cam.explain(classifier, photo).cam, atol=1e-6 * exact.cam.max())


def test_a_limit_in_other_words_is_the_same_method_said_twice(classifier: onnx_cam.Classifier, photo: Path) -> None:
    with pytest.raises(SettingError, match="given twice"):
        onnx_cam.compare(classifier, photo, methods="scorecam:budget=25%,scorecam:budget=0.25")


def test_the_page_and_the_picture_tell_the_precision(comparison: onnx_cam.Comparison, tmp_path: Path) -> None:
    png, page = comparison.save(tmp_path / "grid.png", tmp_path / "grid.html")
    text = Page(page.read_text(encoding="utf-8")).text
    exact, part, noisy = comparison.explanations
    assert exact.precision == ""
    assert part.precision in text
    assert noisy.precision in text
    assert "scorecam:paper:budget=25%" in text
    assert "sscam2:range:budget=10% samples 4" in text
    with Image.open(png) as picture:
        records = json.loads(picture.info["onnx-cam"])["records"]
    assert [record["error"] is None for record in records] == [True, False, False]
    without = [dataclasses.replace(one, map_error=None) for one in comparison.explanations]
    drawn = dataclasses.replace(comparison, rows=(tuple(without),)).grid()
    apart = (drawn != comparison.grid()).any(axis=(0, 2))  # the captions of the last two columns
    assert not apart[: drawn.shape[1] // 2].any()
    assert apart[drawn.shape[1] // 2 : 3 * drawn.shape[1] // 4].any()
    assert apart[3 * drawn.shape[1] // 4 :].any()


def test_the_command_compares_with_a_budget(run: Run, model: Path, photo: Path) -> None:
    result = run("compare", model, photo, "--methods", "scorecam,scorecam:budget=25%", "-o", "grid.png")
    assert result.exit_code == 0, result.stderr
    exact, part = (line for line in result.stdout.splitlines() if line.startswith("photo.png"))
    assert "relative error" in part
    assert "relative error" not in exact
    result = run("compare", model, photo, "--methods", "scorecam,scorecam:budget=25%", "-o", "grid.png", "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["exact_passes"] for record in records] == [None, wide.EXACT]
    assert [record["error"] is None for record in records] == [True, False]
