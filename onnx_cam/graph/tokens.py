"""Find the token tensors of a vision transformer, and the grid on which their tokens lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TypeVar

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.walk import leading_to, makes, reads

__all__ = [
    "TokenCandidate",
    "TokenGrid",
    "choose_default",
    "find_patch_embedding",
    "find_token_candidates",
    "token_grid",
    "tokens_to_maps",
]

_CONVOLUTIONS = {"Conv", "ConvTranspose", "ConvInteger"}
_PRODUCTS = {"MatMul", "MatMulInteger", "FusedMatMul", "Einsum"}
_LINEAR = {*_PRODUCTS, "Gemm"}
_POOLS = {"AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool"}
_SKIP_NORMALISATIONS = {"SkipLayerNormalization", "SkipSimplifiedLayerNormalization"}
_NORMALISATIONS = {
    *_SKIP_NORMALISATIONS,
    "LayerNormalization",
    "SimplifiedLayerNormalization",
    "RMSNormalization",
}
_MEASURES = {"Shape", "Size"}
_SUMS = {"Add", "Sum"}

_MOST_PREFIX_TOKENS = 16
_MOST_MERGINGS = 5

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class TokenCandidate:
    """A tensor that holds tokens if its shape turns out to have a grid.

    Attributes
    ----------
    name : str
        The tensor.
    op_type : str
        The operator that makes it; of a normalisation in several operators, the last one.
    node : str
        The operator's own name; empty where the file gives it none.
    normalised : bool
        Whether it comes out of a normalisation; else it is a residual sum.
    read_by_attention : bool
        Whether attention reads it before the next residual sum.
    """

    name: str
    op_type: str
    node: str
    normalised: bool
    read_by_attention: bool


@dataclass(frozen=True)
class TokenGrid:
    """Where a tensor's tokens lie in the image, row by row.

    Attributes
    ----------
    height, width : int
        In tokens.
    prefix : int
        Tokens in front that are not on the grid: class token, registers.
    """

    height: int
    width: int
    prefix: int


def find_token_candidates(graph: gs.Graph, score: str) -> list[TokenCandidate]:
    """Return the residual sums and normalisations that may hold tokens, in the graph's own order.

    They lie behind the patch embedding (the first convolution or linear layer), lead to the scores, and hold their
    channels in the last axis. What attention computes within itself (normalised queries, rotary embeddings) is none.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    score : str
        The output that holds the scores.

    Notes
    -----
    Shapes are not looked at: what lies behind the pooling is among them. Keep those that `token_grid` accepts.
    """
    flow = _Flow(graph)
    needed = leading_to(graph, score)
    return [
        TokenCandidate(name, node.op, node.name or "", name in flow.normalised, flow.is_read_by_attention(name))
        for node in graph.nodes
        for name in makes(node)
        if name in needed and flow.may_hold_tokens(name)
    ]


def choose_default(candidates: Sequence[TokenCandidate]) -> TokenCandidate | None:
    """Return the last normalised tokens that attention reads; else the last normalised ones; else the last ones.

    Behind them, the patch tokens of a model with a class token no longer influence the scores.
    """
    normalised = [candidate for candidate in candidates if candidate.normalised]
    read = [candidate for candidate in normalised if candidate.read_by_attention]
    return next((kind[-1] for kind in (read, normalised, candidates) if kind), None)


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
    """
    if not candidates:
        return None
    before = leading_to(graph, candidates[0].name)
    convolved = (name for node in graph.nodes if node.op in _CONVOLUTIONS for name in makes(node))
    return next((name for name in reversed(list(convolved)) if name in before), None)


def token_grid(shape: Sequence[int], patch_grid: tuple[int, int] | None) -> TokenGrid | None:
    """Return the grid of a token tensor, or None where nothing fits or it is smaller than 2×2.

    Parameters
    ----------
    shape : sequence of int
        ``(N, T, D)``, or ``(N, h, w, D)`` whose grid is (h, w). That axis 0 is the batch is for the caller to check.
    patch_grid : tuple of int, optional
        ``(H, W)`` of the patch embedding: T = prefix + ⌈H/2^j⌉·⌈W/2^j⌉ with at most 16 tokens in front and the fewest
        mergings j, or h and w about H/2^j and W/2^j (attention's heads beside its tokens are none).
        Without it: a square grid with at most 2 tokens in front, or any h and w.
    """
    grids: Iterable[TokenGrid] = ()
    if len(shape) == 4:
        grids = [TokenGrid(shape[1], shape[2], 0)] if _is_merged((shape[1], shape[2]), patch_grid) else []
    elif len(shape) == 3:
        grids = _square_grids(shape[1]) if patch_grid is None else _merged_grids(shape[1], patch_grid)
    return next((grid for grid in grids if min(grid.height, grid.width) > 1), None)


def _is_merged(sides: tuple[int, int], patch_grid: tuple[int, int] | None) -> bool:
    """Whether two sides are the patch grid's, halved equally often, rounded up or down."""
    if patch_grid is None:
        return True
    return any(
        all(abs(side * 2**merging - whole) < 2**merging for side, whole in zip(sides, patch_grid, strict=True))
        for merging in range(_MOST_MERGINGS + 1)
    )


def _merged_grids(tokens: int, patch_grid: tuple[int, int]) -> Iterator[TokenGrid]:
    for merging in range(_MOST_MERGINGS + 1):
        height, width = (-(-side // 2**merging) for side in patch_grid)  # Swin pads an odd side
        prefix = tokens - height * width
        if 0 <= prefix <= (_MOST_PREFIX_TOKENS if merging == 0 else 0):  # who merges patches has no class token
            yield TokenGrid(height, width, prefix)


def _square_grids(tokens: int) -> Iterator[TokenGrid]:
    for prefix in range(min(tokens, 2) + 1):  # none, a class token, DeiT's distillation token beside it
        side = isqrt(tokens - prefix)
        if side**2 + prefix == tokens:
            yield TokenGrid(side, side, prefix)


def tokens_to_maps(tokens: NDArray[_Scalar], grid: TokenGrid) -> NDArray[_Scalar]:
    """Return tokens as maps, without the tokens in front.

    Parameters
    ----------
    tokens : ndarray of shape (B, T, D) or (B, h, w, D)
    grid : TokenGrid
        Of that shape, from `token_grid`.

    Returns
    -------
    ndarray of shape (B, D, h, w)
        A view where that is possible.
    """
    if tokens.ndim == 3:
        on_grid = tokens[:, grid.prefix :]  # (B, h·w, D)
        tokens = on_grid.reshape(len(tokens), grid.height, grid.width, tokens.shape[-1])
    return np.moveaxis(tokens, -1, 1)  # (B, D, h, w)


class _Flow:
    """What becomes of the image, operator by operator; every set holds names of tensors."""

    def __init__(self, graph: gs.Graph) -> None:
        self.readers: dict[str, list[gs.Node]] = {}
        self.makers = {name: node for node in graph.nodes for name in makes(node)}
        for node in graph.nodes:  # tensor.outputs would list the nodes within an If too
            for name in _inputs(node):
                self.readers.setdefault(name, []).append(node)
        self.computed = {tensor.name for tensor in graph.inputs}
        self.embedded: set[str] = set()  # behind the patch embedding
        self.channels_last: set[str] = set()
        self.sources: dict[str, frozenset[str]] = {}  # the layers that a tensor comes from
        self.residual_sums: set[str] = set()
        self.normalised: set[str] = set()
        self.spreads: set[str] = set()  # standard deviations, and their reciprocals
        for node in graph.nodes:  # an ONNX file is sorted
            self._follow(node)
        for node in graph.nodes:
            if not self.embedded.isdisjoint(makes(node)):
                self._note_normalised(node)

    def _follow(self, node: gs.Node) -> None:
        read = [name for name in reads(node) if name in self.computed]
        if not read or node.op in _MEASURES:
            return
        outputs = makes(node)
        self.computed.update(outputs)
        embeds = node.op in _CONVOLUTIONS | _LINEAR
        if not embeds and self.embedded.isdisjoint(read):
            return
        if self._is_channels_last(node, read):
            self.channels_last.update(outputs)
        self.embedded.update(outputs)
        if self._adds_branches(node):
            self.residual_sums.update(outputs)
        self._note_sources(node, read)

    def _is_channels_last(self, node: gs.Node, read: Sequence[str]) -> bool:
        if node.op in _CONVOLUTIONS:
            return False
        if node.op in _LINEAR and self.embedded.isdisjoint(read):
            return True
        if node.op in _NORMALISATIONS and node.attrs.get("axis", -1) in (-1, 2, 3):
            return True
        inherited = not self.channels_last.isdisjoint(read)
        perm: list[int] = list(node.attrs.get("perm", ())) if node.op == "Transpose" else []
        if len(perm) < 3:
            return inherited
        return perm[1] != len(perm) - 1 if inherited else perm[-1] == 1

    def _adds_branches(self, node: gs.Node) -> bool:
        """Whether a node adds what different layers made; x·cos + rotated(x)·sin and x + x³ are no residual sums."""
        if node.op not in _SUMS | _SKIP_NORMALISATIONS:
            return False
        terms = [self.sources[name] for name in _inputs(node)[:2] if name in self.embedded]
        return len(terms) == 2 and terms[0] != terms[1]

    def _note_sources(self, node: gs.Node, read: Sequence[str]) -> None:
        made_here = node.op in _CONVOLUTIONS | _LINEAR | _POOLS or _is_attention(node) or node.domain == "com.microsoft"
        for name in makes(node):
            if made_here or name in self.residual_sums:
                self.sources[name] = frozenset([name])
            else:
                self.sources[name] = frozenset().union(*(self.sources.get(source, ()) for source in read))

    def _note_normalised(self, node: gs.Node) -> None:
        output = node.outputs[0].name
        if node.op in _NORMALISATIONS or self._transposes_batch_normalised(node):
            self.normalised.add(output)
        elif node.op == "Sqrt" and self._comes_from_mean(_inputs(node)[0]):
            self.spreads.add(output)
        elif node.op in ("Div", "Mul", "Reciprocal", "Cast"):
            read = {name for name in _inputs(node) if name in self.embedded}
            if read and read <= self.spreads:
                self.spreads.add(output)
            elif read & self.spreads:
                self.normalised.add(self._behind_affine(output))

    def _transposes_batch_normalised(self, node: gs.Node) -> bool:
        maker = self._maker(node, "Transpose")
        return maker is not None and self._maker(self._maker(maker, "BatchNormalization"), "Transpose") is not None

    def _maker(self, node: gs.Node | None, op: str) -> gs.Node | None:
        """Return the node that made the first input of a node of that operator."""
        if node is None or node.op != op or not node.inputs:
            return None
        return self.makers.get(node.inputs[0].name)

    def _comes_from_mean(self, name: str) -> bool:
        """Whether a tensor is a mean, or a mean plus ε."""
        while (node := self.makers.get(name)) is not None and node.op in ("Add", "Max", "Clip", "Cast"):
            name = next((source for source in _inputs(node) if source in self.embedded), "")
        return node is not None and node.op == "ReduceMean"

    def _behind_affine(self, name: str) -> str:
        """Return the tensor behind γ and β, from the one before them; each operator once."""
        allowed = {"Cast", "Mul", "Add", "Sub"}
        while len(readers := self._data_readers(name)) == 1 and readers[0].op in allowed:
            node = readers[0]
            if self._ends_branch(node) or (node.op == "Mul" and self.embedded.issuperset(_inputs(node))):
                break
            allowed.remove(node.op)
            name = node.outputs[0].name
        return name

    def _data_readers(self, name: str) -> list[gs.Node]:
        return [node for node in self.readers.get(name, []) if node.op not in _MEASURES]

    def may_hold_tokens(self, name: str) -> bool:
        kept = name in self.residual_sums or name in self.normalised
        return kept and name in self.channels_last and not self._is_within_attention(name)

    def is_read_by_attention(self, name: str) -> bool:
        return any(self._mixes_tokens(node) for node in self._walk(name, through_layers=True))

    def _is_within_attention(self, name: str) -> bool:
        """Whether a tensor reaches attention, and nothing else, without a projection between."""
        reached = list(self._walk(name, through_layers=False))
        return any(self._mixes_tokens(node) and not _projects(node) for node in reached) and not any(
            self._ends_branch(node) or self._is_layer(node) for node in reached
        )

    def _walk(self, name: str, *, through_layers: bool) -> Iterator[gs.Node]:
        """Yield the nodes behind a tensor up to attention and to the next residual sum, which are yielded too."""
        waiting, seen = [name], {name}
        while waiting:
            for node in self._data_readers(waiting.pop()):
                yield node
                ends = self._mixes_tokens(node) or self._ends_branch(node)
                if not ends and (through_layers or not self._is_layer(node)):
                    waiting += [output for output in makes(node) if output not in seen]
                    seen.update(makes(node))

    def _ends_branch(self, node: gs.Node) -> bool:
        return not self.residual_sums.isdisjoint(makes(node))

    def _is_layer(self, node: gs.Node) -> bool:
        return _projects(node) or (node.op in _CONVOLUTIONS | _LINEAR and not self._mixes_tokens(node))

    def _mixes_tokens(self, node: gs.Node) -> bool:
        if node.op in _PRODUCTS:  # MatMulInteger reads zero points behind its two factors
            return all(name in self.embedded for name in _inputs(node)[:2])
        return _is_attention(node)


def _is_attention(node: gs.Node) -> bool:
    return bool(node.op.lower().endswith("attention"))


def _projects(node: gs.Node) -> bool:
    """Whether a node is attention together with the linear layers before it."""
    return node.op in ("QAttention", "PackedAttention") or (node.op == "Attention" and node.domain == "com.microsoft")


def _inputs(node: gs.Node) -> list[str]:
    return [tensor.name for tensor in node.inputs]
