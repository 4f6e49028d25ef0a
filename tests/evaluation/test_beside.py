"""An evaluation beside an analysis: each clip is decoded once, and both are what they are by themselves."""

import gc
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sdmetrics as sd
from sdmetrics.errors import InputError
from tests.evaluation.test_classification import RAMP, NumpyClassifier, brightness, ends, still
from tests.helpers.fakes import broken_clip, colours

CLIPS = 40


def model():
    return NumpyClassifier({"logits": ends, "colours": colours, "brightness": brightness}, size=16)


class Counted:
    """Loads noise that gets brighter or darker, and counts how often."""

    looped = True

    def __init__(self, number, loads, alive=None):
        self.number, self.loads, self.alive = number, loads, alive

    def __call__(self):
        self.loads[self.number] += 1
        rng = np.random.default_rng(self.number)
        steps = np.arange(0, 60, 10)[:, None, None, None] * (1 if self.number % 2 == 0 else -1)
        frames = (rng.integers(60, 190, (1, 16, 16, 3)) + steps).astype(np.uint8)
        if self.alive is not None:
            self.alive.append(weakref.ref(frames))
        return frames


def clips_of(loads, alive=None):
    """Return clips of which one is broken and one does not move."""
    made = [
        sd.Clip(f"clip-{number:03d}", Counted(number, loads, alive), label=list(RAMP)[number % 2], stamp=str(number))
        for number in range(CLIPS)
    ]
    size = np.full((6, 16, 16, 3), 7, np.uint8)
    return [*made, replace(broken_clip("broken"), label="darker"), replace(still(), load=lambda: size)]


def evaluator(clips, **more):
    return sd.Evaluator(model(), clips, RAMP, shuffle=True, manipulate=["reverse"], output="logits", **more)


def alone(clips, **more):
    return sd.evaluate(model(), clips, RAMP, shuffle=True, manipulate=["reverse"], output="logits", **more)


@pytest.mark.parametrize("also", [[], ["reverse"]])
def test_each_clip_is_decoded_once_and_nothing_differs(tmp_path, also):
    loads = Counter()
    clips = clips_of(loads)
    beside = evaluator(clips, out=tmp_path / "both/evaluation.json")
    results = sd.analyze(model(), clips, evaluator=beside, also=also, out=tmp_path / "both", progress=False)
    evaluation = beside.evaluation()
    assert loads == dict.fromkeys(range(CLIPS), 1)
    assert evaluation == alone(clips, out=tmp_path / "evaluation.json")
    assert (evaluation.looped, [row["id"] for row in evaluation.skipped]) == (CLIPS, ["broken", "still"])
    assert results == sd.analyze(model(), clips, also=also, out=tmp_path / "run", progress=False)
    for name in ("results.json", "units.csv"):
        assert (tmp_path / "both" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    assert (tmp_path / "both/evaluation.json").read_bytes() == (tmp_path / "evaluation.json").read_bytes()


def test_without_a_folder():
    loads = Counter()
    clips = clips_of(loads)
    beside = evaluator(clips)
    results = sd.analyze(model(), clips, evaluator=beside)
    assert beside.evaluation() == alone(clips)
    assert results == sd.analyze(model(), clips)
    assert set(loads.values()) == {3}


@pytest.mark.parametrize("first", ["analysis", "evaluation", "half of the analysis"])
def test_what_is_there_is_not_decoded_again(tmp_path, first):
    loads = Counter()
    clips = clips_of(loads)
    out = tmp_path / "evaluation.json"
    if first == "analysis":
        sd.analyze(model(), clips, out=tmp_path)
    elif first == "evaluation":
        alone(clips, out=out)
    else:
        sd.analyze_part(model(), clips, "1/2", out=tmp_path)
    before = Counter(loads)
    assert set(before.values()) == {1}
    beside = evaluator(clips, out=out)
    results = sd.analyze(model(), clips, evaluator=beside, out=tmp_path)
    evaluation = beside.evaluation()
    assert loads - before == dict.fromkeys(range(CLIPS), 1)
    assert (results, evaluation) == (sd.analyze(model(), clips), alone(clips))


def test_parts_decode_once_too(tmp_path):
    loads = Counter()
    clips = clips_of(loads)
    for part in ("1/3", "2/3", "3/3"):
        beside = evaluator(clips, out=tmp_path / "evaluation.json", part=part)
        sd.analyze_part(model(), clips, part, evaluator=beside, out=tmp_path)
    beside = evaluator(clips, out=tmp_path / "evaluation.json")
    results = sd.analyze(model(), clips, evaluator=beside, out=tmp_path)
    evaluation = beside.evaluation()
    assert loads == dict.fromkeys(range(CLIPS), 1)
    assert (results, evaluation) == (sd.analyze(model(), clips), alone(clips))


def test_a_run_that_stops_leaves_the_rest_to_the_evaluation(monkeypatch):
    monkeypatch.setattr("sdmetrics.analysis.measure.LEAST_ROUNDS", 1)
    loads = Counter()
    clips = clips_of(loads)
    beside = evaluator(clips)
    results = sd.analyze(model(), clips, evaluator=beside, until=50)
    assert results.clips["used"] < CLIPS
    assert beside.evaluation() == alone(clips_of(Counter()))
    # What was rendered ahead of the stop is decoded again.
    assert set(loads.values()) <= {1, 2}
    assert sum(loads.values()) < 1.5 * CLIPS


def test_memory_does_not_grow_with_the_number_of_clips():
    loads, alive, most = Counter(), [], []

    class Watching(NumpyClassifier):
        def __call__(self, feeds):
            gc.collect()
            most.append(sum(frames() is not None for frames in alive))
            return super().__call__(feeds)

    runner = Watching({"colours": colours, "brightness": brightness}, size=16)
    clips = clips_of(loads, alive)
    beside = evaluator(clips)
    gc.freeze()  # what was there before need not be looked through each time
    sd.analyze(runner, clips, evaluator=beside, progress=False)
    gc.unfreeze()
    assert len(alive) == CLIPS
    assert max(most) < CLIPS / 2
    gc.collect()
    assert sum(frames() is not None for frames in alive) == 0


def test_other_clips_are_refused():
    clips = clips_of(Counter())
    with pytest.raises(InputError, match="have different clips; pass the same to both"):
        sd.analyze(model(), clips, evaluator=evaluator(clips[:-3]))


def test_workers_decode_for_themselves():
    clips = clips_of(Counter())
    with ThreadPoolExecutor(1) as pool, pytest.raises(InputError, match="evaluator goes with no executor"):
        sd.analyze(Path("model.onnx"), clips, evaluator=evaluator(clips), executor=pool)
