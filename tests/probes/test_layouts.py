"""Layouts: what a text means, and that clips laid out can be read back."""

import numpy as np
import pytest

from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.layouts import axes_of, clips_first, laid_out_shape, lay_out

SIZES = {"N": 2, "T": 3, "H": 4, "W": 5, "C": 6}
CLIPS = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    "layout", ["NCTHW", "NTHWC", "TNCHW", "N1CTHW", "NT,C,H,W", "TN,C,H,W", "N,TC,H,W", "N,CT,H,W", "1,N,T,C,HW"]
)
def test_every_value_is_where_its_axes_say(layout):
    found = lay_out(CLIPS, layout)
    assert found.shape == laid_out_shape(layout, SIZES)
    letters = "".join(axes_of(layout))
    opened = found.reshape([SIZES[letter] for letter in letters])
    for place in ((0, 0, 0, 0, 0), (1, 2, 3, 4, 5), (0, 2, 1, 4, 3)):
        index = dict(zip("NTHWC", place, strict=True))
        assert opened[tuple(index[letter] for letter in letters)] == CLIPS[place]
    assert sorted(clips_first(layout)) == sorted("NCTHW")


def test_one_clip_and_one_frame():
    assert lay_out(CLIPS[:1], "CTHW").shape == (6, 3, 4, 5)
    assert lay_out(CLIPS[:, :1], "NHWC").shape == (2, 4, 5, 6)
    with pytest.raises(InputError, match="has no axis for several clips"):
        lay_out(CLIPS, "CTHW")


@pytest.mark.parametrize(
    "layout", ["", "NCT", "NCTHWX", "NCTHH", "NNCTHW", "NT,,C,H,W", "nchw", "N C T H W", "NT,C,H", "2CTHW"]
)
def test_what_is_not_a_layout(layout):
    with pytest.raises(InputError, match=r"has the layout .*; expected one letter per axis from N, C, T, H, W"):
        ModelInput("video", layout=layout)
