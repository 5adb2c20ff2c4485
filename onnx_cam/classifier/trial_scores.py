"""What a model scores the trial images, each run by itself, and what its numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.batch_trial import ScoredAlone
from onnx_cam.classifier.conclude_head import NoScoresError, check_requested, conclude_head
from onnx_cam.classifier.facts import BatchFacts
from onnx_cam.classifier.kept_runs import TrialRuns
from onnx_cam.classifier.sessions import SessionOpener
from onnx_cam.errors import ModelError, OutOfMemoryError, ScoreError
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.head import Head, with_scores
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.tap import Dequantized, tap
from onnx_cam.runtime.scores import numbers
from onnx_cam.runtime.session import BatchShapeError, Session

__all__ = ["Scored", "conclude_runs", "first_that_holds_scores", "score_alone", "taps_of"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scored:
    """A head whose output holds scores.

    Attributes
    ----------
    alone : ScoredAlone
        What the model scores each image alone.
    runs : TrialRuns
        What the output gave.
    concluded : Head
        The head as these confirm or correct it.
    note : str
        What the user should know about it.
    """

    alone: ScoredAlone
    runs: TrialRuns
    concluded: Head
    note: str


def first_that_holds_scores(
    file: ModelFile, heads: Sequence[Head], opener: SessionOpener, images: Floats, *, is_given: bool
) -> Scored:
    """Return the first head whose output holds scores.

    Parameters
    ----------
    file : ModelFile
    heads : sequence of Head
        The likeliest first.
    opener : SessionOpener
    images : ndarray of shape (B, C, H, W), float32
    is_given : bool
        Whether the user says what the numbers are.

    Raises
    ------
    ModelError
        None does: the error of the first. Or the runtime refuses the model, or a run fails.
    """
    errors: list[NoScoresError] = []
    for position in range(len(heads)):
        try:
            return _score(file, heads, position, opener, images, is_given=is_given)
        except NoScoresError as error:
            errors.append(error)
    raise errors[0]


def taps_of(head: Head) -> tuple[str | Dequantized, ...]:
    """Return what is tapped to learn about a head: its logits, and what is joined to its output."""
    return (*([head.tapped_logits] if head.logits else []), *(part.output for part in head.parts))


def conclude_runs(file: ModelFile, head: Head, runs: TrialRuns, model: str, *, is_given: bool) -> tuple[Head, str]:
    """Return the head as what runs gave confirms or corrects it, and what the user should know about it.

    Parameters
    ----------
    file : ModelFile
    head : Head
        As the graph suggests it, or the user says.
    runs : TrialRuns
    model : str
        The file's name, for messages.
    is_given : bool
        Whether the user says what the numbers are.

    Raises
    ------
    ModelError
        The output holds no class scores, or not those that the user says.
    """
    _check_shape(runs.outputs, head, model)
    head = _read_quantization(head, Constants(file), model)
    values = numbers(runs.outputs, head)
    if is_given:
        check_requested(head, values, model)
        return head, ""
    rows = [part.astype(np.float64).reshape(len(part), -1) for part in runs.parts]
    return conclude_head(head, values, rows, model)


def _score(
    file: ModelFile, heads: Sequence[Head], position: int, opener: SessionOpener, images: Floats, *, is_given: bool
) -> Scored:
    """Score images one by one, and conclude from the outputs what the head is, unless it is given."""
    head = heads[position]
    proto, taps = with_scores(file.proto, head), taps_of(head)
    batch = BatchFacts(opener.image_input.batch, mixes_images=False, source="the graph")
    session = opener.open(tap(proto, taps), batch)
    compared = head.logits or head.output
    tensors = [head.output, compared, *(part.output for part in head.parts)]
    outputs, values, *parts = score_alone(session, tensors, images)
    runs = TrialRuns(position, outputs, tuple(parts))
    concluded, note = conclude_runs(file, head, runs, opener.name, is_given=is_given)
    return Scored(ScoredAlone(proto, session, taps, compared, images, values), runs, concluded, note)


def score_alone(session: Session, tensors: Sequence[str], images: Floats) -> list[NDArray[Any]]:
    """Return tensors of the model for images, each run by itself: (B, …) each.

    Raises
    ------
    ModelError
        A run fails, or a tensor does not have the batch as its first dimension.
    """
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
