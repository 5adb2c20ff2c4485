"""Which tensors of a vision transformer hold tokens, which is the default, and where the tokens lie."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime as ort
import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from onnx_cam.graph.tap import tap
from onnx_cam.graph.token_grid import TokenGrid, token_grid, tokens_to_maps
from onnx_cam.graph.tokens import TokenCandidate, choose_default, find_patch_embedding, find_token_candidates
from tests import tiny
from tests.places import SHARED

DIM, HEADS, SIDE = 16, 2, 32
REAL = SHARED / "panel" / "vit_cifar10_ibp_3_3_8.onnx"
NORMAL = np.random.default_rng(0).standard_normal

pytestmark = pytest.mark.filterwarnings("ignore:You are using the legacy:DeprecationWarning")


class Attention(nn.Module):
    """With `inner_norms`: normalised queries and keys, and a rotary embedding, none of which holds tokens."""

    def __init__(self, inner_norms: bool) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.norms = nn.ModuleList(nn.LayerNorm(DIM // HEADS) for _ in "qk") if inner_norms else None

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        if self.norms is not None:
            q, k = (rotate(norm(x)) for norm, x in zip(self.norms, (q, k), strict=True))
        mixed = (q @ k.transpose(-2, -1)).softmax(-1) @ v  # (B, heads, T, d)
        return cast(Tensor, self.proj(mixed.transpose(1, 2).reshape(b, t, DIM)))


def rotate(x: Tensor) -> Tensor:
    angle = torch.arange(x.shape[-2])[:, None] / 10
    first, second = x.chunk(2, -1)
    return x * angle.cos() + torch.cat([-second, first], -1) * angle.sin()


class Block(nn.Module):
    def __init__(self, window: int | None = None, inner_norms: bool = False) -> None:
        super().__init__()
        self.norm1, self.norm2, self.attn = nn.LayerNorm(DIM), nn.LayerNorm(DIM), Attention(inner_norms)
        self.mlp = nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.GELU("tanh"), nn.Linear(2 * DIM, DIM))
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.norm1(x))
        return cast(Tensor, x + self.mlp(self.norm2(x)))

    def _attend(self, x: Tensor) -> Tensor:
        if self.window is None:
            return cast(Tensor, self.attn(x))
        b, h, w, d = x.shape
        n = self.window
        x = x.reshape(b, h // n, n, w // n, n, d).permute(0, 1, 3, 2, 4, 5)
        x = self.attn(x.reshape(-1, n * n, d)).reshape(b, h // n, w // n, n, n, d)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, d)


class ResidualPostNormBlock(Block):
    """As in Swin V2."""

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.norm1(self.attn(x))
        return cast(Tensor, x + self.norm2(self.mlp(x)))


class Vit(nn.Module):
    """Two blocks on 4×4 patches; a mean over the tokens where there is no prefix token."""

    def __init__(self, prefix: int, linear: bool = False, inner_norms: bool = False, post: bool = False) -> None:
        super().__init__()
        self.embed = nn.Linear(3 * 8 * 8, DIM) if linear else nn.Conv2d(3, DIM, 8, 8)
        self.prefix = prefix
        self.prefix_tokens = nn.Parameter(torch.randn(1, prefix, DIM))
        self.positions = nn.Parameter(torch.randn(1, prefix + 16, DIM))
        block = ResidualPostNormBlock if post else Block
        self.blocks = nn.Sequential(block(inner_norms=inner_norms), block(inner_norms=inner_norms))
        self.norm, self.head = nn.LayerNorm(DIM), nn.Linear(DIM, 5)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.embed, nn.Linear):
            x = self.embed(x.reshape(-1, 3, 4, 8, 4, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, 16, 3 * 8 * 8))
        else:
            x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.prefix_tokens.expand(x.shape[0], -1, -1), x], 1) + self.positions
        x = self.norm(self.blocks(x))
        return cast(Tensor, self.head(x[:, 0] if self.prefix else x.mean(1)))


class Swin(nn.Module):
    """Tokens (B, h, w, D): 8×8 patches, merged to 4×4, in windows of 2×2."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.embed_norm = nn.Conv2d(3, DIM, 4, 4), nn.LayerNorm(DIM)
        self.merge_norm, self.merge = nn.LayerNorm(4 * DIM), nn.Linear(4 * DIM, DIM, bias=False)
        self.blocks = nn.Sequential(Block(window=2), Block(window=2))
        self.norm, self.head = nn.LayerNorm(DIM), nn.Linear(DIM, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[0](self.embed_norm(self.embed(x).permute(0, 2, 3, 1)))
        x = torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
        x = self.blocks[1](self.merge(self.merge_norm(x)))
        return cast(Tensor, self.head(self.norm(x).mean((1, 2))))


MODULES: dict[str, Callable[[], nn.Module]] = {
    "class token": functools.partial(Vit, 1),
    "class token and registers": functools.partial(Vit, 5),
    "mean pooling": functools.partial(Vit, 0),
    "linear patch embedding": functools.partial(Vit, 0, linear=True),
    "rotary embedding": functools.partial(Vit, 1, inner_norms=True),
    "swin": Swin,
    "residual post-norm": functools.partial(Vit, 0, post=True),
}
PRE_NORM = [name for name in MODULES if name != "residual post-norm"]
ON_ONE_GRID = [name for name in MODULES if name != "swin"]
GRIDS = {"class token": (4, 4, 1), "class token and registers": (4, 4, 5), "rotary embedding": (4, 4, 1)}
NORMS = [f"blocks.{i}.{name}" for i in range(2) for name in ("norm1", "norm2")]

each_model = pytest.mark.parametrize("opset", [13, 17])  # 13 writes a LayerNormalization out in nine operators


@dataclass(frozen=True)
class Exported:
    module: nn.Module
    proto: onnx.ModelProto
    candidates: list[TokenCandidate]
    patch_embedding: str | None

    def run(self, image: np.ndarray, name: str) -> np.ndarray:
        session = ort.InferenceSession(tap(self.proto, [name]).SerializeToString(), providers=["CPUExecutionProvider"])
        return np.asarray(session.run([name], {session.get_inputs()[0].name: image})[0])

    def patch_grid(self) -> tuple[int, int] | None:
        if self.patch_embedding is None:
            return None
        return cast(tuple[int, int], self.run(images(), self.patch_embedding).shape[2:])

    def default(self) -> TokenCandidate:
        default = choose_default(self.candidates)
        assert default is not None
        return default


@functools.cache
def exported(architecture: str, opset: int) -> Exported:
    torch.manual_seed(0)
    module = MODULES[architecture]().eval()
    for parameter in module.parameters():  # a norm whose γ is 1 and β is 0 could be told from nothing
        parameter.data += torch.randn_like(parameter) / 10
    file: Any = io.BytesIO()
    names: dict[str, Any] = {"input_names": ["image"], "dynamic_axes": {"image": {0: "n"}}}
    example = (torch.zeros(2, 3, SIDE, SIDE),)
    torch.onnx.export(module, example, file, dynamo=False, opset_version=opset, **names)
    proto = onnx.load_from_string(file.getvalue())
    graph = gs.import_onnx(proto)
    candidates = find_token_candidates(graph, graph.outputs[0].name)
    return Exported(module, proto, candidates, find_patch_embedding(graph, candidates))


def images() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, 3, SIDE, SIDE), np.float32)


def norm_outputs(module: nn.Module, image: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each LayerNorm of a torch module makes of images, by the module's name."""
    outputs: dict[str, np.ndarray] = {}
    for name, part in module.named_modules():
        if isinstance(part, nn.LayerNorm):
            part.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output.numpy()}))
    with torch.no_grad():
        module(torch.from_numpy(image))
    return outputs


def matching(tensor: np.ndarray, outputs: dict[str, np.ndarray]) -> list[str]:
    alike = {name: output for name, output in outputs.items() if output.shape == tensor.shape}
    return [name for name, output in alike.items() if np.allclose(output, tensor, atol=1e-4)]


@each_model
@pytest.mark.parametrize("architecture", PRE_NORM)
def test_the_default_is_what_the_last_attention_reads(architecture: str, opset: int) -> None:
    model = exported(architecture, opset)
    tensor = model.run(images(), model.default().name)
    assert matching(tensor, norm_outputs(model.module, images())) == ["blocks.1.norm1"]


@each_model
@pytest.mark.parametrize("architecture", PRE_NORM)
def test_the_tokens_on_the_grid_become_maps(architecture: str, opset: int) -> None:
    model = exported(architecture, opset)
    tensor = model.run(images(), model.default().name)
    grid = token_grid(tensor.shape, model.patch_grid())
    assert grid == TokenGrid(*GRIDS.get(architecture, (4, 4, 0)))
    norm = torch.from_numpy(norm_outputs(model.module, images())["blocks.1.norm1"])
    patches = norm.flatten(1, -2)[:, -16:]
    expected = torch.stack([patches[:, row * 4 : row * 4 + 4] for row in range(4)], 1).permute(0, 3, 1, 2)
    np.testing.assert_allclose(tokens_to_maps(tensor, grid), expected.numpy(), atol=1e-4)


@each_model
@pytest.mark.parametrize("architecture", [name for name in PRE_NORM if name != "swin"])
def test_a_changed_patch_changes_the_map_at_its_own_place(architecture: str, opset: int) -> None:
    model = exported(architecture, opset)
    changed = images()
    changed[:, :, 8:16, 16:24] += 1  # row 1, column 2
    tensors = [model.run(image, model.candidates[0].name) for image in (images(), changed)]
    grid = token_grid(tensors[0].shape, model.patch_grid())
    assert grid is not None
    before, after = (tokens_to_maps(tensor, grid) for tensor in tensors)
    moved = (abs(after - before) > 1e-4).any(axis=(0, 1))
    assert np.argwhere(moved).tolist() == [[1, 2]]


@each_model
@pytest.mark.parametrize("architecture", ON_ONE_GRID)
def test_candidates_are_only_the_sums_and_norms_of_the_blocks(architecture: str, opset: int) -> None:
    """They do not include attention's inner norms, the rotary embedding x·cos + x'·sin, or tanh's x + x³."""
    model = exported(architecture, opset)
    outputs = norm_outputs(model.module, images())
    named = [next(iter(matching(model.run(images(), c.name), outputs)), "sum") for c in model.candidates]
    assert named == [name for norm in NORMS for name in (norm, "sum")] + ["norm"]
    assert [c.normalised for c in model.candidates] == [True, False] * 4 + [True]


@each_model
def test_attention_reads_up_to_the_next_residual_sum(opset: int) -> None:
    """A norm after the branch is read by the next block through a sum only."""
    before, after = (exported(name, opset).candidates for name in ("class token", "residual post-norm"))
    assert [i for i, c in enumerate(before) if c.read_by_attention] == [0, 3, 4]  # norm1, the sum before norm1, norm1
    assert [i for i, c in enumerate(after) if c.read_by_attention] == [3]
    assert choose_default(after) == after[-1]


@each_model
def test_swin_offers_the_tokens_of_both_stages(opset: int) -> None:
    model = exported("swin", opset)
    grids = [token_grid(model.run(images(), c.name).shape, model.patch_grid()) for c in model.candidates]
    assert grids == [TokenGrid(8, 8, 0)] * 5 + [TokenGrid(4, 4, 0)] * 6


def test_an_old_file_without_names_and_with_its_weights_as_inputs_has_the_same_candidates() -> None:
    model = exported("class token", 13)
    old = tap(model.proto, [])
    for made in old.graph.node:
        made.ClearField("name")
    old.graph.input.extend(tiny.value_info(w.name, list(w.dims), w.data_type) for w in old.graph.initializer)
    candidates = find_token_candidates(gs.import_onnx(old), old.graph.output[0].name)
    assert candidates == [replace(candidate, node="") for candidate in model.candidates]


def node(line: str, **attributes: Any) -> onnx.NodeProto:
    """Return a node from a line ``domain::Operator inputs -> outputs``; ``_`` is an output that is left out."""
    operator, *names = line.split()
    domain, _, op = operator.rpartition("::")
    arrow = names.index("->")
    outputs = [name.strip("_") for name in names[arrow + 1 :]]
    return helper.make_node(op, names[:arrow], outputs, domain=domain, **attributes)


def candidates_of(*parts: str | onnx.NodeProto) -> list[TokenCandidate]:
    """Return the candidates of a graph on patches, of nodes and of lines; w is a matrix, and so are γ, β and ε."""
    weights: dict[str, Any] = {name: NORMAL((4, 4), np.float32) for name in "wγβε"}
    weights |= {"kernel": NORMAL((4, 3, 8, 8), np.float32), "flat": np.array([0, 4, -1])}
    embed = [
        node("Conv image kernel -> patches", strides=[8, 8]),
        node("Reshape patches flat -> columns"),
        node("Transpose columns -> x", perm=[0, 2, 1]),
    ]
    tail = [n for part in parts for n in (map(node, part.split(";")) if isinstance(part, str) else [part])]
    outputs = [tiny.value_info("logits", None)]
    proto = tiny.build([*embed, *tail], weights, image=["n", 3, SIDE, SIDE], outputs=outputs)
    return find_token_candidates(gs.import_onnx(proto), "logits")


def test_the_fused_operators_of_onnx_runtime_are_understood() -> None:
    candidates = candidates_of(
        "LayerNormalization x γ β -> norm1",
        "com.microsoft::Attention norm1 w β -> attended",
        "com.microsoft::SkipLayerNormalization x attended γ -> norm2 _ _ sum",
        "MatMul norm2 w -> mlp",
        "com.microsoft::SkipLayerNormalization sum mlp γ -> norm",
        "MatMul norm w -> logits",
    )
    assert [c.name for c in candidates] == ["norm1", "norm2", "sum", "norm"]
    assert [c.normalised for c in candidates] == [True, True, False, True]
    assert [c.read_by_attention for c in candidates] == [True, False, False, False]


def test_a_norm_as_tensorflow_writes_it_ends_in_its_sum() -> None:
    """y = x·s + (β - μ·s), s = γ/√(σ² + ε): a sum of two computed tensors that is not a residual sum."""
    candidates = candidates_of(
        "ReduceMean x -> μ; Sub x μ -> centred; Mul centred centred -> squared; ReduceMean squared -> σ²",
        "Add σ² ε -> σ²+ε; Sqrt σ²+ε -> σ; Reciprocal σ -> 1/σ",
        node("Constant -> constant", value_floats=[0.5] * 4),
        "Mul 1/σ constant -> s; Mul x s -> x·s; Mul μ s -> μ·s; Sub β μ·s -> shift; Add x·s shift -> y",
        "MatMul y w -> logits",
    )
    assert [(c.name, c.normalised) for c in candidates] == [("y", True)]


@pytest.mark.parametrize("tail", ["Add x n -> sum", "Mul n β -> scaled; Add x scaled -> sum"])
def test_a_norm_ends_before_the_residual_sum_and_the_layer_scale(tail: str) -> None:
    """A root mean square norm: y·γ/√(mean(y²) + ε), without the β that would end it."""
    candidates = candidates_of(
        "MatMul x w -> y; Mul y y -> y²; ReduceMean y² -> σ²; Add σ² ε -> σ²+ε; Sqrt σ²+ε -> σ; Div y σ -> y/σ",
        f"Mul y/σ γ -> n; {tail}; MatMul sum w -> logits",
    )
    assert [(c.name, c.normalised) for c in candidates] == [("n", True), ("sum", False)]


def test_tokens_are_found_through_an_if() -> None:
    branches = {
        f"{name}_branch": helper.make_graph([node(f"Identity sum -> {name}")], name, [], [tiny.value_info(name, None)])
        for name in ("then", "else")
    }
    candidates = candidates_of("MatMul x w -> y; Add x y -> sum", node("If w -> z", **branches), "MatMul z w -> logits")
    assert [c.name for c in candidates] == ["sum"]


def test_residual_sums_of_convolutions_hold_no_tokens() -> None:
    candidates = candidates_of(
        "Conv patches kernel -> y; Add patches y -> sum",
        "GlobalAveragePool sum -> pooled; Flatten pooled -> flattened; MatMul flattened w -> logits",
    )
    assert candidates == []


@pytest.mark.parametrize(
    ("shape", "patches", "expected"),
    [
        ((1, 196, 8), (14, 14), (14, 14, 0)),
        ((1, 201, 8), (14, 14), (14, 14, 5)),
        ((1, 21, 8), (2, 10), (2, 10, 1)),  # no square
        ((1, 212, 8), (14, 14), (14, 14, 16)),
        ((1, 213, 8), (14, 14), None),
        ((1, 196, 8), (56, 56), (14, 14, 0)),  # Swin's third stage
        ((1, 16, 8), (7, 7), (4, 4, 0)),  # an odd side is padded before it is merged
        ((1, 197, 8), None, (14, 14, 1)),
        ((1, 198, 8), None, (14, 14, 2)),
        ((1, 199, 8), None, None),
        ((1, 7, 9, 8), (56, 72), (7, 9, 0)),
        ((1, 8, 49, 8), (56, 56), None),  # eight heads
        ((1, 1, 9, 8), None, None),
        ((1, 2, 8), None, None),  # 1×1 and a class token
        ((1, 8), (14, 14), None),
    ],
)
def test_the_grid_of_a_shape(
    shape: tuple[int, ...], patches: tuple[int, int] | None, expected: tuple[int, int, int] | None
) -> None:
    assert token_grid(shape, patches) == (TokenGrid(*expected) if expected else None)


def test_the_default_falls_back_on_the_last_norm_and_on_the_last_sum() -> None:
    def candidate(name: str, normalised: bool, read: bool) -> TokenCandidate:
        return TokenCandidate(name, "Add", "", normalised, read)

    read, norm, total = candidate("a", True, True), candidate("b", True, False), candidate("c", False, True)
    assert choose_default([read, norm, total]) == read
    assert choose_default([norm, total]) == norm
    assert choose_default([total]) == total
    assert choose_default([]) is None


@pytest.mark.skipif(not REAL.is_file(), reason="no ../shared/panel: the models are not part of the project")
def test_a_deployed_transformer_with_batch_norms() -> None:
    graph = gs.import_onnx(onnx.load(REAL))
    candidates = find_token_candidates(graph, "output")
    default = choose_default(candidates)
    assert default is not None
    assert default.name == "/1/1.2/1.2.0/fn/fn.0/Transpose_1_output_0"
    assert find_patch_embedding(graph, candidates) == "/0/projection/Conv_output_0"
