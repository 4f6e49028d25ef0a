"""A style learnt from a painted frame: what it paints, that it resumes, and the network that is written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sdmetrics.clips.styles.networks import open_styles
from sdmetrics.errors import InputError
from sdmetrics.torch.styling import train
from sdmetrics.torch.styling.network import Painter
from sdmetrics.torch.styling.painted import Painted
from sdmetrics.torch.styling.perceptual import WEIGHTS, WIDTHS, Perceptual, vgg_at_hand
from sdmetrics.torch.styling.train import train_style


def scene(seed: int, size: int = 64) -> np.ndarray:
    """Return smooth random colours, uint8 `(size, size, 3)`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def painting(frame: np.ndarray) -> np.ndarray:
    """A style that a network learns at once: colours change places and fade."""
    return (60 + frame[..., [2, 0, 1]] // 2).astype(np.uint8)


@pytest.fixture
def painted() -> Painted:
    frame = scene(0)
    return Painted(frame[None], painting(frame)[None], scene(1))


def test_it_paints_frames_that_it_never_saw(painted, tmp_path):
    path = train_style(painted, tmp_path / "style.onnx", steps=50)
    styles = open_styles([path])
    other = np.stack([scene(2, size=45), scene(3, size=45)])
    made = styles["style"](other)
    expected = np.stack([painting(frame) for frame in other])
    assert np.abs(made.astype(int) - expected).mean() < 0.4 * np.abs(other.astype(int) - expected).mean()


def test_the_file_is_the_network_for_images_of_any_size(painted, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(train, "Training", lambda *arguments: trained.append(Kept(*arguments)) or trained[0])
    path = train_style(painted, tmp_path / "style.onnx", steps=2)
    style = open_styles([path])["style"]
    assert style.identity["values"] == "0..1"
    for height, width in ((64, 64), (33, 50), (7, 9)):
        frame = scene(4)[:height, :width]
        with torch.no_grad():
            made = trained[0].painter.eval()(torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255)
        expected = (255 * made[0].permute(1, 2, 0).numpy()).round()
        assert np.abs(style(frame[None])[0] - expected).max() <= 1


class Kept(train.Training):
    """The training, to look into."""


def test_a_stopped_training_resumes_to_the_same_network(painted, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "EVERY", 4)
    whole = train_style(painted, tmp_path / "whole.onnx", steps=10)
    steps = []

    class Interrupted(train.Training):
        def step(self, number: int) -> None:
            if number == 6 and 6 not in steps:
                steps.append(number)
                raise KeyboardInterrupt
            steps.append(number)
            super().step(number)

    monkeypatch.setattr(train, "Training", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_style(painted, tmp_path / "stopped.onnx", steps=10)
    assert not (tmp_path / "stopped.onnx").exists()
    resumed = train_style(painted, tmp_path / "stopped.onnx", steps=10)
    assert steps == [*range(6), 6, *range(4, 10)], "what was stored is not trained again"
    assert resumed.read_bytes() == whole.read_bytes()
    names = sorted(path.name for path in (tmp_path / "stopped.onnx.training").iterdir())
    assert names == ["state.pt", "step-000004.png", "step-000008.png", "step-000010.png"]
    drawn = cv2.imread(str(tmp_path / "stopped.onnx.training" / "step-000010.png"))[..., ::-1]
    assert np.abs(drawn.astype(int) - open_styles([resumed])["stopped"](painted.held_out[None])[0]).max() <= 1


def test_the_folder_of_another_training_is_refused(painted, tmp_path):
    train_style(painted, tmp_path / "style.onnx", steps=1)
    with pytest.raises(InputError, match=r"style.onnx.training holds the training of another style.* in seed"):
        train_style(painted, tmp_path / "style.onnx", steps=1, seed=1)
    (tmp_path / "style.onnx.training" / "state.pt").write_bytes(b"damaged")
    train_style(painted, tmp_path / "style.onnx", steps=1, seed=1)


def test_the_seed_decides(painted, tmp_path):
    paths = [train_style(painted, tmp_path / f"{n}.onnx", steps=2, seed=seed) for n, seed in enumerate((0, 0, 1))]
    contents = [path.read_bytes() for path in paths]
    assert contents[0] == contents[1] != contents[2]


def test_training_leaves_the_random_numbers_of_torch_alone(painted, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    train_style(painted, tmp_path / "style.onnx", steps=1)
    assert torch.equal(torch.rand(3), expected)


def test_the_painter_sees_its_surroundings_only():
    painter = Painter().eval()
    with torch.no_grad():
        for block in painter.blocks:
            block.convolutions[2].weight.mul_(3)
        plain = torch.rand(1, 3, 128, 128)
        changed = plain.clone()
        changed[..., :32] = 0
        assert torch.equal(painter(plain)[..., 96:], painter(changed)[..., 96:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps is 0; expected at least 1"),
        ({"seed": -1}, "seed is -1; expected at least 0"),
        ({"device": "gpu"}, "device is 'gpu', and torch cannot use it"),
    ],
)
def test_what_is_not_allowed(painted, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        train_style(painted, tmp_path / "style.onnx", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_frames_smaller_than_a_patch(tmp_path):
    frame = scene(0, size=20)
    with pytest.raises(InputError, match="the frames are 20 × 20 pixels; a style is learnt from patches of 32 × 32"):
        train_style(Painted(frame[None], painting(frame)[None], frame), tmp_path / "style.onnx")


def vgg(path: Path) -> None:
    """Write random weights as torchvision names them."""
    torch.manual_seed(0)
    weights, channels = {}, 3
    place = 0
    for width in WIDTHS:
        if width:
            layer = torch.nn.Conv2d(channels, width, 3)
            weights |= {
                f"features.{place}.weight": layer.weight.detach(),
                f"features.{place}.bias": layer.bias.detach(),
            }
            channels = width
        place += 2 if width else 1
    torch.save({**weights, "classifier.0.weight": torch.zeros(2)}, path)


def test_the_perceptual_loss_is_used_where_the_weights_are(painted, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    assert vgg_at_hand() is None
    without = train_style(painted, tmp_path / "without.onnx", steps=2)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    vgg(tmp_path / "hub" / "checkpoints" / WEIGHTS)
    found = vgg_at_hand()
    assert found is not None
    assert train_style(painted, tmp_path / "with.onnx", steps=2).read_bytes() != without.read_bytes()
    with pytest.raises(InputError, match="it differs in perceptual"):
        train_style(painted, tmp_path / "without.onnx", steps=2)
    loss, images = Perceptual(found), torch.rand(2, 3, 32, 32)
    assert float(loss(images, images)) == 0
    assert float(loss(images, 1 - images)) > 0
    (tmp_path / "damaged").write_bytes(b"no weights")
    with pytest.raises(InputError, match="damaged are not the weights of VGG-16"):
        Perceptual(tmp_path / "damaged")
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed: VGG-16 is not compared")
    published = torchvision.models.vgg16(weights=None).features[: len(loss.features)]
    assert [type(layer) for layer in published] == [type(layer) for layer in loss.features]
    assert {name: value.shape for name, value in published.state_dict().items()} == {
        name: value.shape for name, value in loss.features.state_dict().items()
    }
