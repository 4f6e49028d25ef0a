"""Which part of a run a process measures: from the command line, or from what schedulers set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.errors import InputError


@given(st.integers(1, 40), st.lists(st.integers(), max_size=100))
def test_the_parts_are_all_of_the_run_and_nothing_twice(count, items):
    numbered = list(enumerate(items))
    parts = [item for index in range(1, count + 1) for item in Part(index, count).of(numbered)]
    assert sorted(parts) == numbered


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "-1/4", "1/0", "a/b", "1/4/2", "1.0/4", "AUTO", "١x/4"])
def test_what_is_no_part_is_one_line(text):
    with pytest.raises(InputError, match=r"^part is .*expected 'I/N', e.g. 3/8, with I from 1 to N, or 'auto'$"):
        Part.parse(text)


def array(number, count, first=0, step=1):
    names = ("ID", "COUNT", "MIN", "STEP", "MAX")
    values = (number, count, first, step, first + step * (count - 1))
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in zip(names, values, strict=True)}


TASK = {"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}
TORCHRUN = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
POD = {"JOB_COMPLETION_INDEX": "4", "JOB_COMPLETIONS": "5"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (array(0, 4), "1/4"),
        (array(4, 4, first=1), "4/4"),
        (array(30, 4, first=10, step=10), "3/4"),
        (TASK, "2/2"),
        (TORCHRUN, "4/8"),
        (POD, "5/5"),
        (array(3, 4) | TASK, "8/8"),
        (array(1, 4) | {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, "2/4"),
        (TASK | TORCHRUN, "4/8"),
        (POD | {"RANK": "0", "WORLD_SIZE": "2"}, "9/10"),
    ],
)
def test_schedulers(variables, expected):
    assert str(Part.parse("auto", variables)) == expected


@pytest.mark.parametrize("jobs", [1, 3, 7])
@pytest.mark.parametrize("tasks", [1, 2])
def test_an_array_of_jobs_with_tasks_has_every_part_once(jobs, tasks):
    parts = {
        str(
            Part.parse("auto", array(5 + 3 * job, jobs, 5, 3) | {"SLURM_PROCID": str(task), "SLURM_NTASKS": str(tasks)})
        )
        for job in range(jobs)
        for task in range(tasks)
    }
    assert parts == {f"{index}/{jobs * tasks}" for index in range(1, jobs * tasks + 1)}


def test_the_environment_is_read(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert Part.parse("auto") == Part(4, 8)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "no scheduler numbers this process"),
        ({"RANK": "0"}, "WORLD_SIZE is not set"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK is 'x'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK is 2 of WORLD_SIZE 2"),
        ({"JOB_COMPLETION_INDEX": "2"}, "JOB_COMPLETIONS is not set"),
        ({"SLURM_PROCID": "-1", "SLURM_NTASKS": "2"}, "SLURM_PROCID is '-1'"),
        ({"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_COUNT is not set"),
        (array(7, 3, first=1), "not among the 3 numbers from 1 in steps of 1"),
        (array(4, 3, first=1, step=2), "not among the 3 numbers from 1 in steps of 2"),
    ],
)
def test_what_a_scheduler_leaves_out_is_named(variables, named):
    with pytest.raises(InputError, match=named):
        Part.parse("auto", variables)
