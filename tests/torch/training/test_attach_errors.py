import pytest
from torch import nn

from sdmetrics.errors import InputError
from sdmetrics.torch import attach
from tests.helpers.training import UNITS, Net, TwoPathways, made, videos


@pytest.mark.parametrize(
    ("layer", "arguments", "message"),
    [
        ("pol", {"rate": 0.5}, r"Net has no module 'pol'. The nearest names: pool"),
        ("pool", {}, "'pool' is AdaptiveAvgPool3d, not a dropout; pass a rate, 0 to 1"),
        ("fc", {"rate": 0.5}, "no module after 'fc' declares its number of input channels; pass units="),
        ("pool", {"rate": 2}, "rate is 2; expected: 0 to 1"),
    ],
)
def test_what_cannot_be_attached_is_named(layer, arguments, message):
    with pytest.raises(InputError, match=message):
        attach(made(), layer, **arguments)


def test_attaching_twice_is_refused():
    model = made()
    attach(model, "pool", 0.5)
    with pytest.raises(InputError, match="'pool' already has a StaticDropout attached"):
        attach(model, "pool", 0.5)


class Odd(Net):
    """Has a part that never runs, one that runs twice, and one that returns frames."""

    def __init__(self):
        super().__init__()
        self.never, self.twice, self.frames = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, video):
        x = self.twice(self.twice(self.conv(video)))
        return self.fc(self.frames(x.transpose(1, 2).flatten(0, 1).mean((2, 3))))


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        ("never", {}, "'never' does not run in a forward of Odd; expected: once"),
        ("twice", {}, "'twice' runs 2 times in a forward of Odd; expected: once"),
        ("frames", {}, r"'frames' returns features of shape \(12, 6\) for 6 clips; expected: one row per clip"),
        ("frames", {"units": 5}, r"features have shape \(12, 6\); expected: \(N, 5\)"),
        ("twice", {"layout": "NTC"}, r"called with \(6, 3, 4, 5, 5\): with layout='NTC', no tensor has two or more"),
        ("twice", {"layout": ["NCTHW"] * 2}, r"layout is NCTHW, NCTHW; pass one layout per tensor"),
        ("twice", {"layout": "CTHWN"}, "layout is 'CTHWN'; write each axis once, N first"),
        ("twice", {"layout": "NCHWH"}, "layout is 'NCHWH'"),
    ],
)
def test_what_cannot_be_trained_is_named(layer, options, message):
    model = made(Odd)
    attach(model, layer, 0.5, **{"units": UNITS} | options)
    with pytest.raises(InputError, match=message):
        model(videos())


def test_inputs_that_cannot_be_shuffled_are_named():
    model = made(lambda: nn.Sequential(nn.Conv3d(3, 4, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)))
    attach(model, "2", 0.5)
    with pytest.raises(InputError, match=r"called with \(6, 3, 1, 5, 5\): .* no tensor has two or more frames"):
        model(videos(frames=1))
    pathways = TwoPathways()
    attach(pathways, "joined", 0.5, units=6)
    with pytest.raises(InputError, match=r"\(6, 3, 4, 5, 5\), \(5, 3, 4, 5, 5\), with different numbers of clips"):
        pathways([videos(), videos(clips=5)])
    attach(other := TwoPathways(), "joined", 0.5, units=6)
    with pytest.raises(InputError, match="called with no tensor"):
        other([])
