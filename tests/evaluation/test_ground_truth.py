"""Graphs whose region of influence is known: that it is known, and which methods find it."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

import onnx_cam
from onnx_cam.evaluation.ground_truth import GRAPHS, Finding, KnownCase, KnownGraph, check_methods, known_graphs
from onnx_cam.evaluation.ground_truth.theory import EXPECTED, REASONS, expected_outcome
from onnx_cam.methods import METHODS, GradCAM, Method, ScoreCAM, Subject, Variant
from onnx_cam.methods.equal import EqualWeights
from tests.places import ROOT

Floats = NDArray[np.float32]

GRAPHS_BY_NAME = {graph.name: graph for graph in known_graphs()}
CASES = [(graph, case) for graph in GRAPHS_BY_NAME.values() for case in graph.cases]
FINDABLE = [(graph, case) for graph, case in CASES if graph.can_be_found]
BYPASS_PIXELS = (slice(20, 28), slice(12, 20))  # rows and columns of the window that the branch reads
EVERYWHERE = np.ones((32, 32), np.bool_)


def names(cases: Sequence[tuple[KnownGraph, KnownCase]]) -> list[str]:
    return [f"{graph.name}, class {case.target}" for graph, case in cases]


def logits(graph: KnownGraph, images: Floats) -> Floats:
    """Return the logits of images (B, 3, 32, 32) by ONNX Runtime alone."""
    session = onnxruntime.InferenceSession(graph.proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": images})[0])


def pixels(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.kron(cells, np.ones((4, 4), np.bool_))


def replaced(image: Floats, where: NDArray[np.bool_], count: int = 20) -> Floats:
    """Return copies of an image with noise in some of its pixels."""
    noise = np.random.default_rng(0).standard_normal((count, *image.shape), np.float32)
    return np.where(where, noise, image).astype(np.float32)


def model_of(name: str) -> onnx_cam.Classifier:
    return onnx_cam.load(GRAPHS_BY_NAME[name].proto, device="cpu", preprocess="none", head="logits")


# --------------------------------------------------------------------------------------------------------------------
# The region is the one that the graph is said to have.


@pytest.mark.parametrize("graph", GRAPHS_BY_NAME.values(), ids=list(GRAPHS_BY_NAME))
def test_the_graphs_are_valid(graph: KnownGraph) -> None:
    onnx.checker.check_model(graph.proto, full_check=True)


@pytest.mark.parametrize(("graph", "case"), FINDABLE, ids=names(FINDABLE))
def test_the_region_is_what_speaks_for_the_class(graph: KnownGraph, case: KnownCase) -> None:
    """Alone, it gives the whole logit; without it, the logit is 0."""
    region = pixels(case.region)
    images = np.stack([case.image, np.where(region, case.image, 0), np.where(region, 0, case.image)])
    np.testing.assert_allclose(logits(graph, images)[:, case.target], [6, 6, 0], atol=1e-5)


@pytest.mark.parametrize(("graph", "case"), FINDABLE[:3], ids=names(FINDABLE[:3]))
def test_nothing_outside_a_window_changes_the_score(graph: KnownGraph, case: KnownCase) -> None:
    region = pixels(case.region)
    np.testing.assert_allclose(logits(graph, replaced(case.image, ~region))[:, case.target], 6, atol=1e-5)
    assert (logits(graph, replaced(case.image, region))[:, case.target] < 5).all()


def test_a_pattern_counts_wherever_it_stands() -> None:
    graph = GRAPHS_BY_NAME["pattern"]
    image = graph.cases[0].image
    moved = np.stack([np.roll(image, (4 * rows, 4 * columns), (1, 2)) for rows in range(8) for columns in range(8)])
    np.testing.assert_allclose(logits(graph, moved)[:, 0], 6, atol=1e-5)


def test_constant_scores_do_not_depend_on_the_image() -> None:
    graph = GRAPHS_BY_NAME["constant"]
    scores = logits(graph, replaced(graph.cases[0].image, EVERYWHERE))
    np.testing.assert_array_equal(scores, np.tile(scores[0], (20, 1)))


def test_the_layer_does_not_see_what_the_branch_around_it_reads() -> None:
    graph = GRAPHS_BY_NAME["bypass"]
    (case,) = graph.cases
    window = np.zeros((32, 32), np.bool_)
    window[BYPASS_PIXELS] = True
    np.testing.assert_allclose(logits(graph, replaced(case.image, ~window))[:, case.target], 7, atol=1e-5)
    assert (logits(graph, replaced(case.image, window))[:, case.target] < 5).all()
    maps = onnx_cam.explain(model_of("bypass"), case.image, method=EqualWeights())
    assert not maps.cam[5:7, 3:5].any()


@pytest.mark.parametrize(("graph", "case"), FINDABLE, ids=names(FINDABLE))
def test_the_share_of_equal_weights_is_the_one_of_the_case(graph: KnownGraph, case: KnownCase) -> None:
    cam = onnx_cam.explain(model_of(graph.name), case.image, method=EqualWeights(), target=case.target).cam
    assert cam[case.region].sum() / cam.sum() == pytest.approx(case.equal_share)


# --------------------------------------------------------------------------------------------------------------------
# What theory demands.


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return check_methods()


def test_every_method_finds_what_theory_demands(findings: list[Finding]) -> None:
    found = {(finding.method, finding.graph): finding.outcome for finding in findings}
    assert found == {(method, graph): expected_outcome(method, graph) for method in EXPECTED for graph in GRAPHS}


def test_every_variant_of_every_method_is_in_the_table() -> None:
    assert {f"{name}:{variant}" for name, cls in METHODS.items() for variant in cls.variants} <= set(EXPECTED)
    assert all(len(outcomes.split()) == len(GRAPHS) for outcomes in EXPECTED.values())
    assert tuple(GRAPHS_BY_NAME) == GRAPHS


def test_every_outcome_that_is_not_the_right_one_has_one_reason(findings: list[Finding]) -> None:
    for finding in findings:
        reasons = [reason for reason in REASONS if reason.covers(finding.method, finding.graph)]
        assert len(reasons) == (0 if finding.is_right else 1), finding
        assert bool(finding.reason) != finding.is_right


def test_the_page_has_every_outcome_and_reason(findings: list[Finding]) -> None:
    page = " ".join((ROOT / "docs" / "ground-truth.md").read_text(encoding="utf-8").split())
    for method in EXPECTED:
        row = next(part for part in page.split(f"| `{method}` | ")[1:]).split(" |")[: len(GRAPHS)]
        shown = [finding for finding in findings if finding.method == method]
        assert [cell.split()[0] for cell in row] == [finding.outcome for finding in shown]
    for reason in REASONS:
        assert reason.text in page


def test_an_empty_map_says_so(findings: list[Finding]) -> None:
    for finding in findings:
        if finding.outcome == "empty":
            assert "the map is empty: " in finding.note, finding
        if finding.outcome == "undefined":
            assert finding.note.startswith("cam needs a layer that is followed by global average pooling")


@pytest.mark.parametrize("seed", [2, 3])
def test_the_outcomes_do_not_hang_on_the_seed(seed: int) -> None:
    noisy = "sscam1:range,sscam1:paper,sscam1:feature,sscam1:authors,sscam2:authors,sscam2:paper,sscam-max"
    assert all(finding.is_expected for finding in check_methods(noisy, seed=seed))


def test_score_cams_weights_by_hand() -> None:
    """One window: a mask shades its patch to (7/8)² in the mean, and the threshold of 0.25 comes off the response."""
    (case,) = GRAPHS_BY_NAME["one window"].cases
    evidence = np.exp(6 * ((7 / 8) ** 2 - 0.25) / 0.75)
    result = onnx_cam.explain(model_of("one window"), case.image, target=0)
    np.testing.assert_allclose(result.weights, [evidence / (evidence + 9) - 0.1, 0, 0], atol=1e-6)


def test_grad_cams_weights_by_hand() -> None:
    """One window: 4 of 64 cells of each channel have a gradient, 6 / (4 · 0.75)."""
    (case,) = GRAPHS_BY_NAME["one window"].cases
    result = onnx_cam.explain(model_of("one window"), case.image, target=0, method="gradcam")
    np.testing.assert_allclose(result.weights, 3 * [4 / 64 * 6 / (4 * 0.75)], atol=1e-6)


def test_weights_by_a_softmax_over_channels_by_hand() -> None:
    """One window: `torchcam` weighs the channel in the window e^Y times the others, with the logit of its mask."""
    logit = 6 * ((7 / 8) ** 2 - 0.25) / 0.75
    (finding, *_) = check_methods("scorecam:torchcam")
    assert finding.share == pytest.approx(np.exp(logit) / (np.exp(logit) + 2), abs=1e-5)


# --------------------------------------------------------------------------------------------------------------------
# A wrong method fails.


@dataclass(frozen=True)
class WithoutBaseline(ScoreCAM):
    """Score-CAM that forgets the baseline."""

    variants: ClassVar = {"paper": Variant(baseline=False)}


@dataclass(frozen=True)
class OtherClass(GradCAM):
    """Grad-CAM with its sign lost."""

    def weights(self, subject: Subject) -> NDArray[np.float64]:
        return -super().weights(subject)


@pytest.mark.parametrize(
    ("method", "outcomes"),
    [
        (WithoutBaseline(), ["finds", "finds", "finds", "invents", "invents"]),
        (OtherClass(), ["empty", "empty", "empty", "empty", "empty"]),
    ],
    ids=["baseline", "sign"],
)
def test_a_wrong_method_departs_from_the_table(method: Method, outcomes: list[str]) -> None:
    found = check_methods([method])
    assert [finding.outcome for finding in found] == outcomes
    assert not all(finding.is_expected for finding in found)


def test_a_blurred_map_has_no_expected_outcome() -> None:
    assert {finding.expected for finding in check_methods("blurred:gradcam")} == {None}


CONTRASTS = [
    f"{name}:{variant}:versus=next"
    for name, cls in METHODS.items()
    for variant in cls.variants
    if name not in ("sscam-max", "finercam", "cam") and (name, variant) != ("grad++scorecam", "paper")
]
"""Every method with a contrast that is defined where there are two windows, and not empty there."""

OTHERWISE = {
    "sscam1:authors": ["misses", "finds", "empty", "empty", "empty"],
    "sscam1:feature": ["finds", "finds", "finds", "empty", "invents"],
    "sscam2:authors": ["finds", "finds", "finds", "empty", "empty"],
}
"""The methods that find something else with a contrast, as the page says."""


def test_a_contrast_finds_what_the_method_finds_but_for_three() -> None:
    outcomes: dict[str, list[str]] = defaultdict(list)
    for finding in check_methods(CONTRASTS):
        outcomes[finding.method.removesuffix(":versus=next")].append(finding.outcome)
    assert outcomes == {name: OTHERWISE.get(name, EXPECTED[name].split()) for name in outcomes}
    assert set(outcomes) > set(OTHERWISE)


def test_a_contrast_separates_the_two_windows() -> None:
    """Of the two classes, each one's next is the other."""
    windows = [finding for finding in check_methods(CONTRASTS) if finding.graph == "two windows"]
    assert len(windows) == len(CONTRASTS)
    for finding in windows:
        assert finding.outcome == "finds", finding


def test_settings_of_ones_own_have_no_expected_outcome() -> None:
    for finding in check_methods("sscam2:paper:sigma=0.5"):
        assert finding.is_right
        assert finding.expected is None


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from onnx_cam.evaluation.ground_truth import check_methods\n"
        "assert all(f.is_expected for f in check_methods('all'))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
