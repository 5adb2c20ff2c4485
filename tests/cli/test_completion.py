"""What the Tab key completes: asked as click's scripts ask, and typed into the shells that are installed."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onnx_cam import names
from onnx_cam.methods import METHODS
from tests.places import ROOT

SCRIPT = f"""#!{sys.executable}
import os, sys
sys.path.insert(0, {str(ROOT)!r})
if "_ONNX_CAM_COMPLETE" in os.environ:
    from onnx_cam.__main__ import main
    main()
else:
    open("typed.part", "w").write("\\n".join(sys.argv[1:]))
    os.rename("typed.part", "typed.txt")
"""
"""The program as pip installs it; without a question of a shell it writes down what was typed."""

SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        'eval "$(_ONNX_CAM_COMPLETE=bash_source onnx-cam)"',
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit && compinit -u -D; eval "$(_ONNX_CAM_COMPLETE=zsh_source onnx-cam)"',
    ),
    "fish": (["fish", "--no-config", "-i"], "_ONNX_CAM_COMPLETE=fish_source onnx-cam | source"),
}
"""How each is started, and the line that a user puts into its settings."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: it holds a model, and a folder with the program, where the shell looks for it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "onnx-cam").write_text(SCRIPT)
    (programs / "onnx-cam").chmod(0o755)
    (tmp_path / "resnet50.onnx").touch()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(words: str, incomplete: str, shell: str = "bash") -> list[tuple[str, str]]:
    """Return the kinds and the values that the program offers after some words."""
    typed = f"onnx-cam {words} {incomplete}"
    place = {"bash": str(len(words.split()) + 1), "fish": incomplete}[shell]
    environment = {"_ONNX_CAM_COMPLETE": f"{shell}_complete", "COMP_WORDS": typed, "COMP_CWORD": place}
    run = subprocess.run(
        ["onnx-cam"], env=os.environ | environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stderr == ""
    return [(kind, value) for kind, _, value in (line.partition(",") for line in run.stdout.splitlines())]


def plain(words: str, incomplete: str = "") -> list[str]:
    return [value for kind, value in offered(words, incomplete) if kind == "plain"]


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="click completes in bash, zsh and fish only")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ("", "sur", ["survey", "survey-score"]),
        ("explain --method", "sscam", ["sscam1", "sscam2", "sscam-max"]),
        ("explain --method", "", list(names.METHODS)),
        ("explain --method sscam1 --variant", "", list(METHODS["sscam1"].variants)),
        ("explain --variant", "", list(METHODS["scorecam"].variants)),
        ("diff --variant", "", []),  # the method is not said
        ("explain --colormap", "tu", ["turbo"]),
        ("explain --device", "c", ["cpu", "cuda"]),
        ("explain --preprocess", "im", ["imagenet"]),
        ("explain --batch-size", "", ["auto"]),
        ("explain", "--custom", ["--custom-ops"]),
        ("compare --methods", "cam,hi", ["cam,hirescam"]),
        ("evaluate --methods", "eq", ["equal"]),
        ("evaluate --metrics", "win,in", ["win,insertion"]),
        ("export --resolution", "", list(names.HEATMAP_RESOLUTIONS)),
    ],
)
def test_words_are_completed(words: str, incomplete: str, expected: list[str]) -> None:
    assert plain(words, incomplete) == expected


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words",
    [
        *("explain", "explain resnet50.onnx", "explain --labels", "explain --preprocess", "explain --custom-ops"),
        *("inspect", "layers", "export", "compare", "diff", "diff old.onnx", "diff --new-preprocess"),
        *("evaluate", "evaluate resnet50.onnx", "report", "survey", "survey-score s", "explain m --out"),
    ],
)
def test_the_shell_completes_file_names(words: str) -> None:
    first, *_ = offered(words, "res")
    assert first == ("file", "res")


@pytest.mark.usefixtures("folder")
def test_words_come_after_the_mark_for_files() -> None:
    """The script for bash forgets what comes before that mark."""
    assert offered("inspect m --labels", "") == [("file", ""), ("plain", "imagenet")]


@pytest.mark.usefixtures("folder")
def test_fish_is_answered_too() -> None:
    assert offered("explain --method", "isc", shell="fish") == [("plain", "iscam")]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("onnx-cam explain --method isc\t", ["explain", "--method", "iscam"]),
        ("onnx-cam inspect res\t", ["inspect", "resnet50.onnx"]),
        ("onnx-cam expl\t--lab\t", ["explain", "--label"]),  # as far as --labels and --label-offset agree
    ],
)
def test_the_tab_key_in_a_shell(shell: str, keys: str, expected: list[str], folder: Path) -> None:
    command, setting = SHELLS[shell]
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    written = folder / "typed.txt"
    with in_terminal(command) as terminal:
        type_keys(terminal, f"{setting}; echo rea''dy\n", lambda shown: b"ready" in shown)
        type_keys(terminal, f"{keys}\n", lambda shown: written.exists())
    assert written.read_text().splitlines() == expected


@contextmanager
def in_terminal(command: list[str]) -> Iterator[int]:
    """Run a shell in a terminal of its own, whose other end this is."""
    import pty

    process, terminal = pty.fork()
    if process == 0:
        os.execvpe(command[0], command, os.environ | {"TERM": "dumb"})
    try:
        yield terminal
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def type_keys(terminal: int, keys: str, is_done: Callable[[bytes], bool], seconds: float = 60) -> None:
    """Type keys, and read what the shell shows until something has happened."""
    os.write(terminal, keys.encode())
    shown, end = b"", time.monotonic() + seconds
    while not is_done(shown):
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096)
