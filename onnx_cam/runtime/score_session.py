"""A score graph on a device: normalised maps go in, the targets' scores come out."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.emission import PREFIX
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.score_graph import GraphOffset, arranged, mask_columns
from onnx_cam.runtime.batch_size import BatchSize
from onnx_cam.runtime.device_session import DeviceSession, run_error
from onnx_cam.runtime.devices import CPU
from onnx_cam.runtime.lanes import Lanes
from onnx_cam.runtime.masks import Masking, interpolation_matrix
from onnx_cam.runtime.memory import free_cuda_memory
from onnx_cam.runtime.scores import ScoreKind
from onnx_cam.runtime.spread import Spread, SpreadChoice

__all__ = ["ScoreSession", "TimedScores"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_BATCH_BYTES = 32 << 20  # of masked images in all streams, on a CPU: activations take some ten times as much
_LARGEST_BATCH = 256


@dataclass(frozen=True)
class TimedScores:
    """The scores of a run, and how long it took.

    Attributes
    ----------
    scores : ndarray of shape (m, n, T), float64
    seconds : float
        Without the time that the run waited for a free lane.
    spread : Spread
        How runs were spread over the cores.
    """

    scores: Doubles
    seconds: float
    spread: Spread


class ScoreSession:
    """A score graph, loaded on a device, and the image that it is bound to.

    What stays the same over a map, the image and the upsampling matrices, is placed on the device once, and the offset
    fields of some steps for as many runs as use them. A run takes maps and factors, and returns scores. Threads may run
    it at once, as many as its spread has streams: on a CPU they share its cores.

    Parameters
    ----------
    load : callable
        Loads the score graph with this many threads a run: once now, and again after a failure, or for another spread.
    name : str
        The file's name, for messages.
    offset : {"none", "mask", "input"}
        What the score graph adds the offset to.
    image_input : ImageInput
        The model's own input.
    size : tuple of int
        ``(H, W)``.
    fixed_batch : int, optional
        The only number of inputs that the model takes at once.
    one_at_a_time : bool
        Whether each batch is filled with a single input, because the model mixes the images of a batch.
    spreads : SpreadChoice
        How runs are spread over the cores of a CPU; shared by the sessions of a model. Any other device runs one batch
        at a time.

    Attributes
    ----------
    offset : {"none", "mask", "input"}
        As given.
    fixed_batch : int or None
        As given.
    batch : BatchSize
        How many inputs a run takes: it is measured once, and kept.
    provider : str
        The execution provider that really runs the graph.
    cpu_fallback_nodes : int or None
        Nodes that the provider left to the CPU.
    spreads : SpreadChoice
        As given.
    spread : Spread
        How runs are spread over the cores now.
    load_seconds : float
        How long it took to load the graph.
    """

    def __init__(
        self,
        load: Callable[[int | None], DeviceSession],
        *,
        name: str,
        offset: GraphOffset,
        image_input: ImageInput,
        size: tuple[int, int],
        fixed_batch: int | None = None,
        one_at_a_time: bool = False,
        spreads: SpreadChoice,
    ) -> None:
        self.offset: GraphOffset = offset
        self.fixed_batch = fixed_batch
        self._load = load
        self._name = name
        self._input = image_input
        self._size = size
        self.spreads = spreads
        self.spread = spreads.current
        started = time.perf_counter()
        opened = load(self.spread.threads)
        self.load_seconds = time.perf_counter() - started
        self._opened: DeviceSession | None = opened
        self._device, self._index = opened.device, opened.index
        self.provider = opened.provider
        self.cpu_fallback_nodes = opened.cpu_fallback_nodes
        self._inputs_a_run = 1 if one_at_a_time else fixed_batch
        self.batch = self.new_batch_size(None)
        self._bound: dict[str, NDArray[Any]] = {}
        self._lanes: Lanes | None = None
        self._fields: dict[tuple[int, tuple[int, ...]], Any] = {}  # placed on the device, by address and shape
        self._placing = threading.Lock()
        self._ran_out_of_memory = False

    def new_batch_size(self, requested: int | None) -> BatchSize:
        """Return a batch size for this session: the requested one, or one that is measured as runs come.

        A batch that the model fixes overrides both.
        """
        if self._inputs_a_run is not None:
            return BatchSize(self._inputs_a_run, fixed=True)
        bytes_each = 4 * self._input.channels * self._size[0] * self._size[1]
        on_cpu = self._device is CPU
        room = _BATCH_BYTES // (bytes_each * self.spread.streams)
        largest = max(1, min(_LARGEST_BATCH, room)) if on_cpu else _LARGEST_BATCH
        free = partial(free_cuda_memory, self._index) if self._device.is_gpu else None
        return BatchSize(
            requested, first=self._device.first_batch, largest=largest, free=free, streams=self.spread.streams
        )

    @property
    def prepares_ahead(self) -> int:
        """How many batches are prepared while others run: one, unless the streams take all cores anyway."""
        return int(self._device is not CPU or (self.spread.streams == 1 and self.spread.threads != 1))

    @property
    def layout(self) -> str:
        """The model's own, ``NCHW`` or ``NHWC``."""
        return self._input.layout

    def bind(self, image: Floats, targets: Sequence[int], grid: tuple[int, int], masking: Masking) -> None:
        """Place on the device what all runs share.

        Parameters
        ----------
        image : ndarray of shape (C, H, W), float32
            X.
        targets : sequence of int
            The T classes to score.
        grid : tuple of int
            ``(h, w)`` of the activation maps.
        masking : Masking
            How the maps are upsampled, and which part of the image their cells cover.
        """
        frame, aligned = masking.frame, masking.align_corners
        columns = interpolation_matrix(grid[1], self._size[1], aligned, frame.columns).T
        self._bound = {
            "image": arranged(image, self.layout),
            "targets": np.array(targets, np.int64),
            "rows": interpolation_matrix(grid[0], self._size[0], aligned, frame.rows),
            "columns": mask_columns(columns, self.layout, self._input.channels),
        }
        self.follow_spread()

    def follow_spread(self) -> None:
        """Take the spread that was chosen last, and place what is bound for it; no run may be under way."""
        if self.spread.threads != self.spreads.current.threads:
            self._opened, self._lanes, self._fields = None, None, {}
        self.spread = self.spreads.current
        self._place()

    def release(self) -> None:
        """Let go of what was bound, and of the session too where memory ran out: it keeps all it ever allocated."""
        self._bound, self._lanes, self._fields = {}, None, {}
        if self._ran_out_of_memory:
            self._opened = None

    def reopen(self, *, out_of_memory: bool) -> None:
        """Give back everything that the session allocated, and load the score graph again.

        Parameters
        ----------
        out_of_memory : bool
            Whether that is why.
        """
        self._ran_out_of_memory = self._ran_out_of_memory or out_of_memory
        self._opened, self._lanes, self._fields = None, None, {}
        gc.collect()
        self.spread = self.spreads.current
        self._place()

    def stop(self) -> None:
        """End the runs that are under way; no other can follow before the next `bind`."""
        if self._lanes is not None:
            self._lanes.stop()

    def run(
        self,
        score_kind: ScoreKind,
        maps: Floats,
        steps: int,
        *,
        scale: Floats | None = None,
        offset_scale: Floats | None = None,
        fields: Floats | None = None,
        full: int = 0,
    ) -> TimedScores:
        """Score m maps at n steps, as soon as a lane is free.

        Parameters
        ----------
        score_kind : {"probability", "logit"}
        maps : ndarray of shape (m, h, w), float32
            Normalised maps.
        steps : int
            n.
        scale : ndarray of shape (m, n), float32, optional
            The masks' factors; for a graph without an offset.
        offset_scale : ndarray of shape (m,), float32, optional
            The offsets' scales; for a graph with one.
        fields : ndarray of shape (n, …), float32, optional
            The steps' offset fields; for a graph with one. The same part of the same array is placed on the device
            once.
        full : int
            How many maps a full batch has. A device that prepares itself for each new shape gets this many, the last
            one repeated.

        Raises
        ------
        OutOfMemoryError
            Memory ran out.
        ScoreError
            The runtime failed.
        """
        count = self._count(len(maps), full)
        inputs = {"maps": maps, "scale": scale, "offset_scale": offset_scale}
        arrays = {name: _padded(array, count) for name, array in inputs.items() if array is not None}
        result = self._timed(score_kind, arrays, fields, f"a run of {len(maps)} maps")
        return replace(result, scores=result.scores.reshape(count, steps, -1)[: len(maps)])

    def run_images(self, score_kind: ScoreKind, images: Floats, *, full: int = 0) -> TimedScores:
        """Score B images as they are, as soon as a lane is free; for a graph whose offset is added to the input.

        The session is bound to an image of zeros: what is added to it is the whole input.

        Parameters
        ----------
        score_kind : {"probability", "logit"}
        images : ndarray of shape (B, C·P), float32
            As :func:`onnx_cam.graph.score_graph.arranged` returns them, flat.
        full : int
            How many images a full batch has; as for `run`.

        Returns
        -------
        TimedScores
            Of shape (B, 1, T).

        Raises
        ------
        OutOfMemoryError, ScoreError
            As for `run`.
        """
        count = self._count(len(images), full)
        # One map, of zeros, at `count` steps, of which each adds its own image: 0 · 0 + 1 · image.
        arrays = {
            "maps": np.zeros((1, 1, 1), np.float32),
            "offset_scale": np.ones(1, np.float32),
            "offset_fields": _padded(images, count),
        }
        result = self._timed(score_kind, arrays, None, f"a run of {len(images)} images")
        return replace(result, scores=result.scores.reshape(count, 1, -1)[: len(images)])

    def _count(self, inputs: int, full: int) -> int:
        """Return to how many inputs a batch is filled up."""
        return self.fixed_batch or (max(full, inputs) if self._device.tunes_shapes else inputs)

    def _timed(
        self, score_kind: ScoreKind, arrays: dict[str, NDArray[Any]], fields: Floats | None, what: str
    ) -> TimedScores:
        """Run one batch in a free lane, and return its scores (m·n, T)."""
        assert self._lanes is not None
        with self._lanes.take() as lane:
            started = time.perf_counter()
            try:
                values = {} if fields is None else {PREFIX + "offset_fields": self._placed_fields(fields)}
                named = {PREFIX + name: array for name, array in arrays.items()}
                scores = lane.run(named, values, PREFIX + score_kind)
            except Exception as error:  # ONNX Runtime's exceptions share no base but this
                raise run_error(error, self._name, what) from error
            seconds = time.perf_counter() - started
        return TimedScores(np.asarray(scores, np.float64), seconds, self.spread)

    def _placed_fields(self, fields: Floats) -> Any:
        """Return offset fields on the device; those of the last steps are kept."""
        key = fields.ctypes.data, fields.shape
        with self._placing:
            if key not in self._fields:
                assert self._opened is not None
                while len(self._fields) >= self.spread.streams:
                    del self._fields[next(iter(self._fields))]
                self._fields[key] = self._opened.place(fields)
            return self._fields[key]

    def _place(self) -> None:
        """Place bound arrays on the device, for as many lanes as there are streams."""
        if self._opened is None:
            self._opened = self._load(self.spread.threads)
        try:
            shared = {PREFIX + name: self._opened.place(array) for name, array in self._bound.items()}
            self._lanes = Lanes(self._opened.session, shared, self.spread.streams)
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise run_error(error, self._name, "the image and the masks") from error


def _padded(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return an array with its last entry repeated up to a size."""
    missing = size - len(array)
    return array if missing <= 0 else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
