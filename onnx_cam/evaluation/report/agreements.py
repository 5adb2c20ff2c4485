"""How far the metrics agree about the methods, as the template prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx_cam.evaluation.report.wording import figure, span
from onnx_cam.evaluation.verdict.agreement import MetricAgreement
from onnx_cam.metrics.interval import Interval

__all__ = ["AgreementTable", "TauCell", "agreement_table"]


@dataclass(frozen=True)
class TauCell:
    """Kendall's τ of two metrics.

    Attributes
    ----------
    value, interval : str
    is_clear : bool
        Whether the interval does not contain 0.

    Examples
    --------
    >>> TauCell("0.800", "[0.200, 1.000]", is_clear=True).value
    '0.800'
    """

    value: str
    interval: str
    is_clear: bool


@dataclass(frozen=True)
class AgreementTable:
    """Metrics × metrics.

    Attributes
    ----------
    titles : list of str
        Of the columns: the metrics without the last one.
    lines : list of (str, list of TauCell or None)
        Of each metric but the first its title and τ with those before it; None where there is no τ.
    methods : int
        The most methods that a τ is about.

    Examples
    --------
    >>> AgreementTable(["Deletion"], [("Insertion", [None])], methods=3).titles
    ['Deletion']
    """

    titles: list[str]
    lines: list[tuple[str, list[TauCell | None]]]
    methods: int


def agreement_table(agreements: Sequence[MetricAgreement]) -> AgreementTable | None:
    """Return τ of each pair of metrics, each pair once; None where there is none.

    Examples
    --------
    >>> from onnx_cam.metrics import Deletion, Insertion
    >>> found = [MetricAgreement(Deletion(), Insertion(), Interval(0.8, 0.2, 1.0, 40), methods=5)]
    >>> agreement_table(found).lines
    [('Insertion', [TauCell(value='0.800', interval='[0.200, 1.000]', is_clear=True)])]
    """
    if not agreements:
        return None
    taus = {(one.first.title, one.second.title): one.tau for one in agreements}
    titles = list(dict.fromkeys(title for pair in taus for title in pair))
    lines = [
        (title, [_cell(taus.get((before, title)) or taus.get((title, before))) for before in titles[:number]])
        for number, title in enumerate(titles)
    ]
    return AgreementTable(titles[:-1], lines[1:], max(one.methods for one in agreements))


def _cell(tau: Interval | None) -> TauCell | None:
    if tau is None or tau.value is None or tau.low is None or tau.high is None:
        return None
    return TauCell(figure(tau.value), span(tau.low, tau.high), is_clear=tau.low > 0 or tau.high < 0)
