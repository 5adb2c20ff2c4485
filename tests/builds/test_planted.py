"""Defects that were planted are found, and rebuilds that change nothing are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import onnx_cam
from onnx_cam.builds.result import Diff
from tests import tiny
from tests.builds.made import NAMES, Change, noisy, rotated, write_build, write_photos

COUNT = 24


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), COUNT)


def failed(result: Diff) -> set[str]:
    return {judged.gate.name for judged in result.gates if judged.failed}


def dead(weight: np.ndarray) -> np.ndarray:
    """Channels 0 and 1 of a convolution give nothing."""
    weight = weight.copy()
    weight[:2] = 0
    return weight


@pytest.mark.parametrize(
    ("changes", "gates"),
    [
        ({"w3": rotated, "b3": rotated}, {"flips"}),
        ({"w1": noisy(1.5)}, {"maps"}),
        ({"w2": dead}, {"maps"}),
    ],
    ids=["permuted head", "noisy convolution", "dead channels"],
)
def test_damaged_weights_fail_a_gate(changes: dict[str, Change], gates: set[str], photos: Path, tmp_path: Path) -> None:
    old, new = write_build(tmp_path, "old.onnx"), write_build(tmp_path, "new.onnx", names=None, **changes)
    result = onnx_cam.diff(old, new, [str(photos)], preprocess="unit")
    assert gates <= failed(result)
    assert result.failed


def test_another_preprocessing_of_the_new_build_fails_a_gate(photos: Path, tmp_path: Path) -> None:
    path = write_build(tmp_path, "old.onnx")
    result = onnx_cam.diff(path, path, [str(photos)], preprocess="unit", new_preprocess="tf")
    assert failed(result)
    assert (result.old["preprocessing"]["name"], result.new["preprocessing"]["name"]) == ("unit", "tf")


def test_equal_files_differ_in_nothing_and_are_named(photos: Path, tmp_path: Path) -> None:
    path = write_build(tmp_path, "old.onnx")
    result = onnx_cam.diff(path, path, [str(photos)], preprocess="unit")
    assert [result.figures[name].value for name in ("flips", "drift", "map_distance", "maps", "changed")] == [0] * 5
    assert result.notes[0] == "the two files are equal: only their preprocessing, layers or devices can differ"
    assert not result.failed


def test_weights_in_other_files_tell_two_builds_apart(photos: Path, tmp_path: Path) -> None:
    """The graphs are the same file; what was stored of another comparison in the folder is not used."""
    for name, change in (("old", noisy(0)), ("new", noisy(1.5)), ("same", noisy(0))):
        (tmp_path / name).mkdir()
        made = onnx.load(write_build(tmp_path, "whole.onnx", w1=change))
        onnx.save(made, tmp_path / name / "model.onnx", save_as_external_data=True, location="w", size_threshold=0)
    old, new, same = (tmp_path / name / "model.onnx" for name in ("old", "new", "same"))
    equal = onnx_cam.diff(old, same, [str(photos)], preprocess="unit", out=tmp_path / "out")
    other = onnx_cam.diff(old, new, [str(photos)], preprocess="unit", out=tmp_path / "out")
    assert equal.old["sha256"] == other.new["sha256"]
    assert "the two files are equal" in equal.notes[0]
    assert not any("are equal" in note for note in other.notes)
    assert (equal.figures["map_distance"].value, "maps" in failed(other)) == (0, True)


def renamed() -> onnx.ModelProto:
    made = tiny.model()
    for node in made.graph.node:
        for names in (node.input, node.output):
            names[:] = [f"new_{name}" if name in ("conv1", "relu1", "conv2", "relu2") else name for name in names]
    return made


def moved_a_little() -> onnx.ModelProto:
    made = tiny.model()
    for weight in made.graph.initializer:
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1 + 1e-5), weight.name))
    return made


HARMLESS: dict[str, Callable[[], onnx.ModelProto]] = {
    "renamed tensors": renamed,
    "weights moved by 1e-5": moved_a_little,
    "a Softmax appended": tiny.softmax_model,
    "a fixed batch": lambda: tiny.model(batch=1),
    "another opset": lambda: tiny.model(opset=15),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_rebuilds_fail_nothing(name: str, photos: Path, tmp_path: Path) -> None:
    old, new = write_build(tmp_path, "old.onnx"), tiny.save(HARMLESS[name](), tmp_path, "new.onnx")
    result = onnx_cam.diff(old, new, [str(photos)], preprocess="unit")
    assert not result.failed
    assert result.figures["flips"].value == 0
    assert (result.figures["map_distance"].value or 0) < 1e-4


def test_builds_of_other_input_sizes_are_compared_in_the_image(photos: Path, tmp_path: Path) -> None:
    old = write_build(tmp_path, "old.onnx")
    new = tiny.save(tiny.model(size=40), tmp_path, "new.onnx")
    result = onnx_cam.diff(old, new, [str(photos)], preprocess="unit")
    first = result.images[0]
    assert first.old.map is not None
    assert first.new.map is not None
    assert (first.old.map.cam.shape, first.new.map.cam.shape) == ((5, 5), (10, 10))
    assert 0 < (first.distance or 0) < 1.3
    assert "no layer of new.onnx corresponds to 'relu2' (6×5×5) by name or shape" in result.notes[0]


def test_empty_maps_on_one_side_or_both_are_counted_and_named(photos: Path, tmp_path: Path) -> None:
    """Without a linear layer's weights the gradient is zero, and so is the map."""
    old = write_build(tmp_path, "old.onnx")
    new = write_build(tmp_path, "new.onnx", w3=np.zeros_like)
    one_side = onnx_cam.diff(old, new, [str(photos)], preprocess="unit")
    assert one_side.figures["map_distance"].value == pytest.approx(2**0.5)
    assert f"the map is empty in the new build only: {COUNT} images" in one_side.notes
    both = onnx_cam.diff(new, new, [str(photos)], preprocess="unit")
    assert both.figures["map_distance"].value == 0
    assert f"the map is empty in both builds: {COUNT} images" in both.notes


def test_classes_in_another_order_are_matched_by_name(photos: Path, tmp_path: Path) -> None:
    old = write_build(tmp_path, "old.onnx", names=NAMES)
    moved = (NAMES[-1], *NAMES[:-1])
    new = write_build(tmp_path, "new.onnx", names=moved, w3=rotated, b3=rotated)
    result = onnx_cam.diff(old, new, [str(photos)], preprocess="unit")
    assert result.figures["flips"].value == 0
    assert (result.figures["drift"].value or 0) < 1e-6
    assert "the classes are matched by name: their order in the two builds differs" in result.notes


def test_another_method_and_its_settings_are_taken(photos: Path, tmp_path: Path) -> None:
    old = write_build(tmp_path, "old.onnx")
    new = write_build(tmp_path, "new.onnx", w2=noisy(0.3))
    results = [onnx_cam.diff(old, new, [str(photos)], preprocess="unit", maps=6, seed=1, **one) for one in METHODS]
    distances = [result.figures["map_distance"].value for result in results]
    assert len(set(distances)) == len(METHODS)
    assert results[1].settings["method"] == "sscam2"
    assert results[1].settings["samples"] == 2


METHODS: tuple[dict[str, Any], ...] = (
    {"method": "gradcam", "layer": "relu1"},
    {"method": "sscam2", "samples": 2},
    {"method": "scorecam"},
)


def test_a_layer_behind_a_node_that_only_the_new_build_has_is_matched_by_shape(photos: Path, tmp_path: Path) -> None:
    made = renamed()
    made.graph.node.insert(0, helper.make_node("Identity", ["image"], ["copied"]))
    made.graph.node[1].input[0] = "copied"
    old, new = write_build(tmp_path, "old.onnx"), tiny.save(made, tmp_path, "new.onnx")
    result = onnx_cam.diff(old, new, [str(photos)], preprocess="unit", layer="relu1")
    assert result.new["layer"] == "new_relu1"
    assert "layer 'relu1' is compared with 'new_relu1', which has the same shape 6×10×10" in result.notes
