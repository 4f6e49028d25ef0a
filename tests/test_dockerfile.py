"""The container: what is checked without an engine that builds it."""

import re
import subprocess
import tomllib
from pathlib import Path

from tests.helpers.programs import program

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
CONTEXT = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"]
"""The files and folders that the image is built from."""


def test_hadolint_finds_nothing():
    done = subprocess.run([program("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_last_stage_runs_as_a_user_without_rights():
    last = DOCKERFILE.split("\nFROM ")[-1]
    user = re.search(r"^USER (\w+)$", last, re.MULTILINE)[1]
    assert user != "root"
    assert f" {user} " in re.search(r"^RUN useradd (.*)$", last, re.MULTILINE)[0]
    assert last.index("USER ") < last.index("ENTRYPOINT ")
    assert last.index("RUN ") < last.index("USER ")


def test_there_is_a_stage_for_each_runtime():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stages = set(re.findall(r"^FROM \S+ AS base-(\w+)$", DOCKERFILE, re.MULTILINE))
    assert stages == {"cpu", "gpu"}
    assert stages <= project["optional-dependencies"].keys()
    assert "ARG RUNTIME=cpu" in DOCKERFILE


def test_the_context_is_what_the_wheel_is_built_from():
    assert all((ROOT / name).exists() for name in CONTEXT)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    setuptools = project["tool"]["setuptools"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {f"{module}.py" for module in setuptools["py-modules"]}
    needed |= {package.partition(".")[0] for package in setuptools["packages"]}
    needed |= set(setuptools["package-dir"].values())
    assert needed == set(CONTEXT)
