"""Open a session on the requested device, or fail: there is no silent fallback to another one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.errors import DeviceError, ModelError, OutOfMemoryError, ScoreError, one_line
from onnx_cam.graph.detached import DetachedWeights
from onnx_cam.graph.external_data import WeightSource
from onnx_cam.graph.walk_protobuf import all_graphs
from onnx_cam.runtime.custom_operators import register_libraries, unknown_domain
from onnx_cam.runtime.devices import CPU, Device, device_index, import_onnxruntime, providers_for, running_device
from onnx_cam.runtime.memory import is_out_of_memory, requested_bytes
from onnx_cam.runtime.packages import package_conflict

__all__ = ["DeviceSession", "as_feed", "open_device_session", "run_error"]

_BOILERPLATE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|Non-zero status code returned |"
    r"/\S+\.(?:cc|h|cpp|hpp):\d+ \S.*?\)(?: const)? (?=[A-Z])"  # its source's file, line and function
)
"""What ONNX Runtime puts around the reason of an error."""

_OLDEST_OPSET = 7
"""ONNX Runtime lacks most operators in their older versions."""


@dataclass(frozen=True)
class DeviceSession:
    """A model loaded on a device.

    Attributes
    ----------
    session : onnxruntime.InferenceSession
        ONNX Runtime's own session.
    device : Device
        The device that really runs it.
    provider : str
        The execution provider that really runs it.
    cpu_fallback_nodes : int or None
        Nodes that the provider left to the CPU; 0 on the CPU itself; None where ONNX Runtime does not tell.
    index : int
        Which device of its kind.
    weights : Path, DetachedWeights or None
        Where its weights come from: in memory, they are kept as long as the session.
    """

    session: Any
    device: Device
    provider: str
    cpu_fallback_nodes: int | None
    index: int
    weights: WeightSource = None

    def place(self, array: NDArray[Any]) -> Any:
        """Return an array as an ``onnxruntime.OrtValue`` in the memory that the device reads from."""
        index = self.index if self.device.arrays == "cuda" else 0
        return import_onnxruntime().OrtValue.ortvalue_from_numpy(array, self.device.arrays, index)


def open_device_session(
    proto: onnx.ModelProto,
    *,
    name: str,
    device: str = "auto",
    threads: int | None = None,
    weights: WeightSource = None,
    libraries: Sequence[str] = (),
    optimise: bool = True,
    arena: bool = True,
) -> DeviceSession:
    """Load a model on a device.

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
    weights : Path or DetachedWeights, optional
        Where the weights are that the model does not store itself.
    libraries : sequence of str
        Absolute paths of libraries of custom operators.
    optimise : bool
        False loads faster, for a session that runs once.
    arena : bool
        Whether the CPU memory of a run is kept for the next one: faster, for a session that runs often.

    Raises
    ------
    ModelError
        The runtime refuses the model.
    OutOfMemoryError
        The model does not fit into memory.
    DeviceError
        The device's provider did not load.

    Examples
    --------
    >>> opened = open_device_session(onnx.load("model.onnx"), name="model.onnx", device="cpu")
    >>> opened.provider, opened.cpu_fallback_nodes
    ('CPUExecutionProvider', 0)
    """
    providers = providers_for(device)
    options = _session_options(threads, optimise, arena)
    _add_weights(options, proto, weights)
    register_libraries(options, libraries)
    try:
        session = _open(proto, name, options, providers)
    except ModelError:
        if not isinstance(weights, DetachedWeights):
            raise
        # Some operators cannot do with weights that are stored elsewhere, such as a Resize with its scales.
        options = _session_options(threads, optimise, arena)
        register_libraries(options, libraries)
        session = _open(weights.attached(proto), name, options, providers)
    provider: str = session.get_providers()[0]
    # ONNX Runtime falls back to the CPU where a provider does not load, and get_providers() is what tells.
    if device != "auto" and provider != providers[0][0]:
        advice = package_conflict() or "see what loads with onnx-cam check, or use --device cpu"
        raise DeviceError(
            f"--device {device} was requested, but {providers[0][0]} did not load and {provider} would run the model: "
            f"{advice}"
        )
    running = running_device(provider)
    fallback_nodes = 0 if running is CPU else _count_cpu_nodes(session)
    return DeviceSession(session, running, provider, fallback_nodes, device_index(device), weights)


def as_feed(array: NDArray[Any]) -> Any:
    """Return an array as ONNX Runtime takes it: bfloat16, which NumPy does not know, as an ``onnxruntime.OrtValue``."""
    if array.dtype.name != "bfloat16":
        return array
    bits = array.view(np.uint16)
    return import_onnxruntime().OrtValue.ortvalue_from_numpy_with_onnx_type(bits, onnx.TensorProto.BFLOAT16)


def run_error(error: Exception, name: str, what: str) -> ScoreError:
    """Return the error to raise for one of ONNX Runtime's that came while a model ran.

    Parameters
    ----------
    error : Exception
        ONNX Runtime's own.
    name : str
        The file's name.
    what : str
        What the model was run on, e.g. ``an input of shape (1, 3, 224, 224)``.
    """
    if is_out_of_memory(error):
        size = requested_bytes(error)
        buffer = f" (could not allocate a buffer of {size / 2**20:,.1f} MiB)" if size else ""
        return OutOfMemoryError(
            f"out of memory: {name} failed on {what}{buffer}; "
            "try a smaller --size, fewer --samples, --device cpu, or free some memory"
        )
    return ScoreError(
        f"{name} failed on {what}: {_reason(error)}; "
        "check the model with onnx-cam inspect, or set its input size with --size"
    )


def _session_options(threads: int | None, optimise: bool, arena: bool) -> Any:
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = arena
    if not arena:  # a session that runs now and then would keep the cores busy while it waits for its next run
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _add_weights(options: Any, proto: onnx.ModelProto, weights: WeightSource) -> None:
    """Tell a session where the weights are that the model does not store itself."""
    if isinstance(weights, DetachedWeights):
        place = import_onnxruntime().OrtValue.ortvalue_from_numpy
        # ONNX Runtime removes what nothing reads, and refuses a value for it.
        graphs = list(all_graphs(proto.graph))
        names_read = {name for graph in graphs for node in graph.node for name in node.input}
        names_read |= {output.name for graph in graphs for output in graph.output}
        arrays = {name: array for name, array in weights.initializers(proto).items() if name in names_read}
        options.add_external_initializers(list(arrays), [place(array) for array in arrays.values()])
        if options.graph_optimization_level == import_onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL:
            # A session that runs once need not rearrange them.
            options.add_session_config_entry("session.disable_prepacking", "1")
    elif weights is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))


def _open(proto: onnx.ModelProto, name: str, options: Any, providers: Sequence[Any]) -> Any:
    ort = import_onnxruntime()
    try:
        return ort.InferenceSession(proto.SerializeToString(), options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions share no base but this
        if is_out_of_memory(error):
            raise OutOfMemoryError(
                f"out of memory: {name} cannot be loaded; try --device cpu, or free some memory"
            ) from error
        opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in proto.opset_import)
        raise ModelError(
            f"ONNX Runtime {ort.__version__} refuses {name} (IR {proto.ir_version}; opsets {opsets}): "
            f"{_reason(error)}{_blamed_node(proto, str(error))}; {_advice(str(error), proto)}"
        ) from error


def _advice(message: str, proto: onnx.ModelProto) -> str:
    opset = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=None)
    if opset is not None and opset < _OLDEST_OPSET:
        return (
            f"opset {opset} is too old for ONNX Runtime, which supports {_OLDEST_OPSET} and later: export it again, "
            "or convert it with onnx.version_converter.convert_version(model, 13)"
        )
    if "missing opset" in message.lower():
        return "the file does not say which opset it needs: export it again"
    if "not a registered" in message and (advice := unknown_domain(proto)):
        return advice
    if re.search(r"opset|ir.version|not a registered|not.implemented", message, re.IGNORECASE):
        return "export it for an older opset, or update ONNX Runtime"
    return "export it again"


def _blamed_node(proto: onnx.ModelProto, message: str) -> str:
    """Name the first node of the operator in an error's text, as ONNX Runtime leaves out the node or its domain."""
    for node in proto.graph.node:
        if re.search(rf"\b{re.escape(node.op_type)}\b", message):
            name = node.name or next(iter(node.output), "")
            return f" (operator {node.op_type} of domain {node.domain or 'ai.onnx'!r}, node {name!r})"
    return ""


def _reason(error: Exception) -> str:
    return one_line(Exception(_BOILERPLATE.sub("", str(error)))).rstrip(" .")


def _count_cpu_nodes(session: Any) -> int | None:
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    groups = session.get_provider_graph_assignment_info()
    return sum(len(group.get_nodes()) for group in groups if group.ep_name == CPU.provider)
