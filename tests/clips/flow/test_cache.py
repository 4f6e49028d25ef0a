"""The flow cache on disk: the same bits at every call, replaced if the file is damaged."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sdmetrics.clips.flow.cache import cached
from sdmetrics.errors import InputError

VECTORS = np.random.default_rng(0).normal(0, 3, (2, 5, 4, 2)).astype(np.float32)
CODED = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)


class Counted:
    """A loader that counts how often it is called."""

    def __init__(self, flow):
        self.flow, self.calls = flow, 0

    def __call__(self):
        self.calls += 1
        return self.flow


def vectors():
    return VECTORS


@pytest.mark.parametrize("flow", [VECTORS, CODED, np.asfortranarray(VECTORS), VECTORS[:, ::-1]])
def test_the_first_call_gives_the_bits_of_all_later_ones(tmp_path: Path, flow):
    load = Counted(flow)
    results = [cached(load, tmp_path, "clip", 224)() for _ in range(3)]
    assert load.calls == 1
    for result in results:
        assert result.dtype == flow.dtype
        assert result.tobytes() == results[0].tobytes()
        assert result.flags.writeable
        assert result.flags.c_contiguous
    np.testing.assert_allclose(results[0], flow, rtol=2**-11)
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".npy"
    np.testing.assert_array_equal(np.load(file, allow_pickle=False), results[0])


def test_nothing_is_loaded_or_written_before_it_is_asked_for(tmp_path: Path):
    load = Counted(VECTORS)
    kept = cached(load, tmp_path / "new" / "folder", "clip")
    assert load.calls == 0
    assert list(tmp_path.iterdir()) == []
    kept()
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 1


def test_another_key_is_another_file(tmp_path: Path):
    keys = [("a", "b"), ("ab",), ("a", "b", 1), ("a", "b", "1"), ("a', 'b",), ("b", "a"), (), ("a",)]
    for number, key in enumerate(keys):
        cached(Counted(np.full((1, 1, 1, 2), number, np.float32)), tmp_path, *key)()
    assert len(list(tmp_path.iterdir())) == len(keys)
    for number, key in enumerate(keys):
        assert cached(Counted(VECTORS), tmp_path, *key)().max() == number


def test_a_damaged_file_is_made_anew(tmp_path: Path):
    load = Counted(VECTORS)
    kept = cached(load, tmp_path, "clip")
    whole = kept()
    (file,) = tmp_path.iterdir()
    content, rng = file.read_bytes(), np.random.default_rng(0)
    damaged = [content[:length] for length in (0, 1, 31, 32, 33, 100, len(content) - 1)]
    damaged += [content + b"0", bytes(len(content)), b"x" * 500]
    for place in [0, len(content) - 1, *rng.integers(0, len(content), 60).tolist()]:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(changed))
    for number, bad in enumerate(damaged):
        file.write_bytes(bad)
        assert kept().tobytes() == whole.tobytes()
        assert load.calls == number + 2
        assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


def test_clips_are_kept_by_several_threads_at_once(tmp_path: Path):
    loads = [cached(vectors, tmp_path, "clip", number % 3) for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda load: load(), loads))
    assert {result.tobytes() for result in results} == {VECTORS.astype(np.float16).astype(np.float32).tobytes()}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_kept_loader_goes_to_another_process(tmp_path: Path):
    load = pickle.loads(pickle.dumps(cached(vectors, tmp_path, "clip")))  # noqa: S301
    np.testing.assert_array_equal(load(), cached(vectors, tmp_path, "clip")())


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e5])
def test_what_cannot_be_kept_is_named(tmp_path: Path, value: float):
    flow = VECTORS.copy()
    flow[0, 0, 0, 0] = value
    with pytest.raises(InputError, match="flow has components that are not finite or above 65504 pixels"):
        cached(lambda: flow, tmp_path, "clip")()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"cannot write to the folder .*file"):
        cached(vectors, tmp_path / "file", "clip")()


def test_an_error_of_the_loader_is_not_kept(tmp_path: Path):
    def fail():
        raise InputError("no such video")

    with pytest.raises(InputError, match="no such video"):
        cached(fail, tmp_path, "clip")()
    np.testing.assert_allclose(cached(vectors, tmp_path, "clip")(), VECTORS, rtol=2**-11)
