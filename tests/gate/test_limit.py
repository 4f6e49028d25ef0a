"""Limits on a change: what is read, and what is refused in one line."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.errors import InputError
from sdmetrics.gate.limit import Limit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("layer4.dynamic 5", ("layer4", "percent", "dynamic", 5)),
        ("  layer4.0.identical   2.5% ", ("layer4.0", "percent", "identical", 2.5)),
        ("layer4.units.dead 0", ("layer4", "units", "dead", 0)),
        ("layer4.score.static 0.1", ("layer4", "score", "static", 0.1)),
        ("evaluation.shuffle 3", ("evaluation", "evaluation", "shuffle", 3)),
        ("evaluation.dynamic 3", ("evaluation", "percent", "dynamic", 3)),  # a layer of that name
        ("my layer.static 3", ("my layer", "percent", "static", 3)),
    ],
)
def test_a_limit_is_read(text, expected):
    limit = Limit.parse(text, drop=True)
    assert (limit.layer, limit.of, limit.name, limit.most) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "layer4.dynamic",
        "5",
        "layer4 5",
        "layer4.motion 5",
        "layer4.units.identical 5",
        "layer4.score.reverse 0.1",
        "layer4.top1 5",
        "evaluation.accuracy 5",
        "layer4.dynamic -5",
        "layer4.dynamic nan",
        "layer4.dynamic >= 5",
        "layer4.dynamic 101",
        "layer4.score.dynamic 2.1",
        7,
    ],
)
def test_what_is_no_limit_is_refused_in_one_line(text):
    with pytest.raises(InputError, match=r"^limit .*(cannot be parsed|allowed:)") as caught:
        Limit.parse(text, drop=False)
    assert str(caught.value).isprintable()


@given(st.text(max_size=300))
def test_any_text_is_a_limit_or_refused(text):
    with suppress(InputError):
        assert Limit.parse(text, drop=True).layer


def test_what_is_parsed_says_what_it_allows():
    assert str(Limit.parse("a.units.dynamic 5", drop=True)) == "a.units.dynamic at most 5 lower"
    assert str(Limit.parse("evaluation.shuffle 5", drop=False)) == "evaluation.shuffle at most 5 higher"
