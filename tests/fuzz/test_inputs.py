"""About a minute of fuzzing: the same inputs each time, of every kind."""

from __future__ import annotations

import pytest

from tests.fuzz.kinds import KINDS
from tests.fuzz.report import Tally, summary
from tests.fuzz.runner import run
from tests.runtime_version import ONNXRUNTIME

COUNTS = {"models-bytes": 600, "models-protobuf": 900, "images": 4000, "configurations": 1000, "labels": 1000}
SEED = 15


@pytest.mark.parametrize("name", KINDS)
def test_damaged_files_give_one_line_and_soon(name: str) -> None:
    if ONNXRUNTIME < (1, 29) and name.startswith("models"):
        pytest.skip("ONNX Runtime before 1.29 crashes on some damaged models")
    tally = Tally()
    for outcome in run(((KINDS[name], SEED + index) for index in range(COUNTS[name])), workers=1):
        tally.add(outcome)
    assert tally.inputs == COUNTS[name]
    assert tally.accepted > 0  # else the corpus or the readers are broken
    assert tally.refused > 0
    assert not tally.findings, "\n".join(summary({name: tally}))
