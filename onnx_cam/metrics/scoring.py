"""The inputs of several metrics and maps, scored together: equal ones once, and all in shared batches."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from onnx_cam.metrics.inputs import ScoredInput
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.names import SCORES
from onnx_cam.runtime.image_run import score_images

__all__ = ["score_together"]

Request = tuple[MaskedImage, Sequence[ScoredInput]]
"""An image with a map, and the inputs to score."""


def score_together(requests: Sequence[Request]) -> None:
    """Score the inputs that metrics need of several maps of one image, and give each map its scores.

    Parameters
    ----------
    requests : sequence of tuple
        Each a :class:`MaskedImage` and the inputs to score for it; all of the same classifier, image, class and batch
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
    >>> from onnx_cam.metrics import AverageDrop, MaskedImage, Win
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> x = model.network_input("cat.jpg")
    >>> results = [onnx_cam.explain(model, "cat.jpg", method=name) for name in ("scorecam", "cam")]
    >>> images = [MaskedImage(model, x, result.target.index, result.cam) for result in results]
    >>> score_together([(image, AverageDrop().inputs(image)) for image in images])  # one batch of X and two X ⊙ L↑
    >>> [f"{Win().measure(image).value:.2f}" for image in images]  # no further pass
    ['0.06', '0.06']
    """
    # What really has to run: an input that does not depend on the map is the same for all maps, and so is every input
    # of equal maps.
    distinct: dict[Hashable, tuple[MaskedImage, ScoredInput]] = {}
    for image, inputs in requests:
        for one in image.missing(inputs):
            distinct.setdefault(_key(image, one), (image, one))
    if not distinct:
        return
    scores: dict[Hashable, float] = {}
    with requests[0][0].classifier.in_use:
        for score_kind in SCORES:  # a run has one kind of output
            keys = [key for key, (_, one) in distinct.items() if one.score == score_kind]
            scores |= zip(keys, _score([distinct[key] for key in keys]), strict=True)
    for image, inputs in requests:
        image.take({one: scores[_key(image, one)] for one in image.missing(inputs)})


def _score(wanted: Sequence[tuple[MaskedImage, ScoredInput]]) -> list[float]:
    """Return the scores of inputs with the same kind of score. The pixels are made batch by batch, as they are run."""
    if not wanted:
        return []
    image, first = wanted[0]
    scores = score_images(
        image.classifier.sessions,
        lambda number: wanted[number][1].pixels(wanted[number][0]),
        len(wanted),
        shape=image.image.shape,
        target=image.target,
        score_kind=first.score,
        batch_size=image.batch_size,
        name=lambda number: str(wanted[number][1]),
    )
    return list(map(float, scores))


def _key(image: MaskedImage, one: ScoredInput) -> Hashable:
    """Return the same key for the same input, whichever map asks for it."""
    return (one, image.cam.tobytes()) if one.depends_on_map else one
