"""Records that are kept in the repository stand in for models that were trained elsewhere."""

import json

import pytest

from benchmarks.studies import __main__ as studies
from benchmarks.studies import records
from benchmarks.studies.bank import Bank
from benchmarks.studies.models.recipe import STANDARD
from benchmarks.studies.remedies.arms import ARMS, NONE, treated
from benchmarks.studies.study import Scale

RECIPES = treated(ARMS[NONE], Scale())


def record(recipe, top1):
    return {"recipe": {"budget": {"tested": recipe.budget.tested}}, "top1": top1, "names": ["a", None], "warned": False}


def test_what_is_kept_is_read_again_to_nine_digits(tmp_path):
    path = tmp_path / "kept.jsonl"
    kept = {"b": record(RECIPES[0], 1 / 3), "a": record(RECIPES[0], 1e-300)}
    records.write(path, kept)
    assert [json.loads(line)[0] for line in path.read_text().splitlines()] == ["a", "b"]
    found = records.read(path)
    assert found["b"] == {**kept["b"], "top1": 0.333333333}
    records.write(path, found)
    assert records.read(path) == found
    assert records.read(tmp_path / "none.jsonl") == {}


def test_a_bank_trains_only_what_has_no_record(tmp_path, monkeypatch):
    first, second, third = RECIPES[:3]
    records.write(tmp_path / "kept.jsonl", {first.key: record(first, 0.5), third.key: record(third, 0.25)})
    bank = Bank(tmp_path / "bank", tmp_path / "kept.jsonl")
    trained = []
    monkeypatch.setattr(Bank, "each", lambda _self, _work, recipes, _title, _processes=None: trained.extend(recipes))
    bank.fill(RECIPES[:3])
    assert trained == [second]
    assert bank.record(first)["top1"] == 0.5
    # One that was trained here is believed before one that was kept.
    (tmp_path / "bank" / f"{third.key}.json").write_text(json.dumps(record(third, 0.75)))
    assert bank.record(third)["top1"] == 0.75
    with pytest.raises(FileNotFoundError):
        bank.record(second)


def test_records_of_the_whole_form_are_kept_beside_earlier_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "KEPT", tmp_path / "kept.jsonl")
    monkeypatch.chdir(tmp_path)
    records.write(records.KEPT, {"remedy-earlier": {"top1": 1.0}})
    for name, tested in (("remedy-whole", STANDARD.tested), ("remedy-quick", 200), ("slowonly", STANDARD.tested)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"recipe": {"budget": {"tested": tested}}}))
    studies.keep(tmp_path)
    assert [*records.read(records.KEPT)] == ["remedy-earlier", "remedy-whole"]
    assert "2 records" in capsys.readouterr().out


def test_what_is_kept_belongs_to_recipes_of_the_studies():
    for key, kept in records.read(records.KEPT).items():
        assert kept["recipe"]["budget"]["tested"] == STANDARD.tested
        assert key.startswith("remedy-")
        assert all(0 <= label["top1"] <= 1 for label in kept["top1"]["decorrelated"]["in_order"].values())
