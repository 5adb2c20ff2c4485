"""The page for blind review, and its key."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from onnx_cam.cli.survey import survey as survey_command
from onnx_cam.drawing.overlay import draw_overlay
from onnx_cam.errors import OutputError, SettingError
from onnx_cam.evaluation import read_evaluation
from onnx_cam.evaluation.survey import Survey, make_survey
from onnx_cam.image.geometry import Geometry
from tests.evaluation.survey_run import REAL_METHODS, distinct, evaluate_tiny, handmade, noise
from tests.places import ROOT

DATA = re.compile(r'src="data:image/jpeg;base64,([^"]+)"')


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate_tiny(tmp_path_factory.mktemp("survey"))


def pictures(survey: Survey) -> dict[str, list[bytes]]:
    """Return each item's pictures: the image, then its maps from A."""
    sections = survey.page.read_text().split("<section data-item=")[1:]
    return {
        str(number): [base64.b64decode(found) for found in DATA.findall(section)]
        for number, section in enumerate(sections, 1)
    }


def pixels(jpeg: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), np.float64)


def test_nothing_in_the_page_tells_method_file_or_seed(run: Path, tmp_path: Path) -> None:
    survey = make_survey(run, tmp_path / "out", seed=987654321)
    evaluation = read_evaluation(run)
    page = DATA.sub("", survey.page.read_text()).lower()
    secrets = {*REAL_METHODS, *(name.split(":")[0] for name in REAL_METHODS), "cam", "987654321", "secret-photos"}
    secrets |= {image.name for image in evaluation.images} | {image.sha256 for image in evaluation.images}
    secrets |= {str(run).lower(), "relu2", evaluation.facts["model_sha256"]}
    assert [secret for secret in secrets - {"equal"} if secret.lower() in page] == []
    assert re.findall(r"\bequal\b", page) == []  # "equally good" is in the instructions
    assert "987654321" in survey.key_file.read_text()


def test_the_pictures_of_an_image_are_of_one_size_and_without_metadata(run: Path, tmp_path: Path) -> None:
    for of_item in pictures(make_survey(run, tmp_path / "out")).values():
        opened = [Image.open(io.BytesIO(content)) for content in of_item]
        assert len({(picture.format, picture.size, picture.mode) for picture in opened}) == 1
        assert all(not picture.getexif() and "comment" not in picture.info for picture in opened)
        assert all(content[-2:] == b"\xff\xd9" for content in of_item)  # nothing after the picture


@pytest.mark.parametrize("real", [True, False])
def test_each_letter_shows_the_map_that_the_key_says(real: bool, run: Path, tmp_path: Path) -> None:
    evaluation = read_evaluation(run) if real else handmade(distinct(6, REAL_METHODS))
    survey = make_survey(evaluation, tmp_path / "out")
    by_name = {image.name: image for image in evaluation.images}
    for number, (_, *shown) in pictures(survey).items():
        item = survey.key.items[number]
        image = by_name[item.image]
        picture = np.asarray(Image.open(io.BytesIO(image.picture)))
        geometry = Geometry(
            picture.shape[0], picture.shape[1], image.facts.crop
        )  # the small copy is as large as the image
        drawn = {
            name: draw_overlay(picture, geometry.place(evaluation.maps[image.sha256, name].cam), geometry.crop)
            for name in REAL_METHODS
        }
        for (letter, names), content in zip(item.maps.items(), shown, strict=True):
            distances = {name: np.abs(pixels(content) - overlay).mean() for name, overlay in drawn.items()}
            nearest = min(distances, key=lambda name: distances[name])
            assert distances[nearest] < 10, letter  # JPEG's loss on noise
            assert nearest in names
            others = [distances[name] for name in set(drawn) - set(names)]
            assert real or min(others) > 2 * distances[nearest]  # the real ones are much alike


def test_maps_that_look_the_same_are_shown_once(run: Path, tmp_path: Path) -> None:
    survey = make_survey(run, tmp_path / "out")
    together = [names for item in survey.key.items.values() for names in item.maps.values() if "cam" in names]
    # After global average pooling Grad-CAM is CAM, but for a factor.
    assert together == [("cam", "gradcam")] * len(survey.key.items)
    assert survey.key.alike == len(survey.key.items)
    for number, of_item in pictures(survey).items():
        assert len(of_item) == 1 + len(survey.key.items[number].maps) < 1 + len(REAL_METHODS)


def test_a_map_a_colour_apart_looks_the_same_and_two_apart_does_not(tmp_path: Path) -> None:
    cam = np.linspace(0, 1, 25, dtype=np.float32).reshape(5, 5)
    near, far = cam.copy(), cam.copy()
    near[2, 2] += 0.9 / 255
    far[2, 2] += 20 / 255
    survey = make_survey(handmade([{"a": cam, "b": near, "c": far}]), tmp_path)
    assert sorted(survey.key.items["1"].maps.values()) == [("a", "b"), ("c",)]


def test_the_same_seed_gives_the_same_survey_and_another_seed_another(run: Path, tmp_path: Path) -> None:
    first, again, other = (make_survey(run, tmp_path / str(i), seed=seed) for i, seed in enumerate((1, 1, 2)))
    assert first.page.read_bytes() == again.page.read_bytes()
    assert first.key_file.read_bytes() == again.key_file.read_bytes()
    assert other.key.survey != first.key.survey


def test_without_a_seed_each_survey_has_its_own(run: Path, tmp_path: Path) -> None:
    seeds = {make_survey(run, tmp_path / str(i)).key.seed for i in range(3)}
    assert len(seeds) == 3
    assert all(seed > 1 << 64 for seed in seeds)  # of 128 bits: fails once in 10^18 runs


def test_each_method_is_as_often_at_each_letter(tmp_path: Path) -> None:
    survey = make_survey(handmade(distinct(300, "xyz")), tmp_path, images=300, seed=5)
    places = Counter((letter, names[0]) for item in survey.key.items.values() for letter, names in item.maps.items())
    assert len(places) == 9
    # Binomial(300, 1/3): mean 100, standard deviation 8.2; the seed is fixed.
    assert all(70 < count < 130 for count in places.values())
    assert [item.image for item in survey.key.items.values()] != [f"image-{i}.png" for i in range(300)]


def test_as_many_images_are_drawn_as_were_asked_for_each_once(tmp_path: Path) -> None:
    evaluation = handmade(distinct(9, "xy"))
    drawn = [item.image for item in make_survey(evaluation, tmp_path / "4", images=4).key.items.values()]
    assert len(drawn) == len(set(drawn)) == 4
    assert len(make_survey(evaluation, tmp_path / "50").key.items) == 9


def test_images_with_a_blank_map_and_with_one_map_are_passed_over_and_counted(tmp_path: Path) -> None:
    blank = np.full((5, 5), 0.3, np.float32)
    cams = [*distinct(3, "xy"), {"x": noise(1), "y": blank}, {"x": noise(2), "y": 7 * noise(2)}]
    survey = make_survey(handmade(cams), tmp_path)
    assert {item.image for item in survey.key.items.values()} == {"image-0.png", "image-1.png", "image-2.png"}
    assert list(survey.key.left_out.values()) == [1, 1]
    with pytest.raises(OutputError, match="none of the 2 images can be shown: for 1 a method's map is empty, for 1"):
        make_survey(handmade(cams[3:]), tmp_path / "none")


def test_the_map_lies_where_the_network_looked(tmp_path: Path) -> None:
    # The image has 80×60 pixels, its small copy 40×30: the crop's middle half is 10 to 30 there.
    evaluation = handmade(distinct(1, "xy"), crop=(20, 0, 60, 60))
    image = evaluation.images[0]
    larger = replace(image, facts=replace(image.facts, width=80, height=60))
    evaluation = replace(evaluation, images=(larger,))
    _, shown, _ = (pixels(content) for content in pictures(make_survey(evaluation, tmp_path))["1"])
    colour = shown.max(axis=2) - shown.min(axis=2)
    # Chroma is kept for blocks of 16×16 pixels: those that touch the crop's edge are of no use here.
    assert colour[:, 34:].max() < 20
    assert colour[:, 17:28].mean() > 60


def test_a_class_name_is_text_and_no_markup(run: Path, tmp_path: Path) -> None:
    survey = make_survey(run, tmp_path)
    page = survey.page.read_text()
    assert "lamp & <b>shade</b>" in {item.class_name for item in survey.key.items.values()}
    assert "<b>shade</b>" not in page
    assert "lamp &amp; &lt;b&gt;shade&lt;/b&gt;" in page


def test_the_page_asks_for_nothing_from_a_network(run: Path, tmp_path: Path) -> None:
    page = DATA.sub("", make_survey(run, tmp_path).page.read_text())
    assert "default-src 'none'; img-src data:" in page
    assert re.findall(r"https?:|\b(?:src|href)=", page) == []
    assert re.findall(r"\bfetch\(|XMLHttpRequest|sendBeacon|WebSocket", page) == []


def test_another_surveys_key_is_not_overwritten(tmp_path: Path) -> None:
    evaluation = handmade(distinct(5, "xy"))
    first = make_survey(evaluation, tmp_path, seed=1)
    kept = first.key_file.read_bytes()
    make_survey(evaluation, tmp_path, seed=1)
    with pytest.raises(OutputError, match="is the key of another survey"):
        make_survey(evaluation, tmp_path, seed=2)
    assert first.key_file.read_bytes() == kept


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"methods": "x,z"}, "no method 'z'"),
        ({"methods": "x"}, "1 methods to compare; expected 2 to 26"),
        ({"methods": ""}, "0 methods"),
        ({"images": 0}, "images=0; expected at least 1"),
        ({"seed": -1}, "seed=-1; expected at least 0"),
    ],
)
def test_wrong_settings_are_refused_and_leave_nothing(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=message):
        make_survey(handmade(distinct(2, "xy")), tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_to_send_and_what_to_keep(run: Path, tmp_path: Path) -> None:
    words = [str(run), "--images", "3", "--methods", "scorecam,equal", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(survey_command, words)
    assert result.exit_code == 0
    assert f"for the reviewers: {tmp_path / 'out' / 'survey.html'}" in result.stdout
    assert f"not for the reviewers: {tmp_path / 'out' / 'key.json'}" in result.stdout
    printed = CliRunner().invoke(survey_command, [*words[:-1], str(tmp_path / "other"), "--json", "--seed", "1"])
    content = json.loads(printed.stdout)
    assert content["images"] == 3
    assert content["methods"] == ["scorecam", "equal"]
    assert content["survey"] in (tmp_path / "other" / "survey.html").read_text()


def test_a_survey_needs_no_extra(run: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from onnx_cam.evaluation.survey import make_survey\n"
        "print(make_survey(*sys.argv[1:]).page)"
    )
    command = [sys.executable, "-c", code, str(run), str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout.strip() == str(tmp_path / "out" / "survey.html")
