"""Files that are not opened, or not decoded: special files, playlists, text, and frames that no memory holds."""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, features

from sdmetrics._reading import UnreadableError, read_text
from sdmetrics.clips import media
from sdmetrics.clips.decode import decoded_image, image_size, read_image, read_video
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.flow.files import read_flow
from sdmetrics.clips.media import MOST_PIXELS, TEXT_SUFFIXES
from sdmetrics.clips.sampling import Window
from sdmetrics.errors import InputError
from tests.helpers.avif_tiles import write_tiles
from tests.helpers.requests import open_clips
from tests.helpers.videos import numbered, numbers_of, write_video

SIZE = (32, 64)
WINDOW = Window(2, 1)


def error_of(path: Path) -> str:
    """Return the one line with which a file is refused, as a video and as an image."""
    with pytest.raises(InputError) as video:
        read_video(path, WINDOW, Fit(SIZE))
    with pytest.raises(InputError) as image:
        read_image(path, Fit(SIZE))
    assert str(video.value) == str(image.value)
    assert "\n" not in str(video.value)
    return str(video.value)


def test_special_files_are_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "a.mp4")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "b.mp4"))
    (tmp_path / "c.mp4").symlink_to("/dev/zero")
    (tmp_path / "d.mp4").mkdir()
    for name, kind in {"a": "a FIFO", "b": "a socket", "c": "a device", "d": "a folder"}.items():
        assert f"{name}.mp4 is {kind}, not a file, and was not opened" in error_of(tmp_path / f"{name}.mp4")


def test_a_fifo_among_the_frames_of_a_folder(tmp_path: Path):
    for number in range(4):
        Image.fromarray(numbered(number)).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").unlink()
    os.mkfifo(tmp_path / "2.png")
    (clip,) = open_clips(tmp_path, frames=4, stride=1, size=SIZE)
    with pytest.raises(InputError, match=r"2\.png is a FIFO, not a file, and was not opened"):
        _ = clip.frames


def causes(error: BaseException) -> list[BaseException]:
    """Return an error and what led to it."""
    found = [error]
    while cause := found[-1].__cause__ or found[-1].__context__:
        found.append(cause)
    return found


@pytest.mark.parametrize("failures", [1, 2, 9])
def test_a_disk_that_does_not_answer_is_not_damage(failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """FFmpeg's reading fails the first times; after the second, the file itself is read."""
    path = write_video(tmp_path / "a.mp4", 4)
    decode = av.open
    left = [failures]

    def failing(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        if left[0] >= 0:
            raise av.error.OSError(errno.EIO, "Input/output error")
        return decode(*args, **kwargs)

    monkeypatch.setattr(av, "open", failing)
    if failures == 1:
        assert numbers_of(read_video(path, WINDOW, Fit(SIZE))) == [1, 2]
        return
    for answers in (True, False):
        left[0] = failures
        with monkeypatch.context() as patched:
            if not answers:
                patched.setattr(media, "_answers", lambda _: False)
            with pytest.raises(InputError, match=r"a\.mp4 cannot be decoded \(input/output error\)") as error:
                read_video(path, WINDOW, Fit(SIZE))
        assert any(isinstance(cause, OSError) for cause in causes(error.value)) != answers


def test_damage_that_ffmpeg_calls_an_error_of_the_disk_is_damage(tmp_path: Path):
    path = write_video(tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"a\.mkv cannot be decoded") as error:
        read_video(path, WINDOW, Fit(SIZE))
    assert not any(isinstance(cause, OSError) for cause in causes(error.value))


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:1,\ngood.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile good.ts\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>good.ts</BaseURL></MPD>\n',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "list": "good.ts 0\ngood.ts 1\n",
    "text": "not a video\n" * 99,
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".m3u8", ".ffconcat", ".mpd", ".sdp", ".txt", ".mp4", ".ts", ".ans", ""])
def test_playlists_and_text_are_not_followed(kind: str, suffix: str, tmp_path: Path):
    write_video(tmp_path / "good.ts")
    path = tmp_path / f"list{suffix}"
    path.write_text(PLAYLISTS[kind])
    assert "is text, not a video or an image, and what it names is not opened" in error_of(path)


@pytest.mark.parametrize("suffix", TEXT_SUFFIXES)
def test_a_video_with_the_name_of_a_text_is_not_decoded(suffix: str, tmp_path: Path):
    write_video(tmp_path / "a.mp4").rename(tmp_path / f"a{suffix}")
    assert f"a{suffix} is text, not a video" in error_of(tmp_path / f"a{suffix}")


def test_videos_of_lines_are_read(tmp_path: Path):
    """A raw video begins with a line of text."""
    path = tmp_path / "a.y4m"
    frames = b"".join(b"FRAME\n" + numbered(number)[..., 0].tobytes() for number in range(4))
    path.write_bytes(b"YUV4MPEG2 W128 H64 F25:1 Cmono\n" + frames)
    assert numbers_of(read_video(path, Window(4, 1), Fit(SIZE))) == [0, 1, 2, 3]


def huge_png(side: int, depth: int = 8) -> bytes:
    """Return the header of a huge image, and its first rows."""
    rows = zlib.compress(bytes(10 * (1 + 3 * side * depth // 8)))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, depth, 2, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def with_frames(path: Path, image: bytes, codec: str, side: int) -> Path:
    """Write a video whose two frames are the same file of an image."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width = side, side
        stream.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
        for number in range(2):
            packet = av.Packet(image)
            packet.pts = packet.dts = number
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), True
            file.mux(packet)
    return path


def jpeg_header(side: int) -> bytes:
    """Return the beginning of a JPEG: tables, then a header that promises an image."""
    start = b"\xff\xd8\xff\xdb\x00\x43\x00" + bytes([1] * 64)
    frame = struct.pack(">HHBHHB", 0xFFC0, 17, 8, side, side, 3) + b"\x01\x22\x00\x02\x11\x00\x03\x11\x00"
    return start + frame + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00" + bytes(2000) + b"\xff\xd9"


def bombs(folder: Path) -> dict[Path, int]:
    """Write small files that promise huge frames, with the length of their sides."""
    small = Image.new("P", (8, 8))
    small.save(folder / "a.gif", save_all=True, append_images=[Image.new("P", (8, 8), 1)])
    content = bytearray((folder / "a.gif").read_bytes())
    content[6:10] = struct.pack("<HH", 8000, 8000)
    (folder / "a.gif").write_bytes(content)
    (folder / "a.png").write_bytes(huge_png(12000))
    (folder / "b.png").write_bytes(huge_png(12000, depth=16))
    (folder / "a.jpg").write_bytes(jpeg_header(16000))
    (folder / "a.mjpeg").write_bytes(jpeg_header(16000) * 3)
    with_frames(folder / "a.mov", huge_png(12000), "png", 12000)
    with_frames(folder / "a.avi", jpeg_header(16000), "mjpeg", 16000)
    sides = {"a.gif": 8000, "a.png": 12000, "b.png": 12000, "a.jpg": 16000, "a.mjpeg": 16000, "a.mov": 12000}
    return {folder / name: side for name, side in sides.items()} | {folder / "a.avi": 16000}


def test_frames_over_the_limit_are_not_decoded(tmp_path: Path):
    for path, side in bombs(tmp_path).items():
        words = f"{path} has frames of {side} × {side} pixels; allowed: at most {MOST_PIXELS}. Scale them down"
        assert error_of(path) == words
        for read in (decoded_image, image_size):
            with pytest.raises(InputError) as error:
                read(path)
            assert str(error.value) == words


def test_frames_over_the_limit_take_no_memory(tmp_path: Path):
    """Decoded once, the largest would take 860 MB."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.webp", lossless=True)
    content = bytearray((tmp_path / "a.webp").read_bytes())
    assert content[20] == 0x2F
    content[21:24] = bytes([0xFF, 0xFE, 0xFF])  # 14 bits of the width - 1, and of the height - 1
    content[24] |= 0x0F
    (tmp_path / "a.webp").write_bytes(content)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.tiff")
    tags = (tmp_path / "a.tiff").read_bytes()
    for tag in (0x100, 0x101):
        old = struct.pack("<HHI", tag, 4, 1) + struct.pack("<I", 8)
        assert old in tags
        tags = tags.replace(old, old[:8] + struct.pack("<I", 12000))
    (tmp_path / "a.tiff").write_bytes(tags)
    files = [*bombs(tmp_path), tmp_path / "a.webp", tmp_path / "a.tiff"]
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from sdmetrics.clips.decode import read_image; from sdmetrics.errors import InputError\n"
        "from sdmetrics.clips.fit import Fit\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def refused(path):\n"
        "    try: read_image(Path(path), Fit((32, 32)))\n"
        "    except InputError as error: return str(MOST_PIXELS) in str(error)\n"
        "from sdmetrics.clips.media import MOST_PIXELS; import av; before = peak()\n"
        "assert all(list(map(refused, sys.argv[1:]))), [p for p in sys.argv[1:] if not refused(p)]\n"
        "print(peak() - before)"
    )
    command = [sys.executable, "-c", code, *map(str, files)]
    ran = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    unit = 1024 if sys.platform == "darwin" else 1
    assert int(ran.stdout) / unit < 150_000  # kB


def test_the_largest_frames_are_read(tmp_path: Path):
    """8K video, and a photograph of 50 million pixels."""
    for height, width in ((4320, 8192), (6120, 8160)):
        assert height * width <= MOST_PIXELS
        path = tmp_path / "a.png"
        path.write_bytes(b"")
        Image.new("L", (width, height)).save(path)
        assert image_size(path) == (height, width)


def test_narrow_frames_are_not_scaled_beyond_the_limit(tmp_path: Path):
    Image.fromarray(np.zeros((1, 40_000, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png has frames of 40000 × 1 pixels, which are scaled to 8960000 × 224"):
        read_image(tmp_path / "a.png", Fit((224, 224)))
    with pytest.raises(InputError, match=r"which FFmpeg cannot scale to 224 × 224 \(invalid argument\)"):
        read_image(tmp_path / "a.png", Fit((224, 224), resize=(224, 224)))
    assert read_image(tmp_path / "a.png", Fit((1, 224))).shape == (1, 224, 3)


def test_a_tile_is_not_taken_for_the_image(tmp_path: Path):
    if not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    dark, bright = (np.full((64, 64, 3), level, np.uint8) for level in (60, 200))
    path = write_tiles(tmp_path / "a.avif", [dark, bright])
    with Image.open(path) as image:
        assert image.size == (128, 64)
    assert error_of(path) == f"{path} is an image in tiles, which cannot be joined; convert it to JPEG or PNG"


@pytest.mark.parametrize(("name", "read"), [("a.mp4", image_size), ("a.flo", read_flow), ("a.txt", read_text)])
def test_a_file_that_permissions_hide_has_one_wording(
    name: str, read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / name).write_bytes(b"PIEH")
    monkeypatch.setattr(Path, "open", refuse)
    expected = f"{name} cannot be read: Permission denied. Check the path and its permissions"
    with pytest.raises(UnreadableError, match=f"{expected}$") as error:
        read(tmp_path / name)
    assert any(isinstance(cause, PermissionError) for cause in causes(error.value))
