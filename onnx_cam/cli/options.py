"""The options that several commands share, and what can be judged from the command's words alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from onnx_cam.cli.collection import without_collection
from onnx_cam.cli.completion import complete_files, complete_variants, complete_words
from onnx_cam.errors import SettingError
from onnx_cam.names import COLORMAPS, DEVICES, HEADS, PREPROCESSINGS

if TYPE_CHECKING:
    from onnx_cam.classifier.classifier import Classifier

__all__ = [
    "BATCH_SIZE",
    "DATASET_FILES",
    "DRAWING",
    "IMAGES",
    "LAYER",
    "LIMITS",
    "LOADING",
    "MODEL",
    "SAMPLES",
    "SEED",
    "SIGMA",
    "TARGET",
    "VARIANT",
    "VERSUS",
    "load_classifier",
    "options",
    "preprocess_word",
    "read_size",
]


def read_size(
    ctx: click.Context, param: click.Parameter, value: str | None, *, digits: int = 9
) -> tuple[int, int] | None:
    """Return (H, W) of ``HxW``, each with at most so many digits."""
    if value is None:
        return None
    side = rf"([1-9]\d{{0,{digits - 1}}})"
    match = re.fullmatch(f"{side}[xX×]{side}", value)
    if match is None:
        raise click.BadParameter(f"invalid size {value!r}: expected HxW, e.g. 224x224")
    return int(match[1]), int(match[2])


def _limit(ctx: click.Context, param: click.Parameter, value: str | None) -> int | float | None:
    """Return a budget or a tolerance, where its words are valid."""
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
        raise click.BadParameter(f"invalid batch size {value!r}: expected auto or a whole number of at least 1")
    return int(value)


def _device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    from onnx_cam.runtime.devices import is_device

    if not is_device(value):
        raise click.BadParameter(f"unknown device {value!r}: expected auto, cuda:N or one of {', '.join(DEVICES)}")
    return value


def preprocess_word(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return the word for a preprocessing, where it is valid."""
    if value is None:
        return None
    if value not in PREPROCESSINGS and not value.endswith(".json"):
        raise click.BadParameter(
            f"unknown preprocessing {value!r}: expected {', '.join(PREPROCESSINGS)} or a .json file"
        )
    return value


def _target_text(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip(" ,") or re.fullmatch(r"top0+", value):
        raise click.BadParameter(f"invalid target {value!r}: expected top1, topN, an index or a name")
    return value


def _versus(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    """Return the class to contrast with, where its words are valid."""
    if value is None:
        return None
    from onnx_cam.methods.contrast import read_versus

    try:
        return read_versus(value)
    except SettingError as error:
        raise click.BadParameter(str(error)) from error


def _constants(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return the values of inputs by their names, of words such as ``im_shape=32,32``."""
    constants: dict[str, str] = {}
    for word in values:
        name, is_set, value = word.partition("=")
        if not is_set or not name or not value:
            raise click.BadParameter(f"invalid setting {word!r}: expected NAME=VALUE, e.g. training=false")
        if name in constants:
            raise click.BadParameter(f"input {name!r} is given twice")
        constants[name] = value
    return constants


def load_classifier(model: str, settings: dict[str, Any]) -> Classifier:
    """Load a model with the settings of `LOADING`."""
    import onnx_cam

    with without_collection():
        load = onnx_cam.load  # it is imported here

    names = ("device", "labels", "label_offset", "preprocess", "size", "head", "threads")
    own = {name: settings[name] for name in names}
    return load(
        model,
        input=settings["input_name"],
        output=settings["output_name"],
        constants=dict(settings["constants"]),
        custom_ops=settings["custom_ops"],
        **own,
    )


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return one decorator that adds several options to a command, in this order."""

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


LOADING = options(
    click.option(
        "--labels",
        shell_complete=complete_words(("imagenet",), files=True),
        metavar="FILE|imagenet",
        help="Class names: a text or JSON file, or ImageNet's. By default what the model's metadata or a configuration "
        "file beside it says.",
    ),
    click.option(
        "--label-offset",
        type=click.IntRange(min=0),
        metavar="N",
        help="Position of the first name in the output, e.g. 1 where class 0 is an unnamed background.",
    ),
    click.option(
        "--preprocess",
        callback=preprocess_word,
        shell_complete=complete_words(PREPROCESSINGS, files=True),
        metavar="NAME|FILE.json",
        default="auto",
        show_default=True,
        help=f"How to preprocess the image: {', '.join(PREPROCESSINGS)} or a JSON file. With none, IMAGE is a .npy "
        "file that holds the network's input.",
    ),
    click.option(
        "--size",
        callback=read_size,
        metavar="HxW",
        help="Height and width of the network's input in pixels, for a model that leaves them free.",
    ),
    click.option(
        "--input", "input_name", metavar="NAME", help="Name of the input that takes the image, if there are several."
    ),
    click.option(
        "--output",
        "output_name",
        metavar="NAME",
        help="Name of the output with the class scores, if there are several; any other tensor of the graph "
        "also works.",
    ),
    click.option(
        "--head",
        type=click.Choice(("auto", *HEADS)),
        metavar="KIND",
        default="auto",
        show_default=True,
        help=f"What the output's numbers already are: auto, {', '.join(HEADS)}. With raw, the number itself is "
        "explained, as of a regression.",
    ),
    click.option(
        "--set",
        "constants",
        callback=_constants,
        multiple=True,
        metavar="NAME=VALUE",
        help="Value of an input beside the image, for a model that needs one: true or false, numbers separated by "
        "commas, or a .npy file; e.g. --set training=false --set im_shape=224,224.",
    ),
    click.option(
        "--custom-ops",
        multiple=True,
        shell_complete=complete_files,
        metavar="LIBRARY",
        help="Shared library of custom operators (.so, .dll, .dylib) to register with ONNX Runtime. Its code runs in "
        "this process, so only name libraries that you trust.",
    ),
    click.option(
        "--device",
        callback=_device,
        shell_complete=complete_words(("auto", *DEVICES)),
        metavar="DEVICE",
        default="auto",
        show_default=True,
        help=f"Execution device: auto, {', '.join(DEVICES)} or cuda:N. Fails rather than falling back silently.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, 512),
        metavar="T",
        help="Number of cores to use, from 1 to 512; by default all that this process may use.",
    ),
)


MODEL = options(click.argument("model", shell_complete=complete_files), LOADING)
"""A model, and how it is loaded."""

IMAGES = click.argument("images", nargs=-1, required=True, shell_complete=complete_files, metavar="IMAGE...")
TARGET = click.option(
    "--target",
    callback=_target_text,
    metavar="top1|topN|INDEX|NAME[,…]",
    default="top1",
    show_default=True,
    help="Classes to explain: the N likeliest, or indices and names separated by commas.",
)
VERSUS = click.option(
    "--versus",
    callback=_versus,
    metavar="INDEX|NAME|next",
    help="Explain why the target rather than this class: an index, a name, or next, the likeliest other class.",
)
LAYER = click.option(
    "--layer",
    metavar="NAME",
    help="Layer to explain: the name of its output tensor or node, as onnx-cam layers lists them. By default the last "
    "one with a height and width above 1.",
)
SAMPLES = click.option(
    "--samples",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of samples N of the noisy methods and iscam; by default the variant's own, mostly 10.",
)
VARIANT = click.option(
    "--variant",
    shell_complete=complete_variants,
    metavar="V",
    help="Named variant of the method, such as paper; an unknown name is answered with the list of them.",
)
SIGMA = click.option(
    "--sigma",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Scale σ of the noise, for the noisy methods; by default the variant's own.",
)
DATASET_FILES = options(
    click.option(
        "--images",
        type=click.Path(),
        metavar="DIR",
        help="Folder of the images that an annotation file names, where they do not lie beside it.",
    ),
    click.option(
        "--classes",
        type=click.Path(),
        metavar="FILE",
        help="File with the dataset's classes in the order of their index.",
    ),
)
SEED = click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="Random seed of the noise.",
)
BATCH_SIZE = click.option(
    "--batch-size",
    callback=_batch_size,
    shell_complete=complete_words(("auto",)),
    metavar="auto|B",
    default="auto",
    show_default=True,
    help="Number of masked images in a run; auto chooses a fast one. It never changes the map.",
)
LIMITS = options(
    click.option(
        "--budget",
        callback=_limit,
        metavar="N|P%",
        help="Run at most N forward passes, or P% of an exact map's (200 or 10%); the other scores are predicted.",
    ),
    click.option(
        "--tolerance",
        callback=_limit,
        metavar="T",
        help="Stop once the relative error of the map is at most this, e.g. 0.05 for 5 %.",
    ),
)
DRAWING = options(
    click.option(
        "--alpha",
        type=click.FloatRange(0, 1),
        metavar="A",
        default=0.5,
        show_default=True,
        help="Opacity of the map's colours, from 0 to 1.",
    ),
    click.option(
        "--colormap",
        type=click.Choice(COLORMAPS),
        metavar="NAME",
        default="turbo",
        show_default=True,
        help=f"Colour map of the overlay: {', '.join(COLORMAPS)}.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON record per line, and nothing else."),
    click.option("--quiet", is_flag=True, help="Hide progress, notes and warnings."),
)
