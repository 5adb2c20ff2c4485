"""Checkpoints that fit are loaded, and only tensors are accepted."""

from __future__ import annotations

import pickle
import re
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.checkpoint import load_weights
from onnx_cam.errors import ModelError


def network() -> nn.Module:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4)))


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    module = network()
    module(torch.randn(2, 3, 8, 8))
    return dict(module.state_dict())


def saved(content: Any, path: Path, **settings: Any) -> Path:
    torch.save(content, path / "weights.pth", **settings)
    return path / "weights.pth"


def refused(path: Path, *expected: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_weights(network(), path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(re.search(words, message) for words in expected), message


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {name: tensor for name, tensor in state.items() if "num_batches" not in name},
    ],
    ids=["bare", "wrapped", "parallel", "both", "old"],
)
def test_a_checkpoint_is_loaded_however_it_was_saved(
    wrap: Any, zipped: bool, state: dict[str, Tensor], tmp_path: Path
) -> None:
    loaded = network()
    load_weights(loaded, saved(wrap(state), tmp_path, _use_new_zipfile_serialization=zipped))
    actual = loaded.state_dict()
    assert all(torch.equal(actual[name], tensor) for name, tensor in state.items() if "num_batches" not in name)


def test_tensors_that_do_not_fit_are_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    del state["conv.bias"]
    state |= {"norm.weight": torch.ones(5), "fc.weight": torch.ones(2), "fc.bias": torch.ones(2)}
    refused(
        saved(state, tmp_path),
        r"1 missing \(conv\.bias\)",
        r"2 unexpected \(fc\.weight, fc\.bias\)",
        r"1 of another shape \(norm\.weight \(5,\), expected \(4,\)\)",
    )


def test_only_the_first_of_many_names_are_listed(tmp_path: Path) -> None:
    refused(saved({}, tmp_path), r"6 missing \(conv\.weight, conv\.bias, norm\.weight, …\)")


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this must not be printed",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_could_run_code_is_refused(
    zipped: bool, state: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {**state, "conv.weight": Exploit()}
    refused(saved(content, tmp_path, _use_new_zipfile_serialization=zipped), "more than tensors", "print")
    refused(saved(network(), tmp_path), "more than tensors", "Sequential")
    assert capsys.readouterr().out == ""


def test_values_other_than_tensors_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    refused(saved({**state, "epoch": 3}, tmp_path), "'epoch' is of type int")
    refused(saved([torch.ones(1)], tmp_path), "a single list")
    refused(saved(torch.ones(1), tmp_path), "a single Tensor")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_checkpoint_that_is_cut_off_is_refused(
    share: float, zipped: bool, state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = saved(state, tmp_path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "damaged")  # torch may read a truncated name of its own as a forbidden one, hence "or are damaged"


def test_a_plain_pickle_is_refused_in_one_line(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(state))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        refused(path, "damaged or not a torch checkpoint")
    assert not caught


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello, these are no weights")
    refused(tmp_path / "text.pth", "damaged or not a torch checkpoint")
    refused(tmp_path / "none.pth", "no weights file")
    refused(tmp_path, "no weights file")
