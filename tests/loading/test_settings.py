"""Every setting of clips is applied, or refused by name; what is assumed instead of a setting is said."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sdmetrics.clips.request import ClipRequest
from sdmetrics.demo import demo_model
from sdmetrics.errors import InputError, Note
from sdmetrics.loading.open import list_requested, open_model
from sdmetrics.loading.run_source import RunSource
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.segmentation_files import write_davis, write_images
from tests.helpers.videos import write_video

VIDEO = SimpleNamespace(inputs=[ModelInput("video", frames=4, stride=2, size=(48, 48))])
IMAGE = SimpleNamespace(inputs=[ModelInput("image", frames=1, stride=1, size=(48, 48), layout="NCHW")])
FLOW = SimpleNamespace(inputs=[*IMAGE.inputs, ModelInput("flow", "flow", frames=1, size=(48, 48), layout="NCHW")])
SPREAD = SimpleNamespace(inputs=[ModelInput("video", frames=4, size=(48, 48), sampling="spread")])
PLAIN = SimpleNamespace(inputs=VIDEO.inputs, stride_assumed=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of every kind of clips."""
    root = tmp_path_factory.mktemp("data")
    (root / "videos").mkdir()
    write_video(root / "videos" / "a_000000_000001.mp4", 20)
    (root / "list.csv").write_text("path,label\nvideos/a_000000_000001.mp4,walk\n")
    (root / "kinetics.csv").write_text("label,youtube_id,time_start,time_end\nwalk,a,0,1\n")
    write_images(root / "frames" / "a", range(20))
    write_davis(root / "davis", {"bear": 20})
    (root / "flow").mkdir()
    return root


KINDS = (
    "world:3",
    "camouflage:3",
    "videos",
    "videos/a_000000_000001.mp4",
    "frames",
    "list.csv",
    "kinetics.csv",
    "davis",
)
GENERATED = KINDS[:2]


def asked(data: Path, kind: str, **settings: object) -> ClipRequest:
    """Return a request for one of the kinds; settings that are paths are below the data."""
    places = {name: str(data / value) if name in ("videos", "flow") else value for name, value in settings.items()} | (
        {"videos": str(data / "videos")} if kind == "kinetics.csv" else {}
    )
    return ClipRequest(kind if kind in GENERATED else str(data / kind), **places)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_opens(data: Path, kind: str):
    (first, *_) = list_requested(asked(data, kind), VIDEO)
    assert first.frames.shape == (4, 48, 48, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_stride(data: Path, kind: str):
    request = asked(data, kind, stride=1)
    if kind in GENERATED:
        with pytest.raises(InputError, match=f"stride is 1, but {kind} is generated"):
            list_requested(request, VIDEO)
        return
    near, far = (list_requested(asked(data, kind, stride=stride), VIDEO)[0].frames for stride in (1, 4))
    assert (near != far).any()
    with pytest.raises(InputError, match="stride is 1, but single frames are read"):
        list_requested(request, IMAGE)


@pytest.mark.parametrize("kind", KINDS)
def test_clips_per_video(data: Path, kind: str):
    request = asked(data, kind, clips_per_video=2)
    if kind in GENERATED:
        with pytest.raises(InputError, match="one clip per video; leave out clips_per_video"):
            list_requested(request, VIDEO)
    else:
        assert len(list_requested(request, VIDEO)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_split(data: Path, kind: str):
    with pytest.raises(InputError, match="split"):
        list_requested(asked(data, kind, split="gone"), VIDEO)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("kinetics.csv",)])
def test_videos(data: Path, kind: str):
    with pytest.raises(InputError, match="videos"):
        list_requested(asked(data, kind, videos="gone"), VIDEO)


@pytest.mark.parametrize("kind", KINDS)
def test_flow(data: Path, kind: str):
    request = asked(data, kind, flow="flow")
    with pytest.raises(InputError, match=r"flow is .*, but the model reads no optical flow; leave flow out"):
        list_requested(request, VIDEO)
    with pytest.raises(InputError, match=r"has no flow|flow is given image by image|is not a folder of frames"):
        _ = list_requested(request, FLOW)[0].flow


def test_an_assumed_stride_is_said_once(data: Path):
    with pytest.warns(Note, match="the model's file stores none, so frames 2 apart are read") as said:
        list_requested(asked(data, "videos"), PLAIN)
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list_requested(asked(data, "videos", stride=2), PLAIN)
        list_requested(asked(data, "world:3"), PLAIN)


def write_plain(path: Path) -> Path:
    """Write an ONNX file that says nothing about how it is fed."""
    from onnx import TensorProto, helper

    video, act = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 4, 16, 16]) for name in ("video", "act")
    )
    graph = helper.make_graph([helper.make_node("Relu", ["video"], ["act"])], "g", [video], [act])
    plain = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    path.write_bytes(plain.SerializeToString())
    return path


def test_a_probe_stores_an_assumed_stride_and_says_so(tmp_path: Path, command: Callable[..., tuple[int, str, str]]):
    arguments = ("probe", write_plain(tmp_path / "plain.onnx"), "-l", "act", "-o", tmp_path / "probe.onnx")
    assert (
        "note: no stride is specified for 'video', so frames 8 apart are read; pass --stride" in command(*arguments)[1]
    )
    assert "note" not in command(*arguments, "--stride", 8)[1]


def test_whether_a_stride_is_stored_is_known_of_the_file(tmp_path: Path):
    write_plain(tmp_path / "plain.onnx")
    described = [ModelInput("video", frames=4, stride=3, size=(16, 16))]
    assert open_model(tmp_path / "plain.onnx", layers=["act"], provider="cpu").stride_assumed
    assert not open_model(tmp_path / "plain.onnx", layers=["act"], inputs=described, provider="cpu").stride_assumed
    with demo_model("motion") as path:
        assert not open_model(path, provider="cpu").stride_assumed


@pytest.mark.parametrize("size", ["10001", "1000000000", "9" * 5000])
@pytest.mark.parametrize("world", ["world", "camouflage"])
def test_worlds_too_large_to_plan_are_refused(world: str, size: str):
    with pytest.raises(InputError, match="is too large; allowed: 1 to 10000 clips"):
        list_requested(ClipRequest(f"{world}:{size}"), VIDEO)


def test_generated_clips_take_nothing_over_from_a_run(tmp_path: Path, data: Path):
    (tmp_path / "model.onnx").touch()
    request = ClipRequest(str(data / "videos"), 3, 4, fps=12.5, sampling="window")
    RunSource(str(tmp_path / "model.onnx"), request).save(tmp_path)
    assert RunSource.load(tmp_path).request == request
    source = RunSource.load(tmp_path, clips="world:3")
    assert source.request == ClipRequest("world:3")
    assert source.dropped == ("clips_per_video", "stride", "sampling", "fps")
    others = RunSource.load(tmp_path, clips=str(data / "frames"))
    assert (others.request, others.dropped) == (replace(request, path=str(data / "frames")), ())


def test_a_request_of_an_earlier_version_has_no_rate(tmp_path: Path, data: Path):
    (tmp_path / "model.onnx").touch()
    path = RunSource(str(tmp_path / "model.onnx"), ClipRequest(str(data / "videos"), 3, 4)).save(tmp_path)
    document = json.loads(path.read_text())
    for name in ("fps", "sampling"):
        del document["clips"][name]
    path.write_text(json.dumps(document))
    assert RunSource.load(tmp_path).request == ClipRequest(str(data / "videos"), 3, 4)
    for name, value in (("fps", "30"), ("fps", 0), ("sampling", 3), ("sampling", "all"), ("fps", [30])):
        path.write_text(json.dumps({**document, "clips": {**document["clips"], name: value}}))
        with pytest.raises(InputError, match=r"source\.json cannot be read"):
            RunSource.load(tmp_path)


def test_a_model_that_spreads_its_frames(data: Path):
    """Its stride means nothing, so windows of it need one; and a rate needs windows."""
    path = data / "videos"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "sampling='spread'" in list_requested(ClipRequest(path), SPREAD)[0].stamp
        windows = list_requested(ClipRequest(path, stride=2, sampling="window", fps=12), SPREAD)
        assert "stride=2, fps=12" in windows[0].stamp
    with pytest.warns(Note, match="no stride is specified, and the model spreads its frames, so frames 8 apart"):
        list_requested(ClipRequest(path, sampling="window"), SPREAD)
    with pytest.raises(InputError, match="stride is 2, but frames are read from the whole video"):
        list_requested(ClipRequest(path, stride=2), SPREAD)
    with pytest.raises(InputError, match="leave fps out, or pass sampling 'window', too"):
        list_requested(ClipRequest(path, fps=12), SPREAD)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("world:3", "--stride", 2), "stride is 2, but world:3 is generated"),
        (("world:3", "--with-flow", "--frames", 4), "--frames is 4, and --with-flow shows one frame per clip"),
        (("world:1000000000",), "is too large"),
    ],
)
def test_sample_refuses_what_it_would_not_apply(
    command: Callable[..., object], options: tuple[object, ...], words: str
):
    code, _, err = command("sample", *options, "-o", "pairs.png")
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
