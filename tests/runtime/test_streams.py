"""Several runs at once: the same scores, nothing lost or scored twice, whatever fails, and a stop at once."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.runtime.concurrent_runs import ConcurrentRuns
from onnx_cam.runtime.cores import cgroup_cores, usable_cores
from onnx_cam.runtime.schedule import Schedule
from onnx_cam.runtime.score_session import ScoreSession, TimedScores
from onnx_cam.runtime.scorer import Scorer
from onnx_cam.runtime.spread import Spread, SpreadChoice
from tests import tiny

METHODS = [("scorecam", {}), ("sscam1", {"samples": 2}), ("sscam2", {"samples": 3}), ("iscam", {"samples": 4})]


def load(path: Path, streams: int, threads: int = 1) -> Classifier:
    """Return a classifier whose score graphs run in so many streams."""
    model = onnx_cam.load(path, device="cpu", preprocess="none")
    model.sessions._spreads = SpreadChoice(streams * threads, Spread(streams, threads))
    return model


def explain(model: Classifier, method: str, **settings: Any) -> onnx_cam.Explanation:
    result: onnx_cam.Explanation = onnx_cam.explain(model, tiny.image(), method=method, **settings)
    return result


@pytest.mark.parametrize(("method", "settings"), METHODS)
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_the_streams_never_change_a_map(method: str, settings: Any, batch_size: int, tiny_path: Path) -> None:
    spreads = [(1, 1), (2, 1), (4, 1), (1, 2), (2, 2)]
    results = [explain(load(tiny_path, *one), method, batch_size=batch_size, **settings) for one in spreads]
    hashes = {hashlib.sha256(one.map.tobytes()).hexdigest() for one in results}
    assert len(hashes) == 1
    assert [one.record()["streams"] for one in results] == [streams for streams, _ in spreads]
    assert len({one.passes for one in results}) == 1


class Failing:
    """Stands in front of the runs of a session with many streams: counts them, and fails some of them."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, fails: Callable[[int, int], Exception | None], seconds: float = 0.0
    ) -> None:
        """Take (run number, inputs) to an error, or to None; what was run before gets the number -1."""
        self._seen: set[tuple[bytes, int]] = set()
        self.sizes: list[int] = []
        self.threads: set[int] = set()
        self._lock = threading.Lock()
        self._run = ScoreSession.run

        def run(session: ScoreSession, kind: Any, maps: np.ndarray, steps: int, **settings: Any) -> Any:
            fields = settings.get("fields")
            key = maps.tobytes(), 0 if fields is None else fields.ctypes.data
            with self._lock:
                number = -1 if key in self._seen else len(self.sizes)
                self._seen.add(key)
                self.sizes.append(len(maps) * steps)
                self.threads.add(threading.get_ident())
            time.sleep(seconds)
            if (error := fails(number, len(maps) * steps)) is not None:
                raise error
            return self._run(session, kind, maps, steps, **settings)

        monkeypatch.setattr(ScoreSession, "run", run)


@pytest.mark.parametrize("broken", [{0}, {1}, {0, 9}, {3, 7, 11}])
def test_a_stream_that_fails_loses_nothing(broken: set[int], tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = explain(load(tiny_path, 3), "sscam2", samples=8, batch_size=2)
    Failing(monkeypatch, lambda number, _: ScoreError("a hiccup") if number in broken else None)
    result = explain(load(tiny_path, 3), "sscam2", samples=8, batch_size=2)
    np.testing.assert_array_equal(result.map, sound.map)
    assert (result.passes, result.passes_skipped) == (sound.passes, sound.passes_skipped)


def test_what_fails_twice_is_an_error_and_the_next_map_is_whole(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_path, 3)
    with monkeypatch.context() as patched:
        Failing(patched, lambda *_: ScoreError("it is broken"))
        with pytest.raises(ScoreError, match="it is broken"):
            explain(model, "sscam2", samples=8, batch_size=2)
    sound = explain(load(tiny_path, 1), "sscam2", samples=8, batch_size=2)
    np.testing.assert_array_equal(explain(model, "sscam2", samples=8, batch_size=2).map, sound.map)


def test_where_memory_runs_out_the_batch_is_halved_before_the_streams(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = explain(load(tiny_path, 1), "sscam2", samples=8, batch_size=4)
    model = load(tiny_path, 4)

    def fails(number: int, size: int) -> Exception | None:
        too_much = size > 1 or model.sessions._spreads.current.streams > 2
        return OutOfMemoryError("out of memory") if too_much else None

    Failing(monkeypatch, fails)
    result = explain(model, "sscam2", samples=8, batch_size=4)
    assert (result.batch_size, result.streams) == (1, 2)
    assert any("continued with batch size 1, 2 at once" in warning for warning in result.warnings)
    np.testing.assert_allclose(result.map, sound.map, atol=1e-6)
    assert result.passes == sound.passes


@pytest.mark.parametrize(("channels", "sizes"), [(4, [2, 2]), (5, [3, 2]), (6, [3, 3])])
def test_the_last_runs_are_as_large_as_lets_all_streams_end_at_once(
    channels: int, sizes: list[int], tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_path, 2)
    failing = Failing(monkeypatch, lambda *_: None)
    maps = np.random.default_rng(0).random((channels, 5, 5), np.float32)
    image = model.network_input(tiny.image())
    batch = model.sessions.score_session("none").batch
    batch.size, batch.settled = 4, True  # as if it had been measured
    scorer = Scorer(model.sessions, image, [1], np.zeros_like(image), seed=0)
    scorer.run(Schedule(maps, path=np.ones(1)), "probability")
    assert sorted(failing.sizes, reverse=True) == sizes


def test_several_runs_are_under_way_at_once(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(monkeypatch, lambda *_: None, seconds=0.02)
    explain(load(tiny_path, 4), "sscam2", samples=8, batch_size=1)
    assert len(failing.threads) >= 4


def test_a_score_that_is_not_a_number_is_named_by_its_place_whatever_ends_first(tmp_path: Path) -> None:
    weights = tiny.weights()
    model = tiny.build(
        [*tiny.body()[:-1], helper.make_node("Gemm", ["flat", "w3", "b3"], ["raw"], transB=1),
         helper.make_node("Log", ["raw"], ["logits"])],
        weights, image=["N", 3, 20, 20], outputs=[tiny.value_info("logits", ["N", 4])],
    )  # fmt: skip
    path = tiny.save(model, tmp_path)
    lines = set()
    for streams in (1, 4, 4, 4):
        with pytest.raises(onnx_cam.OnnxCamError) as raised:
            explain(load(path, streams), "sscam2", samples=8, batch_size=1)
        lines.add(str(raised.value))
    assert len(lines) == 1


def test_a_process_that_forks_after_streams_have_run_works_on(tiny_path: Path) -> None:
    model = load(tiny_path, 4)
    expected = explain(model, "scorecam").map
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            same = np.array_equal(explain(model, "scorecam").map, expected)
            os.write(writer, b"1" if same else b"0")
        finally:
            os._exit(0)
    os.close(writer)
    assert os.read(reader, 1) == b"1"
    os.waitpid(child, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_ends_all_streams_at_once(tmp_path: Path) -> None:
    """A network of heavy layers, so that four streams would take minutes."""
    weights = tiny.weights()
    normal = np.random.default_rng(0).standard_normal
    wide = {
        "v1": (normal((64, 3, 9, 9)) / 16).astype(np.float32),
        "v2": (normal((64, 64, 9, 9)) / 72).astype(np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "v1"], ["a"], pads=[4] * 4), node("Relu", ["a"], ["r"]),
        node("Conv", ["r", "v2"], ["b"], pads=[4] * 4), node("Relu", ["b"], ["relu2"]),
        node("GlobalAveragePool", ["relu2"], ["p"]), node("Flatten", ["p"], ["flat"]),
        node("Gemm", ["flat", "w3", "b3"], ["logits"], transB=1),
    ]  # fmt: skip
    weights = {"w3": np.full((4, 64), 0.1, np.float32), "b3": weights["b3"], **wide}
    model = tiny.build(nodes, weights, image=["N", 3, 128, 128], outputs=[tiny.value_info("logits", ["N", 4])])
    tiny.save(model, tmp_path)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((3, 128, 128)).astype(np.float32))
    words = [
        sys.executable,
        "-m",
        "onnx_cam",
        "explain",
        "tiny.onnx",
        "x.npy",
        "--preprocess",
        "none",
        "--threads",
        "4",
    ]
    # A shell's background job ignores the signal, and so would the child: it inherits that, but not a handler.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([*words, "--method", "sscam2", "--samples", "50"], cwd=tmp_path, stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, handler)
    time.sleep(6)
    assert process.poll() is None
    started = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.perf_counter() - started < 5
    assert not (tmp_path / "onnx-cam-out").exists()


def test_the_cores_of_a_cgroup_are_read(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cgroup_cores(tmp_path, tmp_path / "missing") is None
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert cgroup_cores(tmp_path, tmp_path / "missing") == 2.5
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "cpu.max").write_text("max\n")
    (tmp_path / "a" / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "cgroup").write_text("0::/a/b\n")
    assert cgroup_cores(tmp_path, tmp_path / "cgroup") == 0.5
    (tmp_path / "a" / "cpu.max").write_text("nonsense\n")
    assert cgroup_cores(tmp_path, tmp_path / "cgroup") == 2.5


def test_the_cores_of_an_old_cgroup_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "cpu" / "docker" / "x"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("150000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cgroup").write_text("5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n")
    assert cgroup_cores(tmp_path, tmp_path / "cgroup") == 1.5
    (folder / "cpu.cfs_quota_us").write_text("-1\n")
    assert cgroup_cores(tmp_path, tmp_path / "cgroup") is None


@pytest.mark.parametrize(("limit", "requested", "cores"), [(0.5, None, 1), (0.5, 8, 1), (1.5, None, 2), (None, 1, 1)])
def test_half_a_core_is_one(limit: float | None, requested: int | None, cores: int, monkeypatch: Any) -> None:
    monkeypatch.setattr("onnx_cam.runtime.cores.cgroup_cores", lambda: limit)
    monkeypatch.setattr("onnx_cam.runtime.cores._affinity", lambda: 4)
    assert usable_cores(requested) == cores


def test_more_threads_than_cores_are_said_and_not_started(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnx_cam.runtime.cores._affinity", lambda: 2)
    monkeypatch.setattr("onnx_cam.runtime.cores.cgroup_cores", lambda: None)
    model = onnx_cam.load(tiny_path, device="cpu", preprocess="none", threads=8)
    assert "8 threads were requested, and 2 cores may be used: running on 2" in model.notes
    assert model.sessions.opener.threads == 2
    assert explain(model, "scorecam").streams == 2
    assert not onnx_cam.load(tiny_path, device="cpu", preprocess="none", threads=2).notes
    monkeypatch.setattr("onnx_cam.runtime.cores.cgroup_cores", lambda: 0.5)
    assert onnx_cam.load(tiny_path, device="cpu", preprocess="none").sessions.opener.threads == 1


def test_the_spread_that_measures_best_is_kept() -> None:
    def chosen(seconds: dict[int, float], cores: int) -> Spread:
        choice = SpreadChoice(cores)
        for _ in range(1000):
            choice.ran(choice.current, 4, seconds[choice.current.streams] * choice.current.streams)
            choice.try_next(10_000, load_seconds=0.01)
            if choice.settled:
                break
        assert choice.settled
        return choice.current

    assert chosen({4: 0.1, 2: 0.2, 1: 0.4}, 4) == Spread(4, 1)
    assert chosen({4: 0.1, 2: 0.05, 1: 0.4}, 4) == Spread(2, 2)
    assert chosen({4: 0.1, 2: 0.05, 1: 0.02}, 4) == Spread(1, 4)
    assert chosen({1: 1.0}, 1) == Spread(1, 1)


@pytest.mark.parametrize(("again", "expected"), [(0.2, Spread(1, 2)), (0.05, Spread(2, 1))])
def test_fewer_streams_must_be_faster_than_before_and_after(again: float, expected: Spread) -> None:
    """The first spread is measured while another program runs, and then once more: that program may have ended."""
    choice = SpreadChoice(2)
    for seconds in (0.2, 0.06, again):
        streams = choice.current.streams
        for _ in range(3 * streams):
            choice.ran(choice.current, 4, seconds * streams)
        choice.try_next(10_000, load_seconds=0.01)
    assert choice.settled
    assert choice.current == expected


def test_few_inputs_are_not_worth_a_measurement() -> None:
    choice = SpreadChoice(2)
    for _ in range(10):
        choice.ran(choice.current, 4, 0.1)
    choice.try_next(inputs=100, load_seconds=10)
    assert choice.current == Spread(2, 1)
    assert not choice.settled


def test_a_requested_batch_size_is_that_of_every_run_but_the_last(tiny_path: Path) -> None:
    """So the bits of a map do not depend on the streams, also where other batches are rounded otherwise."""
    model = load(tiny_path, streams=2)
    sizes: list[int] = []
    session = model.sessions.score_session("none")
    run = session.run

    def watched(kind: Any, maps: Any, steps: int, **settings: Any) -> Any:
        sizes.append(len(maps) * steps)
        return run(kind, maps, steps, **settings)

    session.run = watched  # type: ignore[assignment,method-assign]
    onnx_cam.explain(model, tiny.image(), layer="relu1", batch_size=4)
    assert sorted(sizes)[1:] == [4] * (len(sizes) - 1)


def test_progress_is_told_while_a_long_run_lasts(tiny_classifier: Classifier) -> None:
    """A run of 0.8 s: the caller gets to speak up to three times before it ends."""
    session = tiny_classifier.sessions.score_session("none")
    tasks = [1]

    def run(task: int) -> TimedScores:
        time.sleep(0.8)
        return TimedScores(np.zeros((1, 1, 1)), 0.8, session.spread)

    with ConcurrentRuns[int](session, lambda: tasks.pop() if tasks else None, run) as runs:
        runs.start()
        waits = 0
        while not (ended := runs.finished(0.25)):
            waits += 1
    assert 1 <= waits <= 3
    assert ended[0].task == 1
