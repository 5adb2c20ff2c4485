"""How a map was made: by which model and method, of which image, and at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.image.geometry import Geometry

__all__ = ["AppliedMethod", "Cost", "ExplainedImage", "ExplainedModel", "Provenance"]


@dataclass(frozen=True)
class ExplainedModel:
    """The model, as it was used.

    Attributes
    ----------
    path : str or None
        The file, as the user named it; None for a model in memory.
    sha256 : str
        The hash of the file's bytes.
    constants : mapping
        The values that the inputs beside the image were given, as plain JSON values.
    custom_ops : tuple of str
        The libraries of custom operators.
    layer : str
        The explained layer's output tensor.
    layer_shape : tuple of int
        ``(K, h, w)``: channels, height, width.
    preprocessing : mapping
        How the image became the network's input, as plain JSON values.
    provider : str
        The execution provider that really ran it.
    versions : mapping of str to str
        The packages that the map depends on.
    """

    path: str | None
    sha256: str
    constants: Mapping[str, Any]
    custom_ops: tuple[str, ...]
    layer: str
    layer_shape: tuple[int, int, int]
    preprocessing: Mapping[str, Any]
    provider: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class ExplainedImage:
    """The image, as it was given.

    Attributes
    ----------
    name : str or None
        Its path, or the name of a file object; None for bytes, an array or a PIL image.
    sha256 : str
        The hash of the file's bytes, or of the array's.
    stem : str
        What result files are named after.
    pixels : ndarray of shape (H, W, 3), uint8, RGB
        What an overlay is drawn on.
    geometry : Geometry
        Where the network's input lies in the image.
    """

    name: str | None
    sha256: str
    stem: str
    pixels: NDArray[np.uint8]
    geometry: Geometry


@dataclass(frozen=True)
class AppliedMethod:
    """The method with its settings.

    Attributes
    ----------
    name : str
        The name on the command line.
    variant : str
        Its named variant.
    parameters : mapping
        Every other setting, as plain JSON values.
    seed : int
        The seed of the noise.
    """

    name: str
    variant: str
    parameters: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class Cost:
    """What the map took; with several targets, what all of them took together.

    Attributes
    ----------
    passes : int
        Forward passes really run, those of the tapped layer and of the baseline included.
    passes_skipped : int
        Forward passes that could not change the map, and so were not run.
    exact_passes : int or None
        The inputs that an exact map takes, where a budget or a tolerance was given.
    seconds : float
        Wall time of the call after the image was read.
    batch_size : int
        Inputs a run.
    cpu_fallback_nodes : int or None
        Nodes that the provider left to the CPU; None where ONNX Runtime does not tell.
    """

    passes: int
    passes_skipped: int
    exact_passes: int | None
    seconds: float
    batch_size: int
    cpu_fallback_nodes: int | None


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Provenance:
    """How a map was made, in four parts; their fields can be read from here.

    Attributes
    ----------
    explained_model : ExplainedModel
        The model, as it was used.
    explained_image : ExplainedImage
        The image, as it was given.
    applied_method : AppliedMethod
        The method with its settings.
    cost : Cost
        What the map took.
    """

    explained_model: ExplainedModel
    explained_image: ExplainedImage
    applied_method: AppliedMethod
    cost: Cost

    @property
    def method(self) -> str:
        """The method's name on the command line."""
        return self.applied_method.name

    @property
    def variant(self) -> str:
        """The method's named variant."""
        return self.applied_method.variant

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every other setting of the method."""
        return self.applied_method.parameters

    @property
    def seed(self) -> int:
        """The seed of the noise."""
        return self.applied_method.seed

    @property
    def model(self) -> str | None:
        """The model's file, as the user named it; None for a model in memory."""
        return self.explained_model.path

    @property
    def model_sha256(self) -> str:
        """The hash of the model's file."""
        return self.explained_model.sha256

    @property
    def constants(self) -> Mapping[str, Any]:
        """The values that the inputs beside the image were given, as plain JSON values."""
        return self.explained_model.constants

    @property
    def custom_ops(self) -> tuple[str, ...]:
        """The libraries of custom operators."""
        return self.explained_model.custom_ops

    @property
    def layer(self) -> str:
        """The explained layer's output tensor."""
        return self.explained_model.layer

    @property
    def layer_shape(self) -> tuple[int, int, int]:
        """``(K, h, w)`` of the layer: channels, height, width."""
        return self.explained_model.layer_shape

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """How the image became the network's input, as plain JSON values."""
        return self.explained_model.preprocessing

    @property
    def provider(self) -> str:
        """The execution provider that really ran the model."""
        return self.explained_model.provider

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of the packages that the map depends on."""
        return self.explained_model.versions

    @property
    def image(self) -> str | None:
        """The image's path, as the user named it; None for an array."""
        return self.explained_image.name

    @property
    def image_sha256(self) -> str:
        """The hash of the image's file, or of the array."""
        return self.explained_image.sha256

    @property
    def stem(self) -> str:
        """What result files are named after."""
        return self.explained_image.stem

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The image that an overlay is drawn on, (H, W, 3) uint8 RGB."""
        return self.explained_image.pixels

    @property
    def geometry(self) -> Geometry:
        """Where the network's input lies in the image."""
        return self.explained_image.geometry

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """``(x0, y0, x1, y1)`` in pixels: the part of the image that the network sees."""
        return self.geometry.crop

    @property
    def passes(self) -> int:
        """Forward passes really run, those of the tapped layer and of the baseline included; see `Cost`."""
        return self.cost.passes

    @property
    def passes_skipped(self) -> int:
        """Forward passes that could not change the map, and so were not run."""
        return self.cost.passes_skipped

    @property
    def exact_passes(self) -> int | None:
        """The inputs that an exact map takes, where a budget or a tolerance was given."""
        return self.cost.exact_passes

    @property
    def seconds(self) -> float:
        """Wall time of the call after the image was read."""
        return self.cost.seconds

    @property
    def batch_size(self) -> int:
        """Inputs a run."""
        return self.cost.batch_size

    @property
    def cpu_fallback_nodes(self) -> int | None:
        """Nodes that the provider left to the CPU; None where ONNX Runtime does not tell."""
        return self.cost.cpu_fallback_nodes
