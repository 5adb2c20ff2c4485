"""The API gives what the library and the command line give."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.drawing.overlay import encode_png
from tests.server.serving import CLIENT, Server, events_of

METHODS: list[dict[str, Any]] = [
    {"method": "cam"},
    {"method": "gradcam"},
    {"method": "scorecam"},
    {"method": "scorecam", "variant": "torchcam"},
    {"method": "sscam1", "samples": 3, "sigma": 0.5, "seed": 7},
    {"method": "sscam2", "samples": 4, "seed": 2**64 - 1},
    {"method": "smoothgradcam++", "samples": 3},
    {"method": "scorecam", "layer": "relu1", "score": "logit", "baseline": "black"},
    {"method": "sscam2", "budget": "50%"},
    {"method": "gradcam", "preprocess": "tf", "target": "dog"},
    {"method": "gradcam", "target": "cat", "versus": "dog"},
    {"method": "scorecam", "versus": "next"},
    {"method": "finercam"},
]


@pytest.fixture(scope="module")
def model(folder: Path) -> onnx_cam.Classifier:
    return onnx_cam.load(folder / "model.onnx")


def array(text: str) -> Any:
    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)


def sha256(values: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


@pytest.mark.parametrize("settings", METHODS, ids=lambda one: "-".join(map(str, one.values())))
def test_a_map_by_http_is_that_of_the_same_call_in_python(
    settings: dict[str, Any], server: Server, model: onnx_cam.Classifier, folder: Path
) -> None:
    expected = onnx_cam.explain(model, folder / "cat.jpg", **settings)
    (result,) = server.explain(folder / "cat.jpg", include="cam,map,error", **settings)
    assert isinstance(expected, onnx_cam.Explanation)
    assert sha256(array(result["cam_npy"])) == sha256(expected.cam)
    assert sha256(array(result["map_npy"])) == sha256(expected.map)
    assert base64.b64decode(result["overlay_png"]) == encode_png(expected.overlay())
    if expected.error is None:
        assert result["error_npy"] is None
    else:
        assert sha256(array(result["error_npy"])) == sha256(expected.error)
    assert result["image_sha256"] == hashlib.sha256((folder / "cat.jpg").read_bytes()).hexdigest()


def test_a_result_is_the_record_with_base_names_no_files_and_the_overlay(
    server: Server, model: onnx_cam.Classifier, folder: Path
) -> None:
    expected = onnx_cam.explain(model, folder / "cat.jpg", target=0).record()
    (result,) = server.explain(folder / "cat.jpg", target="0")
    assert result.keys() == expected.keys() | {"overlay_png"}
    changing = {"seconds", "passes", "passes_skipped", "batch_size", "streams", "model", "image"}
    for name in expected.keys() - changing:
        assert result[name] == expected[name], name
    assert (result["model"], result["image"], result["files"]) == ("model.onnx", "cat.jpg", {})


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        ("top1", ["cat"]),
        ("top3", ["cat", "fish", "dog"]),
        ("3, bird", ["dog", "bird"]),
        (["2", "cat"], ["fish", "cat"]),
        ("DOG", ["dog"]),
    ],
)
def test_several_classes_come_from_one_request(target: Any, labels: list[str], server: Server, folder: Path) -> None:
    results = server.explain(folder / "cat.jpg", method="gradcam", target=target)
    assert [result["target"]["label"] for result in results] == labels


def test_the_overlay_takes_opacity_colours_and_size(server: Server, model: onnx_cam.Classifier, folder: Path) -> None:
    (result,) = server.explain(folder / "cat.jpg", method="cam", alpha=0.25, colormap="viridis")
    expected = onnx_cam.explain(model, folder / "cat.jpg", method="cam")
    assert base64.b64decode(result["overlay_png"]) == encode_png(expected.overlay(0.25, "viridis"))
    (small,) = server.explain(folder / "cat.jpg", method="cam", side=24, include="cam")
    width = int.from_bytes(base64.b64decode(small["overlay_png"])[16:20], "big")  # of a PNG file's header
    assert width == 24
    assert sha256(array(small["cam_npy"])) == sha256(expected.cam)


def test_what_can_be_downloaded_is_what_the_command_line_writes(server: Server, folder: Path, tmp_path: Path) -> None:
    words = ["--method", "sscam2", "--target", "1", "--alpha", "0.3", "--save", "error", "--out", str(tmp_path)]
    done = CliRunner().invoke(main, ["explain", str(folder / "model.onnx"), str(folder / "cat.jpg"), *words])
    assert done.exit_code == 0
    (result,) = server.explain(folder / "cat.jpg", method="sscam2", include="link")
    contents = {}
    for name, file in result["link"].items():
        drawing = {"alpha": 0.3} if name.endswith(".png") else {}
        answer = CLIENT.get(server.url + file["href"], params=drawing)
        assert answer.status_code == 200, answer.text
        contents[file["name"]] = answer.content
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written.keys() <= contents.keys()
    for name, content in written.items():
        assert contents[name] == content or name.endswith(".json"), name
    record = json.loads(contents["cat_sscam2-range_1-cat.json"])
    assert record["files"] == {}
    assert record["target"] == result["target"]


def test_the_command_line_that_is_shown_makes_the_same_map(server: Server, folder: Path, tmp_path: Path) -> None:
    import shlex

    settings = {"method": "sscam1", "samples": 3, "sigma": 0.25, "seed": 5, "target": "fish", "preprocess": "unit"}
    more = {"alpha": 0.4, "layer": "relu1", "versus": "next", "include": "map,view"}
    (result,) = server.explain(folder / "dog.jpg", **settings, **more)
    words = shlex.split(result["view"]["command"])
    assert words[:4] == ["onnx-cam", "explain", "model.onnx", "dog.jpg"]
    options = (
        f"--method sscam1 --target 2 --versus {result['versus']['index']} --samples 3 --sigma 0.25 --seed 5 "
        "--preprocess unit --alpha 0.4 --layer relu1"
    )
    assert sorted(words[4:]) == sorted(shlex.split(options))
    with_paths = [str(folder / word) if word in ("model.onnx", "dog.jpg") else word for word in words[1:]]
    done = CliRunner().invoke(main, [*with_paths, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (written,) = tmp_path.glob("*.npy")
    assert sha256(np.load(written)) == sha256(array(result["map_npy"]))


def test_the_view_holds_the_maps_values(server: Server, model: onnx_cam.Classifier, folder: Path) -> None:
    from PIL import Image

    expected = onnx_cam.explain(model, folder / "cat.jpg", method="sscam2")
    (result,) = server.explain(folder / "cat.jpg", method="sscam2", include="view")
    view = result["view"]
    levels = np.asarray(Image.open(io.BytesIO(base64.b64decode(view["map_png"]))))
    np.testing.assert_array_equal(levels, np.rint(expected.map * 255))
    assert (view["width"], view["height"], view["crop"]) == (48, 36, list(expected.crop))
    # The deviation in units of the map's range: where it is largest, that of the array divided by the range of L.
    deviations = np.asarray(Image.open(io.BytesIO(base64.b64decode(view["deviation_png"])))) / 255
    assert expected.error is not None
    inside = expected.geometry.upsample(expected.cam)[2:33, 8:39]
    spread = inside.max() - inside.min()
    placed = expected.geometry.upsample(expected.error) / spread
    np.testing.assert_allclose(deviations * view["largest_deviation"], placed, atol=view["largest_deviation"] / 500)


def test_the_likeliest_classes(server: Server, model: onnx_cam.Classifier, folder: Path) -> None:
    expected = onnx_cam.explain(model, folder / "dog.jpg", method="cam").record()["top"]
    answer = server.post("api/predict", folder / "dog.jpg")
    assert answer.json() == {"top": expected}
    other = server.post("api/predict", folder / "dog.jpg", preprocess="tf").json()
    assert other != answer.json()


def test_what_was_detected_is_that_of_inspect(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    printed = CliRunner().invoke(main, ["inspect", "model.onnx", "--json"]).stdout
    assert CLIENT.get(server.url + "api/model").json() == json.loads(printed)


def test_health(server: Server) -> None:
    answer = CLIENT.get(server.url + "health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_what_a_page_can_offer(server: Server, model: onnx_cam.Classifier) -> None:
    choices = CLIENT.get(server.url + "api/choices").json()
    assert [one["name"] for one in choices["methods"]] == list(onnx_cam.METHODS)
    assert [(one["name"], one["quick"]) for one in choices["layers"]] == [
        ("relu2", "cam"), ("conv2", "gradcam"), ("relu1", "gradcam"), ("conv1", "gradcam"),
    ]  # fmt: skip
    assert choices["labels"] == ["bird", "cat", "fish", "dog"]
    for one in choices["methods"]:
        assert one["summary"].endswith((".", ":")), one
        assert list(onnx_cam.METHODS[one["name"]].variants) == one["variants"]
    assert choices["colormaps"]["turbo"][:6] == "30123b"  # turbo's first colour, of its published table
    assert len(choices["colormaps"]["turbo"]) == 256 * 6


def test_a_long_map_tells_its_progress(server: Server, model: onnx_cam.Classifier, folder: Path) -> None:
    files = {"image": ("cat.jpg", (folder / "cat.jpg").read_bytes())}
    with CLIENT.stream(
        "POST",
        server.url + "api/explain",
        files=files,
        data={"method": "sscam1", "samples": "2000", "target": "cat"},
        headers={"Accept": "text/event-stream"},
        timeout=120,
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = list(events_of(response))
    names = [name for name, _ in events]
    assert set(names[:-1]) == {"progress"}
    assert names[-1] == "result"
    counts = [(content["done"], content["total"]) for _, content in events[:-1]]
    assert counts == sorted(counts)
    assert counts[-1][0] == counts[-1][1]
    assert 0 <= counts[-1][0] - 4 * 2000 <= 2  # four live channels; layer and baseline, unless those are kept
    (result,) = events[-1][1]["results"]
    expected = onnx_cam.explain(model, folder / "cat.jpg", method="sscam1", samples=2000)
    assert result["specificity"] == expected.specificity


def test_an_error_after_the_stream_has_begun_is_an_event(server: Server, folder: Path) -> None:
    files = {"image": ("text.jpg", b"no image at all")}
    with CLIENT.stream(
        "POST", server.url + "api/explain", files=files, headers={"Accept": "text/event-stream"}
    ) as response:
        assert response.status_code == 200
        (event,) = events_of(response)
    assert event[0] == "error"
    assert event[1]["status"] == 422
    assert "'text.jpg' is not an image" in event[1]["error"]


WRONG = [
    ({"method": "gradcm"}, "unknown method 'gradcm'; did you mean 'gradcam'"),
    ({"metod": "cam"}, "unknown field 'metod'; did you mean 'method'"),
    ({"batch-size": "4"}, "unknown field 'batch-size'; did you mean 'batch_size'"),
    ({"variant": "papr"}, "unknown variant 'papr' of scorecam; did you mean 'paper'"),
    ({"method": "cam", "samples": "3"}, "cam does not take samples; leave it out, or use one of"),
    ({"method": "sscam1", "samples": "0"}, "invalid samples='0': expected a whole number from 1 to 10,000"),
    ({"method": "sscam1", "samples": "10001"}, "invalid samples='10001': expected a whole number from 1 to"),
    ({"method": "sscam1", "sigma": "-1"}, "invalid sigma='-1': expected a number of at least 0"),
    ({"method": "sscam1", "sigma": "nan"}, "invalid sigma='nan'"),
    ({"method": "sscam1", "sigma": "1e999"}, "invalid sigma='1e999'"),
    ({"seed": "-1"}, "invalid seed='-1': expected a whole number from 0"),
    ({"seed": str(2**64)}, "invalid seed="),
    ({"budget": "10 cats"}, "invalid budget='10 cats': expected a number of forward passes"),
    ({"tolerance": "1"}, "invalid tolerance=1.0: expected a relative error from 0"),
    ({"score": "odds"}, "unknown score 'odds'"),
    ({"baseline": "white"}, "unknown baseline 'white'"),
    ({"method": "cam", "baseline": "black"}, "cam paper does not use a baseline; leave out baseline=black"),
    ({"gradients": "torch"}, "scorecam needs no gradient; leave out gradients=torch"),
    ({"preprocess": "imagnet"}, "unknown preprocess 'imagnet'; did you mean 'imagenet'"),
    ({"preprocess": "/etc/passwd"}, "unknown preprocess '/etc/passwd'. Expected one of auto, imagenet"),
    ({"preprocess": "settings.json"}, "unknown preprocess 'settings.json'"),
    ({"batch_size": "0"}, "invalid batch_size='0': expected a whole number from 1 to 256"),
    ({"layer": "relu99"}, "no tensor or node 'relu99' in model.onnx; did you mean"),
    ({"target": "dogs"}, "no class named 'dogs'; did you mean 'dog'"),
    ({"target": "9"}, "no class 9; the model has 4 classes"),
    ({"target": "top11"}, "11 classes at once; this server explains at most 10"),
    ({"versus": "cats"}, "no class named 'cats'; did you mean 'cat'"),
    ({"target": "cat", "versus": "1"}, "versus names class 1, which is the target itself"),
    ({"method": "sscam-max", "versus": "next"}, "sscam-max does not take versus; leave it out, or use one of"),
    ({"target": ","}, "the list of targets is empty"),
    ({"layer": ""}, "the field layer is empty; give it a value, or leave it out"),
    ({"seed": ["1", "2"]}, "the field seed is given 2 times; give it once"),
    ({"alpha": "1.5"}, "invalid alpha='1.5': expected a number from 0 to 1"),
    ({"colormap": "rainbow"}, "unknown colormap 'rainbow'"),
    ({"side": "9"}, "invalid side='9': expected a whole number from 16"),
    ({"include": "everything"}, "unknown include 'everything'. Expected one of cam, map"),
    ({"model": "other.onnx"}, "unknown field 'model'"),
    ({"labels": "/etc/passwd"}, "unknown field 'labels'"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=lambda one: str(one)[:60])
def test_a_wrong_setting_is_one_line(fields: dict[str, Any], message: str, server: Server, folder: Path) -> None:
    answer = server.post("api/explain", folder / "cat.jpg", **fields)
    assert answer.status_code == 422
    assert answer.json().keys() == {"error"}
    assert message in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_settings_in_the_address_are_refused(server: Server, folder: Path) -> None:
    answer = server.post("api/explain?method=cam", folder / "cat.jpg")
    assert answer.status_code == 422
    assert "as fields of the form" in answer.json()["error"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "the form has no file in the field 'image'"),
        ([("image", ("a.png", b"a")), ("image", ("b.png", b"b"))], "2 files in the field 'image'; expected one image"),
        ([("photo", ("a.png", b"a"))], "the field 'photo' is a file; expected one file, in the field 'image'"),
    ],
)
def test_one_image_is_expected(files: list[Any], message: str, server: Server) -> None:
    answer = CLIENT.post(server.url + "api/explain", files=[*files, ("method", (None, b"cam"))])
    assert answer.status_code == 422
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/cat.jpg", "cat.jpg"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("/srv/cat.jpg", "cat.jpg"),
        ("..", ".."),
        ("cat\n.jpg", None),
        ("Katze \u00e4 \u732b.jpg", "Katze \u00e4 \u732b.jpg"),
        ("x" * 300 + ".jpg", "x" * 196 + ".jpg"),
    ],
)
def test_a_files_name_is_its_base_name(name: str, shown: str | None, server: Server, folder: Path) -> None:
    files = {"image": (name, (folder / "cat.jpg").read_bytes())}
    answer = CLIENT.post(server.url + "api/explain", files=files, data={"method": "cam", "include": "link"})
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    assert shown is None or result["image"] == shown
    assert "\n" not in result["image"]
    for file in result["link"].values():
        assert not set("/\\\n") & set(file["name"])


def test_the_models_folder_is_in_no_answer(folder: Path, tmp_path: Path) -> None:
    from tests.server.serving import serving

    (tmp_path / "secret").mkdir()
    model = tmp_path / "secret" / "model.onnx"
    model.write_bytes((folder / "model.onnx").read_bytes())
    half, size = [0.5, 0.5, 0.5], {"height": 20, "width": 20}
    steps = {"do_resize": True, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    config = {"image_processor_type": "ViTImageProcessor", "size": size, "image_mean": half, "image_std": half, **steps}
    (tmp_path / "secret" / "preprocessor_config.json").write_text(json.dumps(config))
    with serving(model) as running:
        (result,) = running.explain(folder / "cat.jpg", include="view,link")
        assert result["preprocessing"]["source"] == "preprocessor_config.json"
        assert "secret" not in json.dumps(result)
        assert "secret" not in CLIENT.get(running.url + "api/choices").text
        assert "secret" not in running.post("api/explain", folder / "cat.jpg", layer="relu99").text


def test_a_models_own_preprocessing_may_be_none(folder: Path, tmp_path: Path, model: onnx_cam.Classifier) -> None:
    from tests.server.serving import serving

    tensor = np.random.default_rng(0).standard_normal((3, 20, 20)).astype(np.float32)
    np.save(tmp_path / "x.npy", tensor)
    expected = onnx_cam.explain(model, tensor, method="gradcam", preprocess="none")
    with serving(folder / "model.onnx", "--preprocess", "none") as running:
        (result,) = running.explain(tmp_path / "x.npy", method="gradcam", include="cam")
        assert sha256(array(result["cam_npy"])) == sha256(expected.cam)
        refused = running.post("api/explain", folder / "cat.jpg")
        assert refused.status_code == 422
        assert "'cat.jpg' is not a .npy file" in refused.json()["error"]


def test_curl_gets_a_map(server: Server, folder: Path) -> None:
    """The documents' own command."""
    import shutil

    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    words = ["curl", "-s", "-F", "image=@cat.jpg", "-F", "method=gradcam", f"{server.url}api/explain"]
    printed = subprocess.run(words, capture_output=True, cwd=folder, check=True).stdout
    assert json.loads(printed)["results"][0]["target"]["label"] == "cat"
