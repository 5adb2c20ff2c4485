"""The commands of the blind review: make its page, and score its answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from onnx_cam.cli import terminal

if TYPE_CHECKING:
    from onnx_cam.evaluation.survey import Survey, SurveyScore
    from onnx_cam.metrics.interval import Interval

__all__ = ["survey", "survey_score"]


@click.command()
@click.argument("run", type=click.Path())
@click.option("--images", type=click.IntRange(min=1), default=50, show_default=True, help="How many images to show.")
@click.option("--methods", metavar="NAME[,…]", help="Methods of the run, by their names in its tables; all without it.")
@click.option("--seed", type=click.IntRange(min=0), help="For the same survey again; a fresh, secret one without it.")
@click.option("-o", "--out", type=click.Path(), default="survey", show_default=True, help="Folder for page and key.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", is_flag=True, help="No notes.")
def survey(run: str, out: str, as_json: bool, quiet: bool, **settings: Any) -> None:
    """Make a page for a blind review of the maps of RUN, the folder that onnx-cam evaluate wrote.

    The page is one file that works offline: each image with the methods' maps, in random order under neutral names.
    Send survey.html to the reviewers, and keep key.json, which undoes the blinding.

    \b
    Example:
      onnx-cam survey RUN/ --images 50 --methods gradcam,scorecam,sscam1,sscam2 -o survey/
    """
    from onnx_cam.evaluation.survey import make_survey

    made = make_survey(run, out, **settings)
    if not quiet:
        _say_notes(made, settings["images"])
    if as_json:
        click.echo(json.dumps(made.describe(), ensure_ascii=False, allow_nan=False))
        return
    click.echo(f"survey {made.key.survey}: {len(made.key.items)} images, {len(made.key.methods)} methods")
    click.echo(f"  send {made.page} ({made.page.stat().st_size / 1e6:.1f} MB)")
    click.echo(f"  keep {made.key_file}")


def _say_notes(made: Survey, wanted: int) -> None:
    if made.progress:
        terminal.say(f"the run is not finished: the images are drawn from the {made.progress} done so far")
    for reason, number in made.key.left_out.items():
        if number:
            terminal.say(f"images passed over: {number}, {reason}")
    if made.key.alike:
        terminal.say(f"images where maps of several methods look the same, and are shown once: {made.key.alike}")
    if len(made.key.items) < wanted:
        terminal.say(f"{len(made.key.items)} images, not {wanted}: the run has no more to show")


@click.command("survey-score")
@click.argument("folder", type=click.Path(), metavar="SURVEY")
@click.argument("answers", type=click.Path(), nargs=-1, required=True, metavar="ANSWERS.json...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def survey_score(folder: str, answers: tuple[str, ...], as_json: bool) -> None:
    """Score the answers to SURVEY, the folder that onnx-cam survey wrote: a file for each reviewer.

    Each answer weighs 1; where k methods were ticked, each gets 1/k. Intervals are 95 %, over images.

    \b
    Example:
      onnx-cam survey-score survey/ answers/*.json
    """
    from onnx_cam.evaluation.survey import score_survey

    score = score_survey(folder, answers)
    if as_json:
        click.echo(json.dumps(score.describe(), ensure_ascii=False, allow_nan=False))
    else:
        _show(score)


def _show(score: SurveyScore) -> None:
    rows = [(name, _percent(share), _percent(score.sure_shares[name])) for name, share in score.shares.items()]
    header = ("method", "% of all answers (95 %)", "% of the sure ones (95 %)")
    terminal.show_table(header, [*rows, ("not sure", _percent(score.not_sure), "")])
    click.echo()
    click.echo(
        f"{score.answers} answers by {len(score.reviewers)} reviewers for {score.images} images; "
        f"{score.unanswered} not answered"
    )
    passed_over = [f"{number}, {reason}" for reason, number in score.left_out.items() if number]
    if passed_over:
        click.echo(f"images passed over: {'; '.join(passed_over)}")
    if score.agreement is None:
        click.echo("agreement: not known, no image has two answers")
        return
    kappa = "not defined, all answers are the same" if score.agreement.kappa is None else f"{score.agreement.kappa:.3f}"
    click.echo(
        f"agreement: overlap {score.agreement.overlap:.3f}, by chance {score.agreement.by_chance:.3f}, kappa {kappa} "
        f"({score.agreement.images} images)"
    )


def _percent(share: Interval) -> str:
    if share.value is None or share.low is None or share.high is None:
        return "–"
    return f"{100 * share.value:.1f} ({100 * share.low:.1f} to {100 * share.high:.1f})"
