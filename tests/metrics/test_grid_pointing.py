"""The grid pointing game: whether the map finds its class among three others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.enlarged import enlarged
from onnx_cam.errors import SettingError
from onnx_cam.image.mosaic import at_cell_size, cell_area, make_mosaic
from onnx_cam.methods import ScoreCAM
from onnx_cam.methods.equal import EqualWeights
from onnx_cam.metrics import GridPointing, MaskedImage, Mosaic, explained_image
from tests import tiny
from tests.evaluation import colours
from tests.metrics.references import load, network_of, raised, scorecam

Floats = NDArray[np.float32]


def shrunk(x: Floats) -> NDArray[np.float64]:
    """Return each 2×2 pixels' mean."""
    c, h, w = x.shape
    return np.asarray(x.astype(np.float64).reshape(c, h // 2, 2, w // 2, 2).mean(axis=(2, 4)))


def in_mosaic(model: Classifier, cell: int, method: Any = "scorecam", **settings: Any) -> MaskedImage:
    """Return the red picture in a mosaic with the other colours, at twice the size where the model takes it."""
    inputs = [model.network_input(colours.picture(colour, colour)) for colour in (1, 2, 3)]
    inputs.insert(cell, model.network_input(colours.picture(0, 0)))
    height, width = model.size
    larger = enlarged(model, model.layer(), (2 * height, 2 * width)) or model
    pixels = make_mosaic(inputs, larger.size)
    mosaic = Mosaic(pixels, 0, cell, larger, larger.layer(model.layer()))
    image = explained_image(model, colours.picture(0, 0), method, **settings)
    image.origin = replace(image.known_origin, mosaic=lambda: mosaic)
    return image


@pytest.mark.parametrize("cell", range(4))
def test_it_is_the_share_of_the_map_of_the_class_that_lies_in_its_cell(tmp_path: Path, cell: int) -> None:
    model = load(tmp_path, colours.network())
    inputs = [shrunk(model.network_input(colours.picture(colour, colour))) for colour in (1, 2, 3)]
    inputs.insert(cell, shrunk(model.network_input(colours.picture(0, 0))))
    mosaic = np.block([[inputs[0], inputs[1]], [inputs[2], inputs[3]]])
    importance = raised(scorecam(network_of(model, "relu1"), 0)(mosaic))
    rows, columns = slice(10 * (cell // 2), 10 * (cell // 2) + 10), slice(10 * (cell % 2), 10 * (cell % 2) + 10)
    expected = 100 * importance[rows, columns].sum() / importance.sum()
    found = GridPointing().measure(in_mosaic(model, cell)).value
    assert found == pytest.approx(expected, abs=1e-3)
    assert expected > 90  # the network looks at its colour, and the map shows it


@pytest.mark.parametrize("cell", [0, 3])
def test_where_the_size_is_free_the_mosaic_has_twice_the_inputs_size(tmp_path: Path, cell: int) -> None:
    model = load(tmp_path, colours.network("side"), size=(20, 20))
    image = in_mosaic(model, cell)
    mosaic = image.known_origin.mosaic()  # type: ignore[misc]
    assert isinstance(mosaic, Mosaic)
    assert mosaic.network_input.shape == (3, 40, 40)
    assert mosaic.layer.shape == (4, 20, 20)
    inputs = [model.network_input(colours.picture(colour, colour)) for colour in (1, 2, 3)]
    inputs.insert(cell, model.network_input(colours.picture(0, 0)))
    whole = np.block([[inputs[0], inputs[1]], [inputs[2], inputs[3]]])
    np.testing.assert_array_equal(mosaic.network_input, whole)
    importance = raised(scorecam(network_of(model, "relu1"), 0)(whole.astype(np.float64)), (40, 40))
    rows, columns = slice(20 * (cell // 2), 20 * (cell // 2) + 20), slice(20 * (cell % 2), 20 * (cell % 2) + 20)
    expected = 100 * importance[rows, columns].sum() / importance.sum()
    assert GridPointing().measure(image).value == pytest.approx(expected, abs=1e-3)


def test_a_map_without_the_class_is_near_chance(tmp_path: Path) -> None:
    model = load(tmp_path, colours.network())
    shares = [GridPointing().measure(in_mosaic(model, cell, EqualWeights())).value for cell in range(4)]
    assert 15 < np.mean(shares) < 40  # type: ignore[arg-type]


def test_the_passes_of_the_mosaics_map_are_counted(tmp_path: Path) -> None:
    image = in_mosaic(load(tmp_path, colours.network()), 1)
    GridPointing().measure(image)
    assert image.passes == 1 + 1 + 4  # its activations, the baseline, and four channels


def test_an_empty_map_is_left_out_and_a_reason_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = in_mosaic(load(tmp_path, colours.network()), 1)
    monkeypatch.setattr(ScoreCAM, "combine", lambda *_: np.zeros((1, 10, 10)))
    assert GridPointing().measure(image).value is None
    image.origin = replace(image.known_origin, mosaic=lambda: "there are too few images")
    assert GridPointing().measure(image).reason == "there are too few images"
    image.origin = replace(image.known_origin, mosaic=None)
    with pytest.raises(SettingError, match="grid-pointing needs the mosaic that the image is part of"):
        GridPointing().measure(image)


def test_cells_are_halves_of_any_size_and_each_pixel_is_the_mean_of_those_it_stands_for() -> None:
    inputs = [np.random.default_rng(i).random((3, 21, 31), np.float32) for i in range(4)]
    mosaic = make_mosaic(inputs, (21, 31))
    covered = np.zeros((21, 31), int)
    for cell, one in enumerate(inputs):
        area = cell_area(cell, (21, 31))
        covered[area] += 1
        size = covered[area].shape[::-1]
        for channel in range(3):
            expected = cv2.resize(one[channel], size, interpolation=cv2.INTER_AREA)
            np.testing.assert_array_equal(mosaic[channel][area], expected)
    assert (covered == 1).all()
    assert make_mosaic(inputs, (42, 62))[:, 21:, :31].tobytes() == inputs[2].tobytes()


def test_at_a_cells_size_details_are_lost_and_flat_parts_are_not() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), (3, 8, 4))
    np.testing.assert_allclose(at_cell_size(stripes), 0.5)
    np.testing.assert_allclose(at_cell_size(np.full((1, 7, 9), 3, np.float32)), 3, rtol=1e-6)


def test_a_model_whose_file_leaves_the_size_free_but_does_not_run_at_another_is_scaled(tmp_path: Path) -> None:
    """A linear layer on all 25 cells fits a single size."""
    weights = tiny.weights(3)
    weights["w3"] = np.random.default_rng(0).standard_normal((tiny.CLASSES, tiny.CHANNELS * 25), np.float32)
    nodes = [node for node in tiny.body() if node.op_type != "GlobalAveragePool"]
    nodes[-2].input[0] = "relu2"
    proto = tiny.build(
        nodes,
        weights,
        image=["batch", 3, "height", "width"],
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
    )
    model = load(tmp_path, proto, size=(20, 20))
    assert enlarged(model, model.layer(), (40, 40)) is None
    free = load(tmp_path, tiny.model(size="side", seed=3), size=(20, 20))
    larger = enlarged(free, free.layer(), (40, 40))
    assert larger is not None
    assert (larger.size, larger.head, larger.layer().shape) == ((40, 40), free.head, (tiny.CHANNELS, 10, 10))
    expected = onnx_cam.load(str(free.file.path), preprocess="unit", size=(40, 40)).sessions.scores(
        tiny.image(1, 40)[None]
    )
    np.testing.assert_allclose(larger.sessions.scores(tiny.image(1, 40)[None]), expected, atol=1e-7)
