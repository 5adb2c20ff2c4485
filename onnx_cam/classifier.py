"""A loaded model, and what is known of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray
from onnx_graphsurgeon.logger import G_LOGGER

from onnx_cam.errors import LayerError, ModelError, ScoreError, SettingError
from onnx_cam.find_preprocessing import choose_preprocessing
from onnx_cam.graph.find_layers import Layer, find_candidates, name_layer, rank_layers
from onnx_cam.graph.head import Head, find_head
from onnx_cam.graph.image_input import ImageInput, find_image_input
from onnx_cam.graph.linear_head import find_linear_head
from onnx_cam.graph.read import ModelFile, read_model
from onnx_cam.graph.tap import tap
from onnx_cam.image_files import MAX_PIXELS
from onnx_cam.labels import find_labels
from onnx_cam.preprocess import Preprocessing
from onnx_cam.runtime.scores import ScoreKind, logits, probabilities
from onnx_cam.runtime.session import Session

__all__ = ["Classifier", "load"]

Floats = NDArray[np.float32]

_DEFAULT_SIZE = (224, 224)
_PROBE_SEED = 0
_KEPT_TAPS = 2  # sessions: each holds the weights once more
_MAX_BATCH = 4096


def load(
    path: str | Path,
    *,
    device: str = "auto",
    labels: str | os.PathLike[str] | Sequence[str] | None = None,
    label_offset: int | None = None,
    preprocess: str | os.PathLike[str] = "auto",
    size: tuple[int, int] | None = None,
    input: str | None = None,
    output: str | None = None,
    threads: int | None = None,
) -> Classifier:
    """Load an image classifier.

    Parameters
    ----------
    path : str or Path
        An ``.onnx`` file.
    device : str
        ``auto`` (CUDA where it loads, else the CPU), ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt``, ``openvino``.
    labels : str, path or sequence of str, optional
        A text or JSON file, ``imagenet``, or the names; by default what the model's metadata says.
    label_offset : int, optional
        The position in the output of the first name.
    preprocess : str
        ``auto``, ``imagenet``, ``tf``, ``caffe``, ``unit``, ``raw``, ``none``, or a JSON file.
    size : tuple of int, optional
        ``(H, W)`` of the network's input, where the model leaves it free.
    input, output : str, optional
        The tensors that take the image and give the scores, where more than one would do.
    threads : int, optional
        Threads within an operator.

    Returns
    -------
    Classifier

    Raises
    ------
    ModelError
        The file is missing, damaged, refused by the runtime, or no image classifier.
    LabelsError, PreprocessingError, DeviceError, MissingExtraError, SettingError
        What was asked for cannot be had.
    """
    if threads is not None and threads < 1:
        raise SettingError(f"threads={threads}; expected at least 1")
    file = read_model(path)
    graph = _import_graph(file)
    image_input = _sized(find_image_input(file.proto.graph, file.name, input), size, file.name)
    head = find_head(graph, file.name, output)
    preprocessing = None if preprocess == "none" else choose_preprocessing(preprocess, file)
    return Classifier(
        file,
        graph,
        image_input,
        head,
        preprocessing,
        labels=labels,
        label_offset=label_offset,
        size=size,
        device=device,
        threads=threads,
    )


def _import_graph(file: ModelFile) -> gs.Graph:
    G_LOGGER.severity = G_LOGGER.CRITICAL  # it prints to standard output
    try:
        return gs.import_onnx(file.proto)
    except Exception as error:  # graphsurgeon raises whatever a damaged graph makes it
        raise ModelError(f"the graph of {file.name} cannot be read: {error}; export the model again") from error


def _sized(image_input: ImageInput, size: tuple[int, int] | None, model: str) -> ImageInput:
    if size is None:
        return image_input
    if min(size) < 1:
        raise SettingError(f"size {size[0]}×{size[1]}; expected two positive numbers, height and width")
    fixed = (image_input.height or size[0], image_input.width or size[1])
    if fixed != tuple(size):
        raise ModelError(
            f"{model} takes images of {fixed[0]}×{fixed[1]} (height × width), not {size[0]}×{size[1]}; leave out --size"
        )
    return replace(image_input, height=size[0], width=size[1])


class Classifier:
    """A loaded model: made by :func:`load`, it keeps its sessions for all calls that follow.

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
    device : str
        As asked for.
    notes : list of str
        What was guessed or done otherwise than asked, a line each.
    """

    def __init__(
        self,
        file: ModelFile,
        graph: gs.Graph,
        image_input: ImageInput,
        head: Head,
        preprocessing: Preprocessing | None,
        *,
        labels: str | os.PathLike[str] | Sequence[str] | None,
        label_offset: int | None,
        size: tuple[int, int] | None,
        device: str,
        threads: int | None,
    ) -> None:
        self.file = file
        self.graph = graph
        self.input = image_input
        self.head = head
        self.preprocessing = preprocessing
        self.device = device
        self.notes: list[str] = []
        self.size = self._choose_size(size)
        self._threads = threads
        self._fixed_batch = image_input.batch
        self._tapped: dict[str, Session] = {}
        self._session = self.open_session(self._with_logits())
        self._probe()
        self.labels = find_labels(labels, label_offset, file, self.classes)
        self._note_guesses()

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

    def layers(self) -> list[Layer]:
        """Return the layers that can be explained, the one nearest to the scores first: it is the default."""
        return list(self._layers)

    def layer(self, name: str | None = None) -> Layer:
        """Return a layer by the name of its output tensor or node, the default without one.

        Raises
        ------
        LayerError
            There is none of that name, or none at all.
        """
        if name is not None:
            return name_layer(self._layers, self.graph, name, self.name)
        if not self._layers:
            raise LayerError(
                f"{self.name} has no layer to explain: no convolution's output keeps a height and width above 1; "
                "class activation maps need one"
            )
        return self._layers[0]

    def activations(self, layer: Layer, image: Floats) -> tuple[Floats, NDArray[np.float64]]:
        """Run the model with a layer tapped.

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

        Raises
        ------
        ScoreError
            The runtime failed, or an activation or a score is NaN or infinite.
        """
        if layer.name not in self._tapped:
            if len(self._tapped) == _KEPT_TAPS:
                del self._tapped[next(iter(self._tapped))]
            self._tapped[layer.name] = self.open_session(tap(self.file.proto, [layer.name]))
        maps, raw = self._tapped[layer.name].run(image[None], [layer.name, self.head.output])
        scores = probabilities(raw, self.head)[0]
        if not np.isfinite(maps).all() or not np.isfinite(scores).all():
            raise ScoreError(
                f"{self.name} gives NaN or infinite values for this image; "
                "check its preprocessing with onnx-cam inspect, and the model itself"
            )
        return np.asarray(maps[0], np.float32), scores

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

    def linear_head(self, layer: Layer) -> NDArray[np.float32] | None:
        """Return ``w_k^c`` (classes, K) where one linear layer follows the layer's global average, else None."""
        return find_linear_head(self.file, self.graph, layer, self.head.logits)

    @cached_property
    def _layers(self) -> list[Layer]:
        candidates = find_candidates(self.graph, self.head.output)
        if not candidates:
            return []
        session = self.open_session(tap(self.file.proto, [c.name for c in candidates]), optimise=False)
        shapes = self._spatial_shapes(session, [c.name for c in candidates])
        return rank_layers(candidates, shapes)

    def _spatial_shapes(self, session: Session, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return the shapes of float tensors: the runtime's own inference, or a run where that leaves one open."""
        inferred = {name: shape for name, (shape, kind) in session.outputs.items() if kind == "tensor(float)"}
        shapes = {name: inferred[name] for name in names if name in inferred}
        unknown = [name for name, shape in shapes.items() if not shape or None in shape[1:]]
        ran = session.run_once(self.random_images(1), unknown) if unknown else []
        measured = {name: array.shape for name, array in zip(unknown, ran, strict=True)}
        return {name: measured.get(name, tuple(size or 1 for size in shape)) for name, shape in shapes.items()}

    def open_session(self, proto: onnx.ModelProto, optimise: bool = True) -> Session:
        """Return a session for this model or a rewritten one, on the model's device (on the CPU if not optimised)."""
        return Session(
            proto,
            name=self.name,
            input_name=self.input.name,
            device=self.device if optimise else "cpu",
            threads=self._threads,
            folder=self.file.path.resolve().parent if self.file.external else None,
            fixed_batch=self._fixed_batch,
            optimise=optimise,
        )

    def _with_logits(self) -> onnx.ModelProto:
        return tap(self.file.proto, [self.head.logits] if self.head.logits else [])

    def _choose_size(self, size: tuple[int, int] | None) -> tuple[int, int]:
        known = self.input.height, self.input.width
        wanted = size or (self.preprocessing.size if self.preprocessing else None) or _DEFAULT_SIZE
        chosen = known[0] or wanted[0], known[1] or wanted[1]
        if chosen[0] * chosen[1] > MAX_PIXELS or (self.input.batch or 1) > _MAX_BATCH:
            raise ModelError(
                f"{self.name} takes {self.input.batch or 1} images of {chosen[0]}×{chosen[1]}; expected at most "
                f"{MAX_PIXELS:,} pixels and a batch of {_MAX_BATCH}"
            )
        if size is None and None in known and (self.preprocessing is None or self.preprocessing.size is None):
            self.notes.append(f"the model leaves its input size free: taking {chosen[0]}×{chosen[1]} (--size HxW)")
        return chosen

    def random_images(self, count: int) -> Floats:
        """Return the same noise each time, (count, C, H, W) float32, standard normal: for trial runs."""
        generator = np.random.default_rng(_PROBE_SEED)
        return generator.standard_normal((count, self.input.channels, *self.size), np.float32)

    def _probe(self) -> None:
        """Learn from a run: the number of classes, whether batches work, and whether logits are logits."""
        images = self.random_images(3)
        single = np.concatenate([self._run_scores(image[None]) for image in images])
        if single.dtype.kind != "f" or single.ndim < 2 or single[0].size > max(single.shape[1:]):
            raise ModelError(
                f"output {self.head.output!r} of {self.name} has shape {single.shape[1:]} an image, {single.dtype}; "
                "expected class scores (N, classes): name another with --output"
            )
        self.classes = probabilities(single, self.head).shape[1]
        if self._fixed_batch is None and not self._batches_agree(images, single):
            self._fixed_batch = 1
            self._session = self.open_session(self._with_logits())
            self.notes.append("batches of several images fail or change the scores: running one at a time")
        self._check_head(single)

    def _run_scores(self, images: Floats) -> NDArray[Any]:
        try:
            return self._session.run(images, [self.head.output])[0]
        except ScoreError as error:
            raise ModelError(str(error)) from error

    def _batches_agree(self, images: Floats, single: NDArray[Any]) -> bool:
        try:
            together = self._session.run(images, [self.head.output])[0]
        except ScoreError:
            return False
        return together.shape == single.shape and bool(np.allclose(together, single, rtol=1e-3, atol=1e-4))

    def _check_head(self, raw: NDArray[Any]) -> None:
        values = raw.reshape(len(raw), -1)
        looks_normalised = (
            values.shape[1] > 1 and bool((values >= 0).all()) and np.allclose(values.sum(axis=1), 1, atol=1e-3)
        )
        if self.head.kind == "softmax" and not looks_normalised:
            reason = "the graph ends in Softmax, but a run's scores do not sum to 1 over the classes"
            raise ModelError(f"{self.name}: {reason}; name the class scores with --output")
        if self.head.kind == "logits" and looks_normalised:
            self.head = replace(
                self.head, kind="softmax", logits="", reason="a run's scores are not negative and sum to 1"
            )

    def _note_guesses(self) -> None:
        if self.head.choice:
            self.notes.append(self.head.choice)
        if self.preprocessing and self.preprocessing.source.startswith("a guess"):
            self.notes.append(
                "preprocessing: ImageNet's, a guess: nothing in the model or beside it says so (--preprocess)"
            )

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
