"""Python's own notation of lists and mappings, which programs write with ``str``."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from itertools import pairwise

__all__ = ["parse_literal"]

_MAX_CHARACTERS = 1 << 20  # Python's parser needs hundreds of bytes and 5 µs for each
_LAYOUT = (tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT)
_WRAPPERS = {
    "OrderedDict",
    "array",
    "defaultdict",
    "dict",
    "dict_keys",
    "dict_values",
    "frozendict",
    "list",
    "tuple",
    "Index",
}


def parse_literal(text: str) -> object:
    r"""Return what a Python literal stands for.

    Also read are the items of a list or mapping without their brackets, what ``str`` gives for dictionaries and arrays
    of other types (``OrderedDict([(0, 'cat')])``, ``dict_values(['cat'])``), and NumPy's lists without commas.

    Raises
    ------
    ValueError, SyntaxError, RecursionError, MemoryError
        The text is not a literal, or an ambiguous one: with a key that is given twice, or with two strings
        side by side, which Python would join.

    Examples
    --------
    >>> parse_literal("{0: 'cat', 1: 'dog'}")
    {0: 'cat', 1: 'dog'}
    >>> parse_literal("['cat' 'dog'\n 'bird']")  # as NumPy prints an array
    ['cat', 'dog', 'bird']
    >>> parse_literal("['cat', 'dog' 'bird']")
    Traceback (most recent call last):
        ...
    ValueError: a comma is missing between two strings
    """
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"a literal of more than {_MAX_CHARACTERS >> 20} Mi characters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's own, of backslashes in the text
        tree = _parsed(text)
    if (strings := _strings_without_commas(text)) is not None:
        return strings
    _check_keys(tree)
    return ast.literal_eval(tree)


def _parsed(text: str) -> ast.expr:
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        if text[:1] not in ("'", '"') and not text[:1].isdecimal():
            raise
        # Without the brackets around them: the items of a list over several lines, or those of a mapping.
        try:
            tree = ast.parse(f"[{text}]", mode="eval").body
        except SyntaxError:
            tree = ast.parse("{" + text + "}", mode="eval").body
    if isinstance(tree, ast.Call):
        name = tree.func.attr if isinstance(tree.func, ast.Attribute) else getattr(tree.func, "id", "")
        if name not in _WRAPPERS or not tree.args:
            raise ValueError("a call, not a literal")
        tree = tree.args[-1] if name == "defaultdict" else tree.args[0]
        if name in ("OrderedDict", "dict") and isinstance(tree, ast.List | ast.Tuple):
            pairs = [item.elts for item in tree.elts if isinstance(item, ast.Tuple) and len(item.elts) == 2]
            if len(pairs) < len(tree.elts):
                raise ValueError("a dictionary of other things than pairs")
            return ast.Dict([key for key, _ in pairs], [value for _, value in pairs])
    return tree


def _check_keys(tree: ast.expr) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            if len(set(keys)) < len(keys):
                raise ValueError("a key that is given twice")


def _strings_without_commas(text: str) -> list[str] | None:
    """Return the strings of a list as NumPy prints it; None for other literals.

    Raises
    ------
    ValueError
        Some are separated by commas, and some are not.
    """
    try:
        tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in _LAYOUT]
    except (tokenize.TokenError, SyntaxError, IndentationError):
        raise ValueError("not Python") from None
    is_string = [token.type == tokenize.STRING for token in tokens]
    if not any(first and second for first, second in pairwise(is_string)):
        return None
    if len(tokens) > 2 and (tokens[0].string, tokens[-1].string) == ("[", "]") and all(is_string[1:-1]):
        return [str(ast.literal_eval(token.string)) for token in tokens[1:-1]]
    raise ValueError("a comma is missing between two strings")
