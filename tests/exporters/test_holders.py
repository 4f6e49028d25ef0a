"""Where checkpoints keep their weights: the entry, the prefix of the names, and what is beside them."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._weights.checkpoints import open_checkpoint, read_checkpoint
from sdmetrics.exporters._weights.holders import held_weights, under_best_prefix
from sdmetrics.exporters._weights.torch_files import Unopened
from tests.exporters.test_checkpoints import TINY, message, network, same

STATE = network().state_dict()
OTHER = {name: tensor + 1 for name, tensor in STATE.items()}


def under(prefix: str, state: dict[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def opened(content: object, folder: Path, holder: str | None = None) -> torch.nn.Module:
    torch.save(content, folder / "my.ckpt")
    return open_checkpoint(TINY, folder / "my.ckpt", holder)[0]


@pytest.mark.parametrize(
    "content",
    [
        {"net": STATE},
        {"module": STATE, "epoch": 3},
        {"encoder": under("module.backbone."), "predictor": {"a": torch.ones(1), "b": torch.ones(2)}, "opt": {}},
        {"ema_encoder": under("module.")},
        under("backbone."),
        {"meta": {"epoch": 3}, "state_dict": under("backbone.")},
        {"model_ema": under("module.") | {"n_averaged": torch.tensor(3)}},
        {"ema": {"module": STATE, "decay": 0.99}},
        {"state": {"network": under("net.")}},
        {"state_dict": under("model.net.backbone."), "optimizer_states": [{"state": {}}], "hyper_parameters": {}},
        {"model": STATE, "optimizer": {"0.weight": torch.ones(3), "4.bias": torch.ones(3)}, "scaler": STATE},
        under("a.very.long."),
        {name.replace(".", "._orig_mod.", 1): tensor for name, tensor in under("model.").items()},
        under("_fsdp_wrapped_module._checkpoint_wrapped_module."),
        {name.replace(".", "._fsdp_wrapped_module.", 1): tensor for name, tensor in STATE.items()},
    ],
)  # fmt: skip
def test_weights_are_found_in_any_entry_and_below_any_prefix(content: dict[str, Any], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)
        assert same(opened(content, tmp_path), STATE)


@pytest.mark.parametrize("prefix", ["", "model."])
def test_what_is_beside_the_weights_is_listed(prefix: str, tmp_path: Path) -> None:
    beside = {"loss_fn.weight": torch.ones(3), **{f"probe.{k}": torch.ones(1) for k in range(4)}}
    with pytest.warns(
        Note, match=rf"my.ckpt: 5 of {len(STATE) + 5} tensors are no part of tiny and are left out: loss_fn.we"
    ):
        assert same(opened({"state_dict": under(prefix) | beside}, tmp_path), STATE)


def test_small_entries_beside_the_weights_are_named(tmp_path: Path) -> None:
    with pytest.warns(Note, match=r"the weights are those of model; left out: statistics, tensors beside it"):
        found = opened({"model": STATE, "statistics": {"mean": torch.ones(3)}, "best": torch.ones(())}, tmp_path)
    assert same(found, STATE)


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    packed = STATE | {"0.weight": (100 * STATE["0.weight"]).to(torch.int8)}
    assert "Whole numbers, as of quantised weights: 0.weight int8." in message(lambda: opened(packed, tmp_path))


def test_a_part_that_the_architecture_has_is_never_left_out(tmp_path: Path) -> None:
    deeper = STATE | {"4.more.weight": torch.ones(2)}
    assert "Unexpected: 4.more.weight (2,)" in message(lambda: opened(deeper, tmp_path))
    fewer = {name: tensor for name, tensor in under("model.").items() if name != "model.0.bias"}
    assert "Missing: 0.bias (4,)" in message(lambda: opened(fewer | {"loss.weight": torch.ones(1)}, tmp_path))


@pytest.mark.parametrize(
    ("content", "holders"),
    [
        ({"model": STATE, "model_ema": OTHER}, ("model", "model_ema")),
        ({"teacher": STATE, "student": OTHER}, ("teacher", "student")),
        ({"state_dict": STATE, "state_dict_ema": OTHER}, ("state_dict", "state_dict_ema")),
        ({"ema": {"module": OTHER}, "state": {"net": STATE}}, ("state.net", "ema.module")),
        ({"state_dict": under("net.") | under("ema.", OTHER)}, ("net", "ema")),
        (under("net.") | under("ema.", OTHER), ("net", "ema")),
    ],
)
def test_of_two_sets_of_weights_one_is_chosen_by_name(
    content: dict[str, Any], holders: tuple[str, str], tmp_path: Path
) -> None:
    found = message(lambda: opened(content, tmp_path))
    assert "Choose one: --holder " in found
    assert all(holder in found for holder in holders)
    assert same(opened(content, tmp_path, holders[0]), STATE)
    assert same(opened(content, tmp_path, holders[1]), OTHER)
    assert "has no weights in 'gone'; allowed: " in message(lambda: opened(content, tmp_path, "gone"))


def test_of_an_encoder_and_its_average_the_one_that_the_authors_evaluate_is_taken(tmp_path: Path) -> None:
    content = {"encoder": under("module.backbone.", OTHER), "target_encoder": under("module.backbone.")}
    with pytest.warns(Note, match="the weights are those of target_encoder; left out: encoder"):
        assert same(opened(content, tmp_path), STATE)
    assert same(opened(content, tmp_path, "encoder"), OTHER)


def test_the_bare_names_come_before_a_copy_which_is_listed(tmp_path: Path) -> None:
    with pytest.warns(Note, match=rf"{len(STATE) - 1} of {2 * len(STATE)} tensors .* left out: ema.0.weight, "):
        assert same(opened(STATE | under("ema.", OTHER), tmp_path), STATE)


def test_names_from_the_file_are_shown_as_text() -> None:
    with pytest.raises(InputError) as caught:
        held_weights({"\x1b[2Ja": STATE, "b": STATE}, "my.pth")
    assert str(caught.value).isprintable()
    assert under_best_prefix({}, STATE, "my.pth") == {}


# --- objects of unknown classes beside the weights


class History:
    """What training code keeps: numbers by NumPy, and more."""

    def __init__(self) -> None:
        self.values = np.arange(3.0)
        self.best = np.float64(0.5)
        self.folder = Path("runs")


def with_history(path: Path, monkeypatch: pytest.MonkeyPatch, **beside: object) -> Path:
    """Return a training file of mmengine, whose classes are not installed any more."""
    module = ModuleType("mmengine.logging.history_buffer")
    for name in ("mmengine", "mmengine.logging", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    kind = type("HistoryBuffer", (History,), {"__module__": module.__name__})
    setattr(module, "HistoryBuffer", kind)  # noqa: B010
    hub = {"log_scalars": {"train/loss": kind()}, "runtime_info": {"best": np.float64(1)}}
    torch.save({"meta": {"epoch": 1}, "state_dict": STATE, "message_hub": hub, **beside}, path)
    monkeypatch.undo()
    return path


@pytest.mark.filterwarnings("ignore:.*pickle protocol")
def test_mmengines_training_files_open_without_opening_what_is_beside_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(torch.serialization.get_safe_globals())
    path = with_history(tmp_path / "epoch_1.pth", monkeypatch)
    with pytest.warns(Note, match=r"objects of .*mmengine\.logging\.history_buffer\.HistoryBuffer, .* were not opened"):
        found, _ = open_checkpoint(TINY, path)
    assert same(found, STATE)
    assert set(torch.serialization.get_safe_globals()) == before
    assert "mmengine" not in sys.modules


def test_what_others_allow_torch_to_open_stays_allowed(tmp_path: Path) -> None:
    torch.save({"state_dict": STATE, "args": argparse.Namespace(lr=1)}, tmp_path / "my.pth")
    with torch.serialization.safe_globals([argparse.Namespace]):
        read_checkpoint(tmp_path / "my.pth")
        assert argparse.Namespace in torch.serialization.get_safe_globals()
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


def test_the_stand_in_keeps_nothing() -> None:
    stand_in = Unopened("a", [1, 2])
    stand_in.__setstate__({"weights": [3]})
    stand_in["weights"] = 3
    assert not isinstance(stand_in, dict)
    assert not hasattr(stand_in, "__dict__")
    with pytest.raises(AttributeError):
        stand_in.weights = 3  # type: ignore[attr-defined]


class Tool:
    """Pickled as a call of any function."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def harm(path: str) -> None:
    Path(path).touch()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", [harm, exec, os.system, print, getattr], ids=lambda function: function.__name__)
def test_no_function_of_a_file_is_called(function: Any, tmp_path: Path) -> None:
    arguments = {exec: (f"open({str(tmp_path / 'ran')!r}, 'w')",), os.system: (f"touch {tmp_path / 'ran'}",)}
    tool = Tool(function, *arguments.get(function, (str(tmp_path / "ran"), "touch")))
    before = set(torch.serialization.get_safe_globals())
    torch.save({"state_dict": STATE, "meta": tool}, tmp_path / "my.pth")
    with contextlib.suppress(InputError):
        assert same(open_checkpoint(TINY, tmp_path / "my.pth")[0], STATE)
    torch.save(tool, tmp_path / "my.pth")
    assert "can run code" in message(lambda: open_checkpoint(TINY, tmp_path / "my.pth"))
    assert not (tmp_path / "ran").exists()
    assert set(torch.serialization.get_safe_globals()) == before


# --- damaged files


def damaged(path: Path) -> Iterator[bytes]:
    """Yield the file cut short at many places, and with bytes changed."""
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    yield from (content[:length] for length in rng.integers(1, len(content), 60))
    for place in rng.integers(0, len(content), 150):
        yield content[:place] + bytes([content[place] ^ int(rng.integers(1, 256))]) + content[place + 1 :]
    directory = content.rfind(b"PK\x01\x02")  # an archive's own lists of what it holds
    for place in range(max(directory, 0), len(content) if directory >= 0 else 0):
        yield content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_damaged_file_is_told_in_one_line(kind: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / ("my.safetensors" if kind == "safetensors" else "my.pth")
    if kind == "safetensors":
        save_file(STATE, path)
    else:
        torch.save({"model": STATE}, path, _use_new_zipfile_serialization=kind == "zip")
    told = 0
    for content in damaged(path):
        path.write_bytes(content)
        try:
            open_checkpoint(TINY, path)
        except InputError as error:
            told += str(error).isprintable()
    assert told > 60


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "my.pth")
    assert "is a FIFO, not a file, and was not opened" in message(lambda: read_checkpoint(tmp_path / "my.pth"))
    assert "is a device, not a file" in message(lambda: read_checkpoint("/dev/zero"))


def test_what_would_swell_is_not_unpacked(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "my.pth")
    with (
        zipfile.ZipFile(tmp_path / "my.pth") as archive,
        zipfile.ZipFile(tmp_path / "small.pth", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for item in archive.infolist():
            small.writestr(item.filename, archive.read(item))
    assert "is compressed, which torch does not do" in message(lambda: read_checkpoint(tmp_path / "small.pth"))
    torch.save({"a": torch.zeros(1).expand(10**9)}, tmp_path / "wide.pth")
    assert "claims 4,000,000,000 bytes of tensors" in message(lambda: read_checkpoint(tmp_path / "wide.pth"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "tensor",
    [
        torch.eye(3).to_sparse(),
        torch.ones(3, dtype=torch.complex64),
        torch.ones(3, device="meta"),
    ],
    ids=["sparse", "complex", "meta"],
)
def test_tensors_that_are_no_plain_numbers_are_named(tensor: Tensor, tmp_path: Path) -> None:
    torch.save(STATE | {"4.bias": tensor}, tmp_path / "my.pth")
    assert "holds 4.bias as " in message(lambda: open_checkpoint(TINY, tmp_path / "my.pth"))
