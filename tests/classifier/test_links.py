"""Models behind symbolic links: what lies beside the link counts, and what lies beside what it leads to."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx_cam
from onnx_cam.errors import ModelError
from onnx_cam.graph.links import broken_link, files_beside, link_chain
from onnx_cam.graph.read import read_model
from tests import tiny

NAMES = ["cat", "dog", "bird", "fish"]
CONFIG = json.dumps({"id2label": dict(enumerate(NAMES))})
PREPROCESSING = json.dumps({"do_rescale": True, "do_normalize": False, "size": {"height": 20, "width": 20}})
FILES = {"model.onnx", "weights.bin", "config.json", "preprocessor_config.json"}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Return a folder with a model, its weights, and configuration."""
    folder = tmp_path / "plain"
    folder.mkdir()
    onnx.save_model(
        tiny.model(), folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    (folder / "config.json").write_text(CONFIG)
    (folder / "preprocessor_config.json").write_text(PREPROCESSING)
    return folder


def link(path: Path, target: Path | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def stored(source: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, path)
    return path


def hugging_face(plain: Path, root: Path) -> Path:
    """``snapshots/REVISION/onnx/model.onnx`` links to ``blobs/HASH``; the configuration lies above ``onnx``."""
    for i, name in enumerate(sorted(FILES)):
        stored(plain / name, root / f"models--org--net/blobs/{i:02d}abcdef")
        folder = "onnx/" if name in ("model.onnx", "weights.bin") else ""
        up = "../" * (2 + folder.count("/"))
        link(root / f"models--org--net/snapshots/0a1b/{folder}{name}", f"{up}blobs/{i:02d}abcdef")
    return root / "models--org--net/snapshots/0a1b/onnx/model.onnx"


def dvc(plain: Path, root: Path) -> Path:
    """Each file lies in a folder named after the first two digits of its hash."""
    for i, name in enumerate(sorted(FILES)):
        blob = stored(plain / name, root / f".dvc/cache/files/md5/a{i}/{'5a' * 15}")
        link(root / f"models/{name}", os.path.relpath(blob, root / "models"))
    return root / "models/model.onnx"


def git_annex(plain: Path, root: Path) -> Path:
    """Each file lies in a folder of its own, named after its key; Git's ``.git`` may lie further up."""
    for i, name in enumerate(sorted(FILES)):
        key = f"SHA256E-s{i}--{'5a' * 32}{Path(name).suffix}"
        blob = stored(plain / name, root / f".git/annex/objects/X{i}/Yy/{key}/{key}")
        link(root / f"models/{name}", os.path.relpath(blob, root / "models"))
    return root / "models/model.onnx"


def kubernetes(plain: Path, root: Path) -> Path:
    """A volume's files link through ``..data``, a link itself, to a folder that is replaced as a whole."""
    for name in FILES:
        stored(plain / name, root / f"models/..2024_11_05/{name}")
        link(root / f"models/{name}", f"..data/{name}")
    link(root / "models/..data", "..2024_11_05")
    return root / "models/model.onnx"


def only_the_model_is_linked(plain: Path, root: Path) -> Path:
    link(root / "current.onnx", plain / "model.onnx")
    return root / "current.onnx"


def through_several_links(plain: Path, root: Path) -> Path:
    link(root / "releases/3/net.onnx", plain / "model.onnx")
    link(root / "releases/current", "3")
    link(root / "app/model.onnx", "../releases/current/net.onnx")
    return root / "app/model.onnx"


def folder_is_linked(plain: Path, root: Path) -> Path:
    link(root / "current", plain)
    return root / "current/model.onnx"


def weights_beside_the_link(plain: Path, root: Path) -> Path:
    """The model comes from a store; its weights and configuration are plain files beside the link."""
    blob = stored(plain / "model.onnx", root / "store/5a")
    for name in FILES - {"model.onnx"}:
        stored(plain / name, root / f"app/{name}")
    link(root / "app/model.onnx", blob)
    return root / "app/model.onnx"


def hard_links(plain: Path, root: Path) -> Path:
    """As package managers and DVC make them; onnx's own reader refuses such weights."""
    for name in FILES:
        (root / "hard").mkdir(exist_ok=True)
        os.link(plain / name, root / "hard" / name)
    return root / "hard/model.onnx"


LAYOUTS = [
    hugging_face,
    dvc,
    git_annex,
    kubernetes,
    only_the_model_is_linked,
    through_several_links,
    folder_is_linked,
    weights_beside_the_link,
    hard_links,
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_names_and_preprocessing_are_found(
    layout: Callable[[Path, Path], Path], plain: Path, tmp_path: Path
) -> None:
    path = layout(plain, tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    expected = onnx_cam.explain(onnx_cam.load(plain / "model.onnx", device="cpu"), image, method="cam")
    model = onnx_cam.load(path, device="cpu")
    assert model.labels.names == tuple(NAMES)
    assert model.preprocessing is not None
    assert model.preprocessing.source.endswith("preprocessor_config.json")
    result = onnx_cam.explain(model, image, method="cam")
    np.testing.assert_array_equal(result.map, expected.map)
    assert result.target == expected.target


def test_a_relative_path_in_the_current_folder(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hugging_face(plain, tmp_path)
    monkeypatch.chdir(path.parent)
    model = onnx_cam.load("model.onnx", device="cpu")
    assert model.labels.names == tuple(NAMES)


def test_the_exported_model_reads_the_same_weights(plain: Path, tmp_path: Path) -> None:
    """They are where the links lead to: the new file is written there, or not at all."""
    model = onnx_cam.load(hugging_face(plain, tmp_path), device="cpu", preprocess="none")
    with pytest.raises(onnx_cam.OnnxCamError, match=r"to their folder: .*/blobs/tapped.onnx"):
        onnx_cam.export(model, tmp_path / "tapped.onnx")
    path = tmp_path / "models--org--net/blobs/tapped.onnx"
    onnx_cam.export(model, path)
    x = tiny.image()[None]
    tapped = onnx_cam.load(path, device="cpu", preprocess="none", output="logits")
    np.testing.assert_array_equal(tapped.sessions.scores(x), model.sessions.scores(x))


def test_the_link_comes_before_what_it_leads_to(plain: Path, tmp_path: Path) -> None:
    path = only_the_model_is_linked(plain, tmp_path)
    (tmp_path / "config.json").write_text(CONFIG.replace("cat", "lynx"))
    assert onnx_cam.load(path, device="cpu").labels.names == ("lynx", *NAMES[1:])
    (tmp_path / "current.json").write_text(CONFIG.replace("cat", "puma"))
    assert [p.name for p in files_beside(path, ["{stem}.json", "config.json"])] == [
        "current.json",
        "config.json",
        "config.json",
    ]


def refused(path: Path, match: str) -> None:
    with pytest.raises(ModelError, match=match) as raised:
        onnx_cam.load(path, device="cpu")
    assert "\n" not in str(raised.value)


def test_weights_that_link_elsewhere_are_refused(plain: Path, tmp_path: Path) -> None:
    secret = stored(plain / "weights.bin", tmp_path / "home/secret.bin")
    (plain / "weights.bin").unlink()
    link(plain / "weights.bin", secret)
    refused(plain / "model.onnx", r"a link to '.*/home/secret.bin', outside its own folder; refused: copy that file")


def test_weights_elsewhere_are_refused_also_from_a_cache(plain: Path, tmp_path: Path) -> None:
    path = hugging_face(plain, tmp_path)
    secret = stored(plain / "weights.bin", tmp_path / "home/secret.bin")
    (path.parent / "weights.bin").unlink()
    link(path.parent / "weights.bin", secret)
    refused(path, "outside its own folder; refused")


@pytest.mark.parametrize("folder", [f"other/a1/{'5a' * 15}", "files/md5/a9/weights"])
def test_another_store_is_elsewhere(folder: str, plain: Path, tmp_path: Path) -> None:
    path = dvc(plain, tmp_path)
    other = stored(plain / "weights.bin", tmp_path / ".dvc/cache" / folder)
    (path.parent / "weights.bin").unlink()
    link(path.parent / "weights.bin", other)
    refused(path, "outside its own folder; refused")


def test_a_folder_that_links_elsewhere_is_refused(plain: Path, tmp_path: Path) -> None:
    stored(plain / "weights.bin", tmp_path / "home/weights.bin")
    proto = onnx.load(plain / "model.onnx", load_external_data=False)
    for tensor in proto.graph.initializer:
        tensor.external_data[0].value = "data/weights.bin"
    link(plain / "data", tmp_path / "home")
    refused(tiny.save(proto, plain), "outside its own folder; refused")


def test_links_that_lead_nowhere_or_in_a_circle(plain: Path, tmp_path: Path) -> None:
    link(tmp_path / "gone.onnx", "../models/gone.onnx")
    refused(tmp_path / "gone.onnx", r"is a link to '\.\./models/gone.onnx', which does not exist or links back; fetch")
    link(tmp_path / "loop.onnx", "loop.onnx")
    refused(tmp_path / "loop.onnx", "is a link to 'loop.onnx', which does not exist or links back")
    link(tmp_path / "a.onnx", "b.onnx")
    link(tmp_path / "b.onnx", "a.onnx")
    refused(tmp_path / "a.onnx", "is a link to 'b.onnx', which")
    (plain / "weights.bin").unlink()
    for target in ("weights.bin", "gone.bin"):
        link(plain / "weights.bin", target)
        refused(plain / "model.onnx", rf"reads weights from .*, a link to '{target}', which does not exist")
        (plain / "weights.bin").unlink()
    refused(plain / "model.onnx", "reads weights from 'weights.bin' beside it; no such file")


def test_a_configuration_that_links_to_itself_is_named(plain: Path) -> None:
    (plain / "config.json").unlink()
    link(plain / "config.json", "config.json")
    model = onnx_cam.load(plain / "model.onnx", device="cpu")
    assert model.labels.names is None
    assert any("config.json" in note for note in model.notes)


def test_weights_that_are_pointers_or_cut_off_are_named(plain: Path) -> None:
    content = (plain / "weights.bin").read_bytes()
    (plain / "weights.bin").write_bytes(content[:-10])
    refused(plain / "model.onnx", rf"'weights.bin' of .* are cut off: {len(content) - 10:,} bytes instead of")
    (plain / "weights.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:5a\nsize 9\n")
    refused(plain / "model.onnx", r"the weights 'weights.bin' of .* are a Git LFS pointer.*git lfs pull")
    (plain / "weights.bin").unlink()
    (plain / "weights.bin").mkdir()
    refused(plain / "model.onnx", "which is not a file")


@pytest.mark.parametrize(("key", "value"), [("offset", "-1"), ("length", "many"), ("offset", "9" * 30)])
def test_offsets_that_are_no_numbers_are_refused(key: str, value: str, plain: Path) -> None:
    proto = onnx.load(plain / "model.onnx", load_external_data=False)
    entry = next(entry for entry in proto.graph.initializer[0].external_data if entry.key == key)
    entry.value = value
    refused(tiny.save(proto, plain), f"is damaged: the weight '.*' has an invalid {key}")


def test_locations_of_plain_files_stay_as_they_are(plain: Path, tmp_path: Path) -> None:
    assert read_model(plain / "model.onnx").folder == plain.resolve()
    linked = read_model(only_the_model_is_linked(plain, tmp_path))
    assert linked.folder == plain.resolve()
    assert linked.proto == onnx.load(plain / "model.onnx", load_external_data=False)


def test_chains_of_links(tmp_path: Path) -> None:
    link(tmp_path / "a", "sub/b")
    link(tmp_path / "sub/b", "../c")
    (tmp_path / "c").touch()
    assert link_chain(tmp_path / "a") == [tmp_path / "a", tmp_path / "sub/b", tmp_path / "c"]
    link(tmp_path / "x", "y")
    link(tmp_path / "y", "x")
    assert link_chain(tmp_path / "x") == [tmp_path / "x", tmp_path / "y"]
    assert broken_link(tmp_path / "x") == "y"
    assert broken_link(tmp_path / "a") is None
    assert broken_link("a\0b") is None
