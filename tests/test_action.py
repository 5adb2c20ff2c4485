"""The GitHub action: its scripts run as they are, with the environment that a runner would give them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from tests import tiny
from tests.action import read_action
from tests.places import ROOT

ACTION = read_action((ROOT / "action.yml").read_text(encoding="utf-8"))


class Runner:
    """A folder to run steps in, with the files that a runner hands to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")}
        programs = folder / "programs"
        programs.mkdir()
        command = programs / "onnx-cam"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m onnx_cam "$@"\n')
        command.chmod(0o755)
        self.environment = {
            **os.environ,
            **{name: str(path) for name, path in self.files.items()},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(folder),
        }

    def run(self, step: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a step as a runner's bash does; the environment must be what the step asks for."""
        assert environment.keys() == ACTION.steps[step]["env"].keys()
        script = self.folder / "step.sh"
        script.write_text(ACTION.steps[step]["run"])
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        return subprocess.run(
            command,
            env=self.environment | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def compare(self, new: str, *, gates: Sequence[str] = (), images: str = "photos\n") -> tuple[int, str]:
        """Run the step that compares; return the status that it hands on, and what it printed."""
        done = self.run(
            "Compare the builds",
            OLD="old.onnx",
            NEW=new,
            IMAGES=images,
            FAIL_IF="\n".join(gates),
            ARGUMENTS="--preprocess unit\n  --maps 6",
            OUT="results of a job",
        )
        assert done.returncode == 0, done.stderr
        (line,) = self.files["GITHUB_OUTPUT"].read_text().splitlines()
        return int(line.removeprefix("status=")), done.stderr


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Return a runner with a model, a build of it whose head is permuted, and six photos."""
    old = tiny.model()
    tiny.save(old, tmp_path, "old.onnx")
    new = tiny.model()
    for weight in new.graph.initializer:
        if weight.name in ("w3", "b3"):
            weight.CopyFrom(numpy_helper.from_array(np.roll(numpy_helper.to_array(weight), 1, axis=0), weight.name))
    onnx.save(new, tmp_path / "new.onnx")
    (tmp_path / "photos").mkdir()
    for seed in range(6):
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
        Image.fromarray(np.kron(coarse, np.ones((8, 8, 1), np.uint8))).save(tmp_path / "photos" / f"{seed}.png")
    return Runner(tmp_path)


def test_a_permuted_head_fails_the_job_at_its_last_step(runner: Runner) -> None:
    status, printed = runner.compare("new.onnx")
    assert status == 3
    assert "flips" in printed
    done = runner.run("Fail where a gate failed", STATUS=str(status))
    assert done.returncode == 3
    assert done.stdout.startswith("::error title=onnx-cam diff::a gate failed")


def test_the_same_build_passes_and_leaves_its_results(runner: Runner) -> None:
    status, _ = runner.compare("old.onnx")
    assert status == 0
    assert {path.name for path in (runner.folder / "results of a job").iterdir()} >= {"diff.json", "junit.xml"}
    assert runner.run("Fail where a gate failed", STATUS="0").returncode == 0


def test_the_gates_are_those_of_the_input(runner: Runner) -> None:
    assert runner.compare("new.onnx", gates=["maps>1000", ""])[0] == 0


def test_a_missing_file_is_not_taken_for_a_failed_gate(runner: Runner) -> None:
    status, printed = runner.compare("nowhere.onnx")
    assert status == 1
    assert "nowhere.onnx" in printed
    done = runner.run("Fail where a gate failed", STATUS=str(status))
    assert done.returncode == 1
    assert "ended with status 1" in done.stdout


def test_the_summary_is_added_to_that_of_the_job(runner: Runner) -> None:
    runner.compare("new.onnx")
    runner.files["GITHUB_STEP_SUMMARY"].write_text("## Tests\n")
    assert runner.run("Write the summary", OUT="results of a job").returncode == 0
    written = runner.files["GITHUB_STEP_SUMMARY"].read_text()
    assert written.startswith("## Tests\n")
    assert written.endswith((runner.folder / "results of a job" / "summary.md").read_text())


def test_without_results_the_summary_says_so(runner: Runner) -> None:
    assert runner.run("Write the summary", OUT="nowhere").returncode == 0
    assert "no summary" in runner.files["GITHUB_STEP_SUMMARY"].read_text()


def test_the_program_is_installed_and_put_on_the_path(runner: Runner, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    runner.environment |= {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}  # the tests need no network
    runner.environment.pop("PYTHONPATH")
    done = runner.run("Install onnx-cam", REQUIREMENT=f"onnx-cam[cpu,report] @ {wheel.as_uri()}")
    assert done.returncode == 0, done.stderr
    folder = Path(runner.files["GITHUB_PATH"].read_text().strip())
    assert (folder / "onnx-cam").is_file()


@pytest.mark.parametrize("name", [name for name, step in ACTION.steps.items() if "run" in step])
def test_no_input_can_put_a_command_into_a_script(name: str) -> None:
    """An expression in a script is replaced before the shell sees it, so that a file's name would be run."""
    assert "${{" not in ACTION.steps[name]["run"]


def test_every_input_is_used_and_described() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"inputs\.([\w-]+)", text))
    assert used == ACTION.content["inputs"].keys()
    assert all(one["description"] for one in ACTION.content["inputs"].values())


def test_the_results_are_kept_whether_or_not_a_gate_failed() -> None:
    steps = list(ACTION.steps)
    assert steps.index("Keep the results") < steps.index("Fail where a gate failed")
