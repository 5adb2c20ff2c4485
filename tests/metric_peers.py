"""The metrics of other tools on a map that they are given, beside ours.

Every pair computes the same number from the same map, image, class and weights: a torch network for the other tool, and
the ONNX file for us. Where a tool has settings, they are those at which the definitions agree.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchcam.metrics import ClassificationMetric, DeletionInsertionMetric

from onnx_cam.metrics import ADCC, AverageDrop, AverageIncrease, Deletion, Insertion, MaskedImage, Pointing
from onnx_cam.metrics.explained_image import explained_image
from onnx_cam.metrics.inputs import WholeImage
from tests.peers import import_grad_cam

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """An image with a map, and the torch network that scores as the image's model does.

    Attributes
    ----------
    network : nn.Module
        Its output is logits.
    image : MaskedImage
        With boxes, and a map without ties, at the size of the input: the other tools do not say in which order they
        take equal pixels.
    steps : int
        Of deletion and insertion: a divisor of the number of pixels, as the tools round differently.
    """

    network: nn.Module
    image: MaskedImage
    steps: int

    @property
    def target(self) -> int:
        return self.image.target

    @property
    def batch(self) -> torch.Tensor:
        return torch.from_numpy(self.image.image[None])

    @property
    def pixels_in_step(self) -> int:
        assert self.image.importance.size % self.steps == 0
        return self.image.importance.size // self.steps


def map_without_ties(importance: Floats, seed: int = 0) -> Floats:
    """Return the ranks of the pixels of a map (H, W), from 0 to 1; equal ones in an order drawn at random."""
    drawn = np.random.default_rng(seed).random(importance.size)
    order = np.lexsort((drawn, importance.ravel()))
    ranks = np.empty(importance.size, np.float32)
    ranks[order] = np.linspace(0, 1, importance.size, dtype=np.float32)
    return ranks.reshape(importance.shape)


# --------------------------------------------------------------------------------------------------------------------
# Ours.


def our_drop(example: Example) -> Doubles:
    return _values(AverageDrop().measure(example.image).value) / 100


def our_absolute_drop(example: Example) -> Doubles:
    """Y − O, or 0: what Average Drop divides by Y."""
    return our_drop(example) * example.image.scores([WholeImage("probability")])


def our_increase(example: Example) -> Doubles:
    return _values(AverageIncrease().measure(example.image).value) / 100


def our_areas(example: Example, baseline: str = "zero") -> Doubles:
    curves = (metric(steps=example.steps, baseline=baseline) for metric in (Deletion, Insertion))
    return _values(*(curve.measure(example.image).value for curve in curves))


def our_deletion_curve(example: Example) -> Doubles:
    """Without its first point, the whole image."""
    return _values(*Deletion(steps=example.steps).measure(example.image).curve[1:])


def our_energy(example: Example) -> Doubles:
    return _values(Pointing().measure(example.image).value) / 100


def our_adcc(example: Example) -> Doubles:
    """ADCC and its terms: coherency, 1 − complexity and 1 − drop."""
    measured = ADCC().measure(example.image)
    return _values(measured.value, *measured.parts.values())


def _values(*values: float | None) -> Doubles:
    return np.array(values, np.float64)


# --------------------------------------------------------------------------------------------------------------------
# torchcam's.


class _GivenMap:
    """What torchcam takes for an extractor: it returns the map that it was given, at the size of the input."""

    def __init__(self, example: Example) -> None:
        self.model = example.network
        self.importance = torch.from_numpy(example.image.importance[None])

    def __call__(self, *given: Any, **settings: Any) -> list[torch.Tensor]:
        return [self.importance]

    def fuse_cams(self, cams: list[torch.Tensor]) -> torch.Tensor:
        return cams[0]

    @contextlib.contextmanager
    def _hooks_off(self) -> Iterator[None]:
        yield


def _softmax(logits: torch.Tensor) -> torch.Tensor:
    return torch.softmax(logits, dim=-1)


def torchcam_classification(example: Example, figure: str) -> Doubles:
    metric = ClassificationMetric(_GivenMap(example), _softmax)
    metric.update(example.batch, class_idx=example.target)
    return _values(metric.summary()[figure])


def torchcam_areas(example: Example, baseline: str = "zero") -> Doubles:
    other = torch.from_numpy(example.image.baseline(baseline)[None])
    metric = DeletionInsertionMetric(_GivenMap(example), _softmax, steps=example.steps, baseline=other)
    metric.update(example.batch, class_idx=example.target)
    summary = metric.summary()
    return _values(summary["deletion_auc"], summary["insertion_auc"])


# --------------------------------------------------------------------------------------------------------------------
# quantus's.


def quantus_pixel_flipping(example: Example) -> Doubles:
    """Pixel flipping takes features, of which a pixel has one in each colour channel: whole pixels at every C-th point.

    Its area is over these points alone, with a distance of 1.
    """
    import quantus

    channels = example.image.image.shape[0]
    metric = quantus.PixelFlipping(
        features_in_step=example.pixels_in_step, normalise=False, perturb_baseline=0.0, disable_warnings=True
    )
    curve = _quantus(metric, example, softmax=True)[0]
    return _values(*curve[channels - 1 :: channels])


def quantus_relevance_mass(example: Example) -> Doubles:
    import quantus

    metric = quantus.RelevanceMassAccuracy(normalise=False, disable_warnings=True)
    assert example.image.boxes is not None
    return _values(*_quantus(metric, example, s_batch=example.image.boxes[None, None]))


def _quantus(metric: Any, example: Example, **settings: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return metric(
            model=example.network,
            x_batch=example.image.image[None],
            y_batch=np.array([example.target]),
            a_batch=example.image.importance[None, None],
            device="cpu",
            channel_first=True,
            **settings,
        )


# --------------------------------------------------------------------------------------------------------------------
# grad-cam's.


def grad_cam_change(example: Example, name: str) -> Doubles:
    import_grad_cam()
    from pytorch_grad_cam.metrics import cam_mult_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    metric = getattr(cam_mult_image, name)()
    targets = [ClassifierOutputSoftmaxTarget(example.target)]
    return np.asarray(metric(example.batch, example.image.importance[None], targets, example.network), np.float64)


# --------------------------------------------------------------------------------------------------------------------
# openvino-xai's.


def openvino_areas(example: Example) -> Doubles:
    from openvino_xai.metrics.insertion_deletion_auc import InsertionDeletionAUC

    class OnTheNetwork(InsertionDeletionAUC):  # type: ignore[misc]
        """It would load the model into OpenVINO; the pixels are what is compared."""

        def __init__(self) -> None: ...

        def model_predict(self, image: Any) -> Any:
            return _scores_of(example.network, image)

    areas = OnTheNetwork()(
        example.image.importance, example.target, np.moveaxis(example.image.image, 0, -1), example.steps
    )
    return _values(areas["deletion"], areas["insertion"])


def openvino_adcc(example: Example) -> Doubles:
    from openvino_xai.metrics.adcc import ADCC as OpenVINOADCC

    class OnTheNetwork(OpenVINOADCC):  # type: ignore[misc]
        """Its maps are ours: the formula is what is compared."""

        black_box_kwargs: ClassVar[dict[str, Any]] = {}

        def __init__(self) -> None: ...

        def model_predict(self, image: Any) -> Any:
            return _scores_of(example.network, image)

        def explainer(self, image: Any, **settings: Any) -> Any:
            again = map_of(example, np.moveaxis(image, -1, 0))
            return SimpleNamespace(saliency_map={example.target: again})

    found = OnTheNetwork()(example.image.importance, example.target, np.moveaxis(example.image.image, 0, -1))
    return _values(found["adcc"], found["coherency"], 1 - found["complexity"], 1 - found["average_drop"])


def grad_cam_terms(example: Example) -> Doubles:
    """Return coherency and 1 − complexity, of which grad-cam's ARCC is made; its Coherency has no map of its own."""
    import_grad_cam()
    from pytorch_grad_cam.metrics.arcc import Coherency, Complexity

    def again(input_tensor: torch.Tensor, targets: Any) -> Floats:
        return map_of(example, input_tensor[0].numpy())[None]

    importance = example.image.importance[None]
    coherency = Coherency()(example.batch, importance, [None], example.network, again)
    return _values(float(coherency[0]), 1 - float(Complexity()(importance)[0]))


def map_of(example: Example, x: Floats) -> Floats:
    """Return the map of another input, (H, W), made as the example's."""
    classifier, origin = example.image.classifier, example.image.known_origin
    made = explained_image(
        classifier, np.ascontiguousarray(x, np.float32), origin.method, target=example.target, seed=origin.seed
    )
    return made.importance


def _scores_of(network: nn.Module, image: Any) -> Any:
    """Return the probabilities of an image (H, W, C)."""
    with torch.inference_mode():
        return _softmax(network(torch.from_numpy(np.moveaxis(image, -1, 0)[None])))[0].numpy()


# --------------------------------------------------------------------------------------------------------------------
# The list.


class Pair(NamedTuple):
    """A metric of ours and that of another tool, which compute the same numbers."""

    metric: str
    module: str
    """The tool's, which a test needs."""
    name: str
    """What the tool calls it."""
    ours: Callable[[Example], Doubles]
    theirs: Callable[[Example], Doubles]


PAIRS = (
    Pair(
        "average-drop",
        "torchcam",
        "ClassificationMetric, avg_drop",
        our_drop,
        partial(torchcam_classification, figure="avg_drop"),
    ),
    Pair(
        "average-increase",
        "torchcam",
        "ClassificationMetric, conf_increase",
        our_increase,
        partial(torchcam_classification, figure="conf_increase"),
    ),
    Pair("deletion, insertion", "torchcam", "DeletionInsertionMetric", our_areas, torchcam_areas),
    Pair(
        "deletion, insertion, `blur`",
        "torchcam",
        "DeletionInsertionMetric",
        partial(our_areas, baseline="blur"),
        partial(torchcam_areas, baseline="blur"),
    ),
    Pair("deletion, the curve", "quantus", "PixelFlipping", our_deletion_curve, quantus_pixel_flipping),
    Pair("pointing", "quantus", "RelevanceMassAccuracy", our_energy, quantus_relevance_mass),
    Pair(
        "average-drop times Y",
        "pytorch_grad_cam",
        "DropInConfidence",
        our_absolute_drop,
        partial(grad_cam_change, name="DropInConfidence"),
    ),
    Pair(
        "average-increase",
        "pytorch_grad_cam",
        "IncreaseInConfidence",
        our_increase,
        partial(grad_cam_change, name="IncreaseInConfidence"),
    ),
    Pair("deletion, insertion", "openvino_xai", "InsertionDeletionAUC", our_areas, openvino_areas),
)

EXPLAINED_PAIRS = (
    Pair("adcc", "openvino_xai", "ADCC", our_adcc, openvino_adcc),
    Pair(
        "adcc, two terms",
        "pytorch_grad_cam",
        "Coherency, Complexity",
        lambda example: our_adcc(example)[1:3],
        grad_cam_terms,
    ),
)
"""Those that explain other inputs: for examples by `explained_image`."""
