"""A model that takes images, on a device: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.errors import ScoreError
from onnx_cam.graph.detached import DetachedWeights
from onnx_cam.graph.external_data import WeightSource
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.runtime.device_session import DeviceSession, as_feed, open_device_session, run_error
from onnx_cam.runtime.run_limit import LOOP_SECONDS, may_never_end, run_within

__all__ = ["BatchShapeError", "Session"]


class BatchShapeError(ScoreError):
    """A tensor of a run does not have the batch as its first dimension.

    Attributes
    ----------
    images_each : int
        How many images its first dimension has for each of the batch; 0 where that is not a whole number.
    """

    def __init__(self, message: str, images_each: int) -> None:
        super().__init__(message)
        self.images_each = images_each


class Session:
    """A model that takes images, loaded on the requested device.

    It is meant for runs now and then: on a CPU the memory of a run is given back after it.

    Parameters
    ----------
    proto, name, device, threads, weights, libraries, optimise
        As :func:`onnx_cam.runtime.device_session.open_device_session` takes them.
    image_input : ImageInput
        The input that takes the image.
    fixed_batch : int, optional
        The batch size that the file fixes: every run is cut into such batches, and the last one is padded.
    one_at_a_time : bool
        Whether each batch is filled with a single image, for a model that mixes the images of a batch.

    Attributes
    ----------
    provider : str
        The execution provider that really runs the model.
    cpu_fallback_nodes : int or None
        Nodes that the provider left to the CPU; 0 on the CPU itself; None where ONNX Runtime does not tell.
    outputs : dict of str to tuple
        Each output's shape, with None for sizes that are not fixed, and its ONNX type.

    Raises
    ------
    ModelError, OutOfMemoryError, DeviceError
        As :func:`onnx_cam.runtime.device_session.open_device_session` says.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        *,
        name: str,
        image_input: ImageInput,
        device: str = "auto",
        threads: int | None = None,
        weights: WeightSource = None,
        libraries: Sequence[str] = (),
        fixed_batch: int | None = None,
        one_at_a_time: bool = False,
        optimise: bool = True,
    ) -> None:
        self.name = name
        self.input = image_input
        self.fixed_batch = fixed_batch
        self.one_at_a_time = one_at_a_time
        load = partial(
            open_device_session,
            proto,
            name=name,
            device=device,
            threads=threads,
            weights=weights,
            libraries=libraries,
            optimise=optimise,
            arena=False,
        )
        opened = load()
        self._opened: DeviceSession | None = opened
        # With its weights elsewhere, a protobuf is small, and can be kept to load it again.
        self._load = load if isinstance(weights, DetachedWeights) else None
        self._seconds = LOOP_SECONDS if may_never_end(proto) else None
        self.device = opened.device
        self.provider = opened.provider
        self.cpu_fallback_nodes = opened.cpu_fallback_nodes
        self.outputs: dict[str, tuple[tuple[int | None, ...], str]] = {
            output.name: (tuple(d if isinstance(d, int) and d > 0 else None for d in output.shape), output.type)
            for output in opened.session.get_outputs()
        }

    @property
    def is_open(self) -> bool:
        """Whether the next run need not load the model."""
        return self._opened is not None

    def release(self) -> None:
        """Give back the memory of a model whose weights are detached; the next run loads it again."""
        if self._load is not None:
            self._opened = None

    def run(self, images: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run the model on a batch.

        Parameters
        ----------
        images : ndarray of shape (B, C, H, W), float32
            Any B: a fixed batch is padded, and its outputs are cut to size here.
        outputs : sequence of str
            The outputs to return.

        Returns
        -------
        list of ndarray
            One for each output, with B as its first dimension.

        Raises
        ------
        ScoreError
            The runtime failed on this input.
        """
        step = 1 if self.one_at_a_time else self.fixed_batch or len(images)
        parts = [self._run_part(images[start : start + step], outputs) for start in range(0, len(images), step)]
        return parts[0] if len(parts) == 1 else [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def run_with(
        self, images: NDArray[np.float32], outputs: Sequence[str], others: Sequence[str]
    ) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Run one batch; return outputs as `run` does, and other tensors as they are, with a fixed batch's padding."""
        arrays = self.run_once(images, [*outputs, *others])
        return self._cut(images, outputs, arrays[: len(outputs)]), arrays[len(outputs) :]

    def run_once(self, images: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run the model on one batch, padded where it is fixed; the outputs come back with the padding."""
        missing = (self.fixed_batch or len(images)) - len(images)
        batch = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing > 0 else images
        if self._opened is None:
            assert self._load is not None
            self._opened = self._load()
        try:
            feed = {self.input.name: as_feed(self.input.feed(batch))}
            arrays = run_within(self._opened.session, outputs, feed, self._seconds)
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise run_error(error, self.name, f"an input of shape {batch.shape}") from error
        for output, array in zip(outputs, arrays, strict=True):
            if not isinstance(array, np.ndarray):
                raise ScoreError(
                    f"output {output!r} of {self.name} is a {type(array).__name__}; expected a tensor: "
                    "name another with --output"
                )
        return arrays

    def _run_part(self, images: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[Any]]:
        return self._cut(images, outputs, self.run_once(images, outputs))

    def _cut(
        self, images: NDArray[np.float32], outputs: Sequence[str], arrays: Sequence[NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Return outputs without the padding, if the batch is their first dimension."""
        size = self.fixed_batch or len(images)
        for output, array in zip(outputs, arrays, strict=True):
            if array.ndim == 0 or len(array) != size:
                raise BatchShapeError(
                    f"{self.name} returned {output!r} of shape {array.shape} for a batch of {size}; "
                    "expected the batch as the first dimension",
                    len(array) // size if array.ndim and len(array) % size == 0 else 0,
                )
        return [array[: len(images)] for array in arrays]
