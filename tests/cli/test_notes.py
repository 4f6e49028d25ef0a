"""What is left out, repeated or assumed is one line of a command's output."""

from __future__ import annotations

import warnings

import pytest

from sdmetrics.cli.app import notes_printed
from sdmetrics.errors import Note, note
from sdmetrics.probes.quiet import show_logs


def test_a_note_is_one_line_whatever_it_quotes(capsys: pytest.CaptureFixture[str]):
    with notes_printed():
        for _ in range(2):
            note("[red]a\x1b[2J\nb[/red] is doubled")
    assert capsys.readouterr().out == "note: [red]a\\x1b[2J\\nb[/red] is doubled\n" * 2


@pytest.mark.parametrize("verbose", [False, True])
def test_warnings_of_libraries_are_shown_on_request(verbose: bool):
    with warnings.catch_warnings(record=True, action="always") as shown, notes_printed():
        try:
            show_logs(verbose)
            warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
        finally:
            show_logs(False)
    assert [warning.category for warning in shown] == [DeprecationWarning] * verbose


def test_in_python_a_note_is_a_warning():
    with pytest.warns(Note, match="doubled"):
        note("a is doubled")
