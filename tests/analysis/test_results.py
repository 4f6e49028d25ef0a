import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics._reading import UnreadableError
from sdmetrics.analysis.requirements import Requirement
from sdmetrics.analysis.results import Results
from sdmetrics.errors import InputError


def unit(number, dynamic, static, label, width=0.1, layer="stage4"):
    row = {"layer": layer, "unit": number}
    for factor, score in (("dynamic", dynamic), ("static", static)):
        row |= {factor: score, f"{factor}_low": None, f"{factor}_high": None}
        if score is not None:
            row |= {f"{factor}_low": score - width, f"{factor}_high": score + width}
    return {**row, "label": label}


UNITS = [
    unit(0, 0.9, 0.1, "dynamic"),
    unit(1, 0.55, 0.1, "dynamic"),
    unit(2, 0.9, 0.9, "joint"),
    unit(3, 0.9, 0.45, "dynamic"),
    unit(4, 0.1, 0.8, "static"),
    unit(5, 0.1, 0.1, "residual"),
    unit(6, None, None, "residual"),
    unit(7, 0.45, 0.1, "residual"),
]
LAYER = {
    "name": "stage4",
    "units": 8,
    "pairs": {"dynamic": 40, "static": 40},
    "scores": {"dynamic": 0.5, "static": 0.4},
    "percent": {"dynamic": 28.0, "static": 25.0, "identical": 47.0},
    "ci95": {
        "scores": {"dynamic": [0.4, 0.6], "static": [0.3, 0.5]},
        "percent": {"dynamic": [26.0, 30.0], "static": [None, None]},
    },
    "counts": {"dynamic": 3, "static": 1, "joint": 1, "residual": 3, "dead": 1},
}
RUN = Results(
    {"name": "m"},
    0,
    "pearson",
    0.5,
    {"used": 40, "looped": 3, "skipped": [{"id": "ü", "reason": "<b>"}]},
    [LAYER],
    UNITS,
)


@pytest.mark.parametrize(
    ("text", "plain", "bound"),
    [
        ("stage4.dynamic >= 27", (True, 28), (False, 26)),
        ("stage4.dynamic <= 29", (True, 28), (False, 30)),
        ("stage4.dynamic > 28", (False, 28), (False, 26)),
        ("stage4.dynamic < 28.5%", (True, 28), (False, 30)),
        ("stage4.units.dynamic >= 30", (True, 37.5), (False, 12.5)),  # units 1 and 3 are in doubt
        ("stage4.units.dynamic <= 40", (True, 37.5), (False, 50)),  # unit 7 may be dynamic
        ("stage4.units.joint >= 10", (True, 12.5), (True, 12.5)),
        ("stage4.units.joint <= 13", (True, 12.5), (False, 25)),  # unit 3 may be joint
        ("stage4.units.residual >= 30", (True, 37.5), (False, 25)),
        ("stage4.units.residual <= 40", (True, 37.5), (False, 50)),  # unit 1 may be residual
        ("stage4.units.dead <= 12.5", (True, 12.5), (True, 12.5)),
    ],
)
def test_requirements_by_hand(text, plain, bound):
    assert RUN.check(text) == plain
    assert RUN.check(text, bound=True) == bound


@given(
    layer=st.text(min_size=1).filter(str.strip),
    name=st.sampled_from(["dynamic", "static", "units.joint", "units.dead"]),
    operator=st.sampled_from([">=", "<=", ">", "<"]),
    limit=st.floats(0, 100).map(lambda x: round(x, 3)),
)
def test_a_requirement_reads_back_as_it_was_written(layer, name, operator, limit):
    layer = "".join(layer.split()) or "x"
    wanted = Requirement.parse(f"{layer}.{name} {operator} {limit}")
    assert (wanted.layer, wanted.operator, wanted.limit) == (layer, operator, limit)
    assert Requirement.parse(str(wanted)).layer == layer


@pytest.mark.parametrize(
    "text", ["", "dynamic >= 3", "s.dynamic = 3", "s.joint >= 3", "s.units.identical > 1", "s.dynamic >= x"]
)
def test_a_requirement_that_cannot_be_parsed_says_what_is_allowed(text):
    with pytest.raises(InputError, match=r"cannot be parsed; expected 'LAYER\.MEASURE OPERATOR NUMBER'"):
        RUN.check(text)


def test_undefined_values_and_unknown_layers_are_errors():
    with pytest.raises(InputError, match="no layer 'stage9' in the results; allowed: stage4"):
        RUN.check("stage9.dynamic >= 3")
    with pytest.raises(InputError, match=r"stage4\.static has no interval"):
        RUN.check("stage4.static >= 3", bound=True)
    undefined = {**LAYER, "percent": {"dynamic": None, "static": None, "identical": None}}
    with pytest.raises(InputError, match="undefined"):
        Results({}, 0, "pearson", 0.5, {}, [undefined]).check("stage4.dynamic >= 3")


def test_results_are_read_back_as_they_were_saved(tmp_path):
    assert Results.load(RUN.save(tmp_path / "run")) == RUN
    large = replace(RUN, seed=2**60)
    assert Results.load(large.save(tmp_path / "large")) == large


@pytest.mark.parametrize("name", ["results.json", "units.csv"])
def test_a_file_that_cannot_be_read_at_the_moment_is_not_called_damaged(tmp_path, monkeypatch, name):
    RUN.save(tmp_path)
    read = Path.read_bytes

    def fail(path):
        if path.name == name:
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(UnreadableError, match=f"{name} cannot be read: Input/output error"):
        Results.load(tmp_path)


def test_loading_fails_closed(tmp_path):
    with pytest.raises(InputError, match=r"has no results\.json; pass the folder"):
        Results.load(tmp_path)
    RUN.save(tmp_path)
    path = tmp_path / "results.json"
    whole = path.read_text()
    for text, words in [
        (whole[:-20], "is damaged: .*is not JSON"),
        ("[]", "is not a JSON object"),
        (json.dumps({**json.loads(whole), "schema": 7}), "schema 7; this version reads schema 4"),
        (json.dumps({"schema": 4}), "is damaged"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            Results.load(tmp_path)
    path.write_text(whole)
    (tmp_path / "units.csv").write_text("layer,unit\nstage4,x\n")
    with pytest.raises(InputError, match="is damaged"):
        Results.load(tmp_path)
