"""Experiment trackers that are kept from the network, and write to a folder of the test."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@contextmanager
def kept_offline(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """While the block runs, trackers write to this folder only.

    Python connects to this machine only, and what other processes of a tracker would send goes to a proxy that takes
    note of it.
    """
    sent: list[str] = []
    connect = socket.socket.connect

    def local(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and address[0] not in LOOPBACK:  # type: ignore[index]
            sent.append(f"connection to {address}")
            raise OSError(f"no connection to {address} in tests")
        connect(self, address)  # type: ignore[arg-type]

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        threading.Thread(target=_take_note, args=(proxy, sent), daemon=True).start()
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, url)
            monkeypatch.setenv(name.lower(), url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, ",".join(LOOPBACK))
        for name, value in {
            "WANDB_MODE": "offline",
            "WANDB_DIR": str(folder),
            "WANDB_CACHE_DIR": str(folder / "cache"),
            "WANDB_CONFIG_DIR": str(folder / "config"),
            "WANDB_DATA_DIR": str(folder / "data"),
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_SILENT": "true",
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(),
            "DO_NOT_TRACK": "true",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TRACKIO_DIR": str(folder / "trackio"),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(socket.socket, "connect", local)
        for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
            monkeypatch.delitem(sys.modules, name)  # it reads its folder when it is imported
        yield
        if wandb := sys.modules.get("wandb"):
            wandb.teardown()  # it reads its folder when its service starts
    assert not sent, f"sent over the network: {sent}"


def _take_note(proxy: socket.socket, sent: list[str]) -> None:
    """Note the first line of every request, and leave it unanswered."""
    while True:
        try:
            request, _ = proxy.accept()
        except OSError:  # closed: the test is over
            return
        with request:
            sent.append(request.recv(200).decode(errors="replace").partition("\r\n")[0])
