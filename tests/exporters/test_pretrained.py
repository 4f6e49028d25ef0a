"""Published weights are downloaded once, checked, and a network that is not there is one line."""

from __future__ import annotations

import hashlib
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sdmetrics.errors import InputError
from sdmetrics.exporters._weights import pretrained
from sdmetrics.exporters._weights.pretrained import open_pretrained
from sdmetrics.exporters.architectures import pytorchvideo, torchvision
from sdmetrics.exporters.architectures.architecture import Architecture
from tests.exporters.test_checkpoints import TINY, message, network, same


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def published(path: Path, name: str = "tiny.pyth") -> tuple[Architecture, dict[str, torch.Tensor]]:
    """The tiny architecture with its weights at an address."""
    state = network().state_dict()
    torch.save({"model_state": state}, path / name)
    return replace(TINY, weights=(path / name).as_uri()), state


def test_weights_come_from_their_address_once(tmp_path: Path, cache: Path) -> None:
    row, state = published(tmp_path)
    assert same(open_pretrained(row)[0], state)
    (tmp_path / "tiny.pyth").unlink()
    assert [path.name for path in cache.iterdir()] == ["tiny.pyth"]
    assert same(open_pretrained(row)[0], state)


def test_the_hash_in_a_name_is_checked(tmp_path: Path) -> None:
    row, state = published(tmp_path)
    content = (tmp_path / "tiny.pyth").read_bytes()
    right = tmp_path / f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    wrong = tmp_path / "tiny-00000000.pth"
    right.write_bytes(content)
    wrong.write_bytes(content)
    assert same(open_pretrained(replace(row, weights=right.as_uri()))[0], state)
    said = message(lambda: open_pretrained(replace(row, weights=wrong.as_uri())))
    assert "invalid hash value" in said
    assert "--checkpoint FILE" in said


def test_a_broken_file_in_the_cache_is_named(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "tiny.pyth").write_bytes(b"cut")
    said = message(lambda: open_pretrained(replace(TINY, weights="https://example.org/tiny.pyth")))
    assert "is not a usable checkpoint" in said
    assert f"Delete it if it is in {cache}" in said


def test_no_published_weights() -> None:
    assert "has no published weights. Pass your own with --checkpoint FILE" in message(lambda: open_pretrained(TINY))


def test_without_a_network_one_line_names_the_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/tiny.pyth"
        said = message(lambda: open_pretrained(replace(TINY, weights=address)))
    assert said.startswith(f"{address} cannot be downloaded (")
    assert "Download it elsewhere and pass it with --checkpoint FILE" in said


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/tiny.pyth"
        started = time.monotonic()
        said = message(lambda: open_pretrained(replace(TINY, weights=address)))
    assert "timed out" in said
    assert time.monotonic() - started < 60
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("row", [*pytorchvideo.ROWS, *torchvision.ROWS], ids=lambda row: row.name)
def test_every_row_says_where_its_weights_are_or_that_there_are_none(
    row: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def offline(url: str, **_options: object) -> None:
        asked.append(url)
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(InputError, match=r"cannot be downloaded \(no network\)|has no published weights"):
        open_pretrained(row)
    assert len(asked) == bool(row.weights)
    assert all(url.startswith("https://") and url.endswith((".pyth", ".pth")) for url in asked)
