"""A network of many operators, exported from torch, whose own autograd is the reference."""

from __future__ import annotations

import io
import warnings
from typing import cast

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from onnx_cam.gradients import GraphModule, layer_gradients


class Many(nn.Module):
    """The building blocks of classifiers, once each: gates, groups, ceil_mode, resizing, shuffling, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16)
        self.group_norm = nn.GroupNorm(4, 16)
        self.dilated = nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=4)
        self.up, self.instance_norm, self.prelu = nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.InstanceNorm2d(8), nn.PReLU(8)
        self.layer_norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(self.norm(self.stem(x)))
        x = x * torch.sigmoid(x.mean((2, 3), keepdim=True))
        x = self.group_norm(x) + functional.hardswish(self.dilated(x))
        x = functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False)
        x = functional.pad(x, (1, 2, 0, 1), mode="reflect")
        x = functional.mish(self.prelu(self.instance_norm(self.up(x))))
        x = functional.interpolate(x, size=(9, 7), mode="bilinear")
        x = functional.max_pool2d(functional.interpolate(x, scale_factor=2), 3, 2, ceil_mode=True)
        x = functional.interpolate(x, size=(8, 8), mode="bicubic")
        x = torch.roll(functional.pixel_shuffle(functional.pixel_unshuffle(x, 2), 2), 2, 2).flip(3)
        first, second = x.chunk(2, 1)
        tokens = self.layer_norm(torch.cat([second, functional.softplus(first)], 1).flatten(2).transpose(1, 2))
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        alike = torch.einsum("bij,bkj->bik", tokens, tokens)[:, :, :8]
        tokens = functional.normalize(tokens, dim=-1) + alike.softmax(-1)
        return cast(Tensor, self.linear(tokens.amax(1) + tokens.std(1)))


@pytest.mark.parametrize("opset", [17, 20])
def test_scores_and_gradients_of_an_export_are_those_of_torch(opset: int) -> None:
    torch.manual_seed(0)
    network, exported = Many().eval(), io.BytesIO()
    axes = {"image": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 20, 20),),
            exported,  # type: ignore[arg-type]
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=opset,
            dynamo=False,
        )
    module = GraphModule(onnx.load_from_string(exported.getvalue()), name="many.onnx")
    images = torch.randn(2, 3, 20, 20, requires_grad=True)
    scores = network(images)
    torch.testing.assert_close(module(images, ["logits"])[0], scores, rtol=0, atol=1e-5)
    (expected,) = torch.autograd.grad(scores[0, 2], images)
    _, gradients = layer_gradients(module, images[:1].detach().numpy(), "image", "logits", [2])
    np.testing.assert_allclose(gradients[0], expected[:1].numpy(), atol=1e-4 * float(expected.abs().max()))
