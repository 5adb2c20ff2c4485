"""Results as JSON."""

from __future__ import annotations

import base64
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.comparison.grid import draw_picture, draw_thumbnail
from onnx_cam.drawing.canvas import resize
from onnx_cam.drawing.overlay import encode_png
from onnx_cam.explanation.result import Explanation
from onnx_cam.explanation.saving import encode_npy
from onnx_cam.server.folders import Folders
from onnx_cam.server.kept import FILES, KeptResults
from onnx_cam.server.order import ExplainOrder

__all__ = ["answer_of"]

_VIEW_SIDE = 1024  # pixels of the longer side, at most: a page shows no more
_JPEG_QUALITY = 90


def answer_of(
    result: Explanation, order: ExplainOrder, folders: Folders, kept: KeptResults, command: str
) -> dict[str, Any]:
    """Return a result as the API gives it: the record, the overlay, and what else was asked for.

    Parameters
    ----------
    result : Explanation
    order : ExplainOrder
        What was asked for.
    folders : Folders
        What must not be in it.
    kept : KeptResults
        Where a result is kept that is to be downloaded.
    command : str
        The command line that repeats it.
    """
    record = _record(result, folders)
    answer = {**record, "overlay_png": _base64(_overlay(result, order))}
    if "cam" in order.include:
        answer["cam_npy"] = _base64(encode_npy(result.cam))
    if "map" in order.include:
        answer["map_npy"] = _base64(encode_npy(result.geometry.place(result.cam)))
    if "error" in order.include:
        answer["error_npy"] = None if result.error is None else _base64(encode_npy(result.error))
    if "view" in order.include:
        answer["view"] = _view(result, command)
    if "link" in order.include:
        key = kept.add(result, record)
        answer["link"] = {
            name: {"href": f"api/results/{key}/{name}", "name": result.file_name + file.suffix}
            for name, file in FILES.items()
            if result.error is not None or not name.startswith("error")
        }
    return answer


def _record(result: Explanation, folders: Folders) -> dict[str, Any]:
    """Return a result's record, with names of files in place of paths."""
    record = result.record()
    for name in ("model", "image"):
        record[name] = None if record[name] is None else PurePath(record[name]).name
    record["custom_ops"] = [PurePath(path).name for path in record["custom_ops"]]
    return dict(folders.without(record))


def _overlay(result: Explanation, order: ExplainOrder) -> bytes:
    height, width = result.pixels.shape[:2]
    if order.side is None or order.side >= max(height, width):
        return encode_png(result.overlay(order.alpha, order.colormap))
    return encode_png(draw_thumbnail(result, order.side, alpha=order.alpha, colormap=order.colormap))


def _view(result: Explanation, command: str) -> dict[str, Any]:
    """Return what a page draws: the image and the map's values apart, so that their opacity can change at once."""
    full_height, full_width = result.pixels.shape[:2]
    is_small = max(full_height, full_width) <= _VIEW_SIDE
    image = result.pixels if is_small else draw_picture(result, _VIEW_SIDE)
    height, width = image.shape[:2]
    placed = np.clip(resize(result.geometry.place(result.cam), height, width), 0, 1)
    deviation, largest = _deviation(result, height, width)
    return {
        "width": width,
        "height": height,
        "full_width": full_width,
        "full_height": full_height,
        "crop": list(result.geometry.scaled(height, width).crop),
        "image_jpeg": _base64(_jpeg(image)),
        "map_png": _base64(_grey_png(placed)),
        "deviation_png": None if deviation is None else _base64(_grey_png(deviation)),
        "largest_deviation": largest,
        "subject": result.subject,
        "state": result.state,
        "precision": result.precision,
        "command": command,
    }


def _deviation(result: Explanation, height: int, width: int) -> tuple[NDArray[np.float32] | None, float | None]:
    """Return the map's standard deviation as a share of its largest one, (height, width), and that of the map's range.

    The range is that of the map in the image, from 0 to 1: both can be set beside the map's values.
    """
    if result.error is None or np.isnan(result.error).any() or result.empty:
        return None, None
    x0, y0, x1, y1 = result.crop
    inside = result.geometry.upsample(result.cam)[y0:y1, x0:x1]
    spread = float(inside.max() - inside.min())
    placed = resize(result.geometry.upsample(result.error), height, width)
    largest = float(placed.max())
    if spread <= 0 or largest <= 0:
        return None, None
    return np.clip(placed / largest, 0, 1), largest / spread


def _grey_png(shares: NDArray[np.float32]) -> bytes:
    """Return values from 0 to 1, (H, W), as a grey PNG file: 255 is 1."""
    import cv2

    _, encoded = cv2.imencode(".png", np.rint(shares * 255).astype(np.uint8))
    return bytes(encoded)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    import cv2

    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(encoded)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
