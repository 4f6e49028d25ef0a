"""What `attach` watches in a training with losses on shuffled frames, and warns of."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.torch import ShuffleEntropy, StaticPenalty, attach
from sdmetrics.torch.training import watch as watching
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


def watched(batches):
    """Return a watch of the predictions of batches, pairs of lists of classes."""
    watch = PredictionWatch()
    for pair in batches:
        watch.add(*(torch.eye(CLASSES)[list(one)] for one in pair))
    return watch


@pytest.mark.parametrize("seed", range(5))
def test_the_agreement_is_cohens_kappa(seed):
    rng = np.random.default_rng(seed)
    first = rng.choice(CLASSES, (watching.WINDOW, 50), p=[0.5, 0.3, 0.2, 0])
    second = np.where(rng.random(first.shape) < 0.1 * seed, first, rng.integers(CLASSES, size=first.shape))
    found = watched(zip(first, second, strict=True)).agreement
    assert found == pytest.approx(naive_kappa(first.ravel(), second.ravel(), CLASSES), abs=1e-6)


def test_where_one_class_is_predicted_nothing_is_known():
    assert watched([([1] * 64, [1] * 64)] * 32).agreement is None


@pytest.mark.filterwarnings("ignore:after 512 steps")
def test_few_clips_are_counted_over_several_windows():
    windows = watching.LEAST_PREDICTIONS // (2 * watching.WINDOW)
    batch = ([0, 1], [0, 1])
    assert watched([batch] * (windows * watching.WINDOW - 1)).agreement is None
    assert watched([batch] * windows * watching.WINDOW).agreement == 1


def test_what_was_counted_is_not_counted_again():
    alike, unlike = ([0, 1] * 32, [0, 1] * 32), ([0, 1] * 32, [1, 0] * 32)
    assert watched([alike] * watching.WINDOW + [unlike] * watching.WINDOW).agreement == -1


class Told(nn.Module):
    """Predicts by the mean colour, which a single frame shows, or by whether it grows, which needs their order."""

    def __init__(self, by_motion, returned=lambda logits: logits):
        super().__init__()
        self.by_motion, self.returned = by_motion, returned
        self.features = nn.Identity()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, video):
        frames = video.mean((1, 3, 4))
        one = frames[:, -1] - frames[:, 0] if self.by_motion else frames.mean(1)
        z = self.features(one[:, None] * self.scale)
        return self.returned(torch.cat([z, -z], 1))


def said(model, steps, **losses):
    """Train for so many steps; return the agreement, and the steps after which a warning came, with its text."""
    attached = attach(model, "features", **(losses or {"penalty": StaticPenalty()}))
    found = {}
    for step in range(steps):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model(videos(step, clips=32))
        for one in caught:
            if "single frames" in str(one.message):
                found[step + 1] = str(one.message)
    return attached.agreement, found


@pytest.fixture
def _often(monkeypatch):
    monkeypatch.setattr(watching, "EVERY", watching.WINDOW)
    monkeypatch.setattr(watching, "FIRST", 4 * watching.WINDOW)


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("losses", [{"penalty": StaticPenalty()}, {"entropy": ShuffleEntropy()}])
def test_predictions_by_single_frames_are_said_after_each_doubling(losses):
    agreement, found = said(made(lambda: Told(by_motion=False)), 17 * watching.WINDOW, **losses)
    assert agreement == pytest.approx(1, abs=0.05)  # the mean of frames in another order rounds differently
    assert list(found) == [4 * watching.WINDOW, 8 * watching.WINDOW, 16 * watching.WINDOW]
    for step, text in found.items():
        assert f"after {step} steps" in text
        assert "predicted class (of 2) is the same for shuffled frames in 1" in text
        assert "of 128 clips" in text


@pytest.mark.usefixtures("_often")
def test_predictions_by_motion_are_no_reason_to_warn():
    agreement, found = said(made(lambda: Told(by_motion=True)), 9 * watching.WINDOW)
    assert agreement < 0.5
    assert found == {}


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize(
    "returned",
    [
        lambda logits: logits[:, :1],
        lambda logits: logits[:, None],
        lambda logits: {"boxes": logits.sum()},
        lambda logits: SimpleNamespace(scores=logits),
        lambda logits: logits.long(),
    ],
)
def test_what_are_no_logits_is_not_compared(returned):
    assert said(made(lambda: Told(False, returned)), 2 * watching.WINDOW) == (None, {})


@pytest.mark.usefixtures("_often")
def test_logits_are_found_behind_a_loss():
    model = made(lambda: Told(False, lambda logits: {"loss": logits.sum(), "logits": logits}))
    attached = attach(model, "features", entropy=ShuffleEntropy())
    for step in range(watching.WINDOW):
        model(videos(step, clips=32))
    assert 0 < attached.loss().item() < 1
    assert attached.agreement == pytest.approx(1, abs=0.05)
