import os
import socket

import pytest

from sdmetrics._reading import read_json, read_text, regular_file
from sdmetrics._text import printable
from sdmetrics.errors import InputError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x07\x9b\r\n", r"\x07\x9b\r\n"),
        ("\u202egpj", r"\u202egpj"),
        ("\udc80", r"\udc80"),
        ("[red]é日本", "[red]é日本"),
    ],
)
def test_hidden_characters_are_escaped(text, shown):
    assert printable(text) == shown


def test_special_files_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.mp4"))
        for name, kind in [("fifo.mp4", "a FIFO"), ("socket.mp4", "a socket"), ("", "a folder")]:
            with pytest.raises(InputError, match=f"is {kind}, not a file"):
                regular_file(tmp_path / name)
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="is a device"):
        read_text(tmp_path / "link")
    for missing in (tmp_path / "nothing", "a\0b"):
        with pytest.raises(InputError, match="cannot be read"):
            regular_file(missing)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "nests too deeply"),
        (b"9" * 5000, "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe{}", "is not UTF-8 text"),
    ],
)
def test_json_that_is_none(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "a.json")


def test_more_than_the_limit_is_not_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"12345")
    assert read_text(tmp_path / "a.txt", limit=5) == "12345"
    with pytest.raises(InputError, match="has 5 bytes; at most 4 are read"):
        read_text(tmp_path / "a.txt", limit=4)
