"""A process that makes inputs, runs them, and tells how that ended."""

from __future__ import annotations

import faulthandler
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from onnx_cam.errors import OnnxCamError
from tests.fuzz.kinds import Kind
from tests.fuzz.outcome import Outcome, Status, is_line

__all__ = ["Limits", "run_input", "work"]


class Limits:
    """What an input may take.

    Parameters
    ----------
    seconds : float
    memory : int
        Bytes of the address space of the process; 0 for no limit.
    """

    def __init__(self, seconds: float = 20.0, memory: int = 6 << 30) -> None:
        self.seconds = seconds
        self.memory = memory


def work(connection: Connection, stacks: str, limits: Limits) -> None:
    """Run the inputs that come over a connection, as (kind, seed), until it is closed.

    Parameters
    ----------
    connection : Connection
        Outcomes go back over it.
    stacks : str
        The file that standard error goes to, with the stacks of threads where the process crashes or its time is up.
    limits : Limits
    """
    _limit_memory(limits.memory)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the worker's own, until its end
    with open(stacks, "w") as file, tempfile.TemporaryDirectory(prefix="onnx-cam-fuzz-") as folder:
        faulthandler.enable(file)
        os.dup2(file.fileno(), sys.stderr.fileno())  # what decoders and the runtime print before they crash, too
        connection.send(None)  # ready: what was imported until here is not counted
        with suppress(EOFError):
            while True:
                kind, seed = connection.recv()
                file.seek(0)
                file.truncate()
                faulthandler.dump_traceback_later(0.9 * limits.seconds, file=file)
                outcome = run_input(kind, seed, Path(folder))
                faulthandler.cancel_dump_traceback_later()
                connection.send(outcome)


def run_input(kind: Kind, seed: int, folder: Path) -> Outcome:
    """Make one input in an empty folder, run it, and return how that ended."""
    _fill(folder, kind.make(seed))
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(folder, seed)
    except OnnxCamError as error:
        message = str(error)
        status: Status = "refused" if is_line(message) else "message"
        return Outcome(kind.name, seed, status, time.perf_counter() - start, message, type(error).__name__)
    except Exception as error:
        detail = "".join(traceback.format_exception(error))
        return Outcome(kind.name, seed, "traceback", time.perf_counter() - start, detail, _place(error))
    return Outcome(kind.name, seed, "accepted", time.perf_counter() - start)


def _fill(folder: Path, files: dict[str, bytes]) -> None:
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _place(error: BaseException) -> str:
    """Return the last line of onnx_cam that an error came through, and its kind."""
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}onnx_cam{os.sep}" in frame.filename]
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].name}" if own else "outside onnx_cam"
    return f"{type(error).__name__} at {where}"


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    if size:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
