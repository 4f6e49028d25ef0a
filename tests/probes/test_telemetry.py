"""ONNX Runtime is not asked to report to its makers, and what the user has set is kept."""

import os
import subprocess
import sys

import pytest

SEEN_BY_THE_RUNTIME = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))
        return None
sys.meta_path.insert(0, Watch())
from sdmetrics.probes.session import runtime
runtime()
"""


@pytest.mark.parametrize(("before", "seen"), [(None, "1"), ("0", "0")])
def test_the_runtime_is_told_before_it_is_imported(before, seen):
    own = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = own | ({} if before is None else {"ORT_DISABLE_TELEMETRY": before})
    command = [sys.executable, "-c", SEEN_BY_THE_RUNTIME]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [seen]
