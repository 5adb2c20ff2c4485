"""Which layer and which class of the new build corresponds to which of the old one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.labels import Labels, fold
from onnx_cam.errors import LayerError, ModelError
from onnx_cam.graph.layer import Layer

__all__ = ["ClassMatch", "OldLayer", "match_classes", "match_layer", "old_layer", "plain_name"]

_QUANTIZED = ("_DequantizeLinear_Output", "_QuantizeLinear_Output")
"""What ONNX Runtime's quantizer adds to the names of tensors."""

_Key = tuple[str, int]
"""A class: its name, and how many classes of that name come before it."""


# --- layers


@dataclass(frozen=True)
class OldLayer:
    """The old build's layer, as far as it takes to find its counterpart.

    Attributes
    ----------
    name : str
        Its output tensor.
    shape : tuple of int
        ``(K, h, w)``.
    rank : int
        How many layers of that shape are nearer to the scores.
    is_chosen : bool
        Whether the user named it.

    Examples
    --------
    >>> OldLayer("relu2", (6, 5, 5), rank=0, is_chosen=False).rank
    0
    """

    name: str
    shape: tuple[int, int, int]
    rank: int
    is_chosen: bool


def old_layer(classifier: Classifier, layer: Layer, *, is_chosen: bool) -> OldLayer:
    """Return a layer of the old build with its rank.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> old_layer(model, model.layer("conv2"), is_chosen=True).rank
    1
    """
    names = [one.name for one in classifier.layers() if one.shape == layer.shape]
    rank = names.index(layer.name) if layer.name in names else 0
    return OldLayer(layer.name, layer.shape, rank, is_chosen)


def match_layer(old: OldLayer, new: Classifier) -> tuple[Layer, tuple[str, ...]]:
    """Return the layer of the new build that corresponds to one of the old build.

    It is the one of the same name and shape, whatever a quantizer added to the name; else the one of the same shape
    that as many of that shape separate from the scores; else the new build's default.

    Returns
    -------
    Layer
    tuple of str
        What the user should know about the choice, a line each.

    Raises
    ------
    LayerError
        The new build has no layer to explain, or none that corresponds to the one that the user named.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> match_layer(OldLayer("relu2_QuantizeLinear_Output", (6, 5, 5), 0, False), model)[0].name
    'relu2'
    """
    same_shape = [layer for layer in new.layers() if layer.shape == old.shape]
    for layer in same_shape:
        if plain_name(layer.name) == plain_name(old.name):
            return new.layer(layer), ()
    size = "×".join(map(str, old.shape))
    if old.rank < len(same_shape):
        layer = new.layer(same_shape[old.rank])
        return layer, (f"layer {old.name!r} is compared with {layer.name!r}, which has the same shape {size}",)
    if old.is_chosen:
        raise LayerError(
            f"{new.name} has no layer that corresponds to {old.name!r} ({size}): none of that name and shape, nor of "
            f"that shape; name one with --new-layer, as listed by: onnx-cam layers {new.name}"
        )
    layer = new.layer()
    other = "×".join(map(str, layer.shape))
    return layer, (
        f"no layer of {new.name} corresponds to {old.name!r} ({size}) by name or shape; the default layers of both are "
        f"compared, the new one being {layer.name!r} ({other})",
    )


def plain_name(name: str) -> str:
    for suffix in _QUANTIZED:
        name = name.removesuffix(suffix)
    return name


# --- classes


@dataclass(frozen=True)
class ClassMatch:
    """The classes that both builds have.

    Attributes
    ----------
    old, new : tuple of int
        The positions of each class in the output of the old and of the new build.
    notes : tuple of str
        What the user should know, a line each.

    Examples
    --------
    >>> ClassMatch((0, 1), (1, 2)).to_new(1)
    2
    """

    old: tuple[int, ...]
    new: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def to_new(self, index: int) -> int | None:
        """Return the position in the new build's output of a class of the old build; None where it lacks the class."""
        return self.new[self.old.index(index)] if index in self.old else None


def match_classes(old: Labels, new: Labels) -> ClassMatch:
    """Return which classes of two builds are the same: by name where both have names, else by index.

    Parameters
    ----------
    old, new : Labels
        Of the two builds.

    Raises
    ------
    ModelError
        The builds have different classes.

    Examples
    --------
    >>> old = Labels(("cat", "dog"), offset=0, classes=2, source="old")
    >>> match_classes(old, Labels(("Dog", "Cat"), offset=0, classes=2, source="new")).new
    (1, 0)
    """
    if old.names is None or new.names is None:
        if old.classes != new.classes:
            raise ModelError(
                f"the builds have {old.classes} and {new.classes} classes, and not both have names to match them by; "
                "give two builds of one model, or their class names with --labels"
            )
        return _by_index(old.classes)
    if (old.classes, old.offset, _folded(old)) == (new.classes, new.offset, _folded(new)):
        return _by_index(old.classes)
    old_positions, new_positions = _positions(old), _positions(new)
    _check_same(old_positions, new_positions)
    olds = tuple(old_positions.values())
    news = tuple(new_positions[key] for key in old_positions)
    return ClassMatch(olds, news, tuple(_notes(olds, news, old, new)))


def _by_index(classes: int) -> ClassMatch:
    return ClassMatch(tuple(range(classes)), tuple(range(classes)))


def _folded(labels: Labels) -> list[str]:
    return [fold(name) for name in labels.names or ()]


def _positions(labels: Labels) -> dict[_Key, int]:
    """Return the position of each named class."""
    seen: Counter[str] = Counter()
    positions: dict[_Key, int] = {}
    for index, name in enumerate(_folded(labels), labels.offset):
        if name:
            positions[name, seen[name]] = index
            seen[name] += 1
    return positions


def _check_same(old: dict[_Key, int], new: dict[_Key, int]) -> None:
    only_old, only_new = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    places = [
        f"{_listed(keys)} only in the {place} one" for place, keys in (("old", only_old), ("new", only_new)) if keys
    ]
    if places:
        raise ModelError(
            f"the builds have different classes: {', '.join(places)}; give two builds of one model, or the right names "
            "with --labels"
        )


def _listed(keys: Sequence[_Key]) -> str:
    return repr(keys[0][0]) if len(keys) == 1 else f"{keys[0][0]!r} and {len(keys) - 1} more"


def _notes(olds: Sequence[int], news: Sequence[int], old: Labels, new: Labels) -> Iterator[str]:
    if old.classes == new.classes and olds != news:
        yield "the classes are matched by name: their order in the two builds differs"
    for place, unnamed in (("old", old.classes - len(olds)), ("new", new.classes - len(news))):
        if unnamed:
            classes = "1 class" if unnamed == 1 else f"{unnamed} classes"
            yield f"{classes} of the {place} build without a name: not compared"
