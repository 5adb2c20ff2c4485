"""What the numbers of an output are, as its graph suggests and the scores of a run confirm, correct or leave open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ModelError
from onnx_cam.graph.head import AS_REQUESTED, Head, with_kind
from onnx_cam.graph.heads import HEADS, Complement, HeadKind, Logits, Scaled, Several

__all__ = ["NoScoresError", "check_requested", "conclude_head", "features_note"]

Doubles = NDArray[np.float64]

_CLOSE = 1e-3  # relative: how far float16 and rounding move a sum
_QUANTIZED_SUM = 0.7  # 8-bit probabilities of 1,000 classes: most are rounded to 0
_UNIT_LENGTH = 2e-3
_CONSTANT_SUM = 1e-4  # relative
_VARIED = 5e-3  # of a constant sum: rows that differ less may have it by chance
_NORMALISATIONS = {
    *("LayerNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization", "RMSNormalization"),
    *("InstanceNormalization", "GroupNormalization", "MeanVarianceNormalization", "LpNormalization"),
}
_UNBOUNDED = {
    *_NORMALISATIONS,
    *("Exp", "Softplus", "Sqrt", "Abs", "Pow", "Log", "Tanh", "Softsign", "Sin", "Cos", "CumSum"),
    *("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"),
}
"""Operators whose numbers are no probabilities, even where those of a few images lie between 0 and 1."""


_REASONS = {
    "softmax": "the scores of a run are not negative and sum to 1",
    "percent": "the scores of a run sum to 100",
    "negated": "the scores of a run are negative and sum to −1",
    "complement": "the scores of a run are 1 − p of probabilities p that sum to 1",
    "negative-log": "the scores of a run are negative logarithms of probabilities that sum to 1",
    "log-softmax": "the scores of a run are logarithms of probabilities that sum to 1",
}
"""Kinds whose probabilities are a distribution over the classes, in the order in which they are tried."""


class NoScoresError(ModelError):
    """An output holds no class scores; another one may."""


def conclude_head(head: Head, values: Doubles, parts: Sequence[Doubles], model: str) -> tuple[Head, str]:
    """Return the head as the numbers of a run confirm or correct it, and what the user should know about it.

    Parameters
    ----------
    head : Head
        As the graph suggests it.
    values : ndarray of shape (B, outputs), float64
        The output's numbers for a few different images.
    parts : sequence of ndarray of shape (B, size), float64
        The numbers of each of the head's parts.
    model : str
        The file's name, for messages.

    Raises
    ------
    NoScoresError
        The numbers contradict the graph, or they are an embedding.

    Examples
    --------
    >>> head = Head("p", Logits(), "p", "no Softmax or Sigmoid before the output")
    >>> conclude_head(head, np.array([[25.0, 75.0], [60.0, 40.0]]), [], "model.onnx")[0].kind
    Percent(factor=100.0, shift=0.0)
    """
    if not np.isfinite(values).all():
        return head, ""
    if not isinstance(head.kind, Logits):
        return _confirm(head, values, model)
    for conclude in (_by_sums, _by_parts, _by_blocks, _by_length):
        concluded = conclude(head, values, parts, model)
        if concluded is not None:
            return concluded
    return _by_source(head, values)


def check_requested(head: Head, values: Doubles, model: str) -> None:
    """Refuse a kind of head that the user named, where the numbers of a run cannot be of that kind.

    Raises
    ------
    ModelError
    """
    if np.isfinite(values).all() and not head.kind.fits(values, slack=_QUANTIZED_SUM):
        raise ModelError(
            f"--head {head.kind} does not fit output {head.output!r} of {model}: expected {head.kind.expected}, got "
            f"numbers from {values.min():.4g} to {values.max():.4g}{_sums(values)}; use --head auto, or name another "
            "output with --output"
        )


def features_note(head: Head, is_named: bool) -> str:
    """Return a note where what is taken for logits may be features, and no class has a name.

    Parameters
    ----------
    head : Head
    is_named : bool
        Whether the classes have names.
    """
    is_guess = isinstance(head.kind, Logits) and head.reason != AS_REQUESTED
    if is_named or not is_guess or not (head.source.features or head.is_named_features):
        return ""
    what = head.source.features or "an output with the name of features"
    return (
        f"output {head.output!r} is {what}, as of an embedding: taken as logits (if they are not class scores, name "
        "another output with --output, or use --head raw)"
    )


def _confirm(head: Head, values: Doubles, model: str) -> tuple[Head, str]:
    """Return a head whose kind the graph shows, and a note where that is an unusual one."""
    kind, single = head.kind, values.shape[1] == 1
    if isinstance(kind, Scaled) and single:
        return _raw(head, f"one number, {head.source.operator}, is not the probability of a class")
    if isinstance(kind, Complement) and values.shape[1] == 2:
        kind = HEADS["softmax"]  # the complements of two classes are their probabilities, swapped
        head = replace(head, kind=kind, logits="", integers=None)
    if kind.name == "softmax" and _blocks(values):
        return _several_of_one_size(head, values)
    if not kind.fits(values, slack=_QUANTIZED_SUM):
        reason = f"{head.reason}, but the scores of a run are not {kind.expected}{_sums(values)}"
        if kind.name == "softmax":
            sums = "a Softmax over a single number is always 1" if single else "do not sum to 1 over the classes"
            reason = f"{head.reason}, but {sums if single else f'the scores of a run {sums}'}"
        raise NoScoresError(f"{model}: {reason}; name the class scores with --output")
    if isinstance(kind, Scaled) or kind.name == "negative-log":
        return head, f"{head.reason}: its numbers are not probabilities, and are converted to them (head {kind})"
    if "1 − " in head.reason:
        return head, f"{head.reason}: its numbers are taken as probabilities as they are (use --head complement for p)"
    return head, ""


def _by_sums(head: Head, values: Doubles, parts: Sequence[Doubles], model: str) -> tuple[Head, str] | None:
    """Conclude that the numbers are probabilities in some unit, as these sum to 1 over the classes of each image."""
    if values.shape[1] == 1:
        return None
    for name, reason in _REASONS.items():
        if name == "complement" and values.shape[1] == 2:  # of two classes they sum to 1, too
            continue
        if name == "log-softmax" and head.source.origin == "linear":  # a softmax of them gives the same
            continue
        kind = HEADS[name]
        with np.errstate(over="ignore"):
            is_distribution = HEADS["softmax"].fits(kind.probabilities(values))
        if is_distribution and name in ("softmax", "log-softmax"):
            return _as(head, kind, reason), ""
        if is_distribution:
            return _converted(head, kind, reason)
    total = float(values.sum(axis=1).mean())
    if head.source.origin == "other" and _has_total(values, total) and not _blocks(values):
        return _converted(head, Scaled(total), f"the scores of a run sum to {total:g}")
    return None


def _has_total(values: Doubles, total: float) -> bool:
    """Tell whether the numbers have one sign and sum to this for each image, though they vary."""
    is_constant = np.allclose(values.sum(axis=1), total, rtol=_CONSTANT_SUM, atol=0)
    has_one_sign = (values >= 0).all() or (values <= 0).all()
    return bool(total and is_constant and has_one_sign and np.ptp(values, axis=0).max() > _VARIED * abs(total))


def _by_parts(head: Head, values: Doubles, parts: Sequence[Doubles], model: str) -> tuple[Head, str] | None:
    """Conclude for each of several heads that are joined to one vector."""
    if len(parts) < 2 or sum(part.shape[1] for part in parts) != values.shape[1]:
        return None
    if not np.allclose(np.concatenate(parts, axis=1), values, rtol=_CLOSE, atol=_CLOSE):
        return None
    heads = [conclude_head(one, part, [], model)[0] for one, part in zip(head.parts, parts, strict=True)]
    listed = ", ".join(f"{one.output!r} ({part.shape[1]}, {one.kind})" for one, part in zip(heads, parts, strict=True))
    if all(one.kind.name == "raw" for one in heads):
        return _raw(head, f"it joins several numbers: {listed}", is_single=False)
    if any(one.kind.name == "raw" for one in heads):
        raise NoScoresError(
            f"output {head.output!r} of {model} joins several heads, and not all of them hold class scores; name one "
            f"with --output: {listed}"
        )
    if {one.kind.name for one in heads} == {"sigmoid"}:
        return _as(head, HEADS["sigmoid"], "each class has a Sigmoid of its own"), ""
    kind = Several(tuple((part.shape[1], one.kind) for one, part in zip(heads, parts, strict=True)))
    note = f"output {head.output!r} joins several heads, each taken by itself; --output takes one of them: {listed}"
    return replace(_as(head, kind, f"several heads are joined: {listed}"), parts=tuple(heads)), note


def _by_blocks(head: Head, values: Doubles, parts: Sequence[Doubles], model: str) -> tuple[Head, str] | None:
    """Conclude that a vector holds several softmaxes of one size, one after the other."""
    return _several_of_one_size(replace(head, logits="", integers=None), values) if _blocks(values) else None


def _several_of_one_size(head: Head, values: Doubles) -> tuple[Head, str]:
    count = _blocks(values)
    size = values.shape[1] // count
    reason = f"the scores of a run are {count} heads of {size} classes, each of which sums to 1"
    kind = Several(((size, HEADS["softmax"]),) * count)
    return replace(head, kind=kind, reason=reason, parts=()), f"output {head.output!r}: {reason}"


def _blocks(values: Doubles) -> int:
    """Return how many softmaxes of one size a vector holds, where that is more than one; otherwise 0."""
    count = round(float(values.sum(axis=1).mean()))
    if count < 2 or values.shape[1] % count or values.shape[1] // count < 2 or (values < 0).any():
        return 0
    sums = values.reshape(len(values), count, -1).sum(axis=2)
    return count if np.allclose(sums, 1, atol=_CLOSE, rtol=0) else 0


def _by_length(head: Head, values: Doubles, parts: Sequence[Doubles], model: str) -> tuple[Head, str] | None:
    """Refuse rows of unit length: an embedding."""
    if values.shape[1] == 1:
        return None
    lengths = np.linalg.norm(values, axis=1)
    deviation = float(np.abs(lengths - 1).max())
    differs = float(np.ptp(values, axis=0).max()) > 10 * deviation
    if deviation > _UNIT_LENGTH or not (differs or head.source.operator == "LpNormalization"):
        return None
    raise NoScoresError(
        f"output {head.output!r} of {model} is an embedding, not class scores: the rows of a run have unit length; "
        "name the class scores with --output, or explain its numbers as they are with --head raw"
    )


def _by_source(head: Head, values: Doubles) -> tuple[Head, str]:
    """Conclude from the operator that makes the numbers, where no sum or length tells what they are."""
    source, single = head.source, values.shape[1] == 1
    if source.origin == "linear":
        if single:
            return _raw(head, "one unbounded number is not the probability of a class")
        return head, ""
    if source.operator not in _UNBOUNDED and ((values >= 0) & (values <= 1)).all():
        reason = "the scores of a run all lie between 0 and 1: taken as probabilities, as they are"
        return _as(head, HEADS["sigmoid"], reason), f"{reason} (--head says what else they are)"
    operator = source.operator or "an operator that is not known"
    if source.origin == "other" or single:
        what = "features or an embedding" if operator in _NORMALISATIONS else "neither logits nor probabilities"
        return _raw(head, f"the numbers, which come from {operator}, are {what}", is_single=single)
    return head, (
        f"the graph does not show what output {head.output!r} holds, as it comes from {operator}: taken as logits (set "
        "it with --head)"
    )


def _as(head: Head, kind: HeadKind, reason: str) -> Head:
    """Return a head of another kind, for which the graph shows no logits."""
    return replace(head, kind=kind, logits="", integers=None, reason=reason, parts=())


def _converted(head: Head, kind: HeadKind, reason: str) -> tuple[Head, str]:
    note = f"{reason}: they are not probabilities, and are converted to them (head {kind}; --head says what else)"
    return _as(head, kind, reason), note


def _raw(head: Head, reason: str, *, is_single: bool = True) -> tuple[Head, str]:
    """Return a head whose numbers are explained as they are, and the note that says so."""
    several = "" if is_single else ", of the highest number where --target names no other"
    note = (
        f"{reason}: output {head.output!r} is explained by its own value, as of a regression{several} (head raw; "
        "--head logits for the logits of classes)"
    )
    return replace(with_kind(head, HEADS["raw"]), reason=reason), note


def _sums(values: Doubles) -> str:
    totals = values.sum(axis=1)
    return f" (they sum to {totals.min():.4g} to {totals.max():.4g})" if values.shape[1] > 1 else ""
