"""Load a torch checkpoint that holds only tensors into a module."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onnx_cam.errors import ModelError, one_line, one_line_text

__all__ = ["load_weights"]

_PREFIX = "module."  # DataParallel saves every name with it
_WRAPPER = "state_dict"
_COUNTER = "num_batches_tracked"  # not in checkpoints from before torch 0.4.1, and not used by a forward pass
_REFUSED = r"GLOBAL (\S+)"  # in torch's message, the function or class that the pickle asks for
_REASON_MARK = "WeightsUnpickler error: "  # in torch's message, what comes between advice and the reason
_MAX_NAMES = 3  # in an error message


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Load a checkpoint into a module. It must hold exactly the module's parameters and buffers, in their shapes.

    Nothing but tensors is unpickled, so a malicious file cannot run code.

    Parameters
    ----------
    module : nn.Module
        The module, which is changed in place.
    path : str or Path
        A file that ``torch.save`` wrote: a state dict, either bare or under the key ``state_dict``. If every name
        starts with ``module.``, that prefix is removed.

    Raises
    ------
    ModelError
        The file is missing, damaged, or holds something other than tensors; or the tensors do not fit the module.

    Examples
    --------
    >>> saved, loaded = nn.Linear(2, 3), nn.Linear(2, 3)
    >>> torch.save({"state_dict": saved.state_dict(), "epoch": 7}, "linear.pth")
    >>> load_weights(loaded, "linear.pth")
    >>> torch.equal(saved.weight, loaded.weight)
    True
    >>> load_weights(nn.Linear(2, 4), "linear.pth")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.ModelError: the weights 'linear.pth' do not fit Linear: 2 of another shape (weight (3, 2), expected
    (4, 2), bias (3,), expected (4,)); expected the weights of exactly this network, with the same number of classes
    """
    path = Path(path)
    tensors = _without_prefix(_tensors(_read(path), path))
    _check_fit(module, tensors, path)
    try:
        module.load_state_dict(tensors, strict=False)  # the fit was checked above, except for the counters
    except RuntimeError as error:
        raise ModelError(f"the weights '{path}' cannot be copied: {one_line(error, 120)}; save them again") from error


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"no weights file '{path}'; expected the path of a torch checkpoint (.pth, .pt)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of a plain pickle, which is refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(_REFUSED, str(error))
        if refused is None:
            raise _damaged(path, error) from error
        raise ModelError(
            f"the weights '{path}' hold more than tensors ({refused[1]}), which could run code, or are damaged; save "
            "only the state_dict: torch.save(model.state_dict(), …)"
        ) from error
    except Exception as error:  # a damaged file can raise anything
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ModelError:
    reason = one_line_text(str(error).rsplit(_REASON_MARK, 1)[-1])[:80] or type(error).__name__
    return ModelError(f"the weights '{path}' are damaged or not a torch checkpoint ({reason}); copy the file again")


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and isinstance(content.get(_WRAPPER), Mapping):
        content = content[_WRAPPER]
    if not isinstance(content, Mapping):
        raise ModelError(
            f"the weights '{path}' hold a single {type(content).__name__}; expected a state_dict of named tensors"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelError(
                f"the weights '{path}' hold more than tensors: {name!r} is of type {type(value).__name__}; "
                "expected a state_dict"
            )
    return dict(content)


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if not tensors or not all(name.startswith(_PREFIX) for name in tensors):
        return tensors
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


def _check_fit(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    expected = module.state_dict()
    missing = [name for name in expected if name not in tensors and not name.endswith(_COUNTER)]
    unexpected = [name for name in tensors if name not in expected]
    reshaped = [
        f"{name} {tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    misfits = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    problems = [f"{len(names)} {misfit} ({_some(names)})" for misfit, names in misfits.items() if names]
    if problems:
        raise ModelError(
            f"the weights '{path}' do not fit {type(module).__name__}: {'; '.join(problems)}; "
            "expected the weights of exactly this network, with the same number of classes"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
