"""StaticDropout: what it cannot use is named."""

from __future__ import annotations

import pytest
import torch

from sdmetrics.errors import InputError
from sdmetrics.torch import StaticDropout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "units is 0; expected at least 1"),
        ({"rate": 1.5}, r"rate is 1.5; expected: 0 to 1. To drop 30 % of the channels pass 0.3"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"batches": 0}, "batches is 0 and every is 30"),
        ({"batches": 5, "every": 4}, "batches is 5 and every is 4; expected at least 1 batch and as many steps"),
        ({"every": 0}, "every is 0"),
        ({"per": "clip"}, "per is 'clip'; allowed: sample, batch"),
        ({"temperature": 0.0}, "temperature is 0.0; expected: above 0"),
    ],
)
def test_what_cannot_be_used_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        StaticDropout(**{"units": 4, "rate": 0.5} | arguments)


def test_features_that_do_not_fit_are_named():
    dropout = StaticDropout(4, 0.5)
    for mode in (dropout.train(), dropout.eval()):
        with pytest.raises(InputError, match=r"features have shape \(2, 5\); expected: \(N, 4\) or .* Pass units=5"):
            mode(torch.zeros(2, 5))
        with pytest.raises(InputError, match=r"features have shape \(4,\)"):
            mode(torch.zeros(4))
    with pytest.raises(InputError, match=r"z1 has shape \(2, 4\), z2 \(3, 4\); expected: .* row i of both is pair i"):
        dropout.observe(torch.zeros(2, 4), torch.zeros(3, 4))
    with pytest.raises(InputError, match=r"z1 has shape \(2, 5\)"):
        dropout.observe(torch.zeros(2, 5), torch.zeros(2, 5))


def test_arguments_are_printed():
    assert "4, rate=0.5, every=30, batches=1, replacement=False, per='sample'" in repr(StaticDropout(4, 0.5))
