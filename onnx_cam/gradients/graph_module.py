"""An ONNX graph as a torch module."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor

from onnx_cam.errors import ModelError, OnnxCamError, OutOfMemoryError, ScoreError, did_you_mean, one_line
from onnx_cam.gradients.build import Builder, inlined
from onnx_cam.gradients.dtypes import as_floats
from onnx_cam.gradients.node import Block, Node
from onnx_cam.gradients.quantization import round_straight_through
from onnx_cam.runtime.memory import ran_out

__all__ = ["GraphModule", "Watch"]

Watch = Callable[[Node, Sequence[Tensor | None], Sequence[Tensor]], None]
"""Called after each node with its inputs and outputs."""

_PIXELS = {onnx.TensorProto.UINT8: (0.0, 255.0), onnx.TensorProto.INT8: (-128.0, 127.0)}


class GraphModule(torch.nn.Module):
    """An ONNX graph as a torch module: the same nodes in the same order, differentiable.

    Weights are buffers. All floats have the module's floating type: float32 (a float16 or float64 model, too), or
    float64 behind ``module.double()``. Quantized tensors are floats that hold whole numbers, with a straight-through
    gradient (`onnx_cam.gradients.quantization`).

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; its own functions are written out.
    name : str
        The file's name, for messages.
    folder : Path, optional
        Where external weights lie.

    Raises
    ------
    ModelError
        It has more inputs than the image, or an operator without a rule.
    """

    def __init__(self, proto: onnx.ModelProto, *, name: str, folder: Path | None = None) -> None:
        super().__init__()
        self.name = name
        proto = inlined(proto, name)
        builder = Builder(proto, name, folder)
        self._block = builder.block(proto.graph)
        for key, tensor in builder.buffers.items():
            self.register_buffer(key, tensor)
        self.register_buffer("_floats", torch.zeros(()), persistent=False)
        self._input, self._limits = self._image_input(proto.graph)

    def forward(
        self,
        image: Tensor,
        outputs: Sequence[str],
        replace: Mapping[str, Tensor] | None = None,
        watch: Watch | None = None,
    ) -> list[Tensor]:
        """Return tensors of the graph for a batch.

        Parameters
        ----------
        image : Tensor of shape (B, …)
            In the layout of the graph's input. Of an input of 8 bits floats are rounded and clipped, and the gradient
            passes straight through.
        outputs : sequence of str
            Any tensors of the graph.
        replace : mapping of str to Tensor, optional
            What stands in place of what the graph computes. What only leads to it is not run.
        watch : callable, optional
            Called after each node with the node, its inputs and its outputs.

        Raises
        ------
        ModelError
            No such tensor.
        ScoreError
            A node failed; `OutOfMemoryError` where memory ran out.
        """
        values = {tensor: self.get_buffer(key) for tensor, key in self._block.constants.items()}
        values[self._input] = self._as_taken(image)
        values |= {tensor: self._as_ours(value) for tensor, value in (replace or {}).items()}
        self._check_names(values, [*outputs, *(replace or {})])
        self._run(self._block, values, outputs, watch)
        return [values[output] for output in outputs]

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return self.get_buffer("_floats").device

    def leads_to(self, source: str, tensor: str) -> bool:
        """Whether one tensor of the graph is computed from another."""
        reached = {source}
        for node in self._block.nodes:
            if not reached.isdisjoint(node.reads):
                reached.update(node.outputs)
        return tensor in reached

    def _image_input(self, graph: onnx.GraphProto) -> tuple[str, tuple[float, float] | None]:
        inputs = [i for i in graph.input if i.name not in self._block.constants]
        if len(inputs) > 1:
            names = ", ".join(repr(i.name) for i in inputs)
            raise ModelError(f"{self.name} has the inputs {names}; expected the image alone: make the others constants")
        if not inputs:
            return "", None
        return inputs[0].name, _PIXELS.get(inputs[0].type.tensor_type.elem_type)

    def _as_taken(self, image: Tensor) -> Tensor:
        floats = self.get_buffer("_floats")
        image = as_floats(image).to(floats)
        return image if self._limits is None else torch.clamp(round_straight_through(image), *self._limits)

    def _as_ours(self, value: Tensor) -> Tensor:
        """Return a tensor in the module's floating type, where it is a float."""
        floats: Tensor = self.get_buffer("_floats")
        return value.to(floats.dtype) if value.is_floating_point() else value

    def _check_names(self, given: Collection[str], names: Sequence[str]) -> None:
        known = {*given, *(output for node in self._block.nodes for output in node.outputs)}
        for name in names:
            if name not in known:
                raise ModelError(
                    f"no tensor {name!r} that leads to the outputs of {self.name}{did_you_mean(name, known)}"
                )

    def _run(self, block: Block, values: dict[str, Tensor], outputs: Sequence[str], watch: Watch | None) -> None:
        """Compute what outputs need; a tensor is dropped behind the last node that reads it."""
        for node, done in _plan(block.nodes, outputs, values.keys()):
            inputs = [values[name] if name else None for name in node.inputs]
            made = self._branch(node, values, watch) if node.branches else self._compute(node, inputs)
            if watch is not None:
                watch(node, inputs, made)
            values.update((name, value) for name, value in zip(node.outputs, made, strict=False) if name not in values)
            for name in done:
                del values[name]

    def _compute(self, node: Node, inputs: Sequence[Tensor | None]) -> list[Tensor]:
        try:
            result = node.rule(node, *inputs)
        except OnnxCamError:
            raise
        except Exception as error:  # torch raises whatever suits it
            if ran_out(error) or "can't allocate memory" in str(error):
                raise OutOfMemoryError(f"out of memory: {self.name} failed at {node}; try a smaller --size") from error
            raise ScoreError(
                f"{self.name} failed at {node}: {one_line(error)}; check the model's input size"
            ) from error
        made = (result,) if isinstance(result, Tensor) else result
        return [self._as_ours(tensor) for tensor in made]

    def _branch(self, node: Node, values: Mapping[str, Tensor], watch: Watch | None) -> list[Tensor]:
        """Run the branch that an If's condition chooses."""
        block = node.branches["then_branch" if bool(values[node.inputs[0]].item()) else "else_branch"]
        inner = {**values, **{tensor: self.get_buffer(key) for tensor, key in block.constants.items()}}
        self._run(block, inner, block.outputs, watch)
        return [inner[output] for output in block.outputs]


def _plan(nodes: Sequence[Node], outputs: Sequence[str], given: Collection[str]) -> list[tuple[Node, tuple[str, ...]]]:
    """Return the nodes to run, each with the tensors that are not needed behind it."""
    given = set(given)
    wanted, kept = set(outputs) - given, set(outputs)
    steps = []
    for node in reversed(nodes):
        if wanted.isdisjoint(node.outputs):
            continue
        reads = node.reads
        steps.append((node, tuple(reads - kept)))
        kept |= reads
        wanted = (wanted - set(node.outputs)) | (reads - given)
    return steps[::-1]
