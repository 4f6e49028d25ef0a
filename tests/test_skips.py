"""Skipped tests are listed at the end of a run, each reason once."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from tests.helpers.skips import skips_by_reason

ROOT = Path(__file__).resolve().parents[1]


def test_each_reason_is_listed_once():
    reports = [SimpleNamespace(longrepr=("a.py", 1, f"Skipped: {why}")) for why in ("no GPU", "no Chromium", "no GPU")]
    assert skips_by_reason(reports) == ["1 skipped: no Chromium", "2 skipped: no GPU"]


def test_a_quiet_run_ends_with_the_list(tmp_path):
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary\n")
    (tmp_path / "test_a.py").write_text(
        "import pytest\n\n"
        "def test_a(): pytest.skip('no GPU')\n\n"
        "@pytest.mark.skipif(True, reason='no GPU')\ndef test_b(): ...\n\n"
        "def test_c(): ...\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert "2 skipped: no GPU" in run.stdout.splitlines(), run.stdout + run.stderr
