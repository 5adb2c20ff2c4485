"""The models that `python -m benchmarks.heatmap --keep DIR` left, run by OpenVINO on a CPU.

    python -m benchmarks.heatmap_openvino DIR

It needs `openvino` and NumPy. Prints the largest difference of each heatmap from that of `explain`, from 0 to 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import openvino as ov


def main(folder: Path) -> None:
    """Print the table as Markdown."""
    core = ov.Core()
    core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    print(f"OpenVINO {ov.__version__}\n\n| model and method | difference |\n|---|---|")
    for path in sorted(folder.glob("*.onnx")):
        described = json.loads((folder / f"{path.stem}.json").read_text())
        image = np.load(folder / f"{path.stem}.input.npy")
        expected = np.load(folder / f"{path.stem}.heatmap.npy")
        try:
            compiled = core.compile_model(core.read_model(path), "CPU")
            heatmap = compiled({described["input"]: image})["heatmap"][0]
            print(f"| {path.stem} | {np.abs(heatmap - expected).max():.1e} |", flush=True)
        except Exception as error:  # OpenVINO's exceptions share no base but this
            print(f"| {path.stem} | {' '.join(str(error).split())[:200]} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
