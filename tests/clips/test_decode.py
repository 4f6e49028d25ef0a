"""Decoding: the right frames or an error, whatever the container; never a damaged image."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation

from sdmetrics.clips.decode import read_image, read_video
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.sampling import Window
from sdmetrics.errors import InputError
from tests.helpers.videos import damaged, number_of, numbered, numbers_of, truncated, write_audio, write_video

SIZE = (32, 64)
OPEN_GROUPS = {"g": "12", "x264-params": "open-gop=1:bframes=3:scenecut=0"}
GAPS = [place + (5 if place > 20 else 0) + 2 * (place > 40) for place in range(60)]


def with_empty_packet(folder: Path) -> Path:
    """Write a video with a packet that says "no frame here", as some encoders do to keep time."""
    source = write_video(folder / "source.mkv", codec="mpeg4", options={"g": "12"})
    with av.open(str(source)) as read, av.open(str(folder / "a.mkv"), "w") as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(p for p in read.demux(video=0) if p.size):
            packet.stream = stream
            write.mux(packet)
            if number == 20:
                empty = av.Packet(b"\x00\x00\x01\xb6" + bytes([0b01011010, 0b11001111]))  # MPEG-4: not coded
                empty.pts = empty.dts = packet.pts + 20
                empty.time_base, empty.stream = packet.time_base, stream
                write.mux(empty)
    return folder / "a.mkv"


CONTAINERS: dict[str, Callable[[Path], Path]] = {
    "mp4": lambda folder: write_video(folder / "a.mp4", options={"g": "12"}),
    "mp4 with open groups": lambda folder: write_video(folder / "a.mp4", options=OPEN_GROUPS),
    "mp4 in fragments": lambda folder: write_video(
        folder / "a.mp4", options={"g": "12"}, container={"movflags": "frag_keyframe+empty_moov"}
    ),
    "matroska, which counts no frames": lambda folder: write_video(folder / "a.mkv", options={"g": "12"}),
    "matroska with open groups": lambda folder: write_video(folder / "a.mkv", options=OPEN_GROUPS),
    "matroska, variable rate": lambda folder: write_video(folder / "a.mkv", options={"g": "12"}, ticks=GAPS),
    "avi, MPEG-4 with B frames": lambda folder: write_video(
        folder / "a.avi", codec="mpeg4", options={"g": "12", "bf": "2"}
    ),
    "avi, H.264 with made-up times": lambda folder: write_video(folder / "a.avi", options={"g": "12"}),
    "transport stream": lambda folder: write_video(folder / "a.ts", options=OPEN_GROUPS),
    "programme stream": lambda folder: write_video(
        folder / "a.mpg", codec="mpeg2video", options={"g": "12", "bf": "2"}
    ),
    "webm": lambda folder: write_video(folder / "a.webm", codec="libvpx-vp9", options={"g": "12"}),
    "a packet without a frame": lambda folder: with_empty_packet(folder),
    "no container, no times": lambda folder: write_video(folder / "a.h264", options={"g": "12"}),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_wanted_frames_are_read(container: str, tmp_path: Path):
    path = CONTAINERS[container](tmp_path)
    for window in (Window(8, 1, 0, 2), Window(5, 3), Window(8, 1, 1, 2), Window(3, 10, 1, 3), Window(1, 1)):
        expected = window.indices(np.arange(60) / 25).tolist()
        assert numbers_of(read_video(path, window, Fit(SIZE))) == expected


def test_real_videos_agree_with_decoding_from_the_beginning(shared: Path):
    window = Window(4, 5, 1, 2)
    flags = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    for path in sorted((shared / "clips").glob("*.m[pk][4v]")):
        with av.open(str(path)) as file:
            frames = list(file.decode(video=0))
            indices = window.indices(np.arange(len(frames)) / 25)
            expected = [frames[i].to_ndarray(format="rgb24", interpolation=flags) for i in indices]
        np.testing.assert_array_equal(read_video(path, window, Fit(expected[0].shape[:2])), np.stack(expected))


def test_short_video_is_cycled(tmp_path: Path):
    path = write_video(tmp_path / "short.mp4", 5)
    assert numbers_of(read_video(path, Window(4, 2), Fit(SIZE))) == [0, 2, 4, 2]


def test_one_frame(tmp_path: Path):
    assert numbers_of(read_video(write_video(tmp_path / "one.mp4", 1), Window(3, 2), Fit(SIZE))) == [0, 0, 0]


def test_segments_are_in_seconds(tmp_path: Path):
    path = write_video(tmp_path / "a.mkv", ticks=GAPS)
    shown = np.array(GAPS) / 25
    clip = read_video(path, Window(3, 2, start=0.6, end=1.4), Fit(SIZE))
    assert [bool(0.6 <= shown[n] < 1.4) for n in numbers_of(clip)] == [True] * 3
    with pytest.raises(InputError, match=r"from 60 s to 61 s.*from 0 to 2\.6"):
        read_video(path, Window(3, 2, start=60, end=61), Fit(SIZE))


CORNERS = np.zeros((64, 96, 3), np.uint8)
CORNERS[:32, :48], CORNERS[:32, 48:], CORNERS[32:, :48] = 85, 170, 255
"""Upper left to lower right: 85, 170, 255, 0."""


@pytest.mark.parametrize(
    ("rotation", "mirrored", "shown"),
    [
        (None, False, [85, 170, 255, 0]),
        (-90, False, [255, 85, 0, 170]),
        (90, False, [170, 0, 85, 255]),
        (180, False, [0, 255, 170, 85]),
        (0, True, [170, 85, 0, 255]),
    ],
)
def test_frames_are_upright(rotation: float | None, mirrored: bool, shown: list[int], tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", [CORNERS] * 3, rotation=rotation, mirrored=mirrored)
    size = (96, 64) if rotation in (90, -90) else (64, 96)
    frame = read_video(path, Window(1, 1), Fit(size))[0]
    assert frame.shape == (*size, 3)
    corners = frame[[8, 8, -9, -9], [8, -9, 8, -9]].mean(axis=-1)
    np.testing.assert_allclose(corners, shown, atol=8)


def test_the_centre_that_covers_the_size_is_read(tmp_path: Path):
    stripes = np.repeat(np.arange(8, dtype=np.uint8) * 30, 24)[None, :, None]
    path = write_video(tmp_path / "wide.mp4", [np.tile(stripes, (64, 1, 3))] * 3)  # 64 × 192
    middle = read_video(path, Window(1, 1), Fit((32, 32)))[0, 16, :, 0]
    shown = np.rint(middle[[2, 8, 23, 29]] / 30)
    np.testing.assert_array_equal(shown, [2, 3, 4, 5])  # 96 of 192 columns would be too many: 64 are read
    assert read_video(path, Window(1, 1), Fit((17, 40))).shape == (1, 17, 40, 3)
    assert read_video(path, Window(1, 1), Fit((300, 100))).shape == (1, 300, 100, 3)


def cut_between_frames(folder: Path) -> Path:
    """Write the first half of an AVI file, whose every packet is whole."""
    path = write_video(folder / "clean.avi", codec="mjpeg")
    with av.open(str(path)) as file:
        positions = [packet.pos for packet in file.demux(video=0) if packet.size]
    return truncated(path, path, positions[30] / path.stat().st_size)


def broken(folder: Path) -> dict[str, Path]:
    """Write one file of every kind that cannot be used, by what the error must say."""
    good = write_video(folder / "good.mp4", options={"g": "12"})
    streaming = write_video(folder / "s.mp4", container={"movflags": "faststart"})
    matroska = write_video(folder / "good.mkv")
    fragments = write_video(folder / "f.mp4", container={"movflags": "frag_keyframe+empty_moov"})
    (folder / "empty.mp4").touch()
    (folder / "garbage.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    (folder / "text.mp4").write_text("not a video\n" * 50)
    (folder / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\ngood.ts\n")
    return {
        "is empty \\(0 bytes\\)": folder / "empty.mp4",
        "garbage.mp4 cannot be decoded": folder / "garbage.mp4",
        "text.mp4 is text, not a video": folder / "text.mp4",
        "list.mp4 is text, not a video or an image, and what it names is not opened": folder / "list.mp4",
        "encoded in a way that FFmpeg does not know": replaced(
            write_video(folder / "odd.mkv", 3), b"V_MPEG4/ISO/AVC", b"V_MPEG9/OSI/CVA"
        ),
        "has no video stream": write_audio(folder / "audio.mp4"),
        "gone.mp4 cannot be read: No such file": folder / "gone.mp4",
        "half.mp4 cannot be decoded": truncated(good, folder / "half.mp4", 0.5),
        "streaming.mp4 is truncated": truncated(streaming, folder / "streaming.mp4", 0.5),
        "half.mkv is truncated": truncated(matroska, folder / "half.mkv", 0.5),
        "half.avi .* truncated": truncated(write_video(folder / "a.avi"), folder / "half.avi", 0.5),
        "part.mp4 is truncated or damaged at frame": truncated(fragments, folder / "part.mp4", 0.5),
        "clean.avi is truncated: only 30 of its 60": cut_between_frames(folder),
        "hurt.mp4 is damaged": damaged(good, folder / "hurt.mp4", [0.2, 0.3, 0.4, 0.5, 0.6]),
    }


def replaced(path: Path, old: bytes, new: bytes) -> Path:
    """Replace some bytes of a file."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def test_names_inside_the_file_need_not_be_text(tmp_path: Path):
    path = replaced(write_video(tmp_path / "a.mkv", 3), b"Lavf", b"\xff\xfe\xff\xfe")
    assert numbers_of(read_video(path, Window(3, 1), Fit(SIZE))) == [0, 1, 2]


def test_what_cannot_be_used_says_so(tmp_path: Path):
    for message, path in broken(tmp_path).items():
        with pytest.raises(InputError, match=message) as error:
            read_video(path, Window(8, 7), Fit(SIZE))
        assert "\n" not in str(error.value)


def errors_noticed(path: Path) -> int:
    """Count the messages of FFmpeg and the frames that it marks, from the beginning to the end."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as messages, av.open(str(path)) as file:
            file.streams.video[0].thread_type = "NONE"
            marked = 0
            with contextlib.suppress(av.error.FFmpegError):
                for frame in file.decode(video=0):
                    marked += frame.is_corrupt
        return len(messages) + marked
    finally:
        av.logging.set_level(level)


@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.mp4"), ("mpeg4", "a.mp4"), ("mjpeg", "a.avi")])
def test_light_damage_is_refused_wherever_the_decoder_notices_it(codec: str, name: str, tmp_path: Path):
    """A few wrong bytes raise nothing in FFmpeg, but show in its messages."""
    y, x = np.mgrid[:96, :128] / 8
    waves = [128 + 60 * np.sin(x + 0.3 * t) + 60 * np.cos(y * np.sin(x / 5) - 0.2 * t) for t in range(24)]
    frames = [np.repeat(wave.astype(np.uint8)[..., None], 3, axis=-1) for wave in waves]
    good = write_video(tmp_path / name, frames, codec, {"g": "12"})
    assert errors_noticed(good) == 0
    assert read_video(good, Window(24, 1), Fit((96, 128))).shape == (24, 96, 128, 3)
    noticed = 0
    for place in np.linspace(0.1, 0.8, 15):
        path = damaged(good, tmp_path / f"hurt{good.suffix}", [float(place)])
        if errors_noticed(path):
            noticed += 1
            with pytest.raises(InputError, match=r"hurt\.\w+ is damaged (at|near) frame \d+"):
                read_video(path, Window(24, 1), Fit((96, 128)))
    assert noticed >= 5


def test_threads_do_not_mix_up_damage(tmp_path: Path):
    good = write_video(tmp_path / "good.mp4", options={"g": "12"})
    bad = damaged(good, tmp_path / "bad.mp4", [0.3, 0.5, 0.7])
    level = av.logging.get_level()

    def outcome(path: Path) -> bool:
        try:
            return len(read_video(path, Window(8, 7), Fit(SIZE))) == 8
        except InputError:
            return False

    paths = [good, bad] * 40
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(outcome, paths, timeout=60)) == [path is good for path in paths]
    assert av.logging.get_level() == level


@pytest.mark.parametrize("name", ["http:video.mkv", "%03d.mkv", "a*[b]?.mkv", "ünder scöre.mkv"])
def test_a_name_is_only_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_video(tmp_path / "plain.mkv", 3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert numbers_of(read_video(Path(name), Window(3, 1), Fit(SIZE))) == [0, 1, 2]


def write_image(path: Path, number: int) -> Path:
    import cv2

    assert cv2.imwrite(str(path), numbered(number))
    return path


@pytest.mark.parametrize("name", ["%03d.jpg", "b*.png", "c.bmp", "d.webp"])
def test_images(name: str, tmp_path: Path):
    write_image(tmp_path / f"000{Path(name).suffix}", 11)  # what %03d would stand for as a pattern
    path = write_image(tmp_path / name, 77)
    image = read_image(path, Fit(SIZE))
    assert (image.shape, number_of(image)) == ((*SIZE, 3), 77)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_broken_images(suffix: str, tmp_path: Path):
    path = write_image(tmp_path / f"whole{suffix}", 77)
    with pytest.raises(InputError, match=f"half{suffix}"):
        read_image(truncated(path, tmp_path / f"half{suffix}", 0.6), Fit(SIZE))
    (tmp_path / f"empty{suffix}").touch()
    with pytest.raises(InputError, match=r"is empty \(0 bytes\)"):
        read_image(tmp_path / f"empty{suffix}", Fit(SIZE))
