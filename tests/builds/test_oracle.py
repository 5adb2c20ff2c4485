"""Every figure against METHODS.md, "Two builds compared", written out with NumPy and ONNX Runtime alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

import onnx_cam
from tests import tiny
from tests.builds.made import noisy, write_build, write_photos

COUNT = 12
Doubles = NDArray[np.float64]


class Reference:
    """A build, run by ONNX Runtime: Grad-CAM behind global average pooling weighs the maps by the linear layer."""

    def __init__(self, path: Path) -> None:
        made = onnx.load(path)
        weights = {weight.name: numpy_helper.to_array(weight) for weight in made.graph.initializer}
        self.linear = weights["w3"].astype(np.float64)  # (classes, K)
        made.graph.output.append(tiny.value_info("relu2", None))
        self.session = onnxruntime.InferenceSession(made.SerializeToString())

    def run(self, x: NDArray[np.float32]) -> tuple[Doubles, Doubles]:
        """Return the probabilities (classes,) and the activation maps (K, h, w)."""
        logits, maps = (output[0].astype(np.float64) for output in self.session.run(None, {"image": x[None]}))
        exponentials = np.exp(logits - logits.max())
        return exponentials / exponentials.sum(), maps

    def cam(self, maps: Doubles, target: int) -> Doubles:
        return np.asarray(np.maximum(np.einsum("k,khw->hw", self.linear[target], maps), 0))


def distance(first: Doubles, second: Doubles) -> float:
    if not first.any() or not second.any():
        return 0.0 if first.any() == second.any() else float(np.sqrt(2))
    return float(np.linalg.norm(first / np.linalg.norm(first) - second / np.linalg.norm(second)))


def wilson(hits: int, n: int) -> tuple[float, float]:
    z, p = 1.959963984540054, hits / n
    centre = p + z**2 / (2 * n)
    spread = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (centre - spread) / (1 + z**2 / n), (centre + spread) / (1 + z**2 / n)


def bootstrap(statistic: Any, n: int) -> tuple[float, float]:
    drawn = np.random.default_rng(0).integers(0, n, (2000, n))
    low, high = np.quantile([statistic(rows) for rows in drawn], [0.025, 0.975])
    return float(low), float(high)


@pytest.fixture
def builds(tmp_path: Path) -> tuple[Path, Path]:
    return write_build(tmp_path, "old.onnx"), write_build(tmp_path, "new.onnx", w2=noisy(0.3), w3=noisy(0.3))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = write_photos(tmp_path / "photos", COUNT)
    lines = [f"{number:02d}.png,{number % tiny.CLASSES}" for number in range(COUNT)]
    (folder / "photos.csv").write_text("\n".join(["file,label", *lines]) + "\n")
    return folder / "photos.csv"


def test_every_figure_agrees_with_its_definition(builds: tuple[Path, Path], dataset: Path, tmp_path: Path) -> None:
    result = onnx_cam.diff(*builds, str(dataset), preprocess="unit", seed=5, out=tmp_path / "out")
    model = onnx_cam.load(builds[0], preprocess="unit")
    old, new = map(Reference, builds)
    flips, drifts, distances, floors, were_right = [], [], [], [], []
    for number, image in enumerate(result.images):
        path = dataset.parent / f"{number:02d}.png"
        x = model.network_input(path)
        (old_p, old_maps), (new_p, new_maps) = old.run(x), new.run(x)
        top = int(old_p.argmax())
        flips.append(int(new_p.argmax()) != top)
        drifts.append(abs(new_p[top] - old_p[top]))
        were_right.append(top == number % tiny.CLASSES)
        key = np.array([5, int(image.image.sha256[:16], 16)], np.uint64)
        noise = np.random.Generator(np.random.Philox(key=key)).standard_normal(x.shape, np.float32)
        _, noisy_maps = old.run(np.clip(x + 2 / 255 * noise, 0, 1).astype(np.float32))
        distances.append(distance(old.cam(old_maps, top), new.cam(new_maps, top)))
        floors.append(distance(old.cam(old_maps, top), old.cam(noisy_maps, top)))
    assert 0 < sum(flips) < COUNT
    assert 0 < sum(were_right) < COUNT

    d, f = np.array(distances), np.array(floors)
    drift = np.array(drifts)
    right = [flip for flip, was_right in zip(flips, were_right, strict=True) if was_right]
    changed = int((d > 2 * np.median(f)).sum())
    assert np.median(f) > 0.005
    expected = {
        "flips": (np.mean(flips), *wilson(sum(flips), COUNT), COUNT),
        "negative_flips": (np.mean(right), *wilson(sum(right), len(right)), len(right)),
        "drift": (drift.mean(), *bootstrap(lambda rows: drift[rows].mean(), COUNT), COUNT),
        "map_distance": (np.median(d), *bootstrap(lambda rows: np.median(d[rows]), COUNT), COUNT),
        "noise_floor": (np.median(f), *bootstrap(lambda rows: np.median(f[rows]), COUNT), COUNT),
        "maps": (
            np.median(d) / max(np.median(f), 0.005),
            *bootstrap(lambda rows: np.median(d[rows]) / max(np.median(f[rows]), 0.005), COUNT),
            COUNT,
        ),
        "changed": (changed / COUNT, *wilson(changed, COUNT), COUNT),
    }
    stored = json.loads((tmp_path / "out" / "diff.json").read_text())
    for name, values in expected.items():
        assert list(stored[name]) == ["value", "low", "high", "n"]
        assert tuple(stored[name].values()) == pytest.approx(values, rel=1e-4, abs=1e-5), name
    with open(tmp_path / "out" / "images.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["distance"]) for row in rows] == pytest.approx(distances, abs=1e-5)
    assert [float(row["floor"]) for row in rows] == pytest.approx(floors, abs=1e-5)
    assert [int(row["flip"]) for row in rows] == flips


def test_a_small_floor_counts_as_five_thousandths(tmp_path: Path) -> None:
    """Flat photos: noise hardly moves the maps, so that the quotient would be of nothing."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (40, 40), (40 * number, 100, 200)).save(folder / f"{number}.png")
    old, new = write_build(tmp_path, "old.onnx"), write_build(tmp_path, "new.onnx", w1=noisy(0.01))
    result = onnx_cam.diff(old, new, [str(folder)], preprocess="unit")
    distances = np.median([image.distance or 0.0 for image in result.images])
    floor = np.median([image.old.floor or 0.0 for image in result.images])
    assert result.figures["maps"].value == pytest.approx(distances / max(floor, 0.005))
