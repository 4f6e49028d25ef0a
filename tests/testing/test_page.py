"""The example of docs/ci.md, run by pytest as the page says. test_docs.py runs its commands of sdmetrics."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from sdmetrics.testing import RunCache, assert_bias

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_passes(demo, pytester):
    shutil.copytree(demo, pytester.path / "demo")
    code = re.search(r"```python\n# (test_\w+)\.py\n(.*?)```", PAGE, re.DOTALL)
    command = shlex.split(re.search(r"^\$ python -m pytest (.*)$", PAGE, re.MULTILINE)[1])
    assert command[0] == f"{code[1]}.py"
    (pytester.path / command[0]).write_text(code[2])
    pytester.runpytest("-p", "pytest_static_dynamic", *command).assert_outcomes(passed=2)


def test_a_failure_is_as_the_page_shows_it(demo, tmp_path):
    """But for digits, which other processors may round to their neighbours, and the folder."""
    run = RunCache(tmp_path)(demo / "motion" / "model.onnx", "world:60")
    with pytest.raises(AssertionError) as failure:
        assert_bias(run, "stage4.dynamic >= 95", bound=True)
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]
    assert lines_without_digits(str(failure.value)) == lines_without_digits(shown)


def lines_without_digits(text):
    lines = [line.split() for line in re.sub(r"\d+(\.\d+)?", "#", text).splitlines()]
    return [words for words in lines if words[:1] != ["folder:"]]


@pytest.mark.parametrize("name", ["static_dynamic_run", "bias_baseline", "assert_bias", "assert_not_worse"])
def test_the_page_names_all_that_there_is(name):
    assert f"`{name}" in PAGE
