"""A model's own heatmap: how far it is from `explain`'s, and what it costs.

    python -m benchmarks.heatmap ../shared [--resolution layer|input] [--keep DIR]

For every model of the panel and EfficientNet-Lite0, every method that the model has is embedded at its default layer.
Difference: the largest one of a heatmap from that of `explain`, over six photos, both from 0 to 1. Extra time: the
median over alternating runs of the plain model and the new one, at a batch of 1 and of 16 ("–" where the file fixes the
batch), on one thread, so that other programs on the machine disturb both alike.

With --keep, the models, the inputs of one photo and the heatmaps of `explain` stay in a folder, for
`python -m benchmarks.heatmap_openvino DIR` and `node benchmarks/heatmap_web.mjs DIR`.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime
from numpy.typing import NDArray

import onnx_cam
from benchmarks.panel import image_for, load
from benchmarks.versions import versions_line
from onnx_cam.demo import demo_model
from onnx_cam.errors import OnnxCamError
from onnx_cam.names import HEATMAP_METHODS, HEATMAP_RESOLUTIONS
from onnx_cam.runtime.masks import Masking, masks

Array = NDArray[Any]

TIMED = ("cam", "gradcam")
RUNS = {1: 60, 16: 12}


def models(shared: Path, folder: Path) -> Iterator[tuple[str, onnx_cam.Classifier, list[Any]]]:
    """Yield each model with its name and its photos."""
    photos: list[Any] = sorted((shared / "images").glob("*.jpg"))[:6]
    yield "efficientnet_lite0", onnx_cam.load(demo_model(), device="cpu"), photos
    for entry in json.loads((shared / "panel" / "index.json").read_text()):
        own = [image_for(shared, entry)] if entry["name"] == "mnist_cntk" else photos
        yield entry["name"], load(shared, entry, folder), own


def difference(model: onnx_cam.Classifier, path: Path, embedded: onnx_cam.EmbeddedHeatmap, photos: list[Any]) -> float:
    """Return the largest difference of a heatmap from that of `explain`."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for photo in photos:
        x = model.network_input(photo)
        batch = np.repeat(x[None], model.input.batch or 1, axis=0)
        heatmap = session.run(["heatmap"], {model.input.name: model.input.feed(batch)})[0][0]
        worst = max(worst, float(np.abs(heatmap - explained(model, embedded, photo)).max()))
    return worst


def explained(model: onnx_cam.Classifier, embedded: onnx_cam.EmbeddedHeatmap, photo: Any) -> Array:
    """Return the heatmap of `explain`."""
    cam = onnx_cam.explain(model, photo, method=embedded.method, layer=embedded.layer).cam
    masking = Masking(frame=embedded.layer.geometry.frame) if embedded.resolution == "input" else Masking()
    return np.asarray(masks(cam[None], embedded.size, masking)[0])


def extra_time(model: onnx_cam.Classifier, path: Path, batch: int) -> str:
    """Return how much longer a run takes than the plain model's, in per cent, and the plain model's milliseconds."""
    if model.input.batch not in (None, batch):
        return "–"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sources = (str(model.file.path), str(path))
    sessions = [onnxruntime.InferenceSession(one, options, providers=["CPUExecutionProvider"]) for one in sources]
    feed = {model.input.name: model.input.feed(np.repeat(model.trial_images(1), batch, axis=0))}
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(RUNS[batch] + 2):
        for session, seconds in zip(sessions, times, strict=True):
            started = time.perf_counter()
            session.run(None, feed)
            if run >= 2:
                seconds.append(time.perf_counter() - started)
    ratio = statistics.median(new / old for old, new in zip(*times, strict=True))
    return f"{100 * (ratio - 1):+.1f} % of {1000 * statistics.median(times[0]):.1f} ms"


def keep(folder: Path, name: str, model: onnx_cam.Classifier, embedded: onnx_cam.EmbeddedHeatmap, photo: Any) -> None:
    """Write the input of a photo and its heatmap by `explain` beside the embedded model."""
    x = model.network_input(photo)
    feed = model.input.feed(np.repeat(x[None], model.input.batch or 1, axis=0))
    np.save(folder / f"{name}.input.npy", feed)
    (folder / f"{name}.bin").write_bytes(feed.tobytes())
    heatmap = explained(model, embedded, photo)
    np.save(folder / f"{name}.heatmap.npy", heatmap)
    described = {
        "input": model.input.name,
        "shape": feed.shape,
        "dtype": str(feed.dtype),
        "heatmap": heatmap.ravel().tolist(),
    }
    (folder / f"{name}.json").write_text(json.dumps(described))


@click.command()
@click.argument("shared", type=click.Path(exists=True, path_type=Path))
@click.option("--resolution", type=click.Choice(HEATMAP_RESOLUTIONS), default="layer", help="Size of the heatmaps.")
@click.option("--keep", "kept", type=click.Path(path_type=Path), help="Folder for models and what they should give.")
@click.option("--only", multiple=True, help="Names of models.")
def main(shared: Path, resolution: str, kept: Path | None, only: tuple[str, ...]) -> None:
    """Print the table as Markdown; SHARED is the folder of the panel."""
    print(f"{versions_line()}\n")
    print("| model | layer | method | difference | extra time, batch 1 | batch 16 |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = kept or Path(scratch)
        folder.mkdir(exist_ok=True)
        for name, model, photos in models(shared, Path(scratch)):
            if only and name not in only:
                continue
            for method in HEATMAP_METHODS:
                path = folder / f"{name}.{method.replace('+', 'p')}.onnx"
                try:
                    embedded = onnx_cam.export_heatmap(model, path, method=method, resolution=resolution)
                except OnnxCamError as error:
                    if method != "cam":
                        print(f"| {name} | | {method} | {error} | | |")
                    continue
                worst = difference(model, path, embedded, photos)
                times = [extra_time(model, path, batch) if method in TIMED else "" for batch in RUNS]
                layer = f"{embedded.layer.layout} {'×'.join(map(str, embedded.layer.shape))}"
                print(f"| {name} | {layer} | {method} | {worst:.1e} | {times[0]} | {times[1]} |", flush=True)
                if kept:
                    keep(folder, path.stem, model, embedded, photos[0])


if __name__ == "__main__":
    main()
