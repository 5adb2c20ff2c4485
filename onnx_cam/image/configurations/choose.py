"""Choose a model's preprocessing: from its metadata, a file beside it or its graph, or ImageNet's as a guess."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from onnx_cam.errors import PreprocessingError, did_you_mean
from onnx_cam.graph.built_in import BuiltIn
from onnx_cam.graph.inputs.element_types import ELEMENT_TYPES
from onnx_cam.graph.links import files_beside
from onnx_cam.graph.read import ModelFile
from onnx_cam.image.configurations.base import FixedSize
from onnx_cam.image.configurations.custom_vision import CustomVision
from onnx_cam.image.configurations.formats import file_names, find_format, from_config
from onnx_cam.image.configurations.other_files import other_files_beside
from onnx_cam.image.configurations.reading import is_configuration_name, parse_json, read_configuration
from onnx_cam.image.configurations.ultralytics import Ultralytics, parse_size
from onnx_cam.image.configurations.values import NO_MEAN, NO_STD, Config, checked, listed, pixel_keys
from onnx_cam.image.preprocessing import PRESETS, Preprocessing
from onnx_cam.image.resizing import Resize
from onnx_cam.names import PREPROCESSINGS

__all__ = ["METADATA_KEY", "both_normalise", "choose_preprocessing", "loses_levels", "with_stated_size"]

METADATA_KEY = "onnx_cam.preprocessing"
"""The metadata property that holds :meth:`Preprocessing.describe` as JSON."""

_METADATA_KEYS = (METADATA_KEY, "preprocessing", "preprocessor_config")
_SIZE_KEYS = ("imgsz", "image_size", "input_size", "img_size")
_WHOLE_METADATA = (CustomVision(), Ultralytics())  # the formats whose keys are metadata properties
_PIXEL_TYPES = ("uint8", "int8")  # whose range is that of pixels
_LARGEST_PIXEL = 255
_FEWEST_LEVELS = 16
_RANGE_NOTE = (
    "it is given pixel values from 0 to 255; if it expects another range, set that with a --preprocess FILE.json, "
    'e.g. {"scale": 257} for 0 to 65535'
)
_GUESS = "a guess: nothing in the model or beside it says so"
_GUESS_IN_SPITE = "a guess: what the model or the files beside it say cannot be used"


def choose_preprocessing(
    name: str | os.PathLike[str],
    model: ModelFile,
    *,
    dtype: str = "float32",
    channels: int = 3,
    built_in: BuiltIn | None = None,
    fixed: FixedSize = (None, None),
) -> Preprocessing:
    """Return the preprocessing of that name.

    Parameters
    ----------
    name : str or path
        A preset, ``auto``, or the path of a JSON or YAML file in one of the :data:`.formats.FORMATS`.
    model : ModelFile
        Where ``auto`` looks: in its metadata, then in the files beside it.
    dtype : str
        The type of the network's input; where it takes 8-bit integers, ``auto`` does not normalise.
    channels : int
        The number of channels of the network's input. For four ImageNet's preset has no constants, and RGBA / 255 is
        the guess.
    built_in : BuiltIn, optional
        What the graph does to its input itself; ``auto`` does not repeat it. Where there is none either, ImageNet's
        preset is a guess.
    fixed : tuple
        ``(H, W)`` of the network's input, as far as the model fixes it.

    Raises
    ------
    PreprocessingError
        The name is unknown, or a file does not describe a usable preprocessing.

    Examples
    --------
    >>> from onnx_cam.graph.read import read_model
    >>> choose_preprocessing("caffe", read_model("model.onnx")).channels
    'BGR'
    >>> choose_preprocessing("auto", read_model("model.onnx")).source
    'a guess: nothing in the model or beside it says so'
    """
    name = os.fspath(name)
    if name in PRESETS:
        return PRESETS[name]
    if name != "auto":
        if not is_configuration_name(name):
            expected = ", ".join(PREPROCESSINGS)
            hint = did_you_mean(name, PRESETS)
            raise PreprocessingError(f"unknown preprocessing {name!r}{hint} Expected {expected} or a .json file")
        return from_config(read_configuration(Path(name)), name, fixed)
    # First what the model's metadata states, then the files beside it. One that cannot be used is not an error, since
    # the user did not ask for it, but the reason is reported.
    problems: list[str] = []
    preprocessing = _find(model, fixed, channels, problems)
    if preprocessing is not None:
        preprocessing = _fitted_to_graph(preprocessing, dtype, built_in)
        return replace(preprocessing, notes=(*problems, *preprocessing.notes))
    # Then what the graph itself tells, and ImageNet's preset as a guess.
    problems += _unread(model)
    preprocessing = _from_graph(dtype, built_in)
    if preprocessing is None:
        return replace(_guess(problems, channels, built_in), notes=_colour_notes(built_in))
    return replace(preprocessing, notes=(*problems, *preprocessing.notes, *_colour_notes(built_in)))


def _find(model: ModelFile, fixed: FixedSize, channels: int, problems: list[str]) -> Preprocessing | None:
    """Return the first preprocessing that is described, and can be used; add why others cannot to `problems`."""
    for source, load in _candidates(model):
        try:
            config = load()
            form = find_format(config)
            if form is None or form.describes:
                return _fitted_to_channels(from_config(config, source, fixed), source, channels)
        except PreprocessingError as error:
            problems.append(str(error))
    return None


def _fitted_to_channels(preprocessing: Preprocessing, source: str, channels: int) -> Preprocessing:
    """Return a preprocessing, unless it has constants for alpha and the network takes none.

    One without them for a network that takes alpha is what the model says nevertheless: using it is an error.
    """
    if len(preprocessing.mean) > 3 and not preprocessing.fits(channels):
        raise PreprocessingError(
            f"{source}: constants for {len(preprocessing.mean)} channels, and the model takes {channels}"
        )
    return preprocessing


def _candidates(model: ModelFile) -> Iterator[tuple[str, Callable[[], Config]]]:
    """Yield where a configuration may be, and what reads it."""
    metadata = model.metadata
    for key in _METADATA_KEYS:
        if key in metadata:
            source = f"the model's metadata, {key}"
            yield source, partial(parse_json, metadata[key], source)
    for form in _WHOLE_METADATA:
        if form.recognises(metadata):
            yield f"the model's metadata, {form.metadata_key}", lambda: dict(metadata)
    for path in files_beside(model.path, file_names()):
        yield str(path), partial(read_configuration, path)


def _unread(model: ModelFile) -> list[str]:
    """Return what lies in the model or beside it that sounds like a preprocessing, and was not read."""
    keys = pixel_keys(model.metadata, {*_METADATA_KEYS, *_SIZE_KEYS})
    files = other_files_beside(model.path, file_names())
    unread = [f"the model's metadata, {listed(keys)}, is not read"] if keys else []
    return unread + ([f"{listed(files)} beside the model: not read"] if files else [])


def _guess(problems: list[str], channels: int, built_in: BuiltIn | None) -> Preprocessing:
    source = f"{_GUESS_IN_SPITE}: {'; '.join(problems)}" if problems else _GUESS
    preset = PRESETS["unit" if channels == 4 else "imagenet"]
    return _placed(replace(preset, source=source), built_in)


def _from_graph(dtype: str, built_in: BuiltIn | None) -> Preprocessing | None:
    """Return the preprocessing that leaves to the graph what it does itself; None where it does not tell."""
    if ELEMENT_TYPES[dtype].is_integer:
        plain = PRESETS["raw"] if built_in is None or not built_in.normalises else _preset_before(built_in)
        preset = replace(plain, channels="RGB", source=f"the input takes {dtype} pixels")
        if dtype not in _PIXEL_TYPES and plain is PRESETS["raw"]:
            preset = replace(preset, notes=(f"the input takes {dtype} numbers: {_RANGE_NOTE}",))
        return preset if built_in is None else _placed(_ordered(preset, built_in), built_in)
    if built_in is None or not built_in.normalises:
        return None
    preset = replace(_preset_before(built_in), source=f"the graph normalises its input itself: {built_in}")
    return _placed(_ordered(preset, built_in), built_in)


def _ordered(preprocessing: Preprocessing, built_in: BuiltIn) -> Preprocessing:
    """Return a preprocessing with the order of the colours that the graph's means tell."""
    source = f"{preprocessing.source}; the graph's means are in the order BGR"
    return replace(preprocessing, channels="BGR", source=source) if built_in.channels == "BGR" else preprocessing


def _fitted_to_graph(preprocessing: Preprocessing, dtype: str, built_in: BuiltIn | None) -> Preprocessing:
    """Return a preprocessing that was found, without what the graph does itself: the graph is what runs."""
    p = preprocessing
    if ELEMENT_TYPES[dtype].is_integer:
        if loses_levels(p, dtype):
            source = f"{p.source}; not normalised: the input takes {dtype} pixels"
            p = replace(p, scale=1.0, mean=NO_MEAN, std=NO_STD, source=source)
    elif built_in is not None and both_normalise(p, built_in):
        plain = _preset_before(built_in)
        note = (
            f"{p.source} normalises, and so does the graph itself: {built_in}; left to the graph "
            "(set it with --preprocess)"
        )
        p = replace(
            p, channels=plain.channels, scale=plain.scale, mean=plain.mean, std=plain.std, notes=(*p.notes, note)
        )
    elif built_in is not None and built_in.tells_order and p.channels != built_in.channels:
        note = (
            f"{p.source} puts the colours into the order {p.channels}, and the graph's means are in the order "
            f"{built_in.channels}; left to the graph (set it with --preprocess)"
        )
        p = replace(p, channels=built_in.channels, notes=(*p.notes, note))
    placed = _placed(p, built_in)
    if (placed.resize, placed.crop_pct) == (p.resize, p.crop_pct):
        return placed
    note = f"{p.source} resizes or crops, and so does the graph itself; left to the graph"
    return replace(placed, notes=(*placed.notes, note))


def _placed(preprocessing: Preprocessing, built_in: BuiltIn | None) -> Preprocessing:
    """Return a preprocessing that leaves resizing and cropping to a graph that does it."""
    if built_in is None or not built_in.places:
        return preprocessing
    resize: Resize = "stretch" if built_in.resizes else "cover"
    step = "resizes" if built_in.resizes else "crops"
    source = f"{preprocessing.source}; the graph {step} the image itself"
    return replace(preprocessing, resize=resize, crop_pct=1.0, source=source)


def _colour_notes(built_in: BuiltIn | None) -> tuple[str, ...]:
    if built_in is None or not built_in.swaps or built_in.tells_order:
        return ()
    return (
        "the graph reverses the order of the colours: it is given RGB pixels; if it expects BGR, "
        'set that in a --preprocess FILE.json ("channels": "BGR")',
    )


def loses_levels(preprocessing: Preprocessing, dtype: str) -> bool:
    """Whether a preprocessing leaves too few values for an input of whole numbers, as normalisation does.

    Examples
    --------
    >>> loses_levels(PRESETS["imagenet"], "uint16"), loses_levels(replace(PRESETS["raw"], scale=257), "uint16")
    (True, False)
    """
    if dtype in _PIXEL_TYPES:
        return preprocessing.normalises
    span = preprocessing.pixel(_LARGEST_PIXEL, 1) - preprocessing.pixel(0, 1)
    return bool(preprocessing.normalises and abs(float(span.max())) < _FEWEST_LEVELS)


def both_normalise(preprocessing: Preprocessing, built_in: BuiltIn | None) -> bool:
    """Whether a preprocessing repeats the normalisation that the graph applies itself.

    Examples
    --------
    >>> built_in = BuiltIn(mean=(127.5,), std=(127.5,))
    >>> both_normalise(PRESETS["tf"], built_in), both_normalise(PRESETS["raw"], built_in)
    (True, False)
    """
    if built_in is None or not built_in.normalises:
        return False
    expected = _preset_before(built_in)
    return (preprocessing.scale, preprocessing.mean, preprocessing.std) != (expected.scale, expected.mean, expected.std)


def _preset_before(built_in: BuiltIn) -> Preprocessing:
    """Return the preset that gives a graph's own normalisation the values and the colours that it is meant for."""
    preset = replace(PRESETS["raw" if built_in.takes_pixels else "unit"], channels=built_in.channels)
    if built_in.largest_value <= _LARGEST_PIXEL:
        return preset
    return replace(preset, name="custom", scale=built_in.largest_value / _LARGEST_PIXEL)


def with_stated_size(preprocessing: Preprocessing, model: ModelFile, fixed: FixedSize) -> Preprocessing:
    """Return a preprocessing with the size that the model's metadata or a file beside it states, where it lacks one.

    Parameters
    ----------
    preprocessing : Preprocessing
    model : ModelFile
    fixed : tuple
        ``(H, W)`` of the network's input, as far as the model fixes it; where it fixes both, nothing is looked for.

    Examples
    --------
    >>> from onnx_cam.graph.read import read_model
    >>> _ = Path("config.json").write_text('{"model_type": "vit", "image_size": 384}')
    >>> with_stated_size(PRESETS["tf"], read_model("model.onnx"), (None, None)).size
    (384, 384)
    """
    if preprocessing.size is not None or None not in fixed:
        return preprocessing
    finders = [partial(_size_in_metadata, model.metadata)]
    finders += [partial(_size_in_file, path) for path in files_beside(model.path, file_names())]
    for find in finders:
        try:
            with_size = replace(preprocessing, size=find())
            if with_size.size is not None:
                return checked(with_size)
        except (PreprocessingError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError):
            continue  # what cannot be used is reported by the search for a preprocessing
    return preprocessing


def _size_in_metadata(metadata: Config) -> tuple[int, int] | None:
    return next((parse_size(metadata[key]) for key in _SIZE_KEYS if key in metadata), None)


def _size_in_file(path: Path) -> tuple[int, int] | None:
    config = read_configuration(path)
    form = find_format(config)
    return None if form is None else form.size(config)
