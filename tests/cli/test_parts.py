"""`--part` of the commands that score: parts, and the same command without it, give what one run gives."""

import json

import pytest

from sdmetrics.ablation.result import Ablation
from sdmetrics.clips.generated.world import MOTIONS
from sdmetrics.demo import demo_model
from tests.helpers.segmentation_files import write_davis


@pytest.fixture
def motion():
    with demo_model("motion") as path:
        yield path


def test_evaluate(motion, command, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(MOTIONS))
    arguments = ("evaluate", motion, "world:40", "--labels", names, "--shuffle", "--provider", "cpu")
    for part in ("1/2", "2/2"):
        code, out, err = command(*arguments, "-o", tmp_path / "parts.json", "--part", part)
        assert code == 0, err
        assert f"part {part}: " in out
        assert "repeat the command without --part" in out
        assert not (tmp_path / "parts.json").exists()
    assert command(*arguments, "-o", tmp_path / "parts.json")[0] == 0
    assert command(*arguments, "-o", tmp_path / "whole.json")[0] == 0
    parts, whole = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("parts", "whole"))
    assert parts == whole


def test_a_part_needs_a_place(motion, command):
    code, _, err = command("evaluate", motion, "world:4", "--part", "1/2")
    assert code == 2
    assert "--part requires --out" in err


def test_ablate(motion, command, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(MOTIONS))
    for run in ("parts", "whole"):
        assert command("analyze", motion, "world:40", "-o", tmp_path / run, "--provider", "cpu")[0] == 0
    options = ("--labels", names, "--fraction", 0.5, "--repeats", 2, "--provider", "cpu")
    for part in ("1/2", "2/2"):
        code, out, err = command("ablate", tmp_path / "parts", *options, "--part", part)
        assert code == 0, err
        assert f"part {part}: " in out
        assert not (tmp_path / "parts" / "ablation.json").exists()
    for run in ("parts", "whole"):
        assert command("ablate", tmp_path / run, *options)[0] == 0
    parts, whole = (Ablation.load(tmp_path / run) for run in ("parts", "whole"))
    assert parts == whole
    assert parts.clips["used"] == 40


def test_centre_bias(command, tmp_path):
    davis = write_davis(tmp_path / "DAVIS", {"bear": 5, "camel": 3, "dog": 4})
    for part in ("1/2", "2/2"):
        code, out, err = command("centre-bias", davis, "-o", tmp_path / "parts", "--part", part)
        assert code == 0, err
        assert f"part {part}: " in out
        assert not (tmp_path / "parts" / "centre-bias.json").exists()
    for folder in ("parts", "whole"):
        assert command("centre-bias", davis, "-o", tmp_path / folder)[0] == 0
    parts, whole = (json.loads((tmp_path / name / "centre-bias.json").read_text()) for name in ("parts", "whole"))
    assert parts == whole
    assert whole["datasets"]["DAVIS"]["clips"] == 12


def test_parts_that_a_scheduler_numbers(motion, command, tmp_path, monkeypatch):
    for task in range(2):
        for name, value in {"ID": 10 + task, "MIN": 10, "STEP": 1, "COUNT": 2}.items():
            monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
        code, out, err = command(
            *("analyze", motion, "world:40", "-o", tmp_path / "run", "--part", "auto", "--provider", "cpu")
        )
        assert code == 0, err
        assert f"part {task + 1}/2: " in out
        assert not (tmp_path / "run" / "results.json").exists()
    code, out, err = command("merge", tmp_path / "run")
    assert code == 0, err
    assert "40 clips" in out
    assert (tmp_path / "run" / "report.html").exists()


def test_a_part_does_not_see_the_others(motion, command, tmp_path):
    code, _, err = command("analyze", motion, "world:40", "-o", tmp_path / "run", "--part", "1/2", "--until", 2)
    assert code == 2
    assert "--part does not go with --until" in err
