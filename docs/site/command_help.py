"""The directive ``command-help``: what ``onnx-cam COMMAND --help`` prints, so that the page cannot disagree with it."""

from __future__ import annotations

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from onnx_cam.cli.main import main

__all__ = ["CommandHelp", "setup"]

_WIDTH = 80


class CommandHelp(SphinxDirective):  # type: ignore[misc, unused-ignore]
    """A block of text with the help of the command that the argument names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the block."""
        name = self.arguments[0]
        if name not in main.commands:
            raise self.error(f"onnx-cam has no command '{name}'")
        program = click.Context(main, info_name="onnx-cam")
        context = click.Context(main.commands[name], info_name=name, parent=program, max_content_width=_WIDTH)
        context.terminal_width = _WIDTH
        text = main.commands[name].get_help(context)
        return [nodes.literal_block(text, text, language="none")]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
