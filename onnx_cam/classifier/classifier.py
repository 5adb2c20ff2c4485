"""A loaded model, and what is known of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.classifier.guesses import choose_size, guesses
from onnx_cam.classifier.keeping import OneAtATime, make_room, read_only
from onnx_cam.classifier.labels import find_labels
from onnx_cam.classifier.layer_shapes import rank_by_shape
from onnx_cam.classifier.trial import (
    TRIAL_IMAGES,
    check_head,
    check_scores,
    read_quantization,
    run_together,
    trial_images,
)
from onnx_cam.errors import LayerError, ModelError, OutOfMemoryError, ScoreError, SettingError
from onnx_cam.graph.built_in import find_built_in
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.find_layers import METADATA_KEY as LAYER_KEY
from onnx_cam.graph.find_layers import Layer, name_layer
from onnx_cam.graph.free_batch import free_batch
from onnx_cam.graph.head import Head
from onnx_cam.graph.image_input import ImageInput
from onnx_cam.graph.linear_head import find_linear_head
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.score_graph import GraphNoise, score_graph
from onnx_cam.graph.tap import tap
from onnx_cam.image.find_preprocessing import choose_preprocessing
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.runtime.device_session import Loaded, load_model
from onnx_cam.runtime.score_session import ScoreSession
from onnx_cam.runtime.scores import ScoreKind, logits, probabilities
from onnx_cam.runtime.session import Session

__all__ = ["Classifier"]

Floats = NDArray[np.float32]

_KEPT_SESSIONS = 3  # of each kind: each holds the weights once more; there are three kinds of noise
_KEPT_BASELINES = 4


class Classifier:
    """A loaded model: made by :func:`onnx_cam.load`, it keeps its sessions for all calls that follow.

    Threads may share one: it explains one image at a time, and the others wait.

    Attributes
    ----------
    file : ModelFile
        The model file: path, hash, protobuf.
    input : ImageInput
        The input that takes the image.
    size : tuple of int
        ``(H, W)`` of the network's input.
    head : Head
        The output that holds the scores.
    classes : int
        How many there are.
    labels : Labels
        Their names.
    preprocessing : Preprocessing or None
        Image to input; None where the user hands over the input itself.
    device, threads : str, and int or None
        As asked for.
    notes : list of str
        What was guessed or done otherwise than asked, a line each.
    refused_sizes : set of tuple of int
        Sizes of an image at which a run failed.
    in_use : OneAtATime
        Held while an image is explained.
    """

    def __init__(
        self,
        file: ModelFile,
        graph: gs.Graph,
        image_input: ImageInput,
        head: Head,
        *,
        preprocess: str | os.PathLike[str] | Preprocessing,
        labels: str | os.PathLike[str] | Sequence[str] | Mapping[int, str] | None,
        label_offset: int | None,
        size: tuple[int, int] | None,
        device: str,
        threads: int | None,
    ) -> None:
        self.file = file
        self.proto = file.proto
        self.graph = graph
        self.input = image_input
        self.head = head
        self.notes: list[str] = []
        self.built_in = find_built_in(graph, Constants(file), image_input.name)
        self.preprocessing = self.choose_preprocessing(preprocess)
        self.device = device
        self.size, guessed = choose_size(size, image_input, self.preprocessing, file.name)
        self.notes += guessed
        self.threads = threads
        self._fixed_batch = image_input.batch
        self.batch_source = "the graph"
        self._one_at_a_time = False
        self._tapped: dict[str, Session] = {}
        self._score_sessions: dict[GraphNoise, ScoreSession] = {}
        self._last_activations: tuple[tuple[str, bytes], Floats, NDArray[np.float64]] | None = None
        self._differentiable: tuple[str, Any] | None = None
        self.in_use = OneAtATime(file.name)
        self.refused_sizes: set[tuple[int, int]] = set()
        self._baselines: dict[tuple[ScoreKind, bytes], NDArray[np.float64]] = {}
        self._session = self.open_session(self._with_logits())
        self._try()
        self.labels = find_labels(labels, label_offset, file, self.classes)
        self.notes += guesses(self.head, self.preprocessing, self.input, self.built_in)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @property
    def provider(self) -> str:
        """The execution provider that really runs the model."""
        return self._session.provider

    @property
    def cpu_fallback_nodes(self) -> int | None:
        """Nodes that the provider left to the CPU; None where ONNX Runtime does not tell."""
        return self._session.cpu_fallback_nodes

    @property
    def fixed_batch(self) -> int | None:
        """The batch that the model is run at, where it takes no other."""
        return self._fixed_batch

    def choose_preprocessing(self, name: str | os.PathLike[str] | Preprocessing) -> Preprocessing | None:
        """Return the preprocessing of that name for this model; None for ``none``.

        Raises
        ------
        PreprocessingError
            The name is unknown, or a file says nothing usable.
        """
        if isinstance(name, Preprocessing):
            return name
        if name == "none":
            return None
        return choose_preprocessing(name, self.file, dtype=self.input.dtype, built_in=self.built_in)

    def layers(self) -> list[Layer]:
        """Return the layers that can be explained, from the scores backwards, but the default first.

        It is the one nearest to the scores, unless the metadata names another (``onnx_cam.layer``).
        """
        return list(self._layers)

    def layer(self, name: str | Layer | None = None) -> Layer:
        """Return a layer by the name of its output tensor or node, the default without one.

        Raises
        ------
        LayerError
            There is none of that name, or none at all.
        """
        if name is not None:
            return name_layer(self._layers, self.graph, name.name if isinstance(name, Layer) else name, self.name)
        if not self._layers:
            raise LayerError(
                f"{self.name} has no layer to explain: no convolution's output keeps a height and width above 1, and "
                "there are no tokens on a grid; every method here weighs the maps of such a layer, so none can work"
            )
        return self._layers[0]

    def activations(self, layer: Layer, image: Floats) -> tuple[Floats, NDArray[np.float64], bool]:
        """Run the model with a layer tapped, unless the last call did just that.

        Parameters
        ----------
        layer : Layer
        image : ndarray of shape (C, H, W), float32

        Returns
        -------
        maps : ndarray of shape (K, h, w), float32
            A.
        scores : ndarray of shape (classes,), float64
            Probabilities.
        ran : bool
            Whether that took a pass.

        Raises
        ------
        ScoreError
            The runtime failed, or an activation or a score is NaN or infinite.
        """
        key = layer.name, hashlib.sha256(image.tobytes()).digest()
        if self._last_activations is not None and self._last_activations[0] == key:
            return *self._last_activations[1:], False
        if layer.name not in self._tapped:
            make_room(self._tapped, _KEPT_SESSIONS)
            self._tapped[layer.name] = self.open_session(tap(self.proto, [layer.tapped]))
        tapped, raw = self._tapped[layer.name].run(image[None], [layer.output, self.head.output])
        maps = layer.maps(tapped)
        scores = probabilities(raw, self.head)[0]
        if not np.isfinite(maps).all() or not np.isfinite(scores).all():
            raise ScoreError(
                f"{self.name} gives NaN or infinite values for this image; "
                "check its preprocessing with onnx-cam inspect, and the model itself"
            )
        self._last_activations = key, read_only(maps[0]), read_only(scores)
        return *self._last_activations[1:], True

    def score(self, images: Floats, kind: ScoreKind = "probability") -> NDArray[np.float64]:
        """Return f^c for every class.

        Parameters
        ----------
        images : ndarray of shape (B, C, H, W), float32
        kind : {"probability", "logit"}

        Returns
        -------
        ndarray of shape (B, classes), float64
        """
        if kind == "logit":
            return logits(self._session.run(images, [self.head.logits])[0])
        return probabilities(self._session.run(images, [self.head.output])[0], self.head)

    def gradients(self, layer: Layer, image: Floats, targets: Sequence[int]) -> Floats:
        """Return ``∂Y^c/∂A_k`` for each target's logit, (T, K, h, w) float32, by the graph as a torch module.

        Parameters
        ----------
        layer : Layer
        image : ndarray of shape (C, H, W), float32
        targets : sequence of int

        Raises
        ------
        MissingExtraError
            torch is not installed.
        ModelError
            The graph holds an operator without a rule.
        LayerError
            The logits do not depend on the layer, or the gradient ends on the way.
        """
        from onnx_cam.gradients import GraphModule, layer_gradients

        self.check_logits()
        if self._differentiable is None or self._differentiable[0] != layer.name:
            proto = tap(self.proto, [layer.tapped, self.head.tapped_logits])
            self._differentiable = layer.name, GraphModule(proto, name=self.name, folder=self._weights_folder)
        given = self.input.feed(np.repeat(image[None], self._fixed_batch or 1, axis=0)).astype(np.float32)
        _, gradients = layer_gradients(
            self._differentiable[1], given, layer.tapped, self.head.tapped_logits, targets, binary=self._binary
        )
        return layer.maps(gradients.sum(axis=1))  # of a fixed batch every image is this one

    def score_session(self, noise: GraphNoise) -> ScoreSession:
        """Return the session of the score graph with this noise; it is kept, with the batch that suits it."""
        if noise not in self._score_sessions:
            make_room(self._score_sessions, _KEPT_SESSIONS)
            self._score_sessions[noise] = ScoreSession(
                lambda: self._load_score_graph(noise),
                name=self.name,
                noise=noise,
                image_input=self.input,
                size=self.size,
                fixed_batch=self._fixed_batch,
                one_at_a_time=self._one_at_a_time,
            )
        return self._score_sessions[noise]

    def _load_score_graph(self, noise: GraphNoise) -> Loaded:
        graph = score_graph(
            self.proto, self.input, self.head, noise, self.size, binary=self._binary, batch=self._fixed_batch
        )
        return load_model(graph, name=self.name, device=self.device, threads=self.threads, folder=self._weights_folder)

    def baseline_scores(self, image: Floats, kind: ScoreKind) -> tuple[NDArray[np.float64], bool]:
        """Return f^c of an image (C, H, W) for every class, and whether that took a pass: the last ones are kept."""
        key = (kind, hashlib.sha256(image.tobytes()).digest())
        known = key in self._baselines
        if not known:
            make_room(self._baselines, _KEPT_BASELINES)
            self._baselines[key] = read_only(self.score(image[None], kind)[0])
        return self._baselines[key], not known

    def forget_baselines(self) -> None:
        """Let go of the kept baselines' scores: the next map counts its baseline's pass, whatever was run before."""
        self._baselines.clear()

    def linear_head(self, layer: Layer) -> NDArray[np.float32] | None:
        """Return ``w_k^c`` (classes, K) where one linear layer follows the layer's global average, else None."""
        return find_linear_head(self.file, self.graph, layer, self.head.logits)

    @cached_property
    def _layers(self) -> list[Layer]:
        return rank_by_shape(
            self.graph,
            self.proto,
            self.head.output,
            batch=self._fixed_batch or 1,
            image=self.trial_images(1),
            open_session=lambda proto: self.open_session(proto, optimise=False),
            preferred=self.file.metadata.get(LAYER_KEY),
        )

    def open_session(self, proto: onnx.ModelProto, optimise: bool = True) -> Session:
        """Return a session for this model or a rewritten one, on the model's device (on the CPU if not optimised)."""
        return Session(
            proto,
            name=self.name,
            image_input=self.input,
            device=self.device if optimise else "cpu",
            threads=self.threads,
            folder=self._weights_folder,
            fixed_batch=self._fixed_batch,
            one_at_a_time=self._one_at_a_time,
            optimise=optimise,
        )

    @property
    def _weights_folder(self) -> Path | None:
        return self.file.path.resolve().parent if self.file.external else None

    def _with_logits(self) -> onnx.ModelProto:
        return tap(self.proto, [self.head.tapped_logits] if self.head.logits else [])

    def trial_images(self, count: int) -> Floats:
        """Return the same images each time, (count, C, H, W) float32: for trial runs."""
        return trial_images(self.input, self.size, count, self.preprocessing)

    def _try(self) -> None:
        """Learn from a run: the number of classes, whether batches work, and whether logits are logits."""
        images = self.trial_images(TRIAL_IMAGES)
        tensors = [self.head.output, self.head.logits]
        try:
            runs = [self._session.run(image[None], tensors) for image in images]
        except OutOfMemoryError:
            raise
        except ScoreError as error:
            raise ModelError(str(error)) from error
        scores, alone = (np.concatenate(arrays) for arrays in zip(*runs, strict=True))
        check_scores(scores, self.head, self.name)
        self.head = read_quantization(self.head, Constants(self.file), self.name)
        self.classes = probabilities(scores, self.head).shape[1]
        self._binary = scores[0].size == 1
        if self._fixed_batch is not None:
            self._free_batch(images, alone)
        elif self._scales_by_batch() or not run_together(self._session, self.head, images, alone):
            self._fixed_batch = 1
            self.batch_source = "a run: several images together fail or change the scores"
            self._session = self.open_session(self._with_logits())
            self.notes.append("batches of several images fail or change the scores: running one at a time")
        self.head = check_head(scores, self.head, self.name)

    def _scales_by_batch(self) -> bool:
        """Whether the model is quantized by the range of whatever stands in the batch: the batch changes the scores."""
        return any(node.op.startswith("DynamicQuantize") for node in self.graph.nodes)

    def _free_batch(self, images: Floats, alone: NDArray[Any]) -> None:
        """Free the batch that the file fixes; keep the result if several images together score as they do alone."""
        fixed, self._fixed_batch = self._fixed_batch, None
        freed = free_batch(self.file.proto, self.input.name)
        try:
            session = self.open_session(tap(freed, [self.head.tapped_logits]))
            proved = not self._scales_by_batch() and run_together(session, self.head, images, alone)
        except ModelError:
            proved = False
        if proved:
            self.proto, self._session = freed, session
            self.batch_source = f"the file fixes it to {fixed}; freed, and proved by a run of several images"
        else:
            self._fixed_batch = fixed
            self.batch_source = "the graph: freed, it fails or changes the scores"
            if fixed != 1:  # one image has none to mix with
                self._keep_apart(images, alone)

    def _keep_apart(self, images: Floats, alone: NDArray[Any]) -> None:
        """Where a model mixes the images of its batch, fill the batch with one of them."""
        if not run_together(self._session, self.head, images, alone):
            self._one_at_a_time = True
            self._session = self.open_session(self._with_logits())
            self.notes.append("the model mixes the images of its batch: filling the batch with one image at a time")

    def check_logits(self) -> None:
        """Refuse to score logits where the graph has none.

        Raises
        ------
        SettingError
        """
        if not self.head.logits:
            raise SettingError(
                f"{self.name} gives probabilities without a Softmax in the graph, so it has no logits; "
                "choose a method variant on the probability"
            )
