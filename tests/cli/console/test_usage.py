"""A call that is wrong ends in one line that names the value and where help is."""

import pytest

from tests.cli.test_commands import failed


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["analize"], ["no such command 'analize'", "'analyze'", "; see ", " --help"]),
        (["evaluate", "--labls", "x"], ["--labls", "--labels", " evaluate --help"]),
        (["--versoin"], ["--versoin", "--version"]),
        (["analyze"], ["missing argument", " analyze --help"]),
        (["probe", "m.onnx"], ["missing option", "--out"]),
        (["sample", "world:4", "--count", "0"], ["--count", "0"]),
        (["sample", "world:4", "--size", "abc"], ["--size", "'abc'"]),
        (["sample", "world:4", "--count"], ["--count", "requires an argument"]),
        (["sample", "world:4", "more"], ["unexpected", "more"]),
        (["analyze", "m.onnx", "world:4", "--threshold", "nan"], ["--threshold", "nan"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_wrong_call_is_one_line(command, words, parts):
    outcome = command(*words)
    assert failed(outcome, *parts)
    assert not outcome[1]


@pytest.mark.parametrize("words", [["-h"], ["check", "-h"], ["check", "--help"]])
def test_help_is_asked_for_in_two_ways(command, words):
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    assert "Usage" in out


def test_a_call_without_words_shows_the_help(command):
    code, out, err = command()
    assert code == 2
    assert "centre-bias" in out + err
    assert "error:" not in err
