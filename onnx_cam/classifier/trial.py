"""Trial runs: what a few runs tell about a model that its graph cannot, or that the graph has wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.classifier.facts import BatchFacts
from onnx_cam.classifier.sessions import SessionOpener
from onnx_cam.errors import ModelError, OutOfMemoryError, ScoreError
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.free_batch import free_batch
from onnx_cam.graph.head import Head
from onnx_cam.graph.heads import HEADS
from onnx_cam.graph.image_input import EIGHT_BITS, ImageInput
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.tap import tap
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.runtime.scores import numbers, probabilities
from onnx_cam.runtime.session import Session

__all__ = ["Trial", "run_trial", "trial_images"]

Floats = NDArray[np.float32]

_TRIAL_BATCHES = (3, 2)  # two sizes: a batch that the file fixes to one of them would work there
_TRIAL_IMAGES = sum(_TRIAL_BATCHES)
_CONTRASTS = (1.0, 0.3, 3.0, 0.1, 2.0)
_SEED = 0
_BLOCKS = 8
_TOLERANCE = 1e-2  # of the difference between two images: a batch that mixes them up differs by all of it
_QUANTIZED_SUM = 0.7  # 8-bit probabilities of 1,000 classes: most are rounded to 0


@dataclass(frozen=True)
class Trial:
    """What the trial runs tell.

    Attributes
    ----------
    head : Head
        As the scores confirm or correct it.
    classes : int
        How many classes there are.
    is_binary : bool
        Whether the output holds a single number for two classes.
    batch : BatchFacts
        How many images the model takes at once.
    proto : onnx.ModelProto
        The model to run: the file's own, or with its batch freed.
    session : Session
        That model, with its logits among the outputs.
    notes : tuple of str
        What the user should know.
    """

    head: Head
    classes: int
    is_binary: bool
    batch: BatchFacts
    proto: onnx.ModelProto
    session: Session
    notes: tuple[str, ...]


def run_trial(
    file: ModelFile,
    graph: gs.Graph,
    head: Head,
    opener: SessionOpener,
    *,
    size: tuple[int, int],
    preprocessing: Preprocessing | None,
) -> Trial:
    """Run a model on a few synthetic images, and learn from their scores.

    Parameters
    ----------
    file : ModelFile
    graph : onnx_graphsurgeon.Graph
        The file's graph.
    head : Head
        As the graph suggests it.
    opener : SessionOpener
    size : tuple of int
        ``(H, W)`` of the network's input.
    preprocessing : Preprocessing or None

    Raises
    ------
    ModelError
        The runtime refuses the model, a run fails, or the output holds no class scores.
    """
    # Load the model as the file has it, at the batch that the file fixes.
    fixed = opener.image_input.batch
    batch = BatchFacts(fixed, mixes_images=False, source="the graph")
    proto = file.proto
    session = opener.open(_with_logits(proto, head), batch)
    # Score five different images one by one: (5, …) outputs and (5, …) logits.
    images = trial_images(opener.image_input, size, _TRIAL_IMAGES, preprocessing)
    outputs, alone = _score_alone(session, head, images)
    _check_shape(outputs, head, opener.name)
    head = _read_quantization(head, Constants(file), opener.name)
    classes = probabilities(outputs, head).shape[1]
    # Find out whether several images together score as they do alone, with the file's batch freed where it fixes one.
    notes: list[str] = []
    scales_by_batch = _scales_by_batch(graph)
    if fixed is not None:
        freed = free_batch(proto, opener.image_input.name)
        freed_session = None if scales_by_batch else _prove_freed(freed, head, opener, images, alone)
        if freed_session is not None:
            source = f"the file fixes it to {fixed}; freed, and checked by runs of several images"
            batch, proto, session = BatchFacts(None, False, source), freed, freed_session
        else:
            # A batch of 1 has no other image to mix with; a larger one may have.
            mixes = fixed != 1 and not _scores_together(session, head, images, alone)
            batch = BatchFacts(fixed, mixes, "the graph: with its batch freed it fails, or the scores change")
            if mixes:
                session = opener.open(_with_logits(proto, head), batch)
                notes.append("the model mixes the images of a batch: running one image at a time")
    elif scales_by_batch or not _scores_together(session, head, images, alone):
        batch = BatchFacts(1, False, "a run: several images together fail, or change the scores")
        session = opener.open(_with_logits(proto, head), batch)
        notes.append("batches of several images fail, or change the scores: running the images one at a time")
    # Only now is the head corrected: the runs above used the logits that the graph suggests.
    head = _check_head(outputs, head, opener.name)
    return Trial(head, classes, outputs[0].size == 1, batch, proto, session, tuple(notes))


def trial_images(
    image_input: ImageInput, size: tuple[int, int], count: int, preprocessing: Preprocessing | None
) -> Floats:
    """Return the same synthetic images each time: blocks of noise, of different contrast.

    They are what the preprocessing makes of such pixels; without one about standard normal, or pixel values where the
    input takes 8-bit integers.

    Returns
    -------
    ndarray of shape (count, C, H, W), float32

    Examples
    --------
    >>> trial_images(ImageInput("image", None, 3, 8, 8), (8, 8), 2, None).shape
    (2, 3, 8, 8)
    """
    generator = np.random.default_rng(_SEED)
    coarse = generator.standard_normal((count, image_input.channels, _BLOCKS, _BLOCKS), np.float32)
    rows, columns = (np.arange(side) * _BLOCKS // side for side in size)
    contrast = np.resize(np.array(_CONTRASTS, np.float32), count)[:, None, None, None]
    noise = coarse[:, :, rows][..., columns] * contrast  # (count, C, H, W)
    pixels = np.clip(128 + 64 * noise, 0, 255)
    if image_input.dtype in EIGHT_BITS:
        return np.asarray(pixels, np.float32)
    if preprocessing is None or image_input.channels not in (1, 3):
        return np.ascontiguousarray(noise, np.float32)
    colours = np.broadcast_to(np.moveaxis(pixels, 1, -1), (count, *size, 3)).astype(np.uint8)
    return np.stack([preprocessing.normalise(image, image_input.channels) for image in colours])


def _with_logits(proto: onnx.ModelProto, head: Head) -> onnx.ModelProto:
    return tap(proto, [head.tapped_logits] if head.logits else [])


def _score_alone(session: Session, head: Head, images: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the outputs and the logits of images, each run by itself."""
    try:
        runs = [session.run(image[None], [head.output, head.logits]) for image in images]
    except OutOfMemoryError:
        raise
    except ScoreError as error:
        raise ModelError(str(error)) from error
    outputs, logits = (np.concatenate(arrays) for arrays in zip(*runs, strict=True))
    return outputs, logits


def _check_shape(outputs: NDArray[Any], head: Head, model: str) -> None:
    """Refuse an output whose shape or type is not that of class scores."""
    kinds = "f" if head.quantizer is None else "fiu"
    if outputs.dtype.kind not in kinds or outputs.ndim < 2 or outputs[0].size > max(outputs.shape[1:]):
        raise ModelError(
            f"output {head.output!r} of {model} has shape {outputs.shape[1:]} an image, {outputs.dtype}; "
            "expected class scores (N, classes): name another output with --output"
        )


def _read_quantization(head: Head, constants: Constants, model: str) -> Head:
    """Return the head with the scale and zero point of its integers."""
    if head.quantizer is None:
        return head
    values = [constants.value(tensor) for tensor in head.quantization]
    if values[0] is None or values[0].size != 1:
        raise ModelError(f"output {head.output!r} of {model} is quantized by a computed scale; expected a constant one")
    zero_point = 0.0 if len(values) < 2 or values[1] is None else float(values[1].reshape(()))
    return replace(head, scale=float(values[0].reshape(())), zero_point=zero_point)


def _scales_by_batch(graph: gs.Graph) -> bool:
    """Tell whether the model is quantized by the range of the whole batch, so that the batch changes the scores."""
    return any(node.op.startswith("DynamicQuantize") for node in graph.nodes)


def _prove_freed(
    freed: onnx.ModelProto, head: Head, opener: SessionOpener, images: Floats, alone: NDArray[Any]
) -> Session | None:
    """Return a session of the model with its batch freed; None where several images fail or change the scores."""
    try:
        session = opener.open(_with_logits(freed, head))
    except ModelError:
        return None
    return session if _scores_together(session, head, images, alone) else None


def _scores_together(session: Session, head: Head, images: Floats, alone: NDArray[Any]) -> bool:
    """Tell whether images score in batches as they do alone, (5, …) logits or outputs of each."""
    try:
        cuts = np.cumsum(_TRIAL_BATCHES)[:-1]
        parts = [session.run(part, [head.logits or head.output])[0] for part in np.split(images, cuts)]
        together = np.concatenate(parts).astype(np.float64)
    except (ScoreError, ValueError):
        return False
    spread = np.ptp(alone.astype(np.float64), axis=0)  # how far the images differ, for each class
    allowed = _TOLERANCE * (spread + 0.01 * spread.max())
    return bool(together.shape == alone.shape and spread.max() > 0 and (np.abs(together - alone) <= allowed).all())


def _check_head(outputs: NDArray[Any], head: Head, model: str) -> Head:
    """Return the head as the outputs of a run confirm or correct it."""
    values = numbers(outputs, head)
    total = values.sum(axis=1)
    positive = values.shape[1] > 1 and bool((values >= 0).all())
    if head.kind.name == "softmax" and not (positive and np.allclose(total, 1, atol=_QUANTIZED_SUM)):
        reason = "the graph ends in Softmax, but the scores of a run do not sum to 1 over the classes"
        raise ModelError(f"{model}: {reason}; name the class scores with --output")
    if head.kind.name == "logits" and positive and np.allclose(total, 1, atol=1e-3):
        reason = "the scores of a run are not negative and sum to 1"
        return replace(head, kind=HEADS["softmax"], logits="", reason=reason)
    if head.kind.name == "logits" and not head.unbounded and positive and bool((values <= 1).all()):
        reason = "the scores of a run all lie between 0 and 1: taken as probabilities, as they are"
        choice = "; ".join(filter(None, [head.choice, reason]))
        return replace(head, kind=HEADS["sigmoid"], logits="", reason=reason, choice=choice)
    return head
