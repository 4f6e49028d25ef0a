"""What the page about clusters hands to schedulers runs as it is written, with the variables that they set."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest

import sdmetrics as sd
from sdmetrics.analysis.results import Results
from sdmetrics.demo import demo_model
from tests.test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "cluster.md"
SCHEDULED = re.compile(r"SLURM|RANK$|^WORLD_SIZE$|^JOB_COMPLETION")
"""The variables that number processes."""

STAND_IN = """#!{python}
import json, os, sys
from pathlib import Path
started = [sys.argv[1:], dict(os.environ), os.getpid()]
Path({folder!r}, f"{{os.getpid()}}.json").write_text(json.dumps(started))
"""


class Started(NamedTuple):
    """A command that a scheduler started."""

    words: list[str]
    variables: dict[str, str]
    pid: int


def written(kind: str, containing: str = "") -> str:
    """Return the only block of a kind that contains a text."""
    (block,) = (block for block in blocks(PAGE) if block.kind == kind and containing in block.text)
    return block.text


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with demo_model("motion") as path:
        return shutil.copy(path, tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def whole(model):
    """The undivided run."""
    return sd.analyze(model, "world:40", progress=False)


@pytest.fixture
def folder(model, tmp_path, monkeypatch):
    """The folder that the examples run in, with a model and none of the variables of a scheduler."""
    for name in list(os.environ):
        if SCHEDULED.search(name):
            monkeypatch.delenv(name)
    shutil.copy(model, tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def start(folder, monkeypatch):
    """Run a script in bash, in which `sdmetrics` writes down how it was started; return what it wrote."""
    programs, records = folder / "programs", folder / "started"
    programs.mkdir()
    records.mkdir()
    stand_ins = {
        "sdmetrics": STAND_IN.format(python=sys.executable, folder=str(records)),
        "torchrun": f'#!/bin/sh\nexec {sys.executable} -m torch.distributed.run "$@"\n',
    }
    for name, text in stand_ins.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def run(script: str, **variables: object) -> tuple[int, list[Started]]:
        (folder / "script.sh").write_text(script)
        environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        process = subprocess.Popen(["bash", "script.sh"], env=environment, stderr=subprocess.PIPE, text=True)
        err = process.communicate(timeout=120)[1]
        assert process.returncode == 0, err
        started = [Started(*json.loads(path.read_text())) for path in records.iterdir()]
        for path in records.iterdir():
            path.unlink()
        return process.pid, started

    return run


@pytest.fixture
def check_parts(folder, whole, command, monkeypatch):
    """Run what was started, part by part, merge, and compare with the undivided run."""

    def check(started: list[Started], run: str) -> None:
        for index, (words, variables, _) in enumerate(started, 1):
            with monkeypatch.context() as patch:
                for name in filter(SCHEDULED.search, variables):
                    patch.setenv(name, variables[name])
                code, out, err = command(*words)
            assert code == 0, err
            assert f"part {index}/{len(started)}: " in out
            assert not (folder / run / "results.json").exists()
        assert command("merge", run)[0] == 0
        assert Results.load(run) == whole

    return check


def test_a_slurm_array(start, check_parts):
    script = written("bash", "#SBATCH")
    first, last = map(int, re.search(r"^#SBATCH --array=(\d+)-(\d+) ", script, re.MULTILINE).groups())
    about = {"COUNT": last - first + 1, "MIN": first, "MAX": last, "STEP": 1}
    tasks = []
    for number in range(first, last + 1):
        variables = {f"SLURM_ARRAY_TASK_{name}": value for name, value in {**about, "ID": number}.items()}
        pid, started = start(script, **variables)
        tasks += started
        assert started[0].pid == pid, "a signal to the script would not reach the command"
    check_parts(tasks, "runs/slurm")


def test_torchrun(start, check_parts):
    pytest.importorskip("torch", reason="torch is not installed: torchrun is not tested")
    script = written("bash", "torchrun")
    # The port that torchrun takes otherwise may be in use.
    _, started = start(script, PET_STANDALONE=1)
    assert len(started) == int(re.search(r"--nproc-per-node (\d+)", script)[1])
    check_parts(sorted(started, key=lambda one: int(one.variables["RANK"])), "runs/torchrun")


def test_an_indexed_job_of_kubernetes(check_parts):
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: the Kubernetes job is not tested")
    job = yaml.safe_load(written("yaml"))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert pod["restartPolicy"] in ("OnFailure", "Never")
    (container,), (volume,) = pod["containers"], pod["volumes"]
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": container["workingDir"]}]
    program, *words = container["command"]
    assert program == "sdmetrics"
    variables = {row["name"]: row["value"] for row in container["env"]}
    pods = [
        Started(words, {**variables, "JOB_COMPLETION_INDEX": str(index)}, 0) for index in range(spec["completions"])
    ]
    check_parts(pods, "runs/kubernetes")


def test_submitit(folder, whole):
    pytest.importorskip("submitit", reason="submitit is not installed: its example is not tested")
    code = written("python", "submitit")
    # Processes of this machine in the place of Slurm's, and two of them.
    for text, here in {'("logs")': '("logs", cluster="local")', '/4"': '/2"', "range(1, 5)": "range(1, 3)"}.items():
        assert text in code
        code = code.replace(text, here)
    (folder / "jobs.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "jobs.py"], env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "40 clips used\n"), done.stderr
    assert Results.load("runs/submitit") == whole
