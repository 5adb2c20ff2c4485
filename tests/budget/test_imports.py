"""SciPy and threadpoolctl are imported for a budget or a tolerance, and for nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT

CODE = """
import json, sys
from tests import tiny
import onnx_cam

path, settings = sys.argv[1], json.loads(sys.argv[2])
model = onnx_cam.load(path, device="cpu", preprocess="none")
result = onnx_cam.explain(model, tiny.image(1), method="sscam2", samples=3, **settings)
assert result.error is not None
print(*sorted({"scipy", "threadpoolctl"} & {name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    ("settings", "imported"),
    [({}, []), ({"budget": "80%"}, ["scipy", "threadpoolctl"]), ({"tolerance": 0.1}, ["scipy", "threadpoolctl"])],
    ids=str,
)
def test_scipy_is_imported_for_a_limit_only(settings: dict[str, Any], imported: list[str], tiny_path: Path) -> None:
    """The error of a noisy map needs NumPy only."""
    command = [sys.executable, "-c", CODE, str(tiny_path), json.dumps(settings)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split()) == (0, imported), run.stderr
