"""The folder in which the pages' commands run: it holds a small file for every name that the pages speak of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from onnx_cam.evaluation.survey.key import KEY_NAME, NOT_SURE
from tests import tiny
from tests.builds.made import change_weights, noisy
from tests.examples import imagenet_model, write_pictures
from tests.graph.test_tokens import exported

__all__ = ["prepare", "write_folder"]

BUILDS = ("model.onnx", "old.onnx", "float.onnx")
DATASET = "file,label,x0,y0,x1,y1\ncat.jpg,281,8,4,35,27\ndog.jpg,207,12,6,43,31\n"


def write_folder(folder: Path) -> None:
    """Write the models, the pictures and the datasets."""
    for name in BUILDS:
        tiny.save(imagenet_model(layer="relu5"), folder, name)
    retrained = imagenet_model(layer="relu5")
    change_weights(retrained, w2=noisy(0.01))
    tiny.save(retrained, folder, "new.onnx")
    quantize_static(folder / "model.onnx", folder / "int8.onnx", Noise(), quant_format=QuantFormat.QDQ)
    tiny.save(exported("class token", 17).proto, folder, "vit.onnx")
    (folder / "photos.csv").write_text(DATASET)
    write_pictures(folder)
    (folder / "photos").mkdir()
    write_pictures(folder / "photos")
    _write_coco(folder)


class Noise(CalibrationDataReader):  # type: ignore[misc]
    """Ten images of noise, by which the quantizer chooses its scales."""

    def __init__(self) -> None:
        self.left = [tiny.image(seed)[None] for seed in range(10)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next one."""
        return {"image": self.left.pop()} if self.left else None


def _write_coco(folder: Path) -> None:
    (folder / "annotations").mkdir()
    content = {
        "images": [{"id": 1, "file_name": "cat.jpg", "width": 48, "height": 36}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 4, 20, 20], "iscrowd": 0}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    shutil.copytree(folder / "photos", folder / "val2017")


def prepare(command: str, folder: Path) -> None:
    """Make what a command of a table needs and another page makes: two runs, or the answers to a survey."""
    if command == "report":
        for name in ("run-a", "run-b"):
            shutil.copytree(folder / "run", folder / name, dirs_exist_ok=True)
    if command == "survey-score":
        key = json.loads((folder / "survey" / KEY_NAME).read_text())
        (folder / "answers").mkdir(exist_ok=True)
        answers = {"version": 1, "survey": key["survey"], "reviewer": "R1", "answers": {"1": [NOT_SURE]}}
        (folder / "answers" / "r1.json").write_text(json.dumps(answers))
