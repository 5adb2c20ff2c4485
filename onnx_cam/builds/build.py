"""A build at work: what it predicts for an image, and where it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam._version import __version__
from onnx_cam.builds.distances import map_distance
from onnx_cam.builds.noise_floor import add_noise
from onnx_cam.builds.views import BuildView, PlacedMap
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import SettingError
from onnx_cam.evaluation.steady_batch import steady_batch_size
from onnx_cam.explanation.explaining import explain
from onnx_cam.explanation.versions import package_versions
from onnx_cam.graph.external_data import hash_external_data
from onnx_cam.graph.layer import Layer
from onnx_cam.image.picture import Picture
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.image.sources import ImageLike
from onnx_cam.methods import Method

__all__ = ["Build", "MapSettings"]

Doubles = NDArray[np.float64]

_RGBA = 4  # channels: such an input needs the alpha that a picture's pixels lack


@dataclass(frozen=True)
class MapSettings:
    """How maps are made.

    Attributes
    ----------
    method : Method
    seed : int
        Of the method's noise, of the noise floor and of the draw of images.

    Examples
    --------
    >>> from onnx_cam import GradCAM
    >>> MapSettings(GradCAM(), seed=0).describe()
    {'method': 'gradcam', 'variant': 'paper', 'seed': 0}
    """

    method: Method
    seed: int

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return {"method": self.method.name, "variant": self.method.variant, **self.method.parameters, "seed": self.seed}


@dataclass(frozen=True)
class Build:
    """One of the two builds, with the preprocessing and the layer that it is compared by.

    Attributes
    ----------
    classifier : Classifier
    preprocessing : Preprocessing or None
        None where the images are the network's inputs themselves.
    layer : Layer

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> build = Build(model, model.preprocessing, model.layer())
    >>> build.likeliest(build.open("cat.jpg"), range(4))
    (1, ...)
    """

    classifier: Classifier
    preprocessing: Preprocessing | None
    layer: Layer

    def prepare(self, settings: MapSettings) -> None:
        """Prepare the gradient, so that the first run of an image fetches what it needs.

        Raises
        ------
        SettingError
            The model's numbers are not probabilities.
        OnnxCamError
            The method does not work on this model.
        """
        if not self.classifier.head.kind.gives_probabilities:
            raise SettingError(
                f"{self.classifier.name} gives numbers that are not probabilities (head {self.classifier.head.kind}), "
                "which a comparison needs; say with --head what the numbers are"
            )
        if settings.method.needs_gradient:
            self.classifier.gradients.choose(self.layer)

    def open(self, image: ImageLike, decoded: Picture | None = None) -> Picture:
        """Return an image with this build's network input; one that is decoded already is not decoded again."""
        channels, size = self.classifier.input.channels, self.classifier.size
        if decoded is None or self.preprocessing is None or channels == _RGBA:
            return self.classifier.open_picture(image, self.preprocessing)
        network_input, geometry = self.preprocessing.apply(decoded.pixels, size, channels)
        return replace(decoded, network_input=network_input, geometry=geometry)

    def probabilities(self, picture: Picture) -> Doubles:
        """Return the probability of each class, (classes,) float64, by a run that a map of the same image shares."""
        with self.classifier.in_use:
            return self.classifier.sessions.activations(self.layer, picture.network_input).probabilities

    def likeliest(self, picture: Picture, among: Sequence[int]) -> tuple[int, Doubles]:
        """Return the position of the likeliest of some classes, and the probability of every class."""
        probabilities = self.probabilities(picture)
        positions = np.asarray(among)
        return int(positions[np.argmax(probabilities[positions])]), probabilities

    def map(self, picture: Picture, target: int, settings: MapSettings) -> PlacedMap:
        """Return the map of a class."""
        result = explain(
            self.classifier,
            picture,
            method=settings.method,
            target=target,
            layer=self.layer,
            seed=settings.seed,
            preprocess=self.preprocessing or "none",
            batch_size=steady_batch_size(self.classifier),
        )
        return PlacedMap(result.cam, result.geometry)

    def floor(self, picture: Picture, target: int, clean: PlacedMap, settings: MapSettings) -> float:
        """Return the distance of a map to that of the same network input with noise."""
        noisy = add_noise(picture.network_input, self.preprocessing, seed=settings.seed, sha256=picture.sha256)
        return map_distance(clean, self.map(replace(picture, network_input=noisy), target, settings))

    def look(self, picture: Picture, among: Sequence[int], settings: MapSettings | None) -> BuildView:
        """Return what the build says about an image by itself: its likeliest class, and with settings also the map."""
        predicted, probabilities = self.likeliest(picture, among)
        seen = BuildView(predicted, float(probabilities[predicted]))
        if settings is None:
            return seen
        placed = self.map(picture, predicted, settings)
        return replace(seen, map=placed, floor=self.floor(picture, predicted, placed, settings))

    def look_for(self, picture: Picture, target: int, among: Sequence[int], settings: MapSettings | None) -> BuildView:
        """Return what the build says about an image and a class: its probability, and with settings also the map."""
        predicted, probabilities = self.likeliest(picture, among)
        placed = self.map(picture, target, settings) if settings else None
        return BuildView(predicted, float(probabilities[target]), placed)

    @cached_property
    def weights_sha256(self) -> str | None:
        """The hash of the files that hold the weights, where the model does not store them itself."""
        return hash_external_data(self.classifier.file.proto, self.classifier.file.folder) or None

    def describe(self) -> dict[str, Any]:
        """Return what the build is and how it is run, as plain JSON values."""
        model = self.classifier
        described = self.preprocessing.describe() if self.preprocessing else {"name": "none"}
        described.pop("source", None)  # where it was found may name a folder
        return {
            "name": model.name,
            "sha256": model.file.sha256,
            "weights_sha256": self.weights_sha256,
            "input": model.input.name,
            "output": model.head.output,
            "head": model.head.kind.name,
            "classes": model.classes,
            "constants": model.facts.prepared.describe_constants(),
            "layer": self.layer.name,
            "layer_shape": list(self.layer.shape),
            "preprocessing": {**described, "size": list(model.size)},
            "provider": model.provider,
            "onnx_cam": __version__,
            "onnxruntime": package_versions()["onnxruntime"],
        }
