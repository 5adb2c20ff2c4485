"""Where layers' cells lie in the input: what the operators say, and what a run with changed patches says.

For each model of a folder, one layer of each grid size: the geometry that the operators before it give, the one that
changing 36 patches of two trial images gives, and the seconds that those runs take.

    python -m benchmarks.geometry ../shared/panel
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.probe import find_geometry
from onnx_cam.graph.layer import Layer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="Folder of .onnx files.")
    folder = parser.parse_args().folder
    print("| model | layer | K×h×w | the operators | a run | seconds of the run |\n|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*.onnx")):
        model = onnx_cam.load(path, device="cpu")
        for layer in one_of_each_grid(model):
            print(row(model, layer), flush=True)


def one_of_each_grid(model: Classifier) -> list[Layer]:
    """Return the default layer, and the last one of each other grid size."""
    layers: dict[tuple[int, ...], Layer] = {}
    for layer in model.layers():
        layers.setdefault(layer.shape[1:], layer)
    return list(layers.values())


def row(model: Classifier, layer: Layer) -> str:
    started = time.perf_counter()
    geometry = find_geometry(partial(model.sessions.layer_maps, layer), model.trial_images(2), model.input.dtype)
    seconds = time.perf_counter() - started
    shape = "×".join(map(str, layer.shape))
    found = "no hypothesis fits" if geometry is None else str(geometry)
    return f"| {model.name} | {layer.name} | {shape} | {layer.geometry} | {found} | {seconds:.1f} |"


if __name__ == "__main__":
    main()
