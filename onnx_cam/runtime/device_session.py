"""Load a model on the device that was asked for, or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from onnx_cam.errors import DeviceError, ModelError, OutOfMemoryError, ScoreError, one_line
from onnx_cam.runtime.devices import CPU, device_index, import_onnxruntime, providers_for
from onnx_cam.runtime.memory import needed_bytes, ran_out

__all__ = ["Loaded", "failure", "load_model"]

_NOISE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|Non-zero status code returned ")


@dataclass(frozen=True)
class Loaded:
    """A model on a device.

    Attributes
    ----------
    session : onnxruntime.InferenceSession
        It.
    provider : str
        The execution provider that really runs it.
    cpu_nodes : int or None
        Nodes that another provider left to the CPU; 0 on the CPU itself; None where ONNX Runtime does not tell.
    index : int
        Which device of its kind.
    """

    session: Any
    provider: str
    cpu_nodes: int | None
    index: int

    def ort_value(self, array: NDArray[Any], device: str) -> Any:
        """Return an array on a device, ``cpu`` or ``cuda``."""
        index = self.index if device == "cuda" else 0
        return import_onnxruntime().OrtValue.ortvalue_from_numpy(array, device, index)


def load_model(
    proto: onnx.ModelProto,
    *,
    name: str,
    device: str = "auto",
    threads: int | None = None,
    folder: Path | None = None,
    optimise: bool = True,
    arena: bool = True,
) -> Loaded:
    """Load a model.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model.
    name : str
        The file's name, for messages.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt`` or ``openvino``.
    threads : int, optional
        Threads within an operator; ONNX Runtime's own choice by default.
    folder : Path, optional
        Where external weights lie.
    optimise : bool
        False loads faster, for a session that runs once.
    arena : bool
        Whether the CPU memory of a run is kept for the next one: faster, for a session that runs often.

    Raises
    ------
    ModelError
        The runtime refuses the model.
    OutOfMemoryError
        It does not fit.
    DeviceError
        The device's provider did not load.
    """
    providers = providers_for(device)
    session = _session(proto, name, _options(threads, folder, optimise, arena), providers)
    provider: str = session.get_providers()[0]
    if device != "auto" and provider != providers[0][0]:
        raise DeviceError(
            f"device {device!r} was asked for, but {providers[0][0]} did not load and {provider} would run; "
            "see what loads with onnx-cam check, or use --device cpu"
        )
    return Loaded(session, provider, 0 if provider == CPU else _count_cpu_nodes(session), device_index(device))


def failure(error: Exception, name: str, given: str) -> ScoreError:
    """Return the error to raise for one of ONNX Runtime's while a model ran."""
    if ran_out(error):
        needed = needed_bytes(error)
        asked = f" (a buffer of {needed / 2**20:,.1f} MiB could not be had)" if needed else ""
        return OutOfMemoryError(
            f"out of memory: {name} failed on {given}{asked}; "
            "try a smaller --size, fewer --samples, --device cpu, or free some memory"
        )
    return ScoreError(
        f"{name} failed on {given}: {_readable(error)}; "
        "check the model with onnx-cam inspect, or give its input size with --size"
    )


def _options(threads: int | None, folder: Path | None, optimise: bool, arena: bool) -> Any:
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = arena
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _session(proto: onnx.ModelProto, name: str, options: Any, providers: Sequence[Any]) -> Any:
    ort = import_onnxruntime()
    try:
        return ort.InferenceSession(proto.SerializeToString(), options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions share no base but this
        if ran_out(error):
            raise OutOfMemoryError(
                f"out of memory: {name} cannot be loaded; try --device cpu, or free some memory"
            ) from error
        opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in proto.opset_import)
        raise ModelError(
            f"ONNX Runtime {ort.__version__} refuses {name} (IR {proto.ir_version}; opsets {opsets}): "
            f"{_readable(error)}{_blamed(proto, str(error))}; {_advice(str(error))}"
        ) from error


def _advice(message: str) -> str:
    if re.search(r"opset|ir.version|not a registered|not implemented", message, re.IGNORECASE):
        return "export it for an older opset, or update ONNX Runtime"
    return "export it again"


def _blamed(proto: onnx.ModelProto, message: str) -> str:
    """Name the first node of an operator that an error speaks of: ONNX Runtime leaves out the node or the domain."""
    for node in proto.graph.node:
        if re.search(rf"\b{re.escape(node.op_type)}\b", message):
            name = node.name or node.output[0]
            return f" (operator {node.op_type} of domain {node.domain or 'ai.onnx'!r}, node {name!r})"
    return ""


def _readable(error: Exception) -> str:
    return one_line(Exception(_NOISE.sub("", str(error)))).rstrip(" .")


def _count_cpu_nodes(session: Any) -> int | None:
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    groups = session.get_provider_graph_assignment_info()
    return sum(len(group.get_nodes()) for group in groups if group.ep_name == CPU)
