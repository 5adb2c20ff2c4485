"""Work on images on many machines, or in several processes of this one, by Ray Data.

A pool of actors, each with one session of the model, takes the images one by one. An actor that dies is started again,
and its image with it, by Ray Data itself; rows that came before stay, and none is passed on twice. What the actors find
is only handed on here: the driver alone writes it down.
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
from onnx_cam.evaluation.engines.ray_rows import DONE, STOP, Row, read_error, read_outcome
from onnx_cam.evaluation.engines.ray_worker import Attempts, Worker, WorkerSettings
from onnx_cam.evaluation.measuring import Measuring, Task

__all__ = ["RayEngine"]

_STORE_BYTES = 256 << 20  # of a cluster that is started here; what goes through it is small
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # it goes to standard error,
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # and news of dead workers to standard output
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as it will be by itself one day, and without a warning
}
"""What makes Ray silent, if it is said before it is imported."""

_GPU_PROVIDERS = {"CUDAExecutionProvider", "TensorrtExecutionProvider"}


class RayEngine:
    """Works on images in a pool of Ray actors.

    It joins the cluster that ``RAY_ADDRESS`` names, or the one that this process has joined already; else it starts one
    on this machine, and stops it afterwards.

    Parameters
    ----------
    measuring : Measuring
    workers : int, optional
        Sessions; by default one for each GPU, or for each machine where the model runs on CPUs.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    SettingError
        That is no number of workers.
    """

    def __init__(self, measuring: Measuring, workers: int | None = None) -> None:
        _import_ray()
        if workers is not None and (not isinstance(workers, int) or workers < 1):
            raise SettingError(f"workers={workers!r}; expected a whole number from 1")
        self._measuring = measuring
        self._workers = workers
        self._gpus = int(measuring.classifier.provider in _GPU_PROVIDERS)  # of each worker

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield what comes of each task as soon as it is there.

        Raises
        ------
        OnnxCamError
            A worker cannot work, or workers die again and again.
        """
        if not tasks:
            return
        left = set(range(len(tasks)))
        told: set[tuple[int, int]] = set()
        with _cluster(self._workers or 1) as ray, closing(self._rows(ray, tasks)) as rows:
            for row in rows:
                if row.kind == STOP:
                    raise read_error(row.facts)
                if row.kind == DONE:
                    left.discard(row.task)
                    self._leave_out(row.facts)
                elif (row.task, row.part) not in told:
                    told.add((row.task, row.part))
                    yield tasks[row.task], read_outcome(row)
        if left:
            raise ScoreError(f"{len(left)} images came back from no worker; run the same command again to go on")

    def _leave_out(self, reasons: Mapping[str, str]) -> None:
        for name, reason in reasons.items():
            self._measuring.methods.pop(name, None)
            self._measuring.left_out[name] = reason

    def _rows(self, ray: ModuleType, tasks: Sequence[Task]) -> Generator[Row, None, None]:
        pool = self._pool(ray, tasks)
        try:
            for table in pool.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for values in table.to_pylist():
                    yield Row(**values)
        except ray.exceptions.RayActorError as error:
            raise DeviceError(
                f"Ray could not start a worker: {one_line(error, 160)}; "
                "expected the same Python and the same onnx-cam on every machine"
            ) from error

    def _pool(self, ray: ModuleType, tasks: Sequence[Task]) -> Any:
        """Return the dataset of all rows, which is computed while it is read."""
        workers, machines = self._count(ray)
        settings = WorkerSettings.of(self._measuring, share=-(-workers // machines))
        attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts).remote()
        numbers = ray.data.from_items([{"task": i} for i in range(len(tasks))], override_num_blocks=len(tasks))
        numbers.context.enable_progress_bars = False
        numbers.context.print_on_execution_start = False
        numbers.context.execution_no_progress_timeout_s = -1  # an image may take hours
        numbers.context.target_max_block_size = 1  # byte: each row is passed on at once
        return numbers.map_batches(
            Worker,
            fn_constructor_args=(settings, list(tasks), attempts),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(tasks)), max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=self._gpus,
            # Ray would set it to num_cpus: gradients are summed by as many threads as here.
            runtime_env={"env_vars": {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))}},
        )

    def _count(self, ray: ModuleType) -> tuple[int, int]:
        """Return how many workers to start, and on how many machines."""
        machines = max(1, sum(node["Alive"] for node in ray.nodes()))
        kind, wanted = ("GPU", "--device cpu") if self._gpus else ("CPU", "fewer workers")
        there = int(ray.cluster_resources().get(kind, 0))
        workers = self._workers or (there if self._gpus else machines)
        if not 1 <= workers <= there:
            raise DeviceError(
                f"{workers} workers want a {kind} each, the Ray cluster has {there}; try {wanted}, or a larger cluster"
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
    """Join a cluster, or start one here; leave it as it was found."""
    ray = _import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS")
    own = {
        "num_cpus": max(workers, os.cpu_count() or 1),
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
        "_plasma_directory": tempfile.gettempdir(),  # containers have little shared memory
    }
    try:
        with _silence():
            ray.init(address or "local", log_to_driver=False, logging_level="CRITICAL", **({} if address else own))
    except Exception as error:  # Ray raises whatever the network makes it
        where = f"join the Ray cluster at RAY_ADDRESS={address}" if address else "start Ray here"
        hint = "see that it runs and, if it wants a token, set RAY_AUTH_MODE=token" if address else "try --engine local"
        raise DeviceError(f"cannot {where}: {one_line(error)}; {hint}") from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what Ray's native part writes to standard error from the user: it says there that it says nothing."""
    with os.fdopen(os.dup(2), "wb") as kept, tempfile.TemporaryFile() as elsewhere:
        os.dup2(elsewhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept.fileno(), 2)
