"""Loading: what is found, what is proved by a run, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.errors import DeviceError, ImageError, ModelError, SettingError
from tests import tiny

X = tiny.image(1)[None]


def load(proto: onnx.ModelProto, folder: Path, **settings: object) -> onnx_cam.Classifier:
    return onnx_cam.load(tiny.save(proto, folder), device="cpu", preprocess="none", **settings)  # type: ignore[arg-type]


def test_an_input_with_too_many_channels_is_no_image(tmp_path: Path) -> None:
    proto = tiny.model()
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**24
    with pytest.raises(ModelError, match="16,777,216 channels; expected at most 4,096"):
        onnx_cam.load(tiny.save(proto, tmp_path))


def test_softmax_in_the_graph_is_never_softmaxed_again(tmp_path: Path) -> None:
    bare, ended = load(tiny.model(), tmp_path), load(tiny.softmax_model(), tmp_path)
    assert (bare.head.kind.name, ended.head.kind.name, ended.head.logits) == ("logits", "softmax", "logits")
    np.testing.assert_allclose(ended.sessions.scores(X), bare.sessions.scores(X), atol=1e-6)
    np.testing.assert_allclose(ended.sessions.scores(X, "logit"), bare.sessions.scores(X, "logit"), atol=1e-6)
    assert ended.sessions.scores(X).sum() == pytest.approx(1)


def test_softmax_behind_a_reshape_is_found(tmp_path: Path) -> None:
    tail = [
        helper.make_node("Softmax", ["logits"], ["p"], axis=1),
        helper.make_node("Identity", ["p"], ["q"]),
        helper.make_node("Flatten", ["q"], ["r"]),
    ]
    assert load(tiny.model(tail=tail, output="r"), tmp_path).head.kind.name == "softmax"


def test_probabilities_without_a_softmax_node_are_found_by_the_run(tmp_path: Path) -> None:
    tail = [
        helper.make_node("Exp", ["logits"], ["e"]),
        helper.make_node("ReduceMax", ["e"], ["m"], axes=[1], keepdims=1),
        helper.make_node("Div", ["e", "m"], ["scaled"]),
        helper.make_node("LpNormalization", ["scaled"], ["p"], axis=1, p=1),
    ]
    model = load(tiny.model(tail=tail, output="p"), tmp_path)
    assert model.head.kind.name == "softmax"
    np.testing.assert_allclose(model.sessions.scores(X), load(tiny.model(), tmp_path).sessions.scores(X), atol=1e-6)
    with pytest.raises(SettingError, match="no logits"):
        onnx_cam.explain(model, X, score="logit")


def test_sigmoids_are_scores_of_their_own(tmp_path: Path) -> None:
    tail = [helper.make_node("Sigmoid", ["logits"], ["p"])]
    model = load(tiny.model(tail=tail, output="p"), tmp_path)
    z = load(tiny.model(), tmp_path).sessions.scores(X, "logit")
    np.testing.assert_allclose(model.sessions.scores(X), 1 / (1 + np.exp(-z)), atol=1e-6)
    np.testing.assert_allclose(model.sessions.scores(X, "logit"), z, atol=1e-6)


def test_one_logit_is_two_classes(tmp_path: Path) -> None:
    tail = [helper.make_node("ReduceSum", ["logits", "axis"], ["z"])]
    proto = tiny.build(
        [*tiny.body(), *tail],
        {**tiny.weights(), "axis": np.array([1])},
        image=["n", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("z", ["n", 1])],
    )
    model = load(proto, tmp_path, head="logits")
    z = load(tiny.model(), tmp_path).sessions.scores(X, "logit").sum()
    assert model.classes == 2
    np.testing.assert_allclose(model.sessions.scores(X)[0], [1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))], atol=1e-6)
    results = onnx_cam.explain(model, X, target=[0, 1], score="logit")
    np.testing.assert_allclose(results[0].weights, -results[1].weights, atol=1e-5)


def test_the_output_that_ends_in_softmax_is_taken_among_several(tmp_path: Path) -> None:
    proto = tiny.model(
        tail=[helper.make_node("Softmax", ["logits"], ["p"], axis=1)],
        extra_outputs=[tiny.value_info("p", ["batch", 4]), tiny.value_info("relu2", ["batch", 6, 5, 5])],
    )
    model = load(proto, tmp_path)
    assert (model.head.output, model.head.kind.name) == ("p", "softmax")
    assert model.notes == ("output 'p' taken among several: --output chooses another of 'logits'",)
    assert load(proto, tmp_path, output="logits").head.kind.name == "logits"
    with pytest.raises(ModelError, match=r"no output 'logit'.*did you mean 'logits'"):
        load(proto, tmp_path, output="logit")


def test_batches_that_fail_are_run_one_at_a_time(tmp_path: Path) -> None:
    """A Reshape to (1, 6) that the file's free batch does not show."""
    body = [node for node in tiny.body() if node.op_type != "Flatten"]
    proto = tiny.build(
        [*body[:-1], helper.make_node("Reshape", ["pooled", "shape"], ["flat"]), body[-1]],
        {**tiny.weights(), "shape": np.array([1, tiny.CHANNELS])},
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
    )
    model = load(proto, tmp_path)
    assert model.fixed_batch == 1
    assert any("one at a time" in note for note in model.notes)
    reference = onnx_cam.explain(load(tiny.model(), tmp_path), X)
    np.testing.assert_allclose(onnx_cam.explain(model, X).cam, reference.cam, atol=1e-6)


def test_a_free_size_is_asked_for_or_said(tmp_path: Path) -> None:
    path = tiny.save(tiny.model(size="side"), tmp_path)
    guessed = onnx_cam.load(path, device="cpu", preprocess="imagenet")
    assert guessed.size == (224, 224)
    assert any("using 224×224" in note for note in guessed.notes)
    assert onnx_cam.load(path, device="cpu", size=(32, 40)).size == (32, 40)
    with pytest.raises(ModelError, match="takes images of 20×20"):
        load(tiny.model(), tmp_path, size=(32, 32))


def test_ir_3_models_list_their_weights_as_inputs(tmp_path: Path) -> None:
    proto = tiny.model(opset=9)
    proto.ir_version = 3
    proto.graph.input.extend(tiny.value_info(w.name, list(w.dims)) for w in proto.graph.initializer)
    model = load(proto, tmp_path)
    assert model.input.name == "image"
    assert onnx_cam.explain(model, X).layer == "relu2"


def test_sessions_are_kept(tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    onnx_cam.explain(model, X)
    tapped = dict(model.sessions._tapped_sessions)
    onnx_cam.explain(model, X, method="sscam2", samples=2)
    assert model.sessions._tapped_sessions == tapped
    assert len(tapped) == 1


def refused(proto: onnx.ModelProto, folder: Path, match: str, **settings: object) -> None:
    with pytest.raises(ModelError, match=match) as raised:
        load(proto, folder, **settings)
    assert "\n" not in str(raised.value)


def test_models_that_are_no_image_classifiers_are_refused(tmp_path: Path) -> None:
    two = tiny.model()
    two.graph.input.append(tiny.value_info("other", [1, 3, 8, 8]))
    refused(two, tmp_path, r"2 inputs that can take the image; name it with --input.*'image' \(\?, 3, 20, 20; float\)")
    refused(two, tmp_path, r"needs more than the image 'image': a value for 'other'.*--set other=VALUE", input="image")
    refused(two, tmp_path, "no input 'imgae'.*did you mean 'image'", input="imgae")

    flat = tiny.build(
        [helper.make_node("Relu", ["image"], ["y"])], {}, image=["n", 10], outputs=[tiny.value_info("y", ["n", 10])]
    )
    refused(flat, tmp_path, "is not an image.*expected four dimensions")

    maps = tiny.build(
        tiny.body()[:4], tiny.weights(), image=["n", 3, 20, 20], outputs=[tiny.value_info("relu2", ["n", 6, 5, 5])]
    )
    refused(maps, tmp_path, r"no class scores; expected an output \(N, classes\)")

    unshaped = tiny.build(
        tiny.body()[:4], tiny.weights(), image=["n", 3, 20, 20], outputs=[tiny.value_info("relu2", None)]
    )
    refused(unshaped, tmp_path, "expected class scores")


def test_inputs_of_other_types_are_named(tmp_path: Path) -> None:
    wide = tiny.model()
    wide.graph.input[0].type.tensor_type.elem_type = TensorProto.COMPLEX64
    refused(wide, tmp_path, "has the type complex64, which an image cannot be cast to")


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"

    def fails(match: str) -> None:
        with pytest.raises(ModelError, match=match):
            onnx_cam.load(path)

    fails("no model file")
    path.touch()
    fails("is empty")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    fails("is a PNG image: give the model first")
    path.write_bytes(bytes(range(128, 256)))
    fails("not an ONNX model, or damaged")
    path.write_text("this is no model\n" * 50)
    fails("is text that begins with 'this is no model")
    path.write_bytes(b"\x20\x00\x00\x00ORTM" + bytes(100))
    fails(r"ONNX Runtime's own format \(.ort\)")
    with pytest.raises(ModelError, match="is a folder"):
        onnx_cam.load(tmp_path)


def test_a_model_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    content = tiny.model().SerializeToString()
    for length in range(1, len(content), 37):
        (tmp_path / "m.onnx").write_bytes(content[:length])
        with pytest.raises(ModelError) as raised:
            onnx_cam.load(tmp_path / "m.onnx", device="cpu")
        assert "\n" not in str(raised.value)


def test_an_opset_that_the_runtime_refuses_is_named(tmp_path: Path) -> None:
    proto = tiny.model()
    proto.opset_import[0].version = 99
    refused(proto, tmp_path, r"refuses tiny.onnx \(IR 8; opsets ai.onnx 99\)")
    later = tiny.model()
    later.ir_version = 99
    refused(later, tmp_path, r"refuses tiny.onnx \(IR 99")


def test_opsets_that_are_too_old_or_missing_get_advice_of_their_own(tmp_path: Path) -> None:
    refused(
        tiny.model(opset=4), tmp_path, r"opset 4 is too old for ONNX Runtime, which supports 7 and later: export it"
    )
    proto = tiny.model()
    proto.opset_import[0].version = 99
    refused(proto, tmp_path, "export it for an older opset, or update ONNX Runtime")
    del proto.opset_import[:]
    refused(proto, tmp_path, "does not say which opset|cannot be read")


def test_an_operator_that_nobody_knows_is_named(tmp_path: Path) -> None:
    proto = tiny.model(tail=[helper.make_node("Frobnicate", ["logits"], ["y"])], output="y")
    refused(proto, tmp_path, r"operator Frobnicate of domain 'ai.onnx', node 'y'")
    proto.graph.node[-1].domain, proto.graph.node[-1].name = "com.example", "Frob_1"
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    refused(proto, tmp_path, r"operator Frobnicate of domain 'com.example', node 'Frob_1'")


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "a/../../weights.bin", "C:\\weights.bin", ""])
def test_weights_outside_the_models_folder_are_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(1000))
    proto = tiny.model()
    weight = proto.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match="outside its own folder; refused"):
        load(proto, tmp_path / "model")


def test_weights_beside_the_model_are_used(tmp_path: Path) -> None:
    reference = load(tiny.model(), tmp_path).sessions.scores(X)
    proto = tiny.model()
    onnx.save_model(proto, tmp_path / "data.onnx", save_as_external_data=True, location="data.bin", size_threshold=0)
    model = onnx_cam.load(tmp_path / "data.onnx", device="cpu", preprocess="none")
    np.testing.assert_allclose(model.sessions.scores(X), reference, atol=1e-6)
    assert onnx_cam.explain(model, X).layer == "relu2"
    (tmp_path / "data.bin").unlink()
    with pytest.raises(ModelError, match="no such file"):
        onnx_cam.load(tmp_path / "data.onnx", device="cpu")


def test_the_linear_layers_weights_may_lie_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder, where a file of the same name lies."""
    reference = onnx_cam.explain(load(tiny.model(), tmp_path), X, method="sscam-max", samples=2)
    onnx.save_model(tiny.model(), tmp_path / "d.onnx", save_as_external_data=True, location="d.bin", size_threshold=0)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.bin").write_bytes(bytes(len((tmp_path / "d.bin").read_bytes())))
    monkeypatch.chdir(tmp_path / "elsewhere")
    model = onnx_cam.load(tmp_path / "d.onnx", device="cpu", preprocess="none")
    assert model.linear_head(model.layer()) is not None
    np.testing.assert_allclose(
        onnx_cam.explain(model, X, method="sscam-max", samples=2).weights, reference.weights, atol=1e-6
    )


def test_global_pooling_may_be_an_average_over_the_whole_map(tmp_path: Path) -> None:
    body = [
        helper.make_node("AveragePool", ["relu2"], ["pooled"], kernel_shape=[5, 5])
        if node.op_type == "GlobalAveragePool"
        else node
        for node in tiny.body()
    ]
    proto = tiny.build(
        body, tiny.weights(), image=["n", 3, 20, 20], outputs=[tiny.value_info("logits", ["n", tiny.CLASSES])]
    )
    model = load(proto, tmp_path)
    head = model.linear_head(model.layer())
    assert head is not None
    np.testing.assert_array_equal(head, tiny.weights()["w3"])


def test_outputs_of_other_kinds_are_refused(tmp_path: Path) -> None:
    tail = [
        helper.make_node("ReduceSum", ["logits", "axis"], ["sums"], keepdims=0),
        helper.make_node("Cast", ["sums"], ["count"], to=TensorProto.INT64),
        helper.make_node("ArgMax", ["logits"], ["best"], axis=1),
    ]
    proto = tiny.build(
        [*tiny.body(), *tail],
        {**tiny.weights(), "axis": np.array([1])},
        image=["n", 3, 20, 20],
        outputs=[
            tiny.value_info("logits", ["n", 4]),
            tiny.value_info("relu2", None),
            tiny.value_info("sums", None),
            tiny.value_info("count", ["n"], TensorProto.INT64),
            tiny.value_info("best", ["n", 1], TensorProto.INT64),
        ],
    )
    refused(proto, tmp_path, "expected class scores", output="relu2")
    refused(proto, tmp_path, "holds no class scores", output="count")
    refused(proto, tmp_path, "no output 'axis'", output="axis")
    assert load(proto, tmp_path).head.output == "logits"
    assert load(proto, tmp_path, output="best").head.output == "logits"  # the scores that it is made from
    assert load(proto, tmp_path, output="sums").head.kind.name == "raw"


def test_sizes_that_no_machine_holds_are_refused(tmp_path: Path) -> None:
    refused(tiny.model(size=2_000_000), tmp_path, "expected at most 100,000,000 pixels")
    refused(tiny.model(batch=1_000_000_000), tmp_path, "a batch of 4096")
    refused(tiny.model(size="side"), tmp_path, "expected at most 100,000,000 pixels", size=(2_000_000, 2_000_000))


def test_behind_a_reshape_four_dimensions_are_no_map(tmp_path: Path) -> None:
    """As in a vision transformer: (N, heads, tokens, dim) is not (N, K, h, w)."""
    tail = [
        helper.make_node("Reshape", ["relu2", "shape"], ["tokens"]),
        helper.make_node("Softmax", ["tokens"], ["attended"], axis=3),
        helper.make_node("Flatten", ["attended"], ["row"]),
        helper.make_node("Gemm", ["row", "w4"], ["scores"]),
    ]
    proto = tiny.build(
        [*tiny.body()[:4], *tail],
        {**tiny.weights(), "shape": np.array([0, 2, 25, 3]), "w4": np.ones((150, 4), np.float32)},
        image=["n", 3, 20, 20],
        outputs=[tiny.value_info("scores", ["n", 4])],
    )
    assert load(proto, tmp_path).layer().name == "relu2"


def test_a_device_that_is_not_there_is_an_error(tiny_path: Path) -> None:
    import onnxruntime

    if "OpenVINOExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has OpenVINO")
    with pytest.raises(DeviceError, match=r"device 'openvino' needs OpenVINOExecutionProvider"):
        onnx_cam.load(tiny_path, device="openvino")
    with pytest.raises(SettingError, match="unknown device 'gpu'"):
        onnx_cam.load(tiny_path, device="gpu")


def test_what_is_known_is_told_with_its_source(lite0_path: Path) -> None:
    found = {f.what: (f.value, f.source) for f in onnx_cam.inspect(onnx_cam.load(lite0_path, device="cpu"))}
    assert found["head"] == ("logits", "no Softmax or Sigmoid before the output")
    assert found["batch"][0] == "free"
    assert found["labels"] == ("1000 names, 'tench' to 'toilet tissue'", "the model's metadata, onnx_cam.labels")
    assert found["preprocessing"][1] == "the model's metadata, onnx_cam.preprocessing"
    assert found["layer"][0] == "_bn1.relu6 (1280×7×7)"
    assert found["device"][0] == "CPUExecutionProvider"


def test_a_network_input_of_the_wrong_shape_is_refused(tiny_classifier: onnx_cam.Classifier) -> None:
    with pytest.raises(ImageError, match=r"shape \(3, 8, 8\), float32; the model takes .*\(3, 20, 20\)"):
        onnx_cam.explain(tiny_classifier, np.zeros((3, 8, 8), np.float32))
