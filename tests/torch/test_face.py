"""`sdmetrics.torch` imports its names on first use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sdmetrics.torch as face

TRAINING = {
    *(
        "AttachedLoss",
        "Attachment",
        "BiasTracker",
        "ShuffleEntropy",
        "ShuffledFrames",
        "StaticDropout",
        "StaticPenalty",
    ),
    *("StaticPenalty", "StyleAugment", "attach", "finetune"),
}
OPTIONAL = {"StaticDynamic"}
"""Names that need more than torch, and that a star import therefore leaves out."""
SEGMENTERS = {"TwoStream", "VisTR", "fusionseg", "matnet", "rtnet", "small_resnet"}


def modules_after(statement):
    code = f"import sys; {statement}; print(*(name for name in sys.modules if name.startswith('sdmetrics.torch.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_itself_imports_neither_half():
    assert modules_after("import sdmetrics.torch; dir(sdmetrics.torch)") == set()


@pytest.mark.parametrize(
    ("name", "used", "unused"),
    [
        ("StaticDropout", "training", "segmenters"),
        ("TwoStream", "segmenters", "training"),
    ],
)
def test_a_name_imports_only_its_half(name, used, unused):
    loaded = modules_after(f"from sdmetrics.torch import {name}")
    assert f"sdmetrics.torch.{used}" in loaded
    assert not {module for module in loaded if module.startswith(f"sdmetrics.torch.{unused}")}


def test_all_names_are_listed_and_are_those_that_type_checkers_see():
    assert set(face.__all__) == TRAINING | SEGMENTERS
    known = {*face.__all__, *OPTIONAL}
    assert known <= set(dir(face))
    for name in known:
        assert getattr(face, name).__name__ == name
        assert getattr(face, name).__module__.startswith("sdmetrics.torch.")
    guarded = next(node for node in ast.parse(Path(face.__file__).read_text("utf-8")).body if isinstance(node, ast.If))
    declared = {
        alias.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert declared == {name: getattr(face, name).__module__ for name in known}


def test_a_star_import_brings_all_names():
    exec("from sdmetrics.torch import *", names := {})
    assert set(face.__all__) < set(names)


def test_unknown_names():
    with pytest.raises(AttributeError, match=r"module 'sdmetrics\.torch' has no attribute 'Dropout'"):
        _ = face.Dropout
    with pytest.raises(ImportError, match="cannot import name 'Dropout'"):
        exec("from sdmetrics.torch import Dropout")


def test_without_torch_the_extra_is_named():
    code = "import sys; sys.modules['torch'] = None; import sdmetrics.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "MissingExtra: torch cannot be imported" in done.stderr
    assert "pip install 'static-dynamic-metrics[torch]'" in done.stderr
