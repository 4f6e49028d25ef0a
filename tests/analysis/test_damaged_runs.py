"""A damaged run is refused in one line, or gives the numbers that it gave before: a gate never passes on it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from sdmetrics._files import write_json
from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.identity import sha256_of
from sdmetrics.analysis.results import Results
from sdmetrics.comparison.compare import compare
from sdmetrics.errors import InputError
from sdmetrics.report.page import write_report
from tests.helpers.removable import Linear, quickly
from tests.helpers.runs import run as made_run

MUTATIONS = 600
FORGERIES = 200
JSON = ("results.json", "ablation.json", "shards/settings.json")
FILES = (*JSON, "units.csv")
LAYERS = {"early": (0.3, 0.6), "late": (0.5, 0.4)}
HOSTILE = [
    None,
    True,
    -1,
    5,
    10**4000,
    1e308,
    "5",
    "",
    "\x1b[31m",
    "<b>",
    [],
    {},
    [[]],
    {"a": 1},
    float("nan"),
    [None, None],
]


def saved(folder, seed):
    """Write the folder of a run with an ablation, as the commands leave it."""
    results = made_run(LAYERS, units=20, dead=1, seed=seed)
    results.model = {"name": Linear.name, **Linear.identity}
    results.settings["clips"] = {"count": 9, "first": "a", "sha256": str(seed)}
    results.save(folder)
    write_json(folder / "shards" / "settings.json", results.settings)
    quickly(results=replace(results, settings={}), fractions=(0.5,)).save(folder)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("runs") / "whole", seed=0)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("runs") / "other", seed=1)


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def places(value, place=()):
    """Return the paths of all values in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(inner for key, item in items for inner in places(item, (*place, key)))]


def with_value(document, place, value):
    """Return the document with another value at one place, or without the place."""
    if not place:
        return value
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    if value is KeyError:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return document


def edited(rng, text):
    """Return a JSON text in which one value is another, or missing."""
    document = json.loads(text)
    found = places(document)
    value = [*HOSTILE, KeyError][rng.integers(len(HOSTILE) + 1)]
    return with_value(document, found[rng.integers(1, len(found))], value)


def flipped(rng, path, _):
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(content)


def truncated(rng, path, _):
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(len(content))])


def swapped(_, path, theirs):
    shutil.copy(theirs, path)


def removed(_, path, __):
    path.unlink()


def rewritten(rng, path, _):
    """Replace a value of a JSON document, or a line of a table."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        path.write_text(json.dumps(edited(rng, text)), encoding="utf-8")
        return
    lines = text.splitlines(keepends=True)
    line = int(rng.integers(1, len(lines)))
    change = (
        lines[:1],
        lines[: line + 1],
        lines[:line] + lines[line + 1 :],
        [*lines, lines[line]],
        [*lines[:line], lines[line].replace("0.", "0.0", 1), *lines[line + 1 :]],
        [lines[0], *lines[:0:-1]],
        [lines[0], *(line for line in lines[1:] if not line.startswith("early"))],
    )
    path.write_text("".join(change[rng.integers(len(change))]), encoding="utf-8")


CHANGES = (flipped, flipped, truncated, swapped, removed, *(4 * (rewritten,)))


def numbers(folder):
    """Return all that the commands read of a run."""
    results = Results.load(folder)
    return results, Ablation.of_run(folder, results)


def refused(read, *arguments):
    """Return what is read, or `None` where it is refused in one line."""
    try:
        return read(*arguments)
    except InputError as error:
        message = str(error)
    assert message.isprintable(), message
    assert len(message) < 1000
    return None


def test_whatever_is_changed_is_refused_or_changes_no_number(whole, other, run):
    results, ablation = numbers(whole)
    rng = np.random.default_rng(0)
    kept = refusals = 0
    for _ in range(MUTATIONS):
        name = FILES[rng.integers(len(FILES))]
        change = CHANGES[rng.integers(len(CHANGES))]
        change(rng, run / name, other / name)
        outcome = refused(numbers, run)
        if outcome is None:
            refusals += 1
        else:
            kept += 1
            settings = results.settings if (run / "shards" / "settings.json").exists() else {}
            assert outcome[0] == replace(results, settings=settings)
            assert outcome[1] == (ablation if (run / "ablation.json").exists() else None)
        shutil.copy(whole / name, run / name)
    assert refusals > 0.8 * MUTATIONS
    assert kept
    assert numbers(run) == (results, ablation)


def test_a_forged_document_with_a_fitting_digest_is_refused_or_shown(run, tmp_path):
    """Whoever can write a digest can write numbers; still nothing but an `InputError` may come of it."""
    rng = np.random.default_rng(1)
    whole = {name: (run / name).read_text() for name in JSON}
    refusals = 0
    for _ in range(FORGERIES):
        name = JSON[rng.integers(len(JSON))]
        document = edited(rng, whole[name])
        if name == "shards/settings.json":
            results = json.loads(whole["results.json"])
            (run / name).write_text(json.dumps(document))
            results["identity"] = sha256_of(document)
            (run / "results.json").write_text(json.dumps(sealed(results)))
        else:
            (run / name).write_text(json.dumps(sealed(document) if isinstance(document, dict) else document))
        outcome = refused(numbers, run)
        refusals += outcome is None
        if outcome is not None and rng.random() < 0.1:
            results, ablation = outcome
            compare({"one": results, "other": run})
            write_report({"one": results}, tmp_path / "page.html", ablations={"one": ablation})
        for each, text in whole.items():
            (run / each).write_text(text)
    assert refusals > FORGERIES / 2


def sealed(document):
    """Return a document with the digest that fits it."""
    document.pop("sha256", None)
    return {**document, "sha256": sha256_of(document)}


def cut_to_header(run):
    table = run / "units.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")


def nested(run):
    (run / "results.json").write_text("[" * 100_000)


def older(run):
    (run / "results.json").write_text(json.dumps({**json.loads((run / "results.json").read_text()), "schema": 1}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            cut_to_header,
            "units.csv is not the file that belongs to results.json; repeat the command `sdmetrics analyze`",
        ),
        (nested, "nests too deeply"),
        (older, "has schema 1; this version reads schema 4"),
    ],
)
def test_every_command_refuses_a_damaged_run_in_one_line(command, run, damage, message):
    damage(run)
    for arguments in (
        ("check", run, "--require", "late.units.static <= 5", "--bound"),
        ("report", run),
        ("compare", run),
        ("ablate", run),
    ):
        code, out, err = command(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert message in err


def test_an_ablation_of_other_scores_is_not_shown_as_the_runs(command, run, other):
    shutil.copy(other / "ablation.json", run / "ablation.json")
    code, _, err = command("report", run)
    assert code == 2
    assert "ranked units by other scores than those of the run" in err


def test_an_ablation_says_how_the_units_were_scored(whole):
    document = json.loads((whole / "ablation.json").read_text())
    assert (document["estimator"], document["threshold"]) == ("pearson", 0.5)
    assert document["units_sha256"] == Results.load(whole).units_sha256
