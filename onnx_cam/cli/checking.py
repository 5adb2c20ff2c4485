"""The command `check`: click over the library, and no logic of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from onnx_cam.cli import terminal
from onnx_cam.cli.command import Command
from onnx_cam.cli.echo import echo, echo_json, say
from onnx_cam.errors import SettingError

if TYPE_CHECKING:
    from onnx_cam.evaluation.ground_truth import Finding

__all__ = ["check"]


@click.command(cls=Command)
@click.option(
    "--methods",
    is_flag=False,
    flag_value="all",
    metavar="[NAME[:VARIANT][,…]]",
    help="Instead check which methods find what a score depends on, on graphs for which that is known; without a name, "
    "every variant of every method.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else; of --methods one object per line.")
def check(methods: str | None, as_json: bool) -> None:
    """Show what runs here: package versions, and each device tested with a convolution.

    The exit status is 1 if no device works, or, with --methods, if a method finds something other than its formula
    says.

    \b
    Examples:
      onnx-cam check
      onnx-cam check --methods
    """
    passed = _check_devices(as_json) if methods is None else _check_methods(methods, as_json)
    if not passed:
        click.get_current_context().exit(1)


def _check_devices(as_json: bool) -> bool:
    """Print the versions and the devices, and tell whether one of them works."""
    import onnx_cam
    from onnx_cam.explanation.versions import package_versions
    from onnx_cam.runtime.packages import package_conflict

    checks = onnx_cam.check()
    if as_json:
        echo_json({"versions": package_versions(), "devices": [vars(c) for c in checks]})
    else:
        terminal.show_table(("package", "version"), list(package_versions().items()))
        echo()
        rows = [(c.device, c.provider, "works" if c.works else "does not work", c.detail) for c in checks]
        terminal.show_table(("device", "provider", "", "detail"), rows)
    if conflict := package_conflict():
        say(conflict)
    return any(c.works for c in checks)


def _check_methods(methods: str, as_json: bool) -> bool:
    """Print what methods find on the graphs of the ground truth, and tell whether that is what theory demands."""
    from onnx_cam.evaluation.ground_truth import check_methods
    from onnx_cam.evaluation.method_names import choose_named_methods

    try:
        choose_named_methods(methods)
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    findings = check_methods(methods)
    if as_json:
        for finding in findings:
            echo_json(finding.describe())
    else:
        _show_findings(findings)
    return all(finding.is_expected for finding in findings)


def _show_findings(findings: Sequence[Finding]) -> None:
    """Print methods × graphs, what the graphs and the outcomes are, and why outcomes are not the right ones."""
    from onnx_cam.evaluation.ground_truth import GRAPHS, OUTCOMES, known_graphs

    by_place = {(finding.method, finding.graph): finding for finding in findings}
    names = list(dict.fromkeys(finding.method for finding in findings))
    terminal.show_table(
        ("method", *GRAPHS), [(name, *(_cell(by_place[name, graph]) for graph in GRAPHS)) for name in names]
    )
    echo("\npercentage: how much of the map lies in the region that the score depends on, at least\n")
    terminal.show_table(("graph", ""), [(graph.name, graph.description) for graph in known_graphs()])
    echo()
    terminal.show_table(("outcome", ""), list(OUTCOMES.items()))
    _show_reasons(findings)
    _show_departures(findings)


def _cell(finding: Finding) -> str:
    share = "" if finding.share is None or finding.outcome == "empty" else f" {100 * finding.share:.0f} %"
    return finding.outcome + share + ("" if finding.is_expected else f" (expected: {finding.expected})")


def _show_reasons(findings: Sequence[Finding]) -> None:
    """Print why methods do not give the right map where their formulas do not, each reason once."""
    explained = [finding for finding in findings if finding.is_expected and finding.reason]
    for text in dict.fromkeys(finding.reason for finding in explained):
        about = [finding for finding in explained if finding.reason == text]
        methods = ", ".join(dict.fromkeys(finding.method for finding in about))
        graphs = ", ".join(dict.fromkeys(finding.graph for finding in about))
        echo(f"\n{methods} on {graphs}:\n  {text}")


def _show_departures(findings: Sequence[Finding]) -> None:
    """Print which outcomes are not those of the formulas."""
    departures = [finding for finding in findings if not finding.is_expected]
    for finding in departures:
        echo(f"\n{finding.method} on {finding.graph}: {finding.outcome}, but its formula says: {finding.expected}")
    if not departures and any(finding.expected for finding in findings):
        echo("\nevery outcome is the one that follows from the method's formula")
