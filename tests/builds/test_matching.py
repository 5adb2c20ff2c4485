"""Which layer and which class of the new build belongs to which of the old one."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import onnx_cam
from onnx_cam.builds.matching import OldLayer, match_classes, match_layer, old_layer
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.labels import Labels
from onnx_cam.errors import LayerError, ModelError
from tests import tiny


def load(made: onnx.ModelProto, folder: Path, name: str = "new.onnx") -> Classifier:
    return onnx_cam.load(tiny.save(made, folder, name), preprocess="unit")


def renamed(**names: str) -> onnx.ModelProto:
    made = tiny.model()
    for node in made.graph.node:
        for words in (node.input, node.output):
            words[:] = [names.get(word, word) for word in words]
    return made


# --- layers


@pytest.mark.parametrize("suffix", ["", "_QuantizeLinear_Output", "_DequantizeLinear_Output"])
def test_a_layer_is_matched_by_name_and_shape_whatever_a_quantizer_adds(suffix: str, tmp_path: Path) -> None:
    """Conv 2 is nearer to the scores, and of the same shape as relu 2: the name decides."""
    new = load(renamed(conv2=f"conv2{suffix}"), tmp_path)
    layer, notes = match_layer(OldLayer("conv2", (6, 5, 5), rank=0, is_chosen=False), new)
    assert (layer.name, notes) == (f"conv2{suffix}", ())


def test_a_layer_of_that_name_and_another_shape_is_not_the_same(tmp_path: Path) -> None:
    """What was called relu1 is called relu2, and the other way round."""
    new = load(renamed(relu1="relu2", relu2="relu1"), tmp_path)
    layer, notes = match_layer(OldLayer("relu2", (6, 5, 5), rank=0, is_chosen=False), new)
    assert layer.name == "relu1"
    assert notes == ("layer 'relu2' is compared with 'relu1', which has the same shape 6×5×5",)


def test_without_a_name_the_rank_among_layers_of_that_shape_decides(tmp_path: Path) -> None:
    new = load(renamed(conv2="a", relu2="b"), tmp_path)
    old = load(tiny.model(), tmp_path, "old.onnx")
    layers = [old_layer(old, old.layer(name), is_chosen=True) for name in ("relu2", "conv2")]
    assert [layer.rank for layer in layers] == [0, 1]
    assert [match_layer(layer, new)[0].name for layer in layers] == ["b", "a"]


def test_without_a_common_shape_the_defaults_are_compared_and_said(tmp_path: Path) -> None:
    layer, notes = match_layer(OldLayer("relu9", (99, 5, 5), 0, is_chosen=False), load(tiny.model(), tmp_path))
    assert layer.name == "relu2"
    assert "no layer of new.onnx corresponds to 'relu9' (99×5×5) by name or shape" in notes[0]


def test_a_layer_that_the_user_names_must_have_a_counterpart(tmp_path: Path) -> None:
    new = load(tiny.model(), tmp_path)
    with pytest.raises(LayerError, match=r"no layer that corresponds to 'relu9' \(99×5×5\).*--new-layer"):
        match_layer(OldLayer("relu9", (99, 5, 5), 0, is_chosen=True), new)


# --- classes


def labels(names: tuple[str, ...] | None, *, offset: int = 0, classes: int | None = None) -> Labels:
    return Labels(names, offset, len(names or ()) + offset if classes is None else classes, "a test")


def test_without_names_classes_are_matched_by_index() -> None:
    for names in (None, ("a", "b", "c")):
        match = match_classes(labels(None, classes=3), labels(names, classes=3))
        assert (match.old, match.new, match.notes) == ((0, 1, 2), (0, 1, 2), ())


def test_names_match_whatever_their_case_and_their_order() -> None:
    match = match_classes(labels(("cat", "dog", "bird")), labels(("Bird", "CAT", "dog")))
    assert [match.to_new(index) for index in range(3)] == [1, 2, 0]


def test_a_name_of_two_classes_matches_in_order() -> None:
    match = match_classes(labels(("crane", "cat", "crane")), labels(("cat", "crane", "crane")))
    assert [match.to_new(index) for index in range(3)] == [1, 0, 2]


def test_a_background_class_is_left_out_and_said() -> None:
    match = match_classes(labels(("cat", "dog")), labels(("cat", "dog"), offset=1))
    assert [match.to_new(index) for index in range(2)] == [1, 2]
    assert match.notes == ("1 class of the new build without a name: not compared",)
    assert match_classes(labels(("cat", "dog"), offset=1), labels(("cat", "dog"))).to_new(0) is None


def test_where_all_names_agree_classes_without_a_name_are_the_same_too() -> None:
    both = labels(("cat", "dog"), offset=1)
    assert match_classes(both, both).new == (0, 1, 2)


def test_builds_of_different_classes_are_an_error() -> None:
    with pytest.raises(ModelError, match=r"3 and 4 classes.*--labels"):
        match_classes(labels(None, classes=3), labels(("a", "b", "c", "d")))
    with pytest.raises(ModelError, match="different classes: 'dog' only in the old one, 'wolf' only in the new one"):
        match_classes(labels(("cat", "dog")), labels(("cat", "wolf")))
    with pytest.raises(ModelError, match="'b' and 1 more only in the old one;"):
        match_classes(labels(("a", "b", "c")), labels(("a",)))
