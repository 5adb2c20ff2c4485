"""The gradients of a model's logits at its layers, by ONNX Runtime or by torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.classifier.facts import ModelFacts
from onnx_cam.classifier.layer_gradient import LayerGradient
from onnx_cam.classifier.sessions import ModelSessions
from onnx_cam.classifier.trial_images import trial_images
from onnx_cam.errors import MissingRuleError, TargetError
from onnx_cam.graph.backward import TensorFacts
from onnx_cam.graph.inline import inline_functions
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.tap import tap
from onnx_cam.runtime.scored_classes import ScoredClasses

if TYPE_CHECKING:
    from onnx_cam.gradients import GraphModule

__all__ = ["FoundGradients", "GradientChoice", "GradientPath", "ModelGradients"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

GradientPath = Literal["auto", "onnx", "torch"]
"""What may be requested to compute gradients."""


@dataclass(frozen=True)
class GradientChoice:
    """What computes the gradients at a layer.

    Attributes
    ----------
    path : {"onnx", "torch"}
        ONNX Runtime, or torch.
    note : str or None
        Why torch, where that was not requested.
    """

    path: Literal["onnx", "torch"]
    note: str | None = None


@dataclass(frozen=True, eq=False)
class FoundGradients:
    """Gradients, and what they took.

    Attributes
    ----------
    values : ndarray of shape (B, T, K, h, w), float32
        ``∂Y/∂A_k`` for each image and each sum of logits Y.
    passes : int
        Forward passes that were run for them.
    """

    values: Floats
    passes: int


class ModelGradients:
    """The gradients of a model's logits at its layers; what the last layer needs is kept.

    Parameters
    ----------
    facts : ModelFacts
    sessions : ModelSessions
        They run the model forwards.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> layer, image = model.layer(), model.network_input("cat.jpg")
    >>> model.gradients.choose(layer).path
    'onnx'
    >>> found = model.gradients.at(layer, image[None], targets=[0, 2], path="onnx")
    >>> found.values.shape, found.passes  # behind global average pooling the weights are enough
    ((1, 2, 6, 5, 5), 0)
    """

    def __init__(self, facts: ModelFacts, sessions: ModelSessions) -> None:
        self._facts = facts
        self._sessions = sessions
        self._last_graph: tuple[str, LayerGradient] | None = None
        self._last_module: tuple[str, GraphModule] | None = None

    def choose(self, layer: Layer, requested: GradientPath = "auto") -> GradientChoice:
        """Settle what computes the gradients at a layer: ONNX Runtime, or torch where an operator has no rule.

        Parameters
        ----------
        layer : Layer
        requested : {"auto", "onnx", "torch"}

        Raises
        ------
        MissingExtraError
            torch is requested, and not installed.
        MissingRuleError
            An operator has no rule, and torch is not installed, or ``onnx`` was requested.
        LayerError
            The logits do not depend on the layer, or the gradient ends on the way.
        """
        if requested == "torch":
            self._module(layer)
            return GradientChoice("torch")
        try:
            self._graph(layer)
        except MissingRuleError as error:
            if requested == "onnx":
                raise
            if find_spec("torch") is None:
                raise MissingRuleError(f"{error}; or install torch: pip install 'onnx-cam[torch]'") from error
            self._module(layer)
            return GradientChoice("torch", f"the gradients are computed by torch: {error}")
        return GradientChoice("onnx")

    def at(
        self, layer: Layer, images: Floats, targets: Sequence[int], path: Literal["onnx", "torch"]
    ) -> FoundGradients:
        """Return ``∂Y^c/∂A_k`` for each target's logit.

        Parameters
        ----------
        layer : Layer
        images : ndarray of shape (B, C, H, W), float32
        targets : sequence of int
            The T classes.
        path : {"onnx", "torch"}
            As `choose` settled it.

        Raises
        ------
        TargetError
            There is no such class.
        OnnxCamError
            As for `of_sums`.
        """
        for target in targets:
            if not 0 <= target < self._facts.classes:
                raise TargetError(
                    f"no class {target} in {self._sessions.opener.name}; expected one from 0 to "
                    f"{self._facts.classes - 1}"
                )
        return self.of_sums(layer, images, ScoredClasses(targets).logit_sums(self._facts.classes), path)

    def of_sums(
        self, layer: Layer, images: Floats, logit_sums: Doubles, path: Literal["onnx", "torch"]
    ) -> FoundGradients:
        """Return the gradients at a layer of sums of logits: of one, of the difference of two, or of more.

        Parameters
        ----------
        layer : Layer
        images : ndarray of shape (B, C, H, W), float32
        logit_sums : ndarray of shape (T, classes), float64
            The coefficient of each class's logit.
        path : {"onnx", "torch"}
            As `choose` settled it.

        Raises
        ------
        ModelError
            The graph holds an operator without a rule.
        LayerError
            The logits do not depend on the layer, or the gradient ends on the way.
        ScoreError
            The runtime failed.
        """
        if path == "torch":
            found = np.stack([self._by_torch(layer, image, logit_sums) for image in images])
            return FoundGradients(found, len(images))
        graph = self._graph(layer)
        # The two classes of a single logit z have the logits −z and z.
        outputs = logit_sums[:, 1:] - logit_sums[:, :1] if self._facts.is_binary else logit_sums
        seeds = outputs.astype(np.float32)  # (T, outputs)
        batch = self._facts.batch
        step = 1 if batch.mixes_images else batch.fixed or len(images)
        parts = [images[start : start + step] for start in range(0, len(images), step)]
        batches = [self._of_batch(graph, layer, part, seeds) for part in parts]
        values = np.concatenate([one.values for one in batches])
        return FoundGradients(values, sum(one.passes for one in batches))

    def tensor_facts(self, layer: Layer) -> Mapping[str, TensorFacts]:
        """Return what a run tells of the tensors between a layer and the logits."""
        return self._graph(layer).facts

    def _of_batch(self, graph: LayerGradient, layer: Layer, images: Floats, seeds: Floats) -> FoundGradients:
        """Return the gradients for images of one batch."""
        batch = self._facts.batch
        # One run forwards, and one backwards for each sum: (size, T, K, h, w).
        border, passes = self._sessions.border(layer, images, graph.border)
        gradients = []
        for seed in seeds:
            rows = np.zeros((batch.fixed or len(images), len(seed)), np.float32)
            rows[: len(images)] = seed  # the padding of a fixed batch has none
            gradients.append(layer.maps(graph.run(border, rows)))
        found = np.stack(gradients, axis=1)
        found = found.sum(axis=0, keepdims=True) if batch.mixes_images else found[: len(images)]
        return FoundGradients(found, passes)

    def _graph(self, layer: Layer) -> LayerGradient:
        if self._last_graph is None or self._last_graph[0] != layer.name:
            facts, opener = self._facts, self._sessions.opener
            self._last_graph = None  # its memory is to be freed first
            graph = LayerGradient(
                opener,
                inline_functions(facts.proto, opener.name),
                layer.quantization or layer.name,
                facts.head.tapped_logits,
                batch=facts.batch,
                images=trial_images(facts.input, facts.size, 2, facts.preprocessing),
                open_session=partial(self._sessions.open, optimise=False),
            )
            self._last_graph = layer.name, graph
            self._sessions.fetch_with(layer, graph.border)
        return self._last_graph[1]

    def _by_torch(self, layer: Layer, image: Floats, logit_sums: Doubles) -> Floats:
        """Return the gradients for one image (C, H, W) by the graph as a torch module, (T, K, h, w)."""
        from onnx_cam.gradients import layer_gradients

        facts = self._facts
        batch = np.repeat(image[None], facts.batch.fixed or 1, axis=0)
        classes = np.flatnonzero(logit_sums.any(axis=0))  # those that any sum holds
        _, gradients = layer_gradients(
            self._module(layer),
            facts.input.feed(batch).astype(np.float32),
            layer.quantization or layer.name,
            facts.head.tapped_logits,
            classes.tolist(),
            binary=facts.is_binary,
        )
        maps = layer.maps(gradients.sum(axis=1))  # (n, K, h, w); every image of a fixed batch is this one
        return np.tensordot(logit_sums[:, classes], maps, axes=1).astype(np.float32)

    def _module(self, layer: Layer) -> GraphModule:
        """Return the graph as a torch module; the last layer's is kept."""
        from onnx_cam.gradients import GraphModule

        if self._last_module is None or self._last_module[0] != layer.name:
            opener = self._sessions.opener
            proto: onnx.ModelProto = tap(self._facts.proto, [layer.tapped, self._facts.head.tapped_logits])
            self._last_module = layer.name, GraphModule(proto, name=opener.name, weights=opener.weights)
        return self._last_module[1]
