"""What the reader of a map should know: about the batch, the device, and the map itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.graph.layer import Layer
from onnx_cam.methods import Method, Subject
from onnx_cam.methods.weights import TargetWeighed
from onnx_cam.runtime.masks import is_dead
from onnx_cam.runtime.scorer import Scorer

__all__ = ["batch_warnings", "device_warnings", "geometry_warnings", "map_warnings", "random_warnings"]


_NOT_HELD = "does not hold, and another run gives another map"


def batch_warnings(classifier: Classifier, requested: int | None) -> tuple[str, ...]:
    """Return a warning where the requested batch size was not used."""
    fixed = classifier.fixed_batch
    if fixed is None or requested is None or requested == fixed:
        return ()
    return (f"the model only supports batch size {fixed}; ignoring --batch-size {requested}",)


def geometry_warnings(layer: Layer) -> tuple[str, ...]:
    """Return a warning where it is not known where a layer's cells, or those of the natural default, lie."""
    if layer.geometry.is_settled and layer.passed_over is None:
        return ()
    if layer.passed_over is not None:
        return (
            f"layer {layer.name} is explained because it is unknown where the cells of {layer.passed_over.name}, which "
            f"is nearer to the scores, lie in the image: {layer.passed_over.geometry.reason} cannot be followed",
        )
    return (
        f"where the cells of layer {layer.name} lie in the image is unknown: {layer.geometry.reason} cannot be "
        "followed; the map is placed as if they covered the whole input, and may be misplaced: try another --layer",
    )


def random_warnings(classifier: Classifier) -> tuple[str, ...]:
    """Return a warning where two equal runs of the model give different scores, so that no seed gives the same map."""
    reason = classifier.facts.randomness
    return (f"{reason}: the seed {_NOT_HELD}",) if reason else ()


def device_warnings(provider: str, scorer: Scorer) -> tuple[str, ...]:
    """Return warnings about nodes that ran elsewhere, memory that ran out, and runs that failed."""
    warnings = []
    if scorer.cpu_fallback_nodes:
        warnings.append(f"{scorer.cpu_fallback_nodes} nodes ran on the CPU, not on {provider}")
    out_of_memory = [failure for failure in scorer.failures if failure.startswith("out of memory")]
    if out_of_memory:
        times = "once" if len(out_of_memory) == 1 else f"{len(out_of_memory)} times"
        streams = f", {scorer.streams} at once" if scorer.streams > 1 else ""
        warnings.append(f"memory ran out {times}: continued with batch size {scorer.batch_size}{streams}")
    others = [failure for failure in scorer.failures if not failure.startswith("out of memory")]
    if others:
        warnings.append(f"{len(others)} runs failed and were repeated; the first error was: {others[0]}")
    return tuple(warnings)


def map_warnings(method: Method, subject: Subject, cam: NDArray[np.float32], weighed: TargetWeighed) -> tuple[str, ...]:
    """Return a warning about a map that is empty or the same everywhere, with the cause."""
    if cam.any():
        is_flat = cam.max() == cam.min()
        warning = "the map is the same everywhere: no part of the image stands out" if is_flat else ""
    else:
        warning = f"the map is empty: {_why_empty(method, subject, weighed)}"
    if warning and weighed.error is not None and weighed.error.of == "passes left out":
        warning += "; this was computed from only part of the forward passes, and the others may change it"
    return (warning,) if warning else ()


def _why_empty(method: Method, subject: Subject, weighed: TargetWeighed) -> str:
    if is_dead(subject.maps).all():
        return "every activation map of the layer is constant for this image; choose another --layer"
    if (weighed.weights <= 0).all():
        return method.why_empty(subject)
    return "the weighted sum of the activation maps is nowhere above zero"
