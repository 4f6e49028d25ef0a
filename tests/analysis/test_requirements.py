"""Requirements as people mistype them: each is one line, found in one pass over the text."""

import pytest

import sdmetrics as sd
from sdmetrics.analysis.requirements import Requirement
from sdmetrics.errors import InputError


@pytest.mark.parametrize(
    "text",
    [
        " " * 50_000,
        "stem.dynamic >= 1" + " " * 50_000 + "x",
        "stem.dynamic" + " " * 50_000 + "x",
        "." * 50_000,
        ".dynamic>" * 5_000,
        "stem.dynamic >= ٣",
        "stem.dynamic >= nan",
        "stem.dynamic >= inf",
        "stem.dynamic >= 1_0",
        "stem.dynamic >= 5 %%",
        "stem.dynamic >=",
        ".units.dynamic >= 3",
        "\x1b[31m",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_requirement_is_refused_in_one_short_line(text):
    with pytest.raises(InputError, match="cannot be parsed; expected") as refused:
        Requirement.parse(text)
    assert len(str(refused.value)) < 700
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("limit", ["100.1", "-1", "1e999", "9" * 5_000])
def test_a_limit_that_no_percent_can_pass_or_breach_is_refused(limit):
    with pytest.raises(InputError, match=r"allowed: 0 to 100"):
        Requirement.parse(f"stem.dynamic <= {limit}")


def test_blanks_around_the_parts_do_not_count_and_the_layer_is_what_is_left():
    blanks = " " * 50_000
    parsed = Requirement.parse(f"{blanks}a.b[0] > c.units.joint{blanks}<={blanks}12.5 %{blanks}")
    assert parsed == Requirement("a.b[0] > c", "units", "joint", "<=", 12.5)


REVERSE = [(0.2, 0.1, 0.3), (0.6, 0.4, 0.7), (0.9, 0.8, 0.95), (0.5, 0.45, 0.55), (None, None, None)]
"""Scores of a layer's units with their intervals, at a threshold of 0.5."""
LAYER = {
    "name": "res5",
    "units": 5,
    "pairs": {"dynamic": 40, "static": 40},
    "scores": {"dynamic": 0.6, "static": 0.4},
    "percent": {"dynamic": 40, "static": 20, "identical": 40},
    "ci95": {"scores": {"dynamic": [0.5, 0.7]}, "percent": {}},
    "counts": {"dynamic": 0, "static": 0, "joint": 0, "residual": 5, "dead": 1},
    "also": {"reverse": {"pairs": 39, "score": 0.55, "ci95": [0.45, 0.65]}},
}
UNITS = [
    {"layer": "res5", "dynamic": None, "static": None, "reverse": score, "reverse_low": low, "reverse_high": high}
    for score, low, high in REVERSE
]
RUN = sd.Results({}, 0, "pearson", 0.5, {}, [LAYER], UNITS)


@pytest.mark.parametrize(
    ("text", "plain", "bound"),
    [
        ("res5.units.reverse >= 30", (True, 40), (False, 20)),  # unit 1 is in doubt
        ("res5.units.reverse <= 50", (True, 40), (False, 60)),  # unit 3 may encode it
        ("res5.score.reverse >= 0.5", (True, 0.55), (False, 0.45)),
        ("res5.score.reverse < 0.6", (True, 0.55), (False, 0.65)),
        ("res5.score.dynamic >= -1", (True, 0.6), (True, 0.5)),
    ],
)
def test_further_factors_and_scores_by_hand(text, plain, bound):
    assert RUN.check(text) == plain
    assert RUN.check(text, bound=True) == bound
    assert str(Requirement.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "res5.units.loop >= 10",
            "the run has no factor 'loop'; it has dynamic, static, reverse.* --also reverse,loop$",
        ),
        ("res5.score.loop >= 0.1", "^res5.score.loop: the run has no factor 'loop'"),
        ("res5.reverse >= 10", "'reverse' does not have; require LAYER.units.reverse .* or LAYER.score.reverse"),
        ("res5.score.reverse >= 10", r"limit 10; allowed: -1 to 1 \(a score\)"),
        ("res5.score.reverse >= 50 %", "cannot be parsed"),
        ("res5.score.joint >= 0.5", "cannot be parsed"),
        ("res5.units.backwards >= 5", "cannot be parsed; expected .* units.reverse"),
    ],
)
def test_what_a_further_factor_does_not_have_is_one_line(text, message):
    for bound in (False, True):
        with pytest.raises(InputError, match=message) as refused:
            RUN.check(text, bound)
        assert "\n" not in str(refused.value)
