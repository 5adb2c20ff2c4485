"""A written model is run against the one that it was made from, and its heatmaps against `explain`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.exporting import by_chance, same_outputs
from onnx_cam.errors import ModelError
from onnx_cam.explanation.embedding_plan import deployed_batch
from onnx_cam.explanation.explaining import explain
from onnx_cam.graph.external_data import WeightSource
from onnx_cam.graph.frame import WHOLE
from onnx_cam.graph.heatmap import CLASS, HEATMAP, TARGET, HeatmapPlan
from onnx_cam.methods import METHODS
from onnx_cam.runtime.device_session import as_feed, open_device_session, run_error
from onnx_cam.runtime.masks import Masking, masks

__all__ = ["Proof", "prove_heatmap"]

Floats = NDArray[np.float32]

_IMAGES = 3
_MOST_DIFFERENCE = 1e-3  # of a heatmap from 0 to 1
_MOST_DIFFERENCE_OF_COARSE_NUMBERS = 2e-2  # of float16 and integers, whose rounding depends on what is fused


@dataclass(frozen=True)
class Proof:
    """How a written model compares with the one that it was made from, on trial images.

    Attributes
    ----------
    outputs : float
        The largest difference of an output's number, relative to the output's largest.
    heatmap : float
        The largest difference of a heatmap from `explain`'s, both from 0 to 1.
    is_fused_otherwise : bool
        Whether outputs differ because ONNX Runtime fuses other operators than before, as it may in a quantized model;
        without its graph optimisations they are the same.
    """

    outputs: float
    heatmap: float
    is_fused_otherwise: bool = False


def prove_heatmap(model: Classifier, written: onnx.ModelProto, plan: HeatmapPlan, weights: WeightSource) -> Proof:
    """Run a written model on trial images, and compare it with the original and with `explain`.

    Parameters
    ----------
    model : Classifier
        The original.
    written : onnx.ModelProto
        As it was read back.
    plan : HeatmapPlan
    weights : Path or None
        Where the written model's external weights lie.

    Raises
    ------
    ModelError
        An output changed, or a heatmap is not the one that `explain` makes.
    """
    images = model.trial_images(_IMAGES)
    requested = _requested(plan, len(images))
    names = [output.name for output in model.file.proto.graph.output]
    changed = _Deployed(model, written, weights)
    # Its own outputs: those of the original, at least as the graph says, before the runtime rewrites it.
    old = _Deployed(model, model.file.proto, model.file.weights).run_all(names, images, requested)
    new = changed.run_all(names, images, requested)
    is_fused_otherwise = not _are_same(old, new)
    if is_fused_otherwise and not _are_same_without_optimisations(model, written, weights, images, requested):
        raise ModelError(
            f"with a heatmap, the outputs of {model.name} change{by_chance(model)}; nothing was written: choose "
            "another --layer or --method"
        )
    outputs = max((_relative_difference(*pair) for pair in zip(old, new, strict=True)), default=0.0)
    # Its heatmaps and their classes: those of `explain`, for each image alone and for all of them together.
    expected = [_explained(model, plan, image, target) for image, target in zip(images, requested, strict=True)]
    heatmap = 0.0
    for part in _batches(model, len(images)):
        maps, classes = changed.run([HEATMAP, CLASS], images[part], requested[part])
        for (map_, index), new_map, new_index in zip(expected[part], maps, classes, strict=False):  # it may be padded
            difference = float(np.abs(new_map - map_).max())
            if new_index != index or not difference <= _most_difference(model, plan):
                raise ModelError(
                    f"the heatmap of {plan.method} that {model.name} computes itself differs from that of onnx-cam "
                    f"explain by {difference:.2g} (of 1), for class {new_index} instead of {index}{by_chance(model)}; "
                    "nothing was written: choose another --layer or --method"
                )
            heatmap = max(heatmap, difference)
    return Proof(outputs, heatmap, is_fused_otherwise)


class _Deployed:
    """A model as it is deployed, at its own batch, with the values that were given to inputs beside the image."""

    def __init__(
        self, model: Classifier, proto: onnx.ModelProto, weights: WeightSource, *, optimise: bool = True
    ) -> None:
        opener = model.sessions.opener
        self._model = model
        self._batch = deployed_batch(model).fixed
        self._session = open_device_session(
            model.facts.prepared.with_proto(proto),
            name=model.name,
            device=opener.device if optimise else "cpu",
            threads=opener.threads,
            weights=weights,
            libraries=opener.libraries,
            optimise=optimise,
        ).session

    def run(self, outputs: Sequence[str], images: Floats, requested: Sequence[int | None]) -> list[Any]:
        """Return outputs for a batch of images; a fixed batch is filled with the last one."""
        missing = (self._batch or len(images)) - len(images)
        batch = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        feed = {self._model.input.name: as_feed(self._model.input.feed(batch))}
        if any(info.name == TARGET for info in self._session.get_inputs()):
            targets = [-1 if target is None else target for target in requested]
            feed[TARGET] = np.array([*targets, *targets[-1:] * missing], np.int64)
        try:
            return list(self._session.run(list(outputs), feed))
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise run_error(error, self._model.name, f"an input of shape {batch.shape}") from error

    def run_all(self, outputs: Sequence[str], images: Floats, requested: Sequence[int | None]) -> list[Any]:
        """Return outputs of every run that `_batches` names, one after the other."""
        parts = _batches(self._model, len(images))
        return [output for part in parts for output in self.run(outputs, images[part], requested[part])]


def _batches(model: Classifier, count: int) -> list[slice]:
    """Return the runs to make: one image alone, and then all together, as far as the deployed file takes them."""
    batch = deployed_batch(model)
    if batch.fixed:
        return [slice(start, start + batch.fixed) for start in range(0, count, batch.fixed)]
    return [slice(i, i + 1) for i in range(count)] if batch.mixes_images else [slice(0, 1), slice(0, count)]


def _requested(plan: HeatmapPlan, count: int) -> list[int | None]:
    """Return the class to explain each image for; None for the likeliest."""
    if plan.target == "input":
        return [None, plan.classes - 1, 0][:count]
    return [plan.target if isinstance(plan.target, int) else None] * count


def _explained(model: Classifier, plan: HeatmapPlan, image: Floats, target: int | None) -> tuple[Floats, int]:
    """Return the heatmap of one image as `explain` makes it, and its class."""
    result = explain(model, image, method=METHODS[plan.method](), target=target, layer=plan.layer, preprocess="none")
    frame = WHOLE if plan.upsampling is None else plan.layer.geometry.frame
    return masks(result.cam[None], plan.size, Masking(frame=frame))[0], result.target.index


def _are_same(old: Sequence[Any], new: Sequence[Any]) -> bool:
    return all(same_outputs(before, after) for before, after in zip(old, new, strict=True))


def _are_same_without_optimisations(
    model: Classifier, written: onnx.ModelProto, weights: WeightSource, images: Floats, requested: Sequence[int | None]
) -> bool:
    """Whether two models have the same outputs where the runtime runs their graphs as they are, node by node."""
    names = [output.name for output in model.file.proto.graph.output]
    sources = ((model.file.proto, model.file.weights), (written, weights))
    old, new = (
        _Deployed(model, proto, place, optimise=False).run_all(names, images, requested) for proto, place in sources
    )
    return _are_same(old, new)


def _most_difference(model: Classifier, plan: HeatmapPlan) -> float:
    is_float16 = any(facts.dtype in ("float16", "bfloat16") for facts in plan.facts.values())
    is_quantized = any("Quantize" in node.op_type or "QLinear" in node.op_type for node in model.facts.proto.graph.node)
    return _MOST_DIFFERENCE_OF_COARSE_NUMBERS if is_float16 or is_quantized else _MOST_DIFFERENCE


def _relative_difference(old: Any, new: Any) -> float:
    """Return the largest difference of two outputs, relative to the largest number; 0 for what holds no numbers."""
    if not isinstance(old, np.ndarray) or old.dtype.kind not in "fiu" or not old.size:
        return 0.0
    before, after = old.astype(np.float64), new.astype(np.float64)
    largest = float(np.abs(before).max())
    return float(np.abs(after - before).max()) / largest if largest else 0.0
