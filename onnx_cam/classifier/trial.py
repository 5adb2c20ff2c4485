"""Trial runs: what a few runs tell about a model that its graph cannot, or that the graph has wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx
import onnx_graphsurgeon as gs

from onnx_cam.classifier.batch_trial import TRIAL_IMAGES, ScoredAlone, any_batch, try_batches
from onnx_cam.classifier.chance import find_chance
from onnx_cam.classifier.facts import BatchFacts
from onnx_cam.classifier.kept_runs import TrialRuns, read_runs, write_runs
from onnx_cam.classifier.sessions import SessionOpener
from onnx_cam.classifier.trial_images import trial_images
from onnx_cam.classifier.trial_scores import conclude_runs, first_that_holds_scores, score_alone, taps_of
from onnx_cam.errors import ModelError
from onnx_cam.graph.head import AS_REQUESTED, Head, with_kind, with_scores
from onnx_cam.graph.heads import HeadKind
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.tap import tap
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.runtime.late_session import LateSession
from onnx_cam.runtime.scores import probabilities
from onnx_cam.runtime.session import Session

__all__ = ["Trial", "run_trial"]


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
    session : LateSession
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
    session: LateSession
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
    key: str | None = None,
) -> Trial:
    """Run a model on a few synthetic images, and learn from their scores; what earlier runs gave is not run again.

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
    key : str, optional
        The name under which the results of the runs are kept, see :func:`.run_key.run_key`; without it they are not.

    Raises
    ------
    ModelError
        The runtime refuses the model, a run fails, or the output holds no class scores.
    """
    heads = heads if kind is None else [with_kind(head, kind) for head in heads]
    # Earlier runs with these settings tell the same: no session is opened, until one is needed.
    kept = None if key is None else read_runs(key, [len(head.parts) for head in heads], TRIAL_IMAGES)
    if kept is not None and _has_declared_size(graph, heads[kept.head], kept):
        trial = _from_kept_runs(file, heads[kept.head], opener, kept, is_given=kind is not None)
        if trial is not None:
            return trial
    # Score five different images one by one, at the batch that the file fixes: (5, …) outputs and (5, …) logits.
    images = trial_images(opener.image_input, size, TRIAL_IMAGES, preprocessing)
    scored = first_that_holds_scores(file, heads, opener, images, is_given=kind is not None)
    # Find out by two equal runs whether the scores depend on chance.
    alone = _with_chance(scored.alone, file.proto)
    # Find out whether several images together score as they do alone, with the file's batch freed where it fixes one.
    batches = try_batches(alone, graph, opener)
    # Only now is the head corrected: the runs above used the logits that the graph suggests.
    session = _with_logits(batches.session, scored.concluded, opener, batches.proto, batches.batch)
    randomness = alone.chance.reason
    if key is not None and batches.batch.fixed is None and not randomness:
        write_runs(key, scored.runs)
    return _trial(
        scored.concluded,
        scored.note,
        scored.runs,
        batch=batches.batch,
        proto=batches.proto,
        session=LateSession(lambda: session, session),
        randomness=randomness,
        notes=batches.notes,
    )


def _has_declared_size(graph: gs.Graph, head: Head, runs: TrialRuns) -> bool:
    """Tell whether the output's numbers are as many as the graph declares, where it does."""
    shape = next((output.shape for output in graph.outputs if output.name == head.output), None) or ()
    declared = [size for size in shape[1:] if isinstance(size, int) and size > 0]
    return len(declared) != len(shape) - 1 or math.prod(declared) == runs.outputs[0].size


def _from_kept_runs(
    file: ModelFile, head: Head, opener: SessionOpener, runs: TrialRuns, *, is_given: bool
) -> Trial | None:
    """Return what earlier runs tell, without a session; None where they cannot be of this model."""
    try:
        concluded, note = conclude_runs(file, head, runs, opener.name, is_given=is_given)
    except ModelError:
        return None
    batch, proto = any_batch(with_scores(file.proto, head), opener.image_input)

    def open_session() -> Session:
        session = opener.open(tap(proto, taps_of(head)), batch)
        return _with_logits(session, concluded, opener, proto, batch)

    return _trial(concluded, note, runs, batch=batch, proto=proto, session=LateSession(open_session))


def _trial(
    head: Head,
    note: str,
    runs: TrialRuns,
    *,
    batch: BatchFacts,
    proto: onnx.ModelProto,
    session: LateSession,
    randomness: str = "",
    notes: tuple[str, ...] = (),
) -> Trial:
    """Put together what the runs tell."""
    classes = probabilities(runs.outputs, head).shape[1]
    is_binary = runs.outputs[0].size == 1 and classes == 2
    return Trial(
        head, note, classes, is_binary, batch, proto, session, randomness, (*_random_notes(randomness), *notes)
    )


def _with_logits(
    session: Session, head: Head, opener: SessionOpener, proto: onnx.ModelProto, batch: BatchFacts
) -> Session:
    """Return the trial's session; where it lacks the logits of the corrected head, one that has them."""
    if not head.logits or head.logits in session.outputs:
        return session
    return opener.open(tap(proto, [head.tapped_logits]), batch)


def _with_chance(alone: ScoredAlone, proto: onnx.ModelProto) -> ScoredAlone:
    """Return what images score alone, with how far two equal runs differ.

    One image is run again; where its scores change, all of them are.
    """
    spread = alone.spread()
    for images in (alone.images[:1], alone.images):
        (again,) = score_alone(alone.session, [alone.tensor], images)
        chance = find_chance(alone.values[: len(images)], again, spread, proto)
        if not chance.is_random:
            break
    return replace(alone, chance=chance)


def _random_notes(randomness: str) -> tuple[str, ...]:
    if not randomness:
        return ()
    return (f"{randomness}: scores and maps change from run to run, and the seed does not hold",)
