"""A loaded model: what is known about it, and the sessions that run it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.facts import ModelFacts
from onnx_cam.classifier.geometries import settle_geometries
from onnx_cam.classifier.geometry_cache import read_geometry, write_geometry
from onnx_cam.classifier.guesses import resolve_preprocessing
from onnx_cam.classifier.keeping import OneAtATime
from onnx_cam.classifier.labels import Labels
from onnx_cam.classifier.layer_shapes import choose_by_geometry, rank_by_shape
from onnx_cam.classifier.model_gradients import ModelGradients
from onnx_cam.classifier.probe import find_geometry
from onnx_cam.classifier.reloading import Reload
from onnx_cam.classifier.run_cache import entry_name
from onnx_cam.classifier.sessions import ModelSessions
from onnx_cam.classifier.trial_images import trial_images
from onnx_cam.errors import LayerError, SettingError
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.find_layers import name_layer, prefer
from onnx_cam.graph.head import Head
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.layer import METADATA_KEY as LAYER_KEY
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.layer_geometry import LayerGeometry
from onnx_cam.graph.linear_head import LinearHead, find_linear_head
from onnx_cam.graph.read import ModelFile
from onnx_cam.image.picture import Picture, open_picture
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.runtime.session import BatchShapeError

if TYPE_CHECKING:
    from onnx_cam.image.picture import ImageLike

__all__ = ["Classifier"]

Floats = NDArray[np.float32]


class Classifier:
    """A loaded model, as :func:`onnx_cam.load` returns it; its sessions serve every call that follows.

    Threads may share one: it explains one image at a time, and the others wait. Sessions cannot be pickled or copied,
    so a classifier that is unpickled or copied is loaded again, in the process where that happens.

    Parameters
    ----------
    facts : ModelFacts
        What is known about the model.
    sessions : ModelSessions
        What runs it.
    reload : Reload
        Loads the model again with the same settings; it can be pickled.

    Attributes
    ----------
    facts : ModelFacts
        What is known about the model.
    sessions : ModelSessions
        What runs it.
    gradients : ModelGradients
        The gradients of its logits at its layers.
    in_use : OneAtATime
        A context that is held while an image is explained.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> model.classes, model.size
    (4, (20, 20))
    >>> [layer.name for layer in model.layers()]
    ['relu2', 'conv2', 'relu1', 'conv1']
    """

    def __init__(self, facts: ModelFacts, sessions: ModelSessions, reload: Reload[Classifier]) -> None:
        self.facts = facts
        self.sessions = sessions
        self._reload = reload
        self.gradients = ModelGradients(facts, sessions)
        self.in_use = OneAtATime(facts.file.name)
        self._probed: dict[str, LayerGeometry | None] = {}  # by layer: what a run found
        self._images_each: dict[str, int] = {}  # by layer: how many images the graph makes of one before it

    @property
    def file(self) -> ModelFile:
        """The model file: path, hash, protobuf."""
        return self.facts.file

    @property
    def name(self) -> str:
        """The file's name."""
        return self.facts.file.name

    @property
    def input(self) -> ImageInput:
        """The input that takes the image."""
        return self.facts.input

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)`` of the network's input."""
        return self.facts.size

    @property
    def head(self) -> Head:
        """The output that holds the scores."""
        return self.facts.head

    @property
    def classes(self) -> int:
        """How many classes the model scores."""
        return self.facts.classes

    @property
    def labels(self) -> Labels:
        """The names of the classes."""
        return self.facts.labels

    @property
    def preprocessing(self) -> Preprocessing | None:
        """From an image to the input; None where the user hands over the input itself."""
        return self.facts.preprocessing

    @property
    def fixed_batch(self) -> int | None:
        """The only batch size that the model runs at; None where any size works."""
        return self.facts.batch.fixed

    @property
    def notes(self) -> tuple[str, ...]:
        """What was guessed, or done otherwise than requested, a line each."""
        return self.facts.notes

    @property
    def provider(self) -> str:
        """The execution provider that really runs the model."""
        return self.sessions.provider

    @property
    def cpu_fallback_nodes(self) -> int | None:
        """Nodes that the provider left to the CPU; None where ONNX Runtime does not tell."""
        return self.sessions.cpu_fallback_nodes

    def network_input(
        self, image: ImageLike, preprocess: str | os.PathLike[str] | Preprocessing | None = None
    ) -> Floats:
        """Return what the model is given for an image, for checking the preprocessing against one's own.

        Parameters
        ----------
        image : path, bytes, file object, ndarray or PIL image
            As for :func:`onnx_cam.explain`.
        preprocess : str, path or Preprocessing, optional
            In place of the model's own.

        Returns
        -------
        ndarray of shape (C, H, W), float32
            X, before it is laid out and rounded as the input's layout and type demand.

        Raises
        ------
        ImageError, PreprocessingError
            The image or the preprocessing cannot be read, or does not fit the model.

        Examples
        --------
        >>> import onnx_cam
        >>> onnx_cam.load("model.onnx").network_input("cat.jpg").shape
        (3, 20, 20)
        """
        return self.open_picture(image, self.preprocessing_for(preprocess)).network_input

    def open_picture(self, image: ImageLike, preprocessing: Preprocessing | None) -> Picture:
        """Return an image with the network input that a preprocessing makes of it, for this model's input."""
        form = self.facts.prepared.form
        return open_picture(
            image,
            preprocessing,
            self.input.channels,
            self.size,
            layout=self.input.layout,
            is_flat=form is not None and bool(form.parts),
        )

    def preprocessing_for(self, preprocess: str | os.PathLike[str] | Preprocessing | None) -> Preprocessing | None:
        """Return the preprocessing that a user names for one image; the model's own where nothing is named.

        Raises
        ------
        PreprocessingError
            The name is unknown, or a file describes none that can be used.
        """
        if preprocess is None:
            return self.preprocessing
        return resolve_preprocessing(preprocess, self.file, self.input, self.facts.built_in)

    def with_labels(self, labels: Labels) -> Classifier:
        """Return the same model, on the same sessions, with other names for its classes."""
        return Classifier(replace(self.facts, labels=labels), self.sessions, self._reload)

    def derived(
        self, facts: ModelFacts, sessions: ModelSessions, make: Callable[[Classifier], Classifier], *, same_layers: bool
    ) -> Classifier:
        """Return a model that was made from this one.

        Parameters
        ----------
        facts : ModelFacts
            What is known about it.
        sessions : ModelSessions
            What runs it.
        make : callable
            Makes it again from this one, where it is unpickled; it can be pickled.
        same_layers : bool
            Whether its layers, and where their cells lie, are those of this one.
        """
        reload = replace(self._reload, load=partial(_loaded_and_made, self._reload.load, make))
        made = Classifier(facts, sessions, reload)
        if same_layers:
            made.__dict__["_layers"] = self._layers
            made._probed, made._images_each = self._probed, self._images_each
        return made

    def __reduce__(self) -> tuple[Callable[..., Classifier], tuple[object, ...]]:
        return _loaded_again, (self._reload.with_weights(self.file), self.labels)

    def layers(self) -> list[Layer]:
        """Return the layers that can be explained: the default first, then from the scores backwards.

        The default is the one nearest to the scores, unless the metadata names another (``onnx_cam.layer``).

        Examples
        --------
        >>> import onnx_cam
        >>> onnx_cam.load("model.onnx").layers()[0].shape
        (6, 5, 5)
        """
        return list(self._layers)

    def layer(self, name: str | Layer | None = None) -> Layer:
        """Return a layer by the name of its output tensor or node; the default without a name.

        Raises
        ------
        LayerError
            There is none of that name, or none at all; or the graph makes several images of one before the layer.

        Examples
        --------
        >>> import onnx_cam
        >>> onnx_cam.load("model.onnx").layer("relu1").shape
        (6, 10, 10)
        """
        layer = self._default_layer if name is None else self._named_layer(name)
        if layer.name in self._images_each:
            raise self._several_images(layer)
        return layer

    def _named_layer(self, name: str | Layer) -> Layer:
        tensor = name.name if isinstance(name, Layer) else name
        return self._probe(name_layer(self._layers, self.facts.graph, tensor, self.name))

    @property
    def _default_layer(self) -> Layer:
        if not self._layers:
            raise LayerError(
                f"{self.name} has no layer to explain: no convolution's output keeps a height and width above 1, and "
                "there are no tokens on a grid; every method here weighs the maps of such a layer, so none can work"
            )
        return self._layers[0]

    @cached_property
    def _layers(self) -> list[Layer]:
        graph, proto, image = self.facts.graph, self.facts.proto, partial(self.trial_images, 1)
        open_session = partial(self.sessions.open, optimise=False)
        # Find the spatial layers. The default is the one nearest to the scores, unless the metadata names another.
        batch = self.fixed_batch or 1
        ranked = rank_by_shape(
            graph,
            proto,
            self.head.output,
            batch=batch,
            image=image,
            open_session=open_session,
            key=None
            if self.facts.run_key is None
            else entry_name(self.facts.run_key, self.head.output, self.facts.batch),
        )
        ranked = prefer(ranked, self.file.metadata.get(LAYER_KEY))
        # Find where their cells lie in the input: a default whose cells cannot be placed is passed over.
        placed = settle_geometries(
            ranked,
            graph,
            proto=proto,
            constants=Constants(self.facts.prepared.file),
            image_input=self.input,
            size=self.size,
            image=image,
            open_session=open_session,
        )
        return choose_by_geometry(placed, graph, self._probe)

    def _probe(self, layer: Layer) -> Layer:
        """Return a layer with the geometry that a run finds, once a file and layer; where one is settled, as it is."""
        if layer.geometry.is_settled or not layer.geometry.a_run_can_tell:
            return layer
        if layer.name not in self._probed:
            self._probed[layer.name] = self._find_geometry(layer)
        geometry = self._probed[layer.name]
        if geometry is None:
            return layer
        channels, height, width = layer.shape
        shape = (channels, width, height) if geometry.transposed else layer.shape
        return replace(layer, geometry=geometry, shape=shape)

    def _find_geometry(self, layer: Layer) -> LayerGeometry | None:
        """Return the geometry that a run finds, or found once for this file; None where none fits."""
        # The digest is that of the file: weights in other files and libraries of operators are not in it.
        is_kept = not self.file.external and not self.sessions.opener.libraries
        geometry = read_geometry(self.facts.prepared.digest, layer.name, self.size) if is_kept else None
        if geometry is not None:
            return geometry
        try:
            geometry = find_geometry(partial(self.sessions.layer_maps, layer), self.trial_images(2), self.input.dtype)
        except BatchShapeError as error:
            self._images_each[layer.name] = error.images_each
        if geometry is not None and is_kept:
            write_geometry(self.facts.prepared.digest, layer.name, self.size, geometry)
        return geometry

    def _several_images(self, layer: Layer) -> LayerError:
        """Return the error about a layer that holds several images for each one, with a layer before the split."""
        earlier = next((one.name for one in self._layers if one.geometry.is_settled), None)
        advice = f"choose a layer before that, e.g. --layer {earlier}" if earlier else "no layer comes before that"
        return LayerError(
            f"the graph of {self.name} makes several images of one (tiles, crops, flips): layer {layer.name!r} holds "
            f"{self._images_each[layer.name] or 'several'} images for each one, and no map of the whole image; {advice}"
        )

    def trial_images(self, count: int) -> Floats:
        """Return the same synthetic images each time, (count, C, H, W) float32, for trial runs."""
        return trial_images(self.input, self.size, count, self.preprocessing)

    def linear_head(self, layer: Layer) -> Floats | None:
        """Return ``w_k^c`` (classes, K) where one linear layer follows the layer's global average, otherwise None."""
        found = self.linear_layer(layer)
        return None if found is None else found.weights

    def linear_layer(self, layer: Layer) -> LinearHead | None:
        """Return the linear layer that follows the layer's global average, with how the file stores its weights."""
        return find_linear_head(self.facts.prepared.file, self.facts.graph, layer, self.head.logits)

    def check_logits(self) -> None:
        """Refuse to score logits where the graph has none.

        Raises
        ------
        SettingError
        """
        if not self.head.logits and self.head.parts:
            raise SettingError(
                f"output {self.head.output!r} of {self.name} joins several heads, whose logits no single tensor holds; "
                f"name one of them with --output: {', '.join(repr(part.output) for part in self.head.parts)}"
            )
        if not self.head.logits:
            raise SettingError(
                f"{self.name} gives probabilities without a Softmax in the graph, so it has no logits; "
                "choose a method variant on the probability"
            )


def _loaded_and_made(
    load: Callable[..., Classifier], make: Callable[[Classifier], Classifier], *source: object, **settings: object
) -> Classifier:
    """Return a model that was made from another, which is loaded first."""
    return make(load(*source, **settings))


def _loaded_again(reload: Reload[Classifier], labels: Labels) -> Classifier:
    """Return what a pickled classifier becomes."""
    return reload().with_labels(labels)
