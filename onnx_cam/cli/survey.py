"""The commands of the survey: make its page, and score the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from onnx_cam.cli import terminal
from onnx_cam.cli.command import Command
from onnx_cam.cli.echo import echo, echo_json, say

if TYPE_CHECKING:
    from onnx_cam.evaluation.survey import Survey, SurveyScore
    from onnx_cam.metrics.interval import Interval

__all__ = ["survey", "survey_score"]


@click.command(cls=Command)
@click.argument("run", type=click.Path())
@click.option("--images", type=click.IntRange(min=1), default=50, show_default=True, help="Number of images to show.")
@click.option(
    "--methods",
    metavar="NAME[,…]",
    help="Methods to compare, as they are named in the run's tables; by default all of them, without the controls.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Random seed, to make the same survey again; a new, secret one by default.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    default="survey",
    show_default=True,
    help="Folder to write the page and the key to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", is_flag=True, help="Print no notes.")
def survey(run: str, out: str, as_json: bool, quiet: bool, **settings: Any) -> None:
    """Make a web page on which people choose the maps that they trust, without knowing which method made which.

    RUN is the folder that onnx-cam evaluate wrote. The page is one file that works offline: each image with the
    methods' maps, in random order and named A, B, C. Send survey.html to the reviewers, but not key.json, which says
    which method made which map.

    \b
    Example:
      onnx-cam survey RUN/ --images 50 --methods gradcam,scorecam,sscam1,sscam2 -o survey/
    """
    from onnx_cam.evaluation.survey import make_survey

    made = make_survey(run, out, **settings)
    if not quiet:
        _say_notes(made, settings["images"])
    if as_json:
        echo_json(made.describe())
        return
    echo(f"survey {made.key.survey}: {len(made.key.items)} images, {len(made.key.methods)} methods")
    echo(f"  for the reviewers: {made.page} ({made.page.stat().st_size / 1e6:.1f} MB)")
    echo(f"  not for the reviewers: {made.key_file}")


def _say_notes(made: Survey, requested: int) -> None:
    if made.progress:
        say(f"the run is not finished: the images are drawn from {made.progress}")
    for reason, number in made.key.left_out.items():
        if number:
            say(f"{_images(number)} left out: {reason}")
    if made.key.alike:
        say(f"{_images(made.key.alike)} where the maps of several methods look the same, and are shown once")
    if len(made.key.items) < requested:
        say(f"only {_images(len(made.key.items))} instead of {requested}: the run has no more to show")


@click.command("survey-score", cls=Command)
@click.argument("folder", type=click.Path(), metavar="SURVEY")
@click.argument("answers", type=click.Path(), nargs=-1, required=True, metavar="ANSWERS.json...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def survey_score(folder: str, answers: tuple[str, ...], as_json: bool) -> None:
    """Count the answers to a survey: how often reviewers chose each method's map.

    SURVEY is the folder that onnx-cam survey wrote; each reviewer's page saved one ANSWERS.json. An answer to an image
    has a weight of 1, which is shared if several maps were ticked. The intervals are 95 % bootstraps over images.

    \b
    Example:
      onnx-cam survey-score survey/ answers/*.json
    """
    from onnx_cam.evaluation.survey import score_survey

    score = score_survey(folder, answers)
    if as_json:
        echo_json(score.describe())
    else:
        _show(score)


def _show(score: SurveyScore) -> None:
    rows = [(name, _percent(share), _percent(score.sure_shares[name])) for name, share in score.shares.items()]
    header = ("method", "% of answers (95 % interval)", "% without “not sure” (95 % interval)")
    terminal.show_table(header, [*rows, ("not sure", _percent(score.not_sure), "")])
    echo()
    echo(
        f"{score.answers} answers by {len(score.reviewers)} reviewers to {score.images} images; "
        f"{score.unanswered} answers are missing"
    )
    for reason, number in score.left_out.items():
        if number:
            echo(f"{_images(number)} left out of the survey: {reason}")
    if score.agreement is None:
        echo("agreement: unknown, because no image has two answers")
        return
    same = score.agreement.kappa is None
    kappa = "undefined, because all answers are the same" if same else f"{score.agreement.kappa:.3f}"
    echo(
        f"agreement: overlap {score.agreement.overlap:.3f}, by chance {score.agreement.by_chance:.3f}, kappa {kappa} "
        f"({_images(score.agreement.images)})"
    )


def _images(number: int) -> str:
    return f"{number} image" if number == 1 else f"{number} images"


def _percent(share: Interval) -> str:
    if share.value is None or share.low is None or share.high is None:
        return "–"
    return f"{100 * share.value:.1f} ({100 * share.low:.1f}–{100 * share.high:.1f})"
