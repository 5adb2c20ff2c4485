"""Runs of models that hold a Loop, which may never end, are ended after a while."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray

from onnx_cam.graph.walk_protobuf import all_nodes
from onnx_cam.runtime.devices import import_onnxruntime

__all__ = ["LOOP_SECONDS", "may_never_end", "run_within"]

LOOP_SECONDS = 10.0
"""A run of a model with a Loop: images are classified within a second, and a damaged count takes thousands of years."""


def may_never_end(proto: onnx.ModelProto) -> bool:
    """Whether a model holds a Loop, whose end depends on what it computes.

    Examples
    --------
    >>> may_never_end(onnx.load("model.onnx"))
    False
    """
    lists = (proto.graph.node, *(function.node for function in proto.functions))
    return any(node.op_type == "Loop" for nodes in lists for node in all_nodes(nodes))


def run_within(
    session: Any, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]], seconds: float | None
) -> list[NDArray[Any]]:
    """Run a session, and end the run after some time.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    outputs : sequence of str
    feeds : mapping of str to ndarray
    seconds : float or None
        None for no limit.

    Raises
    ------
    TimeoutError
        The run was ended. ONNX Runtime's own errors are raised, too.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> session = onnxruntime.InferenceSession("model.onnx")
    >>> run_within(session, ["logits"], {"image": np.zeros((2, 3, 20, 20), np.float32)}, seconds=60)[0].shape
    (2, 4)
    """
    if seconds is None:
        arrays: list[NDArray[Any]] = session.run(list(outputs), dict(feeds))
        return arrays
    options = import_onnxruntime().RunOptions()
    timer = threading.Timer(seconds, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        arrays = session.run(list(outputs), dict(feeds), options)
        return arrays
    except Exception as error:  # ONNX Runtime's exceptions share no base but this
        if options.terminate:
            raise TimeoutError(f"no end within {seconds:g} s; its Loop may never end") from error
        raise
    finally:
        timer.cancel()
