"""Checkpoint files are read safely, fit whole or not at all, and say what is wrong by name."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sdmetrics.errors import InputError
from sdmetrics.exporters._weights.checkpoints import open_checkpoint, read_checkpoint
from sdmetrics.exporters._weights.layouts.table import translated
from sdmetrics.exporters._weights.load_state import build_fitted, fit
from sdmetrics.exporters.architectures import pytorchvideo, torchvision
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.catalogue import find_architecture
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.slowfast_pairs import record, weights

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def network(classes: int = 5) -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, classes)
    )


TINY = Architecture(
    name="tiny",
    family="tiny",
    inputs=(ModelInput("video", frames=4, size=(8, 8)),),
    labels="five",
    classes=5,
    build=lambda _inputs, classes: network(classes),
    layers={"stem": "0"},
)


def same(module: nn.Module, state: dict[str, Tensor]) -> bool:
    ours = module.state_dict()
    return ours.keys() == state.keys() and all(torch.equal(ours[name], state[name]) for name in ours)


def message(call: Callable[[], object]) -> str:
    """The error's one line."""
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what opens


@pytest.mark.parametrize("holder", ["model_state", "state_dict", "model_state_dict", "model", None])
@pytest.mark.parametrize("wrapper", ["", "module.", "model.", "_orig_mod.module."])
def test_the_weights_are_found_where_training_code_keeps_them(holder: str | None, wrapper: str, tmp_path: Path) -> None:
    state = network().state_dict()
    wrapped = {wrapper + name: tensor for name, tensor in state.items()}
    torch.save({holder: wrapped, "epoch": 3, "cfg": "A: 1\n"} if holder else wrapped, tmp_path / "my.pyth")
    module, inputs = open_checkpoint(TINY, tmp_path / "my.pyth")
    assert same(module, state)
    assert not module.training
    assert inputs == TINY.inputs


def test_a_name_that_only_some_weights_begin_with_is_no_wrapper(tmp_path: Path) -> None:
    torch.save({"model.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "my.pth")
    assert set(read_checkpoint(tmp_path / "my.pth")) == {"model.a", "b"}


def test_what_the_training_script_of_torchvision_saves(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [20, 30, 40])
    everything = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": scheduler.state_dict(),
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1, lr_milestones=[20, 30, 40], output_dir="."),
    }
    torch.save(everything, tmp_path / "model_3.pth")
    assert same(open_checkpoint(TINY, tmp_path / "model_3.pth")[0], model.state_dict())


def test_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = network(classes=2).state_dict()
    save_file(state, tmp_path / "my.safetensors")
    assert same(open_checkpoint(TINY, tmp_path / "my.safetensors")[0], state)


def test_the_format_of_old_torch(tmp_path: Path) -> None:
    state = network().state_dict()
    torch.save({"state_dict": state}, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    assert same(open_checkpoint(TINY, tmp_path / "old.pth.tar")[0], state)


# --- what does not open


class Harmful:
    """Writes a file when it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.path,))


def caffe2(folder: Path) -> Path:
    import numpy as np

    path = folder / "SLOWFAST_8x8_R50.pkl"
    path.write_bytes(
        pickle.dumps({"blobs": {"conv1_w": np.ones((2, 2))}, "harm": Harmful(folder / "harm")}, protocol=2)
    )
    return path


def with_an_object(folder: Path) -> Path:
    torch.save({"model_state": network().state_dict(), "harm": Harmful(folder / "harm")}, folder / "my.pth")
    return folder / "my.pth"


def torchscript(folder: Path) -> Path:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), folder / "my.pt")
    return folder / "my.pt"


def cut_short(folder: Path) -> Path:
    torch.save(network().state_dict(), folder / "my.pth")
    (folder / "my.pth").write_bytes((folder / "my.pth").read_bytes()[:-100])
    return folder / "my.pth"


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def saved(content: object) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        torch.save(content, folder / "my.pth")
        return folder / "my.pth"

    return save


UNREADABLE: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "caffe2": (caffe2, ("SLOWFAST_8x8_R50.pkl", "can run any code", ".pyth", "--pretrained")),
    "object": (with_an_object, ("can run code", "torch.save(model.state_dict()")),
    "torchscript": (torchscript, ("TorchScript", "state_dict()")),
    "cut short": (cut_short, ("is not a checkpoint that torch wrote",)),
    "empty": (written("my.pth", b""), ("empty",)),
    "text": (written("my.pth", b"<html>Not found</html>"), ("is not a checkpoint that torch wrote",)),
    "zip": (written("my.pth", b"PK\x05\x06" + b"\0" * 18), ("is not a checkpoint that torch wrote",)),
    "safetensors": (written("my.safetensors", b"\x08"), ("not a safetensors file",)),
    "missing": (lambda folder: folder / "my.pth", ("does not exist",)),
    "folder": (lambda folder: folder, ("is a folder",)),
    "no tensors": (saved({"epoch": 3, "loss": 0.5}), ("not a checkpoint", "epoch (int)", "loss (float)")),
    "mixed": (saved({"model": {"a": torch.ones(1), "b": 2}}), ("not a checkpoint", "b (int)")),
    "nothing": (saved({}), ("not a checkpoint", "nothing")),
    "list": (saved([torch.ones(1)]), ("not a checkpoint", "a list")),
    "tensor": (saved(torch.ones(1)), ("not a checkpoint", "a Tensor")),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_not_a_checkpoint_is_an_error_in_one_line(kind: str, tmp_path: Path) -> None:
    make, said = UNREADABLE[kind]
    path = make(tmp_path)
    found = message(lambda: open_checkpoint(TINY, path))
    assert str(path) in found
    assert all(part in found for part in said), found
    assert not (tmp_path / "harm").exists()


@given(st.binary(min_size=1, max_size=200))
def test_no_bytes_at_all_end_in_another_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "my.pth"
    path.write_bytes(content)
    message(lambda: open_checkpoint(TINY, path))


# --- what fits


@pytest.mark.parametrize("classes", [1, 5, 48, 174])
def test_the_weights_say_how_many_classes_there_are(classes: int) -> None:
    state = network(classes).state_dict()
    assert same(build_fitted(TINY, state, "my.pth")[0], state)


def test_batch_counters_may_be_absent_or_too_many() -> None:
    state = network().state_dict()
    counter = state.pop("1.num_batches_tracked")
    build_fitted(TINY, {**state, "9.num_batches_tracked": counter}, "my.pth")


@given(st.data())
def test_every_mismatch_is_named_and_nothing_is_loaded(data: st.DataObject) -> None:
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = network().state_dict()
    names = st.sampled_from([name for name in state if not name.endswith("num_batches_tracked")])
    changed = data.draw(st.lists(names, unique=True, max_size=3), label="of another shape")
    missing = data.draw(st.lists(names, unique=True, max_size=3), label="missing")
    added = data.draw(
        st.lists(st.sampled_from(["0.extra.weight", "1.head", "4.scale"]), unique=True), label="unexpected"
    )
    state |= {name: torch.zeros(1, 2, 3) for name in (*changed, *added)}
    for name in missing:
        del state[name]
    if not (changed or missing or added):
        fit(module, state, "my.pth")
        assert same(module, state)
        return
    found = message(lambda: fit(module, state, "my.pth"))
    for name in set(changed) - set(missing):
        assert f"{name} (1, 2, 3), expected {tuple(before[name].shape)}" in found
    assert all(f"{name} {tuple(before[name].shape)}" in found for name in missing)
    assert all(f"{name} (1, 2, 3)" in found for name in added)
    assert same(module, before)


def test_many_mismatches_are_counted() -> None:
    wrong = {f"{index}.weight": torch.zeros(2) for index in range(100, 120)}
    found = message(lambda: build_fitted(TINY, wrong, "my.pth"))
    assert found.startswith("tiny: my.pth does not fit the architecture. Missing: 0.weight (4, 3, 3, 3, 3); ")
    assert "Unexpected: 100.weight (2,); 101.weight (2,); 102.weight (2,); and 17 more. " in found
    assert "sdmetrics export --list" in found


@pytest.mark.parametrize("shape", [(), (0,), (5, 5, 5)])
def test_a_strange_classifier_is_a_mismatch(shape: tuple[int, ...]) -> None:
    state = network().state_dict() | {"4.bias": torch.zeros(shape)}
    assert f"4.bias {shape}, expected (5,)" in message(lambda: build_fitted(TINY, state, "my.pth"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        # The same layers with other kernels; other layers; none of that kind.
        ("slowonly_r18_8x8", "blocks.0.conv.weight (64, 3, 5, 7, 7), expected (64, 3, 1, 7, 7)"),
        ("slowfast_r18_8x8", "Missing: blocks.0.multipathway_blocks.0.conv.weight (64, 3, 1, 7, 7)"),
        ("mc3_18", "Unexpected: s1.pathway0_stem.conv.weight (64, 3, 5, 7, 7)"),
    ],
)
def test_weights_of_another_architecture_are_an_error(name: str, said: str) -> None:
    state = weights(record("i3d_r18_8x8")["shapes"])
    assert said in message(lambda: build_fitted(find_architecture(name), state, "I3D.pyth"))


# --- each library's own files


def logits(module: nn.Module, row: Architecture) -> Tensor:
    clip = torch.rand(2, 3, row.inputs[0].frames, *row.inputs[0].size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found: Tensor = module.eval()(clip)
    return found


def test_what_pytorchvideo_publishes_gives_its_own_logits(tmp_path: Path) -> None:
    from pytorchvideo.models.hub import x3d_xs

    theirs = x3d_xs(model_num_class=48)
    # It ends with a softmax, the row with what goes into it.
    theirs.blocks[-1].activation = None
    torch.save({"model_state": theirs.state_dict()}, tmp_path / "X3D_XS.pyth")
    row = find_architecture("x3d_xs")
    ours, _ = open_checkpoint(row, tmp_path / "X3D_XS.pyth")
    said = logits(ours, row)
    assert said.shape == (2, 48)
    torch.testing.assert_close(said, logits(theirs, row), rtol=1e-4, atol=1e-6)


def test_what_slowfast_saves_of_pytorchvideos_models(tmp_path: Path) -> None:
    theirs = find_architecture("x3d_xs")
    module = theirs.build(theirs.inputs, 400)
    state = {f"model.{name}": tensor for name, tensor in module.state_dict().items()}
    torch.save({"epoch": 1, "model_state": state, "cfg": "MODEL:\n  MODEL_NAME: PTVX3D\n"}, tmp_path / "my.pyth")
    assert same(open_checkpoint(theirs, tmp_path / "my.pyth")[0], module.state_dict())


@pytest.mark.parametrize("name", ["mc3_18", pytest.param("swin3d_t", marks=pytest.mark.all)])
def test_what_torchvision_publishes_gives_its_own_logits(name: str, tmp_path: Path) -> None:
    from torchvision.models import get_model

    theirs = get_model(name, num_classes=101)
    torch.save(theirs.state_dict(), tmp_path / "ucf101.pth")
    row = find_architecture(name)
    row = replace(row, inputs=(replace(row.inputs[0], frames=4, size=(32, 32)),))
    ours, _ = open_checkpoint(row, tmp_path / "ucf101.pth")
    torch.testing.assert_close(logits(ours, row), logits(theirs, row), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("row", [*pytorchvideo.ROWS, *torchvision.ROWS], ids=lambda row: row.name)
def test_every_module_ends_with_its_classifier_and_keeps_its_own_names(row: Architecture) -> None:
    with torch.device("meta"):
        module = row.build(row.inputs, row.classes)
    *_, (name, last) = module.named_parameters()
    assert tuple(last.shape) == (row.classes,), name
    state = module.state_dict()
    assert translated(state, state)[0].keys() == state.keys()
