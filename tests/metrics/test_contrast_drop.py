"""Contrast drop: what the 5 % highest pixels say for the class rather than the next one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from onnx_cam.image.baselines import make_baseline
from onnx_cam.metrics import ContrastDrop, MaskedImage
from tests import tiny
from tests.metrics.references import load, network_of, raised
from tests.oracle import Array


def changed(x: Array, cam: Array, share: float = 0.05) -> Array:
    """Replace the highest pixels by the blurred image, one after the other; the first of equal ones first."""
    blurred = make_baseline("blur", x.astype(np.float32), None).astype(np.float64)
    importance = raised(cam).astype(np.float32).ravel().tolist()
    order = sorted(range(len(importance)), key=lambda i: (-importance[i], i))
    after = x.copy().reshape(len(x), -1)
    for i in order[: round(share * len(order))]:
        after[:, i] = blurred.reshape(len(x), -1)[:, i]
    return after.reshape(x.shape)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_loss_of_the_share_of_the_two_classes(tmp_path: Path, seed: int) -> None:
    classifier = load(tmp_path, preprocess="none")
    network = network_of(classifier)
    x = tiny.image(seed).astype(np.float64)
    cam = np.random.default_rng(seed).random((5, 5))
    a, b = np.argsort(-network.probability(x))[:2]

    def q(image: Array) -> float:
        p = network.probability(image)
        return float(p[a] / (p[a] + p[b]))

    image = MaskedImage(classifier, tiny.image(seed), int(a), cam.astype(np.float32), second_class=int(b))
    found = ContrastDrop().measure(image).value
    assert found == pytest.approx(100 * (q(x) - q(changed(x, cam))), abs=1e-3)
    assert found != 0
    assert image.passes == 2  # both classes come from the same passes


def test_ties_are_broken_by_position(tmp_path: Path) -> None:
    """Of a constant map the first 5 % of the pixels are replaced: the first row of 20."""
    classifier = load(tmp_path, preprocess="none")
    network = network_of(classifier)
    x = tiny.image(1).astype(np.float64)
    a, b = np.argsort(-network.probability(x))[:2]
    after = x.copy()
    after[:, 0] = make_baseline("blur", tiny.image(1), None)[:, 0]
    p, q = network.probability(x), network.probability(after)
    expected = 100 * (p[a] / (p[a] + p[b]) - q[a] / (q[a] + q[b]))
    flat = np.ones((5, 5), np.float32)
    image = MaskedImage(classifier, tiny.image(1), int(a), flat, second_class=int(b))
    assert ContrastDrop().measure(image).value == pytest.approx(expected, abs=1e-3)


def test_without_another_class_it_says_why_it_is_not_defined(tmp_path: Path) -> None:
    image = MaskedImage(load(tmp_path, preprocess="none"), tiny.image(), 0, np.eye(5, dtype=np.float32))
    found = ContrastDrop().measure(image)
    assert (found.value, found.reason) == (None, "the model has a single class, and no other one to compare with")
    assert image.passes == 0


def test_where_both_classes_vanish_it_says_so(tmp_path: Path) -> None:
    """Logits 500 apart: the third class takes all of the probability that float32 can hold."""
    tail = [helper.make_node("Mul", ["logits", "far"], ["scores"])]
    proto = tiny.model(tail=tail, output="scores", seed=3)
    proto.graph.initializer.append(helper.make_tensor("far", 1, [1], [4000.0]))
    classifier = load(tmp_path, proto, preprocess="none", head="logits")
    order = np.argsort(classifier.sessions.scores(tiny.image(1)[None])[0])
    image = MaskedImage(
        classifier, tiny.image(1), int(order[0]), np.eye(5, dtype=np.float32), second_class=int(order[1])
    )
    found = ContrastDrop().measure(image)
    assert (found.value, found.reason) == (None, "the probabilities of both classes vanish")


def test_a_single_output_of_two_classes_has_both(tmp_path: Path) -> None:
    """Class 1 has p and class 0 has 1 − p: q is p itself."""
    tail = [
        helper.make_node("ReduceSum", ["logits"], ["sum"], keepdims=1),
        helper.make_node("Sigmoid", ["sum"], ["p"]),
    ]
    proto = tiny.model(output="p", classes=1, seed=3)
    proto.graph.node.extend(
        [helper.make_node("Gemm", ["logits", "ones"], ["sum"]), tail[1]],
    )
    proto.graph.initializer.append(helper.make_tensor("ones", 1, [tiny.CLASSES, 1], [0.2] * tiny.CLASSES))
    classifier = load(tmp_path, proto, preprocess="none")
    assert classifier.classes == 2
    x, cam = tiny.image(2), np.random.default_rng(2).random((5, 5))
    p = float(classifier.sessions.scores(x[None])[0, 1])
    after = float(classifier.sessions.scores(changed(x.astype(np.float64), cam).astype(np.float32)[None])[0, 1])
    image = MaskedImage(classifier, x, 1, cam.astype(np.float32), second_class=0)
    assert ContrastDrop().measure(image).value == pytest.approx(100 * (p - after), abs=1e-3)
