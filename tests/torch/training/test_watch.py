"""What `attach` watches in a training with losses on shuffled frames, and warns of."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.errors import InputError
from sdmetrics.torch import ShuffleEntropy, StaticPenalty, attach
from sdmetrics.torch.training import watch as watching
from sdmetrics.torch.training.isolation import in_extra_forward
from sdmetrics.torch.training.watch import PredictionWatch
from tests.helpers.training import Plain, made, seeded_and_alone, videos

CLASSES = 4


@pytest.fixture(autouse=True)
def _alone():
    with seeded_and_alone():
        yield


def test_lost_channels_are_counted_and_said(monkeypatch):
    monkeypatch.setattr(watching, "EVERY", 6)

    class Lossy(nn.Module):
        """Channel 0 sees motion, 1 the mean colour, 2 nothing; 3 and 4 are noise."""

        def __init__(self):
            super().__init__()
            self.scale, self.features, self.fc = nn.Parameter(torch.ones(5)), nn.Identity(), nn.Linear(5, 2)

        def forward(self, video):
            frames = video.mean((1, 3, 4))
            one = (frames[:, 0] - frames[:, -1]).abs()
            z = torch.stack([one, frames.mean(1), 0 * one, *torch.randn(2, len(video))], 1)
            return self.fc(self.features(z * self.scale))

    model = Lossy()
    attached = attach(model, "features", penalty=StaticPenalty())
    assert attached.lost == {}

    def train():
        for number in range(12):
            model(videos(number, clips=64))

    with pytest.warns(UserWarning, match=r"'features': of 5 channels 1 are dead and \d are noise.*shown once"):
        train()
    lost = attached.lost["features"]
    assert (lost["dead"], lost["noise"], lost["units"]) == (1, 2, 5)


def test_values_that_are_not_finite_are_no_lost_channels(monkeypatch):
    monkeypatch.setattr(watching, "EVERY", watching.WINDOW)
    model = made(Plain)
    attached = attach(model, "pool", penalty=StaticPenalty())
    for _ in range(watching.WINDOW):
        model(videos() * float("inf"))
    assert attached.lost == {}
    for number in range(watching.WINDOW):
        model(videos(number))
    assert attached.lost["pool"]["units"] == 5


def naive_kappa(first, second, classes):
    """Cohen's kappa from the table of both predictions."""
    table = np.zeros((classes, classes))
    for one, other in zip(first, second, strict=True):
        table[one, other] += 1
    table /= table.sum()
    chance = sum(table[k].sum() * table[:, k].sum() for k in range(classes))
    return (np.trace(table) - chance) / (1 - chance)


def onehot(predicted):
    return torch.eye(CLASSES)[list(predicted)]


def watched(batches, step=1):
    """Return a watch of the predictions of batches, pairs of lists of classes."""
    watch = PredictionWatch()
    for first, second in batches:
        watch.add(onehot(first), onehot(second), step)
    return watch


@pytest.mark.parametrize("seed", range(5))
def test_the_agreement_is_cohens_kappa(seed):
    rng = np.random.default_rng(seed)
    first = rng.choice(CLASSES, (4, 50), p=[0.5, 0.3, 0.2, 0])[:, : watching.LEAST_PREDICTIONS // 4]
    second = np.where(rng.random(first.shape) < 0.1 * seed, first, rng.integers(CLASSES, size=first.shape))
    found = watched(zip(first, second, strict=True)).agreement
    assert found == pytest.approx(naive_kappa(first.ravel(), second.ravel(), CLASSES), abs=1e-12)


@pytest.mark.parametrize("clips", [64, 5000])
def test_where_one_class_is_predicted_nothing_is_known(clips):
    assert watched([([1] * clips, [1] * clips)], watching.FIRST).agreement is None


def test_few_clips_are_counted_together():
    batch = ([0, 1], [0, 1])
    assert watched([batch] * 31).agreement is None
    assert watched([batch] * 32).agreement == 1


def test_what_was_counted_is_not_counted_again():
    alike, unlike = ([0, 1] * 32, [0, 1] * 32), ([0, 1] * 32, [1, 0] * 32)
    assert watched([alike, unlike]).agreement == -1


def test_another_number_of_classes_begins_anew():
    watch = watched([([0, 1] * 16, [0, 1] * 16)])
    two = torch.eye(2)[[0, 1] * 32]
    watch.add(two, two.flip(1), 1)
    assert watch.agreement == -1


LIKELY = ([0, 1, 2, 3] * 25, [0, 1, 2, 3] * 25)


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        (LIKELY, r"same class \(of 4\) for shuffled frames in 100 of 100 clips \(agreement 1.00\)"),
        (([0, 1, 2, 3] * 25, [0, 1, 2, 3] * 22 + [1, 2, 3, 0] * 3), r"in 88 of 100 clips \(agreement 0.84\)"),
        # 0.76, which by chance 0.6 may be
        (([0, 1, 2, 3] * 25, [0, 1, 2, 3] * 20 + [0, 2, 3, 0] * 5), None),
        # 95 % are equal, most by chance
        (([0] * 90 + [1] * 10, [0] * 90 + [0] * 5 + [1] * 5), None),
        # all are equal, but hardly any could differ
        (([0] * 63 + [1], [0] * 63 + [1]), None),
    ],
)
def test_agreement_is_said_if_it_is_surely_large(pair, says):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watched([pair], watching.FIRST)
    assert [bool(re.search(str(says), str(one.message))) for one in caught] == ([True] if says else [])


@pytest.mark.parametrize(("first", "said"), [(1, [256, 512, 1024, 2048]), (1001, [1001, 1024, 2048])])
def test_it_is_said_after_each_doubling_and_at_once_after_resuming(first, said):
    watch, found = PredictionWatch(), {}
    for step in range(first, 2100):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            watch.add(*map(onehot, LIKELY), step)
        found.update((step, str(one.message)) for one in caught)
    assert list(found) == said
    assert all(f"after {step} steps with the loss" in text for step, text in found.items())


class Told(nn.Module):
    """Predicts by the mean colour, which a single frame shows, or by whether it grows, which needs their order."""

    def __init__(self, by_motion=False, returned=lambda logits: logits):
        super().__init__()
        self.by_motion, self.returned = by_motion, returned
        self.features = nn.Identity()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, video):
        frames = video.mean((1, 3, 4))
        one = frames[:, -1] - frames[:, 0] if self.by_motion else frames.mean(1)
        z = self.features(one[:, None] * self.scale)
        return self.returned(torch.cat([z, -z], 1))


def attached_to(model, steps=watching.EVERY, state=None, **losses):
    """Train for so many steps; return what `attach` does, and the steps in which predictions were warned of."""
    attached = attach(model, "features", **(losses or {"penalty": StaticPenalty()}))
    if state:
        attached.load_state_dict(state)
    found = []
    for step in range(steps):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model(videos(step, clips=32, frames=3))
        found += [step + 1 for one in caught if "hardly depend on the order" in str(one.message)]
    return attached, found


@pytest.mark.parametrize("losses", [{"penalty": StaticPenalty()}, {"entropy": ShuffleEntropy()}])
def test_predictions_by_single_frames_are_said(losses):
    attached, found = attached_to(made(Told), 257, **losses)
    assert attached.agreement > 0.95  # the mean of frames in another order rounds differently
    assert found == [256]


def test_predictions_by_motion_are_no_reason_to_warn():
    attached, found = attached_to(made(lambda: Told(by_motion=True)), 257)
    assert attached.agreement < 0.5
    assert found == []


def test_only_the_last_of_the_steps_are_watched():
    first, _ = attached_to(made(Told), watching.EVERY - watching.WINDOW + 1)
    last, _ = attached_to(made(Told), watching.EVERY - watching.WINDOW + 2)
    assert first.agreement is None
    assert last.agreement is not None  # two batches of 32 clips


def test_steps_are_those_with_the_loss_at_its_full_weight():
    _, (found,) = attached_to(made(Told), 800, penalty=StaticPenalty(warmup=100, every=2))
    assert 256 <= (found + 1 - 100) // 2 < 256 + watching.EVERY


def test_a_resumed_training_counts_on():
    attached, found = attached_to(made(Told), 250)
    assert found == []
    _, found = attached_to(made(Told), 10, state=attached.state_dict())
    assert found == [6]


class Reused(Told):
    """Writes what it returns into one dict, as the frames are seen before and after."""

    def __init__(self):
        super().__init__(by_motion=True)
        self.out = {}

    def forward(self, video):
        self.out["logits"] = super().forward(video)
        return self.out


def test_what_a_model_returned_may_be_written_over():
    losses = {"penalty": StaticPenalty(), "entropy": ShuffleEntropy()}
    (attached, _), (usual, _) = (attached_to(made(kind), **losses) for kind in (Reused, lambda: Told(by_motion=True)))
    assert attached.loss() == usual.loss()
    assert attached.agreement == usual.agreement < 0.5


LOGITS = [
    lambda logits: (logits.sum(), logits),
    lambda logits: {"loss": logits.sum(), "logits": logits},
    lambda logits: {"features": logits.flip(1), "logits": logits},
    lambda logits: {"logits": logits[:, None].expand(-1, 4, -1), "main": logits},
    lambda logits: [logits.bfloat16()],
]
NO_LOGITS = [
    lambda logits: logits[:, :1],
    lambda logits: logits[:, None],
    lambda logits: (logits * 100).long(),
    lambda logits: {"boxes": logits.sum()},
    lambda logits: SimpleNamespace(scores=logits),
]
UNCLEAR = [
    lambda logits: (logits.flip(1), logits),
    lambda logits: logits.repeat_interleave(3, 0),
    lambda logits: logits[: len(logits) - (not in_extra_forward())],
]


@pytest.mark.parametrize("returned", LOGITS)
def test_logits_are_found(returned):
    attached, _ = attached_to(made(lambda: Told(returned=returned)), entropy=ShuffleEntropy())
    assert 0 < attached.loss().item() < 1
    assert attached.agreement > 0.9
    attached, _ = attached_to(made(lambda: Told(returned=returned)))
    assert attached.agreement > 0.9


@pytest.mark.parametrize("returned", NO_LOGITS + UNCLEAR)
def test_what_may_not_be_logits_is_not_compared(returned):
    attached, _ = attached_to(made(lambda: Told(returned=returned)))
    assert attached.loss().item() > 0
    assert attached.agreement is None


@pytest.mark.parametrize("returned", [*NO_LOGITS[:4], UNCLEAR[0]])
def test_without_logits_there_is_no_entropy(returned):
    with pytest.raises(InputError, match=r"the model returns \w+ .*; expected: one tensor of logits.*entry 'logits'"):
        attached_to(made(lambda: Told(returned=returned)), 1, entropy=ShuffleEntropy())


def test_a_warning_that_is_an_error_leaves_nothing_behind():
    attached, _ = attached_to(made(Told), 255)
    model = attached._model
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="hardly depend"):
            model(videos(0, clips=32, frames=3))
    assert attached._copy is None
    model(videos(1, clips=32, frames=3))
    assert attached.loss().item() > 0
