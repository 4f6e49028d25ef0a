"""The tracker: what it writes to logs, and what it cannot use."""

from __future__ import annotations

import pytest
import torch

from sdmetrics.comparison.scalars import scalars
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch import BiasTracker
from tests.torch.training.test_tracker import CLIPS, VIDEO, alike, made, state, tracked


class TestTensorBoard:
    def test_every_number_is_written_once_at_its_step(self, tmp_path):
        board = pytest.importorskip("torch.utils.tensorboard")
        reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        tracker = tracked(made())
        with board.SummaryWriter(tmp_path) as writer:
            for step in (0, 10):
                tracker.measure(step)
                tracker.write(writer)
            tracker.write(writer)
        events = reader.EventAccumulator(str(tmp_path))
        events.Reload()
        expected = scalars(tracker.results[10])
        assert set(events.Tags()["scalars"]) == set(expected)
        assert {"static/stage", "dynamic/stem", "units-joint/stage"} < set(expected)
        for name, value in expected.items():
            assert [event.step for event in events.Scalars(name)] == [0, 10]
            assert events.Scalars(name)[1].value == pytest.approx(value, rel=1e-6)


class Kept:
    """A log that keeps what is written, and fails now and then."""

    def __init__(self, fails=()):
        self.written, self.fails = {}, list(fails)

    def write(self, values, step):
        if step in self.fails:
            self.fails.remove(step)
            raise ConnectionError("the server is away")
        self.written[step] = values


class TestSeveralLogs:
    def test_all_get_the_same_and_what_failed_is_written_by_the_next_call(self):
        tracker = tracked(made())
        for step in (0, 10, 20):
            tracker.measure(step)
        steady, failing = Kept(), Kept(fails=[10])
        with pytest.raises(ConnectionError):
            tracker.write(steady, failing)
        assert list(failing.written) == [0]
        tracker.write(steady, failing)
        assert steady.written == failing.written == {step: scalars(r) for step, r in tracker.results.items()}
        tracker.write(again := Kept())
        assert again.written == {}

    def test_a_wrong_one_is_noticed_before_anything_is_written(self):
        tracker = tracked(made())
        tracker.measure(0)
        with pytest.raises(InputError, match="cannot write measurements to a str; expected: a SummaryWriter, a run of"):
            tracker.write(log := Kept(), "runs/")
        assert log.written == {}
        tracker.write(log)
        assert list(log.written) == [0]


class TestHostileInput:
    @pytest.mark.parametrize("every", [0, -1])
    def test_never(self, every):
        with pytest.raises(InputError, match=f"every is {every}; expected at least 1"):
            tracked(made(), every=every)

    def test_before_the_beginning(self):
        with pytest.raises(InputError, match="step is -1; expected at least 0"):
            tracked(made()).measure(-1)

    def test_a_layer_that_is_not_there_is_told_at_once_and_leaves_no_trace(self):
        model = made()
        before = state(model)
        with pytest.raises(InputError, match=r"Net has no module 'stag'. .*stage"):
            BiasTracker(model, [VIDEO], ["stag"], CLIPS)
        with pytest.raises(InputError, match=r"Net fails in its forward: RuntimeError: .*3 channels.*Check how"):
            BiasTracker(model, [ModelInput("video", frames=4, layout="NTCHW", size=(16, 16))], ["stage"], CLIPS)
        assert all(alike(before[key], value) for key, value in state(model).items())

    def test_activations_that_are_not_numbers_are_told_and_the_training_can_go_on(self, tmp_path):
        model = made()
        tracker = tracked(model, out=tmp_path)
        tracker.measure(0)
        with torch.no_grad():
            model.stage[0].weight[2] = torch.nan
        before = state(model)["modes"]
        with pytest.raises(InputError, match=r"'stage'.* (nan|not finite)"):
            tracker.measure(1)
        assert state(model)["modes"] == before
        assert list(tracker.results) == [0]

    def test_too_few_clips(self):
        with pytest.raises(InputError, match="1 of 1 clips"):
            BiasTracker(made(), [VIDEO], ["stage"], CLIPS[:1]).measure(0)
