"""The gradient at a layer, computed by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.classifier.tensor_facts import find_tensor_facts
from onnx_cam.graph.backward import SEED, Border, TensorFacts, find_gradient, path_to_layer
from onnx_cam.graph.backward.backward_model import backward_model
from onnx_cam.runtime.gradient_session import GradientSession
from onnx_cam.runtime.session import Session

if TYPE_CHECKING:
    from onnx_cam.classifier.facts import BatchFacts
    from onnx_cam.classifier.sessions import SessionOpener

__all__ = ["LayerGradient"]

Floats = NDArray[np.float32]


class LayerGradient:
    """The way back from the logits to a layer, as a session of its own.

    The network is run forwards once, by a session that also gives the tensors at the border: those that the way back
    reads. Several targets share that run.

    Parameters
    ----------
    opener : SessionOpener
    proto : onnx.ModelProto
        The model that is run, without local functions.
    layer, logits : str or Dequantized
        Tensors of its graph.
    batch : BatchFacts
        How many images the model takes at once.
    images : ndarray of shape (2, C, H, W), float32
        Trial images, for the shapes of the tensors in between.
    open_session : callable
        Loads a rewritten model, for a run.

    Attributes
    ----------
    border : tuple of str
        The tensors that it takes from a run of the network.
    facts : mapping of str to TensorFacts
        What a run told of the tensors in between.

    Raises
    ------
    LayerError
        The logits do not depend on the layer.
    MissingRuleError
        The gradient of an operator in between is not known.
    """

    def __init__(
        self,
        opener: SessionOpener,
        proto: onnx.ModelProto,
        layer: Border,
        logits: Border,
        *,
        batch: BatchFacts,
        images: Floats,
        open_session: Callable[[onnx.ModelProto], Session],
    ) -> None:
        path = path_to_layer(proto, layer, logits, opener.name)
        fixed = 1 if batch.mixes_images and batch.fixed is None else batch.fixed
        self.facts: Mapping[str, TensorFacts] = find_tensor_facts(
            proto,
            path,
            images=images,
            fixed_batch=fixed,
            weights=opener.weights,
            open_session=open_session,
        )
        gradient = find_gradient(proto, layer, logits, self.facts, opener.name)
        model = backward_model(proto, gradient, self.facts)
        self.border = model.border
        self._session = GradientSession(
            opener.open_rewritten(model.proto, opener.threads),
            seed=SEED,
            gradient=gradient.output,
            name=opener.name,
        )

    def run(self, border: Mapping[str, NDArray[Any]], seeds: Floats) -> Floats:
        """Return the gradient at the layer, in its tensor's shape, for seeds of shape (N, classes)."""
        return self._session.run(border, seeds)
