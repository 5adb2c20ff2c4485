"""The engine on real sessions: what the model sees, how many passes that takes, and what happens when a run fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.runtime.masks import Masking
from onnx_cam.runtime.noise import noise_field, noise_fields
from onnx_cam.runtime.schedule import OffsetSpace, Schedule
from onnx_cam.runtime.score_session import TimedScores
from onnx_cam.runtime.scorer import Scorer
from tests import oracle, tiny

CHANNELS, SIZE, SEED = 3, (8, 6), 3
IMAGE = np.random.default_rng(0).standard_normal((CHANNELS, *SIZE), np.float32)
MAPS = np.random.default_rng(1).random((5, 3, 4), np.float32)
MAPS[2] = 0.5  # dead
MAPS[4] = MAPS[1]  # the same again
NOISES: tuple[OffsetSpace, ...] = ("none", "map", "mask", "input")
X = tiny.image(1)
Sound = tuple[Schedule, np.ndarray]


def mirror(folder: Path, layout: str = "NCHW", last: Sequence[onnx.NodeProto] = ()) -> Classifier:
    """Return a classifier whose logits are its input, flattened; `last` nodes make ``logits`` of ``flat``."""
    inner = [CHANNELS, *SIZE] if layout == "NCHW" else [*SIZE, CHANNELS]
    proto = tiny.build(
        [helper.make_node("Flatten", ["image"], ["flat"]), *(last or [helper.make_node("Neg", ["flat"], ["logits"])])],
        {"twenty": np.float32(20)},
        image=["batch", *inner],
        outputs=[tiny.value_info("logits", ["batch", IMAGE.size])],
    )
    return onnx_cam.load(tiny.save(proto, folder), device="cpu", preprocess="none")


@pytest.fixture(scope="module")
def nchw(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return mirror(tmp_path_factory.mktemp("nchw"))


@pytest.fixture(scope="module", params=["NCHW", "NHWC"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return mirror(tmp_path_factory.mktemp("either"), request.param)


def scorer_of(model: Classifier, image: np.ndarray = IMAGE, **settings: Any) -> Scorer:
    targets = settings.pop("targets", range(model.classes))
    return Scorer(model.sessions, image, targets, np.zeros_like(image), **{"seed": SEED, **settings})


def inputs_seen(model: Classifier, schedule: Schedule, **settings: Any) -> tuple[np.ndarray, Scorer]:
    """Return what a mirror sees of each cell, (K, N, C, H, W), and the scorer that ran."""
    scorer = scorer_of(model, **settings)
    table = -scorer.run(schedule, "logit")
    if model.input.layout == "NCHW":
        return table.reshape(*schedule.shape, CHANNELS, *SIZE), scorer
    return np.moveaxis(table.reshape(*schedule.shape, *SIZE, CHANNELS), -1, 2), scorer


def field(step: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return a step's noise, drawn anew."""
    return oracle.Case(None, IMAGE, 0, seed=SEED).noise(step, shape)  # type: ignore[arg-type]


def mask_of(a: np.ndarray, masking: Masking | None = None, size: tuple[int, int] = SIZE) -> np.ndarray:
    masking, a = masking or Masking(), a.astype(np.float64)
    if oracle.dead(a):
        return np.zeros(size)
    if masking.normalise == "before":
        return oracle.upsample(oracle.s(a, masking.epsilon), size, masking.align_corners)
    mask = oracle.upsample(a, size, masking.align_corners)
    return mask if masking.normalise == "never" else oracle.s(mask, masking.epsilon)


def schedule_of(offset: OffsetSpace = "none", steps: int = 3, **settings: Any) -> Schedule:
    """Return a schedule whose channels differ in their noise, of 0.3 and more, and whose path does without."""
    maps = settings.pop("maps", MAPS)
    path = np.linspace(0.5, 2, steps) if offset == "none" else np.ones(steps)
    return Schedule(
        maps, **{"path": path, "offset": offset, "offset_scale": np.linspace(0.3, 0.6, len(maps)), **settings}
    )


def expected_inputs(schedule: Schedule, image: np.ndarray = IMAGE) -> np.ndarray:
    """Return METHODS.md's M_{k,i}, one after the other; 0 for dead maps that are not asked for."""
    made = np.zeros((*schedule.shape, *image.shape))
    for k, i in np.ndindex(schedule.shape):
        a, c, size = schedule.maps[k].astype(np.float64), schedule.path[i], image.shape[1:]
        c *= 1 if schedule.factor is None else schedule.factor[k]
        shape = {"none": (), "map": a.shape, "mask": size, "input": image.shape}[schedule.offset]
        added = schedule.offset_scale[k] * field(i, shape)
        if oracle.dead(a) and not schedule.score_dead:
            continue
        if schedule.offset == "map" and not oracle.dead(a):
            a = a + added
        mask = c * mask_of(a, schedule.masking, size)
        if schedule.offset == "mask":
            mask = mask + added
        made[k, i] = image * mask + (added if schedule.offset == "input" else 0)
    return made


@pytest.mark.parametrize("score_dead", [False, True])
@pytest.mark.parametrize("noise", NOISES)
def test_the_model_sees_the_inputs_of_the_schedule(noise: OffsetSpace, score_dead: bool, either: Classifier) -> None:
    schedule = schedule_of(noise, score_dead=score_dead)
    found, _ = inputs_seen(either, schedule)
    np.testing.assert_allclose(found, expected_inputs(schedule), atol=1e-5)


@pytest.mark.parametrize(
    "masking",
    [
        Masking(normalise="before", epsilon=1e-8),
        Masking(epsilon=0.5),
        Masking(normalise="never"),
        Masking(align_corners=True),
    ],
)
def test_masks_are_made_as_the_schedule_says(masking: Masking, either: Classifier) -> None:
    for noise in NOISES:
        schedule = schedule_of(noise, masking=masking)
        np.testing.assert_allclose(inputs_seen(either, schedule)[0], expected_inputs(schedule), atol=1e-5)


def test_noise_on_the_mask_is_the_same_for_all_colours(either: Classifier) -> None:
    found, _ = inputs_seen(either, schedule_of("mask"))
    noise = found[0] / IMAGE - mask_of(MAPS[0])  # (N, C, H, W)
    for colour in range(CHANNELS):
        np.testing.assert_allclose(noise[1, colour], 0.3 * field(1, SIZE), atol=1e-4)


def test_noise_on_the_map_comes_before_upsampling(nchw: Classifier) -> None:
    found, _ = inputs_seen(nchw, schedule_of("map"))
    for step in range(3):
        noisy = MAPS[0] + 0.3 * field(step, MAPS.shape[1:])
        np.testing.assert_allclose(found[0, step], IMAGE * mask_of(noisy), atol=1e-5)


def test_every_channel_and_step_is_scored_for_every_target(tiny_classifier: Classifier) -> None:
    maps = activations(tiny_classifier)
    schedule = schedule_of(maps=maps, steps=2)
    expected = expected_inputs(schedule, X)
    live = [k for k in range(tiny.CHANNELS) if k not in tiny.DEAD]
    for kind in ("probability", "logit"):
        table = scorer_of(tiny_classifier, X, targets=[3, 1]).run(schedule, kind)
        assert table.shape == (tiny.CHANNELS, 2, 2)
        assert not table[list(tiny.DEAD)].any()
        for k in live:
            wanted = tiny_classifier.sessions.scores(expected[k].astype(np.float32), kind)[:, [3, 1]]
            np.testing.assert_allclose(table[k], wanted, rtol=1e-5, atol=1e-6)


def activations(model: Classifier) -> np.ndarray:
    return model.sessions.activations(model.layer("relu2"), X).maps


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, None])
@pytest.mark.parametrize("noise", NOISES)
def test_the_batch_size_never_changes_a_score(
    noise: OffsetSpace, size: int | None, tiny_classifier: Classifier
) -> None:
    schedule = schedule_of(noise, maps=activations(tiny_classifier), steps=6, score_dead=True)
    reference = scorer_of(tiny_classifier, X, batch_size=4).run(schedule, "probability")
    scorer = scorer_of(tiny_classifier, X, batch_size=size)
    np.testing.assert_allclose(scorer.run(schedule, "probability"), reference, rtol=0, atol=1e-6)
    assert size is None or scorer.batch_size == size


def test_images_and_grids_do_not_mix_on_one_session(nchw: Classifier) -> None:
    other = np.random.default_rng(5).standard_normal(IMAGE.shape, np.float32)
    first, second = scorer_of(nchw), scorer_of(nchw, other)
    finer = schedule_of(
        maps=np.random.default_rng(6).random((2, 5, 2), np.float32), masking=Masking(align_corners=True)
    )
    for schedule in (schedule_of(), finer, schedule_of()):
        for scorer, image in ((first, IMAGE), (second, other)):
            seen = -scorer.run(schedule, "logit").reshape(*schedule.shape, *IMAGE.shape)
            np.testing.assert_allclose(seen, expected_inputs(schedule, image), atol=1e-5)


EQUAL, NO_NOISE, THROUGH_ZERO = np.full(5, 0.1), np.zeros(5), np.array([0, 0.5, 0])
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "identical maps once, dead ones never": ({}, 3 * 3),
    "dead maps share a blank pass": ({"score_dead": True}, 3 * 3 + 1),
    "steps without a difference are one": ({"path": np.ones(3)}, 3),
    "a path through 0 has one blank pass": ({"path": THROUGH_ZERO}, 3 + 1),
    "which is that of dead maps": ({"path": THROUGH_ZERO, "score_dead": True}, 3 + 1),
    "identical maps, other factors": ({"factor": np.array([1, -0.5, 1, 0, 2]), "score_dead": True}, 3 * 3 + 1),
    "identical maps, other noise": ({"offset": "mask"}, 4 * 3),
    "identical maps, the same noise": ({"offset": "mask", "offset_scale": EQUAL}, 3 * 3),
    "a blank pass a step where there is noise": ({"offset": "input", "offset_scale": EQUAL, "score_dead": True}, 4 * 3),
    "but no noise makes a map of a dead one": ({"offset": "map", "offset_scale": EQUAL, "score_dead": True}, 3 * 3 + 1),
    "noise of 0 is one step": ({"offset": "input", "offset_scale": NO_NOISE, "score_dead": True}, 3 + 1),
    "noise of 0 in some channels": ({"offset": "mask", "offset_scale": np.array([0.1, 0, 0, 0, 0])}, 3 + 2),
}


@pytest.mark.parametrize("case", CASES)
def test_only_inputs_that_differ_take_a_pass(case: str, nchw: Classifier) -> None:
    given, passes = CASES[case]
    schedule = schedule_of(**given)
    found, scorer = inputs_seen(nchw, schedule)
    np.testing.assert_allclose(found, expected_inputs(schedule), atol=1e-5)
    assert (scorer.passes, scorer.passes_skipped) == (passes, 5 * 3 - passes)


def test_a_baseline_is_scored_once_a_classifier(tmp_path: Path) -> None:
    model = mirror(tmp_path)
    first, second = scorer_of(model, targets=[0, 5]), scorer_of(model, targets=[5])
    assert first.baseline_scores("probability") == pytest.approx([1 / IMAGE.size] * 2)
    assert second.baseline_scores("probability") == pytest.approx([1 / IMAGE.size])
    assert (first.passes, first.passes_skipped) == (1, 0)
    assert (second.passes, second.passes_skipped) == (0, 1)
    assert second.baseline_scores("logit") == pytest.approx([0])
    other = Scorer(model.sessions, IMAGE, [5], IMAGE, seed=SEED)
    assert other.baseline_scores("logit") == pytest.approx([-IMAGE.ravel()[5]])
    assert (second.passes, other.passes) == (1, 1)


def test_passes_and_those_saved_add_up(tmp_path: Path) -> None:
    model, schedule = mirror(tmp_path), schedule_of("mask", score_dead=True)
    for _ in range(2):
        scorer = scorer_of(model)
        scorer.run(schedule, "logit")
        scorer.baseline_scores("logit")
        scorer.run(schedule_of(), "logit")
        assert scorer.passes + scorer.passes_skipped == 2 * 5 * 3 + 1


@pytest.mark.parametrize("size", [1, 4, None])
def test_progress_rises_to_the_passes_planned(size: int | None, nchw: Classifier) -> None:
    seen: list[tuple[int, int]] = []
    scorer = scorer_of(nchw, batch_size=size, progress=lambda *state: seen.append(state))
    for planned, noise in ((9 + 1, "none"), (10 + 12 + 3, "mask")):
        seen.clear()
        scorer.run(schedule_of(noise, score_dead=True), "logit")  # type: ignore[arg-type]
        done = [passes for passes, _ in seen]
        assert done == sorted(set(done))
        assert {known for _, known in seen} == {planned}
        assert done[-1] == scorer.passes == planned


def test_a_noise_field_depends_on_its_seed_and_step_alone() -> None:
    drawn = noise_field(1, 2, (50, 40))
    np.testing.assert_array_equal(drawn, noise_field(1, 2, (50, 40)))
    np.testing.assert_array_equal(noise_fields(1, 4, (50, 40), lambda one: one)[2], drawn)
    for other in (noise_field(1, 3, (50, 40)), noise_field(2, 2, (50, 40))):
        assert np.abs(np.corrcoef(drawn.ravel(), other.ravel())[0, 1]) < 0.1
    assert (drawn.mean(), drawn.std()) == (pytest.approx(0, abs=0.1), pytest.approx(1, abs=0.1))


def test_noise_that_does_not_fit_says_how_much_it_needs() -> None:
    with pytest.raises(OutOfMemoryError, match=r"noise fields need 38,146,972,656 MiB.*--samples"):
        noise_fields(0, 10**15, (2, 5), lambda one: one)  # more than can be addressed


def test_the_spreads_are_those_of_the_upsampled_and_the_masked_image(nchw: Classifier) -> None:
    maps = np.concatenate([MAPS, np.random.default_rng(7).standard_normal((15, 3, 4), np.float32)])
    scorer, masking = scorer_of(nchw), Masking()
    upsampled = [np.ptp(oracle.upsample(a.astype(np.float64), SIZE)) for a in maps]
    masked = [np.ptp(IMAGE * mask_of(a)) for a in maps]
    np.testing.assert_allclose(scorer.upsampled_spread(maps), upsampled, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(scorer.masked_spread(maps, masking), masked, rtol=1e-5)
    assert scorer.masked_spread(maps, masking)[2] == scorer.masked_spread(maps, Masking(normalise="never"))[2] == 0


def logarithm(folder: Path) -> Classifier:
    """Return a classifier whose logits are log(20 + input)."""
    nodes = [helper.make_node("Add", ["flat", "twenty"], ["sum"]), helper.make_node("Log", ["sum"], ["logits"])]
    return mirror(folder, last=nodes)


def test_a_score_that_is_not_a_number_names_channel_and_image(tmp_path: Path) -> None:
    factor = np.array([1, 1, 1, 1e4, 1])  # 20 + 1e4 · X · H is negative somewhere
    scorer = scorer_of(logarithm(tmp_path), batch_size=2, image_name="cat.jpg")
    with pytest.raises(ScoreError, match=r"NaN or infinite for channel 3 of cat\.jpg") as caught:
        scorer.run(schedule_of(factor=factor), "logit")
    assert "\n" not in str(caught.value)
    assert "sample" not in str(caught.value).split("cat.jpg")[0]


@pytest.mark.parametrize("size", [1, 2, 16])
def test_a_score_that_is_not_a_number_names_the_sample(size: int, tmp_path: Path) -> None:
    lowest = [float(field(step, IMAGE.shape).min()) for step in range(6)]
    worst, next_to = np.argsort(lowest)[:2]
    deviation = np.full(5, 0.1)
    deviation[3] = 2 * 20 / -(lowest[worst] + lowest[next_to])  # 20 + deviation · noise is negative in one field
    scorer = scorer_of(logarithm(tmp_path), np.zeros_like(IMAGE), batch_size=size)
    with pytest.raises(ScoreError, match=rf"for channel 3, sample {worst} of the image .*noise of {deviation[3]:.3g}"):
        scorer.run(schedule_of("input", 6, offset_scale=deviation), "logit")


@pytest.mark.parametrize("noise", ["map", "mask", "input"])
def test_noise_beyond_single_precision_is_no_number_either(noise: OffsetSpace, nchw: Classifier) -> None:
    with pytest.raises(ScoreError, match=r"channel 0, sample 0 .*noise of 1e\+39"):
        scorer_of(nchw).run(schedule_of(noise, offset_scale=np.full(5, 1e39)), "logit")


def test_a_baseline_that_is_not_a_number_is_named(tmp_path: Path) -> None:
    scorer = Scorer(logarithm(tmp_path).sessions, IMAGE, [0], np.full_like(IMAGE, -30), seed=0)
    with pytest.raises(ScoreError, match="--baseline"):
        scorer.baseline_scores("logit")


class Failing:
    """Stands in front of a session's run: it fails when told to, and hands on everything else."""

    def __init__(self, model: Classifier, fails: Callable[[int, int], Exception | None]) -> None:
        """Take (run number, inputs) to an error, or to None."""
        session = model.sessions.score_session("input")
        self._run, self._reopen, self._fails = session.run, session.reopen, fails
        self.sizes: list[int] = []
        self.reopened = 0
        session.run, session.reopen = self.run, self.reopen  # type: ignore[method-assign, assignment]

    def run(self, kind: Any, maps: np.ndarray, steps: int, **settings: Any) -> TimedScores:
        self.sizes.append(len(maps) * steps)
        error = self._fails(len(self.sizes) - 1, self.sizes[-1])
        if error is not None:
            raise error
        return self._run(kind, maps, steps, **settings)

    def reopen(self, **settings: Any) -> None:
        self.reopened += 1
        self._reopen(**settings)


@pytest.fixture
def fresh(tiny_path: Path) -> Classifier:
    return onnx_cam.load(tiny_path, device="cpu", preprocess="none", threads=1)  # one run after the other


@pytest.fixture
def sound(tiny_classifier: Classifier) -> Sound:
    """4 live maps at 4 steps, and their scores without a fault."""
    schedule = schedule_of("input", 4, maps=activations(tiny_classifier))
    return schedule, scorer_of(tiny_classifier, X).run(schedule, "logit")


@pytest.mark.parametrize("broken", [{0}, {1}, {5}, {0, 2, 4, 6, 8, 10}])
def test_a_failed_run_is_tried_again_on_a_session_opened_anew(
    broken: set[int], fresh: Classifier, sound: Sound
) -> None:
    failing = Failing(fresh, lambda run, _: ScoreError("a hiccup") if run in broken else None)
    scorer, first = scorer_of(fresh, X, batch_size=2), fresh.sessions.score_session("input")._opened
    np.testing.assert_allclose(scorer.run(sound[0], "logit"), sound[1], atol=1e-6)
    assert fresh.sessions.score_session("input")._opened is not first
    assert failing.reopened == len(broken)
    assert len(failing.sizes) == 16 // 2 + len(broken)
    assert (scorer.passes, scorer.passes_skipped, scorer.batch_size) == (16, 8, 2)


def test_a_run_that_fails_twice_raises_and_the_next_one_works(fresh: Classifier, sound: Sound) -> None:
    failing = Failing(fresh, lambda run, _: ScoreError("it is broken") if run in (2, 3) else None)
    scorer = scorer_of(fresh, X, batch_size=2)
    with pytest.raises(ScoreError, match="it is broken"):
        scorer.run(sound[0], "logit")
    assert (len(failing.sizes), scorer.passes) == (4, 4)
    np.testing.assert_allclose(scorer_of(fresh, X).run(sound[0], "logit"), sound[1], atol=1e-6)


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_where_memory_runs_out_the_batch_is_halved(limit: int, fresh: Classifier, sound: Sound) -> None:
    failing = Failing(fresh, lambda _, inputs: OutOfMemoryError("out of memory") if inputs > limit else None)
    scorer = scorer_of(fresh, X, batch_size=16)
    np.testing.assert_allclose(scorer.run(sound[0], "logit"), sound[1], atol=1e-6)
    too_large = [size for size in (16, 8, 4, 2) if size > limit]
    assert failing.sizes[: len(too_large)] == too_large
    assert max(failing.sizes[len(too_large) :]) == too_large[-1] // 2 == scorer.batch_size
    assert (scorer.passes, sum(failing.sizes[len(too_large) :]), failing.reopened) == (16, 16, len(too_large))


def test_a_measured_batch_stays_small_once_memory_ran_out(fresh: Classifier, sound: Sound) -> None:
    failing = Failing(fresh, lambda _, inputs: OutOfMemoryError("out of memory") if inputs > 1 else None)
    for _ in range(2):
        np.testing.assert_allclose(scorer_of(fresh, X).run(sound[0], "logit"), sound[1], atol=1e-6)
    assert failing.sizes == [4, 2, *[1] * 32]


def test_where_not_one_input_fits_memory_is_out(fresh: Classifier, sound: Sound) -> None:
    failing = Failing(fresh, lambda *_: OutOfMemoryError("out of memory"))
    scorer = scorer_of(fresh, X, batch_size=8)
    with pytest.raises(OutOfMemoryError, match="out of memory"):
        scorer.run(sound[0], "logit")
    assert failing.sizes == [8, 4, 2, 1, 1]
    assert scorer.passes == 0
