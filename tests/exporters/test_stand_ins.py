"""What files of torch hold beside the weights, and how it is written: nothing of it is opened, and it is told."""

from __future__ import annotations

from collections import defaultdict, deque
from pathlib import Path

import pytest
import torch

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._weights import torch_files
from sdmetrics.exporters._weights.checkpoints import open_checkpoint, read_checkpoint
from tests.exporters.test_checkpoints import TINY, message, same
from tests.exporters.test_holders import STATE, opened


class Settings(dict[str, object]):
    """A mapping whose items are attributes, too."""

    def __init__(self, **items: object) -> None:
        super().__init__(items)
        self.__dict__.update(items)


class Values(list[object]):
    pass


SETTINGS = {
    "a mapping": Settings(lr=0.1, inner=Settings(steps=[1, 2])),
    "a mapping with a default": defaultdict(list, loss=[0.5]),
    "a list": Values([1, Settings(lr=0.1)]),
    "a list within a list": deque([Values([torch.ones(2)])], maxlen=3),
    "an empty list": Values(),
}


@pytest.mark.parametrize("beside", SETTINGS.values(), ids=SETTINGS.keys())
def test_mappings_and_lists_of_other_classes_are_not_opened(beside: object, tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    with pytest.warns(Note, match=r"objects of .*(test_stand_ins|collections)\.\w+ beside the weights were not opened"):
        assert same(opened({"model": STATE, "settings": beside}, tmp_path), STATE)
    assert set(torch.serialization.get_safe_globals()) == before


def test_weights_in_a_mapping_of_another_class_are_not_taken(tmp_path: Path) -> None:
    with pytest.warns(Note, match="Settings"), pytest.raises(InputError, match=r"expected a mapping of tensors, found"):
        opened({"model": Settings(**STATE)}, tmp_path)
    assert "an object of tests.exporters.test_stand_ins.Settings, and" in message(
        lambda: opened(Settings(**STATE, counts=defaultdict(list)), tmp_path)
    )


def test_a_file_is_read_again_for_a_few_kinds_of_lists_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_files, "LISTS", 1)
    content = {"model": STATE, "settings": [Values([1]), deque([2])]}
    assert "can run code" in message(lambda: opened(content, tmp_path))


@pytest.mark.parametrize("archive", [True, False])
def test_another_pickle_protocol_than_torchs_own(archive: bool, tmp_path: Path) -> None:
    for protocol in (3, 4, 5):
        torch.save(
            {"model": STATE},
            tmp_path / f"{protocol}.pth",
            pickle_protocol=protocol,
            _use_new_zipfile_serialization=archive,
        )
    assert same(open_checkpoint(TINY, tmp_path / "3.pth")[0], STATE)
    for protocol in (4, 5):
        said = message(lambda path=tmp_path / f"{protocol}.pth": read_checkpoint(path))  # type: ignore[misc]
        assert f"{protocol}.pth was saved with pickle protocol {protocol}, " in said
        assert "save it again with protocol 2" in said
