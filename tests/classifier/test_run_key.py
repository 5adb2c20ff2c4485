"""The name of what runs found: another for everything that could change it, and none where that cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnx_cam.classifier import run_key as module
from onnx_cam.classifier import sessions
from onnx_cam.classifier.run_key import run_key
from onnx_cam.classifier.sessions import SessionOpener
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.head import find_heads
from onnx_cam.graph.heads import HEADS
from onnx_cam.graph.inputs.image_input import describe_image_input
from onnx_cam.graph.inputs.prepare import prepare_inputs
from onnx_cam.graph.read import import_graph, read_model
from onnx_cam.image.preprocessing import PRESETS
from tests import tiny


def scaled() -> onnx.ModelProto:
    """Return the tiny network with a second input, which the image is multiplied by."""
    nodes = [onnx.helper.make_node("Mul", ["image", "factor"], ["scaled"]), *tiny.body()]
    nodes[1].input[0] = "scaled"
    made = tiny.build(nodes, tiny.weights(), image=["n", 3, 20, 20], outputs=[tiny.value_info("logits", ["n", 4])])
    made.graph.input.append(tiny.value_info("factor", [1]))
    return made


def key(
    made: onnx.ModelProto | None = None,
    constants: dict[str, object] | None = None,
    opener: Callable[[SessionOpener], SessionOpener] = lambda one: one,
    **settings: Any,
) -> str | None:
    prepared = prepare_inputs(read_model(made or tiny.model()), None, constants)
    heads = find_heads(import_graph(prepared.file), Constants(prepared.file), "tiny.onnx")
    own = SessionOpener("tiny.onnx", describe_image_input(prepared), "cpu", 1, prepared.file.folder)
    own_settings = {"size": (20, 20), "preprocessing": PRESETS["imagenet"], "kind": None, **settings}
    return run_key(prepared, heads, opener(own), **own_settings)


def test_it_is_the_same_each_time() -> None:
    assert key() == key()
    assert key(scaled(), {"factor": [2.0]}) == key(scaled(), {"factor": np.array([2.0], np.float32)})


OTHERS: dict[str, Callable[[], str | None]] = {
    "another weight": lambda: key(tiny.model(seed=1)),
    "another output": lambda: key(tiny.softmax_model()),
    "another size": lambda: key(size=(24, 24)),
    "another preprocessing": lambda: key(preprocessing=replace(PRESETS["imagenet"], mean=(0.485, 0.456, 0.407))),
    "no preprocessing": lambda: key(preprocessing=None),
    "a head that the user names": lambda: key(kind=HEADS["logits"]),
    "another head that the user names": lambda: key(kind=HEADS["raw"]),
    "threads": lambda: key(opener=lambda one: replace(one, threads=2)),
    "a value of another input": lambda: key(scaled(), {"factor": [2.0]}),
    "another value of another input": lambda: key(scaled(), {"factor": [2.5]}),
    "a long value": lambda: key(scaled(), {"factor": [2.0 + 2**-20]}),
}


def test_whatever_could_change_the_results_changes_it() -> None:
    keys = {name: make() for name, make in {"as it is": key, **OTHERS}.items()}
    assert None not in keys.values()
    assert len(set(keys.values())) == len(keys)


@pytest.mark.parametrize("name", ["__version__", "_FORMAT"])
def test_other_versions_change_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr(module, name, "another")
    assert key() != before


def test_another_processor_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr(np, "show_config", lambda mode: {"SIMD Extensions": {"found": ["another"]}})
    assert key() != before


def test_where_libraries_of_operators_take_part_there_is_none() -> None:
    assert key(opener=lambda one: replace(one, libraries=("/lib/operators.so",))) is None


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "tensorrt", "openvino"])
def test_on_other_devices_there_is_none(device: str) -> None:
    assert key(opener=lambda one: replace(one, device=device)) is None


def test_by_default_there_is_none_where_another_device_may_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    providers = ["CPUExecutionProvider"]
    monkeypatch.setattr(sessions, "providers_for", lambda device: [(provider, {}) for provider in providers])
    assert key(opener=lambda one: replace(one, device="auto")) == key()
    providers.insert(0, "CUDAExecutionProvider")
    assert key(opener=lambda one: replace(one, device="auto")) is None


def test_with_weights_in_other_files_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "external.onnx"
    onnx.save(tiny.model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    prepared = prepare_inputs(read_model(path))
    heads = find_heads(import_graph(prepared.file), Constants(prepared.file), "external.onnx")
    opener = SessionOpener("external.onnx", describe_image_input(prepared), "cpu", 1, prepared.file.folder)
    assert run_key(prepared, heads, opener, size=(20, 20), preprocessing=None, kind=None) is None
