"""What the report is made of: rankings, tables, curves, pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import onnx_cam.evaluation.report
from onnx_cam.drawing.charts import COLOURS
from onnx_cam.evaluation.report.charts import draw_charts
from onnx_cam.evaluation.report.examples import choose_criterion, draw_example, show_examples
from onnx_cam.evaluation.report.tables import methods_table, models_tables
from onnx_cam.evaluation.report.wins import win_table
from onnx_cam.evaluation.report.wording import explained, figure, label, span
from onnx_cam.evaluation.results.records import SeenImage
from onnx_cam.evaluation.results.summary import summarise
from onnx_cam.evaluation.verdict.ranking import rank
from onnx_cam.metrics import AverageDrop, Deletion, Insertion, Metric, Specificity, Win
from onnx_cam.metrics.interval import mean_band, mean_interval
from tests.evaluation import made
from tests.page import Page

NOISE = np.random.default_rng(0).normal(0, 1, (3, 40))
NOISE -= NOISE.mean(axis=1, keepdims=True)
HARD = np.linspace(0, 80, 40)  # some images are harder than others, for all methods alike


def test_a_small_difference_on_every_image_is_told_apart_whatever_the_images() -> None:
    values = {"a": [*(HARD + 5 + NOISE[0])], "b": [*(HARD + NOISE[1])], "c": [*(HARD + 0.1 + NOISE[2])]}
    found = made.evaluation({AverageDrop(): values})
    assert rank(found, AverageDrop()).best == ("b",)
    assert rank(found, AverageDrop()).level == ("c",)  # though the intervals of all three means overlap
    assert rank(made.evaluation({Insertion(): values}), Insertion()).best == ("a",)


def test_few_images_tell_nothing_apart() -> None:
    for number, level in ((9, ("a",)), (10, ())):
        values = {"a": [1.0] * number, "b": [2.0] * number}
        assert rank(made.evaluation({Insertion(): values}), Insertion()).level == level


def test_equal_means_have_no_best_or_more_than_one() -> None:
    assert rank(made.evaluation({Insertion(): {"a": [1.0] * 12, "b": [1.0] * 12}}), Insertion()).best == ()
    values = {"a": [1.0] * 12, "b": [1.0 - 1e-9] * 12, "c": [0.0] * 12}
    assert rank(made.evaluation({Insertion(): values}), Insertion()).best == ("a", "b")


def test_too_many_empty_maps_do_not_win() -> None:
    values = {"a": [9.0] * 200, "b": [2.0] * 200, "c": [1.0] * 200}
    for empty, best in ((2, "a"), (3, "b")):  # of 200: 1 %, and more
        found = made.evaluation({Insertion(): values}, empty={"a": range(empty)})
        assert rank(found, Insertion()).best == (best,)
        assert methods_table(found, summarise(found)).lines[0].empty == empty


@pytest.mark.parametrize("metric", [Win(), Specificity()])
def test_some_metrics_rank_nothing(metric: Metric) -> None:
    assert rank(made.evaluation({metric: {"a": [1.0] * 12, "b": [2.0] * 12}}), metric).best == ()


def test_the_table_says_what_was_found() -> None:
    values: made.Values = {"a": [10.0] * 11 + [None], "b": [20.0] * 12}
    found = made.evaluation({AverageDrop(): values, Win(): values})
    table = methods_table(found, summarise(found))
    assert [column.title for column in table.columns] == ["Average Drop"]
    first, second = (line.cells[0] for line in table.lines)
    assert (first.value, first.interval, first.n, first.is_best) == ("10.0", "[10.0, 10.0]", 11, True)
    assert (second.value, second.n, second.is_best, second.is_level) == ("20.0", None, False, False)
    (finding,) = table.findings
    assert (finding.best, finding.value, finding.level) == (["a"], "10.0 %", [])
    assert (table.lines[0].passes, table.lines[0].seconds) == ("3", "0.50")


def test_the_number_of_images_stands_where_it_is_not_all() -> None:
    values: made.Values = {"a": [None, *[1.0] * 11], "b": [None, *[2.0] * 11], "c": [None, None, *[2.0] * 10]}
    found = made.evaluation({AverageDrop(): values})
    table = methods_table(found, summarise(found))
    assert table.columns[0].n == 11
    assert [line.cells[0].n for line in table.lines] == [None, None, 10]


def test_models_are_compared_where_they_were_measured_the_same_way() -> None:
    values = {"a": [1.0] * 12, "b": [2.0] * 12}
    runs = [
        made.evaluation({Insertion(): values, Deletion(steps=5): values}),
        made.evaluation({Insertion(): {"b": [3.0] * 12}, Deletion(steps=6): {"b": [3.0] * 12}}),
    ]
    (table,) = models_tables(runs, [summarise(run) for run in runs], ["one", "two"])
    assert table.column.title == "Insertion"
    assert [name for name, _ in table.lines] == ["a", "b"]
    assert table.lines[0][1][1] is None
    cell = table.lines[1][1][1]
    assert cell is not None
    assert cell.value == "3.000"


def test_wins_count_ties_apart() -> None:
    values = {"a": [0.1] * 6 + [0.5] * 3 + [0.3], "b": [0.3] * 10}
    found = made.evaluation({Win(): values})
    table = win_table(found, summarise(found))
    assert table is not None
    ours, theirs = table.lines[0][1][1], table.lines[1][1][0]
    assert ours is not None
    assert theirs is not None
    assert (ours.value, ours.ties, theirs.value, theirs.ties) == ("60.0", "10.0", "30.0", "10.0")
    assert table.lines[0][1][0] is None
    assert not ours.is_clear  # 60 % of ten images can be chance


def test_the_band_is_the_interval_of_each_point() -> None:
    curves = np.random.default_rng(1).random((7, 5))
    band = mean_band(curves)
    for i in range(5):
        interval = mean_interval(curves[:, i])
        np.testing.assert_allclose(
            band[:, i], np.array([interval.value, interval.low, interval.high], float), rtol=1e-12
        )


def test_a_chart_shows_the_mean_of_the_maps_that_are_not_empty() -> None:
    curves = {"a$x$": [[0.0, 0.5, 1.0]] * 3, "b<b>": [[0.0, 0.0, 0.2], [0.0, 0.0, 0.4], [9.0, 9.0, 9.0]]}
    values = {"a$x$": [0.5] * 3, "b<b>": [0.05, 0.1, 9.0]}
    (chart,) = draw_charts(made.evaluation({Insertion(): values}, empty={"b<b>": [2]}, curves=curves), "p")
    assert chart.columns == ["a$x$", "b<b>"]
    assert [line[0] for line in chart.lines] == ["0", "50", "100"]
    assert chart.lines[2][1:] == ["1.000 [1.000, 1.000]", "0.300 [0.200, 0.400]"]
    page = Page(chart.svg)
    assert page.open == []
    assert "a$x$  0.500" in page.text
    assert "b<b> †  0.075" in page.text  # a third of its maps are empty
    assert chart.has_uncompared
    assert "b<b> 0.075 (2 images)" in page.text
    assert not re.search(r"#[0-9a-f]{6}\b", chart.svg)  # the page's colours alone
    for series in ("--line-0", "--line-1"):
        assert f"var({series})" in chart.svg


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    curve = [*np.linspace(1, 0, 1001)]
    figures: made.Figures = {Deletion(steps=1000): {"a": [0.5] * 2}}
    (chart,) = draw_charts(made.evaluation(figures, curves={"a": [curve] * 2}), "p")
    assert len(chart.lines) == 101
    assert (chart.lines[0][1], chart.lines[-1][1]) == ("1.000 [1.000, 1.000]", "0.000 [0.000, 0.000]")


def test_many_methods_have_lines_of_their_own() -> None:
    names = [f"method {i}" for i in range(16)]
    figures: made.Figures = {Insertion(): dict.fromkeys(names, [0.5] * 2)}
    (chart,) = draw_charts(made.evaluation(figures, curves=dict.fromkeys(names, [[0.0, 1.0]] * 2)), "p")
    lines = re.findall(r'style="(fill: none;[^"]*stroke: var\(--line-\d\); stroke-width: 1.8[^"]*)"', chart.svg)
    assert len(lines) == 2 * 16  # in the chart, and in its legend
    assert len(set(lines)) == 16


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_stand_out_in_light_and_dark() -> None:
    style = (Path(onnx_cam.evaluation.report.__file__).parent / "report.css.jinja").read_text()
    schemes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in style.split("prefers-color-scheme")]
    assert [schemes[0][f"line-{i}"] for i in range(len(COLOURS))] == list(COLOURS)
    for scheme in schemes:
        for name, colour in scheme.items():
            bright, dark = sorted((luminance(colour), luminance(scheme["back"])), reverse=True)
            ratio = (bright + 0.05) / (dark + 0.05)
            if name in ("text", "faint", "accent", "alarm"):
                assert ratio >= 4.5, name
            elif name.startswith("line-"):
                assert ratio >= 3, name


def test_examples_are_the_best_the_median_and_the_worst() -> None:
    insertion, deletion = [0.5, 0.9, 0.1, 0.7, 0.3], [0.1] * 5
    found = made.evaluation({Insertion(): {"a": insertion}, Deletion(): {"a": deletion}}, empty={"a": [1]})
    gallery = show_examples(found)
    assert gallery is not None
    assert gallery.title == "Insertion minus Deletion"
    ((_, examples, note),) = gallery.groups
    assert [(one.case, one.image, one.value) for one in examples] == [
        ("best", "3.png", "0.600"),  # that of 1.png is empty
        ("median", "0.png", "0.400"),
        ("worst", "2.png", "0.000"),
    ]
    assert note == "1 empty map left out."
    assert not gallery.has_boxes


def test_what_examples_are_chosen_by() -> None:
    values = {"a": [1.0, 2.0]}
    for metrics, title in (
        ([Specificity(), Insertion(), AverageDrop()], "Average Drop"),
        ([Specificity(), Win(), Deletion()], "Deletion"),
        ([Specificity(), Win()], None),
    ):
        criterion = choose_criterion(made.evaluation(dict.fromkeys(metrics, values)))
        assert (criterion.title if criterion else None) == title
    gallery = show_examples(made.evaluation({Deletion(): values}))
    assert gallery is not None
    assert [(one.case, one.value) for one in gallery.groups[0][1]] == [("best", "1.000"), ("worst", "2.000")]


def test_a_map_lies_where_the_network_looked() -> None:
    facts = made.image_facts(width=400, height=200, crop=(100, 0, 300, 200), boxes=((200.0, 50.0, 300.0, 150.0),))
    image = SeenImage("0", "a", "a", facts, made.jpeg(200, 100))
    plain = draw_example(replace(image, facts=replace(facts, boxes=())), np.eye(3, dtype=np.float32))
    assert plain.shape == (100, 200, 3)
    assert (np.ptp(plain[:, :50].astype(int), axis=2) == 0).all()  # grey outside
    assert (np.ptp(plain[:, 55:145].astype(int), axis=2) > 0).all()  # and coloured within
    assert plain[5, 55, 0] > plain[5, 55, 2]  # L is 1 in the corner: red; 0 beside it: blue
    assert plain[5, 145, 2] > plain[5, 145, 0]
    drawn = draw_example(image, np.eye(3, dtype=np.float32))
    changed = np.flatnonzero((drawn != plain).any(axis=2).any(axis=0))
    assert (changed.min(), changed.max()) == (100, 149)
    rows = np.flatnonzero((drawn != plain).any(axis=2).any(axis=1))
    assert (rows.min(), rows.max()) == (25, 74)


@pytest.mark.parametrize("crop", [(0, 0, 1, 1), (3999, 1999, 4000, 2000), (0, 0, 4000, 2000)])
def test_a_tiny_crop_of_a_large_image(crop: tuple[int, int, int, int]) -> None:
    facts = made.image_facts(width=4000, height=2000, crop=crop, boxes=((0.0, 0.0, 0.5, 0.5),))
    image = SeenImage("0", "a", "a", facts, made.jpeg(400, 200))
    assert draw_example(image, np.eye(3, dtype=np.float32)).shape == (150, 300, 3)


def test_numbers_in_words() -> None:
    assert figure(None) == "–"
    assert figure(-0.0001) == "0.000"
    assert figure(-1.26, "%") == "−1.3"
    assert span(0.1, 0.25) == "[0.100, 0.250]"
    assert span(None, None) == ""
    assert label("a\nb\x00c") == "a b c"
    assert len(label("x" * 1000)) == 200
    pieces = explained(AverageDrop())
    assert pieces[0] == ("100 · max(0, Y − O) / Y", True)
    assert not pieces[1][1]
