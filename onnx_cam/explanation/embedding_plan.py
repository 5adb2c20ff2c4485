"""What a model's own heatmap is made of: method, layer, and the shapes in between as the deployed file has them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.facts import BatchFacts
from onnx_cam.classifier.tensor_facts import find_tensor_facts
from onnx_cam.errors import LayerError, ModelError, ScoreError
from onnx_cam.graph.backward import path_to_layer
from onnx_cam.graph.external_data import stored_array
from onnx_cam.graph.heatmap import HeatmapPlan, Upsampling
from onnx_cam.graph.inline import inline_functions
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.linear_head import LinearHead
from onnx_cam.runtime.masks import corner_matrix, interpolation_matrix

__all__ = ["deployed_batch", "deployed_model", "make_plan"]


def deployed_model(model: Classifier) -> onnx.ModelProto:
    """Return a copy of the model as its file holds it, its local functions replaced by their nodes.

    That is not what the classifier runs: there, a fixed batch is freed, and inputs beside the image are constants.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(inline_functions(model.file.proto, model.name))
    if not proto.metadata_props:
        proto.metadata_props.extend(model.file.proto.metadata_props)
    return proto


def deployed_batch(model: Classifier) -> BatchFacts:
    """Return how many images the deployed file takes at once."""
    batch = model.facts.batch
    return replace(batch, fixed=model.input.batch or batch.fixed)


def make_plan(
    model: Classifier,
    proto: onnx.ModelProto,
    *,
    method: str | None,
    target: int | str,
    resolution: str,
    layer: Layer,
) -> HeatmapPlan:
    """Return what a heatmap is made of.

    Parameters
    ----------
    model : Classifier
    proto : onnx.ModelProto
        As `deployed_model` returned it.
    method : str or None
        By default ``cam`` where the layer allows it, ``gradcam`` elsewhere.
    target : int or {"top1", "input"}
    resolution : {"layer", "input"}
    layer : Layer

    Raises
    ------
    LayerError
        The layer does not lead to the logits, or does not suit the method.
    ModelError
        The images of a batch change each other's gradients.
    SettingError
        There are no logits.
    """
    if layer.blocked is not None:
        raise LayerError(
            f"layer {layer.name!r} of {model.name} is stored in blocks of channels, ONNX Runtime's own order, and a "
            "heatmap is made of ONNX's operators alone; export the model that was optimised to this one"
        )
    model.check_logits()
    linear = model.linear_layer(layer)
    method = method or ("cam" if linear is not None else "gradcam")
    batch = deployed_batch(model)
    if method == "cam" and linear is None:
        raise LayerError(
            f"cam needs a layer that is followed by global average pooling and one linear layer, and {layer.name!r} of "
            f"{model.name} is not; choose another --layer, or use gradcam, which gives the same map there"
        )
    if method != "cam" and _mixes_images(model):
        raise ModelError(
            f"the images of a batch change each other's scores in {model.name}, so that the gradients of one cannot be "
            "told from the others'; use cam, or fix the batch of the model to 1"
        )
    # The shapes of the tensors between the layer and the logits, by runs of the deployed graph at its own batch.
    logits = model.head.tapped_logits
    path = path_to_layer(proto, layer.quantization or layer.name, logits, model.name)
    prepared = model.facts.prepared
    facts = find_tensor_facts(
        proto,
        path,
        images=model.trial_images(2),
        fixed_batch=1 if batch.mixes_images and batch.fixed is None else batch.fixed,
        weights=model.file.weights,
        open_session=lambda tapped: model.sessions.opener.open(prepared.with_proto(tapped), batch, optimise=False),
    )
    return HeatmapPlan(
        method=method,
        target=target,
        layer=layer,
        head=model.head,
        classes=model.classes,
        binary=model.facts.is_binary,
        facts=facts,
        batch=_declared_batch(model),
        upsampling=_upsampling(layer, model.size) if resolution == "input" else None,
        linear=linear if method == "cam" else None,
        stored_weights=_stored_weights(model, proto, linear),
    )


def _mixes_images(model: Classifier) -> bool:
    """Whether the deployed file takes several images at once, and their scores then differ from those of each alone."""
    batch = model.facts.batch
    if model.input.batch is not None or batch.fixed is None:
        return batch.mixes_images
    # The file leaves the batch free, and a trial found that several images fail, or change their scores.
    session = model.sessions.opener.open(model.facts.prepared.file.proto, optimise=False)
    try:
        session.run_once(model.trial_images(2), [model.head.output])
    except ScoreError:
        return False
    return True


def _declared_batch(model: Classifier) -> int | str | None:
    """Return the first size of the input that takes the image, as the file declares it."""
    if model.input.batch is not None:
        return model.input.batch
    info = next(info for info in model.file.proto.graph.input if info.name == model.input.name)
    return info.type.tensor_type.shape.dim[0].dim_param or None


def _upsampling(layer: Layer, size: tuple[int, int]) -> Upsampling:
    """Return U for a layer's maps, as `onnx_cam.runtime.masks` computes it."""
    _, height, width = layer.shape
    frame = layer.geometry.frame
    return Upsampling(
        rows=interpolation_matrix(height, size[0], span=frame.rows),
        columns=np.ascontiguousarray(interpolation_matrix(width, size[1], span=frame.columns).T),
        inner_rows=corner_matrix(height, size[0], False, frame.rows).astype(np.float32),
        inner_columns=np.ascontiguousarray(corner_matrix(width, size[1], False, frame.columns).T, np.float32),
    )


def _stored_weights(
    model: Classifier, proto: onnx.ModelProto, linear: LinearHead | None
) -> np.typing.NDArray[np.generic] | None:
    """Return the initializer that holds the linear layer's weights, where one does."""
    if linear is None:
        return None
    tensor = next((one for one in proto.graph.initializer if one.name == linear.stored), None)
    return None if tensor is None else stored_array(tensor, model.file.weights)
