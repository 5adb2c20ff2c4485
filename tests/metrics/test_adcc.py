"""ADCC: coherency, complexity and drop, and what makes it 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx_cam
from onnx_cam.errors import SettingError
from onnx_cam.methods import ScoreCAM
from onnx_cam.methods.equal import EqualWeights
from onnx_cam.metrics import ADCC, MapOrigin, MaskedImage, explained_image
from tests import tiny
from tests.metrics.references import load, network_of, raised, save_picture, scorecam


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_harmonic_mean_of_its_three_terms(tmp_path: Path, seed: int) -> None:
    classifier = load(tmp_path)
    network = network_of(classifier)
    path = save_picture(tmp_path, seed)
    x = classifier.network_input(path).astype(np.float64)
    target = int(np.argmax(network.probability(x)))
    explained = scorecam(network, target)
    # From METHODS.md: L↑, the map of X ⊙ L↑, and the scores of both inputs.
    first = raised(explained(x))
    second = raised(explained(x * first))
    y, o = (float(network.probability(one)[target]) for one in (x, x * first))
    coherency = (1 + float(np.corrcoef(first.ravel(), second.ravel())[0, 1])) / 2
    terms = [coherency, 1 - float(first.mean()), 1 - max(0.0, y - o) / y]
    found = ADCC().measure(explained_image(classifier, path))
    assert list(found.parts) == ["coherency", "1-complexity", "1-drop"]
    assert list(found.parts.values()) == pytest.approx(terms, abs=1e-5)
    assert found.value == pytest.approx(3 / sum(1 / term for term in terms), abs=1e-5)
    assert 0 < coherency < 1


def of_map(folder: Path, cam: np.ndarray, **settings: Any) -> MaskedImage:
    classifier = load(folder)
    picture = classifier.open_picture(save_picture(folder, 0), classifier.preprocessing)
    origin = MapOrigin(picture, ScoreCAM(), classifier.layer(), seed=0)
    return MaskedImage(classifier, picture.network_input, 1, cam.astype(np.float32), origin=origin, **settings)


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_an_empty_or_constant_map_has_no_coherency(tmp_path: Path, value: float) -> None:
    image = of_map(tmp_path, np.full((5, 5), value))
    found = ADCC().measure(image)
    assert (found.value, found.parts["coherency"], found.parts["1-complexity"]) == (0.0, 0.0, 1.0)
    assert image.passes == 2  # the image and the one of zeros: no explanation


def test_a_map_whose_masked_image_has_an_empty_map_has_none_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map of a masked image is zero where all weights are: those of zero channels."""
    monkeypatch.setattr(EqualWeights, "weights", lambda _, subject: np.zeros((1, len(subject.maps))))
    image = of_map(tmp_path, np.eye(5))
    assert image.origin is not None
    image.origin = MapOrigin(image.origin.picture, EqualWeights(), image.origin.layer, seed=0)
    found = ADCC().measure(image)
    assert (found.value, found.parts["coherency"]) == (0.0, 0.0)


def test_the_passes_of_the_other_map_are_counted(tmp_path: Path) -> None:
    classifier = load(tmp_path)
    path = save_picture(tmp_path, 0)
    image = explained_image(classifier, path)
    ADCC().measure(image)
    fresh = load(tmp_path, preprocess="none")
    again = onnx_cam.explain(fresh, image.image * image.mask, target=image.target)
    assert image.passes == 2 + again.passes  # X and X ⊙ L↑; and the activations, the baseline and the channels of that


def test_a_score_that_is_not_above_0_has_no_drop(tmp_path: Path) -> None:
    classifier = load(tmp_path)
    path = save_picture(tmp_path, 0)
    logits = classifier.sessions.scores(classifier.network_input(path)[None], "logit")[0]
    assert logits.min() < 0
    found = ADCC(score="logit").measure(explained_image(classifier, path, target=int(np.argmin(logits))))
    assert found.value is None
    assert "not above 0" in found.reason


def test_without_the_origin_of_the_map_it_is_refused(tmp_path: Path) -> None:
    image = MaskedImage(load(tmp_path), tiny.image(), 1, np.eye(5, dtype=np.float32))
    with pytest.raises(SettingError, match=r"how the map was made is not known; .*explained_image"):
        ADCC().measure(image)
