"""PairMoments against its naive twin, on friendly and on hostile arrays."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdmetrics.errors import InputError
from sdmetrics.metrics import _kernels
from sdmetrics.metrics.moments import NonFinite, PairMoments
from tests import naive

NAMES = ("mean1", "mean2", "m11", "m22", "m12")


def pairs(rows, units, dtype=np.float64, seed=0):
    z1, noise = np.random.default_rng(seed).standard_normal((2, rows, units))
    return z1.astype(dtype), (z1 + noise).astype(dtype)


def assert_matches_twin(moments, z1, z2, rtol=1e-10):
    scale = np.sqrt(np.multiply(*naive.pair_moments(z1, z2)[2:4]))
    for name, expected in zip(NAMES, naive.pair_moments(z1, z2), strict=True):
        atol = rtol * scale if name == "m12" else rtol * np.abs(np.asarray(z1, float)).max(initial=1)
        assert (np.abs(getattr(moments, name) - expected) <= rtol * np.abs(expected) + atol).all(), name
    assert moments.n == len(z1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize(("rows", "units"), [(1, 1), (2, 3), (5, 7), (64, 33), (301, 1024), (9, 1025), (7, 2500)])
def test_equals_the_naive_twin(rows, units, dtype):
    z1, z2 = pairs(rows, units, dtype)
    assert_matches_twin(PairMoments.from_arrays(z1, z2), z1, z2)


@pytest.mark.parametrize(
    "view",
    [
        lambda z: z[::3],
        lambda z: z[:, ::2],
        lambda z: z[::-1, ::-1],
        np.asfortranarray,
        lambda z: np.broadcast_to(z[:, :1], z.shape),
        lambda z: np.lib.stride_tricks.sliding_window_view(z.ravel(), 16)[::5],
    ],
    ids=["rows", "columns", "reversed", "fortran", "broadcast", "overlapping"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strides_do_not_matter(view, dtype):
    z1, z2 = (view(z) for z in pairs(60, 37, dtype))
    plain = PairMoments.from_arrays(np.array(z1, order="C"), np.array(z2, order="C"))
    assert PairMoments.from_arrays(z1, z2) == plain
    assert_matches_twin(plain, z1, z2)


def test_read_only_input_is_accepted_and_not_changed():
    z1, z2 = pairs(10, 5, np.float32)
    before = z1.copy()
    z1.flags.writeable = z2.flags.writeable = False
    assert PairMoments.from_arrays(z1, z2) == PairMoments.from_arrays(z1.copy(), z2.copy())
    np.testing.assert_array_equal(z1, before)


def test_float16_counts_exactly_as_float32():
    z1, z2 = pairs(50, 6, np.float16)
    half, single = PairMoments.from_arrays(z1, z2), PairMoments.from_arrays(z1.astype("f4"), z2.astype("f4"))
    for name in NAMES:
        np.testing.assert_array_equal(getattr(half, name), getattr(single, name))
    assert (half.eps, single.eps) == (np.finfo(np.float16).eps, np.finfo(np.float32).eps)


def test_mixed_dtypes_are_taken_in_the_finer_and_trusted_as_the_coarser():
    z1, z2 = pairs(50, 6)
    mixed = PairMoments.from_arrays(z1.astype("f4"), z2)
    assert mixed.eps == np.finfo(np.float32).eps
    np.testing.assert_array_equal(mixed.m22, PairMoments.from_arrays(z1, z2).m22)


def test_float32_at_a_large_offset_loses_nothing():
    z1, z2 = ((z + 1e6).astype(np.float32) for z in pairs(3000, 40))
    assert_matches_twin(PairMoments.from_arrays(z1, z2), z1, z2)
    stream = PairMoments(40)
    for i in range(0, 3000, 7):
        stream.update(z1[i : i + 7], z2[i : i + 7])
    assert_matches_twin(stream, z1, z2)


def test_one_firing_in_five_thousand():
    z1, z2 = np.zeros((2, 5000, 3), np.float32)
    z1[1234, 0] = z2[1234, 0] = 2.5
    z1[0, 1] = z2[0, 1] = 3.0
    z1[17, 2] = z2[4000, 2] = 1.0
    moments = PairMoments.from_arrays(z1, z2)
    assert_matches_twin(moments, z1, z2)
    r = moments.m12 / np.sqrt(moments.m11 * moments.m22)
    np.testing.assert_allclose(r, [1, 1, -1 / 4999], rtol=1e-9)


@pytest.mark.parametrize("value", [0.1, 3.25, 1e6, -7e-9])
def test_a_constant_has_no_variance_at_all(value):
    z = np.full((1001, 4), value, np.float32)
    moments = PairMoments(4)
    for i in range(0, 1001, 9):
        moments.update(z[i : i + 9], z[i : i + 9])
    assert not moments.m11.any()
    assert not moments.m12.any()
    np.testing.assert_array_equal(moments.mean1, z[0].astype(float))


def test_equal_members_have_equal_moments_bit_for_bit():
    z, _ = pairs(1003, 70, np.float32)
    moments = PairMoments.from_arrays(z, z)
    np.testing.assert_array_equal(moments.m11, moments.m12)
    np.testing.assert_array_equal(moments.m11, moments.m22)


def test_no_pairs():
    moments = PairMoments.from_arrays(np.empty((0, 4), np.float32), np.empty((0, 4), np.float32))
    assert moments == PairMoments(4)
    assert (moments.n, moments.eps) == (0, 0)
    assert moments.merge(moments) == moments


@settings(max_examples=60)
@given(
    data=st.data(),
    rows=st.integers(0, 60),
    units=st.integers(1, 20),
    offset=st.sampled_from([0.0, 1.0, -1e6]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_merging_and_streaming_any_split_equal_the_single_pass(data, rows, units, offset, dtype):
    if dtype == np.float16:
        offset = min(abs(offset), 1.0)
    z1, z2 = ((z + offset).astype(dtype) for z in pairs(rows, units, seed=rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, rows), max_size=6)))
    edges = [0, *cuts, rows]
    merged, stream = PairMoments(units), PairMoments(units)
    for start, stop in pairwise(edges):
        merged = merged.merge(PairMoments.from_arrays(z1[start:stop], z2[start:stop]))
        stream.update(z1[start:stop], z2[start:stop])
    if rows:
        assert_matches_twin(merged, z1, z2, rtol=1e-9)
        assert_matches_twin(stream, z1, z2, rtol=1e-9)
        assert merged.eps == stream.eps == np.finfo(dtype).eps
    else:
        assert merged == stream == PairMoments(units)


def test_merging_is_pure_and_repeats_bit_for_bit():
    z1, z2 = pairs(200, 30, np.float32)
    parts = [PairMoments.from_arrays(z1[i::7], z2[i::7]) for i in range(7)]
    stored = [PairMoments.from_state(part.to_arrays()) for part in parts]

    def total():
        whole = PairMoments(30)
        for part in parts:
            whole = whole.merge(part)
        return whole

    assert total() == total()
    assert parts == stored
    assert PairMoments(30).merge(parts[0]) == parts[0].merge(PairMoments(30)) == parts[0]


def test_merged_moments_share_no_memory():
    part = PairMoments.from_arrays(*pairs(5, 3))
    alone = PairMoments(3).merge(part)
    alone.mean1[:] = 99
    assert part.mean1.max() < 99


def test_inequality():
    z1, z2 = pairs(5, 3)
    moments = PairMoments.from_arrays(z1, z2)
    assert moments != PairMoments.from_arrays(z2, z1)
    assert moments != PairMoments(3)
    assert moments != PairMoments(2)
    assert moments != "moments"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("member", [0, 1])
@pytest.mark.parametrize("n", [0, 5])
def test_a_value_that_is_not_finite_is_named_and_nothing_is_added(bad, member, n):
    z = pairs(30, 9, np.float32)
    moments = PairMoments.from_arrays(z[0][:n], z[1][:n])
    before = PairMoments.from_state(moments.to_arrays())
    z[member][23, 4] = bad
    with pytest.raises(NonFinite, match=rf"unit 4 is {bad:g} in pair 23 .*finite") as caught:
        moments.update(*z)
    assert (caught.value.unit, caught.value.row) == (4, 23)
    assert moments == before
    z[member][23, 4] = 0
    moments.update(*z)
    assert moments.n == n + 30


def test_bad_values_in_the_first_row_are_found():
    z1, z2 = pairs(6, 4)
    z2[0, 3] = np.inf
    with pytest.raises(NonFinite, match="unit 3 is inf in pair 0"):
        PairMoments.from_arrays(z1, z2)


def test_values_too_large_to_be_squared_are_named():
    z1, z2 = pairs(6, 4)
    z1[2, 1] = -1e200
    with pytest.raises(NonFinite, match=r"unit 1 is -1e\+200 in pair 2"):
        PairMoments.from_arrays(z1, z2)


@pytest.mark.parametrize(
    ("z1", "z2", "message"),
    [
        (np.ones((3, 2), int), np.ones((3, 2)), "z1 has dtype int64; expected: float16, float32 or float64"),
        (np.ones((3, 2)), np.ones((3, 2), complex), "z2 has dtype complex128"),
        (np.ones((3, 2)), np.ones((3, 2), bool), "z2 has dtype bool"),
        (np.array([["a"]]), np.ones((1, 1)), "z1 has dtype <U1"),
        (np.ones((3, 2), np.longdouble), np.ones((3, 2)), "z1 has dtype float128"),
        (np.ones(3), np.ones(3), r"z1 has shape \(3,\); expected: \(pairs, units\)"),
        (np.ones((3, 2, 1)), np.ones((3, 2, 1)), "Pool all other axes"),
        (np.ones((3, 2)), np.ones((4, 2)), r"z1 has shape \(3, 2\), z2 \(4, 2\)"),
        (np.ones((3, 1)), np.ones((3, 2)), "expected: equal shapes"),
        (np.ones((3, 0)), np.ones((3, 0)), "units is 0; expected at least 1"),
    ],
)
def test_what_cannot_be_used_is_named(z1, z2, message):
    with pytest.raises(InputError, match=message):
        PairMoments.from_arrays(z1, z2)


def test_layers_are_not_mixed():
    with pytest.raises(InputError, match="the batch has 3 units, these moments 2"):
        PairMoments(2).update(np.ones((1, 3)), np.ones((1, 3)))
    with pytest.raises(InputError, match="2 and 3 units cannot be merged"):
        PairMoments(2).merge(PairMoments(3))


def test_stored_without_pickle_bit_for_bit(tmp_path):
    moments = PairMoments.from_arrays(*pairs(11, 6, np.float32))
    np.savez(tmp_path / "shard.npz", **moments.to_arrays())
    with np.load(tmp_path / "shard.npz", allow_pickle=False) as file:
        restored = PairMoments.from_state(file)
    assert restored == moments
    restored.update(*pairs(3, 6, np.float32))
    assert restored != moments


@pytest.mark.parametrize(
    "damage",
    [
        {"n": np.array(-1.0)},
        {"n": np.array(1.5)},
        {"n": np.array(np.nan)},
        {"eps": np.array(2.0)},
        {"moments": np.zeros((4, 3))},
        {"moments": np.zeros(5)},
        {"moments": np.full((5, 3), np.nan)},
        {"moments": np.full((5, 3), -1.0)},
        {"moments": np.array(["a"])},
        {"n": np.zeros(2)},
    ],
)
def test_damaged_moments_are_refused(damage):
    state = PairMoments.from_arrays(*pairs(4, 3)).to_arrays()
    with pytest.raises(InputError, match=r"[Cc]ompute them again"):
        PairMoments.from_state({**state, **damage})
    with pytest.raises(InputError, match=r"[Cc]ompute them again"):
        PairMoments.from_state({name: state[name] for name in state if name not in damage})


@pytest.fixture
def three_threads(monkeypatch):
    """Share even small batches among three threads."""
    monkeypatch.setattr(_kernels, "PARALLEL_FROM", 1)
    monkeypatch.setattr(_kernels, "UNITS_PER_THREAD", 8)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 3)


@pytest.mark.parametrize("units", [8, 24, 37, 100, 1031])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("three_threads")
def test_the_number_of_threads_does_not_change_a_bit(units, dtype, monkeypatch):
    z1, z2 = pairs(53, units, dtype)
    shared = PairMoments.from_arrays(z1, z2)
    shared.update(z2, z1)
    assert _kernels._threads(units) == min(3, units // 8)
    monkeypatch.setattr(_kernels, "PARALLEL_FROM", 1 << 60)
    alone = PairMoments.from_arrays(z1, z2)
    alone.update(z2, z1)
    assert shared == alone


@pytest.mark.usefixtures("three_threads")
def test_a_bad_value_is_found_by_whichever_thread_meets_it():
    for unit in (0, 20, 36):
        z1, z2 = pairs(8, 37)
        z2[5, unit] = np.nan
        with pytest.raises(NonFinite, match=f"unit {unit} is nan in pair 5"):
            PairMoments.from_arrays(z1, z2)


@pytest.mark.usefixtures("three_threads")
def test_several_threads_of_a_program_update_moments_at_once():
    z1, z2 = pairs(40, 64, np.float32)
    expected = PairMoments(64)
    for _ in range(50):
        expected.update(z1, z2)
    found = [PairMoments(64) for _ in range(4)]

    def work(moments):
        for _ in range(50):
            moments.update(z1, z2)

    threads = [threading.Thread(target=work, args=(moments,)) for moments in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_works_where_nothing_can_be_cached():
    code = "from sdmetrics import PairMoments\nprint(PairMoments.from_arrays([[1.0], [3.0]], [[1.0], [5.0]]).m12)"
    # Of numba's places for a cache, this one is never available to a module in a plain file.
    environment = {**os.environ, "NUMBA_CACHE_LOCATOR_CLASSES": "ZipCacheLocator"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[4.]", done.stderr


def test_import_compiles_nothing_and_needs_no_numba():
    code = "import sys; from sdmetrics.metrics import moments, bias, removal_mask; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
