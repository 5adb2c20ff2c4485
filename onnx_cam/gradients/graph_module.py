"""An ONNX graph as a torch module."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import onnx
import torch
from torch import Tensor

from onnx_cam.errors import ModelError, OnnxCamError, OutOfMemoryError, ScoreError, did_you_mean, one_line
from onnx_cam.gradients.build import Builder
from onnx_cam.gradients.dtypes import as_floats
from onnx_cam.gradients.node import Node, Subgraph
from onnx_cam.gradients.quantization import round_straight_through
from onnx_cam.graph.external_data import WeightSource
from onnx_cam.graph.inline import inline_functions
from onnx_cam.runtime.memory import is_out_of_memory

__all__ = ["GraphModule", "Watch"]

Watch = Callable[[Node, Sequence[Tensor | None], Sequence[Tensor]], None]
"""Called after each node with the node, its inputs and its outputs."""

_PIXEL_RANGES = {onnx.TensorProto.UINT8: (0.0, 255.0), onnx.TensorProto.INT8: (-128.0, 127.0)}
_TORCH_OUT_OF_MEMORY = "can't allocate memory"


class GraphModule(torch.nn.Module):
    """An ONNX graph as a torch module: the same nodes in the same order, but differentiable.

    Weights are buffers. All floats have the module's floating type: float32, also for a float16 or float64 model, or
    float64 after ``module.double()``. Quantized tensors are floats that hold integers, with a straight-through gradient
    (:mod:`onnx_cam.gradients.quantization`).

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; calls of its own functions are inlined.
    name : str
        The file's name, for messages.
    weights : Path or DetachedWeights, optional
        Where the weights are that the model does not store itself.

    Raises
    ------
    ModelError
        The model has an input besides the image, or an operator that is not supported.

    Examples
    --------
    >>> module = GraphModule(onnx.load("model.onnx"), name="model.onnx")
    >>> logits, maps = module(torch.zeros(1, 3, 20, 20), ["logits", "relu2"])
    >>> logits.shape, maps.shape
    (torch.Size([1, 4]), torch.Size([1, 6, 5, 5]))
    """

    def __init__(self, proto: onnx.ModelProto, *, name: str, weights: WeightSource = None) -> None:
        super().__init__()
        self.name = name
        proto = inline_functions(proto, name)
        builder = Builder(proto, name, weights)
        self._main = builder.subgraph(proto.graph)
        for key, tensor in builder.buffers.items():
            self.register_buffer(key, tensor)
        self.register_buffer("_floats", torch.zeros(()), persistent=False)  # its type and device are the module's
        self._input, self._pixel_range = self._image_input(proto.graph)

    def forward(
        self,
        image: Tensor,
        outputs: Sequence[str],
        replace: Mapping[str, Tensor] | None = None,
        watch: Watch | None = None,
    ) -> list[Tensor]:
        """Return tensors of the graph for a batch of images.

        Parameters
        ----------
        image : Tensor of shape (B, …)
            In the layout of the graph's input. If that is an 8-bit integer, floats are rounded and clipped, with a
            straight-through gradient.
        outputs : sequence of str
            The names of any tensors of the graph.
        replace : mapping of str to Tensor, optional
            Values that take the place of tensors of the graph. Nodes that only lead to these are not run.
        watch : callable, optional
            Called after each node with the node, its inputs and its outputs.

        Returns
        -------
        list of Tensor
            One for each name in `outputs`.

        Raises
        ------
        ModelError
            There is no such tensor.
        ScoreError
            A node failed; `OutOfMemoryError` if memory ran out.
        """
        # Everything that is known before the first node runs: constants, the image, and replaced tensors.
        values = {tensor: self.get_buffer(key) for tensor, key in self._main.constants.items()}
        values[self._input] = self._as_input(image)
        values |= {tensor: self._in_module_type(value) for tensor, value in (replace or {}).items()}
        self._check_names(values, [*outputs, *(replace or {})])

        # Run the nodes between these and the outputs; their outputs are added to the values.
        self._run(self._main, values, outputs, watch)
        return [values[output] for output in outputs]

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return self.get_buffer("_floats").device

    def leads_to(self, source: str, tensor: str) -> bool:
        """Return whether one tensor of the graph is computed from another."""
        reached = {source}
        for node in self._main.nodes:
            if not reached.isdisjoint(node.reads):
                reached.update(node.outputs)
        return tensor in reached

    def _image_input(self, graph: onnx.GraphProto) -> tuple[str, tuple[float, float] | None]:
        """Return the name of the graph's input, and the range of its type if that is an 8-bit integer."""
        inputs = [i for i in graph.input if i.name not in self._main.constants]
        if len(inputs) > 1:
            names = ", ".join(repr(i.name) for i in inputs)
            raise ModelError(
                f"{self.name} has the inputs {names}; expected only the image: make the other inputs constants"
            )
        if not inputs:
            return "", None
        return inputs[0].name, _PIXEL_RANGES.get(inputs[0].type.tensor_type.elem_type)

    def _as_input(self, image: Tensor) -> Tensor:
        """Return images as the graph takes them: floats of the module's type, or whole numbers in their range."""
        floats = self.get_buffer("_floats")
        image = as_floats(image).to(floats)
        return image if self._pixel_range is None else torch.clamp(round_straight_through(image), *self._pixel_range)

    def _in_module_type(self, value: Tensor) -> Tensor:
        """Return a float tensor in the module's floating type; other tensors as they are."""
        floats: Tensor = self.get_buffer("_floats")
        return value.to(floats.dtype) if value.is_floating_point() else value

    def _check_names(self, available: Collection[str], names: Sequence[str]) -> None:
        """Raise a ModelError if a tensor is neither available nor an output of a node."""
        tensors = {*available, *(output for node in self._main.nodes for output in node.outputs)}
        for name in names:
            if name not in tensors:
                raise ModelError(
                    f"no tensor {name!r} among those that the outputs of {self.name} need{did_you_mean(name, tensors)}"
                )

    def _run(self, graph: Subgraph, values: dict[str, Tensor], outputs: Sequence[str], watch: Watch | None) -> None:
        """Compute outputs and add them to the values; a tensor is dropped after the last node that reads it."""
        for node, last_reads in _plan(graph.nodes, outputs, values.keys()):
            inputs = [values[name] if name else None for name in node.inputs]
            results = self._run_branch(node, values, watch) if node.branches else self._compute(node, inputs)
            if watch is not None:
                watch(node, inputs, results)
            # A rule may return fewer outputs than the node has. One that was replaced keeps its replacement.
            for name, result in zip(node.outputs, results, strict=False):
                values.setdefault(name, result)
            for name in last_reads:
                del values[name]

    def _compute(self, node: Node, inputs: Sequence[Tensor | None]) -> list[Tensor]:
        """Return the outputs of a node by its rule."""
        try:
            result = node.rule(node, *inputs)
        except OnnxCamError:
            raise
        except Exception as error:  # torch raises exceptions of many types
            if is_out_of_memory(error) or _TORCH_OUT_OF_MEMORY in str(error):
                raise OutOfMemoryError(f"out of memory: {self.name} failed at {node}; try a smaller --size") from error
            raise ScoreError(
                f"{self.name} failed at {node}: {one_line(error)}; check that the image has the model's input size"
            ) from error
        results = (result,) if isinstance(result, Tensor) else result
        return [self._in_module_type(tensor) for tensor in results]

    def _run_branch(self, node: Node, values: Mapping[str, Tensor], watch: Watch | None) -> list[Tensor]:
        """Return the outputs of an If: those of the branch that its condition chooses."""
        branch = node.branches["then_branch" if bool(values[node.inputs[0]].item()) else "else_branch"]
        constants = {tensor: self.get_buffer(key) for tensor, key in branch.constants.items()}
        inner_values = {**values, **constants}
        self._run(branch, inner_values, branch.outputs, watch)
        return [inner_values[output] for output in branch.outputs]


def _plan(
    nodes: Sequence[Node], outputs: Sequence[str], available: Collection[str]
) -> list[tuple[Node, tuple[str, ...]]]:
    """Return the nodes to run, each with the tensors that no later node needs.

    Going backwards from the outputs, a node is needed if it computes a needed tensor that is not available yet.
    """
    available = set(available)
    needed, read_later = set(outputs) - available, set(outputs)
    steps = []
    for node in reversed(nodes):
        if needed.isdisjoint(node.outputs):
            continue
        reads = node.reads
        steps.append((node, tuple(reads - read_later)))
        read_later |= reads
        needed = (needed - set(node.outputs)) | (reads - available)
    return steps[::-1]
