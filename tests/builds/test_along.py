"""Where two builds part, along the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import onnx_cam
from onnx_cam.builds.along import AlongTheNetwork, TensorDistance
from onnx_cam.builds.along_images import MAX_IMAGES
from onnx_cam.builds.matched_tensors import match_tensors
from onnx_cam.builds.noise_floor import add_noise
from onnx_cam.errors import SettingError
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.tap import tap
from tests import tiny
from tests.builds.made import change_weights, noisy, write_build, write_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 6)


def along(old: Path, new: Path, photos: Path, **settings: object) -> AlongTheNetwork:
    found = onnx_cam.diff(old, new, str(photos), preprocess="unit", layers=True, **settings).along  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize(("weight", "first"), [("w1", "conv1"), ("w2", "conv2")])
def test_the_first_bad_layer_is_the_one_that_was_damaged(weight: str, first: str, photos: Path, tmp_path: Path) -> None:
    old = write_build(tmp_path, "old.onnx")
    damaged = tiny.model()
    change_weights(damaged, **{weight: noisy(2.0)})
    found = along(old, tiny.save(damaged, tmp_path, "new.onnx"), photos)
    assert found.first is not None
    assert found.first.old == first
    assert [one.old for one in found.tensors] == ["conv1", "relu1", "conv2", "relu2"]
    before = found.tensors[: found.tensors.index(found.first)]
    assert [one.distance for one in before] == [0.0] * len(before)


def test_the_distances_are_those_computed_by_hand(photos: Path, tmp_path: Path) -> None:
    old, new = write_build(tmp_path, "old.onnx"), write_build(tmp_path, "new.onnx", w2=noisy(0.5))
    model = onnx_cam.load(old, preprocess="unit")
    sessions = [
        onnxruntime.InferenceSession(tap(onnx.load(path), ["conv2"]).SerializeToString()) for path in (old, new)
    ]

    def conv2(session: object, image: np.ndarray) -> np.ndarray:
        return session.run(["conv2"], {"image": image[None]})[0].astype(float)  # type: ignore[attr-defined, no-any-return]

    apart, floors = [], []
    for path in sorted(photos.iterdir()):
        picture = model.open_picture(path, model.preprocessing)
        noise = add_noise(picture.network_input, model.preprocessing, seed=3, sha256=picture.sha256)
        clean, other = (conv2(session, picture.network_input) for session in sessions)
        apart.append(np.linalg.norm(other - clean) / np.linalg.norm(clean))
        floors.append(np.linalg.norm(conv2(sessions[0], noise) - clean) / np.linalg.norm(clean))
    found = next(one for one in along(old, new, photos, seed=3).tensors if one.old == "conv2")
    assert found.distance == pytest.approx(np.median(apart), rel=1e-5)
    assert found.floor == pytest.approx(np.median(floors), rel=1e-5)


def test_a_build_with_other_names_and_a_quantized_input_order_still_matches(photos: Path, tmp_path: Path) -> None:
    """Without a common name, tensors match by shape and rank."""
    old, renamed = write_build(tmp_path, "old.onnx"), tiny.model()
    change_weights(renamed, w2=noisy(2.0))
    for node in renamed.graph.node:
        for names in (node.input, node.output):
            names[:] = [f"new_{name}" if name in ("conv1", "relu1", "conv2", "relu2") else name for name in names]
    found = along(old, tiny.save(renamed, tmp_path, "new.onnx"), photos)
    assert [one.new for one in found.tensors] == ["new_conv1", "new_relu1", "new_conv2", "new_relu2"]
    assert found.first is not None
    assert found.first.new == "new_conv2"


def layer(name: str, shape: tuple[int, int, int] = (6, 5, 5)) -> Layer:
    return Layer(name, "Conv", shape, is_default=False)


def names(pairs: list[tuple[Layer, Layer]]) -> list[tuple[str, str]]:
    return [(old.name, new.name) for old, new in pairs]


def test_a_quantized_tensor_is_taken_behind_its_dequantizer() -> None:
    """Where a Clip was dropped, only that tensor holds the clipped numbers."""
    new = [layer("clip"), layer("clip_DequantizeLinear_Output")]
    assert names(match_tensors([layer("conv"), layer("clip")], new)) == [("clip", "clip_DequantizeLinear_Output")]


def test_a_tensor_that_one_build_lacks_shifts_no_rank() -> None:
    small = (4, 2, 2)
    old = [layer("a"), layer("b"), layer("c", small)]
    new = [layer("x"), layer("y", small)]
    assert names(match_tensors(old, new)) == [("c", "y")]


def test_the_order_is_that_of_the_graph_whichever_layer_is_the_default(photos: Path, tmp_path: Path) -> None:
    made = tiny.model(metadata={"onnx_cam.layer": "relu1"})
    path = tiny.save(made, tmp_path, "old.onnx")
    assert onnx_cam.load(path).layers()[0].name == "relu1"
    assert [one.old for one in along(path, path, photos).tensors] == ["conv1", "relu1", "conv2", "relu2"]


def test_at_most_sixteen_images_are_run(tmp_path: Path) -> None:
    path = write_build(tmp_path, "old.onnx")
    photos = write_photos(tmp_path / "many", MAX_IMAGES + 2)
    assert along(path, path, photos).images == MAX_IMAGES


def test_the_record_holds_the_layers_or_null(photos: Path, tmp_path: Path) -> None:
    path = write_build(tmp_path, "old.onnx")
    assert onnx_cam.diff(path, path, str(photos), preprocess="unit").record()["layers"] is None
    record = onnx_cam.diff(path, path, str(photos), preprocess="unit", layers=True).record()["layers"]
    assert (record["first"], record["images"], len(record["tensors"])) == (None, 6, 4)


def test_a_baseline_holds_no_activations(photos: Path, tmp_path: Path) -> None:
    path = write_build(tmp_path, "old.onnx")
    baseline = tmp_path / "old.baseline"
    onnx_cam.save_baseline(path, str(photos), baseline, preprocess="unit")
    with pytest.raises(SettingError, match=r"a baseline holds no activations.*leave out --layers"):
        onnx_cam.diff(baseline, path, str(photos), preprocess="unit", layers=True)


def test_three_floors_are_the_limit() -> None:
    at, above = (TensorDistance("a", "a", "Conv", (1, 2, 2), distance, floor=0.125) for distance in (0.375, 0.376))
    assert not at.parts
    assert above.parts
