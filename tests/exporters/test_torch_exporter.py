"""The export of torch networks to a file that onnx-cam explains without any option."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import Result
from torch import nn

import onnx_cam
from exporters import check
from exporters.torch_exporter import main
from exporters.torch_network import export_network
from onnx_cam.cli.main import main as onnx_cam_main
from tests.exporters import networks

Run = Callable[..., Result]

FACTORY = "tests.exporters.networks:factory"
SMALL = (FACTORY, "--size", "40x48", "-o", "out.onnx")
RANDOM = ("random input 1×3×40×48", "random input 3×3×40×48")


@pytest.fixture
def network() -> nn.Module:
    """Return the small network with batch statistics other than 0 and 1."""
    torch.manual_seed(1)
    network = networks.factory()
    for _ in range(3):
        network(torch.randn(4, 3, 40, 48))
    return network.eval()


@pytest.fixture
def weights(network: nn.Module, tmp_path: Path) -> Path:
    torch.save(network.state_dict(), tmp_path / "small.pth")
    return tmp_path / "small.pth"


def refused(result: Result, *expected: str, status: int = 1) -> None:
    """Check that the error is one line with the expected words, and that no file was written."""
    assert result.exit_code == status, result.output
    errors = [line for line in result.stderr.splitlines() if "rror: " in line]
    assert len(errors) == 1, result.stderr
    assert all(words in errors[0] for words in expected), errors
    assert "Traceback" not in result.output
    assert [path.name for path in Path().iterdir() if path.suffix != ".txt"] == []


def test_the_file_has_torchs_scores_and_layer(run: Run, network: nn.Module, weights: Path) -> None:
    result = run(main, *SMALL, "--weights", weights, "--layer", "body")
    assert result.exit_code == 0, result.output
    session = onnxruntime.InferenceSession("out.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["scores", "body"]
    images = torch.randn(5, 3, 40, 48)
    scores, maps = session.run(None, {"image": images.numpy()})
    body = network.get_submodule("body")
    with torch.no_grad():
        np.testing.assert_allclose(scores, network(images).numpy(), atol=1e-5)
        np.testing.assert_allclose(maps, body(torch.relu(network.norm(network.stem(images)))).numpy(), atol=1e-5)  # type: ignore[operator]
    assert [path.name for path in Path().iterdir()] == ["out.onnx"]


def test_each_comparison_is_reported(run: Run, weights: Path, picture: Path) -> None:
    result = run(main, *SMALL, "--weights", weights, "--layer", "body", "--image", picture)
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == [*RANDOM, str(picture)]
    assert lines[3].startswith("wrote out.onnx")


def test_random_weights_are_reported_and_reproducible(run: Run) -> None:
    files = []
    for _ in range(2):
        result = run(main, *SMALL, "--layer", "body")
        assert "the weights are random" in result.stderr
        files.append(Path("out.onnx").read_bytes())
    assert files[0] == files[1]


def test_the_file_is_explained_without_any_option(run: Run, weights: Path, picture: Path) -> None:
    Path("names.txt").write_text("ant\nbee\ncat\ndog\neel\n")
    words = ("--weights", weights, "--layer", "stem", "--labels", "names.txt", "--preprocess", "tf", "--dynamic-size")
    assert run(main, *SMALL, *words).exit_code == 0
    result = run(onnx_cam_main, "explain", "out.onnx", picture, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""  # nothing was guessed
    record = json.loads(result.stdout)
    assert record["layer"] == "stem"
    assert record["layer_shape"] == [8, 20, 24]
    assert record["target"]["label"] in {"ant", "bee", "cat", "dog", "eel"}
    assert record["preprocessing"]["name"] == "tf"
    assert record["preprocessing"]["size"] == [40, 48]


def test_the_layer_is_the_default_and_inspect_names_the_source(run: Run, weights: Path) -> None:
    run(main, *SMALL, "--weights", weights, "--layer", "stem")
    model = onnx_cam.load("out.onnx", device="cpu")
    assert [layer.name for layer in model.layers() if layer.is_default] == ["stem"]
    assert model.layer() == model.layers()[0] == model.layer("stem")
    assert len(model.layers()) > 3
    (finding,) = [finding for finding in onnx_cam.inspect(model) if finding.what == "layer"]
    assert finding.source == "the model's metadata, onnx_cam.layer"


def test_a_layer_that_the_next_module_overwrites_is_preserved(run: Run, network: nn.Module, weights: Path) -> None:
    """The convolution before an in-place ReLU has negative outputs; the ReLU's own has none."""
    run(main, *SMALL, "--weights", weights, "--layer", "body.0")
    session = onnxruntime.InferenceSession("out.onnx", providers=["CPUExecutionProvider"])
    (maps,) = session.run(["body.0"], {"image": np.ones((1, 3, 40, 48), np.float32)})
    assert maps.min() < 0


def test_a_module_whose_path_is_a_number_is_exported() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    exported = export_network(network, "1", size=(8, 8))
    assert exported.outputs == ["scores", "1.output"]


def test_of_a_module_called_twice_the_last_call_counts(network: nn.Module) -> None:
    exported = export_network(network, "relu", size=(40, 48))
    scores, maps = exported.reference(np.ones((2, 3, 40, 48), np.float32))
    assert maps.shape == (2, 12, 10, 12)
    assert scores.shape == (2, 5)


@pytest.mark.parametrize(
    ("layer", "output"), [("image", "image.output"), ("same", "same"), ("scores", "scores.output")]
)
def test_modules_may_have_the_names_of_input_and_output(layer: str, output: str, run: Run) -> None:
    words = ("tests.exporters.networks:named_alike", "--layer", layer, "--size", "24x24", "-o", "out.onnx")
    assert run(main, *words).exit_code == 0
    model = onnx_cam.load("out.onnx", device="cpu")
    assert [tensor.name for tensor in model.file.proto.graph.output] == ["scores", output]
    assert (model.head.kind.name, model.input.channels, model.layer().name) == ("softmax", 1, output)


def test_a_file_of_free_size_runs_at_other_sizes(run: Run, network: nn.Module, weights: Path) -> None:
    result = run(main, *SMALL, "--weights", weights, "--layer", "body", "--dynamic-size")
    assert "random input 3×3×72×112" in result.stdout
    session = onnxruntime.InferenceSession("out.onnx", providers=["CPUExecutionProvider"])
    images = torch.randn(2, 3, 64, 33)
    scores, maps = session.run(None, {"image": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(scores, network(images).numpy(), atol=1e-5)
    assert maps.shape == (2, 12, 16, 9)


def test_a_network_of_the_catalogue(run: Run, picture: Path) -> None:
    words = ("--layer", "layer1", "--size", "32x32", "--classes", "7", "--image", picture, "-o", "r.onnx")
    result = run(main, "resnet18", *words)
    assert result.exit_code == 0, result.output
    model = onnx_cam.load("r.onnx", device="cpu")
    assert model.layer().shape == (64, 8, 8)
    assert model.classes == 7
    assert onnx_cam.explain(model, picture).cam.shape == (8, 8)


@pytest.mark.parametrize(("opset", "size"), [(11, "40x48"), (13, "40x48"), (20, "33x64")])
def test_other_opsets_and_sizes(opset: int, size: str, run: Run) -> None:
    assert run(main, FACTORY, "--layer", "body", "-o", "o.onnx", "--opset", opset, "--size", size).exit_code == 0
    assert onnx.load("o.onnx").opset_import[0].version == opset


def test_a_wrong_layer_suggests_close_ones(run: Run) -> None:
    refused(run(main, *SMALL, "--layer", "bodi.1"), "no module 'bodi.1'", "did you mean", "'body.1'")


@pytest.mark.parametrize(
    ("layer", "expected"), [("unused", "is not called"), ("fc", "cannot be explained"), ("", "no module ''")]
)
def test_a_module_that_cannot_be_explained_is_refused(layer: str, expected: str, run: Run) -> None:
    refused(run(main, *SMALL, "--layer", layer), expected)


def test_weights_of_another_network_are_refused(run: Run, tmp_path: Path, weights: Path) -> None:
    refused(run(main, *SMALL, "--layer", "body", "--weights", weights, "--classes", 6), "fc.weight (5, 12)", "(6, 12)")
    content = {name: tensor for name, tensor in torch.load(weights).items() if name != "stem.bias"}
    torch.save(content | {"extra": torch.ones(1)}, weights)
    refused(run(main, *SMALL, "--layer", "body", "--weights", weights), "1 missing (stem.bias)", "1 unexpected (extra)")


def test_damaged_or_missing_weights_are_refused(run: Run, weights: Path) -> None:
    refused(run(main, *SMALL, "--layer", "body", "--weights", "none.pth"), "no weights file 'none.pth'")
    weights.write_bytes(weights.read_bytes()[:-500])
    refused(run(main, *SMALL, "--layer", "body", "--weights", weights), "damaged")


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("tests.exporters.networks:missing", "cannot import"),
        ("no_such_package:factory", "cannot import"),
        ("tests.exporters.networks:broken", "no such thing as this"),
        ("tests.exporters.networks:no_module", "returned an int"),
        ("tests.exporters.networks:program", "failed (SystemExit: 2)"),
    ],
)
def test_a_factory_that_does_not_return_a_network_is_refused(network: str, expected: str, run: Run) -> None:
    refused(run(main, network, "--layer", "body", "-o", "out.onnx"), expected)


def test_a_network_that_onnx_cannot_express_is_refused(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("tests.exporters.networks:of_one_size", "--layer", "body", "--size", "40x40", "-o", "out.onnx")
    refused(run(main, *words, "--dynamic-size"), "torch cannot export", "without --dynamic-size")
    assert capfd.readouterr().out == ""  # by itself torch prints its graph


def test_a_network_that_returns_more_than_scores_is_refused(run: Run) -> None:
    words = ("tests.exporters.networks:two_results", "--layer", "body", "--size", "40x40", "-o", "out.onnx")
    refused(run(main, *words), "expected one tensor (B, classes)")


def test_a_file_that_differs_from_torch_is_not_written(run: Run) -> None:
    words = ("tests.exporters.networks:never_twice_the_same", "--layer", "body", "--size", "40x40", "-o", "out.onnx")
    refused(run(main, *words), "expected at most 0.0001", "nothing is written")


def test_an_existing_file_survives_a_failed_export(run: Run, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(main, *SMALL, "--weights", weights, "--layer", "body").exit_code == 0
    before = Path("out.onnx").read_bytes()
    monkeypatch.setattr(check, "TOLERANCE", -1.0)
    assert run(main, *SMALL, "--weights", weights, "--layer", "stem").exit_code == 1
    assert Path("out.onnx").read_bytes() == before
    assert len(list(Path().iterdir())) == 1


def test_labels_and_images_that_do_not_fit_are_refused(run: Run) -> None:
    refused(run(main, *SMALL, "--layer", "body", "--labels", "imagenet"), "1000 names", "5 classes")
    refused(run(main, *SMALL, "--layer", "body", "--image", "none.jpg"), "none.jpg")
    refused(run(main, *SMALL, "--layer", "body", "--preprocess", "none.json"), "none.json")


def test_a_folder_as_output_is_refused(run: Run, tmp_path: Path) -> None:
    refused(run(main, FACTORY, "--layer", "body", "--size", "40x40", "-o", tmp_path), "is a folder")


@pytest.mark.parametrize(
    "words",
    [
        ("resnet81", "--layer", "layer4", "-o", "o.onnx"),
        ("resnet18", "-o", "o.onnx"),
        ("resnet18", "--layer", "layer4"),
        ("resnet18", "--layer", "layer4", "-o", "o.onnx", "--size", "224"),
        ("resnet18", "--layer", "layer4", "-o", "o.onnx", "--opset", "99"),
        ("resnet18", "--layer", "layer4", "-o", "o.onnx", "--preprocess", "other"),
    ],
)
def test_wrong_usage_exits_with_status_2(words: tuple[str, ...], run: Run) -> None:
    refused(run(main, *words), status=2)


def test_without_torch_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("exporters.torch_network", "models.checkpoint"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    refused(run(main, *SMALL, "--layer", "body"), "pip install 'onnx-cam[torch]'")
