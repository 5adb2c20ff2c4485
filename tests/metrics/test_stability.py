"""Stability: how far a map moves where the image is mirrored, cropped a little, or slightly noisy."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.methods import ScoreCAM
from onnx_cam.methods.equal import EqualWeights
from onnx_cam.metrics import MapOrigin, MaskedImage, Stability, explained_image
from tests import tiny
from tests.metrics.references import load, network_of, picture, save_picture, scorecam, unit
from tests.oracle import Array

Pixels = NDArray[np.uint8]


def in_image(cam: Array, crop: tuple[int, int, int, int], height: int, width: int) -> tuple[Array, NDArray[np.bool_]]:
    """Return a map at the image's size, and where it lies there."""
    x0, y0, x1, y1 = crop
    placed, inside = np.zeros((height, width)), np.zeros((height, width), bool)
    placed[y0:y1, x0:x1] = cv2.resize(cam.astype(np.float32), (x1 - x0, y1 - y0))
    inside[y0:y1, x0:x1] = True
    return placed, inside


def reference(classifier: Classifier, pixels: Pixels, noisy: Pixels, target: int) -> list[float]:
    """Return the three distances, as METHODS.md defines them."""
    explained = scorecam(network_of(classifier), target)
    height, width = pixels.shape[:2]

    def seen(image: Pixels) -> tuple[Array, NDArray[np.bool_]]:
        opened = classifier.open_picture(image, classifier.preprocessing)
        cam = explained(opened.network_input.astype(np.float64))
        return in_image(cam, opened.geometry.crop, *image.shape[:2])

    own, area = seen(pixels)
    turned, turned_area = seen(pixels[:, ::-1])
    high, wide = round(0.95 * height), round(0.95 * width)
    top, left = (height - high) // 2, (width - wide) // 2
    crop, crop_area = np.zeros_like(own), np.zeros_like(area)
    part = slice(top, top + high), slice(left, left + wide)
    crop[part], crop_area[part] = seen(pixels[part])
    others = [(turned[:, ::-1], turned_area[:, ::-1]), (crop, crop_area), seen(noisy)]
    return [
        float(np.linalg.norm(unit(own[area & their_area]) - unit(other[area & their_area])))
        for other, their_area in others
    ]


@pytest.mark.parametrize(("height", "width"), [(40, 40), (30, 51), (64, 37)])
def test_it_is_the_mean_of_the_three_distances(tmp_path: Path, height: int, width: int) -> None:
    classifier = load(tmp_path)
    path = save_picture(tmp_path, 1, height=height, width=width)
    pixels = picture(1, height, width)
    image = explained_image(classifier, path, seed=5)
    assert image.origin is not None
    key = np.array([5, int(image.origin.picture.sha256[:16], 16)], np.uint64)
    noise = np.random.Generator(np.random.Philox(key=key)).standard_normal(pixels.shape, np.float32)
    noisy = np.clip(np.rint(pixels + 2 * noise), 0, 255).astype(np.uint8)
    expected = reference(classifier, pixels, noisy, image.target)
    found = Stability().measure(image)
    assert list(found.parts) == ["mirror", "crop", "noise"]
    assert list(found.parts.values()) == pytest.approx(expected, abs=1e-5)
    assert found.value == pytest.approx(np.mean(expected), abs=1e-5)
    assert min(expected) > 0


def test_a_symmetric_image_and_model_have_a_stable_mirror_image(tmp_path: Path) -> None:
    """Kernels and pixels that are their own mirror images: the two maps are each other's mirror images.

    With a stride of 1, so that the cells are symmetric, too.
    """
    proto = tiny.model(seed=3)
    for node in proto.graph.node:
        if node.op_type == "Conv":
            strides = next(one for one in node.attribute if one.name == "strides")
            node.attribute.remove(strides)
    for tensor in proto.graph.initializer:
        if tensor.name in ("w1", "w2"):
            values = numpy_helper.to_array(tensor)
            tensor.raw_data = ((values + values[..., ::-1]) / 2).tobytes()
    whole = Preprocessing("unit", resize="stretch", scale=1 / 255)  # a crop may be a pixel off the centre
    image = explained_image(load(tmp_path, proto, preprocess=whole), picture(2, 40, 44))
    assert Stability().measure(image).parts["mirror"] == pytest.approx(0, abs=1e-3)  # resized in whole levels


def test_the_seed_repeats_the_noise_and_another_one_does_not(tmp_path: Path) -> None:
    classifier = load(tmp_path)
    path = save_picture(tmp_path, 1)
    first, again, other = (
        Stability().measure(explained_image(classifier, path, seed=seed)).parts for seed in (0, 0, 1)
    )
    assert first == again
    assert first["noise"] != other["noise"]
    assert (first["mirror"], first["crop"]) == (other["mirror"], other["crop"])


def test_another_batch_gives_the_same(tmp_path: Path) -> None:
    classifier = load(tmp_path)
    path = save_picture(tmp_path, 1)
    values = [Stability().measure(explained_image(classifier, path, batch_size=size)).value for size in (1, 3)]
    assert values[0] == pytest.approx(values[1], abs=1e-5)


def test_a_map_that_becomes_empty_is_as_far_away_as_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = load(tmp_path)
    image = explained_image(classifier, save_picture(tmp_path, 1), EqualWeights())
    monkeypatch.setattr(EqualWeights, "weights", lambda _, subject: np.zeros((1, len(subject.maps))))
    assert list(Stability().measure(image).parts.values()) == [2**0.5] * 3


def test_an_empty_map_has_no_figure(tmp_path: Path) -> None:
    classifier = load(tmp_path)
    opened = classifier.open_picture(save_picture(tmp_path, 1), classifier.preprocessing)
    origin = MapOrigin(opened, ScoreCAM(), classifier.layer(), seed=0)
    image = MaskedImage(classifier, opened.network_input, 1, np.zeros((5, 5), np.float32), origin=origin)
    assert Stability().measure(image).value is None
    assert image.passes == 0


def test_a_network_input_has_no_pixels_to_change(tmp_path: Path) -> None:
    classifier = load(tmp_path, preprocess="none")
    found = Stability().measure(explained_image(classifier, tiny.image(1)))
    assert (found.value, found.reason) == (None, "a network input (.npy) has no pixels to change")


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_transparent_inputs_are_changed_like_any_other(tmp_path: Path, channels: int) -> None:
    weights = tiny.weights(3)
    weights["w1"] = np.random.default_rng(0).standard_normal((tiny.CHANNELS, channels, 3, 3), np.float32)
    proto = tiny.build(
        tiny.body(),
        weights,
        image=["batch", channels, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
    )
    pixels = np.dstack([picture(3), np.full((40, 40), 255, np.uint8)])
    pixels[:10, :, 3] = 0
    found = Stability().measure(explained_image(load(tmp_path, proto), pixels))
    assert found.value is not None
    assert 0 < found.value < 2**0.5


def test_uint8_inputs_laid_out_as_nhwc_are_changed_as_well(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["turned"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["levels", "white"], ["scaled"]),
        *tiny.body(),
    ]
    nodes[3].input[0] = "scaled"
    proto = tiny.build(
        nodes,
        {**tiny.weights(3), "white": np.array([255], np.float32)},
        image=["batch", tiny.SIZE, tiny.SIZE, 3],
        image_type=TensorProto.UINT8,
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
    )
    classifier = load(tmp_path, proto, preprocess="raw")
    assert (classifier.input.dtype, classifier.input.layout) == ("uint8", "NHWC")
    as_float = load(tmp_path)  # the same network on the same pixels
    found, expected = (
        Stability().measure(explained_image(model, picture(3), "gradcam")).parts for model in (classifier, as_float)
    )
    assert list(found.values()) == pytest.approx(list(expected.values()), abs=1e-4)
