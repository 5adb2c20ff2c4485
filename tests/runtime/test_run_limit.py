"""A Loop that never ends is ended; one that ends, and models without one, are run as ever."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx_cam
from onnx_cam.errors import ModelError
from onnx_cam.runtime import session
from onnx_cam.runtime.run_limit import may_never_end
from tests import tiny
from tests.fuzz.corpus.models import samples

LOOP = next(sample.proto for sample in samples() if sample.name == "loop")


def counting(count: int) -> onnx.ModelProto:
    """Return the tiny network with a Loop that runs so many times."""
    model = onnx.ModelProto()
    model.CopyFrom(LOOP)
    (times,) = (tensor for tensor in model.graph.initializer if tensor.name == "times")
    times.raw_data = np.int64(count).tobytes()
    return model


def test_a_loop_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOOP_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"no end within 0\.5 s; its Loop may never end"):
        onnx_cam.load(tiny.save(counting(2**62), tmp_path))
    assert time.monotonic() - start < 10


def test_a_loop_that_ends_is_run(tmp_path: Path) -> None:
    model = onnx_cam.load(tiny.save(counting(3), tmp_path), preprocess="none")
    plain = onnx_cam.load(tiny.save(tiny.model(), tmp_path), preprocess="none")
    first, second = (onnx_cam.explain(one, tiny.image()).map for one in (model, plain))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_only_a_loop_may_never_end() -> None:
    assert may_never_end(LOOP)
    assert not any(may_never_end(sample.proto) for sample in samples() if sample.name != "loop")
