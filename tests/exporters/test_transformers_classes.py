"""Folders of Transformers' other video models: encoders without a head, and those that are part of a larger model."""

import importlib
from contextlib import nullcontext

import pytest
import torch
from transformers import TimesformerConfig, TimesformerForVideoClassification

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._weights.recognise import recognise
from sdmetrics.exporters._weights.transformers_folder import open_folder, stride_for
from sdmetrics.exporters.architectures.transformers import SOURCES, layers_of
from sdmetrics.exporters.catalogue import find_architecture

SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
NARROW = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1, "num_pooler_layers": 1}
PRISM = SMALL | {"num_spatial_layers": 2, "num_temporal_layers": 1, "num_auxiliary_layers": 1}
XCLIP = SMALL | {"mit_hidden_size": 16, "mit_intermediate_size": 16, "mit_num_attention_heads": 2}
TEXTS = SMALL | {"vocab_size": 50}
ENCODERS = {
    "TimesformerModel": ("timesformer", SMALL | {"num_frames": 4, "image_size": 32}),
    "VivitModel": ("vivit", SMALL | {"num_frames": 4, "image_size": 32}),
    "VideoMAEModel": ("videomae", SMALL | {"num_frames": 4, "image_size": 32}),
    "VideoMAEForPreTraining": (
        "videomae",
        SMALL
        | {"num_frames": 4, "image_size": 32, "use_mean_pooling": False}
        | {f"decoder_{name}": value for name, value in SMALL.items()},
    ),
    "VJEPA2Model": ("vjepa2", SMALL | NARROW | {"frames_per_clip": 4, "crop_size": 32}),
    "VideoPrismForVideoClassification": ("videoprism", PRISM | {"num_frames": 4, "image_size": 36, "num_labels": 3}),
    "VideoPrismClipModel": (
        "videoprism",
        {"text_config": TEXTS, "vision_config": PRISM | {"num_frames": 4, "image_size": 36}},
    ),
    "XCLIPModel": (
        "x_clip",
        {
            "text_config": TEXTS,
            "vision_config": XCLIP | {"num_frames": 4, "image_size": 64},
            **{"projection_dim": 16, "prompt_layers": 1, "prompt_num_attention_heads": 2},
        },
    ),
}
"""Further classes of video models, with the package and the configuration of a small one."""


def own_outputs(name, model, video):
    """What Transformers itself computes with the part that reads videos."""
    if name == "VJEPA2Model":
        return model.get_vision_features(video)
    if name == "VideoMAEForPreTraining":
        return model.videomae(video).last_hidden_state
    if name == "VideoPrismForVideoClassification":
        return model(video).logits
    if name == "VideoPrismClipModel":
        return model.video_model.vision_model(video).last_hidden_state
    if name == "XCLIPModel":
        return model.vision_model(video.flatten(0, 1)).pooler_output.unflatten(0, video.shape[:2])
    return model(video).last_hidden_state


@torch.no_grad()
@pytest.mark.parametrize("name", ENCODERS)
def test_further_classes_of_video_models_give_their_own_numbers(name, tmp_path):
    package, options = ENCODERS[name]
    kind = getattr(importlib.import_module(f"transformers.models.{package}.modeling_{package}"), name)
    model = kind(kind.config_class(**options)).eval()
    model.save_pretrained(tmp_path)
    row = find_architecture(recognise(str(tmp_path))[0])
    larger = name in ("VideoMAEForPreTraining", "VideoPrismClipModel", "XCLIPModel")
    with pytest.warns(Note, match="are no part of") if larger else nullcontext():
        opened, (video,) = open_folder(row, tmp_path)
    shape = (2, video.frames, 3, *video.size)
    given = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    expected = own_outputs(name, model, given)
    assert expected.std() > 1e-3
    torch.testing.assert_close(opened(given), expected, rtol=1e-4, atol=1e-5)
    assert len(layers_of(row, opened)) == (3 if "Prism" in name else 2)


def test_a_folder_of_no_video_model_says_which_there_are(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match=r"has a model of the type bert; allowed: timesformer, videomae, .*xclip"):
        recognise(str(tmp_path))


def test_a_repository_with_code_of_its_own_is_read_by_the_names_of_its_weights(tmp_path):
    from safetensors.torch import save_file

    from tests.exporters.test_vision_transformers import finetuned

    (tmp_path / "config.json").write_text('{"model_type": "VideoMAEv2_Base", "auto_map": {"AutoModel": "code.Model"}}')
    save_file({f"model.{name}": tensor for name, tensor in finetuned().items()}, tmp_path / "model.safetensors")
    assert recognise(str(tmp_path)) == ("videomae_b_16x4", tmp_path / "model.safetensors")


@pytest.mark.parametrize(("classes", "sampling", "fps"), [(174, "spread", None), (5, "window", 30.0)])
def test_models_of_something_something_read_frames_of_the_whole_video(classes, sampling, fps, tmp_path):
    small = TimesformerConfig(**SMALL, num_frames=4, image_size=32, num_labels=classes)
    TimesformerForVideoClassification(small).save_pretrained(tmp_path)
    said = "174 classes are those of Something-Something"
    with pytest.warns(Note, match=said) if sampling == "spread" else nullcontext():
        _, (video,) = open_folder(find_architecture("timesformer_8x32"), tmp_path)
    assert (video.sampling, video.fps) == (sampling, fps)


@pytest.mark.parametrize(
    ("row", "frames", "stride"),
    [("vjepa2_vitl", 64, 2), ("vjepa2_vitl", 32, 2), ("videomae_b_16x4", 8, 8), ("timesformer_8x32", 96, 4)],
)
def test_the_stride_for_other_numbers_of_frames(row, frames, stride):
    assert stride_for(SOURCES[row], find_architecture(row).inputs[0], frames) == stride
