"""The workflows: they run what the README says, with pinned actions and few permissions; and what issues ask for."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import onnx_cam
from onnx_cam.image.configurations.yaml_subset import parse_yaml
from tests.action import read_yaml
from tests.places import ROOT

GITHUB = ROOT / ".github"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in (GITHUB / "workflows").glob("*.yml")}
WORKFLOWS = {name: read_yaml(text) for name, text in TEXTS.items()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, workflow in WORKFLOWS.items():
        for job, content in workflow["jobs"].items():
            yield f"{name}.{job}", content


def scripts() -> Iterator[str]:
    for _, job in jobs():
        yield from (step["run"] for step in job.get("steps", []) if "run" in step)


def script_of(workflow: str, job: str, step: str) -> str:
    steps = WORKFLOWS[workflow]["jobs"][job]["steps"]
    return str(next(one["run"] for one in steps if one.get("name") == step))


def run(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a runner's bash does."""
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_the_workflows_are_those_three() -> None:
    assert set(WORKFLOWS) == {"tests", "docs", "release"}


# --------------------------------------------------------------------------------------------------------------------
# What they run.


@pytest.mark.parametrize(
    "command", ['pip install ".[cpu,demo]" && onnx-cam demo', 'pip install ".[cpu,dev]" && pytest']
)
def test_the_readmes_commands_are_run(command: str) -> None:
    assert command in [line.strip() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]
    assert command in [script.strip() for script in scripts()]


def test_the_check_of_a_clean_checkout_is_run_as_it_is_everywhere() -> None:
    assert ".ci/run" in list(scripts())
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    called = {name for script in scripts() for name in re.findall(r"\bmake ([\w-]+)", script)}
    assert called == {"test-lowest", "docs", "dist"}
    assert called <= targets


def test_the_pythons_are_those_of_the_metadata() -> None:
    matrix = WORKFLOWS["tests"]["jobs"]["tests"]["strategy"]["matrix"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert matrix["python"] == named == ["3.11", "3.12", "3.13", "3.14"]
    assert len(matrix["system"]) == 3


def test_the_lowest_versions_are_tested_on_the_lowest_python() -> None:
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert f"--python {lowest} " in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert WORKFLOWS["tests"]["jobs"]["lowest"]["steps"][1]["with"]["python-version"] == lowest


# --------------------------------------------------------------------------------------------------------------------
# What they may do.


def test_every_action_is_pinned_to_a_commit_whose_version_is_said() -> None:
    for text in TEXTS.values():
        for action, rest in re.findall(r"uses: ([^@\s]+)(.*)", text):
            if not action.startswith("./"):
                assert re.fullmatch(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+", rest), action + rest


def test_an_action_has_one_version_everywhere() -> None:
    used = {found for text in TEXTS.values() for found in re.findall(r"uses: ([^@\s]+@.*)", text)}
    assert len({found.split("@")[0] for found in used}) == len(used)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_is_allowed_that_a_job_does_not_ask_for(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    assert "pull_request_target" not in TEXTS[name]
    assert "secrets." not in TEXTS[name]


def test_one_job_may_publish_and_the_others_may_read() -> None:
    permissions = {name: job["permissions"] for name, job in jobs()}
    assert permissions.pop("release.publish") == {"id-token": "write"}
    assert all(one == {"contents": "read"} for one in permissions.values())


def test_every_job_ends_and_no_checkout_keeps_its_token() -> None:
    for name, job in jobs():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 90, name
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False, name


def test_no_expression_is_put_into_a_script() -> None:
    assert not [script for script in scripts() if "${{" in script]


def test_a_release_is_tested_built_and_approved() -> None:
    release = WORKFLOWS["release"]["jobs"]
    assert release["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert (release["build"]["needs"], release["publish"]["needs"]) == ("tests", "build")
    assert release["publish"]["environment"]["name"] == "pypi"
    assert [step["uses"].split("@")[0] for step in release["publish"]["steps"]] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]


# --------------------------------------------------------------------------------------------------------------------
# What stops a release.


def test_a_tag_of_another_version_stops_it() -> None:
    script = script_of("release", "build", "Compare the tag with the version")
    assert run(script, ROOT, GITHUB_REF_NAME=f"v{onnx_cam.__version__}").returncode == 0
    wrong = run(script, ROOT, GITHUB_REF_NAME="v9.9.9")
    assert wrong.returncode == 1
    assert f"the tag is v9.9.9, and onnx_cam/_version.py says {onnx_cam.__version__}" in wrong.stdout


def test_an_address_without_an_account_stops_it(tmp_path: Path) -> None:
    script = script_of("release", "build", "Look for an address that nobody filled in")
    (tmp_path / "docs").mkdir()
    for name in ("pyproject.toml", "CITATION.cff", "docs/diff-in-ci.md"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    subprocess.run("git init --quiet && git add .", shell=True, cwd=tmp_path, check=True)
    stopped = run(script, tmp_path)
    assert stopped.returncode == 1
    assert "CITATION.cff" in stopped.stdout
    fill_in = re.search(r"git grep -l OWNER.*", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert fill_in is not None
    assert run(fill_in[0].replace("ACCOUNT", "someone"), tmp_path).returncode == 0
    assert run(script, tmp_path).returncode == 0
    assert "https://github.com/someone/onnx-cam" in (tmp_path / "CITATION.cff").read_text()


# --------------------------------------------------------------------------------------------------------------------
# What issues ask for.


@pytest.mark.parametrize("form", ["error", "map", "wish"])
def test_an_issue_asks_for_what_answers_need(form: str) -> None:
    content = parse_yaml((GITHUB / "ISSUE_TEMPLATE" / f"{form}.yml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    labels = " ".join(field["attributes"].get("label", "") for field in content["body"])
    assert "onnx-cam inspect MODEL --json" in labels
    assert "onnx-cam check" in labels
    required = [field["id"] for field in content["body"] if field.get("validations", {}).get("required")]
    assert form == "wish" or {"inspect", "check"} <= set(required)


def test_holes_are_reported_in_private() -> None:
    text = (GITHUB / "ISSUE_TEMPLATE" / "config.yml").read_text(encoding="utf-8")
    assert f"{PROJECT['urls']['Source']}/security/advisories/new" in text
    assert "Report a" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
