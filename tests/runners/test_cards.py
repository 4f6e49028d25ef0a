"""Which graphics card a process uses; there need be none for these tests."""

from __future__ import annotations

import ctypes

import numpy as np
import onnxruntime
import pytest
import torch

import sdmetrics as sd
from sdmetrics.errors import InputError
from sdmetrics.loading import live
from sdmetrics.probes.feeds import example_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners import cards
from sdmetrics.runners import onnxruntime as module
from sdmetrics.runners import torch as torch_runner
from sdmetrics.runners.cards import LOCAL_NUMBERS, card_names, card_number
from sdmetrics.runners.onnxruntime import CPU, CUDA, OnnxRunner
from sdmetrics.runners.torch import TorchRunner, copy_to
from tests.helpers.torch_models import probed
from tests.helpers.user_code import write_code
from tests.runners.test_runners import GOOD, VIDEO


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    for name in LOCAL_NUMBERS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "shown", "expected"),
    [
        ({}, 8, 0),
        ({"LOCAL_RANK": "3"}, 8, 3),
        ({"SLURM_LOCALID": "5"}, 8, 5),
        ({"LOCAL_RANK": "2", "SLURM_LOCALID": "0"}, 8, 2),
        ({"LOCAL_RANK": "", "SLURM_LOCALID": "1"}, 8, 1),
        # Slurm shows each task its own card only; and more processes than cards share them.
        ({"SLURM_LOCALID": "3"}, 1, 0),
        ({"LOCAL_RANK": "5"}, 4, 1),
        ({"LOCAL_RANK": "5"}, 0, 0),
    ],
)
def test_auto_is_the_card_of_this_process(monkeypatch, variables, shown, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert card_number("auto", shown) == expected
    assert card_number("cuda:0", shown) == 0
    assert card_number(None, shown) == 0


@pytest.mark.parametrize("value", ["one", "-1", "1.0", "²", "9" * 9])
def test_a_variable_without_a_number_is_named(monkeypatch, value):
    monkeypatch.setenv("LOCAL_RANK", value)
    with pytest.raises(InputError, match=r"variable LOCAL_RANK is '.*'; expected a whole number .*, e\.g\. cuda:0"):
        card_number("auto", 2)


@pytest.mark.parametrize("device", ["gpu", "cuda", "cuda:", "cuda:-1", "cuda:1 ", "1", 1, "cpu", "", "cuda:99999"])
def test_what_names_no_card_is_an_error_before_anything_is_opened(device, tmp_path):
    code = f"{write_code(tmp_path)}:build"
    for opened in (lambda: OnnxRunner(b"", device=device), lambda: sd.open_model(code, device=device)):
        with pytest.raises(InputError, match=r"^device is .*; allowed: auto, or cuda: and the number of a card"):
            opened()


def test_a_card_and_the_cpu_contradict_each_other(tmp_path):
    code = f"{write_code(tmp_path)}:build"
    for opened in (
        lambda: OnnxRunner(b"", provider="cpu", device="cuda:0"),
        lambda: sd.open_model(code, provider="cpu", device="cuda:0"),
    ):
        with pytest.raises(InputError, match="device is 'cuda:0', but provider is 'cpu'; drop one of them"):
            opened()
    assert sd.open_model(code, provider="cpu", device="auto").circumstance["provider"] == "cpu"


class Driver:
    """NVIDIA's driver with two cards of different makes."""

    names = (b"NVIDIA H100 80GB HBM3", b"NVIDIA T4")
    ready = 0

    def cuInit(self, _flags):
        return self.ready

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.names)
        return 0

    def cuDeviceGet(self, card, number):
        card._obj.value = number
        return 0

    def cuDeviceGetName(self, name, length, card):
        assert length > len(self.names[card.value])
        name.value = self.names[card.value]
        return 0


def test_the_driver_names_the_cards_and_there_may_be_none(monkeypatch):
    monkeypatch.setattr(cards.ctypes, "CDLL", lambda _name: Driver())
    assert card_names() == ["NVIDIA H100 80GB HBM3", "NVIDIA T4"]
    monkeypatch.setattr(Driver, "ready", 100)  # CUDA_ERROR_NO_DEVICE
    assert card_names() == []
    monkeypatch.setattr(cards.ctypes, "CDLL", lambda _name: ctypes.PyDLL("no such library"))
    assert card_names() == []


@pytest.fixture
def asked(monkeypatch):
    """Two cards in a runtime whose sessions claim to be on CUDA and run on the CPU; the options that are asked for."""
    asked = []
    plain = module.open_session

    class Session:
        def __init__(self, session):
            self.session = session

        def __getattr__(self, name):
            return getattr(self.session, name)

        def get_providers(self):
            return [CUDA, CPU]

    def watched(model, providers=(CPU,), *rest, **named):
        asked.extend(provider[1] for provider in providers if provider[0] == CUDA)
        session = plain(model, [CPU], *rest, **named)
        return Session(session) if CUDA in [provider[0] for provider in providers] else session

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(module, "open_session", watched)
    monkeypatch.setattr(module, "card_names", lambda: ["NVIDIA H100", "NVIDIA T4"])
    return asked


@pytest.mark.parametrize(
    ("device", "rank", "card", "name"),
    [
        (None, "1", "0", "NVIDIA H100"),
        ("cuda:1", "0", "1", "NVIDIA T4"),
        ("auto", "1", "1", "NVIDIA T4"),
        ("auto", "2", "0", "NVIDIA H100"),
    ],
)
def test_onnx_runtime_is_asked_for_the_card_and_its_name_is_recorded(monkeypatch, asked, device, rank, card, name):
    monkeypatch.setenv("LOCAL_RANK", rank)
    runner = OnnxRunner(probed("framewise"), device=device)
    assert [options["device_id"] for options in asked] == [card]
    assert (runner.circumstance["provider"], runner.circumstance["device"]) == ("cuda", name)


def test_a_card_that_is_not_there_is_an_error(asked):
    with pytest.raises(InputError, match=r"'cuda:2', but CUDA shows 2 card\(s\); allowed: auto, cuda:0, cuda:1$"):
        OnnxRunner(probed("framewise"), device="cuda:2")
    assert OnnxRunner(probed("framewise"), provider="cpu", device="auto").circumstance["device"] == "cpu"
    assert asked == []


def test_a_card_of_a_runtime_that_falls_back_is_an_error(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(InputError, match=r"provider 'cuda' is not available from .* it is built without CUDA"):
        OnnxRunner(probed("framewise"), device="cuda:0")
    assert OnnxRunner(probed("framewise"), device="auto").circumstance["provider"] == "cpu"


def test_torch_takes_the_card(monkeypatch, tmp_path):
    tried = []
    zeros = torch.zeros
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: tried.append(device) or zeros(*shape))
    monkeypatch.setenv("SLURM_LOCALID", "3")
    for device, expected in (("auto", "cuda:1"), ("cuda:0", "cuda:0"), (None, "cuda")):
        assert live.torch_device("auto", device) == expected
    assert tried == ["cuda:1", "cuda:0", "cuda"]
    with pytest.raises(InputError, match=r"'cuda:2', but CUDA shows 2 card\(s\); allowed: auto, cuda:0, cuda:1"):
        sd.open_model(f"{write_code(tmp_path)}:build", device="cuda:2")


def test_a_module_that_you_hold_takes_the_card_of_its_process(monkeypatch):
    module = torch.nn.Sequential(torch.nn.Conv3d(3, 4, 1))
    moved = []
    monkeypatch.setattr(module, "to", lambda device: moved.append(device) or module)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "2")
    TorchRunner(module, [VIDEO], ["0"], device="auto")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert TorchRunner(module, [VIDEO], ["0"], device="auto")(GOOD)["0"].shape[1] == 4
    assert moved == ["cuda:2", "cpu"]


def test_the_commands_take_a_card(command, tmp_path):
    from sdmetrics.demo import demo_model

    with demo_model("motion") as model:
        for arguments in (("analyze", model, "world:4", "-o", tmp_path / "run"), ("evaluate", model, "world:4")):
            code, _, error = command(*arguments, "--device", "gpu")
            assert code == 2
            assert "device is 'gpu'; allowed: auto, or cuda: and the number of a card, e.g. cuda:1" in error
        assert (
            command("analyze", model, "world:4", "-o", tmp_path / "run", "--device", "auto", "--provider", "cpu")[0]
            == 0
        )
        code, _, error = command("ablate", tmp_path / "run", "--device", "cuda:x")
        assert code == 2
        assert "device is 'cuda:x'; allowed" in error


def test_a_card_copies_from_pinned_memory_and_only_a_card(monkeypatch):
    told = []

    class Pinned:
        def to(self, device, non_blocking):
            told.append((str(device), non_blocking))
            return self

    class Tensor:
        def pin_memory(self):
            return Pinned()

        def to(self, device):
            told.append(str(device))
            return self

    monkeypatch.setattr(torch, "from_numpy", lambda _array: Tensor())
    assert isinstance(copy_to(np.zeros(2), torch.device("cuda:1")), Pinned)
    assert isinstance(copy_to(np.zeros(2), torch.device("cpu")), Tensor)
    assert told == [("cuda:1", True), "cpu"]


def test_inputs_that_read_the_same_frames_share_one_copy(monkeypatch):
    copied = []
    monkeypatch.setattr(torch_runner, "copy_to", lambda array, device: copied.append(array) or copy_to(array, device))
    pathways = [ModelInput(name, frames=2, stride=1, size=(8, 8)) for name in ("slow", "fast")]

    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv3d(3, 4, 1)

        def forward(self, slow, fast):
            return self.conv(slow + fast)

    runner = TorchRunner(Two(), pathways, ["conv"])
    copied.clear()
    runner(example_feeds(pathways))
    assert sum(array.dtype == np.uint8 for array in copied) == 1
