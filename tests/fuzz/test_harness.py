"""The harness itself: it finds what is planted, goes on afterwards, and makes the same input from the same seed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

import onnx
import pytest

from tests.fuzz import __main__ as command_line
from tests.fuzz.corpus.images import images
from tests.fuzz.corpus.models import Sample, samples
from tests.fuzz.kinds import KINDS, Kind
from tests.fuzz.mutators.graph import CHANGES
from tests.fuzz.outcome import Outcome
from tests.fuzz.planted import PLANTED
from tests.fuzz.readers import MODEL, explain_model
from tests.fuzz.report import Tally, command, save, summary
from tests.fuzz.runner import run
from tests.fuzz.worker import Limits
from tests.runtime_version import ONNXRUNTIME

LIMITS = Limits(seconds=3.0, memory=4 << 30)
ONLY_UNIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of Unix")


def ending(name: str) -> Outcome:
    """Return how a planted input ends; the one after it must end well."""
    found, after = run([(PLANTED[name], 1), (PLANTED["accept"], 2)], workers=1, limits=LIMITS)
    assert (found.kind, found.seed) == (name, 1)
    assert (after.status, after.seed) == ("accepted", 2)
    return found


def test_success_and_an_error_of_ours_are_right() -> None:
    assert ending("accept").status == "accepted"
    refused = ending("refuse")
    assert (refused.status, refused.is_finding) == ("refused", False)
    assert refused.detail == "not a model; expected another file"


def test_a_planted_traceback_is_found() -> None:
    found = ending("raise_traceback")
    assert (found.status, found.is_finding) == ("traceback", True)
    assert "IndexError" in found.place
    assert "list index out of range" in found.detail


def test_a_planted_message_of_two_lines_is_found() -> None:
    assert ending("raise_lines").status == "message"


def test_a_planted_hang_is_found_and_says_where() -> None:
    found = ending("hang")
    assert found.status == "hang"
    assert LIMITS.seconds <= found.seconds < 3 * LIMITS.seconds
    assert "planted.py" in found.detail  # the stack of just before the end


@ONLY_UNIX
@pytest.mark.parametrize(("name", "ends_with"), [("abort", "SIGABRT"), ("read_null", "SIGSEGV"), ("leave", "status 3")])
def test_a_planted_crash_is_found(name: str, ends_with: str) -> None:
    found = ending(name)
    assert found.status == "crash"
    assert ends_with in found.place


@ONLY_UNIX
@pytest.mark.parametrize("name", ["recurse", "allocate"])
def test_a_planted_lack_of_stack_or_memory_is_found(name: str) -> None:
    assert ending(name).is_finding


def test_several_workers_run_every_input_once() -> None:
    tasks = [(PLANTED["accept" if seed % 5 else "leave"], seed) for seed in range(20)]
    outcomes = list(run(tasks, workers=3, limits=Limits(seconds=60)))
    assert sorted(outcome.seed for outcome in outcomes) == list(range(20))
    assert sorted(outcome.seed for outcome in outcomes if outcome.is_finding) == [0, 5, 10, 15]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_seed_always_makes_the_same_input(kind: Kind) -> None:
    made = [kind.make(seed) for seed in range(40)]
    assert made == [kind.make(seed) for seed in range(40)]
    assert len({json.dumps({name: list(content) for name, content in files.items()}) for files in made}) > 30


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_damage_starts_from_models_that_are_explained(sample: Sample, tmp_path: Path) -> None:
    if ONNXRUNTIME < (1, 24) and sample.name == "dynamic":
        pytest.skip("ONNX Runtime before 1.24 has no ConvInteger of uint8 and int8")
    for name, content in {**sample.files, MODEL: sample.proto.SerializeToString()}.items():
        (tmp_path / name).write_bytes(content)
    explain_model(tmp_path, seed=1)


def test_every_change_changes_some_model() -> None:
    for change in CHANGES:
        changed = 0
        for place, sample in enumerate(samples()):
            copy = onnx.ModelProto()
            copy.CopyFrom(sample.proto)
            change(copy, Random(place))
            changed += copy != sample.proto
        assert changed > len(samples()) // 3, change.__name__


def test_every_format_has_an_image() -> None:
    assert {name.rpartition(".")[2] for name in images()} >= {"jpg", "png", "bmp", "gif", "tif", "npy"}


def test_the_summary_groups_findings_and_names_seeds() -> None:
    tally = Tally()
    for seed in range(3):
        tally.add(Outcome("labels", seed, "traceback", 0.5, "detail", "KeyError at labels.py:1 f"))
    tally.add(Outcome("labels", 3, "accepted", 2.0))
    tally.add(Outcome("labels", 4, "refused", 0.1))
    lines = list(summary({"labels": tally}))
    assert lines == [
        "labels: 5 inputs, 1 accepted, 1 refused, 3 findings; slowest 2.0 s (seed 3)",
        "  3 × traceback: KeyError at labels.py:1 f (seeds 0, 1, 2)",
    ]
    assert command(tally.findings[1]) == "python -m tests.fuzz --kind labels --seed 1 --only"


def test_a_finding_is_saved_with_its_files(tmp_path: Path) -> None:
    place = save(Outcome("raise_traceback", 7, "traceback", 0.0, "a detail"), PLANTED["raise_traceback"], tmp_path)
    assert (place / "seed.txt").read_text() == "7"
    assert "--seed 7 --only" in (place / "finding.txt").read_text()


def test_the_command_tells_findings_by_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(command_line, "KINDS", PLANTED)
    assert command_line.main(["--kind", "accept", "--kind", "refuse", "--count", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("refuse: 3 inputs, 0 accepted, 3 refused, 0 findings")
    assert command_line.main(["--kind", "leave", "--count", "2", "--seed", "8", "--save", str(tmp_path)]) == 1
    assert "--kind leave --seed 9 --only" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leave-8", "leave-9"]
    assert command_line.main(["--kind", "raise_traceback", "--seed", "5", "--only"]) == 1
    assert "IndexError" in capsys.readouterr().out


def test_the_time_ends_a_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command_line, "KINDS", PLANTED)
    assert command_line.main(["--kind", "accept", "--minutes", "0.01"]) == 0
    assert capsys.readouterr().out.startswith("accept: ")
