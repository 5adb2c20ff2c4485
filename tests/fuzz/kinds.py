"""The kinds of input: how one is made from its seed, and what reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from onnx import helper

from tests import tiny
from tests.fuzz import readers
from tests.fuzz.corpus.configurations import FILES, METADATA
from tests.fuzz.corpus.images import images
from tests.fuzz.corpus.labels import LABELS
from tests.fuzz.corpus.models import samples
from tests.fuzz.mutators.graph import changed_model
from tests.fuzz.mutators.protobuf import serialised
from tests.fuzz.mutators.raw import damaged
from tests.fuzz.mutators.values import changed, to_yaml
from tests.fuzz.readers import MODEL

__all__ = ["KINDS", "Kind"]

Files = dict[str, bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes
    ----------
    name : str
    make : callable
        Returns the files of a seed by their names: always the same ones.
    read : callable
        Runs what reads the files of a folder; it may raise an OnnxCamError.
    """

    name: str
    make: Callable[[int], Files]
    read: Callable[[Path, int], None]


def model_bytes(seed: int) -> Files:
    """Return a model with some bytes changed, of the graph more often than of the weights."""
    random = Random(f"models-bytes {seed}")
    sample = random.choice(samples())
    content = sample.proto.SerializeToString()
    others = [other.proto.SerializeToString() for other in samples()]
    files = dict(sample.files)
    if files and random.random() < 0.2:
        files = {name: damaged(old, random) for name, old in files.items()}
    return files | {MODEL: damaged(content, random, others, _structure(sample.name))}


@cache
def _structure(name: str) -> list[int]:
    """Return the positions of a model's bytes that are not those of its weights."""
    sample = next(sample for sample in samples() if sample.name == name)
    content = sample.proto.SerializeToString()
    places = set(range(len(content)))
    for tensor in sample.proto.graph.initializer:
        if len(tensor.raw_data) > 4:
            start = content.find(tensor.raw_data)
            places -= set(range(start, start + len(tensor.raw_data)))
    return sorted(places)


def model_protobuf(seed: int) -> Files:
    """Return a model with what its graph means changed."""
    random = Random(f"models-protobuf {seed}")
    sample = random.choice(samples())
    return dict(sample.files) | {MODEL: serialised(changed_model(sample.proto, random))}


def image(seed: int) -> Files:
    """Return an image file with some bytes changed, perhaps under another format's name."""
    random = Random(f"images {seed}")
    files = images()
    name = random.choice(sorted(files))
    content = damaged(files[name], random, list(files.values()), range(min(64, len(files[name]))))
    return {name: content}


def configuration(seed: int) -> Files:
    """Return a model with a damaged configuration beside it or in its metadata."""
    random = Random(f"configurations {seed}")
    if random.random() < 0.3:
        return {MODEL: _with_metadata(random)}
    files: Files = {MODEL: _free_model().SerializeToString()}
    for name in random.sample(sorted(FILES), random.choice((1, 1, 1, 2))):
        files[name] = _text(name, changed(random.choice(FILES[name]), random), random)
    return files


def _with_metadata(random: Random) -> bytes:
    model = _free_model()
    metadata = changed(random.choice(METADATA), random)
    entries = metadata.items() if isinstance(metadata, dict) else [("names", metadata)]
    for key, value in entries:
        text = value if isinstance(value, str) else random.choice([json.dumps, repr])(value)
        content = damaged(text.encode("utf-8", "surrogatepass") or b" ", random) if random.random() < 0.2 else None
        text = text if content is None else content.decode("utf-8", "replace")
        model.metadata_props.add(key=_encodable(str(key)), value=_encodable(text))
    return serialised(model)


def _text(name: str, value: Any, random: Random) -> bytes:
    """Return a configuration as the file of that name has it, sometimes with its bytes damaged, too."""
    as_yaml = name.endswith((".yml", ".yaml"))
    text = to_yaml(value) if as_yaml else json.dumps(value, indent=random.choice([None, 2]))
    content = text.encode(random.choice(["utf-8"] * 8 + ["utf-8-sig", "utf-16"]))
    if random.random() < 0.02:
        return content[: random.randrange(len(content))] + random.choice([b"[", b'{"a":', b"- "]) * 100_000
    return damaged(content, random) if random.random() < 0.4 else content


def labels(seed: int) -> Files:
    """Return a model with a damaged label file beside it."""
    random = Random(f"labels {seed}")
    name = random.choice(sorted(LABELS))
    content = random.choice(LABELS[name])
    others = [other for contents in LABELS.values() for other in contents]
    if random.random() < 0.3:
        value = changed(["bird", "cat", {"0": "a", "1": "b"}, {"names": [{"id": 0, "name": "a"}]}], random)
        value = random.choice([value, value[0] if isinstance(value, list) and value else value])
        text = random.choice([json.dumps, repr, to_yaml])(value)
        content = text.encode("utf-8", "surrogatepass")
    if random.random() < 0.01:
        content += random.choice([b"[", b"(", b"{'a':", b"\n", b"-", b"'"]) * 100_000
    return {MODEL: tiny.model().SerializeToString(), name: damaged(content or b" ", random, others)}


def _free_model() -> Any:
    """Return a model whose size a configuration settles, and whose names none does."""
    model = tiny.model(size="side")
    helper.set_model_props(model, {})
    return model


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


KINDS = {
    kind.name: kind
    for kind in (
        Kind("models-bytes", model_bytes, readers.explain_model),
        Kind("models-protobuf", model_protobuf, readers.explain_model),
        Kind("images", image, readers.open_image),
        Kind("configurations", configuration, readers.read_beside_model),
        Kind("labels", labels, readers.read_labels),
    )
}
"""Every kind, by its name."""
