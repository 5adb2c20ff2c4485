"""What trial runs gave is kept: a second load concludes the same, without a session; anything else runs the model."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnx_cam
from onnx_cam.classifier import sessions
from onnx_cam.classifier.run_cache import OFF, read_entry, write_entry
from onnx_cam.runtime.session import Session
from tests import tiny
from tests.places import SHARED

X = tiny.image()
PANEL = sorted((SHARED / "panel").glob("*.onnx"))


class Sessions(list[str]):
    """The sessions that were opened, by the model's name."""


@pytest.fixture
def opened(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    """Return the list of the sessions that a model opens from now on, with the cache switched on."""
    names = Sessions()

    class Counted(Session):
        def __init__(self, proto: onnx.ModelProto, *, name: str, **settings: Any) -> None:
            names.append(name)
            super().__init__(proto, name=name, **settings)

    monkeypatch.setattr(sessions, "Session", Counted)
    return names


def load(path: Path, **settings: Any) -> onnx_cam.Classifier:
    return onnx_cam.load(path, device="cpu", **{"preprocess": "none", **settings})


def facts(model: onnx_cam.Classifier) -> str:
    """Return everything that is known of a model, as text."""
    return json.dumps(
        [
            [(one.what, str(one.value), one.source) for one in onnx_cam.inspect(model)],
            [layer.describe() for layer in model.layers()],
            [repr(model.head), model.classes, model.facts.is_binary, repr(model.facts.batch), model.notes],
            [model.provider, model.cpu_fallback_nodes],
        ]
    )


def again(path: Path, opened: Sessions, **settings: Any) -> bool:
    """Tell whether loading a model, and listing its layers, took no session."""
    opened.clear()
    load(path, **settings).layers()
    return not opened


def kept(own_cache: Path, kind: str = "trial") -> list[Path]:
    return list((own_cache / kind).iterdir()) if (own_cache / kind).exists() else []


@pytest.mark.parametrize("path", PANEL, ids=lambda path: path.stem)
def test_real_models_are_known_without_a_run(
    path: Path, own_cache: Path, opened: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cache switched off, with an empty one and with a full one the same is known of a model."""
    texts = []
    for value in ("1", "0", "0"):
        monkeypatch.setenv(OFF, value)
        opened.clear()
        texts.append(facts(onnx_cam.load(path, device="cpu")))
    assert texts[0] == texts[1] == texts[2]
    assert len(opened) <= 1  # the geometry of a transformer's tokens is measured


@pytest.mark.parametrize("make", [tiny.model, tiny.softmax_model, lambda: tiny.model(batch=1)])
@pytest.mark.parametrize("method", ["cam", "scorecam"])
def test_a_map_is_the_same_bit_for_bit(
    make: Callable[[], onnx.ModelProto], method: str, opened: Sessions, tmp_path: Path
) -> None:
    path = tiny.save(make(), tmp_path)
    maps = [onnx_cam.explain(load(path), X, method=method).map.tobytes() for _ in range(2)]
    assert maps[0] == maps[1]
    assert again(path, opened)


def test_logits_of_a_concluded_head_are_scored_as_before(opened: Sessions, tmp_path: Path) -> None:
    """The session that is opened late has the same outputs as the trial's."""
    path = tiny.save(tiny.softmax_model(), tmp_path)
    scores = [load(path).sessions.scores(X[None], "logit") for _ in range(2)]
    assert np.array_equal(scores[0], scores[1])


def test_a_changed_file_of_the_same_name_is_run(opened: Sessions, tmp_path: Path) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    model = load(path)
    assert model.layers()
    assert model.head.kind.name == "logits"
    assert again(path, opened)
    tiny.save(tiny.softmax_model(), tmp_path)
    assert not again(path, opened)
    assert load(path).head.kind.name == "softmax"


@pytest.mark.parametrize(
    "settings",
    [{"threads": 1}, {"size": (24, 24)}, {"preprocess": "tf"}, {"head": "logits"}, {"output": "flat"}],
    ids=lambda settings: next(iter(settings)),
)
def test_other_settings_are_run(settings: dict[str, Any], opened: Sessions, tmp_path: Path) -> None:
    if "threads" in settings and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("one core")
    path = tiny.save(tiny.model(size="side"), tmp_path)
    load(path, size=(20, 20)).layers()
    assert again(path, opened, size=(20, 20))
    assert not again(path, opened, **{"size": (20, 20), **settings})


def test_other_versions_are_run(opened: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    load(path).layers()
    assert again(path, opened)
    monkeypatch.setattr("onnx_cam.classifier.run_key.__version__", "0")
    assert not again(path, opened)


def test_weights_in_other_files_are_run_each_time(own_cache: Path, opened: Sessions, tmp_path: Path) -> None:
    path = tmp_path / "external.onnx"
    onnx.save(tiny.model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    load(path).layers()
    assert not again(path, opened)
    assert not kept(own_cache)


def test_random_graphs_are_run_each_time(own_cache: Path, opened: Sessions, tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node("RandomNormalLike", ["image"], ["noise"], scale=0.01)]
    nodes += [onnx.helper.make_node("Add", ["image", "noise"], ["noisy"]), *tiny.body()]
    nodes[2].input[0] = "noisy"
    made = tiny.build(nodes, tiny.weights(), image=["n", 3, 20, 20], outputs=[tiny.value_info("logits", ["n", 4])])
    path = tiny.save(made, tmp_path)
    assert load(path).facts.randomness
    assert not again(path, opened)
    assert not kept(own_cache)


def test_a_failed_batch_is_tried_each_time(own_cache: Path, opened: Sessions, tmp_path: Path) -> None:
    """That several images fail together may be for want of memory: it is not kept."""
    constants = {**tiny.weights(), "fixed": np.array([1, 6], np.int64)}
    nodes = tiny.body()
    nodes[5] = onnx.helper.make_node("Reshape", ["pooled", "fixed"], ["flat"])
    outputs = [tiny.value_info("logits", ["batch", tiny.CLASSES])]
    path = tiny.save(tiny.build(nodes, constants, image=["batch", 3, 20, 20], outputs=outputs), tmp_path)
    assert load(path).fixed_batch == 1
    assert not kept(own_cache)
    assert not again(path, opened)


def array(numbers: np.ndarray[Any, Any], **changes: object) -> dict[str, object]:
    content = base64.b64encode(numbers.tobytes()).decode()
    return {"dtype": numbers.dtype.name, "shape": list(numbers.shape), "values": content, **changes}


LOGITS = np.arange(20, dtype=np.float32).reshape(5, 4)
UNIT_LENGTH = np.array([[0.6, -0.8, 0, 0], [-1, 0, 0, 0], [0, 0, 0.8, 0.6], [0, 1, 0, 0], [0, 0, 0, -1]], np.float32)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"head": 0},
        {"head": 0, "arrays": []},
        {"head": 0, "arrays": 3},
        {"head": 0, "arrays": [None]},
        {"head": 0, "arrays": [{}]},
        {"head": 1, "arrays": [array(LOGITS)]},
        {"head": -1, "arrays": [array(LOGITS)]},
        {"head": "0", "arrays": [array(LOGITS)]},
        {"head": True, "arrays": [array(LOGITS)]},
        {"head": 0, "arrays": [array(LOGITS), array(LOGITS)]},
        {"head": 0, "arrays": [array(LOGITS[:4])]},
        {"head": 0, "arrays": [array(LOGITS[:, :3])]},  # the graph declares four classes
        {"head": 0, "arrays": [array(LOGITS[:, :0])]},
        {"head": 0, "arrays": [array(LOGITS, dtype="object")]},
        {"head": 0, "arrays": [array(LOGITS, dtype=["a"])]},
        {"head": 0, "arrays": [array(LOGITS, dtype="float64")]},
        {"head": 0, "arrays": [array(LOGITS, dtype="int32")]},
        {"head": 0, "arrays": [array(LOGITS, shape=[5, -4])]},
        {"head": 0, "arrays": [array(LOGITS, shape=[5, 4.0])]},
        {"head": 0, "arrays": [array(LOGITS, shape=[5, 2**70])]},
        {"head": 0, "arrays": [array(LOGITS, shape=20)]},
        {"head": 0, "arrays": [array(LOGITS, values="\u00fc")]},
        {"head": 0, "arrays": [array(LOGITS, values=7)]},
        {"head": 0, "arrays": [array(LOGITS, values="*")]},
        {"head": 0, "arrays": [array(UNIT_LENGTH)]},  # an embedding
    ],
)
def test_numbers_that_do_not_fit_are_not_taken(
    content: dict[str, Any], own_cache: Path, opened: Sessions, tmp_path: Path
) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    expected = facts(load(path))
    (entry,) = kept(own_cache)
    sound = read_entry("trial", entry.stem)
    write_entry("trial", entry.stem, content)
    assert read_entry("trial", entry.stem) == content
    opened.clear()
    assert facts(load(path)) == expected
    assert opened  # it was run,
    assert read_entry("trial", entry.stem) == sound  # and what that gave is kept in its place


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"names": ["relu2"]},
        {"names": 3, "shapes": {}},
        {"shapes": []},
        {"shapes": {"other": [1, 6, 5, 5]}},
        {"shapes": {"relu2": 5}},
        {"shapes": {"relu2": [1, 6, 5, "5"]}},
        {"shapes": {"relu2": [1, 6, 5, -5]}},
        {"shapes": {"relu2": [1, 6, 5, True]}},
    ],
)
def test_shapes_that_do_not_fit_are_not_taken(
    content: dict[str, Any], own_cache: Path, opened: Sessions, tmp_path: Path
) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    expected = facts(load(path))
    (entry,) = kept(own_cache, "shapes")
    sound = read_entry("shapes", entry.stem)
    assert sound is not None
    names = {} if "names" in content or not content else {"names": sound["names"]}
    write_entry("shapes", entry.stem, {**names, **content})
    opened.clear()
    assert facts(load(path)) == expected
    assert len(opened) == 1
    assert read_entry("shapes", entry.stem) == sound


def test_models_in_memory_are_kept_by_their_bytes(opened: Sessions) -> None:
    made = tiny.model()
    onnx_cam.load(made, device="cpu", preprocess="none").layers()
    opened.clear()
    onnx_cam.load(made.SerializeToString(), device="cpu", preprocess="none").layers()
    assert not opened
