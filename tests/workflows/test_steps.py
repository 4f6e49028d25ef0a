"""The shell steps of the action and of the workflows, run here with their inputs filled in.

Every step that runs commands is either run by a test or listed in `NOT_RUN` with the reason.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sdmetrics.demo import demo_model
from tests.helpers.videos import write_video

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent

NOT_RUN = {
    "tests.yml: Test": "it is the test suite, which this test is part of",
    "tests.yml: Gate the demo": "it is part of `.ci/run`",
    "tests.yml: Compare speeds": "it is part of `.ci/run`",
    "tests.yml: Lint": "its installation downloads a program; test_workflows.py runs the same one compiled for Node",
    "docs.yml: Build the site": "it is `make docs`, which takes minutes and has tests of its own",
    "wheel.yml: Install the wheel": "test_wheel.py does the same with every extra, also with --all only",
    "wheel.yml: Run it": "test_wheel.py does the same with every extra, also with --all only",
}
"""Steps that are not run here, by file and name, and why."""


def steps():
    """Return all steps with commands, by file and name."""
    found = {}
    for file in [*sorted((ROOT / ".github" / "workflows").glob("*.yml")), ROOT / "action.yml"]:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
        for job in jobs:
            for step in job.get("steps", []):
                if "run" in step:
                    assert step.get("name"), f"{file.name} has a step without a name"
                    found[f"{file.name}: {step['name']}"] = step
    return found


STEPS = steps()


class Job:
    """Runs steps one after the other, as a runner does: each in a shell of its own, in one folder, with outputs."""

    def __init__(self, folder, values):
        self.folder, self.values = folder, dict(values)
        self.summary = folder / "summary.md"

    def run(self, name, status=0, **environment):
        """Run a step with expressions filled in from `values`; return what it prints, and keep its outputs there."""
        step = STEPS[name]
        variables = {key: self._filled(str(value)) for key, value in step.get("env", {}).items()}
        outputs = self.folder / "outputs.txt"
        outputs.write_text("")
        script = self.folder / "script.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=self.folder,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")},
                "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
                "GITHUB_OUTPUT": str(outputs),
                "GITHUB_STEP_SUMMARY": str(self.summary),
                **variables,
                **environment,
            },
            capture_output=True,
            text=True,
        )
        script.unlink()
        assert done.returncode == status, done.stdout + done.stderr
        for line in outputs.read_text().splitlines():
            key, _, value = line.partition("=")
            self.values[f"steps.{step.get('id')}.outputs.{key}"] = value
        return done.stdout

    def _filled(self, text):
        return re.sub(r"\$\{\{ *(.*?) *\}\}", lambda found: self.values[found[1]], text)


def action(folder, **inputs):
    """Return a job with the action's inputs, at their defaults or as passed."""
    declared = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    values = {f"inputs.{name}": str(one.get("default", "")) for name, one in declared.items()}
    passed = {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
    assert passed.keys() <= values.keys()
    return Job(folder, {**values, **passed, "steps.restored.outputs.cache-hit": ""})


@pytest.fixture
def model(tmp_path):
    with demo_model("motion") as path:
        shutil.copy(path, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_every_step_is_run_or_has_a_reason():
    tests = Path(__file__).read_text(encoding="utf-8").partition("class Job")[2]
    tested = {name for name in STEPS if f'"{name}"' in tests}
    assert tested.isdisjoint(NOT_RUN)
    assert tested | NOT_RUN.keys() == STEPS.keys()


def test_a_model_is_gated_and_its_run_is_the_next_baseline(tmp_path, model):
    job = action(
        tmp_path,
        model=model.name,
        clips="world:40",
        options="--seed 3",
        require="stage4.dynamic >= 20\n\nstage4.units.dynamic >= 10\n",
        max_drop="stage4.dynamic 5\n",
        baseline_branch="main",
    )
    job.run("action.yml: Identify the run")
    assert job.values["steps.run.outputs.folder"] == "bias-run"
    assert re.fullmatch(r"sdmetrics-run-[0-9a-f]{32}", job.values["steps.run.outputs.key"])
    job.run("action.yml: Analyze")
    printed = job.run("action.yml: Check")
    assert "there is no baseline yet" in printed
    assert job.values["steps.check.outputs.status"] == "0"
    assert job.summary.read_text().count("| holds |") == 2
    assert 'failures="0"' in (tmp_path / "bias-run" / "check.xml").read_text()
    job.run("action.yml: Copy the run as the next baseline")

    printed = job.run("action.yml: Check")
    assert "not worse: stage4.dynamic at most 5 lower" in printed
    assert "not worse" in job.summary.read_text()

    shutil.rmtree(tmp_path / "bias-run")
    with demo_model("appearance") as other:
        shutil.copy(other, model)
    before = job.values["steps.run.outputs.key"]
    job.run("action.yml: Identify the run")
    assert job.values["steps.run.outputs.key"] != before
    job.run("action.yml: Analyze")
    job.run("action.yml: Check", status=1)
    assert job.values["steps.check.outputs.status"] == "1"
    assert "**worse**" in job.summary.read_text()


@pytest.mark.all
def test_a_restored_run_resumes_after_a_fresh_checkout(tmp_path, model):
    """A checkout gives the videos another time; the content is the same, and so are the key and the run."""
    (tmp_path / "videos").mkdir()
    for number in range(6):
        write_video(tmp_path / "videos" / f"{number}.mp4", 20 + number)
    job = action(tmp_path, model=model.name, clips="videos", out="runs/bias/")
    job.run("action.yml: Identify the run")
    key = job.values["steps.run.outputs.key"]
    job.run("action.yml: Analyze")
    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/bias/shards").glob("*.npz")}
    assert shards
    for video in (tmp_path / "videos").iterdir():
        os.utime(video, (1e9, 1e9))
    job.run("action.yml: Identify the run")
    assert job.values["steps.run.outputs.key"] == key
    job.values["steps.restored.outputs.cache-hit"] = "true"
    job.run("action.yml: Analyze")
    assert {path: path.stat().st_mtime_ns for path in shards} == shards
    assert "There is nothing to check." in job.run("action.yml: Check")

    write_video(tmp_path / "videos" / "0.mp4", 40)
    job.run("action.yml: Identify the run")
    assert job.values["steps.run.outputs.key"] != key
    job.run("action.yml: Analyze")  # over a run of other clips, as if it had been restored by mistake
    assert (tmp_path / "runs/bias/results.json").exists()


def test_the_outputs_of_the_action_are_looked_at(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.html").write_text("x")
    job = Job(tmp_path, {"steps.gate.outputs.run": "run", "steps.gate.outputs.status": "0"})
    job.run("tests.yml: Look at its outputs")
    job.values["steps.gate.outputs.status"] = "1"
    job.run("tests.yml: Look at its outputs", status=1)


def test_a_tag_must_be_that_of_the_version(tmp_path):
    (tmp_path / "sdmetrics").mkdir()
    shutil.copy(ROOT / "sdmetrics" / "_version.py", tmp_path / "sdmetrics")
    from sdmetrics import __version__

    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{__version__}] - 2026-01-01\n")
    name, job = "release.yml: Compare the tag with the version and the changelog", Job(tmp_path, {})
    job.run("release.yml: Compare the tag with the version and the changelog", GITHUB_REF_NAME=f"v{__version__}")
    assert "tag v" in job.run(name, status=1, GITHUB_REF_NAME="v99")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    assert "no section" in job.run(name, status=1, GITHUB_REF_NAME=f"v{__version__}")


@pytest.fixture
def checkout(tmp_path):
    """A copy of what git knows of this repository, which is built in without leaving anything here."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).exists():
            (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / "source" / name)
    return tmp_path / "source"


@pytest.mark.all
def test_the_action_installs_this_repository(tmp_path, checkout):
    """It needs a package index."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    job = Job(tmp_path, {"inputs.package || format('{0}[cpu]', github.action_path)": f"{checkout}[cpu]"})
    job.run("action.yml: Install", PATH=f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert (tmp_path / "venv" / "bin" / "sdmetrics").exists()


@pytest.mark.all
def test_the_distributions_build(tmp_path, checkout):
    """It needs a package index."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    job = Job(checkout, {})
    job.run(
        "wheel.yml: Build the source distribution, and the wheel from it",
        PATH=f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
    )
    assert {path.suffix for path in (checkout / "dist").iterdir()} == {".whl", ".gz"}
