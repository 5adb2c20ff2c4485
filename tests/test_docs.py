"""The documents are true: their commands and links exist, and their examples run."""

from __future__ import annotations

import contextlib
import re
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from exporters.efficientnet_lite import main as lite0_exporter
from exporters.torch_exporter import main as torch_exporter
from onnx_cam import names
from onnx_cam.cli.main import main
from onnx_cam.graph.heads import HEADS
from onnx_cam.methods import METHODS
from tests.documents import DOCUMENTS, block_lines, blocks, command_lines, inline_code, title
from tests.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
VARIANTS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")

EXPORTERS = {"exporters.torch_exporter": torch_exporter, "exporters.efficientnet_lite": lite0_exporter}


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
    assert f"| `{command}` |" in COMMANDS
    assert re.search(rf"`onnx-cam {command}\b[^`]*`", COMMANDS)
    assert f"```{{command-help}} {command}\n" in COMMANDS
    text = main.commands[command].help or ""
    assert re.search(rf"Examples?:\n *onnx-cam {command}", text)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_option_has_a_help_text(command: str) -> None:
    for option in main.commands[command].params:
        if option.param_type_name == "option" and option.name not in ("method", "colormap"):
            assert getattr(option, "help", None), option.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
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
        row = next(line for line in VARIANTS.splitlines() if line.startswith(f"| `{name}` |"))
        for variant in method.variants:
            assert f"`{variant}`" in row


def test_the_kinds_of_heads_are_listed_among_the_names() -> None:
    """`CONTRIBUTING.md` says so of every list of names; tests of the command line compare the others."""
    assert tuple(HEADS) == names.HEADS


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
        path = (document.parent / target).resolve()
        assert path.exists() or is_built(path), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:onnx_cam|tests|models|exporters|benchmarks|docs)/[\w./-]*)`", text):
        assert (ROOT / path).exists() or is_built(ROOT / path), path


def is_built(path: Path) -> bool:
    """Tell whether building the site makes a file, which a clean clone lacks: the site's own test sees to it."""
    built = (ROOT / "docs" / name for name in ("_build", "gallery", "repository"))
    return any(path.is_relative_to(folder) for folder in built)


def test_pictures_that_the_program_made_are_pictures() -> None:
    from PIL import Image

    for path in (ROOT / "docs" / "images").glob("*.png"):
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 200


def test_the_changelog_knows_the_version() -> None:
    import onnx_cam

    assert f"## {onnx_cam.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
