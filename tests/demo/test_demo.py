"""The demo's weights are read without torch, and nothing but tensors is read."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import onnx_cam
from onnx_cam.demo import demo_model, demo_weights
from onnx_cam.demo.torch_pickle import read_checkpoint
from onnx_cam.errors import ModelError


def saved(content: object, path: Path) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def test_the_weights_are_those_that_torch_reads() -> None:
    ours = read_checkpoint(demo_weights())
    theirs = torch.load(demo_weights(), map_location="cpu", weights_only=True)
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor.numpy())


def test_views_and_types_are_rebuilt(tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    content = {"turned": base.T, "part": base[1:3, ::2], "long": torch.tensor(7), "half": base.half()[0]}
    tensors = read_checkpoint(saved(content, tmp_path / "a.pth"))
    for name, tensor in content.items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy())


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this must not be printed",))


def test_anything_but_a_tensor_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match="print is not allowed"):
        read_checkpoint(saved({"w": Exploit()}, tmp_path / "a.pth"))
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(ModelError, match="print is not allowed"):
        read_checkpoint(tmp_path / "b.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_checkpoint_that_is_cut_off_is_refused(share: float, tmp_path: Path) -> None:
    path = saved({"w": torch.ones(100)}, tmp_path / "a.pth")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"cannot read '.*a.pth' as a legacy torch checkpoint"):
        read_checkpoint(path)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    content = saved({"w": torch.ones(100)}, tmp_path / "a.pth").read_bytes()
    # BININT1 100, TUPLE1: the shape, written after the storage of 100 values
    grown = content.replace(b"Kd\x85", b"K\xff\x85", 1)
    assert grown != content
    (tmp_path / "a.pth").write_bytes(grown)
    with pytest.raises(ModelError, match="beyond its storage"):
        read_checkpoint(tmp_path / "a.pth")


def test_the_converted_model_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = demo_model()
    written = first.stat().st_mtime_ns
    assert demo_model() == first
    assert first.stat().st_mtime_ns == written


def test_the_photo_is_seen_as_a_cat(lite0: onnx_cam.Classifier, photo: Path) -> None:
    result = onnx_cam.explain(lite0, photo, layer="_conv_stem")
    assert result.target.label in {"tabby", "tiger cat", "Egyptian cat"}
    assert lite0.notes == ()  # the file says all: labels, preprocessing, size
