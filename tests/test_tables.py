import io

from rich.console import Console

from sdmetrics.tables import plain_table, results_table
from tests.runs import run


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
