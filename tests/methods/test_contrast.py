"""Why A rather than B: every method and variant against the slow reference, and what a contrast must and cannot do."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import SettingError, TargetError
from onnx_cam.methods import METHODS
from onnx_cam.methods.contrast import ContrastMethod
from tests import tiny
from tests.gradient_oracle import GRADIENT_REFERENCES, GradientCase
from tests.oracle import REFERENCES, Array, Case, Network

TOLERANCE = 1e-5  # of the map's maximum
SAMPLES = 3
A, B = 1, 3
WITHOUT = {"sscam-max", "finercam"}
SMALL_SIGMA = {("sscam1", "paper"): 0.3, ("sscam2", "paper"): 0.3}
"""The equation's σ drowns the tiny image."""


@dataclass
class ContrastCase(Case):
    """A reference whose score is the contrast score, less the baseline's: METHODS.md, "Contrast"."""

    versus: int = B
    kind: str = "logit"

    def contrast(self, x: Array) -> float:
        if self.kind == "logit":
            logits = self.network.logit(x).ravel()
            return float(logits[self.target] - logits[self.versus])
        shares = self.network.probability(x)
        return float((shares[self.target] + 1e-6) / (shares[self.target] + shares[self.versus] + 2e-6))

    def f(self, x: Array) -> float:
        return self.contrast(x) - self.contrast(self.baseline)

    f_logit = f_probability = f


def settings(method: str) -> dict[str, Any]:
    return {"samples": SAMPLES} if "samples" in METHODS[method]().parameters else {}


def difference(found: np.ndarray, reference: np.ndarray) -> float:
    assert reference.max() > 0
    return float(np.abs(found - reference).max() / reference.max())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    path = tiny.save(tiny.model(size="size"), tmp_path_factory.mktemp("tiny"))
    return onnx_cam.load(path, device="cpu", preprocess="none", size=(tiny.SIZE, tiny.SIZE))


@pytest.mark.parametrize("kind", ["logit", "probability"])
@pytest.mark.parametrize(("method", "variant"), sorted(pair for pair in REFERENCES if pair[0] not in WITHOUT))
def test_contrast_scores_agree_with_the_reference(method: str, variant: str, kind: str, model: Classifier) -> None:
    made = METHODS[method](variant=variant, **settings(method))
    if made.wiring.score == "logit" and kind == "probability":
        pytest.skip("the variant is defined on the logit")
    sigma = SMALL_SIGMA.get((method, variant), float(getattr(made, "sigma", 0.0)))
    network, compared = Network(tiny.model(), "relu2", "logits"), 0
    for seed in range(4):
        x = tiny.image(zlib.crc32(f"{method} {variant}".encode()) % 1000 + seed)
        case = ContrastCase(network, x.astype(np.float64), A, seed=7, samples=SAMPLES, sigma=sigma, kind=kind)
        reference = REFERENCES[method, variant](case)
        result = onnx_cam.explain(
            model,
            x,
            method=method,
            variant=variant,
            target=A,
            versus=B,
            seed=7,
            sigma=SMALL_SIGMA.get((method, variant)),
            score="probability" if kind == "probability" else None,
            **settings(method),
        )
        assert result.parameters["score"] == kind
        if reference.any():
            compared += 1
            assert difference(result.cam, reference) < TOLERANCE
    assert compared


@pytest.mark.parametrize(
    ("method", "variant", "layer"),
    [
        (*pair, layer)
        for pair in sorted(GRADIENT_REFERENCES)
        for layer in ("relu1", "relu2")
        if pair[0] not in WITHOUT and (pair[0] != "cam" or layer == "relu2")
    ],
)
def test_contrast_gradients_agree_with_the_reference(method: str, variant: str, layer: str, model: Classifier) -> None:
    made = METHODS[method](variant=variant, **settings(method))
    compared = 0
    for target, versus in ((0, 1), (1, 0), (1, 3), (2, 3), (3, 2)):
        x = tiny.image(target)
        case = GradientCase(
            x.astype(np.float64),
            target,
            layer,
            seed=7,
            samples=int(getattr(made, "samples", 1)),
            sigma=float(getattr(made, "sigma", 0.0)),
            versus=versus,
        )
        reference = GRADIENT_REFERENCES[method, variant](case)
        result = onnx_cam.explain(
            model,
            x,
            method=method,
            variant=variant,
            target=target,
            versus=versus,
            layer=layer,
            seed=7,
            **settings(method),
        )
        if reference.any():
            compared += 1
            assert difference(result.cam, reference) < TOLERANCE
    dead = layer == "relu2" and (method, variant) == ("grad++scorecam", "weights")  # constant behind global pooling
    assert compared >= (0 if dead else 1)


@pytest.mark.parametrize("gradients", ["onnx", "torch"])
def test_both_ways_to_a_gradient_take_a_contrast(gradients: Any, model: Classifier) -> None:
    x = tiny.image(3)
    case = GradientCase(x.astype(np.float64), A, "relu1", versus=B)
    result = onnx_cam.explain(model, x, method="gradcam", target=A, versus=B, layer="relu1", gradients=gradients)
    assert result.parameters["gradients"] == gradients
    assert difference(result.cam, GRADIENT_REFERENCES["gradcam", "paper"](case)) < TOLERANCE


@pytest.mark.parametrize("method", ["scorecam", "sscam1", "sscam2", "iscam", "cam", "gradcam", "xgradcam"])
def test_weights_change_sign_with_the_two_classes(method: str, model: Classifier) -> None:
    x = tiny.image(3)
    one, other = (
        onnx_cam.explain(model, x, method=method, target=a, versus=b, **settings(method)) for a, b in ((A, B), (B, A))
    )
    assert one.weights.any()
    np.testing.assert_allclose(one.weights, -other.weights, atol=1e-6 * np.abs(one.weights).max())
    assert not ((one.cam > 0) & (other.cam > 0)).any()  # no position speaks for A against B and for B against A


def test_hirescam_changes_sign_position_by_position(model: Classifier) -> None:
    x = tiny.image(3)
    one, other = (
        onnx_cam.explain(model, x, method="hirescam", layer="relu1", target=a, versus=b) for a, b in ((A, B), (B, A))
    )
    assert one.cam.any() or other.cam.any()
    assert not ((one.cam > 0) & (other.cam > 0)).any()


@pytest.mark.parametrize("method", sorted(set(METHODS) - WITHOUT))
def test_a_contrast_takes_no_forward_pass_more(method: str, tmp_path: Path) -> None:
    x, passes = tiny.image(3), []
    for versus in (None, "next"):
        fresh = onnx_cam.load(tiny.save(tiny.model(size="size"), tmp_path), preprocess="none", size=(20, 20))
        variant = "paper" if method == "sscam2" else None  # authors subtracts the baseline of a contrast alone
        made = METHODS[method](variant=variant, **settings(method))
        assert isinstance(made, ContrastMethod)
        result = onnx_cam.explain(fresh, x, method=method, variant=variant, versus=versus, **settings(method))
        passes.append(result.passes)
    assert passes[0] == passes[1]


def test_a_budget_and_its_error_bars_take_a_contrast(lite0: Classifier, photo: Path) -> None:
    exact = onnx_cam.explain(lite0, photo, versus="next")
    part = onnx_cam.explain(lite0, photo, versus="next", budget="25%")
    assert part.versus == exact.versus
    assert part.passes < 0.3 * exact.passes
    assert part.error is not None
    assert part.relative_error is not None
    assert part.relative_error_interval is not None
    left = np.linalg.norm(unit(part.cam) - unit(exact.cam))
    assert left < 0.5  # unit maps of different classes are further apart
    noisy = onnx_cam.explain(lite0, photo, method="sscam2", versus="next", samples=2, budget="5%")
    assert noisy.error is not None


def unit(cam: np.ndarray) -> np.ndarray:
    return np.asarray(cam / np.linalg.norm(cam))


def test_next_is_the_likeliest_class_other_than_each_target(model: Classifier) -> None:
    x = tiny.image(3)
    results = onnx_cam.explain(model, x, method="gradcam", target=[0, 1, 2, 3], versus="next")
    ranked = [target.index for target in results[0].top]
    for result in results:
        assert result.versus is not None
        assert result.versus.index == next(index for index in ranked if index != result.target.index)
        alone = onnx_cam.explain(model, x, method="gradcam", target=result.target.index, versus=result.versus.index)
        np.testing.assert_array_equal(alone.cam, result.cam)


def test_several_targets_of_scorecam_share_the_passes_of_a_contrast(model: Classifier) -> None:
    x = tiny.image(3)
    together = onnx_cam.explain(model, x, target=[0, 2], versus="next")
    apart = [onnx_cam.explain(model, x, target=target, versus="next") for target in (0, 2)]
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)


def test_the_batch_size_does_not_change_a_contrast(model: Classifier) -> None:
    x = tiny.image(3)
    maps = [onnx_cam.explain(model, x, versus="next", batch_size=size).cam for size in (1, 3, 16)]
    for one in maps[1:]:
        np.testing.assert_allclose(one, maps[0], atol=1e-6 * maps[0].max())


def test_the_record_has_both_classes(model: Classifier) -> None:
    result = onnx_cam.explain(model, tiny.image(3), method="gradcam", target=A, versus=B)
    record = result.record()
    assert record["target"]["index"] == A
    assert record["versus"] == {"index": B, "label": None, "score": result.versus.score if result.versus else None}
    assert "versus" not in record["parameters"]
    plain = onnx_cam.explain(model, tiny.image(3), method="gradcam", target=A).record()
    assert plain["versus"] is None


def test_a_contrast_has_files_of_its_own(tiny_path: Path, tmp_path: Path) -> None:
    labelled = onnx_cam.load(tiny_path, preprocess="none", labels=["ant", "bee", "cat", "dog"])
    names = {
        onnx_cam.explain(labelled, tiny.image(3), method="cam", target=A, versus=versus).save(tmp_path)["map"].name
        for versus in (None, 0, 3)
    }
    assert names == {
        "array_cam-paper_1-bee.npy",
        "array_cam-paper_1-bee_versus_0-ant.npy",
        "array_cam-paper_1-bee_versus_3-dog.npy",
    }


def test_finercam_without_gamma_is_gradcam(model: Classifier) -> None:
    x = tiny.image(3)
    plain = onnx_cam.explain(model, x, method="gradcam", target=A)
    finer = onnx_cam.explain(model, x, method=onnx_cam.FinerCAM(gamma=0.0), target=A)
    np.testing.assert_allclose(finer.weights, plain.weights, rtol=1e-6)


def test_finercam_takes_as_many_references_as_there_are_classes(model: Classifier) -> None:
    x = tiny.image(3)
    all_others = onnx_cam.explain(model, x, method=onnx_cam.FinerCAM(references=tiny.CLASSES - 1), target=A)
    more = onnx_cam.explain(model, x, method=onnx_cam.FinerCAM(references=50), target=A)
    np.testing.assert_array_equal(more.cam, all_others.cam)


def test_finercam_takes_one_forward_pass(tiny_path: Path) -> None:
    fresh = onnx_cam.load(tiny_path, preprocess="none")
    assert onnx_cam.explain(fresh, tiny.image(3), method="finercam", layer="relu1").passes == 1


# --- what cannot be contrasted


@pytest.mark.parametrize("method", sorted(WITHOUT))
def test_methods_without_a_contrast_say_so(method: str, model: Classifier) -> None:
    with pytest.raises(SettingError, match=rf"{method} does not take versus.*scorecam"):
        onnx_cam.explain(model, tiny.image(), method=method, versus="next")


@pytest.mark.parametrize("versus", [A, str(A)])
def test_a_class_against_itself_is_an_error(versus: int | str, model: Classifier) -> None:
    with pytest.raises(TargetError, match=f"versus names class {A}, which is the target itself"):
        onnx_cam.explain(model, tiny.image(), method="gradcam", target=A, versus=versus)
    with pytest.raises(TargetError, match="which is the target itself"):
        onnx_cam.explain(model, tiny.image(), method="gradcam", target=[0, A], versus=versus)


@pytest.mark.parametrize(
    ("versus", "message"),
    [(99, "no class 99"), (-1, "no class -1"), ("tabby", "no class names are known")],
)
def test_a_class_that_is_not_there_is_an_error(versus: int | str, message: str, model: Classifier) -> None:
    with pytest.raises(TargetError, match=message):
        onnx_cam.explain(model, tiny.image(), method="gradcam", versus=versus)


@pytest.mark.parametrize("versus", [1.5, True, [1, 2], "", "  "])
def test_what_names_no_class_is_an_error(versus: Any, model: Classifier) -> None:
    with pytest.raises(SettingError, match="invalid versus"):
        onnx_cam.explain(model, tiny.image(), method="gradcam", versus=versus)


def test_a_single_output_has_nothing_to_be_contrasted_with(tmp_path: Path) -> None:
    raw = onnx_cam.load(single_output(tmp_path), preprocess="none", head="raw")
    with pytest.raises(TargetError, match="has a single output, so there is no other class"):
        onnx_cam.explain(raw, tiny.image(), method="gradcam", versus="next")
    with pytest.raises(SettingError, match="finercam compares a class with the closest others"):
        onnx_cam.explain(raw, tiny.image(), method="finercam")


def test_the_two_classes_of_a_single_logit_have_a_contrast(tmp_path: Path) -> None:
    binary = onnx_cam.load(single_output(tmp_path), preprocess="none", head="sigmoid", output="p")
    x = tiny.image(3)
    for target in (0, 1):
        plain = onnx_cam.explain(binary, x, method="gradcam", target=target)
        contrast = onnx_cam.explain(binary, x, method="gradcam", target=target, versus="next")
        assert contrast.versus is not None
        assert contrast.versus.index == 1 - target
        np.testing.assert_allclose(contrast.weights, 2 * plain.weights, rtol=1e-5)  # z − (−z) = 2 z


def single_output(folder: Path) -> Path:
    proto = tiny.model()
    column = helper.make_tensor("column", onnx.TensorProto.FLOAT, [tiny.CLASSES, 1], [1.0, -0.5, 0.25, 2.0])
    proto.graph.initializer.append(column)
    proto.graph.node.append(helper.make_node("MatMul", ["logits", "column"], ["z"]))
    proto.graph.node.append(helper.make_node("Sigmoid", ["z"], ["p"]))
    del proto.graph.output[:]
    proto.graph.output.extend(tiny.value_info(name, ["batch", 1]) for name in ("z", "p"))
    return tiny.save(proto, folder, "single.onnx")


def test_two_classes_with_the_same_scores_give_an_empty_map(tmp_path: Path) -> None:
    """The logits vary, their difference does not: what is left are rounding errors, which must not become a map."""
    proto = tiny.model()
    rows = [[1.0, 1.0], [0.5, 0.5], [-2.0, -2.0], [3.0, 3.0]]
    twins = helper.make_tensor("twins", onnx.TensorProto.FLOAT, [tiny.CLASSES, 2], np.array(rows).ravel())
    shift = helper.make_tensor("shift", onnx.TensorProto.FLOAT, [2], [1.0, 0.0])
    proto.graph.initializer.extend([twins, shift])
    proto.graph.node.append(helper.make_node("MatMul", ["logits", "twins"], ["both"]))
    proto.graph.node.append(helper.make_node("Add", ["both", "shift"], ["y"]))
    del proto.graph.output[:]
    proto.graph.output.append(tiny.value_info("y", ["batch", 2]))
    model = onnx_cam.load(tiny.save(proto, tmp_path), preprocess="none", head="logits")
    for method in ("scorecam", "iscam", "gradcam"):
        result = onnx_cam.explain(model, tiny.image(3), method=method, target=0, versus=1, **settings(method))
        assert result.empty
        assert "the map is empty" in result.warnings[-1]


def test_probabilities_that_vanish_are_named(tmp_path: Path) -> None:
    proto = tiny.model()
    bias = helper.make_tensor("far", onnx.TensorProto.FLOAT, [tiny.CLASSES], [0.0, 0.0, 80.0, 80.0])
    proto.graph.initializer.append(bias)
    proto.graph.node.append(helper.make_node("Add", ["logits", "far"], ["y"]))
    del proto.graph.output[:]
    proto.graph.output.append(tiny.value_info("y", ["batch", tiny.CLASSES]))
    model = onnx_cam.load(tiny.save(proto, tmp_path), preprocess="none", head="logits")
    result = onnx_cam.explain(model, tiny.image(3), target=0, versus=1, score="probability")
    assert result.empty
    assert any("the probabilities of both classes vanish" in warning for warning in result.warnings)
    assert not onnx_cam.explain(model, tiny.image(3), method="gradcam", target=0, versus=1).empty


def test_a_tie_for_the_next_class_is_said(tmp_path: Path) -> None:
    proto = tiny.model()
    bias = helper.make_tensor("first", onnx.TensorProto.FLOAT, [tiny.CLASSES], [500.0, 0.0, 0.0, 0.0])
    proto.graph.initializer.append(bias)
    proto.graph.node.append(helper.make_node("Add", ["logits", "first"], ["y"]))
    proto.graph.node.append(helper.make_node("Softmax", ["y"], ["p"]))
    del proto.graph.output[:]
    proto.graph.output.append(tiny.value_info("p", ["batch", tiny.CLASSES]))
    model = onnx_cam.load(tiny.save(proto, tmp_path), preprocess="none")
    result = onnx_cam.explain(model, tiny.image(3), method="gradcam", versus="next")
    assert any("several classes score 0 after the target" in warning for warning in result.warnings)
    named = onnx_cam.explain(model, tiny.image(3), method="gradcam", versus=2)
    assert not any("several classes" in warning for warning in named.warnings)
