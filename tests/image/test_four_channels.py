"""Networks of four channels: alpha is kept, and the presets whose constants are equal for all channels extend to it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

import onnx_cam
from onnx_cam.errors import PreprocessingError
from onnx_cam.evaluation import evaluate
from onnx_cam.image.baselines import make_baseline
from onnx_cam.image.picture import open_picture
from onnx_cam.image.preprocessing import PRESETS, Preprocessing
from tests import tiny

GENERATOR = np.random.default_rng(0)
RGBA = GENERATOR.integers(0, 256, (30, 40, 4), np.uint8)
ALPHA_NOTE = "the fourth is taken to be alpha, opaque (255) where an image has none"


def model(layout: str = "NCHW", dtype: str = "float32") -> onnx.ModelProto:
    """Return the tiny network for four channels, which looks at alpha as much as at a colour."""
    weights = tiny.weights() | {"w1": np.random.default_rng(1).standard_normal((tiny.CHANNELS, 4, 3, 3), np.float32)}
    nodes, name = [], "given"
    if dtype == "uint8":
        nodes.append(helper.make_node("Cast", [name], ["cast"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Div", ["cast", "levels"], ["unit"]))
        weights, name = weights | {"levels": np.array(255, np.float32)}, "unit"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [name], ["image"], perm=[0, 3, 1, 2]))
    else:
        nodes.append(helper.make_node("Identity", [name], ["image"]))
    sides = (tiny.SIZE, tiny.SIZE)
    shape: list[int | str | None] = ["n", 4, *sides] if layout == "NCHW" else ["n", *sides, 4]
    graph = tiny.build(
        [*nodes, *tiny.body()],
        weights,
        image=shape,
        outputs=[tiny.value_info("logits", ["n", tiny.CLASSES])],
        image_type=TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT,
    )
    graph.graph.input[0].name = "given"
    return graph


def as_png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def palette() -> Image.Image:
    image = Image.fromarray(RGBA[..., 0] % 4, "P")
    image.putpalette(list(range(12)))
    image.info["transparency"] = bytes([255, 0, 100, 255])
    return image


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_real_model_sees_alpha(layout: str, dtype: str, tmp_path: Path) -> None:
    classifier = onnx_cam.load(tiny.save(model(layout, dtype), tmp_path))
    assert (classifier.input.channels, classifier.input.layout) == (4, layout)
    (tmp_path / "a.png").write_bytes(as_png(Image.fromarray(RGBA)))
    result = onnx_cam.explain(classifier, tmp_path / "a.png")
    # ONNX Runtime on what cv2 makes of the image: all of it but the crop is the network's own.
    resized = cv2.resize(RGBA, (31, 23))[1:21, 5:25]
    np.testing.assert_array_equal(result.pixels, RGBA[..., :3])
    scale = 1 if dtype == "uint8" else 255
    network_input = classifier.network_input(RGBA)
    np.testing.assert_allclose(network_input, np.moveaxis(resized, -1, 0) / np.float32(scale), atol=1e-6)
    (run,) = classifier.sessions.activations(classifier.layer(), network_input).probabilities[None]
    assert result.target.score == pytest.approx(float(run.max()), abs=1e-6)
    opaque = RGBA.copy()
    opaque[..., 3] = 255
    assert onnx_cam.explain(classifier, opaque).target.score != pytest.approx(result.target.score, abs=1e-6)
    same = onnx_cam.explain(classifier, RGBA[..., :3])
    np.testing.assert_array_equal(same.map, onnx_cam.explain(classifier, opaque).map)


def test_what_is_guessed_is_said(tmp_path: Path) -> None:
    path = tiny.save(model(), tmp_path)
    notes = onnx_cam.load(path).notes
    assert any(note.startswith("preprocessing: RGBA / 255, a guess") for note in notes)
    assert any(ALPHA_NOTE in note for note in notes)
    assert any(ALPHA_NOTE in note for note in onnx_cam.load(path, preprocess="tf").notes)
    constants = Preprocessing("mine", mean=(1, 2, 3, 4), std=(1, 1, 1, 1))
    assert not any(ALPHA_NOTE in note for note in onnx_cam.load(path, preprocess=constants).notes)


@pytest.mark.parametrize("name", ["unit", "tf", "raw"])
def test_presets_with_equal_constants_extend_to_alpha(name: str) -> None:
    four, _ = PRESETS[name].apply(RGBA, (20, 20), channels=4)
    three, _ = PRESETS[name].apply(RGBA, (20, 20), channels=3)
    np.testing.assert_array_equal(four[:3], three)
    np.testing.assert_array_equal(four[3], PRESETS[name].apply(RGBA[..., [3, 3, 3]], (20, 20))[0][0])


@pytest.mark.parametrize("name", ["imagenet", "caffe"])
def test_other_presets_ask_for_a_fourth_number(name: str, tmp_path: Path) -> None:
    classifier = onnx_cam.load(tiny.save(model(), tmp_path), preprocess=name)
    with pytest.raises(PreprocessingError, match=r'4 channels: give a --preprocess FILE.json whose "mean" and'):
        onnx_cam.explain(classifier, RGBA)


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_four_constants_are_read_from_a_file_and_applied(channels: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(
        json.dumps({"mean": [1, 2, 3, 4], "std": [5, 6, 7, 8], "channels": channels, "resize": "stretch"})
    )
    classifier = onnx_cam.load(tiny.save(model(), tmp_path), preprocess=tmp_path / "p.json")
    pixels = RGBA[:20, :20]
    ordered = pixels if channels == "RGB" else pixels[..., [2, 1, 0, 3]]
    expected = (ordered.astype(np.float32) - [1, 2, 3, 4]) / [5, 6, 7, 8]
    np.testing.assert_allclose(classifier.network_input(pixels), np.moveaxis(expected, -1, 0), rtol=1e-6)
    described = onnx_cam.explain(classifier, pixels, method="cam").record()["preprocessing"]
    assert described["mean"] == [1, 2, 3, 4]
    (tmp_path / "q.json").write_text(json.dumps({"std": [5, 6, 7, 8], "mean": 0.5, "pad": [1, 2, 3, 4]}))
    read = onnx_cam.load(tmp_path / "tiny.onnx", preprocess=tmp_path / "q.json").preprocessing
    assert read is not None
    assert (read.mean, read.std, read.pad) == ((0.5,) * 4, (5, 6, 7, 8), (1, 2, 3, 4))


def test_four_constants_do_not_fit_three_channels(tiny_path: Path, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"mean": [1, 2, 3, 4], "std": 2}')
    with pytest.raises(PreprocessingError, match="constants for 4 channels, and the model takes 3"):
        onnx_cam.explain(tiny_path, RGBA, preprocess=tmp_path / "p.json")
    # What lies beside a model was not asked for: it is named, and not used.
    path = tiny.save(tiny.model(), tmp_path)
    (tmp_path / "tiny.json").write_text('{"mean": [1, 2, 3, 4], "std": 2}')
    classifier = onnx_cam.load(path)
    assert any("tiny.json: constants for 4 channels, and the model takes 3" in note for note in classifier.notes)


@pytest.mark.parametrize(
    ("image", "alpha"),
    [
        (Image.fromarray(RGBA), RGBA[..., 3]),
        (Image.fromarray(RGBA[..., :3]), np.full((30, 40), 255)),
        (Image.fromarray(RGBA[..., 0]), np.full((30, 40), 255)),
        (Image.fromarray(RGBA[..., 2:], "LA"), RGBA[..., 3]),
        (palette(), np.array([255, 0, 100, 255])[RGBA[..., 0] % 4]),
        (Image.fromarray(RGBA[..., :3]).quantize(16), np.full((30, 40), 255)),
    ],
    ids=["RGBA", "RGB", "L", "LA", "P transparent", "P"],
)
def test_alpha_of_every_mode(image: Image.Image, alpha: NDArray[Any]) -> None:
    plain = Preprocessing("plain", resize="stretch")
    for source in (image, as_png(image)):
        four = open_picture(source, plain, 4, (30, 40))
        np.testing.assert_array_equal(four.network_input[3], alpha)
        three = open_picture(source, plain, 3, (30, 40))
        np.testing.assert_array_equal(four.network_input[:3], three.network_input)
        np.testing.assert_array_equal(four.pixels, three.pixels)
        assert four.pixels.shape == (30, 40, 3)


@pytest.mark.parametrize("library", ["onnx-cam", "opencv", "pillow", "torchvision"])
def test_an_opaque_image_stays_opaque_and_its_padding_is_transparent(library: Any) -> None:
    fitted = Preprocessing("fitted", resize="fit", crop_pct=1.0, library=library, pad=(9, 9, 9))
    four, geometry = fitted.apply(RGBA[..., :3], (20, 20), channels=4)
    three, _ = fitted.apply(RGBA[..., :3], (20, 20), channels=3)
    np.testing.assert_array_equal(four[:3], three)
    assert geometry.crop == (0, 0, 40, 30)
    padded = (three == 9).all(axis=0)
    assert 0 < padded.mean() < 0.5
    np.testing.assert_array_equal(four[3], np.where(padded, 0, 255))


def test_pillow_weighs_colours_by_alpha_as_it_does_itself() -> None:
    resized = Preprocessing("resized", resize="stretch", library="pillow").apply(RGBA, (20, 20), channels=4)[0]
    expected = np.asarray(Image.fromarray(RGBA).resize((20, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resized, np.moveaxis(expected, -1, 0))


@pytest.mark.parametrize("name", ["zero", "black", "mean", "blur"])
def test_baselines_have_four_channels(name: str) -> None:
    x, _ = PRESETS["tf"].apply(RGBA, (20, 20), channels=4)
    baseline = make_baseline(name, x, PRESETS["tf"])
    assert baseline.shape == x.shape
    if name == "black":
        assert (baseline == -1).all()


def test_evaluate_takes_four_channels(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(2):
        (tmp_path / "photos" / f"{number}.png").write_bytes(as_png(Image.fromarray(np.roll(RGBA, number, axis=0))))
    run = evaluate(
        str(tiny.save(model(), tmp_path)), tmp_path / "photos", methods="cam,equal", out=tmp_path / "run", report=False
    )
    assert len(run.images) == 2


def test_the_command_explains_with_alpha(tmp_path: Path) -> None:
    from onnx_cam.cli.main import main

    path = tiny.save(model("NHWC", "uint8"), tmp_path)
    (tmp_path / "a.png").write_bytes(as_png(Image.fromarray(RGBA)))
    out = str(tmp_path / "out")
    result = CliRunner().invoke(main, ["explain", str(path), str(tmp_path / "a.png"), "--method", "cam", "--out", out])
    assert result.exit_code == 0, result.output
    assert ALPHA_NOTE in result.output
