"""What is particular to the catalogue's rows from Transformers, and folders that Transformers itself wrote."""

import json
import shutil
import socket
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from sdmetrics.errors import InputError
from sdmetrics.exporters._weights import transformers_folder as folders
from sdmetrics.exporters._weights.transformers_folder import open_folder, open_repository
from sdmetrics.exporters.architectures.transformers import ROWS, SOURCES, layers_of
from sdmetrics.exporters.catalogue import build_random, export, find_architecture
from tests.helpers.small_catalogue import reduced

NAMES = [row.name for row in ROWS]


def small(name):
    return reduced(find_architecture(name))


def clips(row, count=2):
    (video,) = row.inputs
    return torch.randn(count, video.frames, 3, *video.size, generator=torch.Generator().manual_seed(1))


def named(outputs):
    return outputs if isinstance(outputs, dict) else {"output": outputs}


def processor_of(row, **said):
    import transformers

    return getattr(transformers, SOURCES[row.name].processor)(**said)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A TimeSformer and the folder that it saved itself to."""
    row, folder = small("timesformer_8x32"), tmp_path_factory.mktemp("timesformer")
    model = build_random(row)
    model.save_pretrained(folder)
    return SimpleNamespace(row=row, model=model, folder=folder)


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(saved.folder, tmp_path / "folder")


def rewrite(folder, **changes):
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))


def change_weights(folder, change):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("name", NAMES)
def test_at_full_size_every_block_is_a_layer(name):
    row = find_architecture(name)
    with torch.device("meta"):
        model = row.build(row.inputs, row.classes)
    parts = dict(model.named_modules())
    blocks = {path for path, part in parts.items() if type(part) is type(parts[next(iter(row.layers.values()))])}
    in_heads = {path for path in blocks if path.startswith(("vjepa2.predictor", "pooler"))}
    assert set(row.layers.values()) == blocks - in_heads
    assert len(set(row.layers.values())) == len(row.layers)
    assert row.weights.count("/") == 1
    assert layers_of(row, model) == row.layers


@pytest.mark.parametrize("name", NAMES)
def test_what_a_model_saves_opens_with_equal_outputs_and_its_own_input(name, tmp_path):
    row = small(name)
    model = build_random(row)
    model.save_pretrained(tmp_path)
    processor_of(row, image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6]).save_pretrained(tmp_path)
    opened, inputs = open_folder(replace(row, inputs=find_architecture(name).inputs), tmp_path)
    (video,), (small_video,), (full,) = inputs, row.inputs, find_architecture(name).inputs
    assert not opened.training
    with torch.no_grad():
        # VidEoMT reads any number of frames: its folder names none.
        several = clips(row) if SOURCES[name].frames else clips(replace(row, inputs=(video,)))
        expected, found = named(model(clips(row))), named(opened(several))
    assert video.size == small_video.size
    if SOURCES[name].frames:
        assert video.frames == small_video.frames
        assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert video.frames * video.stride == full.frames * full.stride
    # Values of ViViT's own preprocessor lie between -1 and 1 before mean and deviation are applied.
    shift, scale = (1, 2) if name == "vivit_b_16x2" else (0, 1)
    assert video.mean == pytest.approx([(shift + mean) / scale for mean in (0.1, 0.2, 0.3)], abs=1e-5)
    assert video.std == pytest.approx([std / scale for std in (0.4, 0.5, 0.6)], abs=1e-5)


@pytest.mark.parametrize(
    ("said", "resize"),
    [
        ({}, 64),
        ({"size": {"shortest_edge": 256}}, 73),
        ({"size": {"height": 256, "width": 342}}, (73, 97)),
        ({"size": {"height": 80, "width": 90}, "do_center_crop": False}, (64, 64)),
        ({"do_resize": False}, None),
    ],
)
def test_frames_are_scaled_and_cropped_as_the_folders_preprocessor_does(saved, folder, said, resize):
    processor_of(saved.row, **said).save_pretrained(folder)
    assert open_folder(saved.row, folder)[1][0].resize == resize


def test_a_larger_model_without_a_preprocessor_crops_the_same_share(tmp_path):
    row = small("vjepa2_vitl")
    build_random(row).save_pretrained(tmp_path)
    (video,) = open_folder(replace(row, inputs=find_architecture("vjepa2_vitl").inputs), tmp_path)[1]
    assert (video.size, video.resize) == ((32, 32), 36)


def test_without_a_preprocessor_mean_and_deviation_are_the_architectures(saved):
    (video,) = open_folder(saved.row, saved.folder)[1]
    assert video == saved.row.inputs[0]


def test_the_names_of_older_folders_open_too(tmp_path):
    row = small("videomae_b_16x4")
    model = build_random(row)
    model.save_pretrained(tmp_path)

    def as_published(weights):
        for name in [name for name in weights if name.endswith(("query.bias", "value.bias"))]:
            weights[name.replace("query.bias", "q_bias").replace("value.bias", "v_bias")] = weights.pop(name)

    change_weights(tmp_path, as_published)
    with torch.no_grad():
        assert torch.equal(open_folder(row, tmp_path)[0](clips(row)), model(clips(row)))


def test_weights_that_torch_wrote_open_and_programs_among_them_do_not_run(saved, folder):
    (folder / "model.safetensors").unlink()
    torch.save(saved.model.state_dict(), folder / "pytorch_model.bin")
    with torch.no_grad():
        assert torch.equal(open_folder(saved.row, folder)[0](clips(saved.row)), saved.model(clips(saved.row)))
    torch.save({"classifier.weight": Spy(folder / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"\(an object of \S+\)\. If you trust them, .*save_pretrained") as caught:
        open_folder(saved.row, folder)
    assert str(caught.value).isprintable()
    assert not (folder / "ran").exists()


class Spy:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


def test_code_in_a_folder_does_not_run(saved, folder):
    (folder / "custom.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    rewrite(folder, auto_map={"AutoConfig": "custom.Config", "AutoModel": "custom.Model"})
    processor_of(saved.row).save_pretrained(folder)
    settings = folder / "video_preprocessor_config.json"
    said = json.loads(settings.read_text()) | {"auto_map": {"AutoVideoProcessor": "custom.Processor"}}
    settings.write_text(json.dumps(said))
    open_folder(saved.row, folder)
    assert not (folder / "ran").exists()


def lacks(folder, name):
    (folder / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: lacks(f, "config.json"), r"has no config\.json; pass a folder that save_pretrained wrote"),
        (lambda f: lacks(f, "model.safetensors"), r"has no weights; put model\.safetensors or pytorch_model\.bin"),
        (lambda f: (f / "config.json").write_text("{"), r"config\.json is (no|not) JSON: "),
        (lambda f: (f / "config.json").write_text("[]"), r"config\.json is not a JSON object"),
        (lambda f: rewrite(f, model_type="vivit"), r"of the type 'vivit'; timesformer_8x32 expects 'timesformer'"),
        (lambda f: rewrite(f, model_type=None), r"of the type None; timesformer_8x32 expects 'timesformer'"),
        (lambda f: rewrite(f, hidden_size="wide"), r"does not describe a model of type 'timesformer': .*hidden_size"),
        (lambda f: rewrite(f, image_size=60), r"cannot read 4 frames of 60 x 60"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\0" * 40), r"folder cannot be opened: .+ copy it again"),
        (lambda f: (f / "preprocessor_config.json").write_text('{"size": 3.5}'), r"does not understand"),
        (
            lambda f: change_weights(f, lambda weights: weights.pop("classifier.bias")),
            r"do not fit its config\.json\. Missing: classifier\.bias\. Pass a folder",
        ),
        (
            lambda f: change_weights(f, lambda weights: weights.update(extra=torch.ones(2))),
            r"do not fit its config\.json\. Unexpected: extra\. Pass a folder",
        ),
        (
            lambda f: rewrite(f, num_frames=8),
            r"Of another shape: timesformer\.embeddings\.time_embeddings \(1, 4, 24\), expected \(1, 8, 24\)\.",
        ),
        (
            lambda f: rewrite(f, hidden_size=49152),
            r"describes a model of [\d,]{11,} numbers, and .* weights have [\d,]+ bytes",
        ),
        (lambda f: rewrite(f, intermediate_size=2**30), r"describes a model of [\d,]{11,} numbers"),
        (lambda f: rewrite(f, num_hidden_layers=10**6), r"has num_hidden_layers 1,000,000; expected at most 1,000"),
        (
            lambda f: rewrite(f, num_frames=10**9),
            r"clips of 1000000000 frames .*; expected whole numbers from 1 to 10,000",
        ),
        (lambda f: rewrite(f, num_labels=10**9), r"has num_labels 1,000,000,000; expected at most 100,000"),
        (lambda f: rewrite(f, num_frames=0), r"clips of 0 frames"),
        (lambda f: rewrite(f, image_size=8192, patch_size=1), r"268,435,456 patches of 24 numbers; expected at most"),
        (lambda f: rewrite(f, image_size=[64]), r"config\.json "),
        (
            lambda f: (f / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 1000000}}'),
            r"has shortest_edge 1,000,000; expected at most 10,000",
        ),
        (
            lambda f: (f / "preprocessor_config.json").write_text('{"image_std": [0.2, 0, 0.2]}'),
            r"with the std .*0\.2, 0, 0\.2\) and the .*; expected numbers other than 0",
        ),
    ],
)
def test_what_does_not_open_says_why_in_one_line(saved, folder, spoil, message):
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        open_folder(saved.row, folder)
    assert str(caught.value).isprintable()


def test_the_layers_are_those_of_the_folder(saved):
    row = find_architecture("timesformer_8x32")
    layers = layers_of(row, open_folder(row, saved.folder)[0])
    assert layers == {"block1": "timesformer.encoder.layer.0", "block2": "timesformer.encoder.layer.1"}


def test_a_folder_is_for_models_of_transformers_alone(saved):
    with pytest.raises(InputError, match=r"x3d_s is not a model of Transformers\. Pass a single file"):
        open_folder(find_architecture("x3d_s"), saved.folder)


def test_a_model_says_which_clips_it_was_made_for(saved):
    longer = clips(replace(saved.row, inputs=(replace(saved.row.inputs[0], frames=8),)))
    with pytest.raises(InputError, match=r"made for clips of the shape \(4, 3, 64, 64\) and got \(8, 3, 64, 64\)"):
        saved.model(longer)


@pytest.mark.parametrize("changed", [{"frames": 3}, {"size": (60, 60)}, {"size": (64, 32)}, {"layout": "NCTHW"}])
def test_clips_that_are_not_whole_tokens_are_an_error(changed):
    row = small("videomae_b_16x4")
    with pytest.raises(InputError, match=r"reads square frames in the layout NTCHW, their side a multiple of 16"):
        row.build([replace(row.inputs[0], **changed)], 5)


def test_the_segmenter_returns_clips_first_though_its_library_does_not():
    row = small("videomt")
    model, several = build_random(row), clips(row, 3)
    with torch.no_grad():
        together, alone = model(several), [model(several[n : n + 1]) for n in range(3)]
    assert together["class_queries_logits"].shape == (3, 2, 3, 41)
    for name, found in together.items():
        torch.testing.assert_close(found, torch.cat([one[name] for one in alone]), rtol=0, atol=1e-5)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A hub at a port of this machine that nobody answers, and an empty cache."""
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setattr(hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield SimpleNamespace(cache=tmp_path / "cache", server=server)


@pytest.mark.parametrize("silent", [False, True])
def test_without_a_network_one_line_says_what_to_do_and_soon(offline, monkeypatch, silent):
    monkeypatch.setattr(folders, "SECONDS", 0.5)
    if silent:
        offline.server.listen()
    row, start = find_architecture("videomae_b_16x4"), time.monotonic()
    with pytest.raises(InputError, match=rf"{row.weights} cannot be downloaded .* --checkpoint FOLDER") as caught:
        open_repository(row)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_what_was_downloaded_before_opens_without_a_network(saved, offline, weights):
    repository = offline.cache / f"models--{saved.row.weights.replace('/', '--')}"
    snapshot = shutil.copytree(saved.folder, repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    if weights != "model.safetensors":
        (snapshot / "model.safetensors").unlink()
        torch.save(saved.model.state_dict(), snapshot / weights)
    # Published weights are fed as the architecture, not as a preprocessor says that came with a conversion.
    processor_of(saved.row, image_mean=[0.1, 0.2, 0.3], size={"shortest_edge": 300}).save_pretrained(snapshot)
    opened, inputs = open_repository(saved.row)
    assert inputs == saved.row.inputs
    with torch.no_grad():
        assert torch.equal(opened(clips(saved.row)), saved.model(clips(saved.row)))


def test_the_name_of_published_weights_is_that_of_their_architecture(monkeypatch, tmp_path):
    asked = []

    def stop(row):
        asked.append(row.name)
        raise InputError("no network")

    monkeypatch.setattr("sdmetrics.exporters._weights.pretrained.open_pretrained", stop)
    with pytest.raises(InputError, match="no network"):
        export("google/vivit-b-16x2-kinetics400", tmp_path / "model.onnx")
    assert asked == ["vivit_b_16x2"]
