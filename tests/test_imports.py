import subprocess
import sys

import pytest

HEAVY = {
    *("torch", "onnx", "onnxruntime", "av", "cv2", "altair", "rich", "typer", "scipy"),
    *("tensorflow", "keras", "tf2onnx", "jax", "flax"),
}


def loaded_by(statement):
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import sdmetrics",
        "from sdmetrics import *",
        "import sdmetrics.metrics.moments, sdmetrics.metrics.bias, sdmetrics.metrics.removal_mask",
        "import sdmetrics.clips.views, sdmetrics.probes.feeds, sdmetrics.probes.session, sdmetrics.probes.metadata",
        "import sdmetrics.analysis.measure, sdmetrics.analysis.results, sdmetrics.loading.open, sdmetrics.demo",
        "import sdmetrics.exporters, sdmetrics.runners, sdmetrics.clips, sdmetrics.report",
        "import sdmetrics.exporters.torch, sdmetrics.exporters.jax",
        "import sdmetrics.exporters.tensorflow, sdmetrics.exporters.saved_models",
    ],
)
def test_no_heavy_package_is_loaded_before_it_is_used(statement):
    loaded = loaded_by(statement)
    assert "numpy" in loaded
    assert not loaded & HEAVY


def test_the_measure_imports_no_other_room():
    code = (
        "import sdmetrics.metrics.moments, sdmetrics.metrics.bias, sdmetrics.metrics.removal_mask, sys;"
        "from importlib import import_module;"
        "print(*(name for name in sys.modules if name.startswith('sdmetrics')))"
    )
    # The package itself imports every room, so the measure is loaded under a bare package.
    bare = (
        "import sys, types, importlib.util;"
        "package = types.ModuleType('sdmetrics');"
        "package.__path__ = list(importlib.util.find_spec('sdmetrics').submodule_search_locations);"
        "sys.modules['sdmetrics'] = package;"
    )
    done = subprocess.run([sys.executable, "-c", bare + code], capture_output=True, text=True, check=True)
    rooms = {name.split(".")[1] for name in done.stdout.split() if "." in name}
    assert rooms == {"metrics", "errors", "_text"}
