import io

from rich.console import Console

from sdmetrics.tables import results_table
from tests.runs import run


def test_names_of_layers_stay_whole_on_a_narrow_terminal():
    page = io.StringIO()
    Console(file=page, width=80).print(results_table(run({"slow.res2": (0.5, 0.7), "fast.res5": (0.4, 0.8)}), "model"))
    assert "slow.res2 " in page.getvalue()
    assert "fast.res5 " in page.getvalue()
