"""Load a model again with the settings that it was loaded with, in this process or in another."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx_cam._version import __version__
from onnx_cam.errors import ModelError
from onnx_cam.graph.read import ModelFile, ModelSource

if TYPE_CHECKING:
    from onnx_cam.classifier.classifier import Classifier

__all__ = ["Reload", "as_absolute"]


@dataclass(frozen=True)
class Reload:
    """How a classifier is loaded again: what is pickled in its place.

    Attributes
    ----------
    load : callable
        :func:`onnx_cam.load`.
    source : path, bytes or onnx.ModelProto
        The model; a path is absolute.
    sha256 : str
        The hash of the model: a file that has changed is not the model that was pickled.
    settings : mapping of str to object
        The settings of `load`.
    version : str
        The version of onnx-cam that this was made by.
    """

    load: Callable[..., Classifier]
    source: ModelSource
    sha256: str
    settings: Mapping[str, object]
    version: str = __version__

    @classmethod
    def of(
        cls, load: Callable[..., Classifier], source: ModelSource, file: ModelFile, settings: Mapping[str, object]
    ) -> Reload:
        """Return how a model is loaded again.

        Parameters
        ----------
        load : callable
        source : path, bytes or onnx.ModelProto
            As the user gave it.
        file : ModelFile
            As it was read.
        settings : mapping of str to object
        """
        if file.path is not None:
            return cls(load, os.path.abspath(file.path), file.sha256, settings)
        is_bytes = isinstance(source, bytes | bytearray | memoryview)
        return cls(load, bytes(source) if is_bytes else file.proto, file.sha256, settings)  # type: ignore[arg-type]

    def __call__(self) -> Classifier:
        """Load the model again.

        Raises
        ------
        ModelError
            It was pickled by another version, or the file has changed.
        """
        if self.version != __version__:
            raise ModelError(
                f"this classifier was pickled by onnx-cam {self.version}, and this is {__version__}; "
                "load the model with onnx_cam.load, and pickle that"
            )
        model = self.load(self.source, **self.settings)
        if isinstance(self.source, str) and model.file.sha256 != self.sha256:
            raise ModelError(
                f"'{self.source}' has changed since the classifier was pickled; load it with onnx_cam.load, and "
                "pickle that"
            )
        return model


def as_absolute(value: object) -> object:
    """Return the absolute path of a setting that names a file; anything else as it is.

    Examples
    --------
    >>> os.path.isabs(as_absolute("labels.txt")), as_absolute("imagenet")
    (True, 'imagenet')
    """
    if isinstance(value, str | os.PathLike) and os.path.exists(value):
        return os.path.abspath(value)
    return value
