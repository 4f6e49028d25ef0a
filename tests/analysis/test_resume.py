import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def worker(folder):
    return subprocess.Popen([sys.executable, "-m", "tests.workers.resume_worker", str(folder)], cwd=ROOT)


def test_a_run_killed_in_the_middle_resumes_to_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert worker(whole).wait() == 0

    process = worker(killed)
    deadline = time.monotonic() + 60
    while len(list(killed.glob("shards/*.npz"))) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
    kept = {path.name: path.stat().st_mtime_ns for path in killed.glob("shards/*.npz")}
    assert kept
    assert not (killed / "results.json").exists()

    assert worker(killed).wait() == 0
    assert (killed / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    assert (killed / "units.csv").read_bytes() == (whole / "units.csv").read_bytes()
    assert {name: (killed / "shards" / name).stat().st_mtime_ns for name in kept} == kept
