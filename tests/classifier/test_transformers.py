"""Transformers, exported by torch, through `layers` and `explain`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import onnx_cam
from onnx_cam.cli.main import main
from tests import tiny
from tests.graph.test_tokens import SIDE, exported
from tests.oracle import Array, Case, Network, scorecam_paper

MODELS = {"class token": 1, "class token and registers": 5, "mean pooling": 0, "swin": 0}
X = np.kron(np.random.default_rng(3).standard_normal((3, 4, 4)), np.ones((8, 8))).astype(np.float32)


class TokenNetwork(Network):
    """Reads the tapped tokens as a 4×4 grid behind the tokens in front."""

    prefix = 0

    def activations(self, x: Array) -> Array:
        tokens = self.session.run([self.layer], {self.input: x[None].astype(np.float32)})[0][0]
        flat = tokens.reshape(-1, tokens.shape[-1])[self.prefix :]
        return np.asarray(flat.T.reshape(-1, 4, 4), np.float64)


@pytest.fixture(params=sorted(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_map_is_that_of_the_slow_reference(name: str, tmp_path: Path) -> None:
    proto = exported(name, 17).proto
    model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    layer = model.layer()
    assert (layer.layout, layer.prefix, layer.shape[1:]) == ("tokens", MODELS[name], (4, 4))
    network = TokenNetwork(proto, layer.name, model.head.logits)
    network.prefix = MODELS[name]
    compared = 0
    for target in range(model.classes):
        reference = scorecam_paper(Case(network, X.astype(np.float64), target))
        found = onnx_cam.explain(model, X, target=target)
        assert found.empty == (not reference.any())
        if reference.any():
            assert np.abs(found.cam - reference).max() < 1e-4 * reference.max()
            compared += 1
    assert compared


def test_layers_offers_tokens_beside_the_convolution(name: str, tmp_path: Path) -> None:
    path = tiny.save(exported(name, 17).proto, tmp_path)
    result = CliRunner().invoke(main, ["layers", str(path), "--json"])
    assert result.exit_code == 0, result.output
    layers = [json.loads(line) for line in result.stdout.splitlines()]
    assert layers[0]["is_default"]
    assert layers[0]["layout"] == "tokens"
    assert {layer["op_type"] for layer in layers if layer["layout"] == "NCHW"} >= {"Conv"}


def test_an_image_is_explained_by_the_command(name: str, tmp_path: Path) -> None:
    from PIL import Image

    path = tiny.save(exported(name, 17).proto, tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(tmp_path / "a.png")
    words = ["explain", str(path), str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--json", "--quiet"]
    result = CliRunner().invoke(main, [*words, "--preprocess", "imagenet", "--method", "sscam2", "--samples", "2"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["layer_shape"][1:] == [4, 4]
