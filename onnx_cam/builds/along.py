"""Where two builds diverge: the distance of their activations, from the input to the scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.builds.matched_tensors import match_tensors
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import one_line_text
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.tap import tap
from onnx_cam.runtime.session import Session

__all__ = ["FLOORS", "AlongTheNetwork", "TensorDistance", "compare_along"]

Floats = NDArray[np.float32]

_FARTHEST = 1e6

FLOORS = 3
"""The activations part where their distance exceeds this many noise floors."""


@dataclass(frozen=True)
class TensorDistance:
    """How far apart two builds are at a tensor that both have.

    Attributes
    ----------
    old, new : str
        The tensor's name in each build.
    op_type : str
        The operator that computes it in the old build.
    shape : tuple of int
        ``(K, h, w)``.
    distance : float
        ``‖A_new − A_old‖ / ‖A_old‖``, the median over the images.
    floor : float
        The same for the old build's own activations of the image and of the image with noise.

    Examples
    --------
    >>> TensorDistance("relu1", "relu1", "Relu", (6, 10, 10), distance=0.4, floor=0.1).parts
    True
    """

    old: str
    new: str
    op_type: str
    shape: tuple[int, int, int]
    distance: float
    floor: float

    @property
    def parts(self) -> bool:
        """Whether the distance is more than three noise floors."""
        return self.distance > FLOORS * self.floor


@dataclass(frozen=True)
class AlongTheNetwork:
    """The distance of two builds' activations at every tensor that both have.

    Attributes
    ----------
    tensors : tuple of TensorDistance
        From the input to the scores.
    images : int
        How many images the medians are over.

    Examples
    --------
    >>> early = TensorDistance("relu1", "relu1", "Relu", (6, 10, 10), distance=0.0, floor=0.1)
    >>> late = TensorDistance("relu2", "relu2", "Relu", (6, 5, 5), distance=0.4, floor=0.1)
    >>> AlongTheNetwork((early, late), images=8).first.old
    'relu2'
    """

    tensors: tuple[TensorDistance, ...]
    images: int

    @property
    def first(self) -> TensorDistance | None:
        """The first tensor at which the builds diverge; None where they do not."""
        return next((tensor for tensor in self.tensors if tensor.parts), None)

    def in_words(self) -> str:
        """Return where the builds diverge, as a sentence.

        Examples
        --------
        >>> AlongTheNetwork((TensorDistance("r1", "r1", "Relu", (6, 10, 10), 0.4, 0.1),), images=8).in_words()
        'The activations first diverge at r1 (Relu, tensor 1 of 1): their relative distance is 0.4, noise causes 0.1.'
        """
        total = len(self.tensors)
        if total == 0:
            return "No activations were compared: the builds have no tensor in common."
        first = self.first
        if first is None:
            tensors = "the only tensor" if total == 1 else f"all {total} tensors"
            return f"The activations do not diverge: at {tensors} they are within {FLOORS} noise floors."
        return (
            f"The activations first diverge at {one_line_text(first.old)} ({first.op_type}, tensor "
            f"{self.tensors.index(first) + 1} of {total}): their relative distance is {first.distance:.2g}, noise "
            f"causes {first.floor:.2g}."
        )

    def describe(self) -> dict[str, Any]:
        """Return the result as plain JSON values.

        Examples
        --------
        >>> AlongTheNetwork((), images=8).describe()
        {'first': None, 'floors': 3, 'images': 8, 'tensors': []}
        """
        return {
            "first": self.first.old if self.first else None,
            "floors": FLOORS,
            "images": self.images,
            "tensors": [
                {
                    "old": one.old,
                    "new": one.new,
                    "op_type": one.op_type,
                    "shape": list(one.shape),
                    "distance": one.distance,
                    "floor": one.floor,
                }
                for one in self.tensors
            ],
        }


def compare_along(old: Classifier, new: Classifier, inputs: Iterable[tuple[Floats, Floats, Floats]]) -> AlongTheNetwork:
    """Compare the activations of two builds at every tensor that both have.

    Parameters
    ----------
    old, new : Classifier
    inputs : iterable of (ndarray, ndarray, ndarray)
        For each image the old build's network input, the same with noise, and the new build's network input; each
        (C, H, W), float32.

    Returns
    -------
    AlongTheNetwork
        Without tensors where the builds have none in common, or there is no image.

    Raises
    ------
    ScoreError
        A model cannot run on an input.

    References
    ----------
    METHODS.md, "Two builds compared".

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> image = model.network_input("cat.jpg")
    >>> same = compare_along(model, model, [(image, image + np.float32(0.01), image)])
    >>> same.first, [tensor.distance for tensor in same.tensors]
    (None, [0.0, 0.0, 0.0, 0.0])
    """
    # Match the tensors, and make them outputs of both builds.
    pairs = match_tensors(_from_the_input(old), _from_the_input(new))
    old_layers, new_layers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    distances: list[list[tuple[float, float]]] = []  # images × tensors: the distance and the floor
    if pairs:
        old_session, new_session = _tapped(old, old_layers), _tapped(new, new_layers)
        # Run both on one image after the other: the activations of all tensors are large.
        for image, noisy, new_image in inputs:
            reference = _activations(old_session, old_layers, image)
            floors = _distances(reference, _activations(old_session, old_layers, noisy))
            changes = _distances(reference, _activations(new_session, new_layers, new_image))
            distances.append(list(zip(changes, floors, strict=True)))
    if not distances:
        return AlongTheNetwork((), 0)
    medians = np.median(np.array(distances), axis=0)  # (tensors, 2)
    return AlongTheNetwork(
        tuple(
            TensorDistance(before.name, after.name, before.op_type, before.shape, float(distance), float(floor))
            for (before, after), (distance, floor) in zip(pairs, medians, strict=True)
        ),
        len(distances),
    )


def _from_the_input(model: Classifier) -> list[Layer]:
    """Return the layers in the order of the graph, whichever is the default."""
    places = {output.name: place for place, node in enumerate(model.facts.graph.nodes) for output in node.outputs}
    return sorted(model.layers(), key=lambda layer: places[layer.name])


def _tapped(model: Classifier, layers: Sequence[Layer]) -> Session:
    return model.sessions.open(tap(model.facts.proto, [layer.tapped for layer in layers]))


def _activations(session: Session, layers: Sequence[Layer], image: Floats) -> list[Floats]:
    """Return the layers' activation maps of one image, each (K, h, w)."""
    tensors = session.run(image[None], [layer.output for layer in layers])
    return [layer.maps(tensor)[0] for layer, tensor in zip(layers, tensors, strict=True)]


def _distances(reference: Sequence[Floats], others: Sequence[Floats]) -> list[float]:
    return [relative_distance(one, other) for one, other in zip(reference, others, strict=True)]


def relative_distance(reference: Floats, other: Floats) -> float:
    """Return ``‖other − reference‖ / ‖reference‖``, at most 1e6, which also stands for what is not finite.

    Where the reference is zero everywhere, it is 0 or 1.

    Examples
    --------
    >>> relative_distance(np.float32([3, 4]), np.float32([3, 5]))
    0.2
    >>> relative_distance(np.zeros(2, np.float32), np.float32([0, 5]))
    1.0
    >>> relative_distance(np.float32([3, 4]), np.float32([3, np.inf]))
    1000000.0
    """
    length, difference = _length(reference), _length(other - reference)
    if not length:
        return float(difference > 0)
    distance = difference / length
    return _FARTHEST if math.isnan(distance) else min(distance, _FARTHEST)


def _length(values: Floats) -> float:
    flat = values.ravel()
    return math.sqrt(float(np.dot(flat, flat)))  # in float32: a copy of all activations in float64 takes longer
