"""The public API is what __init__ lists, and costs nothing to import."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import onnx_cam
from onnx_cam import errors


def test_all_is_sorted_and_importable() -> None:
    assert onnx_cam.__all__ == sorted(
        onnx_cam.__all__, key=lambda name: (name.upper() != name, name[0].islower(), name)
    )
    for name in onnx_cam.__all__:
        assert getattr(onnx_cam, name) is not None
    assert set(onnx_cam.__all__) == set(onnx_cam._HOMES)
    assert set(onnx_cam.__all__) <= set(dir(onnx_cam))
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        _ = onnx_cam.explian


def test_importing_loads_nothing_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import onnx_cam"], capture_output=True, text=True, check=True
    )
    imported = {line.split("|")[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert "onnx_cam" in imported
    assert not imported & {"onnxruntime", "cv2", "rich", "onnx", "numpy", "PIL", "torch"}


def test_the_error_tree_is_the_one_in_its_docstring() -> None:
    classes = {
        name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and cls.__module__ == errors.__name__
    }
    assert errors.__doc__ is not None
    for name, cls in classes.items():
        assert name in errors.__doc__
        assert issubclass(cls, errors.OnnxCamError)


def test_the_contracts_signatures() -> None:
    load = inspect.signature(onnx_cam.load).parameters
    assert list(load) == [
        "path", "device", "labels", "label_offset", "preprocess", "size", "input", "output", "head",
        "constants", "custom_ops", "threads",
    ]  # fmt: skip
    explain = inspect.signature(onnx_cam.explain).parameters
    assert list(explain) == [
        "model", "image", "method", "target", "versus", "layer", "variant", "samples", "sigma", "seed", "score",
        "baseline", "preprocess", "batch_size", "budget", "tolerance", "gradients", "progress",
    ]  # fmt: skip
    assert explain["method"].default == "scorecam"
    assert all(parameter.default is not inspect.Parameter.empty for parameter in list(explain.values())[2:])


def test_public_things_have_docstrings() -> None:
    for name in onnx_cam.__all__:
        thing = getattr(onnx_cam, name)
        if callable(thing):
            assert thing.__doc__, name
