"""The lanes of a session: each runs a batch at a time, beside the others."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.runtime.devices import import_onnxruntime

__all__ = ["Lane", "Lanes"]


class Lane:
    """A place to run one batch at a time: what is bound to the inputs, and a way to stop the run.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Shared by all lanes, with its weights.
    shared : mapping of str to onnxruntime.OrtValue
        The inputs that stay the same over all runs, by name.
    """

    def __init__(self, session: Any, shared: Mapping[str, Any]) -> None:
        self._session = session
        self._binding = session.io_binding()
        self.options = import_onnxruntime().RunOptions()
        for name, value in shared.items():
            self._binding.bind_ortvalue_input(name, value)

    def run(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any], output: str) -> NDArray[Any]:
        """Run one batch, and return an output.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Inputs on the CPU.
        values : mapping of str to onnxruntime.OrtValue
            Inputs on the device.
        output : str
        """
        for name, array in arrays.items():
            self._binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name, value in values.items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.clear_binding_outputs()
        self._binding.bind_output(output, "cpu")
        self._session.run_with_iobinding(self._binding, self.options)
        return np.asarray(self._binding.copy_outputs_to_cpu()[0])


class Lanes:
    """The lanes of a session.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    shared : mapping of str to onnxruntime.OrtValue
        The inputs that stay the same over all runs, by name.
    count : int
        How many runs there may be at once.
    """

    def __init__(self, session: Any, shared: Mapping[str, Any], count: int) -> None:
        self._lanes = [Lane(session, shared) for _ in range(count)]
        self._free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        for lane in self._lanes:
            self._free.put(lane)

    @contextmanager
    def take(self) -> Iterator[Lane]:
        """Wait for a free lane, and hold it."""
        lane = self._free.get()
        try:
            yield lane
        finally:
            self._free.put(lane)

    def stop(self) -> None:
        """End the runs of all lanes: each of them raises, and so does every run after it."""
        for lane in self._lanes:
            lane.options.terminate = True
