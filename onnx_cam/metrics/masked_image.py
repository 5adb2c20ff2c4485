"""One image with one map: what the metrics measure, the scores that metrics and maps share, and maps made like it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.randomised import randomised
from onnx_cam.errors import SettingError
from onnx_cam.explanation.explaining import explain
from onnx_cam.explanation.result import Explanation
from onnx_cam.graph.frame import WHOLE, Frame
from onnx_cam.graph.layer import Layer
from onnx_cam.image.baselines import make_baseline
from onnx_cam.image.picture import Picture
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.metrics.inputs import ScoredInput
from onnx_cam.metrics.map_origin import MapOrigin
from onnx_cam.metrics.pixels import pixel_ranks
from onnx_cam.names import SCORES
from onnx_cam.runtime.image_run import score_images
from onnx_cam.runtime.masks import Masking, interpolation_matrix, masks, normalised
from onnx_cam.runtime.scorer import Progress

__all__ = ["MaskedImage", "score_together"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class MaskedImage:
    """An image, the class that is explained, and the map that explains it.

    A score is computed once, and kept for the other metrics: for several maps of an image together by
    `score_together`, or else when a metric first asks for it.

    Parameters
    ----------
    classifier : Classifier
    image : ndarray of shape (C, H, W), float32
        X, in network-input space.
    target : int
        c, the predicted class of X.
    cam : ndarray of shape (h, w), float32
        L, the map at the layer's resolution.
    preprocessing : Preprocessing, optional
        The preprocessing of X, which the baseline ``black`` depends on.
    boxes : ndarray of shape (H, W), bool, optional
        The pixels of X that lie in the object's boxes.
    specificity : float, optional
        The map's class specificity, from its record.
    second_class : int, optional
        The likeliest class other than `target`; None where there is none, or it is not known.
    second_cam : ndarray of shape (h, w), float32, optional
        The same method's map for that class.
    batch_size : int, optional
        Forward passes that run at once.
    frame : Frame
        The part of X that the layer's cells cover.
    origin : MapOrigin, optional
        How the map was made, for the metrics that have other maps made in the same way.

    Attributes
    ----------
    passes : int
        The forward passes that the scores and the other maps take. One that several maps share counts for each of them,
        so that the number does not depend on what else is measured.
    watch : callable, optional
        Called with `passes` as they are while another map is made, and as they will be after it.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics.inputs import WholeImage
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> image = MaskedImage(model, model.network_input("cat.jpg"), result.target.index, result.cam)
    >>> image.importance.shape, f"{image.scores([WholeImage('probability')])[0]:.2f}"
    ((20, 20), '0.95')
    """

    def __init__(
        self,
        classifier: Classifier,
        image: Floats,
        target: int,
        cam: Floats,
        *,
        preprocessing: Preprocessing | None = None,
        boxes: NDArray[np.bool_] | None = None,
        specificity: float | None = None,
        second_class: int | None = None,
        second_cam: Floats | None = None,
        batch_size: int | None = None,
        frame: Frame = WHOLE,
        origin: MapOrigin | None = None,
    ) -> None:
        self.classifier = classifier
        self.image = image
        self.target = target
        self.cam = cam
        self.boxes = boxes
        self.specificity = specificity
        self.second_class = second_class
        self.second_cam = second_cam
        self.origin = origin
        self.passes = 0
        self.watch: Progress | None = None
        self._preprocessing = preprocessing
        self.batch_size = batch_size
        self._masking = Masking(frame=frame)
        self._baselines: dict[str, Floats] = {}
        self._scores: dict[ScoredInput, Doubles] = {}  # of the classes, each

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes whose scores are taken from each input: `target`, and `second_class` where there is one."""
        return (self.target,) if self.second_class is None else (self.target, self.second_class)

    @property
    def preprocessing(self) -> Preprocessing | None:
        """The preprocessing of X."""
        return self._preprocessing

    @property
    def known_origin(self) -> MapOrigin:
        """How the map was made.

        Raises
        ------
        SettingError
            It is not known.
        """
        if self.origin is None:
            raise SettingError(
                "this metric explains other images, and how the map was made is not known; give the origin of the map, "
                "or use onnx_cam.metrics.explained_image"
            )
        return self.origin

    @cached_property
    def mask(self) -> Floats:
        """``s(U(L))``, by which X is multiplied, (H, W) float32; 0 everywhere if L is constant."""
        frame, aligned = self._masking.frame, self._masking.align_corners
        maps = normalised(self.cam[None], self._size, self._masking)[0]  # (h, w)
        rows = interpolation_matrix(maps.shape[0], self._size[0], aligned, frame.rows)
        columns = interpolation_matrix(maps.shape[1], self._size[1], aligned, frame.columns)
        # In the order of the score graph, so that the masked image is, bit for bit, the one that methods score.
        return np.asarray(rows @ (maps @ columns.T), np.float32)

    @cached_property
    def importance(self) -> Floats:
        """``L↑``, by which pixels are ordered, (H, W) float32 in [0, 1]; 0 everywhere if L is constant."""
        return self.importance_of(self.cam)

    def importance_of(self, cam: Floats) -> Floats:
        """Return ``L↑`` of another map of this layer, (H, W) float32 in [0, 1]; 0 everywhere if it is constant."""
        return np.asarray(np.clip(masks(cam[None], self._size, self._masking)[0], 0, 1), np.float32)

    @property
    def _size(self) -> tuple[int, int]:
        return self.image.shape[1], self.image.shape[2]

    def kept(self, count: int, *, most_important: bool) -> Floats:
        """Return the mask that keeps so many of the most or the least important pixels, (H, W) float32, 0 or 1."""
        kept = self._ranks < count if most_important else self._ranks >= self._ranks.size - count
        return kept.astype(np.float32)

    def baseline(self, name: str) -> Floats:
        """Return X_b, (C, H, W) float32; it is made once."""
        if name not in self._baselines:
            self._baselines[name] = make_baseline(name, self.image, self._preprocessing)
        return self._baselines[name]

    def scores(self, inputs: Sequence[ScoredInput]) -> Doubles:
        """Return the target's scores of inputs; those that are not there yet are computed now.

        Parameters
        ----------
        inputs : sequence of ScoredInput

        Returns
        -------
        ndarray of shape (len(inputs),), float64

        Raises
        ------
        OutOfMemoryError
            Not even one input fits.
        ScoreError
            The model failed, twice, or a score is NaN or infinite.
        """
        return self._class_scores(inputs)[:, 0]

    def scores_of_both(self, inputs: Sequence[ScoredInput]) -> Doubles:
        """Return the scores of inputs for the target and the second class, (len(inputs), 2) float64."""
        return self._class_scores(inputs)

    def _class_scores(self, inputs: Sequence[ScoredInput]) -> Doubles:
        if self.missing(inputs):
            self.recall(inputs)
            score_together([(self, inputs)])
        return np.array([self._scores[one] for one in inputs]).reshape(len(inputs), len(self.classes))

    def explain(
        self,
        picture: Picture,
        *,
        target: int | None = None,
        classifier: Classifier | None = None,
        layer: Layer | None = None,
    ) -> Explanation:
        """Return the explanation of another input, made as this map was; its forward passes are counted.

        Parameters
        ----------
        picture : Picture
        target : int, optional
            Another class than this map's.
        classifier : Classifier, optional
            Another model, made from this one.
        layer : Layer, optional
            The layer as that model has it.

        Raises
        ------
        SettingError
            How this map was made is not known.
        ScoreError
            The model failed, or a score is NaN or infinite.
        """
        origin, classifier = self.known_origin, classifier or self.classifier
        with classifier.sessions.aside():
            result = explain(
                classifier,
                picture,
                method=origin.method,
                target=self.target if target is None else target,
                layer=layer or origin.layer,
                seed=origin.seed,
                batch_size=self.batch_size,
                progress=self._report,
            )
        assert isinstance(result, Explanation)
        self.passes += result.passes
        return result

    def randomised(self) -> Classifier:
        """Return the model with its weights behind the layer permuted.

        Raises
        ------
        ModelError
            There is none, or it cannot be read.
        """
        origin = self.known_origin
        return origin.randomised() if origin.randomised else randomised(self.classifier, origin.layer, origin.seed)

    def _report(self, done: int, planned: int) -> None:
        if self.watch:
            self.watch(self.passes + done, self.passes + planned)

    def recall(self, inputs: Sequence[ScoredInput]) -> None:
        """Take over the scores that the map's explanation has left: they need no forward pass."""
        with self.classifier.in_use:
            for one in self.missing(inputs):
                if not one.depends_on_map:
                    scores = self.classifier.sessions.kept_baseline(one.pixels(self), one.score)
                    if scores is not None:
                        self._scores[one] = scores[list(self.classes)]

    def missing(self, inputs: Iterable[ScoredInput]) -> list[ScoredInput]:
        """Return the inputs without a score yet, each once."""
        return [one for one in dict.fromkeys(inputs) if one not in self._scores]

    def take(self, scores: Mapping[ScoredInput, Doubles]) -> None:
        """Take the scores of inputs, (classes,) each, and count a forward pass for each."""
        self._scores.update(scores)
        self.passes += len(scores)

    @cached_property
    def _ranks(self) -> NDArray[np.int32]:
        return pixel_ranks(self.importance)


Request = tuple[MaskedImage, Sequence[ScoredInput]]
"""An image with a map, and the inputs to score."""


def score_together(requests: Sequence[Request]) -> None:
    """Score the inputs that metrics need of several maps of one image, and give each map its scores.

    Parameters
    ----------
    requests : sequence of tuple
        Each a :class:`MaskedImage` and the inputs to score for it; all of the same classifier, image, classes and batch
        size.

    Raises
    ------
    OutOfMemoryError
        Not even one input fits.
    ScoreError
        The model failed, twice, or a score is NaN or infinite: no map is given any score.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import AverageDrop, Win
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> x = model.network_input("cat.jpg")
    >>> results = [onnx_cam.explain(model, "cat.jpg", method=name) for name in ("scorecam", "cam")]
    >>> images = [MaskedImage(model, x, result.target.index, result.cam) for result in results]
    >>> score_together([(image, AverageDrop().inputs(image)) for image in images])  # one batch of X and two X ⊙ L↑
    >>> [f"{Win().measure(image).value:.2f}" for image in images]  # no further pass
    ['0.06', '0.07']
    """
    # What really has to run: an input that does not depend on the map is the same for all maps, and so is every input
    # of equal maps.
    distinct: dict[Hashable, tuple[MaskedImage, ScoredInput]] = {}
    for image, inputs in requests:
        for one in image.missing(inputs):
            distinct.setdefault(_key(image, one), (image, one))
    if not distinct:
        return
    scores: dict[Hashable, Doubles] = {}
    with requests[0][0].classifier.in_use:
        for score_kind in SCORES:  # a run has one kind of output
            keys = [key for key, (_, one) in distinct.items() if one.score == score_kind]
            scores |= zip(keys, _score([distinct[key] for key in keys]), strict=True)
    for image, inputs in requests:
        image.take({one: scores[_key(image, one)] for one in image.missing(inputs)})


def _score(wanted: Sequence[tuple[MaskedImage, ScoredInput]]) -> Sequence[Doubles]:
    """Return the scores of inputs with the same kind of score, (classes,) each.

    The pixels are made batch by batch, as they are run.
    """
    if not wanted:
        return []
    image, first = wanted[0]
    return list(
        score_images(
            image.classifier.sessions,
            lambda number: wanted[number][1].pixels(wanted[number][0]),
            len(wanted),
            shape=image.image.shape,
            targets=image.classes,
            score_kind=first.score,
            batch_size=image.batch_size,
            name=lambda number: str(wanted[number][1]),
        )
    )


def _key(image: MaskedImage, one: ScoredInput) -> Hashable:
    """Return the same key for the same input, whichever map asks for it."""
    return (one, image.cam.tobytes()) if one.depends_on_map else one
