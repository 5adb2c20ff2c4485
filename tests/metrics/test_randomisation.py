"""Parameter randomisation: how much the order of a map's cells depends on the weights behind the layer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.methods import GradCAM, ScoreCAM
from onnx_cam.methods.equal import EqualWeights
from onnx_cam.metrics import MapOrigin, MaskedImage, Randomisation, explained_image
from onnx_cam.metrics.ranks import spearman
from tests import tiny
from tests.metrics.references import load, save_picture, scorecam
from tests.oracle import Network
from tests.places import SHARED


def forgetful(seed: int) -> onnx.ModelProto:
    """Return the tiny network with its last two weights permuted, by the seed and their names."""
    proto = tiny.model(seed=3)
    for tensor in proto.graph.initializer:
        if tensor.name in ("w3", "b3"):
            key = int.from_bytes(hashlib.sha256(tensor.name.encode()).digest()[:8], "big")
            order = np.random.Generator(np.random.Philox(key=np.array([seed, key], np.uint64)))
            values = numpy_helper.to_array(tensor)
            shuffled = values.ravel()[order.permutation(values.size)].reshape(values.shape)
            tensor.raw_data = shuffled.tobytes()
    return proto


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Return each value's rank: the mean over those that it shares its place with."""
    flat = values.ravel().tolist()
    return np.array([np.mean([i for i, other in enumerate(sorted(flat)) if other == value]) for value in flat])


@pytest.mark.parametrize("seed", range(4))
def test_it_is_1_less_the_rank_correlation_of_the_maps_before_and_after(tmp_path: Path, seed: int) -> None:
    classifier = load(tmp_path)
    path = save_picture(tmp_path, seed)
    x = classifier.network_input(path).astype(np.float64)
    network, other = (Network(proto, "relu2", "logits") for proto in (tiny.model(seed=3), forgetful(seed)))
    target = int(np.argmax(network.probability(x)))
    before, after = scorecam(network, target)(x), scorecam(other, target)(x)
    found = Randomisation().measure(explained_image(classifier, path, seed=seed)).value
    if after.max() == after.min():
        assert found == 1
    else:
        expected = 1 - np.corrcoef(average_ranks(before.round(6)), average_ranks(after.round(6)))[0, 1]
        assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("layer", ["relu1", "relu2"])
def test_a_map_that_does_not_read_the_weights_gives_exactly_0(tmp_path: Path, layer: str) -> None:
    image = explained_image(load(tmp_path), save_picture(tmp_path, 1), EqualWeights(), layer=layer)
    assert Randomisation().measure(image).value == 0.0
    assert image.passes == 1  # the activations of the permuted model


@pytest.mark.skipif(
    not (SHARED / "panel").is_dir(), reason="no ../shared/panel: the models are not part of the project"
)
@pytest.mark.parametrize(
    "name", ["mobilenetv2_tv", "mobilenetv1_025_keras_nhwc", "coral_mnv1_025_128_quant", "vit_cifar10_ibp_3_3_8"]
)
def test_real_models_give_exactly_0_for_the_control_and_more_for_a_method(name: str, photo: Path) -> None:
    import onnx_cam

    model = onnx_cam.load(SHARED / "panel" / f"{name}.onnx", device="cpu")
    control, method = (
        Randomisation().measure(explained_image(model, photo, by)).value for by in (EqualWeights(), GradCAM())
    )
    assert control == 0.0
    assert method is not None
    assert 0.1 < method <= 2


def of_map(folder: Path, cam: Any) -> MaskedImage:
    classifier = load(folder)
    opened = classifier.open_picture(save_picture(folder, 1), classifier.preprocessing)
    origin = MapOrigin(opened, ScoreCAM(), classifier.layer(), seed=0)
    return MaskedImage(classifier, opened.network_input, 1, np.asarray(cam, np.float32), origin=origin)


def test_an_empty_map_before_is_left_out_and_one_after_counts_as_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Randomisation().measure(of_map(tmp_path, np.zeros((5, 5)))).value is None
    monkeypatch.setattr(ScoreCAM, "combine", lambda *_: np.zeros((1, 5, 5)))
    assert Randomisation().measure(of_map(tmp_path, np.eye(5))).value == 1.0


def test_without_weights_behind_the_layer_it_says_so(tmp_path: Path) -> None:
    nodes = tiny.body()[:-1]
    nodes[-1].output[0] = "logits"
    proto = tiny.build(
        nodes,
        {name: value for name, value in tiny.weights(3).items() if name not in ("w3", "b3")},
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["batch", tiny.CHANNELS])],
    )
    found = Randomisation().measure(explained_image(load(tmp_path, proto), save_picture(tmp_path, 1), "gradcam"))
    assert found.value is None
    assert found.reason == "no weights lie behind layer 'relu2' of tiny.onnx that could be permuted"


def test_a_permuted_model_that_gives_no_numbers_leaves_the_image_out_of_this_metric_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = explained_image(load(tmp_path), save_picture(tmp_path, 1))
    other = image.randomised()
    image.randomised = lambda: other  # type: ignore[method-assign]

    def fails(error: Exception) -> Any:
        def activations(*_: Any, **__: Any) -> Any:
            raise error

        return activations

    monkeypatch.setattr(other.sessions, "activations", fails(ScoreError("NaN or infinite values")))
    assert Randomisation().measure(image).reason == "NaN or infinite values"
    monkeypatch.setattr(other.sessions, "activations", fails(OutOfMemoryError("out of memory")))
    with pytest.raises(OutOfMemoryError):
        Randomisation().measure(image)


def test_another_seed_permutes_otherwise_and_the_same_one_alike(tmp_path: Path) -> None:
    classifier, path = load(tmp_path), save_picture(tmp_path, 1)
    first, again, *others = (
        Randomisation().measure(explained_image(classifier, path, seed=seed)).value for seed in (0, 0, 1, 2, 3)
    )
    assert first == again
    assert set(others) != {first}


def test_the_rank_correlation_shares_ranks_and_is_exact() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = rng.integers(0, 6, (2, 7, 7)).astype(np.float32)
        expected = np.corrcoef(average_ranks(one), average_ranks(other))[0, 1]
        assert spearman(one, other) == pytest.approx(expected, abs=1e-12)
        assert spearman(one, 3 * one) == 1.0
        assert spearman(one, -one) == -1.0
