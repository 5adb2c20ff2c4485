"""The catalogue is complete, and true of every file that is available."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import onnx_cam
from onnx_cam.classifier.catalogue import read_catalogue, recognise
from tests.places import ROOT

FOLDER = Path(os.environ.get("ONNX_CAM_MODELS", ROOT.parent / "shared" / "panel"))
FIELDS = {
    *("name", "file", "sha256", "source", "licence", "preprocessing", "labels", "layer", "layer_shape", "head"),
    *("classes", "checked"),
}
SIZES = {"ch_ppocr_mobile_v2.0_cls_infer": (48, 192)}  # the input sizes of models that leave theirs free


def test_every_entry_is_complete_and_about_a_different_file() -> None:
    entries = read_catalogue()
    assert len(entries) >= 11
    assert all(set(entry) == FIELDS for entry in entries)
    assert len({entry["sha256"] for entry in entries}) == len(entries)


def test_an_unknown_file_is_not_recognised() -> None:
    assert recognise("0" * 64) is None


@pytest.mark.parametrize("entry", read_catalogue(), ids=lambda entry: entry["name"])
def test_the_entry_is_true_of_its_file(entry: dict[str, Any]) -> None:
    path = FOLDER / entry["file"]
    if not path.is_file():
        pytest.skip(f"{entry['file']} is not available: the models are not part of the project")
    model = onnx_cam.load(path, device="cpu", size=SIZES.get(entry["name"]))
    assert model.file.sha256 == entry["sha256"]
    assert (model.head.kind.name, model.classes) == (entry["head"], entry["classes"])
    assert (model.layer().name, list(model.layer().shape)) == (entry["layer"], entry["layer_shape"])
    assert model.fixed_batch is None
    findings = {finding.what: finding for finding in onnx_cam.inspect(model)}
    assert findings["known as"].value == entry["name"]
    source = findings["preprocessing"].source
    assert source.startswith("a guess") == source.endswith(f"; the catalogue says {entry['preprocessing']}")
    result = onnx_cam.explain(model, model.trial_images(1)[0], layer=model.layers()[-1].name, preprocess="none")
    assert result.passes > 1
