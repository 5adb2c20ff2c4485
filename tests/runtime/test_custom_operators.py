"""Operators from a shared library: the model runs with it, and a line names the option without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.errors import ModelError
from tests import tiny

_DOMAIN = "ai.onnx.contrib"


def model() -> onnx.ModelProto:
    """Return the tiny network with an operator of onnxruntime-extensions as its first Relu."""
    nodes = tiny.body()
    nodes[1] = helper.make_node("NegPos", ["conv1"], ["negative", "relu1"], domain=_DOMAIN)
    made = tiny.build(nodes, tiny.weights(), image=["N", 3, 20, 20], outputs=[tiny.value_info("logits", ["N", 4])])
    made.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return made


@pytest.fixture(scope="module")
def library() -> str:
    extensions = pytest.importorskip("onnxruntime_extensions")
    return str(extensions.get_library_path())


def test_without_its_library_the_line_names_the_option() -> None:
    with pytest.raises(ModelError, match=r"domain 'ai\.onnx\.contrib' come from a library .*--custom-ops LIBRARY"):
        onnx_cam.load(model(), device="cpu")


def test_with_its_library_the_map_is_that_of_the_plain_network(library: str) -> None:
    loaded = onnx_cam.load(model(), device="cpu", preprocess="none", custom_ops=library)
    plain = onnx_cam.load(tiny.model(), device="cpu", preprocess="none")
    for method in ("scorecam", "iscam", "cam"):
        result = onnx_cam.explain(loaded, tiny.image(), method=method)
        np.testing.assert_allclose(result.map, onnx_cam.explain(plain, tiny.image(), method=method).map, atol=1e-6)
        assert result.record()["custom_ops"] == [library]


def test_the_command_takes_libraries(library: str, tmp_path: Path) -> None:
    path = tiny.save(model(), tmp_path)
    result = CliRunner().invoke(main, ["layers", str(path), "--custom-ops", library])
    assert result.exit_code == 0
    assert "relu2" in result.stdout


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no operator library 'missing\.so'; expected the path of a shared library"):
        onnx_cam.load(model(), custom_ops="missing.so")
    text = tmp_path / "text.so"
    text.write_text("not a library")
    for libraries in (text, [text], (str(text),)):
        with pytest.raises(ModelError, match="cannot load the operator library"):
            onnx_cam.load(model(), device="cpu", custom_ops=libraries)
