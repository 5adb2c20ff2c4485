"""Devices: what the user names, the execution provider that runs it, and whether that provider really loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any, Literal

from onnx_cam import names
from onnx_cam.errors import DeviceError, MissingExtraError, SettingError
from onnx_cam.runtime.packages import package_conflict

__all__ = [
    "CPU",
    "DEVICES",
    "Device",
    "Provider",
    "device_index",
    "import_onnxruntime",
    "is_device",
    "providers_for",
    "running_device",
]


@dataclass(frozen=True)
class Device:
    """A kind of device that ONNX Runtime can run a model on.

    Attributes
    ----------
    name : str
        The name for ``--device``.
    provider : str
        The execution provider that must run the model.
    options : mapping of str to str
        The provider's options.
    arrays : {"cpu", "cuda"}
        Where the arrays of a run live: those that stay the same over a map are put there once.
    is_gpu : bool
        Whether it has memory of its own.
    first_batch : int
        The batch size that the measurement of the best one begins with.
    tunes_shapes : bool
        Whether the provider prepares itself for each new input shape, so that every batch is padded to one size.

    Examples
    --------
    >>> DEVICES["cuda"].provider
    'CUDAExecutionProvider'
    """

    name: str
    provider: str
    options: Mapping[str, str] = field(default_factory=dict)
    arrays: Literal["cpu", "cuda"] = "cpu"
    is_gpu: bool = False
    first_batch: int = 16
    tunes_shapes: bool = True


CPU = Device("cpu", "CPUExecutionProvider", first_batch=4, tunes_shapes=False)

_CUDA = Device(
    "cuda",
    "CUDAExecutionProvider",
    options={
        "use_tf32": "0",  # 10 bits of mantissa in place of 23
        "arena_extend_strategy": "kSameAsRequested",  # doubling would ask for memory that a batch does not need
        "cudnn_conv_algo_search": "EXHAUSTIVE",  # paid once for each shape, and the batch size is constant
    },
    arrays="cuda",
    is_gpu=True,
)
"""``python -m benchmarks.gpu`` measures other options."""

DEVICES = {
    device.name: device
    for device in (
        CPU,
        _CUDA,
        Device("tensorrt", "TensorrtExecutionProvider", arrays="cuda", is_gpu=True),
        Device("openvino", "OpenVINOExecutionProvider"),
    )
}
"""Name to device."""

Provider = tuple[str, dict[str, Any]]
"""An execution provider and its options, as ONNX Runtime takes them."""


@cache
def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime with its log and its telemetry switched off.

    Its own lines on standard error would appear beside the errors that we raise. The telemetry of ONNX Runtime 1.32
    keeps a device ID below HOME, and prints a warning during the import where it cannot; a user who wants it sets
    ORT_DISABLE_TELEMETRY to 0.

    Raises
    ------
    MissingExtraError
        Neither onnxruntime nor onnxruntime-gpu is installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "ONNX Runtime is not installed; expected exactly one of onnxruntime and onnxruntime-gpu: "
            "pip install 'onnx-cam[cpu]' or pip install 'onnx-cam[gpu]'"
        ) from error
    onnxruntime.set_default_logger_severity(4)
    module: ModuleType = onnxruntime
    return module


def is_device(name: str) -> bool:
    """Tell whether a name is ``auto``, a key of `DEVICES`, or ``cuda:N``.

    Examples
    --------
    >>> is_device("cuda:1"), is_device("gpu")
    (True, False)
    """
    return name == "auto" or name in names.DEVICES or re.fullmatch(r"cuda:\d+", name) is not None


def providers_for(name: str) -> list[Provider]:
    """Return the execution providers to ask ONNX Runtime for, the one that must load first.

    Parameters
    ----------
    name : str
        ``auto`` (CUDA where this build has it, then the CPU), a key of `DEVICES`, or ``cuda:N``.

    Raises
    ------
    SettingError
        The name is unknown.
    DeviceError
        This build of ONNX Runtime does not have the device's provider.
    """
    if not is_device(name):
        raise SettingError(f"unknown device {name!r}: expected auto, cuda:N or one of {', '.join(names.DEVICES)}")
    available = import_onnxruntime().get_available_providers()
    if name == "auto":
        cuda = [(_CUDA.provider, dict(_CUDA.options))] if _CUDA.provider in available else []
        return [*cuda, (CPU.provider, {})]
    device = DEVICES[name.partition(":")[0]]
    if device.provider not in available:
        advice = package_conflict() or "install a build that has it, or use --device cpu"
        raise DeviceError(
            f"device {name!r} needs {device.provider}, but this build of ONNX Runtime only has "
            f"{', '.join(available)}: {advice}"
        )
    index = {"device_id": name.partition(":")[2]} if ":" in name else {}
    providers: list[Provider] = [(device.provider, {**device.options, **index})]
    return providers if device is CPU else [*providers, (CPU.provider, {})]


def running_device(provider: str) -> Device:
    """Return the device of the execution provider that really runs a session.

    Examples
    --------
    >>> running_device("CPUExecutionProvider").name
    'cpu'
    """
    return next((device for device in DEVICES.values() if device.provider == provider), Device(provider, provider))


def device_index(name: str) -> int:
    """Return which device of its kind a name means: N of ``cuda:N``, otherwise 0.

    Examples
    --------
    >>> device_index("cuda:1"), device_index("auto")
    (1, 0)
    """
    return int(name.partition(":")[2] or 0)
