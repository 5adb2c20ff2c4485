"""Evaluate images on many machines, or in several processes of this one, with Ray Data.

A pool of actors, each with its own copy of the model, takes the images one by one. If an actor dies, Ray Data starts it
and its image again; rows that came before stay, and no row is passed on twice. The actors only send their results back:
nothing but the driver writes to the results file.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from types import ModuleType
from typing import Any

from onnx_cam.errors import DeviceError, MissingExtraError, ScoreError, SettingError, one_line
from onnx_cam.evaluation.engines.local import Outcome
from onnx_cam.evaluation.engines.ray_rows import COLUMNS, DONE, STOP, Row, read_error, read_outcome
from onnx_cam.evaluation.engines.ray_worker import Attempts, Worker, WorkerSettings
from onnx_cam.evaluation.image_evaluator import ImageEvaluator
from onnx_cam.evaluation.task import Task
from onnx_cam.runtime.devices import running_device

__all__ = ["RayEngine"]

_STORE_BYTES = 256 << 20  # of Ray's object store, for a cluster that is started here: the rows are small
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its log goes to standard error,
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # and messages about dead workers to standard output
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's future default, without its warning
}
"""What makes Ray silent, if it is set before Ray is imported."""


class RayEngine:
    """Evaluates images in a pool of Ray actors.

    It uses the cluster that this process has joined, or joins the one that ``RAY_ADDRESS`` names. Otherwise it starts a
    cluster on this machine, and stops it afterwards.

    Parameters
    ----------
    evaluator : ImageEvaluator
        The settings of the run, for the workers. Methods that do not work are removed from it.
    workers : int, optional
        The number of actors; by default one for each GPU or, where the model runs on CPUs, one for each machine.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    SettingError
        The number of workers is below 1.

    Examples
    --------
    This needs Ray:

    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluate(model, "photos.csv", engine="ray", workers=2, out="run")  # doctest: +SKIP
    """

    def __init__(self, evaluator: ImageEvaluator, workers: int | None = None) -> None:
        _import_ray()
        if workers is not None and (not isinstance(workers, int) or workers < 1):
            raise SettingError(f"workers={workers!r}; expected a whole number of at least 1")
        self._evaluator = evaluator
        self._workers = workers
        self._gpus = int(running_device(evaluator.classifier.provider).is_gpu)  # of each worker

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield everything that comes of each task, as soon as it is there.

        Raises
        ------
        OnnxCamError
            A worker cannot work, or workers die again and again.
        """
        if not tasks:
            return
        unfinished = set(range(len(tasks)))
        passed_on: set[tuple[int, int]] = set()
        with _cluster(self._workers or 1) as ray, closing(self._rows(ray, tasks)) as rows:
            for row in rows:
                if row.kind == STOP:
                    raise read_error(row.facts)
                if row.kind == DONE:
                    unfinished.discard(row.task)
                    self._leave_out(row.facts)
                elif (row.task, row.part) not in passed_on:  # a task that is repeated gives its first rows again
                    passed_on.add((row.task, row.part))
                    yield tasks[row.task], read_outcome(row)
        if unfinished:
            raise ScoreError(f"no worker returned {len(unfinished)} images; run the same command again to continue")

    def _leave_out(self, reasons: Mapping[str, str]) -> None:
        for name, reason in reasons.items():
            self._evaluator.methods.pop(name, None)
            self._evaluator.left_out[name] = reason

    def _rows(self, ray: ModuleType, tasks: Sequence[Task]) -> Generator[Row, None, None]:
        pool = self._pool(ray, tasks)
        try:
            for table in pool.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for row in table.to_pylist():
                    yield Row(*(row[name] for name in COLUMNS))
        except ray.exceptions.RayActorError as error:
            raise DeviceError(
                f"Ray could not start a worker: {one_line(error, 160)}; "
                "install the same Python and the same onnx-cam on every machine"
            ) from error

    def _pool(self, ray: ModuleType, tasks: Sequence[Task]) -> Any:
        """Return Ray's dataset of all rows, which is computed while it is read."""
        workers, machines = self._count(ray)
        settings = WorkerSettings.of(self._evaluator, workers_per_machine=-(-workers // machines))
        attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts).remote()
        numbers = ray.data.from_items([{"task": i} for i in range(len(tasks))], override_num_blocks=len(tasks))
        numbers.context.enable_progress_bars = False
        numbers.context.print_on_execution_start = False
        numbers.context.execution_no_progress_timeout_s = -1  # an image may take hours
        numbers.context.target_max_block_size = 1  # byte, so that each row is passed on at once
        return numbers.map_batches(
            Worker,
            fn_constructor_args=(settings, list(tasks), attempts),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(tasks)), max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=self._gpus,
            # Ray would set this to num_cpus. Gradients must be summed by as many threads as here, for the same digits.
            runtime_env={"env_vars": {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))}},
        )

    def _count(self, ray: ModuleType) -> tuple[int, int]:
        """Return how many workers to start, and on how many machines."""
        machines = max(1, sum(node["Alive"] for node in ray.nodes()))
        kind, remedy = ("GPU", "--device cpu") if self._gpus else ("CPU", "fewer workers")
        available = int(ray.cluster_resources().get(kind, 0))
        workers = self._workers or (available if self._gpus else machines)
        if not 1 <= workers <= available:
            raise DeviceError(
                f"{workers} workers need a {kind} each, but the Ray cluster has {available}; "
                f"try {remedy}, or a larger cluster"
            )
        return workers, machines


def _import_ray() -> ModuleType:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError(
            f"the engine ray needs Ray Data ({one_line(error, 120)}): pip install 'onnx-cam[ray]'"
        ) from error
    module: ModuleType = ray
    return module


@contextmanager
def _cluster(workers: int) -> Iterator[ModuleType]:
    """Join a cluster, or start one here, and leave everything afterwards as it was before."""
    ray = _import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS")
    local_settings = {
        "num_cpus": max(workers, os.cpu_count() or 1),
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
        "_plasma_directory": tempfile.gettempdir(),  # containers have little shared memory
    }
    try:
        with _silence():
            ray.init(
                address or "local", log_to_driver=False, logging_level="CRITICAL", **({} if address else local_settings)
            )
    except Exception as error:  # Ray raises many kinds, depending on the network
        where = f"join the Ray cluster at RAY_ADDRESS={address}" if address else "start Ray here"
        hint = (
            "check that it runs, and set RAY_AUTH_MODE=token if it needs a token" if address else "try --engine local"
        )
        raise DeviceError(f"cannot {where}: {one_line(error)}; {hint}") from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _silence() -> Iterator[None]:
    """Hide what Ray's native part writes to standard error: a message that it will not write any."""
    with os.fdopen(os.dup(2), "wb") as standard_error, tempfile.TemporaryFile() as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(standard_error.fileno(), 2)
