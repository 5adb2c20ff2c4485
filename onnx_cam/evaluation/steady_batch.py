"""The batch size of a run that is repeated or continued: fixed, not measured, so that it gives the same digits."""

from __future__ import annotations

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.runtime.devices import CPU

__all__ = ["steady_batch_size"]

_CPU_BATCH, _OTHER_BATCH = 16, 64
_CPU_BATCH_BYTES = 32 << 20  # of the images of a batch, at most


def steady_batch_size(classifier: Classifier) -> int | None:
    """Return the batch size where the user names none; None for a model with a fixed one.

    Examples
    --------
    >>> import onnx_cam
    >>> steady_batch_size(onnx_cam.load("model.onnx", device="cpu"))
    16
    """
    if classifier.fixed_batch is not None:
        return None
    if classifier.provider != CPU.provider:
        return _OTHER_BATCH
    bytes_each = 4 * classifier.input.channels * classifier.size[0] * classifier.size[1]
    return max(1, min(_CPU_BATCH, _CPU_BATCH_BYTES // bytes_each))
