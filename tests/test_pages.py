"""The pages of the documentation can be followed: their commands and their Python run, from top to bottom."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from onnx_cam.cli.main import main
from tests.documents import PAGES, command_lines, inline_code, steps, title
from tests.pages_folder import prepare
from tests.places import ROOT

ELSEWHERE = {
    "docs/gallery.md": "the build of the site runs it, with its real models: tests/test_site.py",
    "docs/serve.md": "its programs talk to a server that runs: tests/server",
    "docs/walkthrough.md": "tests/test_walkthrough.py traces its command",
}
"""Pages that are run by other tests."""

NOT_RUN = {
    r"^demo\b": "it takes a minute; tests/demo runs it",
    r"^serve\b": "it runs until it is stopped; tests/server starts it",
    r"--engine ray\b": "Ray takes 600 MB and is not in the extra dev; tests/evaluation runs it where it is installed",
    r"--device cuda\b": "it needs a GPU",
    r"…": "an outline",
}
"""Commands that are only parsed, and why."""

ABSENT = {"openvino", "openvino_xai", "pytorch_grad_cam"}
"""Packages of the examples that the extra dev does not hold: such a block is only compiled."""

READ_TO_THE_END = [ROOT / "README.md", *(page for page in PAGES if title(page) not in ELSEWHERE)]


@pytest.fixture
def folder(pages_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which holds the files that the pages speak of."""
    shutil.copytree(pages_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_run(words: list[str]) -> bool:
    line = " ".join(words[1:])
    return words[0] == "onnx-cam" and len(words) > 1 and not any(re.search(pattern, line) for pattern in NOT_RUN)


def run(words: list[str], folder: Path) -> None:
    prepare(words[1], folder)
    arguments = [
        name for word in words[1:] for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, f"{' '.join(words)}\n{result.output}"


def modules(block: str) -> set[str]:
    return {name.split(".")[0] for name in re.findall(r"^(?:import|from) ([\w.]+)", block, flags=re.MULTILINE)}


def surroundings() -> dict[str, Any]:
    """Return what `docs/coming-from.md` leaves to its reader: images, and a network in torch, also as a file."""
    torch.manual_seed(0)
    features = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.ReLU())
    layers = {"features": features, "pool": torch.nn.AdaptiveAvgPool2d(1), "flat": torch.nn.Flatten()}
    network = torch.nn.Sequential()
    for name, layer in layers.items():
        network.add_module(name, layer)
    network.add_module("classifier", torch.nn.Linear(6, 4))
    images = torch.rand(1, 3, 24, 24)
    torch.onnx.export(network.eval(), (images,), "network.onnx", dynamo=False)
    return {"network": network, "images": images}


def follow(page: Path, folder: Path) -> dict[str, Any]:
    """Do what a page says; return the variables of its Python."""
    variables: dict[str, Any] = surroundings() if page.name == "coming-from.md" else {}
    for kind, content in steps(page.read_text(encoding="utf-8")):
        if kind == "command":
            for words in filter(is_run, command_lines([content])):
                run(words, folder)
        elif not modules(content) & ABSENT:
            exec(compile(content, title(page), "exec"), variables)
        else:
            assert not all(find_spec(name) for name in modules(content)), f"{page}: this block could be run"
    return variables


@pytest.mark.parametrize("page", READ_TO_THE_END, ids=title)
def test_a_page_can_be_followed(page: Path, folder: Path) -> None:
    follow(page, folder)


def table_commands() -> Iterator[list[str]]:
    for line in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").splitlines():
        yield from (words for words in command_lines(inline_code(line)) if line.startswith("|") and len(words) > 2)


def test_the_examples_of_the_table_of_commands_run(folder: Path) -> None:
    commands = [words for words in table_commands() if is_run(words)]
    for words in commands:
        run(words, folder)
    assert {words[1] for words in commands} == set(main.commands) - {"demo", "check", "serve"}


def test_the_main_job_writes_three_files(folder: Path) -> None:
    follow(ROOT / "README.md", folder)
    assert sorted(path.suffix for path in (folder / "onnx-cam-out").iterdir()) == [".json", ".npy", ".png"]
    assert {path.name for path in folder.iterdir()} >= {"out"}


def test_torchcam_and_onnx_cam_give_the_same_map(folder: Path) -> None:
    """As `docs/coming-from.md` says of its two programs."""
    variables = follow(ROOT / "docs" / "coming-from.md", folder)
    theirs, ours = (np.asarray(variables[name], np.float64).squeeze() for name in ("their_cam", "our_cam"))
    assert theirs.max() > 0
    np.testing.assert_allclose(_scaled(ours), _scaled(theirs), atol=1e-4)


def _scaled(cam: Any) -> Any:
    return (cam - cam.min()) / (cam.max() - cam.min())
