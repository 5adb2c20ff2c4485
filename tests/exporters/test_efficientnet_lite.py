"""The export of EfficientNet-Lite0 from the demo's weights, without torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from click.testing import Result

import onnx_cam
from exporters.efficientnet_lite import export_lite0, main
from onnx_cam.cli.main import main as onnx_cam_main
from onnx_cam.demo import demo_weights
from tests.torch_twins import Lite0

Run = Callable[..., Result]


def test_the_file_is_explained_without_any_option(run: Run, photo: Path) -> None:
    result = run(main, "-o", "lite0.onnx", "--image", photo, "--layer", "_blocks.0._bn2")
    assert result.exit_code == 0, result.output
    explained = run(onnx_cam_main, "explain", "lite0.onnx", photo, "--json")
    assert explained.exit_code == 0, explained.output
    assert explained.stderr == ""  # nothing was guessed
    record = json.loads(explained.stdout)
    assert record["layer"] == "_blocks.0._bn2"
    assert record["target"]["label"] in {"tabby", "tiger cat", "Egyptian cat"}


def test_the_default_layer_is_the_last_one(run: Run) -> None:
    assert run(main, "-o", "lite0.onnx").exit_code == 0
    model = onnx_cam.load("lite0.onnx", device="cpu")
    assert [output.name for output in model.file.proto.graph.output] == ["logits", "_bn1.relu6"]
    assert model.layer().name == "_bn1.relu6"


def test_both_outputs_equal_torchs() -> None:
    twin, layers = Lite0(demo_weights()), []
    twin.head.register_forward_hook(lambda _module, _inputs, output: layers.append(output))
    images = np.random.default_rng(0).standard_normal((2, 3, 224, 224), np.float32)
    scores, maps = export_lite0(demo_weights()).reference(images)
    with torch.no_grad():
        expected = twin(torch.from_numpy(images))
    np.testing.assert_allclose(scores, expected, atol=1e-4 * float(expected.abs().max()))
    np.testing.assert_allclose(maps, layers[0], atol=1e-4 * float(layers[0].abs().max()))


def test_wrong_layers_and_weights_are_refused(run: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(b"no weights")
    for words, expected in ((("--layer", "_bn1.relu"), "'_bn1.relu6'"), (("--weights", wrong), "wrong.pth")):
        result = run(main, "-o", "out.onnx", *words)
        assert result.exit_code == 1
        assert expected in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert not list(Path().iterdir())
