"""The sessions that run a model, and the few results that are kept from call to call."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.classifier.facts import BatchFacts
from onnx_cam.classifier.keeping import make_room, read_only
from onnx_cam.errors import ScoreError
from onnx_cam.graph.detached import DetachedWeights
from onnx_cam.graph.external_data import WeightSource
from onnx_cam.graph.head import Head
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.score_graph import GraphOffset, score_graph
from onnx_cam.graph.tap import tap
from onnx_cam.runtime.cores import usable_cores
from onnx_cam.runtime.device_session import DeviceSession, open_device_session
from onnx_cam.runtime.devices import CPU, providers_for
from onnx_cam.runtime.late_session import LateSession
from onnx_cam.runtime.scores import ScoreKind, logits, probabilities
from onnx_cam.runtime.session import Session
from onnx_cam.runtime.spread import Spread, SpreadChoice

if TYPE_CHECKING:
    from onnx_cam.runtime.score_session import ScoreSession

__all__ = ["Activations", "ModelSessions", "SessionOpener"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_KEPT_SESSIONS = 3  # of each kind, as each holds the weights once more; the score graph has three kinds of offset
_KEPT_LARGE_SESSIONS = 1  # of each kind, where the weights are large
_KEPT_BASELINES = 4


@dataclass(frozen=True)
class SessionOpener:
    """How this model's sessions are opened: on which device, with which threads, and where its weights lie.

    Attributes
    ----------
    name : str
        The file's name, for messages.
    image_input : ImageInput
        The input that takes the image.
    device : str
        The requested device.
    threads : int or None
        Threads within an operator.
    weights : Path, DetachedWeights or None
        Where the weights are that the model does not store itself.
    libraries : tuple of str
        Libraries of custom operators.
    """

    name: str
    image_input: ImageInput
    device: str
    threads: int | None
    weights: WeightSource
    libraries: tuple[str, ...] = ()

    @cached_property
    def asks_for_cpu(self) -> bool:
        """Whether ONNX Runtime is only asked for the CPU, so that this is known without a session."""
        if self.device != "auto":
            return self.device == CPU.name
        return [provider for provider, _ in providers_for(self.device)] == [CPU.provider]

    def open(self, proto: onnx.ModelProto, batch: BatchFacts | None = None, *, optimise: bool = True) -> Session:
        """Return a session for the model or a rewritten one.

        Parameters
        ----------
        proto : onnx.ModelProto
        batch : BatchFacts, optional
            How many images it takes at once; any number without it.
        optimise : bool
            False loads faster, on the CPU, for a session that runs once.
        """
        return Session(
            proto,
            name=self.name,
            image_input=self.image_input,
            device=self.device if optimise else "cpu",
            threads=self.threads,
            weights=self.weights,
            libraries=self.libraries,
            fixed_batch=batch.fixed if batch else None,
            one_at_a_time=batch.mixes_images if batch else False,
            optimise=optimise,
        )

    def open_rewritten(self, proto: onnx.ModelProto, threads: int | None) -> DeviceSession:
        """Return a rewritten model with other inputs on the device, with this many threads a run."""
        return open_device_session(
            proto,
            name=self.name,
            device=self.device,
            threads=threads,
            weights=self.weights,
            libraries=self.libraries,
        )


@dataclass(frozen=True)
class Activations:
    """What a run with a tapped layer gives for one image.

    Attributes
    ----------
    maps : ndarray of shape (K, h, w), float32
        A, the layer's activation maps.
    probabilities : ndarray of shape (classes,), float64
        The image's scores.
    logits : ndarray of shape (classes,), float64, optional
        Where they were asked for.
    ran : bool
        Whether that took a forward pass; the last image's activations are kept.
    """

    maps: Floats
    probabilities: Doubles
    logits: Doubles | None = None
    ran: bool = True


def _spreads(threads: int | None, *, on_cpu: bool) -> SpreadChoice:
    """Return how a model's runs are spread over the cores of a CPU; any other device runs one batch at a time."""
    cores = usable_cores(threads)
    return SpreadChoice(cores) if on_cpu else SpreadChoice(cores, Spread(1, threads))


class ModelSessions:
    """The sessions of one model; they are opened when they are first needed, and a few of each kind are kept.

    Parameters
    ----------
    opener : SessionOpener
    proto : onnx.ModelProto
        The model that is run.
    head : Head
        The output that holds the scores.
    size : tuple of int
        ``(H, W)`` of the network's input.
    batch : BatchFacts
        How many images the model takes at once.
    is_binary : bool
        Whether the output holds a single number for two classes.
    session : LateSession
        The model itself, with its logits among the outputs.

    Attributes
    ----------
    refused_sizes : set of tuple of int
        Sizes of an image at which a run failed.
    """

    def __init__(
        self,
        opener: SessionOpener,
        *,
        proto: onnx.ModelProto,
        head: Head,
        size: tuple[int, int],
        batch: BatchFacts,
        is_binary: bool,
        session: LateSession,
    ) -> None:
        self.opener = opener
        self.refused_sizes: set[tuple[int, int]] = set()
        self._proto = proto
        self._head = head
        self._size = size
        self._batch = batch
        self._is_binary = is_binary
        self._late_session = session
        self._is_large = isinstance(opener.weights, DetachedWeights)
        self._kept_sessions = _KEPT_LARGE_SESSIONS if self._is_large else _KEPT_SESSIONS
        on_cpu = opener.asks_for_cpu or self._session.device is CPU
        self._spreads = _spreads(opener.threads, on_cpu=on_cpu)
        self._tapped_sessions: dict[frozenset[str], Session] = {}
        self._score_sessions: dict[GraphOffset, ScoreSession] = {}
        self._last_activations: tuple[tuple[str, bytes], Activations] | None = None
        self._border: tuple[str, tuple[str, ...]] = "", ()  # a layer, and what is fetched with its tensor
        self._last_border: dict[str, NDArray[Any]] = {}
        self._baselines: dict[tuple[ScoreKind, bytes], Doubles] = {}

    @property
    def provider(self) -> str:
        """The execution provider that really runs the model."""
        return CPU.provider if self.opener.asks_for_cpu else self._session.provider

    @property
    def cpu_fallback_nodes(self) -> int | None:
        """Nodes that the provider left to the CPU; None where ONNX Runtime does not tell."""
        return 0 if self.opener.asks_for_cpu else self._session.cpu_fallback_nodes

    @property
    def _session(self) -> Session:
        return self._late_session.get()

    def open(self, proto: onnx.ModelProto, *, optimise: bool = True) -> Session:
        """Return a session for the model or a rewritten one, at this model's batch."""
        self._make_room()
        return self.opener.open(proto, self._batch, optimise=optimise)

    def _make_room(self) -> None:
        """Before a session is opened, close those of a large model that run once an image; the score graph stays."""
        if self._is_large:
            self._late_session.release()
            self._tapped_sessions.clear()

    def activations(self, layer: Layer, image: Floats, *, with_logits: bool = False) -> Activations:
        """Run the model with a layer tapped, unless the last call did just that.

        Parameters
        ----------
        layer : Layer
        image : ndarray of shape (C, H, W), float32
        with_logits : bool
            Whether the logits are needed too, of a head that has them.

        Raises
        ------
        ScoreError
            The runtime failed, or an activation or a score is NaN or infinite.
        """
        key = layer.name, hashlib.sha256(image.tobytes()).digest()
        if self._last_activations is not None and self._last_activations[0] == key:
            last = self._last_activations[1]
            if last.logits is not None or not with_logits:
                return replace(last, ran=False)
        # The tapped session runs once per image: an extra output keeps the runtime from fusing operators around it.
        border = self._border[1] if self._border[0] == layer.name else ()
        outputs = [layer.output, self._head.output, *([self._head.logits] if with_logits else [])]
        session = self._tapped_session(layer, border, with_logits=with_logits)
        (tensor, output, *rest), others = session.run_with(image[None], outputs, border)
        maps = layer.maps(tensor)  # (1, K, h, w)
        scores = probabilities(output, self._head)[0]  # (classes,)
        own_logits = logits(rest[0], binary=self._is_binary)[0] if rest else None  # (classes,)
        if not np.isfinite(maps).all() or not np.isfinite(scores).all():
            raise ScoreError(
                f"{self.opener.name} gives NaN or infinite values for this image; "
                "check its preprocessing with onnx-cam inspect, and the model itself"
            )
        found = Activations(read_only(maps[0]), read_only(scores), own_logits)
        self._last_activations = key, found
        self._last_border = dict(zip(border, others, strict=True))
        return found

    def fetch_with(self, layer: Layer, tensors: tuple[str, ...]) -> None:
        """Let `activations` of a layer fetch other tensors in the same run, for a call of `border` that follows."""
        self._border = layer.name, tensors

    def border(self, layer: Layer, images: Floats, tensors: tuple[str, ...]) -> tuple[dict[str, NDArray[Any]], int]:
        """Return tensors of a run on one batch of images (B, C, H, W), padded if it is fixed, and the passes it took.

        Those of the image whose activations are kept are not computed again.
        """
        if not tensors:
            return {}, 0
        key = layer.name, hashlib.sha256(images[0].tobytes()).digest()
        is_kept = len(images) == 1 and self._last_activations is not None and self._last_activations[0] == key
        if is_kept and self._last_border.keys() == set(tensors):
            return self._last_border, 0
        arrays = self._tapped_session(layer, tensors).run_once(images, tensors)
        return dict(zip(tensors, arrays, strict=True)), len(images)

    def layer_maps(self, layer: Layer, images: Floats) -> Floats:
        """Return a layer's activation maps (B, K, h, w) of images (B, C, H, W)."""
        tensor = self._tapped_session(layer).run(images, [layer.output])[0]
        return layer.maps(tensor)

    def _tapped_session(self, layer: Layer, others: tuple[str, ...] = (), *, with_logits: bool = False) -> Session:
        """Return a session whose outputs hold a layer and other tensors; one that also holds more will do."""
        outputs = frozenset([layer.output, *others, *([self._head.logits] if with_logits else [])])
        for held, session in self._tapped_sessions.items():
            if outputs <= held:
                return session
        self._tapped_sessions.pop(frozenset([layer.output]), None)  # it holds less than the new one
        make_room(self._tapped_sessions, self._kept_sessions)
        logits_tap = [self._head.tapped_logits] if with_logits else []
        self._tapped_sessions[outputs] = self.open(tap(self._proto, [layer.tapped, *others, *logits_tap]))
        return self._tapped_sessions[outputs]

    def scores(self, images: Floats, score_kind: ScoreKind = "probability") -> Doubles:
        """Return f^c of images for every class.

        Parameters
        ----------
        images : ndarray of shape (B, C, H, W), float32
        score_kind : {"probability", "logit"}

        Returns
        -------
        ndarray of shape (B, classes), float64
        """
        if not self._late_session.is_open:
            self._make_room()
        if score_kind == "logit":
            return logits(self._session.run(images, [self._head.logits])[0], binary=self._is_binary)
        return probabilities(self._session.run(images, [self._head.output])[0], self._head)

    def baseline_scores(self, image: Floats, score_kind: ScoreKind) -> tuple[Doubles, bool]:
        """Return f^c of one image for every class, and whether that took a forward pass: the last ones are kept.

        Parameters
        ----------
        image : ndarray of shape (C, H, W), float32
        score_kind : {"probability", "logit"}
        """
        key = (score_kind, hashlib.sha256(image.tobytes()).digest())
        is_new = key not in self._baselines
        if is_new:
            make_room(self._baselines, _KEPT_BASELINES)
            self._baselines[key] = read_only(self.scores(image[None], score_kind)[0])
        return self._baselines[key], is_new

    def kept_baseline(self, image: Floats, score_kind: ScoreKind) -> Doubles | None:
        """Return f^c of an image for every class where `baseline_scores` has kept it; otherwise None."""
        if not self._baselines:
            return None
        return self._baselines.get((score_kind, hashlib.sha256(image.tobytes()).digest()))

    def forget_baselines(self) -> None:
        """Let go of the kept baselines, so that the next map counts the pass of its own, whatever ran before."""
        self._baselines.clear()

    def score_session(self, offset: GraphOffset) -> ScoreSession:
        """Return the session of the score graph with this offset; it is kept, with the batch size that suits it."""
        from onnx_cam.runtime.score_session import ScoreSession

        if offset not in self._score_sessions:
            make_room(self._score_sessions, self._kept_sessions)
            self._make_room()
            self._score_sessions[offset] = ScoreSession(
                partial(self._open_score_graph, offset),
                spreads=self._spreads,
                name=self.opener.name,
                offset=offset,
                image_input=self.opener.image_input,
                size=self._size,
                fixed_batch=self._batch.fixed,
                one_at_a_time=self._batch.mixes_images,
            )
        return self._score_sessions[offset]

    def _open_score_graph(self, offset: GraphOffset, threads: int | None) -> DeviceSession:
        graph = score_graph(
            self._proto,
            self.opener.image_input,
            self._head,
            offset,
            self._size,
            binary=self._is_binary,
            batch=self._batch.fixed,
        )
        return self.opener.open_rewritten(graph, threads)
