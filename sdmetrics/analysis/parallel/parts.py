"""Parts of a run: which share of the shards one process measures, by itself or as a scheduler numbers it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sdmetrics.errors import InputError

Item = TypeVar("Item")

Place = tuple[int, int]
"""The place of a process among others, from 0, and their number."""

ALLOWED = "expected 'I/N', e.g. 3/8, with I from 1 to N, or 'auto'"


@dataclass(frozen=True)
class Part:
    """The `index`-th of `count` parts of a run, from 1: every `count`-th shard.

    Examples
    --------
    >>> Part(2, 3).of("abcdefgh")
    'beh'
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise InputError(f"part is {self.index}/{self.count}; {ALLOWED}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items of this part."""
        return items[self.index - 1 :: self.count]

    @classmethod
    def parse(cls, text: str | Part, environment: Mapping[str, str] | None = None) -> Part:
        """Return the part of `"I/N"`, or with `"auto"` the one that a scheduler gave this process.

        `"auto"` reads the place of the job and, inside it, that of the process. The job is a task of a Slurm array
        (SLURM_ARRAY_TASK_ID, _MIN, _STEP, _COUNT) or a pod of an indexed Kubernetes job (JOB_COMPLETION_INDEX; the
        number of pods has no variable of its own, so the job must set JOB_COMPLETIONS). The process is one of torchrun
        (RANK, WORLD_SIZE) or else a task of a Slurm step (SLURM_PROCID, SLURM_NTASKS). An array of 4 jobs of 2 tasks
        each has 8 parts.

        Raises
        ------
        InputError
            If the text is neither, no scheduler numbers this process, or it leaves a variable out.

        Examples
        --------
        >>> str(Part.parse("auto", {"SLURM_PROCID": "2", "SLURM_NTASKS": "8"}))
        '3/8'
        """
        if isinstance(text, Part):
            return text
        if text != "auto":
            match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
            if match is None:
                raise InputError(f"part is {text!r}; {ALLOWED}")
            return cls(int(match[1]), int(match[2]))
        variables = os.environ if environment is None else environment
        outer = _array(variables) or _numbered(variables, "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS")
        inner = _numbered(variables, "RANK", "WORLD_SIZE") or _numbered(variables, "SLURM_PROCID", "SLURM_NTASKS")
        if outer is None and inner is None:
            raise InputError(
                "part is 'auto', and no scheduler numbers this process: none of SLURM_ARRAY_TASK_ID, SLURM_PROCID, "
                "RANK and JOB_COMPLETION_INDEX is set; pass I/N, e.g. 3/8"
            )
        (job, jobs), (process, processes) = outer or (0, 1), inner or (0, 1)
        return cls(job * processes + process + 1, jobs * processes)


def _array(variables: Mapping[str, str]) -> Place | None:
    """Return the place in a Slurm array, whatever its first number and its step."""
    if "SLURM_ARRAY_TASK_ID" not in variables:
        return None
    number, count, first = (
        _whole(variables, name) for name in ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN")
    )
    step = _whole(variables, "SLURM_ARRAY_TASK_STEP") if "SLURM_ARRAY_TASK_STEP" in variables else 1
    place, rest = divmod(number - first, max(step, 1))
    if rest or not 0 <= place < count:
        raise InputError(
            f"part is 'auto', and SLURM_ARRAY_TASK_ID is {number}, which is not among the {count} numbers from {first} "
            f"in steps of {step}; submit the array as MIN-MAX or MIN-MAX:STEP, or pass I/N"
        )
    return place, count


def _numbered(variables: Mapping[str, str], number: str, count: str) -> Place | None:
    """Return the place that two variables name, if the first is set."""
    if number not in variables:
        return None
    place, places = _whole(variables, number), _whole(variables, count)
    if not 0 <= place < places:
        raise InputError(f"part is 'auto', and {number} is {place} of {count} {places}; pass I/N, e.g. 3/8")
    return place, places


def _whole(variables: Mapping[str, str], name: str) -> int:
    """Return the whole number in a variable."""
    text = variables.get(name, "")
    if not re.fullmatch(r"\d{1,9}", text):
        wrong = f"is {text!r}" if name in variables else "is not set"
        raise InputError(f"part is 'auto', and {name} {wrong}; expected a whole number. Set it, or pass I/N, e.g. 3/8")
    return int(text)
