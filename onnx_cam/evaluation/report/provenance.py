"""What was run: with which model, data, settings, versions and seeds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_cam.evaluation.report.wording import count, file_name, label, plain
from onnx_cam.evaluation.results.evaluation import Evaluation

__all__ = ["Provenance", "describe_run", "name_runs"]

_SHOWN = 50  # unreadable images that are named


@dataclass(frozen=True)
class Provenance:
    """What was run; pairs are a name and a value.

    Attributes
    ----------
    facts, methods, versions, left_out, unreadable : list of (str, str)
    unnamed : int
        Unreadable images beyond those that are listed.
    notes : list of str
    record : str
        All of it, as JSON.
    """

    facts: list[tuple[str, str]]
    methods: list[tuple[str, str]]
    versions: list[tuple[str, str]]
    left_out: list[tuple[str, str]]
    unreadable: list[tuple[str, str]]
    unnamed: int
    notes: list[str]
    record: str


def name_runs(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return a name for each run: its model's file name, with its folder's where two are called the same."""
    names = [_model(evaluation) for evaluation in evaluations]
    seen = Counter(names)
    full = [
        name if seen[name] == 1 else f"{name}, {label(evaluation.folder.name)}"
        for name, evaluation in zip(names, evaluations, strict=True)
    ]
    twice = Counter(full)
    return [name if twice[name] == 1 else f"{name} (run {i})" for i, name in enumerate(full, 1)]


def describe_run(evaluation: Evaluation) -> Provenance:
    """Return what was run; what a run does not say is left out."""
    facts = evaluation.facts
    unreadable = _pairs(facts.get("unreadable"))
    versions = facts.get("versions")
    return Provenance(
        _facts(evaluation),
        [(label(name), _settings(evaluation, name)) for name in evaluation.methods],
        _pairs(versions if isinstance(versions, Mapping) else {}),
        [(name, value) for name, value in _pairs(facts.get("left_out")) if value != "0"],
        unreadable[:_SHOWN],
        max(0, len(unreadable) - _SHOWN),
        [plain(note) for note in facts.get("notes") or []],
        json.dumps(dict(facts), indent=1, ensure_ascii=False, sort_keys=True, default=str),
    )


def _model(evaluation: Evaluation) -> str:
    model = evaluation.facts.get("model")
    return (file_name(model) if model else "") or label(Path(evaluation.folder).resolve().name)


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    facts = evaluation.facts
    level, resamples = facts.get("level"), facts.get("resamples")
    bootstrap = f"{100 * level:g} %, percentile bootstrap over images" if level else None
    found = {
        "model": facts.get("model"),
        "SHA-256": facts.get("model_sha256"),
        "layer": _layer(facts),
        "preprocessing": _named(facts.get("preprocessing")),
        "provider": facts.get("provider"),
        "dataset": facts.get("dataset"),
        "layout": facts.get("kind"),
        "images": _images(evaluation),
        "seed": facts.get("seed"),
        "intervals": bootstrap and (f"{bootstrap}, {resamples:,} resamples" if resamples else bootstrap),
    }
    return [(name, plain(value)) for name, value in found.items() if value is not None]


def _images(evaluation: Evaluation) -> str:
    number, drawn = count(len(evaluation.images), "image"), evaluation.facts.get("drawn")
    if drawn is None:
        return number
    how = "at random, by the seed" if evaluation.facts.get("shuffled") else "in the data set's order"
    return f"{number}, of {drawn:,} drawn {how}"


def _layer(facts: Mapping[str, Any]) -> str | None:
    shape = facts.get("layer_shape")
    size = f", {'×'.join(map(str, shape))}" if shape else ""
    return None if facts.get("layer") is None else plain(facts["layer"]) + size


def _named(value: Any) -> str | None:
    """Return a preprocessing's name, and where it was found."""
    if not isinstance(value, Mapping) or "name" not in value:
        return None if value is None else plain(value)
    return plain(value["name"]) + (f": {plain(value['source'])}" if value.get("source") else "")


def _settings(evaluation: Evaluation, method: str) -> str:
    if not evaluation.images:
        return ""
    record = evaluation.maps[evaluation.images[0].sha256, method].record
    own = {"method": record.get("method"), "variant": record.get("variant"), **record.get("parameters", {})}
    return plain({**own, "seed": record.get("seed")})


def _pairs(values: Any) -> list[tuple[str, str]]:
    return [(plain(name), plain(value)) for name, value in values.items()] if isinstance(values, Mapping) else []
