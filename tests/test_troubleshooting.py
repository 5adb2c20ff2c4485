"""A newcomer's mistakes, made for real: what is printed is what the troubleshooting page quotes and answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from onnx_cam.cli.main import main
from onnx_cam.methods import SSCAM2
from onnx_cam.methods.gradient import no_gradient
from tests import tiny
from tests.places import ROOT
from tests.runtime.test_devices import CONFLICT, without

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(pages_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(pages_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def messages(*words: str) -> str:
    """Return what a command prints to standard error, one line."""
    lines = CliRunner().invoke(main, words).stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_no_runtime_is_installed(folder: Path) -> None:
    run = without(["onnxruntime"], "explain", "model.onnx", "cat.jpg")
    assert run.returncode == 1
    assert run.stderr.strip() in PAGE


def test_both_runtimes_are_installed() -> None:
    """`tests/runtime/test_devices.py` has the command print it."""
    assert f"onnx-cam: {CONFLICT}: uninstall all of them, then install one\n" in PAGE


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "model.onnx", "cat.jpg", "--layer", "relu99"),
        ("explain", "model.onnx", "cat.jpg", "--layer", "logits"),
        ("explain", "missing.onnx", "cat.jpg"),
        ("explain", "model.onnx", "missing.jpg"),
        ("explain", "model.onnx", "cat.jpg", "--method", "cam"),  # the preprocessing is a guess
    ],
    ids=" ".join,
)
def test_a_mistake_is_answered(words: tuple[str, ...], folder: Path) -> None:
    assert f"{messages(*words)}\n" in PAGE


def test_a_device_that_this_build_does_not_have(folder: Path) -> None:
    message = messages("explain", "model.onnx", "cat.jpg", "--device", "cuda")
    if "AzureExecutionProvider, CPUExecutionProvider" not in message:
        pytest.skip(f"another build of ONNX Runtime: {message}")
    assert message in PAGE


def test_a_model_that_is_not_a_classifier(folder: Path) -> None:
    dense = tiny.build(
        tiny.body(),
        tiny.weights(),
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("relu2", ["batch", tiny.CHANNELS, 5, 5])],
    )
    tiny.save(dense, folder, "dense.onnx")
    message = messages("explain", "dense.onnx", "cat.jpg")
    expected, given = message.removeprefix("onnx-cam: error: dense.onnx").split("got '")
    assert expected in PAGE
    assert given == "relu2' (batch, 6, 5, 5)"


def test_the_causes_of_an_empty_map_are_quoted() -> None:
    assert f"the map is empty: {SSCAM2.empty_because}\n" in PAGE
    quantized = (ROOT / "docs" / "quantized.md").read_text(encoding="utf-8")
    assert f"the map is empty: {no_gradient('gradcam')}\n" in quantized


def test_the_table_of_presets_is_what_the_gallerys_photo_gives() -> None:
    """With the right preprocessing the cup is an espresso, and with two others a loudspeaker."""
    import skimage

    import onnx_cam
    from onnx_cam.demo import demo_model

    photo = Path(skimage.__file__).parent / "data" / "coffee.png"
    for preset in onnx_cam.PRESETS:
        model = onnx_cam.load(demo_model(), device="cpu", preprocess=preset)
        target = onnx_cam.explain(model, photo, method="cam").target
        row = next(line for line in PAGE.splitlines() if line.strip().startswith(f"| `{preset}`"))
        assert f"{target.label}, {target.score:.3f} |" in row
