"""The name under which what runs of a model found is kept: a hash of everything that it depends on."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np
import onnx

from onnx_cam._version import __version__
from onnx_cam.classifier.chance import random_operators
from onnx_cam.classifier.run_cache import entry_name
from onnx_cam.classifier.sessions import SessionOpener
from onnx_cam.graph.head import Head
from onnx_cam.graph.heads import HeadKind
from onnx_cam.graph.inputs.prepare import PreparedModel
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.runtime.devices import import_onnxruntime

__all__ = ["run_key"]

_FORMAT = 1
"""Raised when other trial runs are made, or on other images, so that what earlier ones gave is not used."""


def run_key(
    prepared: PreparedModel,
    heads: Sequence[Head],
    opener: SessionOpener,
    *,
    size: tuple[int, int],
    preprocessing: Preprocessing | None,
    kind: HeadKind | None,
) -> str | None:
    """Return the name under which the results of a model's trial runs are kept.

    Parameters
    ----------
    prepared : PreparedModel
        The file, the input that takes the image, and the values of the others.
    heads : sequence of Head
        As the graph and ``--output`` suggest them.
    opener : SessionOpener
        The device and the threads.
    size : tuple of int
        ``(H, W)`` of the network's input.
    preprocessing : Preprocessing or None
        It makes the trial images.
    kind : HeadKind or None
        What the user says that the output's numbers are.

    Returns
    -------
    str or None
        None where something that decides about the results cannot be told from the file: weights in other files,
        libraries of custom operators, devices other than the CPU, and operators that draw random numbers.
    """
    if prepared.file.external or opener.libraries or not opener.asks_for_cpu:
        return None
    if random_operators(prepared.file.proto):
        return None
    runtime = import_onnxruntime()
    return entry_name(
        _FORMAT,
        (__version__, onnx.__version__, np.__version__, runtime.__version__, runtime.get_build_info()),
        # The kernels that ONNX Runtime chooses, and how they round, depend on the processor and on the threads.
        (platform.machine(), np.show_config(mode="dicts")["SIMD Extensions"], opener.threads),
        (prepared.digest, opener.image_input, [head.output for head in heads], kind),
        (size, preprocessing),
    )
