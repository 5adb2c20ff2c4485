"""A comparison as a web page: one file that needs neither a network nor a script."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.comparison.captions import Row, about, cost, image_name, label_and_rest, method_name, settings, sharing
from onnx_cam.comparison.grid import draw_picture, draw_thumbnail
from onnx_cam.drawing.overlay import encode_png
from onnx_cam.errors import one_line_text
from onnx_cam.explanation.result import Explanation

__all__ = ["write_page"]

_EMPTY = ' class="empty"'

_STYLE = """
:root {
  color-scheme: light dark;
  --back: #ffffff; --text: #111827; --faint: #4b5563; --rule: #d1d5db; --alarm: #b91c1c;
}
@media (prefers-color-scheme: dark) {
  :root { --back: #111418; --text: #f3f4f6; --faint: #b6bcc6; --rule: #3a414c; --alarm: #fca5a5; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--back); color: var(--text); font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; }
p { margin: 0 0 1rem; color: var(--faint); overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .6rem .6rem .9rem 0; text-align: left; vertical-align: top; font-weight: 400; }
thead th { font-weight: 600; white-space: nowrap; padding-bottom: 0; }
tbody tr + tr { border-top: 1px solid var(--rule); }
.cell { width: min(SIDEpx, 72vw); overflow-wrap: anywhere; }
img { display: block; max-width: 100%; height: auto; margin-bottom: .4rem; }
b { font-weight: 600; }
small { display: block; font-size: .875rem; color: var(--faint); }
.empty img { outline: 3px solid var(--alarm); outline-offset: -3px; }
.empty strong { color: var(--alarm); font-size: .875rem; }
footer { margin-top: 1.5rem; padding-top: 1rem; font-size: .875rem;
  border-top: 1px solid var(--rule); color: var(--faint); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0 0 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; }
pre { overflow-x: auto; font-size: .8rem; }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{about}</p>
<div class="scroll" role="region" aria-label="The maps, a row for each image and class" tabindex="0">
<table>
<thead>
<tr><th scope="col">image</th>{columns}</tr>
</thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</main>
<footer>
<p>A score is the probability of the class for the image. Specificity tells how far a map is from the one with all
weights equal: at 0 the class played no part. What the network did not see is grey.</p>
<dl>
{facts}
</dl>
<details><summary>The records of all maps (JSON)</summary>
<pre>{record}</pre>
</details>
</footer>
</body>
</html>
"""


def write_page(rows: Sequence[Row], record: Mapping[str, Any], *, alpha: float, colormap: str, side: int) -> str:
    """Return a comparison as HTML.

    Parameters
    ----------
    rows : sequence of sequence of Explanation
        All of one length, the number of methods.
    record : mapping
        How it was made, as plain JSON values.
    alpha, colormap
        As for an overlay.
    side : int
        The longest side of a picture, in pixels.
    """

    def cell(explanation: Explanation, classes: int) -> str:
        picture = draw_thumbnail(explanation, side, alpha=alpha, colormap=colormap)
        return _map_cell(explanation, picture, classes)

    lines = [
        f"<tr>{_image_cell(row[0], side)}{''.join(cell(explanation, classes) for explanation in row)}</tr>"
        for row, classes in zip(rows, sharing(rows), strict=True)
    ]
    columns = (" ".join(filter(None, (method_name(e), settings(e)))) for e in rows[0])
    images = len({id(row[0].pixels) for row in rows})  # rows of one image share its pixels
    return _PAGE.format(
        title=_text(f"{_count(len(rows[0]), 'method')} on {_count(images, 'image')}"),
        style=_STYLE.replace("SIDE", str(side)),
        about=_text(about(rows[0][0])),
        columns="".join(f'<th scope="col">{_text(column)}</th>' for column in columns),
        rows="\n".join(lines),
        facts="\n".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in _facts(rows, record)),
        record=escape(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)),
    )


def _image_cell(explanation: Explanation, side: int) -> str:
    name = image_name(explanation)
    top = ["".join(label_and_rest(target)) for target in explanation.top[:3]]
    picture = _img(draw_picture(explanation, side), f"{name}, as given; the model says {top[0]}")
    others = "".join(f"<small>{_text(line)}</small>" for line in top[1:])
    return f'<th scope="row"><div class="cell">{picture}<b>{_text(name)}</b><br>{_text(top[0])}{others}</div></th>'


def _map_cell(explanation: Explanation, picture: NDArray[np.uint8], classes: int) -> str:
    target = "".join(label_and_rest(explanation.target))
    drawn = "Empty map" if explanation.empty else "Map"
    seen = f"{drawn} by {method_name(explanation)} on {image_name(explanation)}, class {target}"
    state = _text(explanation.state)
    warnings = "".join(f"<small>{_text(warning)}</small>" for warning in explanation.warnings)
    return (
        f'<td{_EMPTY if explanation.empty else ""}><div class="cell">'
        f"{_img(picture, seen)}<b>{_text(method_name(explanation))}</b><br>{_text(target)}"
        f"<small>{_text(cost(explanation, classes))}</small>"
        f"{f'<strong>{state}</strong>' if explanation.empty else f'<small>{state}</small>'}"
        f"{f'<small>{_text(explanation.precision)}</small>' if explanation.precision else ''}{warnings}</div></td>"
    )


def _img(picture: NDArray[np.uint8], alt: str) -> str:
    height, width = picture.shape[:2]
    content = base64.b64encode(encode_png(picture)).decode()
    return f'<img src="data:image/png;base64,{content}" width="{width}" height="{height}" alt="{_text(alt)}">'


def _facts(rows: Sequence[Row], record: Mapping[str, Any]) -> list[tuple[str, str]]:
    first = rows[0][0]
    providers = dict.fromkeys(explanation.provider for row in rows for explanation in row)
    preprocessing = first.preprocessing
    return [
        ("model", first.record()["model"]),
        ("SHA-256", first.model_sha256),
        ("layer", f"{first.layer}, {'×'.join(map(str, first.layer_shape))}"),
        ("preprocessing", f"{preprocessing.get('name')}: {preprocessing.get('source', '')}"),
        ("provider", ", ".join(providers)),
        ("seed", str(first.seed)),
        *((f"{method_name(e)}", _parameters(e)) for e in rows[0]),
        *((f"{name}, left out", reason) for name, reason in record["left_out"].items()),
        ("versions", ", ".join(f"{name} {version}" for name, version in first.versions.items())),
    ]


def _parameters(explanation: Explanation) -> str:
    return ", ".join(f"{name} {'none' if value is None else value}" for name, value in explanation.parameters.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _text(text: str) -> str:
    return escape(one_line_text(text))
