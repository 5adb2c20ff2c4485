"""Images scored as they are: the model's own scores, in even batches, few at once, whatever fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.runtime.image_run import score_images
from onnx_cam.runtime.score_session import ScoreSession
from onnx_cam.runtime.scores import ScoreKind
from onnx_cam.runtime.spread import Spread, SpreadChoice
from tests import tiny

Floats = NDArray[np.float32]
TARGET = 1
SHAPE = (3, tiny.SIZE, tiny.SIZE)
IMAGES: Floats = np.random.default_rng(0).standard_normal((23, *SHAPE), np.float32) / np.float32(4)


def load(model: onnx.ModelProto, folder: Path, streams: int = 2, **settings: Any) -> Classifier:
    loaded = onnx_cam.load(tiny.save(model, folder), device="cpu", preprocess="none", **settings)
    loaded.sessions._spreads = SpreadChoice(streams, Spread(streams, 1))
    return loaded


def score(model: Classifier, images: Floats = IMAGES, kind: ScoreKind = "probability", **settings: Any) -> Any:
    return score_images(
        model.sessions, images.__getitem__, len(images), shape=SHAPE, targets=[TARGET], score_kind=kind, **settings
    )[:, 0]


class Watched:
    """Stands in front of the runs of images: notes their sizes, and fails some of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: Callable[[int, int], Exception | None]) -> None:
        """Take (run number, images) to an error, or to None."""
        self.sizes: list[int] = []
        lock, run = threading.Lock(), ScoreSession.run_images

        def run_images(session: ScoreSession, kind: Any, images: Floats, **settings: Any) -> Any:
            with lock:
                number = len(self.sizes)
                self.sizes.append(len(images))
            if (error := fails(number, len(images))) is not None:
                raise error
            return run(session, kind, images, **settings)

        monkeypatch.setattr(ScoreSession, "run_images", run_images)


def channels_last() -> onnx.ModelProto:
    to_nchw = helper.make_node("Transpose", ["pixels"], ["image"], perm=[0, 3, 1, 2])
    model = tiny.build(
        [to_nchw, *tiny.body()],
        tiny.weights(),
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
    )
    del model.graph.input[:]
    model.graph.input.append(
        helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", tiny.SIZE, tiny.SIZE, 3])
    )
    return model


def four_at_a_time() -> onnx.ModelProto:
    """A constant of four rows is added, which fits no other batch."""
    model = tiny.model(tail=[helper.make_node("Add", ["logits", "rows"], ["y"])], output="y", batch=4)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((4, tiny.CLASSES), np.float32), "rows"))
    return model


@pytest.mark.parametrize("kind", ["probability", "logit"])
@pytest.mark.parametrize("make", [tiny.model, channels_last, tiny.one_at_a_time, four_at_a_time])
def test_the_scores_are_the_models_own(make: Callable[[], onnx.ModelProto], kind: ScoreKind, tmp_path: Path) -> None:
    model = load(make(), tmp_path, head="logits")
    expected = model.sessions.scores(IMAGES, kind)[:, TARGET]
    assert expected.std() > 0.01
    for batch_size in (None, 1, 4, 16):
        np.testing.assert_allclose(score(model, kind=kind, batch_size=batch_size), expected, atol=1e-6)


def test_neither_batch_nor_streams_change_a_bit(tmp_path: Path) -> None:
    settings = [(1, 1), (1, 5), (2, 16), (3, 4), (4, 64)]
    found = [score(load(tiny.model(), tmp_path, streams), batch_size=batch) for streams, batch in settings]
    for one in found[1:]:
        np.testing.assert_array_equal(one, found[0])


@pytest.mark.parametrize(
    ("streams", "inputs", "sizes"),
    [
        (2, (4, 16), [2, 2]),
        (1, (23, 16), [16, 7]),
        (2, (23, 16), [12, 11]),
        (2, (23, 4), [4, 4, 4, 4, 4, 3]),
        (4, (3, 16), [1, 1, 1]),
    ],
)
def test_all_streams_have_as_much_to_do(
    streams: int, inputs: tuple[int, int], sizes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, batch_size = inputs
    model = load(tiny.model(), tmp_path, streams)
    watched = Watched(monkeypatch, lambda *_: None)
    score(model, IMAGES[:count], batch_size=batch_size)
    assert sorted(watched.sizes, reverse=True) == sizes


def test_a_fixed_batch_is_filled_not_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(four_at_a_time(), tmp_path, head="logits")
    assert model.fixed_batch == 4
    watched = Watched(monkeypatch, lambda *_: None)
    score(model, IMAGES[:6], batch_size=16)
    assert sorted(watched.sizes) == [2, 4]


def test_only_the_images_that_are_run_next_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(tiny.model(), tmp_path, streams=2)
    lock = threading.Lock()
    made, done, most = 0, 0, 0
    run = ScoreSession.run_images

    def make(number: int) -> Floats:
        nonlocal made, most
        with lock:
            made += 1
            most = max(most, made - done)
        image: Floats = IMAGES[number % len(IMAGES)]
        return image

    def run_images(session: ScoreSession, kind: Any, images: Floats, **settings: Any) -> Any:
        nonlocal done
        result = run(session, kind, images, **settings)
        with lock:
            done += len(images)
        return result

    monkeypatch.setattr(ScoreSession, "run_images", run_images)
    score_images(model.sessions, make, 400, shape=SHAPE, targets=[TARGET], score_kind="logit", batch_size=5)
    assert made == done == 400
    assert most <= 10  # two streams, a batch of 5 each


def test_a_run_that_fails_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(tiny.model(), tmp_path)
    sound = score(model, batch_size=4)
    Watched(monkeypatch, lambda number, _: ScoreError("a hiccup") if number == 1 else None)
    np.testing.assert_array_equal(score(model, batch_size=4), sound)


def test_where_memory_runs_out_the_batch_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(tiny.model(), tmp_path)
    sound = score(model, batch_size=8)
    watched = Watched(monkeypatch, lambda _, size: OutOfMemoryError("out of memory") if size > 2 else None)
    np.testing.assert_array_equal(score(model, batch_size=8), sound)
    assert sum(size for size in watched.sizes if size <= 2) == len(IMAGES)
    with monkeypatch.context() as patched:
        Watched(patched, lambda *_: OutOfMemoryError("out of memory"))
        with pytest.raises(OutOfMemoryError):
            score(model, batch_size=8)
    np.testing.assert_array_equal(score(model, batch_size=8), sound)


def test_an_image_whose_score_is_not_a_number_is_named(tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    images = IMAGES.copy()
    images[7, 0, 3, 3] = np.nan
    with pytest.raises(ScoreError, match="NaN or infinite for picture 7; expected finite scores"):
        score(model, images, batch_size=4, name="picture {}".format)
