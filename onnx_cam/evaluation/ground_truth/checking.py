"""Each method on each graph of the ground truth."""

from __future__ import annotations

from collections.abc import Sequence

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.loading import load
from onnx_cam.errors import OnnxCamError
from onnx_cam.evaluation.ground_truth.finding import Finding, judge, share_in_region
from onnx_cam.evaluation.ground_truth.graphs import known_graphs
from onnx_cam.evaluation.ground_truth.known_graph import KnownCase, KnownGraph
from onnx_cam.evaluation.ground_truth.theory import EXPECTED, expected_outcome, reason_for
from onnx_cam.evaluation.method_names import choose_named_methods, names_all
from onnx_cam.explanation.explaining import explain
from onnx_cam.explanation.result import Explanation
from onnx_cam.methods import METHODS, Method
from onnx_cam.methods.controls import STANDARD_CONTROLS
from onnx_cam.methods.spelling import ALL

__all__ = ["check_methods"]

_CONTROLS = tuple(control.name for control in STANDARD_CONTROLS)


def check_methods(methods: str | Sequence[str | Method] = ALL, *, seed: int = 0, device: str = "cpu") -> list[Finding]:
    """Run methods on graphs whose region of influence is known by construction, and report which of them find it.

    Parameters
    ----------
    methods : str, or sequence of str and Method
        Methods with their variant and settings, as in ``sscam2:paper:sigma=0.5``; a single string may hold several with
        commas between them. ``"all"`` stands for every variant of every method, and the controls.
    seed : int
        The seed of the noise.
    device : str
        The device that the graphs run on.

    Returns
    -------
    list of Finding
        For each method its findings on all graphs, in the order of :data:`GRAPHS`.

    Raises
    ------
    SettingError
        A method is unknown or given twice.
    DeviceError
        The device cannot be used.

    Examples
    --------
    >>> from onnx_cam.evaluation.ground_truth import check_methods
    >>> [finding.outcome for finding in check_methods("equal")]
    ['misses', 'misses', 'misses', 'invents', 'invents']
    >>> [finding.outcome for finding in check_methods("scorecam")]
    ['finds', 'finds', 'finds', 'empty', 'empty']
    """
    named = choose_named_methods(_every_variant() if names_all(methods) else methods)
    graphs = [(graph, load(graph.proto, device=device, preprocess="none", head="logits")) for graph in known_graphs()]
    return [_find(name, method, graph, model, seed) for name, method in named.items() for graph, model in graphs]


def _every_variant() -> list[str]:
    return [*(f"{name}:{variant}" for name, cls in METHODS.items() for variant in cls.variants), *_CONTROLS]


def _find(name: str, method: Method, graph: KnownGraph, model: Classifier, seed: int) -> Finding:
    """Return what a method finds on a graph."""
    listed = _listed_name(method)
    expected, reason = expected_outcome(listed, graph.name), reason_for(listed, graph.name)
    try:
        results = [_explain(case, method, model, seed) for case in graph.cases]
    except OnnxCamError as error:
        return Finding(name, graph.name, "undefined", expected, reason, note=str(error))
    maps = [result.cam for result in results]
    shares = [share_in_region(case, cam) for case, cam in zip(graph.cases, maps, strict=True)]
    return Finding(
        name,
        graph.name,
        judge(graph, maps),
        expected,
        reason,
        share=min(shares) if graph.can_be_found else None,
        specificity=min((result.specificity for result in results if result.specificity is not None), default=None),
        note=next((warning for result in results for warning in result.warnings), ""),
    )


def _explain(case: KnownCase, method: Method, model: Classifier, seed: int) -> Explanation:
    return explain(model, case.image, method=method, target=case.target, seed=seed)


def _listed_name(method: Method) -> str:
    """Return the name under which a method stands in the table of expected outcomes; empty where it does not."""
    name = f"{method.name}:{method.variant}" if method.name in METHODS else method.name
    return name if name in EXPECTED and method == type(method)(variant=method.variant) else ""
