"""Damage files at random, and see whether anything but a one-line error comes of it."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.kinds import KINDS, Kind
from tests.fuzz.outcome import Outcome
from tests.fuzz.report import Tally, command, save, summary
from tests.fuzz.runner import run
from tests.fuzz.worker import Limits

_PROGRESS_EVERY = 0.5  # seconds


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    kinds = [KINDS[name] for name in options.kind or KINDS]
    if options.only:
        return _run_one(kinds, options)
    tallies: dict[str, Tally] = {}
    for kind in kinds:
        tallies[kind.name] = _run_kind(kind, options, options.minutes and 60 * options.minutes / len(kinds))
    print(*summary(tallies), sep="\n")
    return int(any(tally.findings for tally in tallies.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="A kind of input; all by default.")
    parser.add_argument("--count", type=int, help="Inputs of each kind; 200 by default, without end with --minutes.")
    parser.add_argument("--minutes", type=float, help="Time in all, shared by the kinds.")
    parser.add_argument("--seed", type=int, default=0, help="The first input's seed; the others follow it.")
    parser.add_argument("--workers", type=int, default=1, help="Processes at once.")
    parser.add_argument("--save", type=Path, metavar="DIR", help="Write the files of findings to a folder.")
    parser.add_argument("--only", action="store_true", help="Run the one input of --kind and --seed, and show it.")
    parser.add_argument("--time-limit", type=float, default=20.0, help="Seconds for an input; 20 by default.")
    parser.add_argument("--memory-limit", type=int, default=6, help="GiB for a worker; 6 by default, 0 for no limit.")
    return parser


def _run_kind(kind: Kind, options: argparse.Namespace, seconds: float | None) -> Tally:
    end = time.monotonic() + seconds if seconds else None
    tally, shown = Tally(), 0.0
    limits = Limits(options.time_limit, options.memory_limit << 30)
    for outcome in run(_tasks(kind, options, end), options.workers, limits):
        tally.add(outcome)
        if outcome.is_finding and tally.is_new(outcome):
            _show(outcome, kind, options)
        if sys.stderr.isatty() and time.monotonic() - shown > _PROGRESS_EVERY:
            shown = time.monotonic()
            print(f"\r{kind.name}: {tally.inputs:,}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    return tally


def _tasks(kind: Kind, options: argparse.Namespace, end: float | None) -> Iterator[tuple[Kind, int]]:
    count = options.count or (200 if end is None else None)
    for index in itertools.count() if count is None else range(count):
        if end is not None and time.monotonic() > end:
            return
        yield kind, options.seed + index


def _show(outcome: Outcome, kind: Kind, options: argparse.Namespace) -> None:
    print(f"{outcome.status}: {outcome.place}: {command(outcome)}", flush=True)
    if options.save:
        save(outcome, kind, options.save)


def _run_one(kinds: list[Kind], options: argparse.Namespace) -> int:
    limits = Limits(options.time_limit, options.memory_limit << 30)
    is_finding = False
    for kind in kinds:
        for outcome in run([(kind, options.seed)], 1, limits):
            print(f"{kind.name} {outcome.seed}: {outcome.status} after {outcome.seconds:.2f} s {outcome.detail}")
            if options.save:
                print(f"its files: {save(outcome, kind, options.save)}")
            is_finding |= outcome.is_finding
    return int(is_finding)


if __name__ == "__main__":
    sys.exit(main())
