"""Requirements as people mistype them: each is one line, found in one pass over the text."""

import pytest

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
    assert parsed == Requirement("a.b[0] > c", True, "joint", "<=", 12.5)
