"""The options that several commands share, and what is judged of them by the command's words alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from onnx_cam.errors import SettingError
from onnx_cam.names import COLORMAPS, PREPROCESSINGS

if TYPE_CHECKING:
    from onnx_cam.classifier.classifier import Classifier

__all__ = [
    "BATCH_SIZE",
    "DRAWING",
    "IMAGES",
    "LAYER",
    "LIMITS",
    "MODEL",
    "SAMPLES",
    "SEED",
    "TARGET",
    "load_model",
    "options",
    "read_size",
]


def read_size(
    ctx: click.Context, param: click.Parameter, value: str | None, *, digits: int = 9
) -> tuple[int, int] | None:
    """Return (H, W) of ``HxW``, each of so many digits at most."""
    if value is None:
        return None
    side = rf"([1-9]\d{{0,{digits - 1}}})"
    match = re.fullmatch(f"{side}[xX×]{side}", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no size; expected HEIGHTxWIDTH, as in 224x224")
    return int(match[1]), int(match[2])


def _limit(ctx: click.Context, param: click.Parameter, value: str | None) -> int | float | None:
    """Return a budget or a tolerance, judged by its words alone."""
    if value is None:
        return None
    from onnx_cam.methods.limit import read_budget, read_tolerance

    try:
        return read_budget(value) if param.name == "budget" else read_tolerance(value)
    except SettingError as error:
        raise click.BadParameter(str(error)) from error


def _batch_size(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    if value == "auto":
        return None
    if not re.fullmatch(r"[1-9]\d{0,8}", value):
        raise click.BadParameter(f"{value!r} is no batch size; expected auto or a whole number of at least 1")
    return int(value)


def _device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    from onnx_cam.runtime.devices import DEVICES, is_device

    if not is_device(value):
        raise click.BadParameter(f"{value!r} is no device; expected auto, cuda:N or one of {', '.join(DEVICES)}")
    return value


def _preprocess(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value not in PREPROCESSINGS and not value.endswith(".json"):
        raise click.BadParameter(f"{value!r} is no preprocessing; expected {', '.join(PREPROCESSINGS)} or a .json file")
    return value


def _target_text(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip(" ,") or re.fullmatch(r"top0+", value):
        raise click.BadParameter(f"{value!r} is no target; expected top1, topN, an index or a name")
    return value


def load_model(model: str, settings: dict[str, Any]) -> Classifier:
    """Load a model with the settings of `MODEL`."""
    import onnx_cam

    names = ("device", "labels", "label_offset", "preprocess", "size", "threads")
    chosen = {name: settings[name] for name in names}
    return onnx_cam.load(model, input=settings["input_name"], output=settings["output_name"], **chosen)


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


MODEL = options(
    click.argument("model"),
    click.option("--labels", metavar="FILE|imagenet", help="Class names: a text or JSON file, or ImageNet's."),
    click.option("--label-offset", type=click.IntRange(min=0), help="Position in the output of the first name."),
    click.option(
        "--preprocess",
        callback=_preprocess,
        metavar="NAME|FILE.json",
        default="auto",
        show_default=True,
        help="Image to network input.",
    ),
    click.option("--size", callback=read_size, metavar="HxW", help="Network input, where the model leaves it free."),
    click.option("--input", "input_name", metavar="NAME", help="The tensor that takes the image."),
    click.option("--output", "output_name", metavar="NAME", help="The tensor that holds the class scores."),
    click.option(
        "--device", callback=_device, metavar="DEVICE", default="auto", show_default=True, help="Never left silently."
    ),
    click.option("--threads", type=click.IntRange(1, 512), help="Threads within an operator."),
)


IMAGES = click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
TARGET = click.option(
    "--target",
    callback=_target_text,
    metavar="top1|topN|INDEX|NAME[,…]",
    default="top1",
    show_default=True,
    help="The class or classes to explain.",
)
LAYER = click.option("--layer", metavar="NAME", help="Layer's output tensor or node; see onnx-cam layers.")
SAMPLES = click.option("--samples", type=click.IntRange(min=1), help="N, of the noisy methods and iscam.")
SEED = click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Of the noise.")
BATCH_SIZE = click.option(
    "--batch-size",
    callback=_batch_size,
    metavar="auto|B",
    default="auto",
    show_default=True,
    help="It never changes the map.",
)
LIMITS = options(
    click.option("--budget", callback=_limit, metavar="N|P%", help="Score a part of the inputs; regress the rest."),
    click.option("--tolerance", callback=_limit, metavar="T", help="Stop once the share left is at most this."),
)
DRAWING = options(
    click.option(
        "--alpha", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Opacity of the colours."
    ),
    click.option("--colormap", type=click.Choice(COLORMAPS), default="turbo", show_default=True),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON record a line, and nothing else."),
    click.option("--quiet", is_flag=True, help="No progress and no notes."),
)
