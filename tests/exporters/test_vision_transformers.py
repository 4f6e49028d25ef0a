"""Weights of VideoMAE and V-JEPA 2 as their authors save them: the same numbers, computed here as their code does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._weights.checkpoints import open_checkpoint
from sdmetrics.exporters._weights.layouts.vision_transformers import LAYOUTS, vjepa2_sizes
from sdmetrics.exporters._weights.recognise import names_weights, recognise
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.architectures.transformers import layers_of
from sdmetrics.exporters.catalogue import find_architecture

WIDTH, HEADS, DEPTH, CLASSES = 96, 16, 2, 5
FRAMES, SIDE = 4, 32

State = Mapping[str, Tensor]

pytestmark = pytest.mark.filterwarnings("ignore:.*heads are assumed")


def row(name: str) -> Architecture:
    found = find_architecture(name)
    return replace(found, inputs=(replace(found.inputs[0], frames=FRAMES, size=(SIDE, SIDE), resize=None),))


def blocks(joint_bias: bool) -> dict[str, Tensor]:
    """Weights of patches and blocks by the authors' names."""
    shapes: dict[str, tuple[int, ...]] = {"patch_embed.proj.weight": (WIDTH, 3, 2, 16, 16)}
    shapes["patch_embed.proj.bias"] = (WIDTH,)
    for number in range(DEPTH):
        start = f"blocks.{number}"
        parts = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH)}
        parts |= {"mlp.fc1": (3 * WIDTH, WIDTH), "mlp.fc2": (WIDTH, 3 * WIDTH), "norm1": (WIDTH,), "norm2": (WIDTH,)}
        shapes |= {f"{start}.{part}.weight": shape for part, shape in parts.items()}
        shapes |= {
            f"{start}.{part}.bias": shape[:1] for part, shape in parts.items() if joint_bias or "qkv" not in part
        }
        if not joint_bias:
            shapes |= {f"{start}.attn.{part}_bias": (WIDTH,) for part in "qv"}
    return drawn(shapes)


def drawn(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(len(shapes))
    return {
        name: torch.randn(shape, generator=generator) * (0.5 if len(shape) == 1 else shape[1] ** -0.5)
        for name, shape in shapes.items()
    }


def layer(part: str) -> dict[str, Tensor]:
    return drawn({f"{part}.weight": (WIDTH,), f"{part}.bias": (WIDTH,)})


def finetuned() -> dict[str, Tensor]:
    """VideoMAE with its classifier."""
    head = drawn({"head.weight": (CLASSES, WIDTH), "head.bias": (CLASSES,)})
    return blocks(joint_bias=False) | layer("fc_norm") | head


def clips() -> Tensor:
    return torch.randn(2, FRAMES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def norm(state: State, part: str, tokens: Tensor) -> Tensor:
    return functional.layer_norm(tokens, (WIDTH,), state[f"{part}.weight"], state[f"{part}.bias"], 1e-6)


def dense(state: State, part: str, tokens: Tensor) -> Tensor:
    return functional.linear(tokens, state[f"{part}.weight"], state[f"{part}.bias"])


def patches(state: State, video: Tensor) -> Tensor:
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    return functional.conv3d(video.transpose(1, 2), weight, bias, (2, 16, 16)).flatten(2).transpose(1, 2)


def turned(values: Tensor, place: Tensor) -> Tensor:
    """Turn pairs of values by angles that grow with the place, as V-JEPA 2 does along one axis."""
    half = values.shape[-1] // 2
    angle = place[:, None] * 10000.0 ** -(torch.arange(half) / half)
    # The angles of the first half of the pairs follow each other, and are those of the second half again.
    angle = torch.cat([angle, angle], -1)
    even, odd = values[..., ::2], values[..., 1::2]
    crossed = torch.stack([-odd, even], -1).flatten(-2)
    return values * angle.cos() + crossed * angle.sin()


def placed(values: Tensor) -> Tensor:
    """Turn queries or keys, a third of them for each of time, rows and columns."""
    side = SIDE // 16
    token = torch.arange(values.shape[-2])
    places = token // side**2, token % side**2 // side, token % side
    third = 2 * (values.shape[-1] // 3 // 2)
    parts = [turned(values[..., n * third : (n + 1) * third], place) for n, place in enumerate(places)]
    return torch.cat([*parts, values[..., 3 * third :]], -1)


def block(state: State, number: int, tokens: Tensor, bias: Tensor, turn: bool) -> Tensor:
    start = f"blocks.{number}"
    joint = functional.linear(norm(state, f"{start}.norm1", tokens), state[f"{start}.attn.qkv.weight"], bias)
    query, key, value = joint.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
    if turn:
        query, key = placed(query), placed(key)
    seen = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1) @ value
    tokens = tokens + dense(state, f"{start}.attn.proj", seen.transpose(1, 2).flatten(2))
    inner = functional.gelu(dense(state, f"{start}.mlp.fc1", norm(state, f"{start}.norm2", tokens)))
    return tokens + dense(state, f"{start}.mlp.fc2", inner)


def videomae(state: State, video: Tensor) -> Tensor:
    """Return the tokens after the last block."""
    tokens = patches(state, video)
    place = torch.arange(tokens.shape[1])[:, None] / 10000 ** (2 * (torch.arange(WIDTH) // 2) / WIDTH)
    tokens = tokens + torch.where(torch.arange(WIDTH) % 2 == 0, place.sin(), place.cos())
    for number in range(DEPTH):
        query, value = (state[f"blocks.{number}.attn.{part}_bias"] for part in "qv")
        tokens = block(state, number, tokens, torch.cat([query, torch.zeros(WIDTH), value]), turn=False)
    return tokens


@torch.no_grad()
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_videomaes_own_file_gives_its_own_logits(wrapper: str, tmp_path: Path) -> None:
    state = finetuned()
    torch.save({"module": {wrapper + name: tensor for name, tensor in state.items()}}, tmp_path / "vit_s_k710.pth")
    model, (video,) = open_checkpoint(row("videomae_b_16x4"), tmp_path / "vit_s_k710.pth")
    expected = dense(state, "head", norm(state, "fc_norm", videomae(state, clips()).mean(1)))
    assert expected.std() > 0.1
    torch.testing.assert_close(model(clips()), expected, rtol=1e-3, atol=1e-3)
    assert video.mean == (0.485, 0.456, 0.406)
    assert len(layers_of(row("videomae_b_16x4"), model)) == DEPTH


@torch.no_grad()
def test_videomaes_file_of_training_without_labels_gives_its_encoders_tokens(tmp_path: Path) -> None:
    state = blocks(joint_bias=False) | layer("norm")
    beside = drawn({"decoder.blocks.0.norm1.weight": (8,), "encoder_to_decoder.weight": (8, WIDTH), "mask_token": (8,)})
    content = {f"encoder.{name}": tensor for name, tensor in state.items()} | beside
    torch.save({"model": content, "epoch": 1600}, tmp_path / "checkpoint.pth")
    with pytest.warns(Note, match="the 3 weights of VideoMAE's decoder are left out"):
        model, _ = open_checkpoint(row("videomae_b_16x4"), tmp_path / "checkpoint.pth")
    tokens = model(clips())
    assert tokens.shape == (2, 8, WIDTH)
    torch.testing.assert_close(tokens, norm(state, "norm", videomae(state, clips())), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_vjepa2s_own_file_gives_its_encoders_tokens(tmp_path: Path) -> None:
    state = blocks(joint_bias=True) | layer("norm")
    under = {f"module.backbone.{name}": tensor for name, tensor in state.items()}
    under["module.backbone.pos_embed"] = torch.zeros(1, 8, WIDTH)
    predictor = {f"module.backbone.predictor_blocks.{n}.norm1.weight": torch.ones(3) for n in range(40)}
    content = {"encoder": {name: tensor + 1 for name, tensor in under.items()}, "target_encoder": under}
    torch.save(content | {"predictor": predictor, "opt": {}, "scaler": None, "epoch": 1}, tmp_path / "vitl.pt")
    with pytest.warns(Note) as said:
        model, _ = open_checkpoint(row("vjepa2_vitl"), tmp_path / "vitl.pt")
    notes = [str(each.message) for each in said]
    assert any("the weights are those of target_encoder; left out: encoder" in each for each in notes)
    assert any("do not say how many frames of which size their network reads" in each for each in notes)
    tokens = patches(state, clips())
    for number in range(DEPTH):
        tokens = block(state, number, tokens, state[f"blocks.{number}.attn.qkv.bias"], turn=True)
    torch.testing.assert_close(model(clips()), norm(state, "norm", tokens), rtol=1e-3, atol=1e-3)
    assert not any(name.startswith("predictor") for name in model.state_dict())
    assert len(layers_of(row("vjepa2_vitl"), model)) == DEPTH


def test_videomaes_file_for_something_something_reads_frames_of_the_whole_video(tmp_path: Path) -> None:
    head = drawn({"head.weight": (174, WIDTH), "head.bias": (174,)})
    torch.save({"module": finetuned() | head}, tmp_path / "ssv2.pth")
    with pytest.warns(Note, match="174 classes are those of Something-Something"):
        _, (video,) = open_checkpoint(row("videomae_b_16x4"), tmp_path / "ssv2.pth")
    assert video.sampling == "spread"


def test_files_of_the_first_vjepa_are_refused(tmp_path: Path) -> None:
    state = blocks(joint_bias=True) | layer("norm") | {"pos_embed": torch.zeros(1, 8 * 14 * 14, WIDTH)}
    path = tmp_path / "vitl16.pth.tar"
    torch.save({"target_encoder": state}, path)
    said = "these are weights of the first V-JEPA, which adds a table of positions"
    with pytest.raises(InputError, match=said):
        open_checkpoint(row("vjepa2_vitl"), path)
    with pytest.raises(InputError, match=said):
        recognise(str(path))


@pytest.mark.parametrize(("width", "heads"), [(192, 3), (384, 6), (768, 12), (1024, 16), (1280, 16), (1408, 22)])
def test_vjepa2s_heads_are_those_of_its_width(width: int, heads: int) -> None:
    state = {
        "patch_embed.proj.weight": torch.zeros(width, 3, 2, 16, 16),
        "blocks.0.mlp.fc1.bias": torch.zeros(4 * width),
        "blocks.0.norm1.weight": torch.zeros(width),
    }
    assert vjepa2_sizes(state)["num_attention_heads"] == heads


@pytest.mark.filterwarnings("ignore:.*how many frames")
@pytest.mark.parametrize("name", ["videomae_b_16x4", "vjepa2_vitl"])
def test_heads_that_no_width_tells_are_said(name: str, tmp_path: Path) -> None:
    state = finetuned() if name == "videomae_b_16x4" else blocks(joint_bias=True) | layer("norm")
    torch.save({"module" if name == "videomae_b_16x4" else "encoder": state}, tmp_path / "my.pth")
    with pytest.warns(Note, match=r"my\.pth: .* their width, 96, is of no known one; 16 heads are assumed"):
        open_checkpoint(row(name), tmp_path / "my.pth")


def test_heads_of_a_known_width_are_not_assumed() -> None:
    for layout in LAYOUTS:
        for width in (192, 1408):
            state = blocks(joint_bias=True) | {"patch_embed.proj.weight": torch.zeros(width, 3, 2, 16, 16)}
            assert not any("heads" in said for said in layout.said(state))


def test_these_files_tell_their_architecture(tmp_path: Path) -> None:
    torch.save(finetuned(), tmp_path / "mae.pth")
    torch.save({"encoder": blocks(joint_bias=True) | layer("norm")}, tmp_path / "jepa.pt")
    assert recognise(str(tmp_path / "mae.pth"))[0] == "videomae_b_16x4"
    assert recognise(str(tmp_path / "jepa.pt"))[0] == "vjepa2_vitl"
    torch.save({"fc.weight": torch.ones(2)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth does not tell its architecture\. Name it: sdmetrics export NAME"):
        recognise(str(tmp_path / "other.pth"))


def test_what_may_be_weights_and_what_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    assert names_weights("facebook/timesformer-base-finetuned-k400")
    assert names_weights("gone.pth")
    assert not names_weights("models/gone")
    assert not names_weights("models")
    assert not names_weights("model.onnx")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda s: s.pop("blocks.0.norm1.weight"), "Unexpected|Missing"),
        (
            lambda s: s.update({"blocks.0.attn.qkv.weight": torch.ones(7, WIDTH)}),
            r"query\.weight \(3, 96\), expected \(96, 96\)",
        ),
        (lambda s: s.update({"blocks.0.attn.q_bias": torch.ones(())}), "Of another shape"),
        (lambda s: s.update({"patch_embed.proj.weight": torch.ones(2)}), "Of another shape|Missing"),
        (lambda s: s.update({"patch_embed.proj.weight": torch.ones(WIDTH, 3, 2, 1, 1)}), "Of another shape|Missing"),
        (lambda s: s.update({"patch_embed.proj.weight": torch.ones(7, 3, 2, 16, 16)}), "have sizes of no model: .*7"),
        (lambda s: s.update({"head.bias": torch.ones(())}), "shape|Missing|Unexpected"),
    ],
)
def test_what_does_not_fit_is_one_line(spoil: object, named: str, tmp_path: Path) -> None:
    state = finetuned()
    spoil(state)  # type: ignore[operator]
    torch.save(state, tmp_path / "spoilt.pth")
    with pytest.raises(InputError, match=named) as caught:
        open_checkpoint(row("videomae_b_16x4"), tmp_path / "spoilt.pth")
    assert "\n" not in str(caught.value)
