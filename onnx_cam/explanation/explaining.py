"""A model, an image and a method: the explanation."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.loading import load
from onnx_cam.errors import SettingError, TargetError
from onnx_cam.explanation.result import Explanation, Target
from onnx_cam.graph.find_layers import Layer
from onnx_cam.image.baselines import make_baseline
from onnx_cam.image.picture import Picture, open_picture
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.methods import Method, Subject, make_method
from onnx_cam.methods.base import TargetWeighed, weighted_sum
from onnx_cam.names import BASELINES, SCORES
from onnx_cam.runtime.devices import import_onnxruntime
from onnx_cam.runtime.masks import is_dead
from onnx_cam.runtime.scorer import Progress, Scorer
from onnx_cam.runtime.scores import ScoreKind

if TYPE_CHECKING:
    from onnx_cam.budget.map_error import MapError

__all__ = ["check_settings", "explain", "package_versions"]

Floats = NDArray[np.float32]

_MAX_SEED = 2**64 - 1
_TOP = 5
_TOP_N = re.compile(r"top([1-9]\d{0,8})")


def explain(
    model: Classifier | str | Path,
    image: Any,
    *,
    method: str | Method = "scorecam",
    target: int | str | Sequence[int | str] | None = None,
    layer: str | Layer | None = None,
    variant: str | None = None,
    samples: int | None = None,
    sigma: float | None = None,
    seed: int = 0,
    score: ScoreKind | None = None,
    baseline: str | None = None,
    preprocess: str | os.PathLike[str] | Preprocessing | None = None,
    batch_size: int | None = None,
    budget: int | float | str | None = None,
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> Any:
    """Explain what a classifier says of an image.

    Parameters
    ----------
    model : Classifier, str or Path
        What :func:`onnx_cam.load` returned, or the path of a model.
    image : path, ndarray or PIL image
        A path; an ``(H, W, 3)`` uint8 RGB array; a PIL image; or, with ``preprocess="none"``, the network's input: an
        array ``(C, H, W)`` or ``(1, C, H, W)``, or the path of a ``.npy`` file that holds one.
    method : str or Method
        A name in :data:`onnx_cam.METHODS`, or a method object.
    target : int, str, or sequence of them, optional
        An index, a name, or ``topN``; the likeliest class by default. A class named twice in a list counts once.
    layer : str or Layer, optional
        A layer's output tensor or node; the last spatial one by default.
    variant, samples, sigma : optional
        The method's settings; None means the method's and the variant's own default.
    seed : int
        Of the noise.
    score : {"probability", "logit"}, optional
        f^c; what the variant is defined on by default, else the probability.
    baseline : {"zero", "black", "mean", "blur"}, optional
        X_b; zero by default.
    preprocess : str, path or Preprocessing, optional
        In place of the model's own, for this image.
    batch_size : int, optional
        Inputs a run; it never changes the map. Measured by default, and halved when memory runs out. A model with a
        fixed batch is run at that.
    budget : int, float or str, optional
        Inputs to score in place of all: a number (``200``), or a share of those that an exact map takes (``0.1``,
        ``"10%"``); tap and baseline come on top. The other channels' scores are regressed on these. For methods and
        variants whose weights are means of scores.
    tolerance : float, optional
        Stop as soon as the map's share left (see :class:`Explanation`) is at most this, by the upper end of its
        interval; with a budget, at that at the latest.
    progress : callable, optional
        Called with the passes done and the passes known to be needed.

    Returns
    -------
    Explanation, or list of Explanation
        A list, from the same passes, where `target` is a list or ``topN``.

    Raises
    ------
    OnnxCamError
        As its subclass says; see :mod:`onnx_cam.errors`.
    """
    chosen = make_method(method, variant=variant, samples=samples, sigma=sigma, budget=budget, tolerance=tolerance)
    kind = check_settings(chosen, score=score, baseline=baseline, seed=seed, batch_size=batch_size)
    classifier = model if isinstance(model, Classifier) else load(model)
    if kind == "logit":
        classifier.check_logits()
    preprocessing = _preprocessing(classifier, preprocess)
    is_open = isinstance(image, Picture)  # by a comparison, once for all its methods
    picture = image if is_open else open_picture(image, preprocessing, classifier.input.channels, classifier.size)
    started = time.perf_counter()
    with classifier.in_use:
        tapped = classifier.layer(layer)
        maps, probabilities, ran = classifier.activations(tapped, picture.network_input)
        targets, single = _targets(classifier, target, probabilities)
        x_b = make_baseline(baseline or "zero", picture.network_input, preprocessing)
        scorer = Scorer(
            classifier,
            picture.network_input,
            targets,
            x_b,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
            image_name=picture.stem,
        )
        subject = Subject(
            maps,
            scorer,
            kind,
            linear_head=lambda: _linear_weights(classifier, tapped, targets),
            gradient=lambda image: classifier.gradients(tapped, image, targets),
        )
        weighed = chosen.weigh(subject)
        cams = chosen.combine(subject, weighed.weights).astype(np.float32)
    facts = {
        **_facts_of_model(classifier, tapped, preprocessing),
        **_facts_of_picture(picture),
        **_facts_of_run(chosen, scorer, kind, baseline, tapped=ran),
        "exact_passes": weighed.exact_passes,
        "top": _top(classifier, probabilities),
        "seed": seed,
        "seconds": time.perf_counter() - started,
        "warnings": (
            *_batch_warnings(classifier, batch_size),
            *_device_warnings(classifier, scorer),
            *weighed.notes,
        ),
    }
    results = [
        _explanation(chosen, subject, weighed.of(t), cam, target=_target(classifier, index, probabilities), facts=facts)
        for t, (index, cam) in enumerate(zip(targets, cams, strict=True))
    ]
    return results[0] if single else results


def check_settings(
    method: Method,
    *,
    score: str | None = None,
    baseline: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> ScoreKind:
    """Check what can be judged without a model, and return the score to use.

    Raises
    ------
    SettingError
    """
    if score not in (None, *SCORES):
        raise SettingError(f"unknown score {score!r}; expected probability or logit")
    if baseline is not None and baseline not in BASELINES:
        raise SettingError(f"unknown baseline {baseline!r}; expected one of {', '.join(BASELINES)}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= _MAX_SEED:
        raise SettingError(f"seed={seed!r}; expected a whole number from 0 to 2^64 − 1")
    if batch_size is not None and (not isinstance(batch_size, int | np.integer) or batch_size < 1):
        raise SettingError(f"batch_size={batch_size!r}; expected a whole number of at least 1")
    method.check_baseline(baseline)
    return method.score_kind(score)  # type: ignore[arg-type]


def _preprocessing(classifier: Classifier, name: str | os.PathLike[str] | Preprocessing | None) -> Preprocessing | None:
    if name is None:
        return classifier.preprocessing
    return classifier.choose_preprocessing(name)


def _targets(classifier: Classifier, target: Any, probabilities: NDArray[np.float64]) -> tuple[list[int], bool]:
    """Return the classes to explain, and whether one explanation or a list is wanted."""
    if target is None:
        return [int(np.argmax(probabilities))], True
    if isinstance(target, str) and (match := _TOP_N.fullmatch(target)):
        count = int(match[1])
        if count > classifier.classes:
            raise TargetError(f"target {target!r}; {classifier.name} has {classifier.classes} classes")
        return _likeliest(probabilities, count), False
    if isinstance(target, np.ndarray) and target.ndim == 0:
        target = target.item()
    if isinstance(target, str) or not isinstance(target, Sequence | np.ndarray):
        return [_index(classifier, target)], True
    indices = [_index(classifier, one) for one in target]
    if not indices:
        raise TargetError("an empty list of targets; expected at least one class")
    return list(dict.fromkeys(indices)), False


def _index(classifier: Classifier, target: Any) -> int:
    if isinstance(target, bool) or not isinstance(target, str | int | np.integer):
        raise TargetError(f"target {target!r}; expected an index, a name, topN, or a list of indices and names")
    return classifier.labels.index(target if isinstance(target, str) else int(target))


def _linear_weights(classifier: Classifier, layer: Layer, targets: list[int]) -> NDArray[np.float32] | None:
    weights = classifier.linear_head(layer)
    if weights is None:
        return None
    weights = np.concatenate([-weights, weights]) if len(weights) == 1 else weights  # one logit is two classes
    return weights[targets] if weights.shape == (classifier.classes, layer.shape[0]) else None


def _target(classifier: Classifier, index: int, probabilities: NDArray[np.float64]) -> Target:
    return Target(index, classifier.labels.name(index), float(probabilities[index]))


def _batch_warnings(classifier: Classifier, asked: int | None) -> tuple[str, ...]:
    fixed = classifier.fixed_batch
    if fixed is None or asked is None or asked == fixed:
        return ()
    return (f"the model runs at a batch of {fixed} alone: {asked} was not used",)


def _device_warnings(classifier: Classifier, scorer: Scorer) -> tuple[str, ...]:
    said = []
    if scorer.cpu_fallback_nodes:
        said.append(f"{scorer.cpu_fallback_nodes} nodes ran on the CPU, not on {classifier.provider}")
    short = sum(failure.startswith("out of memory") for failure in scorer.failures)
    if short:
        said.append(f"memory ran out {short} times: went on with a batch of {scorer.batch_size}")
    others = [failure for failure in scorer.failures if not failure.startswith("out of memory")]
    if others:
        said.append(f"{len(others)} runs failed and were repeated, the first with: {others[0]}")
    return tuple(said)


def _top(classifier: Classifier, probabilities: NDArray[np.float64]) -> tuple[Target, ...]:
    return tuple(_target(classifier, index, probabilities) for index in _likeliest(probabilities, _TOP))


def _likeliest(probabilities: NDArray[np.float64], count: int) -> list[int]:
    return [int(index) for index in np.argsort(-probabilities, kind="stable")[:count]]


def _facts_of_model(classifier: Classifier, layer: Layer, preprocessing: Preprocessing | None) -> dict[str, Any]:
    described = preprocessing.describe() if preprocessing else {"name": "none", "source": "as asked"}
    return {
        "model": str(classifier.file.path),
        "model_sha256": classifier.file.sha256,
        "layer": layer.name,
        "layer_shape": layer.shape,
        "preprocessing": {**described, "size": list(classifier.size)},
        "provider": classifier.provider,
        "versions": package_versions(),
    }


def _facts_of_picture(picture: Picture) -> dict[str, Any]:
    return {
        "image": picture.name,
        "image_sha256": picture.sha256,
        "stem": picture.stem,
        "pixels": picture.pixels,
        "geometry": picture.geometry,
    }


def _facts_of_run(
    method: Method, scorer: Scorer, kind: ScoreKind, baseline: str | None, *, tapped: bool
) -> dict[str, Any]:
    return {
        "method": method.name,
        "variant": method.variant,
        "parameters": {**method.parameters, "score": kind, "baseline": method.baseline_name(baseline)},
        "passes": scorer.passes + tapped,
        "passes_skipped": scorer.passes_skipped + (not tapped),
        "batch_size": scorer.batch_size,
        "cpu_fallback_nodes": scorer.cpu_fallback_nodes,
    }


def _explanation(
    method: Method,
    subject: Subject,
    weighed: TargetWeighed,
    cam: Floats,
    *,
    target: Target,
    facts: dict[str, Any],
) -> Explanation:
    live, alpha = ~is_dead(subject.maps), weighed.weights
    empty = not cam.any()
    warnings = (
        *facts["warnings"],
        *weighed.notes,
        *_empty_so_far(_map_warnings(method, subject, cam, alpha, live), weighed.error),
    )
    return Explanation(
        **{**facts, "warnings": warnings},
        cam=cam,
        weights=alpha.astype(np.float32),
        target=target,
        empty=empty,
        specificity=_specificity(cam, weighted_sum(live[None].astype(np.float64), subject.maps)[0]),
        **_facts_of_error(weighed.error),
    )


def _facts_of_error(error: MapError | None) -> dict[str, Any]:
    if error is None:
        return {}
    known = not np.isnan(error.relative_error)
    return {
        "error": error.deviation,
        "error_of": error.of,
        "above_average": error.above,
        "relative_error": error.relative_error if known else None,
        "relative_error_interval": (error.low, error.high) if known else None,
    }


def _specificity(cam: Floats, equal: NDArray[np.floating]) -> float | None:
    """Return ``‖n(L) − n(L_equal)‖`` (METHODS.md, "Evaluation")."""
    lengths = np.linalg.norm(cam.astype(np.float64)), np.linalg.norm(equal.astype(np.float64))
    if not all(lengths):
        return None
    return float(np.linalg.norm(cam / lengths[0] - equal / lengths[1]))


def _map_warnings(
    method: Method, subject: Subject, cam: Floats, alpha: NDArray[np.float64], live: NDArray[np.bool_]
) -> tuple[str, ...]:
    if cam.any():
        flat = cam.max() == cam.min()
        return ("the map is the same everywhere: no part of the image stands out",) if flat else ()
    if not live.any():
        cause = "every activation map of the layer is constant for this image; choose another --layer"
    elif (alpha <= 0).all():
        cause = method.why_empty(subject)
    else:
        cause = "the weighted sum of the activation maps is nowhere above zero"
    return (f"the map is empty: {cause}",)


def _empty_so_far(warnings: tuple[str, ...], error: MapError | None) -> tuple[str, ...]:
    """Say of an empty map from a part of the passes that the others may fill it."""
    if error is None or error.of != "passes left out":
        return warnings
    return tuple(f"{said}; of a part of the passes, so that more may fill it" for said in warnings)


@cache
def package_versions() -> dict[str, str]:
    """Return the versions that a map depends on."""
    import cv2
    import onnx
    import PIL

    from onnx_cam._version import __version__

    return {
        "onnx_cam": __version__,
        "onnxruntime": import_onnxruntime().__version__,
        "onnx": onnx.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "scipy": version("scipy"),
        "python": platform.python_version(),
    }
