"""The part of YAML that is read: as YAML's own parsers read it, and nothing else."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from onnx_cam.image.configurations.yaml_subset import parse_yaml

PADDLE = """
# an inference.yml, as PaddleX writes it
Global:
  model_name: PP-LCNet
PreProcess:
  transform_ops:
  - ResizeImage:
      resize_short: 256
  - NormalizeImage:
      mean:
      - 0.485
      - 0.456
      order: ''
      scale: 1e-3
  - ToCHWImage: null
Hpi:
  shapes: {x: [[1, 3, 224, 224],
               [8, 3, 224, 224]]}
"""


def test_a_configuration() -> None:
    assert parse_yaml(PADDLE) == {
        "Global": {"model_name": "PP-LCNet"},
        "PreProcess": {
            "transform_ops": [
                {"ResizeImage": {"resize_short": 256}},
                {"NormalizeImage": {"mean": [0.485, 0.456], "order": "", "scale": 1e-3}},
                {"ToCHWImage": None},
            ]
        },
        "Hpi": {"shapes": {"x": [[1, 3, 224, 224], [8, 3, 224, 224]]}},
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing\n", None),
        ("---\n- a\n- b c\n", ["a", "b c"]),
        ("a:\n- b\n- c\nd: e", {"a": ["b", "c"], "d": "e"}),
        ("- - a\n  - b\n- c: 1\n  d: 2\n-\n  e: 3", [["a", "b"], {"c": 1, "d": 2}, {"e": 3}]),
        ("a: 'it''s' # so\nb: \"x\\ny\"\n'c d': e#f", {"a": "it's", "b": "x\ny", "c d": "e#f"}),
        ("url: http://x.y/z\nat: 12:30", {"url": "http://x.y/z", "at": "12:30"}),
        ('[a, "b, c", {d: e}, []]', ["a", "b, c", {"d": "e"}, []]),
        ("a: -1\nb: +2\nc: .5\nd: no", {"a": -1, "b": 2, "c": 0.5, "d": "no"}),
        ("e: True\nf: ~\ng:", {"e": True, "f": None, "g": None}),
        ("-a: 1\n\u00e9: \u65e5\u672c", {"-a": 1, "\u00e9": "\u65e5\u672c"}),
        ("a:   # the block below\n\n  b: 1\r\n  c: 2\r", {"a": {"b": 1, "c": 2}}),
        ("one scalar", "one scalar"),
    ],
)
def test_values(text: str, value: object) -> None:
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x",
        "a: !!python/object:os.system x",
        "a: |\n  text",
        "a: >-\n  text",
        "a: b\n  c",
        "- a\n b",
        "a: b: c",
        "a: - b",
        "a: 1\na: 2",
        "{a: 1, a: 2}",
        "a: [1, 2",
        "[a b: c]",
        "[a, , b]",
        "{a}",
        "a: 'x",
        "a: 'x' y",
        'a: "\\x"',
        "a: 1\n---\nb: 2",
        "--- a",
        "%YAML 1.2\n---\na: 1",
        "? a\n: b",
        "a:\n\tb: 1",
        "a:\n   b: 1\n  c: 2",
        "a\nb\n",
        "@a",
        "`a`",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d+: "):
        parse_yaml(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" + " " * 300_000 + "b: c #",
        "a:" * 300_000 + "# x",
        "[" + '"\\' * 300_000,
        "#" + ' "\\' * 300_000 + " # x",
        "[" * 300_000,
        "- " * 300_000,
        "\n".join(" " * i + "a:" for i in range(1000)),
        "'" * 300_001,
    ],
)
def test_hostile_texts_take_no_time(text: str) -> None:
    start = time.perf_counter()
    with suppress(ValueError):
        parse_yaml(text)
    assert time.perf_counter() - start < 5
