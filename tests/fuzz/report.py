"""Findings, grouped by where they come from, and the summary of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.kinds import Kind
from tests.fuzz.outcome import Outcome

__all__ = ["Tally", "command", "save", "summary"]

_SHOWN_SEEDS = 5


@dataclass
class Tally:
    """What became of the inputs of one kind."""

    inputs: int = 0
    accepted: int = 0
    findings: list[Outcome] = field(default_factory=list)
    slowest: Outcome | None = None

    def add(self, outcome: Outcome) -> None:
        self.inputs += 1
        self.accepted += outcome.status == "accepted"
        if outcome.is_finding:
            self.findings.append(outcome)
        if self.slowest is None or outcome.seconds > self.slowest.seconds:
            self.slowest = outcome

    def is_new(self, outcome: Outcome) -> bool:
        """Whether few findings so far came from the place that one comes from."""
        return sum(other.place == outcome.place for other in self.findings) <= _SHOWN_SEEDS

    @property
    def refused(self) -> int:
        return self.inputs - self.accepted - len(self.findings)


def command(outcome: Outcome) -> str:
    """Return the command that runs an input again, by itself."""
    return f"python -m tests.fuzz --kind {outcome.kind} --seed {outcome.seed} --only"


def summary(tallies: dict[str, Tally]) -> Iterable[str]:
    """Yield a line for each kind, and one for each place that findings come from."""
    for name, tally in tallies.items():
        slowest = "" if tally.slowest is None else f"{tally.slowest.seconds:.1f} s (seed {tally.slowest.seed})"
        yield (
            f"{name}: {tally.inputs:,} inputs, {tally.accepted:,} accepted, {tally.refused:,} refused, "
            f"{len(tally.findings):,} findings; slowest {slowest or 'none'}"
        )
        places: dict[str, list[Outcome]] = {}
        for finding in tally.findings:
            places.setdefault(f"{finding.status}: {finding.place}", []).append(finding)
        for place, findings in sorted(places.items(), key=lambda item: -len(item[1])):
            seeds = ", ".join(str(finding.seed) for finding in findings[:_SHOWN_SEEDS])
            yield f"  {len(findings)} × {place} (seeds {seeds})"


def save(outcome: Outcome, kind: Kind, folder: Path) -> Path:
    """Write a finding's files, and what happened, to a folder of its own."""
    place = folder / f"{outcome.kind}-{outcome.seed}"
    place.mkdir(parents=True, exist_ok=True)
    for name, content in kind.make(outcome.seed).items():
        (place / name).write_bytes(content)
    (place / "finding.txt").write_text(f"{command(outcome)}\n{outcome.status}: {outcome.detail}\n", errors="replace")
    return place
