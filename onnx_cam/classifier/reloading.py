"""Load a model again with the settings that it was loaded with, in this process or in another."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import onnx

from onnx_cam._version import __version__
from onnx_cam.errors import ModelError
from onnx_cam.graph.external_data import hash_external_data
from onnx_cam.graph.read import ModelFile, ModelSource

__all__ = ["Reload", "as_absolute"]


class HasFile(Protocol):
    """What is loaded from a model."""

    @property
    def file(self) -> ModelFile:
        """The model, as it was read."""
        ...


Loaded = TypeVar("Loaded", bound=HasFile)


@dataclass(frozen=True)
class Reload(Generic[Loaded]):
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
    weights_sha256 : str
        The hash of the weights in files beside the model; empty without any, or before it is pickled.
    version : str
        The version of onnx-cam that this was made by.
    """

    load: Callable[..., Loaded]
    source: ModelSource
    sha256: str
    settings: Mapping[str, object]
    weights_sha256: str = ""
    version: str = __version__

    @classmethod
    def of(
        cls, load: Callable[..., Loaded], source: ModelSource, file: ModelFile, settings: Mapping[str, object]
    ) -> Reload[Loaded]:
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

    def with_weights(self, file: ModelFile) -> Reload[Loaded]:
        """Return the same with the weights of a protobuf, and the hash of those in files, which takes reading them."""
        source = self.source
        if file.detached is not None and isinstance(source, onnx.ModelProto):
            source = file.detached.attached(source)
        return replace(self, source=source, weights_sha256=hash_external_data(file.proto, file.folder))

    def __call__(self) -> Loaded:
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
        weights = hash_external_data(model.file.proto, model.file.folder)
        if isinstance(self.source, str) and (model.file.sha256, weights) != (self.sha256, self.weights_sha256):
            raise ModelError(
                f"'{self.source}' has changed since the classifier was pickled; load it with onnx_cam.load, and "
                "pickle that"
            )
        return model


def as_absolute(value: object, names: Collection[str]) -> object:
    """Return the absolute path of a setting that is one; a name that stands for no file, and anything else, as it is.

    Examples
    --------
    >>> os.path.isabs(as_absolute("labels.txt", ["imagenet"])), as_absolute("imagenet", ["imagenet"])
    (True, 'imagenet')
    """
    if isinstance(value, os.PathLike) or (isinstance(value, str) and value not in names):
        return os.path.abspath(os.fspath(value))
    return value
