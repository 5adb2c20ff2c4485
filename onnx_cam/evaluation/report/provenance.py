"""What was run: the model, the dataset, the settings, the versions and the seeds."""

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

_MAX_NAMED = 50  # images that could not be used


@dataclass(frozen=True)
class Provenance:
    """What was run, as pairs of a name and a value.

    Attributes
    ----------
    facts, methods, versions, left_out, unreadable : list of (str, str)
    unnamed : int
        How many more images could not be used than `unreadable` names.
    notes : list of str
    record : str
        All facts, as JSON.

    Examples
    --------
    >>> Provenance([("seed", "0")], [], [], [], [], unnamed=0, notes=[], record="{}").facts
    [('seed', '0')]
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
    """Return a name for each run: its model's file name, with the folder's where two models have the same.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> runs = [evaluate(model, "photos.csv", methods="equal", metrics="specificity", out=out) for out in ("a", "b")]
    >>> name_runs(runs[:1]), name_runs(runs)
    (['model.onnx'], ['model.onnx, a', 'model.onnx, b'])
    """
    names = [_model(evaluation) for evaluation in evaluations]
    times = Counter(names)
    longer = [
        name if times[name] == 1 else f"{name}, {label(evaluation.folder.name)}"
        for name, evaluation in zip(names, evaluations, strict=True)
    ]
    times = Counter(longer)
    return [name if times[name] == 1 else f"{name} (run {i})" for i, name in enumerate(longer, 1)]


def describe_run(evaluation: Evaluation) -> Provenance:
    """Return what was run. Facts that a run does not have are left out.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> run = evaluate(model, "photos.csv", methods="equal", metrics="specificity", out="run")
    >>> dict(describe_run(run).facts)["images"]
    "2 images, of 2 drawn in the dataset's order"
    """
    facts = evaluation.facts
    unreadable = _pairs(facts.get("unreadable"))
    versions = facts.get("versions")
    return Provenance(
        facts=_facts(evaluation),
        methods=[(label(name), _settings(evaluation, name)) for name in evaluation.methods],
        versions=_pairs(versions if isinstance(versions, Mapping) else {}),
        left_out=[(name, value) for name, value in _pairs(facts.get("left_out")) if value != "0"],
        unreadable=unreadable[:_MAX_NAMED],
        unnamed=max(0, len(unreadable) - _MAX_NAMED),
        notes=[plain(note) for note in facts.get("notes") or []],
        record=json.dumps(dict(facts), indent=1, ensure_ascii=False, sort_keys=True, default=str),
    )


def _model(evaluation: Evaluation) -> str:
    model = evaluation.facts.get("model")
    return (file_name(model) if model else "") or label(Path(evaluation.folder).resolve().name)


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    facts = evaluation.facts
    level, resamples = facts.get("level"), facts.get("resamples")
    bootstrap = f"{100 * level:g} %, percentile bootstrap over images" if level else None
    pairs = {
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
    return [(name, plain(value)) for name, value in pairs.items() if value is not None]


def _images(evaluation: Evaluation) -> str:
    number, drawn = count(len(evaluation.images), "image"), evaluation.facts.get("drawn")
    if drawn is None:
        return number
    how = "at random with the seed" if evaluation.facts.get("shuffled") else "in the dataset's order"
    return f"{number}, of {drawn:,} drawn {how}"


def _layer(facts: Mapping[str, Any]) -> str | None:
    shape = facts.get("layer_shape")
    size = f", {'×'.join(map(str, shape))}" if shape else ""
    return None if facts.get("layer") is None else plain(facts["layer"]) + size


def _named(value: object) -> str | None:
    """Return a preprocessing's name and where it was found."""
    if not isinstance(value, Mapping) or "name" not in value:
        return None if value is None else plain(value)
    return plain(value["name"]) + (f": {plain(value['source'])}" if value.get("source") else "")


def _settings(evaluation: Evaluation, method: str) -> str:
    if not evaluation.images:
        return ""
    record = evaluation.maps[evaluation.images[0].sha256, method].record
    method_facts = {"method": record.get("method"), "variant": record.get("variant"), **record.get("parameters", {})}
    return plain({**method_facts, "seed": record.get("seed")})


def _pairs(values: object) -> list[tuple[str, str]]:
    return [(plain(name), plain(value)) for name, value in values.items()] if isinstance(values, Mapping) else []
