"""The report of two builds: it says what changed, shows it, and is one file for every screen."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import onnx_cam
import onnx_cam.builds.report
from onnx_cam.builds.along import AlongTheNetwork, TensorDistance
from onnx_cam.builds.gates import judge, read_gates
from onnx_cam.builds.report import write_report
from onnx_cam.builds.report.charts import draw_along, draw_distances
from onnx_cam.builds.report.findings import describe_figures, find_verdict
from onnx_cam.builds.result import Diff
from onnx_cam.drawing.charts import COLOURS
from onnx_cam.errors import MissingExtraError
from onnx_cam.metrics.interval import Interval
from tests.builds.made import NAMES, noisy, write_build, write_photos
from tests.page import Page

NOTHING = Interval(None, None, None, 0)
FIGURES = dict.fromkeys(("flips", "negative_flips", "drift", "map_distance", "noise_floor", "maps", "changed"), NOTHING)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Diff:
    """Return a comparison with a build that is damaged in its second convolution."""
    folder = tmp_path_factory.mktemp("builds")
    photos = write_photos(folder / "photos", 12, size=(30, 60))
    old = write_build(folder, "old.onnx", names=NAMES)
    new = write_build(folder, "new <b>.onnx", names=NAMES, w2=noisy(3.0))
    return onnx_cam.diff(old, new, str(photos), preprocess="unit", layers=True)


def render(diff: Diff, folder: Path) -> str:
    write_report(diff, folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def shown(page: Page) -> str:
    return " ".join(page.text.split())


def test_the_page_is_whole_and_holds_everything_itself(damaged: Diff, tmp_path: Path) -> None:
    text = render(damaged, tmp_path)
    page = Page(text)
    assert page.open == []
    assert not page.all("script") + page.all("link") + page.all("iframe")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert not re.findall(r"https?://(?!www\.w3\.org)", text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(link["href"][1:] in ids for link in page.all("a"))


def test_the_first_screen_says_what_changed_before_anything_else(damaged: Diff, tmp_path: Path) -> None:
    text = shown(Page(render(damaged, tmp_path)))
    flips = damaged.figures["flips"]
    assert flips.value
    sentence = f"The most likely class differs on {round(12 * flips.value)} of 12 images"
    headline = find_verdict(damaged.gates).headline
    assert text.index("What changed") < text.index(headline) < text.index(sentence) < text.index("Those whose maps")
    assert "The activations first diverge at conv2 (Conv, tensor 3 of 4)" in text


def test_an_image_stands_beside_both_maps_with_their_scores(damaged: Diff, tmp_path: Path) -> None:
    page = Page(render(damaged, tmp_path))
    worst = damaged.worst[0]
    alts = [image["alt"] for image in page.all("img")[:3]]
    name = NAMES[worst.old.predicted]
    assert alts == [
        f"{worst.name}, as given",
        f"Map of the old build on {worst.name}: {name} · {worst.old.probability:.3f}",
        f"Map of the new build on {worst.name}: {name} · {worst.new.probability:.3f}",
    ]
    assert len(page.all("img")) == 3 * 8


def test_the_same_comparison_gives_the_same_bytes(damaged: Diff, tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    first.mkdir()
    again.mkdir()
    assert render(damaged, first) == render(damaged, again)


def test_equal_builds_pass_and_have_no_worst_images(tmp_path: Path) -> None:
    path = write_build(tmp_path, "old.onnx")
    same = onnx_cam.diff(path, path, str(write_photos(tmp_path / "photos", 6)), preprocess="unit")
    page = Page(render(same, tmp_path))
    assert "Both gates passed" in page.text
    assert "The most likely class is the same on all 6 images" in shown(page)
    assert not page.all("img")
    assert "Worst images" not in page.text
    assert "Along the network" not in page.text


def test_names_are_escaped(damaged: Diff, tmp_path: Path) -> None:
    text = render(damaged, tmp_path)
    assert "new &lt;b&gt;.onnx" in text
    assert "<b>.onnx" not in text


def test_arrays_in_place_of_pictures_have_maps_on_grey(tmp_path: Path) -> None:
    import numpy as np

    from tests import tiny

    folder = tmp_path / "inputs"
    folder.mkdir()
    for seed in range(5):
        np.save(folder / f"{seed}.npy", tiny.image(seed))
    old, new = write_build(tmp_path, "old.onnx"), write_build(tmp_path, "new.onnx", w2=noisy(3.0))
    found = onnx_cam.diff(old, new, str(folder), preprocess="none")
    assert len(Page(render(found, tmp_path)).all("img")) == 3 * 5


def test_without_matplotlib_the_extra_is_named(damaged: Diff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'onnx-cam\[report\]'"):
        write_report(damaged, tmp_path)
    assert not (tmp_path / "report.html").exists()


# --------------------------------------------------------------------------------------------------------------------
# Words.


@pytest.mark.parametrize(
    ("flips", "maps", "state", "headline"),
    [
        (Interval(0.0, 0.0, 0.02, 200), Interval(1.0, 0.5, 2.0, 100), "passed", "Both gates passed"),
        (Interval(0.2, 0.15, 0.3, 200), Interval(1.0, 0.5, 2.0, 100), "failed", "1 of 2 gates failed"),
        (Interval(0.0, 0.0, 0.7, 3), Interval(9.0, 8.0, 10.0, 3), "open", "No gate could be judged"),
        (Interval(0.0, 0.0, 0.02, 200), NOTHING, "passed", "1 of 2 gates passed, the others could not be judged"),
    ],
)
def test_the_verdict_in_words(flips: Interval, maps: Interval, state: str, headline: str) -> None:
    verdict = find_verdict(judge(read_gates(["flips>5%", "maps>3"]), FIGURES | {"flips": flips, "maps": maps}))
    assert (verdict.state, verdict.headline) == (state, headline)


def sentences(**figures: Interval) -> list[str]:
    return [one.replace(chr(160), " ") for one in describe_figures(FIGURES | figures)]


def test_what_has_no_value_is_not_spoken_of() -> None:
    assert sentences() == ["No maps could be compared."]


def test_the_sentences_tell_counts_and_intervals() -> None:
    assert sentences(
        negative_flips=Interval(0.1, 0.03, 0.3, 20),
        drift=Interval(0.034, 0.02, 0.05, 24),
        maps=Interval(4.513, 3.61, 6.59, 24),
        changed=Interval(0.5, 0.31, 0.69, 24),
    ) == [
        "Of 20 images with a label that the old build gets right, the new one gets 2 wrong (10.0 %, interval 3.0 % to "
        "30.0 %).",
        "The probability of the old build's class changes by 3.4 percentage points on average (interval 2.0 to 5.0).",
        "The distance between the two builds' maps is 4.5 times that caused by noise of 2 grey levels, which nobody "
        "can see (interval 3.6 to 6.6).",
        "On 12 of 24 images the maps are more than two noise floors apart (50.0 %, interval 31.0 % to 69.0 %).",
    ]


# --------------------------------------------------------------------------------------------------------------------
# Charts.


def test_the_distribution_counts_every_image_once() -> None:
    distances, floors = [0.05, 0.2, 0.2, 1.4], [0.03, 0.03, 0.04, 0.05]
    chart = draw_distances(distances, floors, 0.07)
    assert sum(int(line[1]) for line in chart.lines) == 4
    assert sum(int(line[2]) for line in chart.lines) == 4
    assert "median 0.200" in chart.svg
    assert "A map counts as changed above 0.070" in chart.svg


def test_equal_maps_can_be_drawn() -> None:
    assert draw_distances([0.0] * 5, [0.0] * 5, 0.0).lines[0][1:] == ["5", "5"]


def test_the_line_chart_marks_where_the_builds_part() -> None:
    tensors = [TensorDistance(f"t{i}", f"t{i}", "Conv", (6, 5, 5), 0.01 * 10**i, 0.02) for i in range(3)]
    chart = draw_along(AlongTheNetwork(tuple(tensors), 8))
    assert [line[-1] for line in chart.lines] == ["no", "yes", "yes"]
    assert "They first diverge at t1." in chart.svg
    assert "first divergence" in chart.svg
    assert "first divergence" not in draw_along(AlongTheNetwork(tuple(tensors[:1]), 8)).svg


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_stand_out_in_light_and_dark() -> None:
    style = (Path(onnx_cam.builds.report.__file__).parent / "report.css.jinja").read_text()
    schemes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in style.split("prefers-color-scheme")]
    assert [schemes[0][f"line-{i}"] for i in range(len(COLOURS))] == list(COLOURS)
    for scheme in schemes:
        for ground in ("back", "wash"):
            for name, colour in scheme.items():
                bright, dark = sorted((luminance(colour), luminance(scheme[ground])), reverse=True)
                if name in ("text", "faint", "accent", "alarm", "good"):
                    assert (bright + 0.05) / (dark + 0.05) >= 4.5, name
