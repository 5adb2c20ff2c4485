"""Mosaics in a run: who takes part, the same draw whatever happens to the run, and why there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onnx_cam
from onnx_cam.errors import SettingError
from onnx_cam.evaluation import Evaluation, evaluate
from onnx_cam.evaluation.mosaics import CellView, draw_mosaics
from onnx_cam.image.mosaic import at_cell_size, cell_area, make_mosaic
from onnx_cam.metrics import GridPointing
from tests import tiny
from tests.evaluation import colours
from tests.metrics.references import network_of, raised, scorecam


def run(folder: Path, out: str = "run", *, table: Path | None = None, **settings: Any) -> Evaluation:
    table = table or colours.write_dataset(folder / "photos")
    size = settings.pop("size", tiny.SIZE)
    given: dict[str, Any] = {"size": (20, 20)} if isinstance(size, str) else {}
    model = onnx_cam.load(tiny.save(colours.network(size), folder), preprocess="unit", device="cpu", **given)
    chosen = {"methods": "scorecam,equal", "metrics": "grid-pointing", "report": False, **settings}
    return evaluate(model, table, out=folder / out, **chosen)


def values(evaluation: Evaluation, method: str = "scorecam") -> dict[str, float]:
    metric = evaluation.metric("grid-pointing")
    assert metric is not None
    return dict(zip([image.name for image in evaluation.images], evaluation.values(metric, method), strict=True))


def test_each_image_is_in_a_mosaic_with_three_of_other_classes(tmp_path: Path) -> None:
    evaluation = run(tmp_path)
    by_hash = {image.sha256[:12]: image for image in evaluation.images}
    model = onnx_cam.load(tmp_path / "tiny.onnx", preprocess="unit", device="cpu")
    network, found = network_of(model, "relu1"), values(evaluation)
    cells = []
    for image in evaluation.images:
        words = image.facts.mosaic.split()
        target, cell, partners = int(words[1]), int(words[4]), [by_hash[word] for word in words[6:]]
        assert target == image.facts.label
        assert len({target, *(partner.facts.label for partner in partners)}) == 4
        # The figure, from METHODS.md: the share of the map of the mosaic that lies in the image's cell.
        inputs = [model.network_input(partner.path) for partner in partners]
        inputs.insert(cell, model.network_input(image.path))
        importance = raised(scorecam(network, target)(make_mosaic(inputs, (20, 20)).astype(np.float64)))
        expected = 100 * importance[cell_area(cell, (20, 20))].sum() / importance.sum()
        assert found[image.name] == pytest.approx(expected, abs=1e-3)
        cells.append(cell)
    assert len(set(cells)) > 1
    assert evaluation.metric("grid-pointing").parameters == {"scaled": True}  # type: ignore[union-attr]
    assert np.mean(list(found.values())) > 80
    assert np.mean(list(values(evaluation, "equal").values())) < 45  # chance is 25, and red and yellow look alike


def test_a_model_of_any_size_gets_mosaics_of_twice_its_input(tmp_path: Path) -> None:
    evaluation = run(tmp_path, size="side")
    assert evaluation.metric("grid-pointing").parameters == {"scaled": False}  # type: ignore[union-attr]
    assert np.mean(list(values(evaluation).values())) > 80
    scaled = run(tmp_path, size="side", metrics=[GridPointing(scaled=True)])
    assert scaled.metric("grid-pointing").parameters == {"scaled": True}  # type: ignore[union-attr]
    assert values(scaled) != values(evaluation)
    with pytest.raises(SettingError, match="scaled=False needs a model that takes inputs of twice the size"):
        run(tmp_path, "fixed", metrics=[GridPointing(scaled=False)])


def test_the_draw_depends_on_the_seed_and_not_on_what_was_done_before(tmp_path: Path) -> None:
    table = colours.write_dataset(tmp_path / "photos")
    whole = values(run(tmp_path, "whole", table=table))
    run(tmp_path, "parts", table=table, metrics="average-drop", limit=3)
    run(tmp_path, "parts", table=table, methods="equal")
    assert values(run(tmp_path, "parts", table=table)) == whole
    shuffled = values(run(tmp_path, "shuffled", table=table, shuffle=True))
    assert shuffled == whole
    assert values(run(tmp_path, "other", table=table, seed=1)) != whole


def test_another_image_changes_few_mosaics_and_only_those_are_measured_again(tmp_path: Path) -> None:
    table = colours.write_dataset(tmp_path / "photos", 24)
    first = run(tmp_path, table=table, limit=23)
    told: list[int] = []
    second = run(tmp_path, table=table, progress=lambda done, _: told.append(done))
    before = {image.name: image.facts.mosaic for image in first.images}
    changed = [image.name for image in second.images if before.get(image.name) != image.facts.mosaic]
    assert 1 < len(changed) < 16
    assert told
    assert told[-1] < 24 * 10
    assert values(second) == values(run(tmp_path, "again", table=table))


def test_a_second_call_runs_nothing(tmp_path: Path) -> None:
    table = colours.write_dataset(tmp_path / "photos")
    first, told = values(run(tmp_path, table=table)), []
    assert values(run(tmp_path, table=table, progress=lambda *passes: told.append(passes))) == first
    assert told == []


def test_the_progress_counts_the_images_seen_in_a_cell(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    evaluation = run(tmp_path, progress=lambda *passes: told.append(passes))
    records = [one.record for one in evaluation.maps.values()]
    passes = 2 * 12 + sum(record["passes"] + record["measuring_passes"] for record in records)
    assert told[-1] == (passes, passes)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_images_that_are_not_recognised_in_a_cell_take_no_part(tmp_path: Path) -> None:
    table = colours.write_dataset(tmp_path / "photos")
    table.write_text(table.read_text().replace("5.png,1", "5.png,2"))  # a green picture called blue
    evaluation = run(tmp_path, table=table)
    assert [name for name, value in values(evaluation).items() if np.isnan(value)] == ["5.png"]
    (note,) = [note for note in evaluation.facts["notes"] if note.startswith("grid-pointing")]
    assert note.startswith("grid-pointing: no figure for 1 of 12 images: the model does not recognise the image at the")
    short = next(image for image in evaluation.images if image.name == "5.png").sha256[:12]
    assert not any(short in image.facts.mosaic for image in evaluation.images)


def test_without_labels_an_image_is_to_be_recognised_as_before(tmp_path: Path) -> None:
    table = colours.write_dataset(tmp_path / "photos")
    labelled = run(tmp_path, "labelled", table=table)
    table.write_text(table.read_text().replace("5.png,1", "5.png,2"))
    assert values(run(tmp_path, table=table, ignore_labels=True)) == values(labelled)


@pytest.mark.parametrize(
    ("count", "shades", "said"),
    [
        (7, 4, "7 images of 4 classes are recognised at the size of a cell; mosaics need 8 images of 4 classes"),
        (12, 3, "12 images of 3 classes are recognised at the size of a cell; mosaics need 8 images of 4 classes"),
        (9, 1, "9 images of 1 class are recognised at the size of a cell; mosaics need 8 images of 4 classes"),
    ],
)
def test_too_few_images_or_classes_give_no_figure_and_one_line(
    tmp_path: Path, count: int, shades: int, said: str
) -> None:
    evaluation = run(tmp_path, table=colours.write_dataset(tmp_path / "photos", count, shades))
    assert np.isnan(list(values(evaluation).values())).all()
    assert [note for note in evaluation.facts["notes"] if "grid-pointing" in note] == [
        f"grid-pointing: no figure for {count} of {count} images: {said}"
    ]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["scorecam"]["grid-pointing"] == {"value": None, "low": None, "high": None, "n": 0}


def test_only_images_that_the_run_uses_take_part(tmp_path: Path) -> None:
    """Nine images, two of which are labelled wrongly: too few are left."""
    table = colours.write_dataset(tmp_path / "photos", 9)
    table.write_text(table.read_text().replace("5.png,1", "5.png,2").replace("7.png,3", "7.png,0"))
    evaluation = run(tmp_path, table=table, only_correct=True)
    assert len(evaluation.images) == 7
    assert "7 images of 4 classes are recognised" in evaluation.facts["notes"][-1]


def test_network_inputs_have_no_pixels_to_make_a_mosaic_of(tmp_path: Path) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    model = onnx_cam.load(tiny.save(colours.network(), tmp_path), preprocess="unit")
    for i in range(9):
        np.save(folder / f"{i}.npy", model.network_input(colours.picture(i % 4, i)))
    (folder / "photos.csv").write_text("file,label\n" + "".join(f"{i}.npy,{i % 4}\n" for i in range(9)))
    raw = onnx_cam.load(tmp_path / "tiny.onnx", preprocess="none")
    evaluation = evaluate(
        raw, folder / "photos.csv", methods="cam", metrics="all+", steps=3, out=tmp_path / "run", report=False
    )
    notes = [note for note in evaluation.facts["notes"] if "no figure" in note]
    assert notes == [
        "grid-pointing: no figure for 9 of 9 images: a network input (.npy) has no pixels to make a mosaic of",
        "stability: no figure for 9 of 9 images: a network input (.npy) has no pixels to change",
    ]


def test_a_partner_that_changes_during_the_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx_cam.evaluation import bookkeeping

    table = colours.write_dataset(tmp_path / "photos")

    def change_one(*arguments: Any) -> Any:
        plans = draw_mosaics(*arguments)
        Image.fromarray(colours.picture(0, 99)).save(tmp_path / "photos" / "11.png")
        return plans

    monkeypatch.setattr(bookkeeping, "draw_mosaics", change_one)
    evaluation = run(tmp_path, table=table)
    assert evaluation.facts["unreadable"]
    assert all("was changed during the run" in reason for reason in evaluation.facts["unreadable"].values())


def test_the_draw_is_that_of_a_hash() -> None:
    """Written out, so that another version cannot draw otherwise unnoticed."""
    import hashlib

    paths = {f"{i:064x}": f"{i}.png" for i in range(12)}
    views = {sha256: CellView(i % 5, i % 5, 0.5) for i, sha256 in enumerate(paths)}
    plans = draw_mosaics(paths, views, dict.fromkeys(paths), seed=3)
    for i, (sha256, plan) in enumerate(plans.items()):
        order = sorted(paths, key=lambda other: hashlib.sha256(f"3 {sha256} {other}".encode()).digest())
        partners: list[str] = []
        for other in order:
            kinds = {i % 5, *(int(partner, 16) % 5 for partner in partners)}
            if len(partners) < 3 and int(other, 16) % 5 not in kinds:
                partners.append(other)
        assert [partner.sha256 for partner in plan.partners] == partners
        assert plan.cell == hashlib.sha256(f"3 {sha256}".encode()).digest()[0] % 4
    just_below = {sha256: CellView(i % 5, i % 5, 0.4999) for i, sha256 in enumerate(paths)}
    assert all(plan.reason for plan in draw_mosaics(paths, just_below, dict.fromkeys(paths), seed=3).values())


def test_the_view_in_a_cell_is_that_of_the_shrunk_and_enlarged_input(tmp_path: Path) -> None:
    from onnx_cam.evaluation.other_models import OtherModels

    model = onnx_cam.load(tiny.save(colours.network(), tmp_path), preprocess="unit")
    others = OtherModels(model, model.layer(), seed=0)
    others.settled(GridPointing())
    path = tmp_path / "a.png"
    Image.fromarray(colours.picture(2, 5)).save(path)
    expected = network_of(model, "relu1").probability(at_cell_size(model.network_input(path)).astype(np.float64))
    view, passes = others.cell_view(str(path))
    assert (view.in_cell, passes) == (int(np.argmax(expected)), 2)
    assert view.probability == pytest.approx(expected.max(), abs=1e-6)
