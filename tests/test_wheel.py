"""The wheel, installed in empty environments: with each extra, as a user has it. It needs a package index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.test_dockerfile import CONTEXT

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"

pytestmark = pytest.mark.all

USED = {
    "": "import sdmetrics as sd, numpy as np; z = np.random.default_rng(0).normal(size=(9, 4)); "
    "m = sd.PairMoments.from_arrays(z, z); print(sd.unit_bias({'static': m}).scores['static'].round(6).tolist())",
    "report": "from sdmetrics.report.example import example_run; print(type(example_run().plot()).__name__)",
    **{
        library: "from sdmetrics.report.example import example_run; "
        f"print(len(example_run().to_frame(backend='{library}')))"
        for library in ("pandas", "polars", "pyarrow")
    },
    "dask": "from sdmetrics.loading import dask_cluster; import distributed; print(distributed.__version__)",
    "torch": "import torch, sdmetrics.torch as s; print(s.StaticPenalty.__name__)",
    "tracking": "from sdmetrics.torch.training.lightning import BiasCallback; from torch.utils.tensorboard import "
    "SummaryWriter; from sdmetrics.torch import StaticDynamic; print(StaticDynamic(units=4).units)",
    "huggingface": "from sdmetrics.torch.integrations.huggingface import BiasCallback; import accelerate; "
    "import transformers; print(issubclass(BiasCallback, transformers.TrainerCallback))",
    **{
        service: f"from sdmetrics.loggers import {service} as log; import {service}; print({service}.__version__, log)"
        for service in ("wandb", "mlflow", "trackio")
    },
    "catalogue": "import transformers; from sdmetrics.exporters.catalogue import ARCHITECTURES; "
    "print(len(ARCHITECTURES))",
}
"""What each extra is for, in a line of Python that prints something."""


def run(*command: object, **options: object) -> str:
    """Run a command and return what it prints; fail with all of that if it fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=clean, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel, built from no other files than the container is built from."""
    source = tmp_path_factory.mktemp("source")
    for name in CONTEXT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", source / "dist", source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture
def environment(tmp_path, wheel):
    """Install the wheel with an extra in an empty environment; return the folder of its programs."""

    def install(extra):
        run(sys.executable, "-m", "venv", tmp_path / "venv")
        programs = tmp_path / "venv" / "bin"
        place = f"{wheel}[{extra}]" if extra else wheel
        pip = (programs / "python", "-m", "pip", "--disable-pip-version-check")
        run(*pip, "install", "--quiet", "--constraint", CONSTRAINTS, place)
        run(*pip, "check")
        return programs

    yield install
    shutil.rmtree(tmp_path / "venv", ignore_errors=True)  # a gigabyte each, of which pytest keeps three sessions


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = {Path(name).parts[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"sdmetrics", "pytest_static_dynamic.py"}


@pytest.mark.parametrize("extra", USED)
def test_what_an_extra_is_for_works(environment, tmp_path, extra):
    assert run(environment(extra) / "python", "-c", USED[extra], cwd=tmp_path).strip()


def test_with_cpu_the_demo_and_the_gate_run(environment, tmp_path):
    programs = environment("cpu")
    assert "static-dynamic-metrics" in run(programs / "sdmetrics", "doctor", cwd=tmp_path)
    run(programs / "sdmetrics", "demo", "--clips", "60", "--out", "demo", cwd=tmp_path)
    run(programs / "sdmetrics", "check", "demo/motion", "--require", "stage4.units.dynamic >= 20", cwd=tmp_path)
    run(programs / "sdmetrics", "check", "demo/appearance", "--require", "stage4.units.dynamic <= 20", cwd=tmp_path)
    assert (tmp_path / "demo" / "report.html").exists() or (tmp_path / "demo" / "motion" / "report.html").exists()


def test_beside_pytest_it_is_a_plugin(environment, tmp_path):
    """The plugin is found by its entry point, and a suite that does not use it loads nothing of the package."""
    programs = environment("")
    run(programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pytest")
    (tmp_path / "test_a.py").write_text(
        "import sys\n\n\ndef test_a(request):\n"
        "    assert request.config.pluginmanager.has_plugin('pytest_static_dynamic')\n"
        "    assert not {'sdmetrics', 'numpy'} & set(sys.modules)\n"
    )
    run(programs / "python", "-m", "pytest", "-W", "error", cwd=tmp_path)
