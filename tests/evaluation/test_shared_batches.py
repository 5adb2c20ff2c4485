"""Runs whose maps are measured together: the figures of each map alone, and nothing stored by halves."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import onnx_cam
from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.evaluation import Evaluation, evaluate, image_evaluator, read_evaluation
from onnx_cam.evaluation.results.records import MeasuredMap
from onnx_cam.evaluation.results.results_file import FILE_NAME
from onnx_cam.runtime.score_session import ScoreSession
from onnx_cam.runtime.spread import Spread, SpreadChoice

METHODS = ("scorecam", "cam", "sscam2:sigma=0.1", "scorecam:pytorch-grad-cam", "equal")
Floats = NDArray[np.float32]


def run(model: Path, table: Path, out: Path, **settings: Any) -> Evaluation:
    chosen: dict[str, Any] = {"methods": ",".join(METHODS), "samples": 2, "steps": 4, "report": False}
    chosen |= {"controls": False, **settings}
    loaded = onnx_cam.load(model, preprocess="unit", device="cpu")
    loaded.sessions._spreads = SpreadChoice(2, Spread(2, 1))  # whatever the cores of this machine
    return evaluate(loaded, table, out=out, **chosen)


def content(made: MeasuredMap) -> tuple[bytes, int, int, Mapping[str, Any]]:
    return made.cam.tobytes(), made.record["passes"], made.record["measuring_passes"], made.figures


def fail(monkeypatch: pytest.MonkeyPatch, error: Exception, when: Callable[[int], bool]) -> None:
    """Let those runs of images fail for whose number `when` is true."""
    original, calls = ScoreSession.run_images, [0]

    def run_images(session: ScoreSession, kind: Any, images: Floats, **settings: Any) -> Any:
        calls[0] += 1
        if when(calls[0]):
            raise error
        return original(session, kind, images, **settings)

    monkeypatch.setattr(ScoreSession, "run_images", run_images)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_a_map_has_the_figures_and_the_passes_that_it_has_alone(
    batch_size: int, model: Path, table: Path, tmp_path: Path
) -> None:
    together = run(model, table, tmp_path / "together", batch_size=batch_size)
    for method in METHODS:
        alone = run(model, table, tmp_path / method, methods=method, batch_size=16)
        for image in alone.images:
            assert content(together.maps[image.sha256, method]) == content(alone.maps[image.sha256, method])


def test_the_maps_of_an_image_share_their_batches(
    image_runs: list[int], model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = run(model, table, tmp_path / "shared", limit=1, metrics="average-drop,win", batch_size=64)
    assert len(image_runs) == 2  # one batch, spread over two streams
    maps = len({made.cam.tobytes() for made in shared.maps.values()})
    assert sum(image_runs) == 1 + maps  # X, and X ⊙ L↑ of each map
    image_runs.clear()
    monkeypatch.setattr(image_evaluator, "_MOST_PASSES_AT_RISK", -1)
    single = run(model, table, tmp_path / "single", limit=1, metrics="average-drop,win", batch_size=64)
    assert sum(image_runs) == 2 * len(METHODS)
    for key, made in single.maps.items():
        assert content(made) == content(shared.maps[key])


def test_a_map_of_many_passes_is_stored_before_the_next_one_is_made(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[int] = []

    def watch(done: int, planned: int) -> None:
        with sqlite3.connect(tmp_path / "run" / FILE_NAME) as file:
            stored.append(file.execute("SELECT count(*) FROM maps").fetchone()[0])

    monkeypatch.setattr(image_evaluator, "_MOST_PASSES_AT_RISK", 3)
    run(model, table, tmp_path / "run", limit=1, methods="cam,scorecam,sscam2", batch_size=16, progress=watch)
    assert stored[0] == 0
    assert 2 in stored  # CAM and Score-CAM, while SS-CAM is made


def test_an_image_whose_measuring_fails_leaves_nothing_by_halves(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(model, table, tmp_path / "whole")
    with monkeypatch.context() as patched:
        # An image has at most 3 + 5 · 7 inputs, which are 8 runs: the first one is whole, the second fails on its way.
        fail(patched, ScoreError("it is broken"), lambda number: number > 11)
        broken = run(model, table, tmp_path / "run", batch_size=5)
    assert len(broken.images) == 1
    assert set(broken.facts["unreadable"].values()) == {"it is broken"}
    with sqlite3.connect(tmp_path / "run" / FILE_NAME) as file:
        stored = {image for (image,) in file.execute("SELECT DISTINCT image FROM maps")}
        figures = {n for (n,) in file.execute("SELECT count(*) FROM figures GROUP BY image, method")}
    assert stored == {image.sha256 for image in broken.images}  # of the others no map
    assert len(figures) == 1  # and of these all figures
    again = run(model, table, tmp_path / "run", batch_size=5)
    assert {key: content(made) for key, made in again.maps.items()} == {
        key: content(made) for key, made in whole.maps.items()
    }


def test_a_lack_of_memory_halves_the_batch_or_ends_the_run(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(model, table, tmp_path / "whole", limit=2)
    with monkeypatch.context() as patched:
        fail(patched, OutOfMemoryError("out of memory"), lambda number: number % 4 == 1)
        halved = run(model, table, tmp_path / "halved", limit=2, batch_size=8)
    assert {key: content(made) for key, made in halved.maps.items()} == {
        key: content(made) for key, made in whole.maps.items()
    }
    with monkeypatch.context() as patched:
        fail(patched, OutOfMemoryError("out of memory"), lambda _: True)
        with pytest.raises(OutOfMemoryError):
            run(model, table, tmp_path / "ended", limit=2, batch_size=8)


def test_an_interrupted_run_goes_on_to_the_same_results(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(model, table, tmp_path / "whole")
    for number in (2, 7, 12):
        with monkeypatch.context() as patched:
            fail_in_the_caller(patched, number)
            with pytest.raises(KeyboardInterrupt):
                run(model, table, tmp_path / "run", batch_size=3)
    run(model, table, tmp_path / "run", batch_size=3)
    again = read_evaluation(tmp_path / "run")
    assert {key: content(made) for key, made in again.maps.items()} == {
        key: content(made) for key, made in whole.maps.items()
    }


def fail_in_the_caller(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Interrupt the caller while it waits for the scores of images, as Ctrl-C does."""
    from onnx_cam.runtime.concurrent_runs import ConcurrentRuns

    original, calls = ConcurrentRuns.finished, [0]

    def finished(runs: ConcurrentRuns[Any], *settings: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            raise KeyboardInterrupt
        return original(runs, *settings)

    monkeypatch.setattr(ConcurrentRuns, "finished", finished)


def test_the_progress_never_goes_back_and_ends_at_the_passes(model: Path, table: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    made = run(model, table, tmp_path / "run", metrics="average-drop", progress=lambda *passes: told.append(passes))
    done = [one for one, _ in told]
    assert done == sorted(done)
    assert all(one <= planned for one, planned in told)
    passes = sum(one.record["passes"] + one.record["measuring_passes"] for one in made.maps.values())
    assert told[-1] == (passes, passes)
