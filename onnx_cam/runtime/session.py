"""A model on a device."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.errors import DeviceError, ModelError, ScoreError, one_line
from onnx_cam.graph.image_input import ImageInput
from onnx_cam.runtime.devices import CPU, import_onnxruntime, providers_for

__all__ = ["Session"]

_NOISE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|Non-zero status code returned ")


class Session:
    """A model, loaded by ONNX Runtime on the device that was asked for, or not at all.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model.
    name : str
        The file's name, for messages.
    image_input : ImageInput
        The input that takes the image.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt`` or ``openvino``.
    threads : int, optional
        Threads within an operator; ONNX Runtime's own choice by default.
    folder : Path, optional
        Where external weights lie.
    fixed_batch : int, optional
        The batch that the file fixes: every run is cut into such batches, the last one padded.
    one_at_a_time : bool
        Fill each batch with one image: for a model that mixes the images of a batch.
    optimise : bool
        False loads faster, for a session that runs once.

    Attributes
    ----------
    provider : str
        The execution provider that really runs the model.
    cpu_fallback_nodes : int or None
        Nodes that another provider left to the CPU; 0 on the CPU itself; None where ONNX Runtime does not tell.

    Raises
    ------
    ModelError
        The runtime refuses the model.
    DeviceError
        The device's provider did not load.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        *,
        name: str,
        image_input: ImageInput,
        device: str = "auto",
        threads: int | None = None,
        folder: Path | None = None,
        fixed_batch: int | None = None,
        one_at_a_time: bool = False,
        optimise: bool = True,
    ) -> None:
        self.name = name
        self.input = image_input
        self.fixed_batch = fixed_batch
        self.one_at_a_time = one_at_a_time
        providers = providers_for(device)
        options = _session_options(threads, folder, optimise)
        self._session = _load(proto, name, options, providers)
        self.provider: str = self._session.get_providers()[0]
        if device != "auto" and self.provider != providers[0][0]:
            raise DeviceError(
                f"device {device!r} was asked for, but {providers[0][0]} did not load and {self.provider} would run; "
                "see what loads with onnx-cam check, or use --device cpu"
            )
        self.cpu_fallback_nodes = 0 if self.provider == CPU else _count_cpu_nodes(self._session)

    @property
    def outputs(self) -> dict[str, tuple[tuple[int | None, ...], str]]:
        """Each output's shape, None where it is not fixed, and ONNX type."""
        return {
            output.name: (tuple(d if isinstance(d, int) and d > 0 else None for d in output.shape), output.type)
            for output in self._session.get_outputs()
        }

    def run(self, images: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run the model on a batch.

        Parameters
        ----------
        images : ndarray of shape (B, C, H, W), float32
            Any B: a fixed batch is filled up and cut to size here.
        outputs : sequence of str
            The outputs to return.

        Returns
        -------
        list of ndarray
            One an output, its first dimension B.

        Raises
        ------
        ScoreError
            The runtime failed on this input.
        """
        step = 1 if self.one_at_a_time else self.fixed_batch or len(images)
        parts = [self._run_part(images[start : start + step], outputs) for start in range(0, len(images), step)]
        return parts[0] if len(parts) == 1 else [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def run_once(self, images: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run the model on one batch, filled up where it is fixed; outputs come back as they are, filling included."""
        missing = (self.fixed_batch or len(images)) - len(images)
        batch = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing > 0 else images
        try:
            arrays: list[NDArray[Any]] = self._session.run(list(outputs), {self.input.name: self.input.feed(batch)})
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise ScoreError(
                f"{self.name} failed on an input of shape {batch.shape}: {_readable(error)}; "
                "check the model with onnx-cam inspect, or give its input size with --size"
            ) from error
        for output, array in zip(outputs, arrays, strict=True):
            if not isinstance(array, np.ndarray):
                raise ScoreError(f"output {output!r} of {self.name} is a {type(array).__name__}; expected a tensor")
        return arrays

    def _run_part(self, images: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[Any]]:
        arrays = self.run_once(images, outputs)
        size = self.fixed_batch or len(images)
        for output, array in zip(outputs, arrays, strict=True):
            if array.ndim == 0 or len(array) != size:
                raise ScoreError(
                    f"{self.name} returned {output!r} of shape {array.shape} for a batch of {size}; "
                    "expected the batch as the first dimension"
                )
        return [array[: len(images)] for array in arrays]


def _session_options(threads: int | None, folder: Path | None, optimise: bool) -> Any:
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _load(proto: onnx.ModelProto, name: str, options: Any, providers: Sequence[Any]) -> Any:
    ort = import_onnxruntime()
    try:
        return ort.InferenceSession(proto.SerializeToString(), options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions share no base but this
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
