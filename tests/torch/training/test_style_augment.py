"""StyleAugment: looks that differ between clips and not between frames."""

import numpy as np
import pytest
import torch

from sdmetrics.clips.styles.built_in import STYLES
from sdmetrics.errors import InputError
from sdmetrics.torch import StyleAugment
from sdmetrics.torch.training.looks import Looks


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def clips(n=3):
    return torch.rand(n, 3, 5, 6, 4, generator=torch.Generator().manual_seed(1))


def test_a_look_is_the_same_in_every_frame_and_differs_between_clips():
    still = clips()[:, :, :1].expand(-1, -1, 5, -1, -1)
    same = torch.cat([still[:1]] * 3)
    shown = StyleAugment()(same)
    assert torch.equal(shown, shown[:, :, :1].expand_as(shown))
    assert not torch.allclose(shown[0], shown[1], atol=0.05)
    assert not torch.allclose(shown[0], same[0], atol=0.05)


def test_every_pixel_is_what_a_naive_twin_makes_of_it():
    values, looks = clips().permute(0, 2, 3, 4, 1), Looks.drawn(3)
    shown = looks(values)
    for n, t, h, w in ((0, 0, 0, 0), (1, 4, 5, 3), (2, 2, 3, 1)):
        pixel = values[n, t, h, w].tolist()
        for c in range(3):
            value = sum(pixel[k] * looks.mixing[n, k, c].item() for k in range(3))
            value = 1 - value if looks.inverted[n, 0, 0, 0, c] else value
            value = value ** looks.gamma[n, 0, 0, 0, c].item()
            value = (value - 0.5) * looks.contrast[n, 0, 0, 0, c].item() + 0.5 + looks.offset[n, 0, 0, 0, c].item()
            assert shown[n, t, h, w, c].item() == pytest.approx(min(max(value, 0), 1), abs=1e-5)


def test_the_order_of_axes_changes_nothing():
    expected = StyleAugment("NCTHW")(clips())
    torch.manual_seed(0)
    shown = StyleAugment("NTHWC")(clips().permute(0, 2, 3, 4, 1))
    torch.testing.assert_close(shown.permute(0, 4, 1, 2, 3), expected)


def test_one_clip_of_a_data_set():
    torch.manual_seed(0)
    shown = StyleAugment("CTHW")(clips(1)[0])
    torch.manual_seed(0)
    torch.testing.assert_close(shown, StyleAugment()(clips(1))[0])


def test_normalised_clips_and_bytes():
    expected = StyleAugment()(clips())
    torch.manual_seed(0)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.2, 0.3)
    shift, scale = (torch.tensor(values).reshape(3, 1, 1, 1) for values in (mean, std))
    back = StyleAugment(mean=mean, std=std)((clips() - shift) / scale) * scale + shift
    torch.testing.assert_close(back, expected, atol=1e-5, rtol=0)
    torch.manual_seed(0)
    whole = StyleAugment()((clips() * 255).round().to(torch.uint8))
    assert whole.dtype == torch.uint8
    assert (whole.float() / 255 - expected).abs().max() < 0.05  # gamma below one is steep near 0


def test_built_in_styles():
    frames = (clips(4) * 255).to(torch.uint8)
    shown = StyleAugment(styles=STYLES)(frames)
    for clip, styled in zip(frames, shown, strict=True):
        possible = [style(clip.permute(1, 2, 3, 0).numpy().copy()) for style in STYLES.values()]
        assert any(np.array_equal(styled.permute(1, 2, 3, 0), one) for one in possible)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "NCHW"}, "layout is 'NCHW'; expected: C, T, H and W"),
        ({"layout": None}, "layout is None"),
        ({"mean": (0.5,)}, "expected 3 numbers"),
        ({"std": (1, 1, 0)}, "each must be above 0"),
        ({"styles": {}}, "styles is empty"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        StyleAugment(**arguments)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(3, 4, 8, 8), "expected: a tensor with the axes NCTHW"),
        (None, "clips are a NoneType"),
        (torch.zeros(2, 1, 4, 8, 8), "have not three channels on axis C"),
        (torch.zeros(2, 3, 4, 8, 8).long(), "clips are torch.int64"),
    ],
)
def test_what_are_no_clips(value, message):
    with pytest.raises(InputError, match=message):
        StyleAugment()(value)


def test_a_style_that_returns_something_else():
    with pytest.raises(InputError, match="style 'half' returns uint8 of shape"):
        StyleAugment(styles={"half": lambda frames: frames[:2]})(clips())
