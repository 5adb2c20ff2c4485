"""A score graph on a device: maps go in, the targets' scores come out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.image_input import ImageInput
from onnx_cam.graph.score_graph import PREFIX, GraphNoise, arranged, mask_columns
from onnx_cam.runtime.batch_size import BatchSize
from onnx_cam.runtime.device_session import Loaded, failure
from onnx_cam.runtime.devices import CPU
from onnx_cam.runtime.masks import interpolation_matrix
from onnx_cam.runtime.memory import free_cuda_memory
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["ScoreSession"]

Floats = NDArray[np.float32]

_CUDA = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
_BATCH_BYTES = 32 << 20  # of masked images, on a CPU: activations take some ten times as much
_FIRST = {True: 4, False: 16}  # on a CPU, or not
_LARGEST = 256


class ScoreSession:
    """A score graph, loaded on a device, and the image that it is bound to.

    What stays the same over a map, the image and its upsampling, is bound to the device once, the noise fields of some
    steps for as many runs as use them; a run takes maps and factors, and gives scores.

    Parameters
    ----------
    load : callable
        Loads the score graph: once now, and again after a failure.
    name : str
        The file's name, for messages.
    noise : {"none", "mask", "input"}
        What the score graph does with noise.
    image_input : ImageInput
        The model's own input.
    size : tuple of int
        ``(H, W)``.
    fixed_batch : int, optional
        The inputs that the model takes at once, where it takes no other number.
    one_at_a_time : bool
        Fill each batch with one input.

    Attributes
    ----------
    noise : {"none", "mask", "input"}
        As given.
    fixed_batch : int or None
        As given.
    batch : BatchSize
        How many inputs a run takes: it is measured once, and kept.
    """

    def __init__(
        self,
        load: Callable[[], Loaded],
        *,
        name: str,
        noise: GraphNoise,
        image_input: ImageInput,
        size: tuple[int, int],
        fixed_batch: int | None = None,
        one_at_a_time: bool = False,
    ) -> None:
        self.noise: GraphNoise = noise
        self._load = load
        self._name = name
        self._input = image_input
        self._size = size
        self.fixed_batch = fixed_batch
        self._loaded: Loaded | None = load()
        self.provider = self._loaded.provider
        self.cpu_fallback_nodes = self._loaded.cpu_nodes
        self._index = self._loaded.index
        self._inputs_a_run = 1 if one_at_a_time else fixed_batch
        self.batch = self.batch_size(None)
        self._bound: dict[str, NDArray[Any]] = {}
        self._binding: Any = None
        self._tight = False

    def batch_size(self, asked: int | None) -> BatchSize:
        """Return a batch size for this session: as asked for, or to be measured; what the model fixes goes first."""
        if self._inputs_a_run is not None:
            return BatchSize(self._inputs_a_run, fixed=True)
        on_cpu = self.provider == CPU
        bytes_each = 4 * self._input.channels * self._size[0] * self._size[1]
        largest = max(1, min(_LARGEST, _BATCH_BYTES // bytes_each)) if on_cpu else _LARGEST
        free = partial(free_cuda_memory, self._index) if self.provider in _CUDA else None
        return BatchSize(asked, first=_FIRST[on_cpu], largest=largest, free=free)

    @property
    def layout(self) -> str:
        """The model's own, ``NCHW`` or ``NHWC``."""
        return self._input.layout

    def bind(self, image: Floats, targets: Sequence[int], grid: tuple[int, int], align_corners: bool = False) -> None:
        """Put on the device what all runs share.

        Parameters
        ----------
        image : ndarray of shape (C, H, W), float32
            X.
        targets : sequence of int
            The T classes to score.
        grid : tuple of int
            ``(h, w)`` of the activation maps.
        align_corners : bool
            How they are upsampled.
        """
        columns = interpolation_matrix(grid[1], self._size[1], align_corners).T
        self._bound = {
            "image": arranged(image, self.layout),
            "targets": np.array(targets, np.int64),
            "rows": interpolation_matrix(grid[0], self._size[0], align_corners),
            "columns": mask_columns(columns, self.layout, self._input.channels),
        }
        self._bind()

    def bind_fields(self, fields: Floats) -> None:
        """Put the noise fields of the next runs' steps on the device, in place of those before: (n, …) float32.

        The same part of the same array is not put there again.
        """
        before = self._bound.get("fields")
        if before is None or (before.ctypes.data, before.shape) != (fields.ctypes.data, fields.shape):
            self._bound["fields"] = fields
            self._bind("fields")

    def release(self) -> None:
        """Let go of what was bound; where memory ran out, of the session too: it keeps all it ever took."""
        self._bound, self._binding = {}, None
        if self._tight:
            self._loaded = None

    def reopen(self, *, tight: bool) -> None:
        """Give back all that the session took, and load the score graph again.

        Parameters
        ----------
        tight : bool
            Whether memory ran out.
        """
        self._tight = self._tight or tight
        self._loaded, self._binding = None, None
        gc.collect()
        self._bind()

    def run(
        self,
        kind: ScoreKind,
        maps: Floats,
        steps: int,
        *,
        scale: Floats | None = None,
        deviation: Floats | None = None,
        full: int = 0,
    ) -> NDArray[np.float64]:
        """Score m maps at n steps.

        Parameters
        ----------
        kind : {"probability", "logit"}
        maps : ndarray of shape (m, h, w), float32
            Normalised maps.
        steps : int
            n.
        scale : ndarray of shape (m, n), float32
            With noise "none".
        deviation : ndarray of shape (m,), float32
            Else.
        full : int
            A device that prepares itself for each new shape is given this many maps, the last one repeated.

        Returns
        -------
        ndarray of shape (m, n, T), float64

        Raises
        ------
        OutOfMemoryError
            Memory ran out.
        ScoreError
            The runtime failed.
        """
        given = {"maps": maps, "scale": scale, "deviation": deviation}
        count = self.fixed_batch or (len(maps) if self.provider == CPU else max(full, len(maps)))
        arrays = {name: _filled(array, count) for name, array in given.items() if array is not None}
        scores = self._run(kind, arrays)
        return scores.reshape(count, steps, -1)[: len(maps)]

    def _run(self, kind: ScoreKind, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        for name, array in arrays.items():
            self._binding.bind_cpu_input(PREFIX + name, np.ascontiguousarray(array))
        self._binding.clear_binding_outputs()
        self._binding.bind_output(PREFIX + kind, "cpu")
        try:
            assert self._loaded is not None
            self._loaded.session.run_with_iobinding(self._binding)
            scores = self._binding.copy_outputs_to_cpu()[0]
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise failure(error, self._name, f"a run of {len(arrays['maps'])} maps") from error
        return np.asarray(scores, np.float64)

    def _bind(self, *names: str) -> None:
        if self._loaded is None:
            self._loaded = self._load()
        if not names:
            self._binding = self._loaded.session.io_binding()
        device = "cuda" if self.provider in _CUDA else "cpu"
        try:
            for name in names or self._bound:
                value = self._loaded.ort_value(self._bound[name], device)
                self._binding.bind_ortvalue_input(PREFIX + name, value)
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise failure(error, self._name, "the image and its noise fields") from error


def _filled(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return an array with its last entry repeated up to a size."""
    missing = size - len(array)
    return array if missing <= 0 else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
