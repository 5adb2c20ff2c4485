"""The part of YAML that configuration files use; what is not in it is refused, never misread.

Blocks and flows of mappings and sequences, plain and quoted scalars on one line, and comments are read. Anchors,
aliases, tags, block scalars, scalars of several lines and several documents are refused: no model's names or settings
need them, and aliases are how a small file becomes a huge one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["parse_yaml", "plain_value"]

_Item = TypeVar("_Item")

_MAX_DEPTH = 40
_NOT_PLAIN = re.compile(r"""[|>&*!@`%?'"#,\[\]{}:]|-(\s|$)|.*:(\s|$)""")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"")
_KEY = re.compile(
    rf"(?P<key>(?:{_QUOTED.pattern})\s*|(?:[^\s\-?:,\[\]{{}}#&*!|>'\"%@`]|-[^\s#:])[^#]*?):(?:\s+(?P<rest>.*))?"
)
_PLAIN_CHARACTER = r"(?:[^\s,\[\]{}:]|:(?![\s,\[\]{}]|$))"
_TOKEN = re.compile(rf"[\[\]{{}},]|{_QUOTED.pattern}|[:'\"]|{_PLAIN_CHARACTER}+(?:[ \t]+{_PLAIN_CHARACTER}+)*")
_QUOTES = ("'", '"')
_BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: value for name, value in (("true", True), ("false", False)) for word in (name, name.title(), name.upper())
}


def plain_value(text: str) -> object:
    """Return what an unquoted scalar stands for in YAML 1.2: None, a bool, an int, a float, or the text itself.

    Examples
    --------
    >>> [plain_value(text) for text in ("224", "0.485", "true", "no", "~", "RGB")]
    [224, 0.485, True, 'no', None, 'RGB']
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def parse_yaml(text: str, plain: Callable[[str], object] = plain_value) -> object:
    r"""Parse a YAML document.

    Parameters
    ----------
    text : str
        The document.
    plain : callable
        Returns what an unquoted scalar stands for; ``str`` leaves all of them text.

    Returns
    -------
    dict, list, or what `plain` returns

    Raises
    ------
    ValueError
        The text is not YAML, or uses what is not supported; the message names the line.

    Examples
    --------
    >>> parse_yaml("names:\n  0: tiger cat  # with a space\n  1: 'no'\nsize: [224, 224]")
    {'names': {0: 'tiger cat', 1: 'no'}, 'size': [224, 224]}
    >>> parse_yaml("a: &x 1\nb: *x")
    Traceback (most recent call last):
        ...
    ValueError: line 1: unsupported YAML: 'a: &x 1'
    """
    lines = _lines(text)
    if not lines:
        return None
    parser = _Blocks(lines, plain)
    value = parser.block(lines[0].indent, 0)
    if parser.position < len(lines):
        raise parser.error("unexpected indentation or text")
    return value


@dataclass(frozen=True)
class _Line:
    number: int
    indent: int
    text: str


def _lines(text: str) -> list[_Line]:
    lines: list[_Line] = []
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), start=1):
        content = _without_comment(raw).rstrip()
        indent = len(content) - len(content.lstrip(" "))
        if not content or (not lines and content == "---"):
            continue
        if content[indent:].startswith("\t") or content.split(" ")[0] in ("---", "..."):
            raise ValueError(f"line {number}: unsupported YAML: {content.strip()[:20]!r}")
        lines.append(_Line(number, indent, content[indent:]))
    return lines


def _without_comment(line: str) -> str:
    """Cut a line at a # that follows white space and stands outside quotes."""
    if "#" not in line:
        return line
    position = 0
    while position < len(line):
        at_start = position == 0 or line[position - 1] in " \t"
        if at_start and line[position] == "#":
            return line[:position]
        if line[position] in _QUOTES and (at_start or line[position - 1] in "[{,:"):
            quoted = _QUOTED.match(line, position)
            if quoted is None:
                return line
            position = quoted.end()
        else:
            position += 1
    return line


class _Blocks:
    """Blocks: their structure is their indentation."""

    def __init__(self, lines: list[_Line], plain: Callable[[str], object]) -> None:
        self.lines = lines
        self.position = 0
        self._plain = plain

    def error(self, reason: str) -> ValueError:
        line = self.lines[min(self.position, len(self.lines) - 1)]
        return ValueError(f"line {line.number}: {reason}: {line.text[:40]!r}")

    def block(self, indent: int, depth: int) -> object:
        """Parse what begins at the current line, all of whose own lines have that indentation."""
        if depth > _MAX_DEPTH:
            raise self.error("nested too deeply")
        text = self.lines[self.position].text
        if _is_item(text):
            return self._sequence(indent, depth)
        return self._mapping(indent, depth) if _KEY.fullmatch(text) else self._value(text, indent, depth)

    def _at(self, indent: int) -> _Line | None:
        line = self.lines[self.position] if self.position < len(self.lines) else None
        return line if line is not None and line.indent == indent else None

    def _sequence(self, indent: int, depth: int) -> list[object]:
        items = []
        while (line := self._at(indent)) is not None and _is_item(line.text):
            rest = line.text[1:].lstrip(" ")
            if _is_item(rest) or _KEY.fullmatch(rest):  # a block that begins on the line of its dash
                inner = indent + len(line.text) - len(rest)
                self.lines[self.position] = _Line(line.number, inner, rest)
                items.append(self.block(inner, depth + 1))
            else:
                items.append(self._value(rest, indent, depth))
        return items

    def _mapping(self, indent: int, depth: int) -> dict[Hashable, object]:
        mapping: dict[Hashable, object] = {}
        while (line := self._at(indent)) is not None and (entry := _KEY.fullmatch(line.text)):
            key = _scalar(entry["key"].rstrip(), self._plain)
            if not isinstance(key, Hashable) or key in mapping:
                raise self.error("a key that is given twice")
            mapping[key] = self._value(entry["rest"] or "", indent, depth, after_key=True)
        return mapping

    def _value(self, text: str, indent: int, depth: int, *, after_key: bool = False) -> object:
        """Parse the rest of the current line, or the block below it where there is no rest; go on to the next line."""
        if text.startswith(("[", "{")):
            return self._flow(text)
        try:
            value = _scalar(text, self._plain)
        except ValueError as error:
            raise self.error(str(error)) from None
        self.position += 1
        following = self.lines[self.position] if self.position < len(self.lines) else None
        if following is None or text:
            if following is not None and following.indent > indent:
                raise self.error("unsupported YAML, a scalar of several lines")
            return value
        below = following.indent > indent or (after_key and following.indent == indent and _is_item(following.text))
        return self.block(following.indent, depth + 1) if below else value

    def _flow(self, text: str) -> object:
        """Parse a flow, which may go on for several lines."""
        try:
            tokens = list(_tokens(text))
            depth = _depth(tokens)
            while depth > 0:
                self.position += 1
                if self.position >= len(self.lines):
                    raise ValueError("a bracket that is not closed")
                more_tokens = list(_tokens(self.lines[self.position].text))
                depth += _depth(more_tokens)
                tokens += more_tokens
            flow = _Flow(tokens, self._plain)
            value = flow.value(0)
            if depth or flow.tokens:
                raise ValueError("brackets that do not match")
        except ValueError as error:
            raise self.error(str(error)) from None
        self.position += 1
        return value


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if match[0] in _QUOTES:
            raise ValueError("a quote that is not closed")
        yield match[0]


def _depth(tokens: Sequence[str]) -> int:
    """Return how many brackets more are opened than closed."""
    return sum(_BRACKETS.get(token, 0) for token in tokens)


class _Flow:
    """Flows: ``[a, b]`` and ``{a: 1, b: 2}``."""

    def __init__(self, tokens: Sequence[str], plain: Callable[[str], object]) -> None:
        self.tokens = list(reversed(tokens))
        self._plain = plain

    def value(self, depth: int) -> object:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        token = self._next()
        if token == "[":
            return self._items("]", lambda: self.value(depth + 1))
        if token == "{":
            entries = self._items("}", lambda: self._entry(depth))
            mapping = dict(entries)
            if len(mapping) < len(entries):
                raise ValueError("a key that is given twice")
            return mapping
        return _scalar(token, self._plain)

    def _items(self, end: str, parse: Callable[[], _Item]) -> list[_Item]:
        items = []
        while self._peek() != end:
            items.append(parse())
            if self._peek() != end and self._next() != ",":
                raise ValueError("a comma is missing")
        self._next()
        return items

    def _entry(self, depth: int) -> tuple[Hashable, object]:
        key = _scalar(self._next(), self._plain)
        if self._next() != ":":
            raise ValueError("a colon is missing")
        return key, self.value(depth + 1)

    def _peek(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def _next(self) -> str:
        if not self.tokens:
            raise ValueError("a bracket that is not closed")
        return self.tokens.pop()


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _scalar(text: str, plain: Callable[[str], object]) -> Hashable:
    """Return a scalar's value."""
    if _QUOTED.fullmatch(text):
        if text[0] == "'":
            return text[1:-1].replace("''", "'")
        return str(json.loads(text))
    if _NOT_PLAIN.match(text):
        raise ValueError("unsupported YAML")
    value = plain(text)
    assert isinstance(value, Hashable)
    return value
