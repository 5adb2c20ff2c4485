"""Damage to the values of a configuration: JSON's objects, lists, texts and numbers."""

from __future__ import annotations

import copy
import json
from itertools import islice
from random import Random
from typing import Any

__all__ = ["ODD", "changed", "to_yaml"]

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 3.7, 1e308, -1e308, 1e-320),
    *(float("nan"), float("inf"), float("-inf"), 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400, 255, 1 / 255),
    *("", " ", "0", "-1", "1e999", "NaN", "inf", "1_000", "0x10", "9" * 5000, "1" * 400, "3.5", "[1, 2]", "[", "{}"),
    *("\0", "a\0b", "\n\n", "\r", "\ud800", "\udcff", "\u0663", "\u00b2", "\u2028", "\ufeff", "e\u0301", "\x1b[31m"),
    *("../../../etc/passwd", "/", "true", "None", "null", "LABEL_0", "imagenet", "a" * 10_000, "%s", "{0}", "<b>"),
    *([], {}, [[]], [{}], {"": 1}, {"a": {}}, [None], [1, "a"], ["a", "a"], [0.5, 0.5, 0.5], [-1, -1], [10**9, 10**9]),
    *({"height": 0, "width": -3}, {"shortest_edge": 10**12}, {"0": "a", "1": "b"}, {"a": 0, "b": 0}, [[[[[[[[1]]]]]]]]),
)
"""Values that readers forget."""

_DEPTHS = (3, 30, 150)
_MOST = 2000  # parts of a configuration; copies of copies would grow without end


def changed(value: Any, random: Random) -> Any:
    """Return a copy of a configuration with a few of its parts replaced, removed, renamed, exchanged or nested."""
    result = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        result = _change(result, random)
    return result


def _change(value: Any, random: Random) -> Any:
    places = list(islice(_places(value), _MOST))
    if not places or random.random() < 0.02:
        return _odd(random)
    holder, key = random.choice(places)
    choice = random.randrange(8)
    if choice == 0:
        del holder[key]
    elif choice == 1 and isinstance(holder, dict):
        holder[random.choice([f"{key}_", str(key).upper(), "", "\0", "size", "mean", "names", "type", 7])] = holder[key]
    elif choice == 2 and len(places) < _MOST:
        other_holder, other_key = random.choice(places)
        holder[key] = copy.deepcopy(other_holder[other_key])
    elif choice == 3:
        holder[key] = _nested(holder[key], random)
    elif choice == 4 and isinstance(holder, list) and len(places) < _MOST:
        holder.extend(copy.deepcopy(holder[:]) * random.choice((1, 1, 1, 300)))
    elif choice == 5 and isinstance(holder[key], int | float) and abs(holder[key]) < 1e300:
        holder[key] = random.choice([-holder[key], holder[key] * 1e6, str(holder[key]), [holder[key]], holder[key] / 7])
    else:
        holder[key] = _odd(random)
    return value


def _places(value: Any) -> Any:
    """Yield every (container, key) of a configuration."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def _odd(random: Random) -> Any:
    return copy.deepcopy(random.choice(ODD))


def _nested(value: Any, random: Random) -> Any:
    for _ in range(random.choice(_DEPTHS)):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value


def to_yaml(value: Any, indent: int = 0) -> str:
    """Return a configuration as YAML, in blocks as PyYAML writes it; scalars as JSON, which YAML contains."""
    space = "  " * indent
    if indent > 40 or not isinstance(value, dict | list) or not value:
        return f"{space}{json.dumps(value)}\n"
    if isinstance(value, list):
        return "".join(f"{space}-\n{to_yaml(item, indent + 1)}" for item in value)
    lines = []
    for key, item in value.items():
        is_block = isinstance(item, dict | list)
        lines.append(f"{space}{key}:\n{to_yaml(item, indent + 1)}" if is_block else f"{space}{key}: {to_yaml(item)}")
    return "".join(lines)
