"""What a shell offers at the Tab key, where click cannot tell it from the option's type.

click itself writes the scripts for bash, zsh and fish, and asks the program at each Tab: nothing heavy may be imported
here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click
from click.shell_completion import CompletionItem

__all__ = ["Completion", "complete_files", "complete_list", "complete_variants", "complete_words"]

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""What click asks for the values of a parameter, given what was typed of one."""


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the mark for which every shell offers its own file names."""
    return [CompletionItem(incomplete, type="file")]


def complete_words(words: Sequence[str], *, files: bool = False) -> Completion:
    """Return what completes some words and, with `files`, file names.

    bash offers either kind: the words if one fits, and otherwise the files. The files' mark stands first because
    click's script for bash forgets what came before it.
    """

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        marks = complete_files(ctx, param, incomplete) if files else []
        return [*marks, *(CompletionItem(word) for word in words if word.startswith(incomplete))]

    return complete


def complete_list(words: Sequence[str]) -> Completion:
    """Return what completes the last of several words that are separated by commas."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{word}") for word in words if word.startswith(last)]

    return complete


def complete_variants(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the variants of the command's method. Importing the methods takes a moment, here alone."""
    from onnx_cam.methods import METHODS

    method = METHODS.get(ctx.params.get("method") or "")
    return [CompletionItem(name) for name in (method.variants if method else ()) if name.startswith(incomplete)]
