"""Trial runs: what a few runs tell about a model that its graph cannot, or that the graph has wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.classifier.batch_trial import TRIAL_IMAGES, ScoredAlone, try_batches
from onnx_cam.classifier.chance import find_chance
from onnx_cam.classifier.conclude_head import NoScoresError, check_requested, conclude_head
from onnx_cam.classifier.facts import BatchFacts
from onnx_cam.classifier.sessions import SessionOpener
from onnx_cam.errors import ModelError, OutOfMemoryError, ScoreError
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.head import AS_REQUESTED, Head, with_kind, with_scores
from onnx_cam.graph.heads import HeadKind
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.tap import tap
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.runtime.scores import numbers, probabilities
from onnx_cam.runtime.session import BatchShapeError, Session

__all__ = ["Trial", "run_trial", "trial_images"]

Floats = NDArray[np.float32]

_CONTRASTS = (1.0, 0.3, 3.0, 0.1, 2.0)
_SEED = 0
_BLOCKS = 8


@dataclass(frozen=True)
class Trial:
    """What the trial runs tell.

    Attributes
    ----------
    head : Head
        As the scores confirm or correct it.
    head_note : str
        What the user should know about it.
    classes : int
        How many classes there are; numbers, where they are not scores of classes.
    is_binary : bool
        Whether the output holds a single number for two classes.
    batch : BatchFacts
        How many images the model takes at once.
    proto : onnx.ModelProto
        The model to run: the file's own, or with its batch freed.
    session : Session
        That model, with its logits among the outputs.
    randomness : str
        Why equal runs give different scores; empty where they do not.
    notes : tuple of str
        What else the user should know.
    """

    head: Head
    head_note: str
    classes: int
    is_binary: bool
    batch: BatchFacts
    proto: onnx.ModelProto
    session: Session
    randomness: str
    notes: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether the numbers are those of a linear layer: what they stand for is concluded from nothing else."""
        concluded = self.head.kind.name in ("logits", "raw") and self.head.reason != AS_REQUESTED
        return concluded and self.head.source.origin == "linear"

    @property
    def may_be_binary(self) -> bool:
        """Whether the output is a single number of a linear layer: of a regression, or the logit of two classes."""
        is_number = self.head.kind.name == "raw" and self.classes == 1
        return is_number and self.is_open and bool(self.head_note)

    def taken_as(self, kind: HeadKind, reason: str) -> Trial:
        """Return the same trial with the numbers of a linear layer taken as logits of another kind, or as they are."""
        count = 1 if self.is_binary else self.classes
        is_binary = count == 1 and kind.gives_probabilities
        head = replace(self.head, kind=kind, reason=reason)
        return replace(self, head=head, head_note="", classes=count + is_binary, is_binary=is_binary)


def run_trial(
    file: ModelFile,
    graph: gs.Graph,
    heads: Sequence[Head],
    opener: SessionOpener,
    *,
    size: tuple[int, int],
    preprocessing: Preprocessing | None,
    kind: HeadKind | None = None,
) -> Trial:
    """Run a model on a few synthetic images, and learn from their scores.

    Parameters
    ----------
    file : ModelFile
    graph : onnx_graphsurgeon.Graph
        The file's graph.
    heads : sequence of Head
        As the graph suggests them, the likeliest first. The first whose output holds scores is taken.
    opener : SessionOpener
    size : tuple of int
        ``(H, W)`` of the network's input.
    preprocessing : Preprocessing or None
    kind : HeadKind, optional
        What the user says that the output's numbers are.

    Raises
    ------
    ModelError
        The runtime refuses the model, a run fails, or the output holds no class scores.
    """
    # Score five different images one by one, at the batch that the file fixes: (5, …) outputs and (5, …) logits.
    images = trial_images(opener.image_input, size, TRIAL_IMAGES, preprocessing)
    scored = _first_that_holds_scores(file, heads, opener, images, kind)
    # Find out by two equal runs whether the scores depend on chance.
    alone = _with_chance(scored.alone, file.proto)
    # Find out whether several images together score as they do alone, with the file's batch freed where it fixes one.
    batches = try_batches(alone, graph, opener)
    # Only now is the head corrected: the runs above used the logits that the graph suggests.
    head, session = scored.concluded, batches.session
    if head.logits and head.logits not in session.outputs:
        session = opener.open(tap(batches.proto, [head.tapped_logits]), batches.batch)
    classes = probabilities(scored.outputs, head).shape[1]
    is_binary = scored.outputs[0].size == 1 and classes == 2
    randomness = alone.chance.reason
    notes = (*_random_notes(randomness), *batches.notes)
    return Trial(head, scored.note, classes, is_binary, batches.batch, batches.proto, session, randomness, notes)


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
    if image_input.takes_integers:
        return np.asarray(pixels, np.float32)
    if preprocessing is None or not preprocessing.fits(image_input.channels):
        return np.ascontiguousarray(noise, np.float32)
    colours = np.broadcast_to(np.moveaxis(pixels, 1, -1), (count, *size, max(image_input.channels, 3))).astype(np.uint8)
    return np.stack([preprocessing.normalise(image, image_input.channels) for image in colours])


@dataclass(frozen=True)
class _Scored:
    """A head whose output holds scores.

    Attributes
    ----------
    alone : ScoredAlone
        What the model scores each image alone.
    outputs : ndarray of shape (5, …)
        The outputs.
    concluded : Head
        The head as these confirm or correct it.
    note : str
        What the user should know about it.
    """

    alone: ScoredAlone
    outputs: NDArray[Any]
    concluded: Head
    note: str


def _first_that_holds_scores(
    file: ModelFile, heads: Sequence[Head], opener: SessionOpener, images: Floats, kind: HeadKind | None
) -> _Scored:
    """Return the first head whose output holds scores.

    Raises
    ------
    ModelError
        None does: the error of the first.
    """
    errors: list[NoScoresError] = []
    for suggested in heads:
        head = suggested if kind is None else with_kind(suggested, kind)
        try:
            return _score(file, head, opener, images, is_given=kind is not None)
        except NoScoresError as error:
            errors.append(error)
    raise errors[0]


def _score(file: ModelFile, head: Head, opener: SessionOpener, images: Floats, *, is_given: bool) -> _Scored:
    """Score images one by one, and conclude from the outputs what the head is, unless it is given."""
    proto = with_scores(file.proto, head)
    parts = [part.output for part in head.parts]
    taps = (*([head.tapped_logits] if head.logits else []), *parts)
    batch = BatchFacts(opener.image_input.batch, mixes_images=False, source="the graph")
    session = opener.open(tap(proto, taps), batch)
    compared = head.logits or head.output
    outputs, values, *part_values = _score_alone(session, [head.output, compared, *parts], images)
    _check_shape(outputs, head, opener.name)
    head = _read_quantization(head, Constants(file), opener.name)
    alone = ScoredAlone(proto, session, taps, compared, images, values)
    if is_given:
        check_requested(head, numbers(outputs, head), opener.name)
        return _Scored(alone, outputs, head, "")
    rows = [part.astype(np.float64).reshape(len(part), -1) for part in part_values]
    return _Scored(alone, outputs, *conclude_head(head, numbers(outputs, head), rows, opener.name))


def _score_alone(session: Session, tensors: Sequence[str], images: Floats) -> list[NDArray[Any]]:
    """Return tensors of the model for images, each run by itself: (5, …) each."""
    try:
        runs = [session.run(image[None], tensors) for image in images]
    except OutOfMemoryError:
        raise
    except BatchShapeError as error:
        raise NoScoresError(
            f"{error}: export it again with scores of shape (N, classes), e.g. without a squeeze at the end"
        ) from error
    except ScoreError as error:
        raise ModelError(str(error)) from error
    return [np.concatenate(arrays) for arrays in zip(*runs, strict=True)]


def _check_shape(outputs: NDArray[Any], head: Head, model: str) -> None:
    """Refuse an output whose shape or type is not that of class scores."""
    kinds = "f" if head.quantizer is None else "fiu"
    is_row = outputs[0].size <= max(outputs.shape[1:], default=1)
    if outputs.dtype.kind not in kinds or not outputs[0].size or not is_row:
        raise NoScoresError(
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


def _with_chance(alone: ScoredAlone, proto: onnx.ModelProto) -> ScoredAlone:
    """Return what images score alone, with how far two equal runs differ.

    One image is run again; where its scores change, all of them are.
    """
    spread = alone.spread()
    for images in (alone.images[:1], alone.images):
        (again,) = _score_alone(alone.session, [alone.tensor], images)
        chance = find_chance(alone.values[: len(images)], again, spread, proto)
        if not chance.is_random:
            break
    return replace(alone, chance=chance)


def _random_notes(randomness: str) -> tuple[str, ...]:
    if not randomness:
        return ()
    return (f"{randomness}: scores and maps change from run to run, and the seed does not hold",)
