"""What runs here: each device, tested with a convolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.errors import OnnxCamError
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.runtime.devices import DEVICES, import_onnxruntime
from onnx_cam.runtime.session import Session

__all__ = ["DeviceCheck", "check"]

_TOLERANCE = 1e-3


@dataclass(frozen=True)
class DeviceCheck:
    """Whether a device can be used.

    Attributes
    ----------
    device : str
        The name for ``--device``.
    provider : str
        Its execution provider.
    works : bool
        Whether a convolution ran on it with the right result.
    detail : str
        What happened.

    Examples
    --------
    >>> DeviceCheck("cpu", "CPUExecutionProvider", True, "a convolution ran on it").works
    True
    """

    device: str
    provider: str
    works: bool
    detail: str


def check() -> list[DeviceCheck]:
    """Run a convolution on every kind of device, and report which of them work.

    Returns
    -------
    list of DeviceCheck
        One for each of :data:`onnx_cam.runtime.devices.DEVICES`.

    Raises
    ------
    MissingExtraError
        ONNX Runtime is not installed.

    Examples
    --------
    >>> import onnx_cam
    >>> [tested.works for tested in onnx_cam.check() if tested.device == "cpu"]
    [True]
    """
    available = import_onnxruntime().get_available_providers()
    return [
        _check_device(device.name, device.provider)
        if device.provider in available
        else DeviceCheck(device.name, device.provider, False, "not in this build of ONNX Runtime")
        for device in DEVICES.values()
    ]


def _check_device(device: str, provider: str) -> DeviceCheck:
    generator = np.random.default_rng(0)
    image = generator.standard_normal((1, 3, 8, 8), np.float32)
    kernel = generator.standard_normal((4, 3, 3, 3), np.float32)
    try:
        session = Session(
            _convolution(kernel), name="the self-test", image_input=ImageInput("x", None, 3, 8, 8), device=device
        )
        output = session.run(image, ["y"])[0]
    except OnnxCamError as error:
        return DeviceCheck(device, provider, False, str(error))
    difference = float(np.abs(output - _reference(image, kernel)).max())
    if session.cpu_fallback_nodes:
        return DeviceCheck(device, provider, False, "the convolution was left to the CPU")
    if difference > _TOLERANCE:
        return DeviceCheck(device, provider, False, f"a convolution gave a wrong result, off by {difference:.1g}")
    return DeviceCheck(device, provider, True, f"a convolution ran on it; largest difference to NumPy {difference:.0e}")


def _convolution(kernel: NDArray[np.float32]) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")],
        "self_test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4, 6, 6])],
        [numpy_helper.from_array(kernel, "w")],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])


def _reference(image: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(2, 3))  # (1, 3, 6, 6, 3, 3)
    reference: NDArray[np.float32] = np.einsum("nchwij,kcij->nkhw", windows, kernel)
    return reference
