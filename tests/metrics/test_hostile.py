"""Whatever is passed to the metric, it answers or says in one line what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import sdmetrics as sd
from sdmetrics.errors import InputError
from sdmetrics.metrics import intervals
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.moments import PairMoments
from tests import naive


class Mute:
    """Something whose every description fails."""

    def __repr__(self):
        raise RuntimeError("no description")

    def __array__(self, *_, **__):
        raise RuntimeError("no array")


Z = np.random.default_rng(0).standard_normal((6, 3))
MOMENTS = PairMoments.from_arrays(Z, -Z)
UNITS = sd.unit_bias({"static": MOMENTS, "dynamic": MOMENTS})
HOSTILE = [
    *(None, True, -1, 0, 1, 2, 3.5, float("nan"), float("inf"), 2**63, -(2**70), 1j, np.int64(2), np.float32(0.5)),
    *(
        "",
        "static",
        "pearson",
        "top",
        "\x1b[31m",
        b"bytes",
        [],
        {},
        (),
        [[1.0], [2.0, 3.0]],
        [[None]],
        {"static": None},
    ),
    *(Mute(), object(), iter([1.0]), UNITS, MOMENTS, [MOMENTS], [MOMENTS] * 6, [PairMoments(2), MOMENTS], [None] * 6),
    *({"static": MOMENTS}, {"static": [MOMENTS] * 6}, {"": MOMENTS}, {3: MOMENTS}, {"dead": MOMENTS}),
    *(Z, Z.astype("f2"), Z.astype(int), Z.astype(object), Z.astype("f4")[::2], Z[0], Z[:0], Z[:, :0], np.float64(1)),
    *(
        Z * np.nan,
        Z * 1e200,
        np.ma.masked_less(Z, 0),
        np.ma.masked_array(Z),
        np.zeros((2, 2, 2)),
        Z.astype("longdouble"),
    ),
    *(np.array(["a", "b"]), np.zeros(3, "datetime64[s]"), np.zeros((2, 2), "f4,f4")),
    *(torch.ones(6, 3, requires_grad=True), torch.ones(6, 3).bfloat16(), torch.ones(6, 3).half()),
    *(torch.ones(6, 3).to_sparse(), torch.empty(6, 3, device="meta"), torch.ones(6, 3, dtype=torch.complex64)),
    sd.UnitBias({}, np.array(["a"]), {}, None, 0.5, "pearson"),
    sd.UnitBias({"static": np.zeros(2)}, np.array(["a"]), {}, None, 0.5, "pearson"),
    MOMENTS.to_arrays(),
    {**MOMENTS.to_arrays(), "n": np.array([1.0, 2.0])},
    {**MOMENTS.to_arrays(), "moments": torch.ones(5, 2, requires_grad=True)},
]
NAMES = ("fraction", "factor", "method", "by", "seed")
CALLS = {
    "from_arrays": (PairMoments.from_arrays, (Z, Z, 0.0)),
    "update": (lambda *a: PairMoments(3).update(*a), (Z, Z, 0.0)),
    "merge": (MOMENTS.merge, (MOMENTS,)),
    "new": (PairMoments, (3,)),
    "from_state": (PairMoments.from_state, (MOMENTS.to_arrays(),)),
    "layer_bias": (sd.layer_bias, ({"static": MOMENTS}, "reference", [MOMENTS])),
    "unit_bias": (sd.unit_bias, ({"static": MOMENTS}, 0.5, "icc")),
    "removal_mask": (
        lambda units, *a: sd.removal_mask(units, **dict(zip(NAMES, a, strict=True))),
        (UNITS, 0.5, "static", "top", "softmax", 0),
    ),
    "jackknife": (intervals.jackknife, (Z,)),
    "correlation_jackknife": (intervals.correlation_jackknife, (Z,)),
    "with_interval": (intervals.with_interval, (Z[:, 0], 1)),
    "mean_replicates": (intervals.mean_replicates, (Z, np.arange(6))),
    "leave_one_out": (intervals.leave_one_out, ([MOMENTS] * 6,)),
    "student_t": (intervals.student_t, (5, 0.95)),
    "group_of": (group_of, ("video",)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("name", CALLS)
def test_it_answers_or_says_in_one_line_what_is_wrong(name):
    function, good = CALLS[name]
    assert not said(function, good)
    rng = np.random.default_rng(0)
    messages = []
    for place in range(len(good)):
        for value in HOSTILE:
            one = [value if k == place else argument for k, argument in enumerate(good)]
            other = [HOSTILE[rng.integers(len(HOSTILE))] if rng.random() < 0.3 else argument for argument in one]
            messages += [said(function, one), said(function, other)]
    assert all(message.isprintable() for message in messages), "one line, without control characters"
    assert sum(map(bool, messages)) > len(messages) / 4


def said(function, arguments) -> str:
    """Return the message of an `InputError`, or nothing."""
    try:
        function(*arguments)
    except InputError as error:
        return str(error)
    return ""


def test_tensors_that_need_gradients_or_are_bfloat16_are_read_as_they_are():
    z1, z2 = torch.randn(9, 4, requires_grad=True), torch.randn(9, 4)
    found = PairMoments.from_arrays(z1, z2)
    assert found == PairMoments.from_arrays(z1.detach().numpy(), z2.numpy())
    coarse = PairMoments.from_arrays(z1.bfloat16(), z2)
    np.testing.assert_allclose(coarse.m11, naive.pair_moments(z1.bfloat16().float().detach(), z2)[2])
    assert coarse.eps == torch.finfo(torch.bfloat16).eps


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PairMoments.from_arrays([[1.0], [2.0, 3.0]], Z), "z1 is a list that cannot be an array: setting"),
        (lambda: PairMoments.from_arrays(Z, Mute()), "z2 is a Mute that cannot be an array: no array"),
        (lambda: PairMoments.from_arrays(np.ma.masked_less(Z, 0), Z), "z1 is a masked array of which 11 values"),
        (lambda: PairMoments.from_arrays(Z, Z, eps=2), "eps is 2; expected: 0 to 0.5. float16 has"),
        (lambda: PairMoments("3"), "units is '3'; expected a whole number, at least 1"),
        (lambda: MOMENTS.merge(Z), "other is a ndarray; expected: a PairMoments"),
        (lambda: sd.removal_mask(UNITS, fraction=0.5, factor="static", seed=-1), "seed is -1; expected at least 0"),
        (lambda: sd.removal_mask(UNITS, fraction="half"), "fraction is 'half'; expected: 0 to 1. For 10 % pass 0.1"),
        (lambda: sd.removal_mask(UNITS, fraction=0.5, method=["top"]), r"method is \['top'\]; allowed: top, random"),
        (lambda: sd.unit_bias({"static": MOMENTS}, threshold=None), "threshold is None; expected: -1 to 1. The paper"),
        (lambda: sd.layer_bias([MOMENTS]), "factors is a list; expected: moments by name"),
        (lambda: sd.layer_bias({"static": MOMENTS}, variance_from=MOMENTS), "variance_from is a PairMoments"),
        (lambda: sd.layer_bias({1: MOMENTS}), "a factor is called 1; expected: a text, e.g. 'static'"),
        (lambda: intervals.mean_replicates([1, 2, 3], np.arange(2)), r"values has shape \(3,\), groups \(2,\)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_a_videos_name_that_is_no_text_of_utf_8_has_a_group():
    assert group_of("\udcff.mp4") != group_of("a.mp4")
    assert 0 <= group_of("\udcff.mp4") < 20
