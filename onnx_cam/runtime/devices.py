"""A device's name to execution providers, and the truth about which of them loaded."""

from __future__ import annotations

import re
from functools import cache
from types import ModuleType
from typing import Any

from onnx_cam.errors import DeviceError, MissingExtraError, SettingError

__all__ = [
    "CPU",
    "CUDA_OPTIONS",
    "DEVICES",
    "Provider",
    "device_index",
    "import_onnxruntime",
    "is_device",
    "providers_for",
]

CPU = "CPUExecutionProvider"

DEVICES = {
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
"""Device name to the execution provider that must run the model."""

CUDA_OPTIONS = {
    "use_tf32": "0",  # 10 bits of mantissa in place of 23
    "arena_extend_strategy": "kSameAsRequested",  # doubling would ask for memory that a batch does not need
    "cudnn_conv_algo_search": "EXHAUSTIVE",  # paid once a shape, and the batch is constant
}
"""Options of the CUDA provider; ``python -m benchmarks.gpu`` measures the alternatives."""

Provider = tuple[str, dict[str, Any]]
"""An execution provider and its options."""


@cache
def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime, silenced: its own log lines go to standard error past any error that we raise.

    Raises
    ------
    MissingExtraError
        Neither onnxruntime nor onnxruntime-gpu is installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "ONNX Runtime is not installed; expected onnxruntime or onnxruntime-gpu (exactly one): "
            "pip install 'onnx-cam[cpu]' or pip install 'onnx-cam[gpu]'"
        ) from error
    onnxruntime.set_default_logger_severity(4)
    module: ModuleType = onnxruntime
    return module


def is_device(name: str) -> bool:
    """Whether a name is ``auto``, one of `DEVICES`, or ``cuda:N``."""
    return name == "auto" or name in DEVICES or re.fullmatch(r"cuda:\d+", name) is not None


def providers_for(device: str) -> list[Provider]:
    """Return the execution providers to ask for, the one that must load first.

    Raises
    ------
    SettingError
        The name is unknown.
    DeviceError
        This build of ONNX Runtime does not have the device's provider.
    """
    if not is_device(device):
        raise SettingError(f"unknown device {device!r}; expected auto, cuda:N or one of {', '.join(DEVICES)}")
    available = import_onnxruntime().get_available_providers()
    if device == "auto":
        cuda: list[Provider] = [(DEVICES["cuda"], CUDA_OPTIONS)] if DEVICES["cuda"] in available else []
        return [*cuda, (CPU, {})]
    kind, _, index = device.partition(":")
    provider = DEVICES[kind]
    if provider not in available:
        raise DeviceError(
            f"device {device!r} needs {provider}, which this ONNX Runtime does not have "
            f"(it has {', '.join(available)}); install the build that has it, or use --device cpu"
        )
    options = {"device_id": index} if index else {}
    if kind == "cuda":
        return [(provider, {**CUDA_OPTIONS, **options}), (CPU, {})]
    return [(provider, options)] + ([] if provider == CPU else [(CPU, {})])


def device_index(name: str) -> int:
    """Return which device of its kind a name means: N of ``cuda:N``, else 0."""
    return int(name.partition(":")[2] or 0)
