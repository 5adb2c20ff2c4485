"""A model, an image and a method: the explanation.

:func:`explain` is the whole way from the image to the result; each of its stages is one call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.loading import load
from onnx_cam.classifier.model_gradients import GradientChoice, GradientPath
from onnx_cam.classifier.sessions import Activations
from onnx_cam.errors import SettingError
from onnx_cam.explanation.provenance import AppliedMethod, Cost, ExplainedImage, ExplainedModel
from onnx_cam.explanation.result import Explanation
from onnx_cam.explanation.targets import Target, likeliest, resolve_targets, resolve_versus
from onnx_cam.explanation.versions import package_versions
from onnx_cam.explanation.warnings import (
    batch_warnings,
    device_warnings,
    geometry_warnings,
    map_warnings,
    random_warnings,
)
from onnx_cam.graph.layer import Layer
from onnx_cam.image.baselines import make_baseline
from onnx_cam.image.picture import Picture
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.methods import Method, Subject, make_method
from onnx_cam.methods.weights import Weighed, weighted_sum
from onnx_cam.names import BASELINES, GRADIENTS, SCORES
from onnx_cam.runtime.map_distance import unit_distance
from onnx_cam.runtime.masks import is_dead
from onnx_cam.runtime.memory import names_lack_of_memory
from onnx_cam.runtime.scored_classes import ScoredClasses
from onnx_cam.runtime.scorer import Progress, Scorer
from onnx_cam.runtime.scores import ScoreKind

if TYPE_CHECKING:
    from onnx_cam.explanation.targets import TargetLike, TargetList, TopN, Versus
    from onnx_cam.graph.read import ModelSource
    from onnx_cam.image.picture import ImageLike

__all__ = ["check_settings", "explain"]

Floats = NDArray[np.float32]

_MAX_SEED = 2**64 - 1
_TOP = 5


class Settings(TypedDict, total=False):
    """Everything that :func:`explain` takes beside the model, the image and the target; it has the descriptions."""

    method: str | Method
    versus: Versus | None
    layer: str | Layer | None
    variant: str | None
    samples: int | None
    sigma: float | None
    seed: int
    score: ScoreKind | None
    baseline: str | None
    preprocess: str | os.PathLike[str] | Preprocessing | None
    batch_size: int | None
    budget: int | float | str | None
    tolerance: float | None
    gradients: GradientPath
    progress: Progress | None


# Several classes: a list, or one of the usual topN, which are strings as names are.
@overload
def explain(  # type: ignore[overload-overlap]
    model: Classifier | ModelSource,
    image: ImageLike | Picture,
    *,
    target: TopN | TargetList,
    **settings: Unpack[Settings],
) -> list[Explanation]: ...


# One class: an index, a name, or the likeliest.
@overload
def explain(
    model: Classifier | ModelSource,
    image: ImageLike | Picture,
    *,
    target: TargetLike | None = None,
    **settings: Unpack[Settings],
) -> Explanation: ...


# What is only known when the program runs.
@overload
def explain(
    model: Classifier | ModelSource,
    image: ImageLike | Picture,
    *,
    target: TargetLike | Sequence[TargetLike] | TargetList | None,
    **settings: Unpack[Settings],
) -> Explanation | list[Explanation]: ...


@names_lack_of_memory()
def explain(
    model: Classifier | ModelSource,
    image: ImageLike | Picture,
    *,
    method: str | Method = "scorecam",
    target: TargetLike | Sequence[TargetLike] | TargetList | None = None,
    versus: Versus | None = None,
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
    gradients: GradientPath = "auto",
    progress: Progress | None = None,
) -> Explanation | list[Explanation]:
    """Explain the decision of a classifier for an image: which pixels it rests on.

    Parameters
    ----------
    model : Classifier, path, bytes or onnx.ModelProto
        What :func:`onnx_cam.load` returned, or a model to load with its default settings.
    image : path, bytes, file object, ndarray or PIL image
        The path, the bytes or a binary file object of an image file; an ``(H, W, 3)`` RGB array of uint8 or uint16,
        also grey ``(H, W)`` or RGBA ``(H, W, 4)``; a PIL image; or, with ``preprocess="none"``, the network's input: an
        array ``(C, H, W)`` or ``(1, C, H, W)``, or a ``.npy`` file with one. A file object is read from where it
        stands.
    method : str or Method
        A name in :data:`onnx_cam.METHODS`, or a method object.
    target : int, str, or sequence of them, optional
        An index, a name, or ``topN``; the likeliest class by default. A class that a list names twice counts once.
    versus : int or str, optional
        Explain the target against this class: why A rather than B. An index, a name, or ``"next"``, the likeliest class
        other than the target (each target's own, where there are several). It takes no extra forward pass. The score
        is then the difference of the two logits; with ``score="probability"``, or where the graph has no logits, the
        target's share of the two probabilities.
    layer : str or Layer, optional
        A layer's output tensor or node; the last spatial one by default.
    variant, samples, sigma : optional
        The method's settings; by default the method's and the variant's own.
    seed : int
        The seed of the noise, from 0 to 2^64 − 1.
    score : {"probability", "logit"}, optional
        What f^c is; by default what the variant is defined on, otherwise the probability, or the logit with `versus`.
        Of a raw head it is always the output's own number.
    baseline : {"zero", "black", "mean", "blur"}, optional
        X_b; zero by default.
    preprocess : str, path or Preprocessing, optional
        In place of the model's own, for this image.
    batch_size : int, optional
        Inputs a run; it never changes the map. By default it is measured, and halved when memory runs out. A model with
        a fixed batch runs at that.
    budget : int, float or str, optional
        How many inputs to score: a number (``200``), or a share of those that an exact map takes (``0.1``, ``"10%"``).
        The other channels' scores are predicted from these. Two forward passes, for the layer and the baseline, come
        on top. For methods and variants whose weights are means of scores.
    tolerance : float, optional
        Stop as soon as the upper end of the relative error's interval is at most this, from 0 to below 1; with a
        budget, at the latest when that is used up.
    gradients : {"auto", "onnx", "torch"}
        What computes the gradients of a gradient method: ONNX Runtime, as a graph (``onnx``), or torch. ``auto`` takes
        torch, where it is installed, for a model with an operator whose gradient the graph lacks.
    progress : callable, optional
        Called with the forward passes done, and the forward passes known to be needed.

    Returns
    -------
    Explanation, or list of Explanation
        A list, from the same forward passes, where `target` is a list or ``topN``.

    Raises
    ------
    OnnxCamError
        As its subclass says; see :mod:`onnx_cam.errors`.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> result = onnx_cam.explain(model, "cat.jpg", method="sscam2", samples=4)
    >>> result.target.label, result.map.shape, result.passes
    ('cat', (36, 48), 18)
    >>> [one.target.label for one in onnx_cam.explain(model, "cat.jpg", target=["cat", "dog"])]
    ['cat', 'dog']
    >>> onnx_cam.explain(model, "cat.jpg", target="cat", versus="dog").versus.label
    'dog'
    """
    # Judge the settings first: what is wrong there costs no model and no image.
    chosen = make_method(
        method, versus=versus, variant=variant, samples=samples, sigma=sigma, budget=budget, tolerance=tolerance
    )
    score_kind = check_settings(
        chosen, score=score, baseline=baseline, seed=seed, batch_size=batch_size, gradients=gradients
    )
    # The model, and the image as the network's input X: (C, H, W). A comparison hands over an image that is open.
    classifier = model if isinstance(model, Classifier) else load(model)
    score_kind = _scored_as(classifier, chosen, score_kind, score)
    preprocessing = classifier.preprocessing_for(preprocess)
    picture = image if isinstance(image, Picture) else classifier.open_picture(image, preprocessing)
    started = time.perf_counter()
    with classifier.in_use:
        # One forward pass with the layer tapped: the activation maps A (K, h, w), and the probabilities (classes,).
        # A gradient method needs more of the same run: what the part of the model behind the layer reads.
        tapped_layer = classifier.layer(layer)
        choice = classifier.gradients.choose(tapped_layer, gradients) if chosen.needs_gradient else None
        activations = classifier.sessions.activations(
            tapped_layer, picture.network_input, with_logits=chosen.needs_logits
        )
        # The T classes to explain, from those probabilities, and the class that each is contrasted with, if any.
        targets, is_single = resolve_targets(classifier, target, activations.probabilities)
        opponents, notes = resolve_versus(classifier, chosen.other_class, targets, activations.probabilities)
        # The baseline X_b: (C, H, W).
        baseline_image = make_baseline(baseline or "zero", picture.network_input, preprocessing)
        scorer = Scorer(
            classifier.sessions,
            picture.network_input,
            targets,
            baseline_image,
            versus=opponents,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
            image_name=picture.stem,
        )
        subject = Subject(
            activations.maps,
            scorer,
            score_kind,
            ScoredClasses(targets, opponents).logit_sums(classifier.classes),
            linear_head=partial(_linear_weights, classifier, tapped_layer),
            gradient=partial(classifier.gradients.of_sums, tapped_layer, path=choice.path) if choice else None,
            logits=activations.logits,
            frame=tapped_layer.geometry.frame,
        )
        # The method scores its schedule of masked images, and reduces the scores to weights α: (T, K).
        weighed = chosen.weigh(subject)
        # The maps L = ReLU(Σ_k α_k A_k), (T, h, w), and how they were made.
        cams = chosen.combine(subject, weighed.weights).astype(np.float32)
        seconds = time.perf_counter() - started
    results = _Results(
        classifier=classifier,
        method=chosen,
        subject=subject,
        weighed=weighed,
        activations=activations,
        explained_model=_explained_model(classifier, tapped_layer, preprocessing),
        explained_image=_explained_image(picture, tapped_layer),
        applied_method=_applied_method(chosen, _score_name(classifier, score_kind), baseline, seed, choice),
        cost=_cost(scorer, activations, weighed, seconds),
        versus=opponents,
        warnings=(
            *notes,
            *random_warnings(classifier),
            *(preprocessing.notes if preprocess is not None and preprocessing is not None else ()),
            *picture.notes,
            *geometry_warnings(tapped_layer),
            *batch_warnings(classifier, batch_size),
            *device_warnings(classifier.provider, scorer),
            *weighed.notes,
            *filter(None, [choice and choice.note]),
        ),
    )
    explanations = [results.explanation(t, index, cams[t]) for t, index in enumerate(targets)]
    return explanations[0] if is_single else explanations


def check_settings(
    method: Method,
    *,
    score: str | None = None,
    baseline: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    gradients: str = "auto",
) -> ScoreKind:
    """Check what can be judged without a model, and return the score to use.

    Raises
    ------
    SettingError

    Examples
    --------
    >>> from onnx_cam.methods import ScoreCAM
    >>> check_settings(ScoreCAM(variant="torchcam"))
    'logit'
    """
    if score is not None and score not in SCORES:
        raise SettingError(f"unknown score {score!r}: expected probability or logit")
    if baseline is not None and baseline not in BASELINES:
        raise SettingError(f"unknown baseline {baseline!r}: expected one of {', '.join(BASELINES)}")
    if gradients not in GRADIENTS:
        raise SettingError(f"unknown gradients {gradients!r}: expected one of {', '.join(GRADIENTS)}")
    if gradients != "auto" and not method.needs_gradient:
        raise SettingError(f"{method.name} needs no gradient; leave out gradients={gradients}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= _MAX_SEED:
        raise SettingError(f"invalid seed={seed!r}: expected a whole number from 0 to 2^64 − 1")
    if batch_size is not None and (not isinstance(batch_size, int | np.integer) or batch_size < 1):
        raise SettingError(f"invalid batch_size={batch_size!r}: expected a whole number of at least 1")
    method.check_baseline(baseline)
    return method.score_kind(score)  # type: ignore[arg-type]


def _scored_as(classifier: Classifier, method: Method, score_kind: ScoreKind, requested: str | None) -> ScoreKind:
    """Return the score to use on a model, as its head allows.

    Raises
    ------
    SettingError
        The model has no such score.
    """
    if classifier.head.kind.gives_probabilities:
        # The contrast of two classes is that of their logits, wherever there are any.
        is_free = requested is None and method.wiring.score != "logit"
        if is_free and method.other_class is not None and classifier.head.logits:
            return "logit"
        if score_kind == "logit":
            classifier.check_logits()
        return score_kind
    # Of a raw head f is the number itself: the tensor of the logits holds it, and it is what gradients are taken of.
    if requested == "probability" or method.needs_probabilities:
        setting = "score=probability" if requested == "probability" else method.name
        raise SettingError(
            f"{classifier.name} gives numbers that are not probabilities (head raw), which {setting} needs; leave it "
            "out, or say with --head what the numbers are"
        )
    return "logit"


def _score_name(classifier: Classifier, score_kind: ScoreKind) -> str:
    """Return what f^c is, for the record."""
    return score_kind if classifier.head.kind.gives_probabilities else "raw"


@dataclass(frozen=True)
class _Results:
    """What the explanations of one call share."""

    classifier: Classifier
    method: Method
    subject: Subject
    weighed: Weighed
    activations: Activations
    explained_model: ExplainedModel
    explained_image: ExplainedImage
    applied_method: AppliedMethod
    cost: Cost
    versus: Sequence[int]
    warnings: tuple[str, ...]

    def explanation(self, t: int, index: int, cam: Floats) -> Explanation:
        """Return the explanation of one target, the t-th, with its map (h, w)."""
        weighed = self.weighed.of(t)
        live = ~is_dead(self.subject.maps)
        equal_map = weighted_sum(live[None].astype(np.float64), self.subject.maps)[0]
        own_warnings = map_warnings(self.method, self.subject, cam, weighed)
        return Explanation(
            cam=cam,
            weights=weighed.weights.astype(np.float32),
            target=self._target(index),
            versus=self._target(self.versus[t]) if self.versus else None,
            top=tuple(self._target(i) for i in likeliest(self.activations.probabilities, _TOP)),
            specificity=unit_distance(cam, equal_map),
            explained_model=self.explained_model,
            explained_image=self.explained_image,
            applied_method=self.applied_method,
            cost=self.cost,
            map_error=weighed.error,
            warnings=(*self.warnings, *weighed.notes, *own_warnings),
        )

    def _target(self, index: int) -> Target:
        return Target(index, self.classifier.labels.name(index), float(self.activations.probabilities[index]))


def _linear_weights(classifier: Classifier, layer: Layer) -> Floats | None:
    """Return ``w_k^c`` of every class, (classes, K); None where no linear layer follows the layer's global average."""
    weights = classifier.linear_head(layer)
    if weights is None:
        return None
    weights = np.concatenate([-weights, weights]) if classifier.facts.is_binary else weights  # one logit, two classes
    return weights if weights.shape == (classifier.classes, layer.shape[0]) else None


def _explained_model(classifier: Classifier, layer: Layer, preprocessing: Preprocessing | None) -> ExplainedModel:
    described = preprocessing.describe() if preprocessing else {"name": "none", "source": "as requested"}
    return ExplainedModel(
        path=None if classifier.file.path is None else str(classifier.file.path),
        sha256=classifier.file.sha256,
        constants=classifier.facts.prepared.describe_constants(),
        custom_ops=classifier.sessions.opener.libraries,
        layer=layer.name,
        layer_shape=layer.shape,
        preprocessing={**described, "size": list(classifier.size)},
        provider=classifier.provider,
        versions=package_versions(),
    )


def _explained_image(picture: Picture, layer: Layer) -> ExplainedImage:
    return ExplainedImage(
        name=picture.name,
        sha256=picture.sha256,
        stem=picture.stem,
        pixels=picture.pixels,
        geometry=picture.geometry.seen_by(layer.geometry.frame),
    )


def _applied_method(
    method: Method, score_name: str, baseline: str | None, seed: int, choice: GradientChoice | None
) -> AppliedMethod:
    own = {name: value for name, value in method.parameters.items() if name != "versus"}  # the record has it as a class
    parameters = {**own, "score": score_name, "baseline": method.baseline_name(baseline)}
    if choice is not None:
        parameters["gradients"] = choice.path
    return AppliedMethod(name=method.name, variant=str(method.variant), parameters=parameters, seed=seed)


def _cost(scorer: Scorer, activations: Activations, weighed: Weighed, seconds: float) -> Cost:
    return Cost(
        passes=scorer.passes + activations.ran,
        passes_skipped=scorer.passes_skipped + (not activations.ran),
        exact_passes=weighed.exact_passes,
        seconds=seconds,
        batch_size=scorer.batch_size,
        streams=scorer.streams,
        cpu_fallback_nodes=scorer.cpu_fallback_nodes,
    )
