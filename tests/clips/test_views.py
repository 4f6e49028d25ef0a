import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.clips.sampling import frame_order
from sdmetrics.clips.views import PAIRS, clip_generator, draw_styles, draw_views, shuffled
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput

STYLES = ("a", "b", "c", "d")
VIDEO = ModelInput("video", frames=8)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 3), min_size=2, max_size=9))
def test_a_shuffle_shows_another_sequence_of_the_same_frames(seed, content):
    order, content = np.arange(len(content)), np.array(content)
    rng = np.random.default_rng(seed)
    if len(set(content.tolist())) < 2:
        with pytest.raises(InputError, match="cannot be shuffled"):
            shuffled(order, content, rng)
        return
    permuted = shuffled(order, content, rng)
    assert sorted(permuted) == sorted(order)
    assert not np.array_equal(content[permuted], content[order])


def test_every_other_sequence_is_equally_likely():
    rng = np.random.default_rng(0)
    drawn = [tuple(shuffled(np.arange(3), np.arange(3), rng).tolist()) for _ in range(5000)]
    counts = np.array([drawn.count(order) for order in set(drawn)])
    assert len(counts) == 5
    assert (abs(counts - 1000) < 5 * np.sqrt(1000)).all()


def test_every_ordered_pair_of_styles_is_equally_likely():
    drawn = [draw_styles(STYLES, clip_generator(0, f"clip {i}")) for i in range(6000)]
    counts = np.array([drawn.count(pair) for pair in set(drawn)])
    assert len(counts) == 12
    assert all(a != b for a, b in drawn)
    assert (abs(counts - 500) < 5 * np.sqrt(500)).all()


def test_views_depend_on_seed_and_clip_alone():
    def orders(seed, clip_id):
        views = draw_views("a", "b", [VIDEO], np.arange(8), clip_generator(seed, clip_id))
        return views[2].orders["video"].tolist()

    assert orders(0, "wave") == orders(0, "wave")
    assert len({tuple(orders(seed, clip)) for seed in range(3) for clip in ("wave", "jump", "run")}) == 9


def test_pairs_share_one_factor_only():
    views = draw_views("a", "b", [VIDEO], np.arange(8), clip_generator(0, "wave"))
    one, two = (views[i] for i in PAIRS["dynamic"])
    assert np.array_equal(one.orders["video"], two.orders["video"])
    assert one.style != two.style
    one, two = (views[i] for i in PAIRS["static"])
    assert not np.array_equal(one.orders["video"], two.orders["video"])
    assert one.style == two.style


def test_each_input_has_its_own_permutation():
    slow, fast = ModelInput("slow", frames=8), ModelInput("fast", frames=32)
    views = draw_views("a", "b", [slow, fast], np.arange(32), clip_generator(1, "wave"))
    assert views[0].orders["slow"].tolist() == frame_order(32, 8).tolist()
    ranks = np.argsort(np.argsort(views[2].orders["fast"][frame_order(32, 8)]))
    assert not np.array_equal(ranks, np.argsort(np.argsort(views[2].orders["slow"])))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layout": "NCTWX"}, "NCTWX.*expected one letter per axis"),
        ({"layout": "NCCHW"}, "NCCHW.*expected one letter per axis"),
        ({"frames": 0}, "frames of input .* is 0; expected at least 1"),
        ({"std": (0.2, 0, 0.2)}, r"std \(0\.2, 0\.0, 0\.2\); each must be above 0"),
        ({"layout": "NCHW"}, "no time axis.*frames=1"),
    ],
)
def test_a_model_input_says_what_is_wrong_with_it(settings, words):
    with pytest.raises(InputError, match=words):
        ModelInput("video", **settings)


def test_one_style_is_too_few():
    with pytest.raises(InputError, match="at least two different styles"):
        draw_styles(["a", "a"], np.random.default_rng(0))
