"""The list of formats, and the one that a configuration is of."""

from __future__ import annotations

from dataclasses import replace

from onnx_cam.errors import PreprocessingError, one_line
from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.custom_vision import CustomVision
from onnx_cam.image.configurations.hugging_face import HuggingFace, HuggingFaceModel
from onnx_cam.image.configurations.lobe import Lobe
from onnx_cam.image.configurations.mmdeploy import MMDeploy, MMDeployDetails
from onnx_cam.image.configurations.own import Own
from onnx_cam.image.configurations.paddle import Paddle
from onnx_cam.image.configurations.teachable_machine import TeachableMachine
from onnx_cam.image.configurations.timm import Timm
from onnx_cam.image.configurations.ultralytics import Ultralytics
from onnx_cam.image.configurations.values import Config, checked, listed
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["FORMATS", "file_names", "find_format", "from_config"]

FORMATS: tuple[ConfigurationFormat, ...] = (
    HuggingFace(),
    Timm(),
    MMDeploy(),
    Paddle(),
    TeachableMachine(),
    Lobe(),
    CustomVision(),
    Ultralytics(),
    HuggingFaceModel(),
    MMDeployDetails(),
    Own(),
)
"""Every format; the first that recognises a configuration reads it."""


def file_names() -> tuple[str, ...]:
    """Return the names of the files beside a model that may hold a configuration, the likeliest first.

    Examples
    --------
    >>> file_names()[:3]
    ('{stem}.json', 'preprocessor_config.json', 'processor_config.json')
    """
    names = [name for form in (Own(), *FORMATS) for name in form.files]
    return tuple(dict.fromkeys(names))


def find_format(config: Config) -> ConfigurationFormat | None:
    """Return the format of a configuration; None for one that no format recognises.

    Examples
    --------
    >>> type(find_format({"author": "Ultralytics", "task": "classify"})).__name__
    'Ultralytics'
    """
    return next((form for form in FORMATS if form.recognises(config)), None)


def from_config(config: object, source: str, fixed: FixedSize = (None, None)) -> Preprocessing:
    """Return the preprocessing that a configuration describes.

    Parameters
    ----------
    config : dict
        A configuration of one of the `FORMATS`.
    source : str
        Where it was found, for messages.
    fixed : tuple
        ``(H, W)`` of the network's input, as far as the model fixes it.

    Raises
    ------
    PreprocessingError
        It does not describe a preprocessing, or it describes one that is not supported.

    Examples
    --------
    >>> from_config({"mean": [0.5], "std": [0.5], "scale": 1 / 255}, "my.json").mean
    (0.5, 0.5, 0.5)
    """
    form = find_format(config) if isinstance(config, dict) else None
    if not isinstance(config, dict) or form is None:
        keys = f" (its keys: {listed(map(str, config))})" if isinstance(config, dict) and config else ""
        raise PreprocessingError(f"{source} describes no preprocessing in a known format{keys}")
    try:
        preprocessing = form.read(config, fixed)
        notes = tuple(f"{source}: {note}" for note in preprocessing.notes)
        return checked(replace(preprocessing, source=source, notes=notes))
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else one_line(error, 120)
        raise PreprocessingError(
            f"{source} does not describe a usable preprocessing ({reason}); "
            "fix it, or name a preset: --preprocess imagenet"
        ) from error
