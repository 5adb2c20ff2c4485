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
from onnx_cam.graph.frame import WHOLE
from onnx_cam.graph.heatmap import CLASS, HEATMAP, TARGET, HeatmapPlan
from onnx_cam.methods import METHODS
from onnx_cam.runtime.device_session import as_feed, open_device_session, run_error
from onnx_cam.runtime.masks import Masking, masks

__all__ = ["Proof", "prove_heatmap"]

Floats = NDArray[np.float32]

_MOST_DIFFERENCE = 1e-3
_IMAGES = 3


@dataclass(frozen=True)
class Proof:
    """How a written model compares with the one that it was made from, on trial images.

    Attributes
    ----------
    outputs : float
        The largest difference of an output's number, relative to the output's largest.
    heatmap : float
        The largest difference of a heatmap from `explain`'s, both from 0 to 1.
    """

    outputs: float
    heatmap: float


def prove_heatmap(model: Classifier, written: onnx.ModelProto, plan: HeatmapPlan, folder: Any) -> Proof:
    """Run a written model on trial images, and compare it with the original and with `explain`.

    Parameters
    ----------
    model : Classifier
        The original.
    written : onnx.ModelProto
        As it was read back.
    plan : HeatmapPlan
    folder : Path or None
        Where the written model's external weights lie.

    Raises
    ------
    ModelError
        An output changed, or a heatmap is not the one that `explain` makes.
    """
    images = model.trial_images(_IMAGES)
    requested = _requested(plan, len(images))
    expected = [_explained(model, plan, image, target) for image, target in zip(images, requested, strict=True)]
    original, changed = _Runner(model, model.file.proto, model.file.folder), _Runner(model, written, folder)
    names = [output.name for output in model.file.proto.graph.output]
    outputs = heatmap = 0.0
    for part in _batches(model, len(images)):
        old = original.run(names, images[part], None)
        *new, maps, classes = changed.run([*names, HEATMAP, CLASS], images[part], requested[part])
        for name, before, after in zip(names, old, new, strict=True):
            if not same_outputs(before, after):
                raise ModelError(
                    f"with a heatmap, output {name!r} of {model.name} changes{by_chance(model)}; nothing was written"
                )
            outputs = max(outputs, _relative_difference(before, after))
        for place, (map_, index) in enumerate(expected[part]):
            difference = float(np.abs(maps[place] - map_).max())
            heatmap = max(heatmap, difference)
            if classes[place] != index or not difference <= _MOST_DIFFERENCE:
                raise ModelError(
                    f"the heatmap of {plan.method} that {model.name} would compute differs from the one of "
                    f"onnx-cam explain: by {difference:.2g} of 1, for class {classes[place]} in place of {index}"
                    f"{by_chance(model)}; nothing was written: try another --layer or --method"
                )
    return Proof(outputs, heatmap)


class _Runner:
    """A model as it is deployed, at its own batch, with the values of the inputs beside the image that were given."""

    def __init__(self, model: Classifier, proto: onnx.ModelProto, folder: Any) -> None:
        opener = model.sessions.opener
        self._model = model
        self._batch = deployed_batch(model).fixed
        self._session = open_device_session(
            model.facts.prepared.with_proto(proto),
            name=model.name,
            device=opener.device,
            threads=opener.threads,
            folder=folder,
            libraries=opener.libraries,
        ).session

    def run(self, outputs: Sequence[str], images: Floats, requested: Sequence[int | None] | None) -> list[Any]:
        """Return outputs for a batch of images; a fixed batch is filled with the last one."""
        missing = (self._batch or len(images)) - len(images)
        batch = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        feed = {self._model.input.name: as_feed(self._model.input.feed(batch))}
        if requested is not None and TARGET in {info.name for info in self._session.get_inputs()}:
            targets = [-1 if target is None else target for target in requested]
            feed[TARGET] = np.array([*targets, *targets[-1:] * missing], np.int64)
        try:
            return list(self._session.run(list(outputs), feed))
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise run_error(error, self._model.name, f"an input of shape {batch.shape}") from error


def _batches(model: Classifier, count: int) -> list[slice]:
    """Return the runs to make: one image alone, and then all together, where the deployed file takes several."""
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
    size = plan.size if plan.upsampling is not None else result.cam.shape
    frame = plan.layer.geometry.frame if plan.upsampling is not None else WHOLE
    return masks(result.cam[None], size, Masking(frame=frame))[0], result.target.index


def _relative_difference(old: Any, new: Any) -> float:
    if not isinstance(old, np.ndarray) or old.dtype.kind not in "fiu" or not old.size:
        return 0.0
    before, after = old.astype(np.float64), new.astype(np.float64)
    largest = float(np.abs(before).max())
    return float(np.abs(after - before).max()) / largest if largest else 0.0
