"""Models of a single node, run by ONNX Runtime and by the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnx_cam.gradients import GraphModule

Array = NDArray[Any]

_FED = ("float32", "uint8", "int8")


@dataclass(frozen=True)
class Case:
    """A node with its inputs, attributes and version. One input is the image, by default the first; others are weights.

    An input of None is an optional one that is left out.
    """

    operator: str
    inputs: Sequence[Array | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    opset: int = 17
    domain: str = ""
    outputs: int = 1
    tolerance: float = 1e-5
    smooth: bool = True
    place: int = 0  # of the image among the inputs

    @property
    def batched(self) -> bool:
        """Whether two images as one batch give the outputs of each, one after the other."""
        first = self.image()
        if not self.fed or not first.ndim:
            return False
        second = np.flip(first)
        doubled = self.model()
        doubled.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2 * len(first)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(doubled.SerializeToString(), options)
            found = np.asarray(session.run(["output0"], {"input0": np.concatenate([first, second])})[0])
        except Exception:  # the node only takes this batch
            return False
        one, other = self.expected()[0], self.expected(second)[0]
        if not one.ndim or found.shape != (2 * len(one), *one.shape[1:]):
            return False
        return np.allclose(found, np.concatenate([one, other]))

    def __str__(self) -> str:
        settings = ",".join(f"{name}={value}" for name, value in self.attributes.items())
        return f"{self.operator}-{self.opset}({settings})" + (f"at{self.place}" if self.place else "")

    @property
    def names(self) -> list[str]:
        return [f"output{i}" for i in range(self.outputs)]

    @property
    def fed(self) -> bool:
        image = self.inputs[self.place] if self.inputs else None
        return image is not None and image.dtype.name in _FED

    def model(self) -> onnx.ModelProto:
        # The image is input0, wherever it stands.
        names = [f"input{i + 1 if i < self.place else i}" for i in range(len(self.inputs))]
        names = ["" if value is None else name for name, value in zip(names, self.inputs, strict=True)]
        if self.fed:
            names[self.place] = "input0"
        node = helper.make_node(self.operator, names, self.names, domain=self.domain, name="node", **self.attributes)
        weights = [
            numpy_helper.from_array(np.asarray(value), name)
            for i, (name, value) in enumerate(zip(names, self.inputs, strict=True))
            if value is not None and (i != self.place or not self.fed)
        ]
        images = [_info("input0", self.image())] if self.fed else []
        outputs = [helper.make_empty_tensor_value_info(name) for name in self.names]
        graph = helper.make_graph([node], "one", images, outputs, weights)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, ir_version=10, opset_imports=opsets)

    def module(self) -> GraphModule:
        return GraphModule(self.model(), name="one.onnx")

    def image(self) -> Array:
        return np.asarray(self.inputs[self.place]) if self.fed else np.zeros(1, np.float32)

    def expected(self, image: Array | None = None) -> list[Array]:
        """Return the outputs that ONNX Runtime computes, by default for the case's own image."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(self.model().SerializeToString(), options)
        feed = {"input0": self.image() if image is None else image} if self.fed else {}
        return [np.asarray(a) for a in session.run(None, feed)]

    @property
    def runs(self) -> bool:
        """Whether the ONNX Runtime that is installed runs the node: an older one lacks the newest operators."""
        try:
            self.expected()
        except Exception as error:  # its own classes are not exported
            if type(error).__module__.startswith("onnxruntime"):
                return False
            raise
        return True

    def computed(self) -> list[Array]:
        """Return the outputs that the rule computes."""
        with torch.no_grad():
            return [t.numpy() for t in self.module()(torch.as_tensor(self.image()), self.names)]


def _info(name: str, array: Array) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def floats(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def positive(*shape: int) -> Array:
    return np.abs(floats(*shape)) + np.float32(0.1)


def ints(*values: Any) -> Array:
    return np.array(values, np.int64)


def number(value: float, kind: str = "float32") -> Array:
    return np.array(value, kind)


def uint8(*shape: int, seed: int = 0, high: int = 256) -> Array:
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.uint8)


def int8(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-127, 128, shape).astype(np.int8)


def int32(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-999, 999, shape).astype(np.int32)
