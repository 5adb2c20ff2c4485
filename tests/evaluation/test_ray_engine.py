"""The engine ray: the local engine's results, whatever happens to its workers."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import onnx_cam
from onnx_cam.errors import DeviceError, ImageError, MissingExtraError, ModelError, ScoreError, SettingError
from onnx_cam.evaluation import evaluate, read_evaluation
from onnx_cam.evaluation.datasets import open_dataset
from onnx_cam.evaluation.engines import ray_engine
from onnx_cam.evaluation.engines.ray_rows import Row, read_error, read_outcome, write_error, write_outcome
from onnx_cam.evaluation.image_evaluator import ImageEvaluator
from onnx_cam.evaluation.method_names import choose_named_methods
from onnx_cam.evaluation.results.records import MeasuredMap, MoreFigures, SeenImage
from onnx_cam.evaluation.results.results_file import FILE_NAME
from onnx_cam.evaluation.task import Task
from onnx_cam.metrics import METRICS, MaskedImage, Metric, choose_metrics
from onnx_cam.metrics.base import Measurement
from tests.evaluation.made import image_facts
from tests.evaluation.photos import write_dataset, write_model, write_model_without_cam

METHODS = "scorecam,sscam2:sigma=0.1,equal"


@dataclass(frozen=True)
class Deadly(Metric):
    """A metric that kills its process at the second map of an image, so many times, but never the driver's."""

    name: ClassVar[str] = "deadly"
    title: ClassVar[str] = "Deadly"

    marks: str = ""
    times: int = 1
    driver: int = 0

    def measure(self, image: MaskedImage) -> Measurement:
        folder = Path(self.marks)
        with open(folder / f"{os.getpid()}.worker", "ab") as calls:
            calls.write(b"x")
            second = calls.tell() == 2
        if os.getpid() != self.driver and second and len(list(folder.glob("*.killed"))) < self.times:
            (folder / f"{os.getpid()}.killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Measurement(1.0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One cluster for all tests: to start one takes seconds."""
    try:
        ray_engine._import_ray()
    except MissingExtraError as error:
        pytest.skip(str(error))
    with ray_engine._cluster(2):
        yield


def run(folder: Path, out: str, *, table: Path | None = None, **settings: Any) -> dict[str, Any]:
    table = table or write_dataset(folder / "photos", 6)
    loaded = onnx_cam.load(write_model(folder), preprocess="unit")
    evaluate(
        loaded, table, out=folder / out, **{"methods": METHODS, "samples": 2, "steps": 4, "controls": False, **settings}
    )
    content: dict[str, Any] = json.loads((folder / out / "summary.json").read_text())
    return content


def stored(run: Path) -> list[Any]:
    """Return all maps and figures of a run, sorted."""
    with sqlite3.connect(run / FILE_NAME) as file:
        maps = sorted(file.execute("SELECT image, method, cam FROM maps"))
        return [*maps, *sorted(file.execute("SELECT image, method, metric, value, curve FROM figures"))]


@pytest.mark.usefixtures("cluster")
def test_two_workers_give_what_the_local_engine_gives_to_the_last_bit(tmp_path: Path) -> None:
    local = run(tmp_path, "local")
    progress: list[tuple[int, int]] = []
    assert run(tmp_path, "ray", engine="ray", workers=2, progress=lambda *passes: progress.append(passes)) == local
    assert (tmp_path / "ray/summary.json").read_bytes() == (tmp_path / "local/summary.json").read_bytes()
    assert stored(tmp_path / "ray") == stored(tmp_path / "local")
    assert progress[-1][0] == progress[-1][1]
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_is_killed_in_the_middle_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(METRICS, "deadly", Deadly)
    marks = tmp_path / "marks"
    marks.mkdir()
    deadly = Deadly(marks=str(marks), times=1, driver=os.getpid())
    metrics = ["average-drop", "deletion", deadly]
    local = run(tmp_path, "local", metrics=metrics)
    assert not list(marks.glob("*.killed"))
    done: list[int] = []
    told = run(
        tmp_path, "ray", engine="ray", workers=2, metrics=metrics, progress=lambda passes, _: done.append(passes)
    )
    (killed,) = marks.glob("*.killed")
    assert killed.stem != str(os.getpid())
    assert len(list(marks.glob("*.worker"))) == 4  # the driver, two workers, and the one in the place of the killed
    assert capfd.readouterr() == ("", "")
    assert told == local
    assert stored(tmp_path / "ray") == stored(tmp_path / "local")
    with sqlite3.connect(tmp_path / "ray" / FILE_NAME) as file:
        records = [json.loads(text) for (text,) in file.execute("SELECT record FROM maps")]
    assert len(done) >= len(records) == 18
    assert done[-1] == sum(record["passes"] + record["measuring_passes"] for record in records)  # nothing twice


@pytest.mark.usefixtures("cluster")
def test_an_image_that_kills_each_worker_ends_the_run_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, "deadly", Deadly)
    deadly = Deadly(marks=str(tmp_path), times=100, driver=os.getpid())
    with pytest.raises(ScoreError, match=r"^3 workers died while they evaluated 1\.png.*fewer workers[^\n]*$"):
        run(tmp_path, "ray", engine="ray", workers=1, metrics=[deadly], limit=2)
    assert len(list(tmp_path.glob("*.killed"))) == 3
    with sqlite3.connect(tmp_path / "ray" / FILE_NAME) as file:
        assert file.execute("SELECT count(*) FROM maps").fetchone() == (4,)  # the first image's, and one more


@pytest.mark.usefixtures("cluster")
def test_an_image_that_cannot_be_used_is_left_out_as_by_the_local_engine(tmp_path: Path) -> None:
    table = write_dataset(tmp_path / "photos")
    table.write_text(table.read_text().replace("3.png,3,5,6,23,28", "3.png,3,5,6,230,280"))
    local = run(tmp_path, "local", table=table)
    assert run(tmp_path, "ray", table=table, engine="ray", workers=1) == local
    left_out = [read_evaluation(tmp_path / out).facts["unreadable"] for out in ("local", "ray")]
    assert list(left_out[0]) == ["3.png"]
    assert left_out[0] == left_out[1]


@pytest.mark.usefixtures("cluster")
def test_a_method_that_cannot_work_is_left_out_by_the_workers_too(tmp_path: Path) -> None:
    classifier = onnx_cam.load(write_model_without_cam(tmp_path), preprocess="unit")
    methods, metrics = choose_named_methods("equal,cam"), choose_metrics("specificity")
    evaluator = ImageEvaluator(classifier, methods, metrics, layer=None, seed=0, batch_size=16, lenient=True)
    tasks = [Task(sample) for sample in open_dataset(write_dataset(tmp_path / "photos", 2)).samples]
    found = [outcome for _, outcome in ray_engine.RayEngine(evaluator, 1).work(tasks)]
    assert sorted(type(outcome).__name__ for outcome in found) == ["MeasuredMap"] * 2 + ["SeenImage"] * 2
    assert list(evaluator.methods) == ["equal"]
    assert list(evaluator.left_out) == ["cam"]


@pytest.mark.usefixtures("cluster")
def test_a_worker_without_the_model_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate_image = ImageEvaluator.evaluate

    def lose_the_model(self: ImageEvaluator, task: Any) -> Iterator[SeenImage | MeasuredMap | MoreFigures]:
        yield from evaluate_image(self, task)
        Path(str(self.classifier.file.path)).unlink()

    monkeypatch.setattr(ImageEvaluator, "evaluate", lose_the_model)  # the first image, in this process
    with pytest.raises(ModelError, match=r"^no model file '[^\n]*\(a worker on [^\n]*\)$"):
        run(tmp_path, "ray", engine="ray", workers=1)


@pytest.mark.usefixtures("cluster")
def test_more_workers_than_the_cluster_has_processors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"^999 workers need a CPU each, but the Ray cluster has \d+; try fewer"):
        run(tmp_path, "ray", engine="ray", workers=999)


@pytest.mark.usefixtures("cluster")
def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="workers=0; expected a whole number of at least 1"):
        run(tmp_path, "ray", engine="ray", workers=0)


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'onnx-cam\[ray\]'$"):
        run(tmp_path, "ray", engine="ray")


def test_what_a_worker_finds_comes_out_of_its_row_as_it_went_in() -> None:
    rng = np.random.default_rng(0)
    seen = SeenImage(
        "ab", "ä/1.jpg", "/x/ä/1.jpg", image_facts(score=1 / 3, boxes=((0.1, 2.0, 3.0, 4.0),)), b"\xff\x00\x00"
    )
    figures = {"drop": Measurement(0.1 + 0.2), "curve": Measurement(None, (1 / 3, 2e-300, 5.0))}
    found = MeasuredMap("ab", "[1]", rng.random((3, 4), np.float32), {"passes": 3, "seconds": 0.7}, figures)
    assert read_outcome(write_outcome(0, 0, seen)) == seen
    read = read_outcome(write_outcome(7, 1, found))
    assert isinstance(read, MeasuredMap)
    assert read.cam.dtype == np.float32
    assert read.cam.tobytes() == found.cam.tobytes()
    assert (read.image, read.method, read.record, read.figures) == ("ab", "[1]", found.record, figures)


def test_an_error_comes_back_as_its_own_class() -> None:
    error = read_outcome(write_outcome(0, 0, ImageError("cannot read 'a'")))
    assert type(error) is ImageError
    assert str(error) == "cannot read 'a'"
    assert type(read_error(Row(0, 0, "stop", write_error(DeviceError("x"))).facts)) is DeviceError
