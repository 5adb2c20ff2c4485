"""The result: its record, its files, its picture."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onnx_cam
from onnx_cam.errors import ImageError, OutputError, SettingError, TargetError
from onnx_cam.files import write_files
from tests import tiny

RECORD = {  # DESIGN.md, "The record"
    "model", "model_sha256", "image", "image_sha256", "method", "variant", "parameters", "seed", "layer",
    "layer_shape", "target", "top", "empty", "specificity", "crop", "passes", "passes_skipped", "seconds", "provider",
    "cpu_fallback_nodes", "batch_size", "preprocessing", "files", "versions",
}  # fmt: skip


@pytest.fixture
def model(tiny_path: Path) -> onnx_cam.Classifier:
    return onnx_cam.load(tiny_path, device="cpu", labels=["cat", "dog", "bird", "a/b:c"], preprocess="imagenet")


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 90, 3), np.uint8)


def test_the_record_says_how_the_map_was_made(model: onnx_cam.Classifier, pixels: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    result = onnx_cam.explain(model, tmp_path / "photo.png", method="sscam2", samples=2, target="dog", seed=9)
    record: dict[str, Any] = json.loads(json.dumps(result.record(), allow_nan=False))
    assert set(record) >= RECORD
    import hashlib

    assert record["model_sha256"] == hashlib.sha256(Path(record["model"]).read_bytes()).hexdigest()
    assert record["image_sha256"] == hashlib.sha256((tmp_path / "photo.png").read_bytes()).hexdigest()
    assert record["parameters"] == {"samples": 2, "sigma": 0.05, "score": "probability", "baseline": "zero"}
    assert (record["method"], record["variant"], record["seed"]) == ("sscam2", "range", 9)
    assert (record["layer"], record["layer_shape"]) == ("relu2", [tiny.CHANNELS, 5, 5])
    assert record["target"]["index"] == 1
    assert record["target"]["label"] == "dog"
    assert [entry["score"] for entry in record["top"]] == sorted((e["score"] for e in record["top"]), reverse=True)
    assert sum(entry["score"] for entry in record["top"]) == pytest.approx(1)
    assert record["crop"] == [round(10 * 90 / 41), round(1 * 50 / 23), round(30 * 90 / 41), round(21 * 50 / 23)]
    assert record["provider"] == "CPUExecutionProvider"
    assert record["preprocessing"]["name"] == "imagenet"
    assert record["preprocessing"]["size"] == [tiny.SIZE, tiny.SIZE]
    assert {"onnx_cam", "onnxruntime", "numpy"} <= set(record["versions"])


def test_an_array_has_no_name(model: onnx_cam.Classifier, pixels: np.ndarray) -> None:
    result = onnx_cam.explain(model, pixels)
    assert (result.image, result.stem) == (None, "array")
    by_pil = onnx_cam.explain(model, Image.fromarray(pixels))
    np.testing.assert_array_equal(by_pil.map, result.map)


@pytest.mark.parametrize(
    "array", [np.zeros((5, 5, 2), np.uint8), np.zeros((3, 5, 5), np.uint8), np.zeros((5, 5, 3), np.float32)]
)
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray, model: onnx_cam.Classifier) -> None:
    with pytest.raises(ImageError, match=r"expected \(H, W, 3\) uint8 or uint16, RGB"):
        onnx_cam.explain(model, array)


def test_a_saved_result_reads_back(model: onnx_cam.Classifier, pixels: np.ndarray, tmp_path: Path) -> None:
    result = onnx_cam.explain(model, pixels, target=3)
    paths = result.save(tmp_path / "out")
    assert {key: path.name for key, path in paths.items()} == {
        "overlay": "array_scorecam-paper_3-a-b-c.png",
        "map": "array_scorecam-paper_3-a-b-c.npy",
        "record": "array_scorecam-paper_3-a-b-c.json",
    }
    record, heat = onnx_cam.read_saved(paths["record"])
    np.testing.assert_array_equal(heat, result.map)
    assert heat.dtype == np.float32
    assert record["files"] == {key: str(path) for key, path in paths.items()}
    np.testing.assert_array_equal(np.array(Image.open(paths["overlay"])), result.overlay())


def test_an_existing_file_is_replaced_whole_or_not_at_all(
    model: onnx_cam.Classifier, pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = onnx_cam.explain(model, pixels)
    paths = result.save(tmp_path)
    before = {path: path.read_bytes() for path in paths.values()}

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        result.save(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_are_moved_to_their_place_only_when_all_are_written(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError):
        write_files({tmp_path / "a": b"1", tmp_path / "missing" / "c": b"2"})
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_folder_that_cannot_be_written_is_an_error(
    model: onnx_cam.Classifier, pixels: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write to the folder"):
        onnx_cam.explain(model, pixels).save(tmp_path / "file" / "out")


def test_the_overlay_shows_what_was_not_seen(model: onnx_cam.Classifier, pixels: np.ndarray) -> None:
    result = onnx_cam.explain(model, pixels)
    drawn = result.overlay()
    assert drawn.shape == pixels.shape
    assert drawn.dtype == np.uint8
    outside = np.ones(pixels.shape[:2], bool)
    x0, y0, x1, y1 = result.crop
    outside[y0:y1, x0:x1] = False
    assert (np.ptp(drawn[outside], axis=1) == 0).all()  # grey
    assert drawn[outside].mean() < pixels[outside].mean() * 0.6
    np.testing.assert_array_equal(result.overlay(alpha=0)[~outside], pixels[~outside])
    with pytest.raises(SettingError, match="alpha=2"):
        result.overlay(alpha=2)
    with pytest.raises(SettingError, match="did you mean 'turbo'"):
        result.overlay(colormap="trubo")


def test_turbo_is_red_where_the_map_is_one_and_blue_where_it_is_zero() -> None:
    from onnx_cam.drawing.overlay import draw_overlay

    drawn = draw_overlay(np.zeros((1, 2, 3), np.uint8), np.array([[0, 1]], np.float32), (0, 0, 2, 1), alpha=1)
    (_, _, blue), (red, _, other) = drawn[0].astype(int)
    assert blue > 50
    assert red > 100
    assert other < 30


def test_an_empty_map_colours_nothing() -> None:
    from onnx_cam.drawing.overlay import draw_overlay

    image = np.full((100, 200, 3), 90, np.uint8)
    drawn = draw_overlay(image, np.zeros((100, 200), np.float32), (0, 0, 200, 100), empty=True)
    assert (drawn[60:] == 90).all()
    assert (drawn[:60] != 90).any()  # it says so


def test_one_or_a_list(model: onnx_cam.Classifier, pixels: np.ndarray) -> None:
    best = onnx_cam.explain(model, pixels)
    assert best.target == best.top[0]
    assert onnx_cam.explain(model, pixels, target="cat").target.index == 0
    assert [r.target.index for r in onnx_cam.explain(model, pixels, target=("bird", 0))] == [2, 0]
    assert [r.target for r in onnx_cam.explain(model, pixels, target="top2")] == list(best.top[:2])
    assert len(onnx_cam.explain(model, pixels, target="top1")) == 1
    nonsense: tuple[Any, ...] = ("top5", [], 1.5, True, "horse")
    for wrong in nonsense:
        with pytest.raises(TargetError):
            onnx_cam.explain(model, pixels, target=wrong)


def test_a_map_without_a_specificity_is_shown(tiny_path: Path) -> None:
    """Before the activation function a layer's sum may be negative everywhere: there is nothing to compare with."""
    import dataclasses

    model = onnx_cam.load(tiny_path, device="cpu", preprocess="none")
    result = dataclasses.replace(onnx_cam.explain(model, tiny.image(1)), specificity=None)
    assert "specificity unknown" in repr(result)
    assert result.record()["specificity"] is None


def test_it_shows_itself_in_a_notebook(model: onnx_cam.Classifier, pixels: np.ndarray) -> None:
    shown = onnx_cam.explain(model, pixels)._repr_html_()
    assert "data:image/png;base64," in shown
    assert "by scorecam paper" in shown


def test_a_network_input_is_explained_as_it_is(tiny_path: Path, tmp_path: Path) -> None:
    model = onnx_cam.load(tiny_path, device="cpu", preprocess="none")
    x = tiny.image(1)
    np.save(tmp_path / "x.npy", x)
    from_file = onnx_cam.explain(model, tmp_path / "x.npy")
    np.testing.assert_array_equal(from_file.cam, onnx_cam.explain(model, x[None]).cam)
    assert from_file.crop == (0, 0, tiny.SIZE, tiny.SIZE)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match=r"not a \.npy file"):
        onnx_cam.explain(model, tmp_path / "objects.npy")


def test_objects_do_as_well_as_names(tiny_path: Path, pixels: np.ndarray) -> None:
    preset = onnx_cam.PRESETS["tf"]
    model = onnx_cam.load(tiny_path, device="cpu", preprocess=preset, labels={0: "a", 1: "b", 2: "c", 3: "d"})
    result = onnx_cam.explain(model, pixels, layer=model.layers()[-1], target="d")
    assert (result.layer, result.target.index, result.preprocessing["name"]) == ("conv1", 3, "tf")
    for size in (28, (28,), (28.5, 28), (0, 5), "28x28"):
        with pytest.raises(SettingError, match="expected two positive whole numbers"):
            onnx_cam.load(tiny_path, size=size)  # type: ignore[arg-type]
    for threads in (1.5, 2**40, 0):
        with pytest.raises(SettingError, match="threads="):
            onnx_cam.load(tiny_path, threads=threads)  # type: ignore[arg-type]


def test_a_second_use_of_the_model_can_preprocess_otherwise(model: onnx_cam.Classifier, pixels: np.ndarray) -> None:
    result = onnx_cam.explain(model, pixels, preprocess="tf")
    assert result.preprocessing["name"] == "tf"
    assert onnx_cam.explain(model, tiny.image(), preprocess="none").preprocessing["name"] == "none"
