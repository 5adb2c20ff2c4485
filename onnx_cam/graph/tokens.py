"""Find the tensors of a vision transformer that hold tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnx_cam.graph.walk import input_names, leading_to, makers, output_names, readers, tensors_read

__all__ = ["TokenCandidate", "choose_default", "find_patch_embedding", "find_token_candidates"]

_CONVOLUTIONS = {"Conv", "ConvTranspose", "ConvInteger"}
_PRODUCTS = {"MatMul", "MatMulInteger", "FusedMatMul", "QLinearMatMul", "TransposeMatMul", "Einsum"}
_LINEAR = {
    *_PRODUCTS,
    *("Gemm", "QGemm", "FusedGemm", "GemmFastGelu", "MatMulNBits", "MatMulBnb4", "MatMulFpQ4"),
    *("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "SparseToDenseMatMul"),
}
"""Linear operators of every kind: a product with a matrix of weights, whatever they are stored as."""
_POOLS = {"AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool"}
_SKIP_NORMALISATIONS = {"SkipLayerNormalization", "SkipSimplifiedLayerNormalization"}
_NORMALISATIONS = {
    *_SKIP_NORMALISATIONS,
    "LayerNormalization",
    "SimplifiedLayerNormalization",
    "RMSNormalization",
}
_MEASURES = {"Shape", "Size"}
"""They read a tensor's dimensions, not its values."""

_SUMS = {"Add", "Sum"}
_EPSILON_OPERATORS = {"Add", "Max", "Clip", "Cast"}
"""What may lie between a mean of squares and its square root."""

_AFFINE_OPERATORS = {"Cast", "Mul", "Add", "Sub"}
"""What a normalisation may end in: the product with γ and the sum with β."""


@dataclass(frozen=True)
class TokenCandidate:
    """A tensor that holds tokens if its shape turns out to have a grid.

    Attributes
    ----------
    name : str
        The tensor.
    op_type : str
        The operator that computes it; of a normalisation in several operators, the last one.
    node : str
        The operator's own name; empty where the file gives it none.
    normalised : bool
        True for the output of a normalisation, False for a residual sum.
    read_by_attention : bool
        Whether attention reads it before the next residual sum.

    Examples
    --------
    >>> TokenCandidate("norm_1", "LayerNormalization", "", normalised=True, read_by_attention=True).name
    'norm_1'
    """

    name: str
    op_type: str
    node: str
    normalised: bool
    read_by_attention: bool


def find_token_candidates(graph: gs.Graph, score: str) -> list[TokenCandidate]:
    """Return the residual sums and normalisations that may hold tokens, in the graph's own order.

    They come after the patch embedding (the first convolution or linear layer), lead to the scores, and hold their
    channels in the last axis. Tensors that attention computes for itself, such as normalised queries and rotary
    embeddings, are left out.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    score : str
        The output that holds the scores.

    Notes
    -----
    Shapes are not looked at, so tensors after the pooling are included. Keep those that `token_grid` accepts.

    Examples
    --------
    >>> x, w, y, total, logits = (gs.Variable(name) for name in ("x", "w", "y", "total", "logits"))
    >>> patches = gs.Node("MatMul", inputs=[x, w], outputs=[y])  # a linear patch embedding
    >>> mixed = gs.Variable("mixed")
    >>> nodes = [
    ...     patches,
    ...     gs.Node("MatMul", inputs=[y, w], outputs=[mixed]),
    ...     gs.Node("Add", inputs=[y, mixed], outputs=[total]),
    ...     gs.Node("MatMul", inputs=[total, w], outputs=[logits]),
    ... ]
    >>> graph = gs.Graph(nodes, inputs=[x], outputs=[logits])
    >>> [candidate.name for candidate in find_token_candidates(graph, "logits")]
    ['total']
    """
    flow = _Flow(graph)
    score_inputs = leading_to(graph, score)
    return [
        TokenCandidate(name, node.op, node.name or "", name in flow.normalised, flow.is_read_by_attention(name))
        for node in graph.nodes
        for name in output_names(node)
        if name in score_inputs and flow.may_hold_tokens(name)
    ]


def choose_default(candidates: Sequence[TokenCandidate]) -> TokenCandidate | None:
    """Return the last normalised tokens that attention reads; else the last normalised ones; else the last ones.

    In a model with a class token, the patch tokens after the last attention no longer influence the scores.

    Examples
    --------
    >>> norm = TokenCandidate("norm", "LayerNormalization", "", normalised=True, read_by_attention=True)
    >>> total = TokenCandidate("total", "Add", "", normalised=False, read_by_attention=False)
    >>> choose_default([norm, total]).name
    'norm'
    """
    normalised = [candidate for candidate in candidates if candidate.normalised]
    read_by_attention = [candidate for candidate in normalised if candidate.read_by_attention]
    return next((group[-1] for group in (read_by_attention, normalised, candidates) if group), None)


def find_patch_embedding(graph: gs.Graph, candidates: Sequence[TokenCandidate]) -> str | None:
    """Return the output ``(N, D, h, w)`` of the last convolution before the first candidate: its grid is the patches'.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    candidates : sequence of TokenCandidate
        In the graph's own order.

    Returns
    -------
    str or None
        None where there is no candidate, or where a linear layer embeds the patches.

    Examples
    --------
    >>> find_patch_embedding(gs.Graph(), []) is None
    True
    """
    if not candidates:
        return None
    sources = leading_to(graph, candidates[0].name)
    convolutions = [name for node in graph.nodes if node.op in _CONVOLUTIONS for name in output_names(node)]
    return next((name for name in reversed(convolutions) if name in sources), None)


class _Flow:
    """What becomes of the image, operator by operator.

    Attributes
    ----------
    computed : set of str
        The tensors that are computed from the graph's inputs.
    embedded : set of str
        Those of them that the patch embedding leads to, its own output included.
    channels_last : set of str
        The tensors whose last axis holds the channels.
    source_layers : dict of str to frozenset of str
        The outputs of the layers and residual sums that a tensor is computed from without another one in between.
    residual_sums, normalised : set of str
        The outputs of residual sums and of normalisations.
    deviations : set of str
        Standard deviations, and their reciprocals.
    """

    def __init__(self, graph: gs.Graph) -> None:
        self.readers = readers(graph)
        self.makers = makers(graph)
        self.computed = {tensor.name for tensor in graph.inputs}
        self.embedded: set[str] = set()
        self.channels_last: set[str] = set()
        self.source_layers: dict[str, frozenset[str]] = {}
        self.residual_sums: set[str] = set()
        self.normalised: set[str] = set()
        self.deviations: set[str] = set()
        # First follow the image through the graph: where its channels are, and where branches are added.
        for node in graph.nodes:  # the nodes of an ONNX file are sorted
            self._follow(node)
        # Then find the normalisations, which may be one operator, or several that end before a residual sum.
        for node in graph.nodes:
            if not self.embedded.isdisjoint(output_names(node)):
                self._note_normalised(node)

    # ----------------------------------------------------------------------------------------------------------------
    # The image's way through the graph.

    def _follow(self, node: gs.Node) -> None:
        inputs = [name for name in tensors_read(node) if name in self.computed]
        if not inputs or node.op in _MEASURES:
            return
        outputs = output_names(node)
        self.computed.update(outputs)
        # The first convolution or linear layer embeds the patches; what happens before it is preprocessing.
        is_embedding = node.op in _CONVOLUTIONS | _LINEAR
        if not is_embedding and self.embedded.isdisjoint(inputs):
            return
        if self._is_channels_last(node, inputs):
            self.channels_last.update(outputs)
        self.embedded.update(outputs)
        if self._adds_branches(node):
            self.residual_sums.update(outputs)
        self._note_source_layers(node, inputs)

    def _is_channels_last(self, node: gs.Node, inputs: Sequence[str]) -> bool:
        if node.op in _CONVOLUTIONS:
            return False
        if node.op in _LINEAR and self.embedded.isdisjoint(inputs):
            return True
        if node.op in _NORMALISATIONS and node.attrs.get("axis", -1) in (-1, 2, 3):
            return True
        is_inherited = not self.channels_last.isdisjoint(inputs)
        perm: list[int] = list(node.attrs.get("perm", ())) if node.op == "Transpose" else []
        if len(perm) < 3:
            return is_inherited
        # The channels are in axis 1 or in the last axis; the Transpose may bring them from one to the other.
        return perm[1] != len(perm) - 1 if is_inherited else perm[-1] == 1

    def _adds_branches(self, node: gs.Node) -> bool:
        """Whether a node adds the outputs of different layers, as x·cos + rotated(x)·sin and x + x³ do not."""
        if node.op not in _SUMS | _SKIP_NORMALISATIONS:
            return False
        terms = [self.source_layers[name] for name in input_names(node)[:2] if name in self.embedded]
        return len(terms) == 2 and terms[0] != terms[1]

    def _note_source_layers(self, node: gs.Node, inputs: Sequence[str]) -> None:
        is_layer = node.op in _CONVOLUTIONS | _LINEAR | _POOLS or _is_attention(node) or node.domain == "com.microsoft"
        for name in output_names(node):
            if is_layer or name in self.residual_sums:
                self.source_layers[name] = frozenset([name])
            else:
                self.source_layers[name] = frozenset().union(*(self.source_layers.get(source, ()) for source in inputs))

    # ----------------------------------------------------------------------------------------------------------------
    # Normalisations: (x − μ) / √(σ² + ε) · γ + β.

    def _note_normalised(self, node: gs.Node) -> None:
        output = node.outputs[0].name
        if node.op in _NORMALISATIONS or self._transposes_batch_normalised(node):
            self.normalised.add(output)
        elif node.op == "Sqrt" and self._comes_from_mean(input_names(node)[0]):
            self.deviations.add(output)
        elif node.op in ("Div", "Mul", "Reciprocal", "Cast"):
            inputs = {name for name in input_names(node) if name in self.embedded}
            if inputs and inputs <= self.deviations:
                self.deviations.add(output)
            elif inputs & self.deviations:
                self.normalised.add(self._after_affine(output))

    def _transposes_batch_normalised(self, node: gs.Node) -> bool:
        """Whether a node ends Transpose, BatchNormalization, Transpose: a batch normalisation of tokens."""
        normalisation = self._maker_of_input(node, "Transpose")
        first_transpose = self._maker_of_input(normalisation, "BatchNormalization")
        return self._maker_of_input(first_transpose, "Transpose") is not None

    def _maker_of_input(self, node: gs.Node | None, op: str) -> gs.Node | None:
        """Return the node that computes the first input of a node, if the node is of that operator."""
        if node is None or node.op != op or not node.inputs:
            return None
        return self.makers.get(node.inputs[0].name)

    def _comes_from_mean(self, name: str) -> bool:
        """Whether a tensor is a mean, or a mean plus ε."""
        while (node := self.makers.get(name)) is not None and node.op in _EPSILON_OPERATORS:
            name = next((source for source in input_names(node) if source in self.embedded), "")
        return node is not None and node.op == "ReduceMean"

    def _after_affine(self, name: str) -> str:
        """Return the tensor after γ and β, from the one before them; each operator at most once."""
        remaining_operators = set(_AFFINE_OPERATORS)
        while len(nodes := self._value_readers(name)) == 1 and nodes[0].op in remaining_operators:
            node = nodes[0]
            multiplies_tensors = node.op == "Mul" and self.embedded.issuperset(input_names(node))
            if self._ends_branch(node) or multiplies_tensors:
                break
            remaining_operators.remove(node.op)
            name = node.outputs[0].name
        return name

    # ----------------------------------------------------------------------------------------------------------------
    # What reads a tensor, up to the next attention or residual sum.

    def may_hold_tokens(self, name: str) -> bool:
        """Whether a tensor may hold tokens, judged by everything but its shape."""
        is_candidate = name in self.residual_sums or name in self.normalised
        return is_candidate and name in self.channels_last and not self._is_within_attention(name)

    def is_read_by_attention(self, name: str) -> bool:
        """Whether attention reads a tensor before the next residual sum."""
        return any(self._mixes_tokens(node) for node in self._nodes_after(name, through_layers=True))

    def _is_within_attention(self, name: str) -> bool:
        """Whether a tensor reaches attention, and nothing but attention, without a projection in between."""
        nodes = list(self._nodes_after(name, through_layers=False))
        return any(self._mixes_tokens(node) and not _projects(node) for node in nodes) and not any(
            self._ends_branch(node) or self._is_layer(node) for node in nodes
        )

    def _nodes_after(self, name: str, *, through_layers: bool) -> Iterator[gs.Node]:
        """Yield the nodes after a tensor up to attention and to the next residual sum, which are yielded too."""
        pending, seen = [name], {name}
        while pending:
            for node in self._value_readers(pending.pop()):
                yield node
                is_end = self._mixes_tokens(node) or self._ends_branch(node)
                if not is_end and (through_layers or not self._is_layer(node)):
                    pending += [output for output in output_names(node) if output not in seen]
                    seen.update(output_names(node))

    def _value_readers(self, name: str) -> list[gs.Node]:
        return [node for node in self.readers.get(name, []) if node.op not in _MEASURES]

    def _ends_branch(self, node: gs.Node) -> bool:
        return not self.residual_sums.isdisjoint(output_names(node))

    def _is_layer(self, node: gs.Node) -> bool:
        return _projects(node) or (node.op in _CONVOLUTIONS | _LINEAR and not self._mixes_tokens(node))

    def _mixes_tokens(self, node: gs.Node) -> bool:
        if node.op in _PRODUCTS:  # only the two factors count: MatMulInteger reads zero points after them
            return all(name in self.embedded for name in input_names(node)[:2])
        return _is_attention(node)


def _is_attention(node: gs.Node) -> bool:
    return bool(node.op.lower().endswith("attention"))


def _projects(node: gs.Node) -> bool:
    """Whether a node is attention together with the linear layers before it."""
    return node.op in ("QAttention", "PackedAttention") or (node.op == "Attention" and node.domain == "com.microsoft")
