"""What people type first: paths where runners and clips are expected, and lists where names are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sdmetrics as sd
from sdmetrics.demo import demo_model
from tests.helpers import runs


@pytest.fixture(scope="module")
def model():
    with demo_model("appearance") as path:
        yield str(path)


def test_analyze_opens_paths_as_the_command_does(model, tmp_path):
    results = sd.analyze(model, "world:4", batch=12, out=tmp_path / "run")
    assert results.clips["used"] == 4
    opened = sd.open_model(model)
    assert results.layers == sd.analyze(opened, sd.open_clips("world:4", opened), batch=12).layers
    assert (tmp_path / "run" / "source.json").exists()


def test_analyze_with_a_path_that_is_missing_is_one_line(model):
    with pytest.raises(sd.InputError, match=r"nowhere\.onnx does not exist"):
        sd.analyze("nowhere.onnx", "world:4")
    with pytest.raises(sd.InputError, match="nowhere does not exist"):
        sd.analyze(model, Path("nowhere"))


@pytest.mark.parametrize("verb", [sd.evaluate, sd.evaluate_segmentation, lambda *two: sd.ablate(*two, runs.run())])
def test_the_other_verbs_say_how_a_path_is_opened(verb, model):
    with pytest.raises(sd.InputError, match=r"runner is the path '.*'; open it first: open_model\('"):
        verb(model, "world:4")
    with pytest.raises(sd.InputError, match=r"clips is the path 'world:4'; open it first: open_clips\('world:4', runn"):
        verb(sd.open_model(model), "world:4")
    with pytest.raises(sd.InputError, match="runner is a Linear, which is not a runner"):
        verb(type("Linear", (), {})(), [])


@pytest.mark.parametrize(("clips", "found"), [(None, "NoneType"), ([1], "int"), ([["a.mp4"]], "list")])
def test_clips_are_clips(clips: Any, found: str, model):
    for verb in (sd.analyze, sd.evaluate):
        with pytest.raises(sd.InputError, match=rf"clips (is|has) a {found}"):
            verb(sd.open_model(model), clips)
    with pytest.raises(sd.InputError, match=rf"clips (is|has) a {found}"):
        sd.centre_bias(clips)


@pytest.mark.parametrize("of", [["one", "two"], "one", 3, {"one": 3}, {"one": None}])
def test_compare_says_what_it_expects(of: Any):
    with pytest.raises(sd.InputError, match="expected"):
        sd.compare(of)
