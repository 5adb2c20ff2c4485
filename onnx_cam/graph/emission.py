"""Write nodes that come before a model or after it."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.errors import ModelError

__all__ = ["PARTS_OF_A_HEATMAP", "PREFIX", "Emission", "emission_opset"]

PREFIX = "onnx_cam/"
"""What the name of every tensor that onnx-cam adds to a graph begins with."""

PARTS_OF_A_HEATMAP = (PREFIX + "heatmap/", PREFIX + "backward/")
"""What the names of the tensors that compute an embedded heatmap begin with; no other graph has them."""

_FIRST_OPSET = 7  # below, operators do not broadcast, and ONNX Runtime promises nothing
_OPSET_WHERE_NONE_IS_NAMED = 13


def emission_opset(model: onnx.ModelProto) -> int:
    """Return the model's opset of the default domain; a model that names none is given one.

    Raises
    ------
    ModelError
        It is below 7.

    Examples
    --------
    >>> emission_opset(onnx.load("model.onnx"))
    13
    """
    for entry in reversed(model.opset_import):  # of several ONNX Runtime takes the last
        if entry.domain in ("", "ai.onnx"):
            if entry.version < _FIRST_OPSET:
                raise ModelError(
                    f"the model's opset is {entry.version}; expected {_FIRST_OPSET} or later, as ONNX Runtime does: "
                    "export it again for a newer opset"
                )
            return int(entry.version)
    model.opset_import.append(onnx.helper.make_opsetid("", _OPSET_WHERE_NONE_IS_NAMED))
    return _OPSET_WHERE_NONE_IS_NAMED


class Emission:
    """A list of new nodes, emitted at the opset of the model that they are added to.

    Parameters
    ----------
    model : onnx.ModelProto
        The model; its IR version is taken.
    opset : int
        Its opset of the default domain.
    part : str
        Where the nodes go, e.g. ``front``: a part of their names.

    Examples
    --------
    >>> model = onnx.helper.make_model(onnx.GraphProto())
    >>> emission = Emission(model, 13, "back")
    >>> total = emission.add("Add", "left", np.ones(1, np.float32))
    >>> [node.op_type for node in emission.exported().node]
    ['Add']
    """

    def __init__(self, model: onnx.ModelProto, opset: int, part: str) -> None:
        self.opset = opset
        self._graph = gs.Graph(opset=opset, ir_version=model.ir_version)
        self._prefix = f"{PREFIX}{part}/"
        self._tensors: dict[str, gs.Variable] = {}

    def add(self, op: str, *inputs: gs.Tensor | str | NDArray[np.generic], **attributes: object) -> gs.Variable:
        """Append a node and return its output.

        Parameters
        ----------
        op : str
            The operator.
        *inputs : onnx_graphsurgeon.Tensor, str or ndarray
            A string is the name of a tensor, an array becomes a constant.
        **attributes
            The operator's attributes.
        """
        name = f"{self._prefix}{len(self._graph.nodes)}_{op}"
        tensors = [self._tensor(name, i, source) for i, source in enumerate(inputs)]
        output = gs.Variable(name)
        self._graph.nodes.append(gs.Node(op, name, attrs=attributes, inputs=tensors, outputs=[output]))
        return output

    def exported(self) -> onnx.GraphProto:
        """Return the nodes and their constants, in the order in which they were added."""
        graph: onnx.GraphProto = gs.export_onnx(self._graph, do_type_check=False).graph
        return graph

    def _tensor(self, node: str, index: int, source: gs.Tensor | str | NDArray[np.generic]) -> gs.Tensor:
        if isinstance(source, str):
            return self._tensors.setdefault(source, gs.Variable(source))
        return gs.Constant(f"{node}_{index}", source) if isinstance(source, np.ndarray) else source
