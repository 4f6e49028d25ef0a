"""Files that readers see whole or not at all, whatever happens to their writer."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sdmetrics._files import check_is_file, load_npz, replacing, save_npz, writable_folder, write_json
from sdmetrics._temporary import remove_leftovers
from sdmetrics.errors import InputError

LEFT = ".a-1f2e3d4c.json"


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_folder_after(tmp_path, monkeypatch):
    """Else a power loss may leave an empty file under the name."""
    happened = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor):
        happened.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def renamed(path, target):
        happened.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    with replacing(tmp_path / "a.json") as temporary:
        temporary.write_text("{}")
    assert happened == [(tmp_path / "a.json").stat().st_ino, "rename", tmp_path.stat().st_ino]


def test_what_killed_writers_left_is_removed_and_other_files_stay(tmp_path):
    kept = [".a-1f2e3d4.json", ".a-1f2e3d4G.json", "a-1f2e3d4c.json", ".b", ".a-1f2e3d4c.json.old.json"]
    for name in (LEFT, ".units-00000000.csv", *kept):
        (tmp_path / name).touch()
    (tmp_path / ".folder-1f2e3d4c").mkdir()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, ".folder-1f2e3d4c"])


def test_a_writer_removes_what_was_left_of_its_own_target_only(tmp_path):
    other = tmp_path / ".b-1f2e3d4c.json"
    for path in (tmp_path / LEFT, other):
        path.touch()
    write_json(tmp_path / "a.json", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "a.json"]


def test_the_file_of_a_living_writer_is_never_removed(tmp_path):
    code = (
        "import sys; from pathlib import Path; from sdmetrics._files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('whole'); print(temporary.name, flush=True); sys.stdin.read()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    temporary = tmp_path / writer.stdout.readline().strip()
    remove_leftovers(tmp_path)
    assert temporary.read_text() == "whole"
    writer.kill()
    writer.wait()
    assert temporary.exists()
    remove_leftovers(tmp_path)
    assert not temporary.exists()
    writer.stdin.close()
    writer.stdout.close()


def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with (
        pytest.raises(InputError, match=r"cannot write .*a\.json: No space left on device\. Make room"),
        replacing(tmp_path / "a.json"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert "old" in (tmp_path / "a.json").read_text()


def test_a_folder_where_a_file_is_needed_and_the_reverse(tmp_path):
    with pytest.raises(InputError, match="is a folder, and a file is to be written there"):
        check_is_file(tmp_path)
    with pytest.raises(InputError, match="is a folder"):
        write_json(tmp_path, {})
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=r"cannot write to the folder .*: it is a file, or lies in one"):
            writable_folder(folder)


def test_names_that_are_not_utf8_are_written(tmp_path):
    assert "\\udcff" in write_json(tmp_path / "a.json", {"id": "clip-\udcff.mp4"}).read_text(encoding="utf-8")


def test_arrays_are_read_only_where_no_member_claims_more_than_the_file_holds(tmp_path):
    path = tmp_path / "a.npz"
    save_npz(path, {"used": 1}, {"x": b""})
    assert load_npz(path)[0] == {"used": 1}
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    assert load_npz(path) is None
    path.unlink()
    os.mkfifo(path)
    assert load_npz(path) is None
