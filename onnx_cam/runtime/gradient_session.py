"""The way back from the logits to a layer, run on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.runtime.device_session import DeviceSession, as_feed, run_error

__all__ = ["GradientSession"]

Floats = NDArray[np.float32]


class GradientSession:
    """Takes what a run of the network left, and a seed, and returns the gradient at the layer.

    Parameters
    ----------
    opened : DeviceSession
        A session of what `onnx_cam.graph.backward.backward_model` returns.
    seed, gradient : str
        Its input for the coefficients of the logits, and its output.
    name : str
        The file's name, for messages.
    """

    def __init__(self, opened: DeviceSession, *, seed: str, gradient: str, name: str) -> None:
        self._session = opened.session
        self._seed = seed
        self._gradient = gradient
        self._name = name

    def run(self, border: Mapping[str, NDArray[Any]], seeds: Floats) -> Floats:
        """Return the gradient at the layer, in the shape of the layer's tensor.

        Parameters
        ----------
        border : mapping of str to ndarray
            The tensors of the network that it reads.
        seeds : ndarray of shape (N, classes), float32
            The coefficient of each logit, for each image.

        Raises
        ------
        ScoreError
            The runtime failed; `OutOfMemoryError` if memory ran out.
        """
        feed = {name: as_feed(array) for name, array in border.items()} | {self._seed: seeds}
        try:
            gradient = self._session.run([self._gradient], feed)[0]
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise run_error(error, self._name, f"the gradient of {len(seeds)} images") from error
        return np.asarray(gradient, np.float32)
