import io
import re

import pytest
from rich.console import Console

from sdmetrics.cli.console.tables import Estimate, plain_table, results_table
from tests.helpers.runs import run


def test_names_of_layers_stay_whole_on_a_narrow_terminal():
    page = io.StringIO()
    Console(file=page, width=80).print(results_table(run({"slow.res2": (0.5, 0.7), "fast.res5": (0.4, 0.8)}), "model"))
    assert "slow.res2 " in page.getvalue()
    assert "fast.res5 " in page.getvalue()


def test_the_first_column_of_a_plain_table_stays_whole_on_a_narrow_terminal():
    page = io.StringIO()
    rows = [("slowfast_r50_8x8", *("a long tale of what it is " * 3 for _ in range(3)))]
    Console(file=page, width=60).print(plain_table("names", ("name", "one", "two", "three"), rows))
    assert "slowfast_r50_8x8 " in page.getvalue()


@pytest.mark.parametrize("width", range(60, 120, 7))
def test_nothing_is_cut_off(width):
    rows = [
        ("slowfast_r50_8x8", "Something-Something v2", "facebook/vjepa2-vitl-fpc16-256-ssv2", "24: block1 … block24")
    ]
    columns = ("name", "labels", "weights", "layers")
    page = io.StringIO()
    Console(file=page, width=width).print(plain_table("all", columns, rows))
    shown, expected = (
        "".join(re.findall(r"[^\s─]", text)) for text in (page.getvalue(), "".join(["all", *columns, *rows[0]]))
    )
    assert sorted(shown) == sorted(expected)


@pytest.mark.parametrize("width", [70, 80, 100])
def test_every_number_of_a_run_is_shown(width):
    results = run({"slow.res2": (0.5, 0.7), "fast.res5": (0.4, 0.8)})
    pages = [io.StringIO(), io.StringIO()]
    for page, columns in zip(pages, (width, 200), strict=True):
        table = results_table(results, "model")
        table.caption = None
        Console(file=page, width=columns).print(table)
    narrow, whole = (sorted(re.findall(r"[^\s─]", page.getvalue())) for page in pages)
    assert narrow == whole


@pytest.mark.parametrize("width", [80, 90, 120])
def test_an_interval_is_never_torn_over_two_lines(width):
    page = io.StringIO()
    results = run({"appearance.1": (0.5, 0.7), "motion.stage2": (0.4, 0.8)})
    Console(file=page, width=width).print(results_table(results, "model"))
    assert len(re.findall(r"\[\d+\.\d, \d+\.\d\]", page.getvalue())) == 4


def test_a_number_and_its_interval_are_on_one_line_where_there_is_space():
    pages = {}
    for width in (60, 20):
        page = io.StringIO()
        Console(file=page, width=width).print(
            plain_table("", ("name", "value"), [("name", Estimate("−0.1 [−0.2, 0.1]"))])
        )
        pages[width] = [line.split() for line in page.getvalue().splitlines() if "0." in line]
    assert pages == {60: [["name", "−0.1", "[−0.2,", "0.1]"]], 20: [["name", "−0.1"], ["[−0.2,", "0.1]"]]}
