"""What reviewers' answers are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from onnx_cam.cli.survey import survey_score as score_command
from onnx_cam.errors import AnswersError, OutputError
from onnx_cam.evaluation.survey import score_survey
from onnx_cam.evaluation.survey.agreement import agreement
from onnx_cam.evaluation.survey.key import Item, Key
from onnx_cam.metrics.interval import Interval, mean_interval, ratio_interval

METHODS = ("scorecam", "sscam2", "cam", "gradcam")
LETTERS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"A": ("sscam2",), "B": ("scorecam",), "C": ("cam", "gradcam")},
    {"A": ("cam", "gradcam"), "B": ("sscam2",), "C": ("scorecam",)},
    {"A": ("scorecam",), "B": ("cam",), "C": ("sscam2",), "D": ("gradcam",)},
)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    items = {str(i): Item(f"{i}.png", f"{i:064x}", "owl", maps) for i, maps in enumerate(LETTERS, 1)}
    key = Key("0123456789abcdef", 7, dict.fromkeys(METHODS, "key"), items, {"blank": 2}, {})
    (tmp_path / "survey").mkdir()
    (tmp_path / "survey" / "key.json").write_bytes(key.as_json())
    return tmp_path / "survey"


def save(folder: Path, name: str, answers: Any, reviewer: Any = None, **other: Any) -> Path:
    content = {"version": 1, "survey": "0123456789abcdef", "reviewer": reviewer or name, "answers": answers, **other}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def values(shares: Any) -> list[float | None]:
    return [share.value for share in shares.values()]


def test_shares_are_those_computed_by_hand(survey: Path, tmp_path: Path) -> None:
    one = save(tmp_path, "one", {"1": ["A"], "2": ["B", "C"], "3": ["not sure"]})
    two = save(tmp_path, "two", {"1": ["B", "C"], "2": ["not sure"]})
    score = score_survey(survey, [one, two])
    # one: sscam2 1; sscam2 and scorecam 1/2 each; not sure. two: scorecam, cam and gradcam 1/3 each; not sure.
    sums = [1 / 2 + 1 / 3, 1 + 1 / 2, 1 / 3, 1 / 3]
    assert values(score.shares) == pytest.approx([total / 5 for total in sums])
    assert score.not_sure.value == pytest.approx(2 / 5)
    assert values(score.sure_shares) == pytest.approx([total / 3 for total in sums])
    assert (score.answers, score.unanswered, score.images) == (5, 1, 3)
    assert list(score.shares) == list(METHODS)
    assert [share.n for share in score.shares.values()] == [3] * 4
    assert [share.n for share in score.sure_shares.values()] == [2] * 4
    assert (score.left_out, score.alike) == ({"blank": 2}, 2)
    first, second = score.reviewers
    assert (first.name, first.answered, first.unanswered) == ("one", 3, 0)
    assert first.shares == pytest.approx({"scorecam": 1 / 6, "sscam2": 1 / 2, "cam": 0, "gradcam": 0})
    assert (second.unanswered, second.not_sure) == (1, 1 / 2)


def test_agreement_of_two_is_that_computed_by_hand(survey: Path, tmp_path: Path) -> None:
    one = save(tmp_path, "one", {"1": ["A"], "2": ["B", "C"], "3": ["A"]})
    two = save(tmp_path, "two", {"1": ["A"], "2": ["C"], "3": ["not sure"]})
    found = score_survey(survey, [one, two]).agreement
    assert found is not None
    assert found.overlap == pytest.approx((1 + 1 / 2 + 0) / 3)
    # The answers: sscam2 twice, half scorecam and half sscam2 once, scorecam twice, not sure once; 36 pairs of six.
    chance = (2 * 2 + 2 * 2 * 0.5 + 1 + 2 * 2 * 0.5 + 2 * 2 + 1) / 36
    assert found.by_chance == pytest.approx(chance)
    assert found.kappa == pytest.approx((0.5 - chance) / (1 - chance))
    assert found.images == 3


def test_single_answers_give_fleiss_kappa() -> None:
    # The worked example of "Fleiss' kappa" in textbooks and encyclopedias: 14 raters, 10 subjects, 5 categories; its
    # mean agreement is 0.378, that by chance 0.213, kappa 0.210.
    table = np.array(
        [
            *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
            *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
        ]
    )
    found = agreement([list(np.repeat(np.eye(5), row, axis=0)) for row in table])
    assert found is not None
    assert found.overlap == pytest.approx(0.378, abs=5e-4)
    assert found.by_chance == pytest.approx(0.213, abs=5e-4)
    assert found.kappa == pytest.approx(0.210, abs=5e-4)


def test_the_same_several_maps_are_full_agreement() -> None:
    half, other = np.array([0.5, 0.5, 0]), np.array([0.0, 0, 1])
    found = agreement([[half, half], [other, other]])
    assert found is not None
    assert (found.overlap, found.by_chance, found.kappa) == (1, 0.5, 1)


def test_without_two_answers_for_an_image_there_is_no_agreement(survey: Path, tmp_path: Path) -> None:
    one, two = save(tmp_path, "one", {"1": ["A"]}), save(tmp_path, "two", {"2": ["A"]})
    assert score_survey(survey, [one]).agreement is None
    assert score_survey(survey, [one, two]).agreement is None
    same = agreement([[np.array([1.0, 0]), np.array([1.0, 0])]])
    assert same is not None
    assert same.kappa is None


def test_where_all_are_unsure_the_shares_of_the_sure_are_unknown(survey: Path, tmp_path: Path) -> None:
    score = score_survey(survey, [save(tmp_path, "one", {"1": ["not sure"], "2": ["not sure"]})])
    assert score.not_sure == Interval(1, 1, 1, 2)
    assert values(score.shares) == [0] * 4
    assert set(score.sure_shares.values()) == {Interval(None, None, None, 0)}


def test_a_ratio_of_one_value_an_image_is_the_mean_and_its_interval() -> None:
    numbers = np.random.default_rng(0).random(30)
    ratio, mean = ratio_interval(numbers, np.ones(30)), mean_interval(numbers)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((mean.value, mean.low, mean.high))


def test_the_interval_of_a_ratio_draws_whole_images() -> None:
    # Ten answers for an image that all say the same are no surer than one.
    numbers = (np.arange(40) % 2).astype(np.float64)
    one, ten = ratio_interval(numbers, np.ones(40)), ratio_interval(10 * numbers, np.full(40, 10.0))
    assert (ten.value, ten.low, ten.high) == pytest.approx((one.value, one.low, one.high))
    # The standard error of 40 draws at 1/2 is 0.079: 1.96 of it on each side.
    assert one.low == pytest.approx(0.5 - 1.96 * 0.079, abs=0.03)


@pytest.mark.parametrize(
    ("answers", "other", "message"),
    [
        (
            {"1": ["A"]},
            {"survey": "feedfeedfeedfeed"},
            "belongs to the survey feedfeedfeedfeed, not to 0123456789abcdef",
        ),
        ({"1": ["A"]}, {"version": 2}, "has version 2, expected 1"),
        ({"1": ["A"]}, {"reviewer": "  "}, "does not name a reviewer"),
        ({"1": ["A"]}, {"reviewer": 7}, "does not name a reviewer"),
        ({"1": ["A"]}, {"reviewer": "x" * 201}, "does not name a reviewer"),
        ({}, {}, "holds no answers"),
        (["A"], {}, "holds no answers"),
        ({"4": ["A"]}, {}, "has an answer for image '4'; expected images 1 to 3"),
        ({"1": ["D"]}, {}, r"answers \[\"D\"\] for image 1; expected some of A, B, C"),
        ({"1": ["A", "A"]}, {}, "expected some of A, B, C, each once"),
        ({"1": ["A", "not sure"]}, {}, "for image 1; expected some of"),
        ({"1": []}, {}, r"answers \[\] for image 1"),
        ({"1": "A"}, {}, 'answers "A" for image 1'),
        ({"1": [1]}, {}, r"answers \[1\] for image 1"),
        ({"1": [["A"]]}, {}, "for image 1; expected some of"),
        ({"1": None}, {}, "answers null for image 1"),
    ],
)
def test_wrong_answers_are_refused_in_a_line(
    answers: Any, other: dict[str, Any], message: str, survey: Path, tmp_path: Path
) -> None:
    path = save(tmp_path, "one", answers, **other)
    with pytest.raises(AnswersError, match=message) as caught:
        score_survey(survey, [path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b'{"version": 1, "sur', "is not valid JSON"),
        (b"\xff\xfe\x00garbage", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"version": 1' + b" " * 1_000_000 + b"}", "is larger than 1000000 bytes"),
        (b"[]", "is not a file of answers"),
        (b"null", "is not a file of answers"),
        (b'{"version": 1}', "is not a file of answers"),
    ],
)
def test_damaged_files_are_refused_in_a_line(content: bytes, message: str, survey: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(AnswersError, match=message):
        score_survey(survey, [tmp_path / "bad.json"])


def test_the_same_reviewer_twice_is_refused(survey: Path, tmp_path: Path) -> None:
    one = save(tmp_path, "one", {"1": ["A"]}, "Ada Lovelace")
    two = save(tmp_path, "two", {"1": ["B"]}, "  ada LOVELACE ")
    with pytest.raises(AnswersError, match="are both by the reviewer"):
        score_survey(survey, [one, two])


def test_no_file_and_a_missing_file_are_refused(survey: Path, tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match="no answers; expected"):
        score_survey(survey, [])
    with pytest.raises(AnswersError, match="No such file"):
        score_survey(survey, [tmp_path / "missing.json"])
    with pytest.raises(AnswersError, match="cannot read"):
        score_survey(survey, [tmp_path])


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"version": 9}', '{"version": 1, "items": {"1": 3}}'])
def test_a_damaged_or_missing_key_is_refused(damage: str, survey: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no survey in"):
        score_survey(tmp_path / "nowhere", [])
    (survey / "key.json").write_text(damage)
    with pytest.raises(OutputError, match=r"cannot read '.*' as the key of a survey"):
        score_survey(survey, [])


def test_the_command_prints_percentages_or_json(survey: Path, tmp_path: Path) -> None:
    files = [str(save(tmp_path, name, {"1": ["A"], "2": ["not sure"]})) for name in ("one", "two")]
    printed = CliRunner().invoke(score_command, [str(survey), *files])
    assert printed.exit_code == 0
    assert "sscam2    50.0 (0.0–100.0)" in printed.stdout
    assert "100.0 (100.0–100.0)" in printed.stdout
    assert "4 answers by 2 reviewers to 3 images; 2 answers are missing" in printed.stdout
    assert "kappa 1.000 (2 images)" in printed.stdout
    content = json.loads(CliRunner().invoke(score_command, [str(survey), *files, "--json"]).stdout)
    assert content["shares"]["sscam2"]["value"] == 0.5
    assert set(content["shares"]["sscam2"]) == {"value", "low", "high", "n"}
    assert content["not_sure"]["value"] == 0.5
    assert content["reviewers"][0]["name"] == "one"
    assert content["agreement"]["kappa"] == 1
