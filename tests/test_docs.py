"""The documents are true: their commands and links exist, and their examples run."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from exporters.efficientnet_lite import main as lite0_exporter
from exporters.torch_exporter import main as torch_exporter
from onnx_cam import names
from onnx_cam.cli.main import main
from onnx_cam.graph.heads import HEADS
from onnx_cam.methods import METHODS
from tests import tiny
from tests.examples import imagenet_model, write_pictures
from tests.places import ROOT

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("benchmarks", "exporters")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAIN_JOB = README.split("\n## The main job\n")[1].split("\n## ")[0]

EXPORTERS = {"exporters.torch_exporter": torch_exporter, "exporters.efficientnet_lite": lite0_exporter}
CHEAP = ("explain", "compare", "layers", "inspect", "export", "check")
"""The commands that run on a tiny model in about a second."""

# --------------------------------------------------------------------------------------------------------------------
# Reading the documents.


def blocks(text: str, language: str = "") -> list[str]:
    """Return the fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def block_lines(text: str) -> list[str]:
    """Return the lines of the code blocks, each with its continuations."""
    fenced = "\n".join(blocks(text, r"\w*"))
    indented = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    return re.sub(r"\\\n\s*", "", f"{fenced}\n{indented}").splitlines()


def inline_code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def command_lines(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the words of every command line of this project, from ``onnx-cam`` or ``python -m`` on."""
    for line in lines:
        for part in line.split("&&"):
            words = shlex.split(part, comments=True) if re.search(r"\bonnx-cam |python -m ", part) else []
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # environment variables
                del words[0]
            if words[:1] == ["onnx-cam"] or words[:2] == ["python", "-m"]:
                yield words


def parse(words: list[str]) -> None:
    """Check that a command exists and that its options and their values are possible."""
    command: click.Command | None
    if words[0] == "python":
        assert find_spec(words[2]), words
        command, arguments = EXPORTERS.get(words[2]), words[3:]
    elif words[1] == "--help":
        return
    else:
        assert words[1] in main.commands, words
        command, arguments = main.commands[words[1]], words[2:]
    if command and "…" not in arguments:
        command.make_context(command.name, arguments)


# --------------------------------------------------------------------------------------------------------------------
# Commands.


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_documented_with_an_example(command: str) -> None:
    assert f"| `{command}` |" in README
    assert re.search(rf"`onnx-cam {command}\b[^`]*`", README)
    text = main.commands[command].help or ""
    assert re.search(rf"Examples?:\n *onnx-cam {command}", text)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_option_has_a_help_text(command: str) -> None:
    for option in main.commands[command].params:
        if option.param_type_name == "option" and option.name not in ("method", "colormap"):
            assert getattr(option, "help", None), option.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_command_lines_of_a_document_can_be_parsed(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for words in command_lines(block_lines(text)):
        parse(words)
    for words in command_lines(inline_code(text)):
        with contextlib.suppress(click.MissingParameter):  # a sentence may name a command and an option of it
            parse(words)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_the_examples_of_a_help_text_can_be_parsed(command: str) -> None:
    _, *lines = (main.commands[command].help or "").split("Example")[1].strip().splitlines()
    examples = list(command_lines(lines))
    assert len(examples) == len(lines)
    for words in examples:
        parse(words)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which holds the files that the README speaks of."""
    monkeypatch.chdir(tmp_path)
    tiny.save(imagenet_model(layer="relu5"), tmp_path, "model.onnx")
    write_pictures(tmp_path)
    (tmp_path / "photos").mkdir()
    write_pictures(tmp_path / "photos")
    return tmp_path


RUNNABLE = [
    words[1:]
    for words in command_lines([*block_lines(README), *inline_code(README)])
    if words[0] == "onnx-cam" and words[1] in CHEAP and (words[2:] or words[1] == "check")
]


@pytest.mark.parametrize("words", RUNNABLE, ids=" ".join)
def test_the_readmes_commands_run(words: list[str], clone: Path) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output


def test_the_main_job_writes_three_files(clone: Path) -> None:
    (words,) = command_lines(block_lines(MAIN_JOB))
    assert CliRunner().invoke(main, words[1:]).exit_code == 0
    assert sorted(path.suffix for path in (clone / "onnx-cam-out").iterdir()) == [".json", ".npy", ".png"]


def test_the_main_job_runs_in_python(clone: Path) -> None:
    (block,) = blocks(MAIN_JOB, "python")
    exec(compile(block, "README.md", "exec"), {})
    assert {path.name for path in clone.iterdir()} >= {"out", "grid.png", "grid.html"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_in_a_document_can_be_parsed(document: Path) -> None:
    for block in blocks(document.read_text(encoding="utf-8"), "python"):
        compile(block, str(document), "exec")


def test_the_two_commands_of_a_fresh_machine_are_there() -> None:
    lines = [line.strip() for line in README.splitlines()]
    assert 'pip install ".[cpu,demo]" && onnx-cam demo' in lines
    assert 'pip install ".[cpu,dev]" && pytest' in lines


# --------------------------------------------------------------------------------------------------------------------
# Facts.


def test_every_method_and_variant_is_in_the_table() -> None:
    for name, method in METHODS.items():
        row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
        for variant in method.variants:
            assert f"`{variant}`" in row


def test_the_kinds_of_heads_are_listed_among_the_names() -> None:
    """`CONTRIBUTING.md` says so of every list of names; tests of the command line compare the others."""
    assert tuple(HEADS) == names.HEADS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:onnx_cam|tests|models|exporters|benchmarks|docs)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


def test_pictures_that_the_program_made_are_pictures() -> None:
    from PIL import Image

    for path in (ROOT / "docs" / "images").glob("*.png"):
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 200


def test_the_changelog_knows_the_version() -> None:
    import onnx_cam

    assert f"## {onnx_cam.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
