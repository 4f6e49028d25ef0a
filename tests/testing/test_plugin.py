"""The pytest plugin as a test suite meets it, in sessions of pytest of its own, and its page, docs/ci.md.

`test_docs.py` runs the page's commands of sdmetrics.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sdmetrics.demo import demo_model
from sdmetrics.testing import RunCache, assert_bias

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
HEAVY = {"numpy", "numba", "torch", "onnx", "onnxruntime", "av", "cv2", "sdmetrics"}


@pytest.fixture
def session(demo, pytester):  # noqa: ARG001  see demo
    """Run a session of pytest on a test file, beside a model; return its result."""
    with demo_model("motion") as path:
        shutil.copy(path, pytester.path / "model.onnx")

    def run(code, *arguments):
        pytester.makepyfile(test_bias=code)
        return pytester.runpytest("-p", "pytest_static_dynamic", "-q", *arguments)

    return run


MEASURES = """
    from sdmetrics.testing import assert_bias

    def test_motion(static_dynamic_run):
        run = static_dynamic_run("model.onnx", "world:20", seed=1)
        assert static_dynamic_run("model.onnx", "world:20", seed=1) is run
        assert static_dynamic_run("model.onnx", "world:20", seed=1, threshold=0.4).threshold == 0.4
        assert_bias(run, "stage4.dynamic >= 1")
"""


def test_a_run_is_measured_once_and_resumed_by_the_next_session(session, pytester, monkeypatch):
    from sdmetrics.analysis.measurement import Measurement

    measured = []
    make = Measurement.make
    monkeypatch.setattr(Measurement, "make", lambda self, *rest: measured.append(1) or make(self, *rest))
    assert session(MEASURES).ret == 0
    (run,) = (pytester.path / ".pytest_cache" / "d" / "static-dynamic-metrics").glob("*/results.json")
    shards = len(list((run.parent / "shards").glob("*.npz")))
    assert len(measured) == shards > 0
    assert (run.parent / "report.html").exists()
    assert session(MEASURES).ret == 0
    assert len(measured) == shards
    with demo_model("appearance") as other:
        shutil.copy(other, pytester.path / "model.onnx")
    session(MEASURES)
    assert len(measured) == 2 * shards


def test_without_the_cache_of_pytest_a_run_is_kept_for_the_session(session, pytester):
    assert session(MEASURES, "-p", "no:cacheprovider").ret == 0
    assert not (pytester.path / ".pytest_cache").exists()


def test_a_failure_says_what_was_required_and_measured(session, demo):
    done = session(f"""
        from sdmetrics.testing import assert_bias

        def test_motion():
            run = {str(demo / "motion")!r}
            assert_bias(run, "stage4.dynamic >= 95", bound=True)
    """)
    done.assert_outcomes(failed=1)
    done.stdout.re_match_lines(
        [
            r">\s+assert_bias\(run, .stage4.dynamic >= 95., bound=True\)",
            r"E\s+AssertionError: stage4\.dynamic >= 95 does not hold",
            r"E\s+measured: \d+\.\d \[\d+\.\d, \d+\.\d\] \(percent of Eq\. 1; in brackets: 95 % interval\)",
            r"E\s+compared: \d+\.\d, the least favourable bound",
            r"E\s+run: .*, 60 clips used, 0 skipped, seed 0",
            r"E\s+folder: .*motion",
            r"E\s+layer +units +dynamic % +static % .*",
            r"E\s+stem .*",
            r"E\s+> stage4 +\d+ +\d.*",
        ]
    )
    done.stdout.no_fnmatch_line("*assertions.py*")


def test_a_mistake_is_one_line(session):
    done = session(
        """
        from sdmetrics.testing import assert_bias

        def test_path(static_dynamic_run):
            static_dynamic_run("gone.onnx", "world:20")

        def test_out(static_dynamic_run):
            static_dynamic_run("model.onnx", "world:20", out="here")

        def test_baseline(bias_baseline): ...
        """,
        "--bias-baseline=nowhere",
    )
    done.assert_outcomes(failed=2, errors=1)
    done.stdout.fnmatch_lines(
        [
            "InputError: nowhere does not exist; pass the folder *",
            "InputError: model gone.onnx does not exist*",
            "InputError: out is decided by *",
        ]
    )
    done.stdout.no_fnmatch_line("*During handling*")
    done.stdout.no_fnmatch_line("*run_cache.py*")


BASELINE = """
    import sdmetrics as sd
    from sdmetrics.testing import assert_not_worse

    def test_not_worse(bias_baseline):
        assert_not_worse(RUN, "stage4.dynamic", max_drop=5, baseline=bias_baseline)
"""


def test_a_run_is_compared_with_the_baseline_of_the_option(session, demo):
    skipped = session(BASELINE, "-rs")
    skipped.assert_outcomes(skipped=1)
    skipped.stdout.fnmatch_lines(["*there is no baseline; pass --bias-baseline RUN"])
    same = BASELINE.replace("RUN", repr(str(demo / "motion")))
    session(same, f"--bias-baseline={demo / 'motion'}").assert_outcomes(passed=1)
    worse = session(
        BASELINE.replace("RUN", repr(str(demo / "appearance"))), f"--bias-baseline={demo / 'motion'}", "-Wignore"
    )
    worse.assert_outcomes(failed=1)
    worse.stdout.fnmatch_lines(["E*AssertionError: worse: stage4.dynamic at most 5 lower (*", "E*> stage4 *"])


def test_a_session_that_uses_no_fixture_loads_nothing(tmp_path):
    """No other suite of an environment gets slower or noisier: not even NumPy is imported."""
    (tmp_path / "test_a.py").write_text(
        "import sys\n\n"
        "def test_a():\n"
        "    assert 'pytest_static_dynamic' in sys.modules\n"
        f"    assert not {HEAVY} & {{name.partition('.')[0] for name in sys.modules}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "pytest_static_dynamic", "-W", "error", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = [line for line in done.stdout.splitlines() if not line.startswith(("plugins: ", "rootdir: "))]
    assert not [line for line in printed if "static" in line]
    assert not (tmp_path / ".pytest_cache" / "d" / "static-dynamic-metrics").exists()


@pytest.mark.all
def test_the_processes_of_xdist_measure_a_run_once(session, pytester):
    session(
        """
        from pathlib import Path

        import pytest

        from sdmetrics.analysis.measurement import Measurement

        @pytest.mark.parametrize("number", range(2))
        def test_motion(static_dynamic_run, monkeypatch, number):
            measured, make = [], Measurement.make
            monkeypatch.setattr(Measurement, "make", lambda self, *rest: measured.append(1) or make(self, *rest))
            static_dynamic_run("model.onnx", "world:40")
            Path(f"{number}.txt").write_text(str(len(measured)))
        """,
        "--numprocesses=2",
    ).assert_outcomes(passed=2)
    (run,) = (pytester.path / ".pytest_cache" / "d" / "static-dynamic-metrics").glob("*/results.json")
    counts = sorted(int((pytester.path / f"{number}.txt").read_text()) for number in range(2))
    assert counts == [0, len(list((run.parent / "shards").glob("*.npz")))]


def test_the_example_of_the_page_passes(demo, pytester):
    shutil.copytree(demo, pytester.path / "demo")
    code = re.search(r"```python\n# (test_\w+)\.py\n(.*?)```", PAGE, re.DOTALL)
    command = shlex.split(re.search(r"^\$ python -m pytest (.*)$", PAGE, re.MULTILINE)[1])
    assert command[0] == f"{code[1]}.py"
    (pytester.path / command[0]).write_text(code[2])
    pytester.runpytest("-p", "pytest_static_dynamic", *command).assert_outcomes(passed=2)


def test_a_failure_is_as_the_page_shows_it(demo, tmp_path):
    """But for digits, which other processors may round to their neighbours, and the folder."""
    run = RunCache(tmp_path)(demo / "motion" / "model.onnx", "world:60")
    with pytest.raises(AssertionError) as failure:
        assert_bias(run, "stage4.dynamic >= 95", bound=True)
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]
    assert lines_without_digits(str(failure.value)) == lines_without_digits(shown)


def lines_without_digits(text):
    lines = [line.split() for line in re.sub(r"\d+(\.\d+)?", "#", text).splitlines()]
    return [words for words in lines if words[:1] != ["folder:"]]


@pytest.mark.parametrize("name", ["static_dynamic_run", "bias_baseline", "assert_bias", "assert_not_worse"])
def test_the_page_names_all_that_there_is(name):
    assert f"`{name}" in PAGE
