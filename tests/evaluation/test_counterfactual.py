"""Counterfactual inference: a prediction less what the same frames say in a random order."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from sdmetrics.clips.generated.world import APPEARANCES, world_clips
from sdmetrics.clips.manipulations.manipulate import manipulated
from sdmetrics.demo import demo_model
from sdmetrics.errors import InputError
from sdmetrics.evaluation.classification import evaluate
from sdmetrics.evaluation.counterfactual import (
    CURVE,
    LEAST,
    Counterfactual,
    counterfactual_of,
    log_probabilities,
)
from sdmetrics.loading.open import open_model
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import jackknife, mean_replicates
from tests.evaluation.test_classification import RAMP, brightness, classifier, ends, ramp, still

CLIPS = [ramp(number) for number in range(24)]


def mixed(frames):
    """Mostly blind to the order, which decides a part of the clips."""
    return brightness(frames) / 40 + ends(frames) / 100


def softmax(scores):
    powers = np.exp(np.asarray(scores, np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def by_hand(function, alpha, shuffles, seed):
    """Return for each clip whether it is right, written as the formula."""
    model = classifier(function)
    right = []
    for clip in CLIPS:
        plain = softmax(function(clip.frames[None].astype(np.float32)))[0]
        of_shuffles = []
        for number in range(shuffles):
            view, shown = manipulated("shuffle", clip, seed + number, model.inputs)
            frames = shown["rgb"][view.orders[model.inputs[0].name]][None].astype(np.float32)
            of_shuffles.append([math.log(p) for p in softmax(function(frames))[0]])
        scores = [math.log(p) - alpha * sum(logs) / shuffles for p, *logs in zip(plain, *of_shuffles, strict=True)]
        right.append(float(max(range(len(scores)), key=scores.__getitem__) == RAMP[clip.label]))
    return right


@pytest.mark.parametrize(("alpha", "shuffles"), [(0.5, 3), (1.0, 1), (2.5, 2)])
def test_it_is_the_formula_computed_by_hand(alpha, shuffles):
    found = evaluate(classifier(mixed), CLIPS, RAMP, counterfactual=Counterfactual(alpha, shuffles), seed=4)
    groups = np.array([group_of(clip.content) for clip in CLIPS])
    plain = np.array([row["in_order"]["top1"] for row in found.clips], float)
    subtracted = np.array(by_hand(mixed, alpha, shuffles, seed=4))
    counter = found.counterfactual
    assert (counter["alpha"], counter["shuffles"]) == (alpha, shuffles)
    assert counter["top1"]["value"] == subtracted.mean()
    assert counter["gain"]["top1"]["value"] == pytest.approx(subtracted.mean() - plain.mean(), abs=1e-12)
    low, high = jackknife(mean_replicates(subtracted, groups) - mean_replicates(plain, groups))
    assert counter["gain"]["top1"]["ci95"] == pytest.approx([max(low, -1), min(high, 1)], abs=1e-9)
    curve = {point["alpha"]: point["top1"] for point in counter["curve"]}
    assert list(curve) == sorted({*CURVE, alpha})
    assert curve[alpha] == counter["top1"]
    assert curve[0.0] == found.scores["in_order"]["top1"], "a weight of 0 changes nothing"


def test_it_finds_the_motion_that_appearance_drowns():
    # Brightness names the wrong class, as where a shortcut of the training does not hold.
    found = evaluate(
        classifier(lambda frames: ends(frames) / 10 - brightness(frames) / 5), CLIPS, RAMP, counterfactual=1.0
    )
    assert found.scores["in_order"]["top1"]["value"] < 0.5
    assert found.counterfactual["top1"]["value"] > 0.9
    assert found.counterfactual["gain"]["top1"]["ci95"][0] > 0


def test_a_model_blind_to_order_only_loses():
    found = evaluate(classifier(brightness), CLIPS, RAMP, counterfactual=0.5)
    assert found.counterfactual["gain"]["top1"]["value"] == 0, "half of the same log p is subtracted from each class"


def test_another_weight_needs_no_run_and_other_shuffles_do(tmp_path):
    out = tmp_path / "scores.json"
    first = evaluate(classifier(mixed), CLIPS, RAMP, counterfactual=0.5, out=out)
    again = classifier(mixed)
    second = evaluate(again, CLIPS, RAMP, counterfactual=0.9, out=out)
    assert again.batches == []
    assert second.counterfactual == evaluate(classifier(mixed), CLIPS, RAMP, counterfactual=0.9).counterfactual
    assert first.counterfactual["alpha"] == 0.5
    assert json.loads(out.read_text(), parse_constant=pytest.fail)["counterfactual"] == second.counterfactual
    evaluate(again, CLIPS, RAMP, counterfactual=Counterfactual(0.9, shuffles=2), out=out)
    assert again.batches != []
    plain = evaluate(again, CLIPS, RAMP, out=out)
    assert "counterfactual" not in json.loads(out.read_text())
    assert plain.scores == first.scores


def test_parts_and_manipulations_beside_it_change_nothing(tmp_path):
    whole = evaluate(classifier(mixed), CLIPS, RAMP, counterfactual=0.5, seed=2)
    for part in ("1/2", "2/2"):
        evaluate(classifier(mixed), CLIPS, RAMP, counterfactual=0.5, seed=2, out=tmp_path / "a.json", part=part)
    added = evaluate(classifier(mixed), CLIPS, RAMP, counterfactual=0.5, seed=2, out=tmp_path / "a.json")
    assert added.counterfactual == whole.counterfactual
    more = evaluate(
        classifier(mixed), CLIPS, RAMP, counterfactual=0.5, seed=2, shuffle=True, manipulate=["reverse", "shuffle"]
    )
    assert more.counterfactual == whole.counterfactual
    alone = evaluate(classifier(mixed), CLIPS, RAMP, seed=2, shuffle=True, manipulate=["reverse", "shuffle"])
    assert (more.manipulated, more.scores, more.clips) == (alone.manipulated, alone.scores, alone.clips)


def test_a_clip_that_no_shuffle_changes_is_skipped():
    found = evaluate(classifier(mixed), [*CLIPS, still()], RAMP, counterfactual=0.5)
    assert [row["id"] for row in found.skipped] == ["still"]


def test_logits_and_probabilities_of_one_model_give_the_same():
    logits = evaluate(classifier(mixed), CLIPS, RAMP, counterfactual=0.5)
    shares = evaluate(classifier(lambda frames: softmax(mixed(frames))), CLIPS, RAMP, counterfactual=0.5)
    assert (logits.scored["scores"], shares.scored["scores"]) == ("logits", "probabilities")
    assert shares.counterfactual == logits.counterfactual


def test_scores_that_may_be_either_are_asked_about():
    def sigmoid(frames):
        return 1 / (1 + np.exp(-mixed(frames) - 1))

    with pytest.raises(InputError, match=r"add up to 1\.\d+, so they may be .* --logits or --probabilities"):
        evaluate(classifier(sigmoid), CLIPS, RAMP, counterfactual=0.5)
    for logits, kind in ((True, "logits"), (False, "probabilities")):
        found = evaluate(classifier(sigmoid), CLIPS, RAMP, counterfactual=Counterfactual(0.5, logits=logits))
        assert found.scored["scores"] == kind

    def confused(frames):
        bright = frames.mean((1, 2, 3, 4))[:, None] > 150
        return np.where(bright, mixed(frames), softmax(mixed(frames)))

    with pytest.raises(InputError, match="scores of some clips are probabilities and those of others logits"):
        evaluate(classifier(confused), CLIPS, RAMP, counterfactual=0.5, batch=1)


def test_probabilities_of_0_and_logits_without_bound_stay_numbers():
    assert log_probabilities(np.array([[0.0, 1.0]]), "probabilities").tolist() == [[LEAST, 0.0]]
    assert log_probabilities(np.array([[-np.inf, 0.0]]), "logits").tolist() == [[LEAST, 0.0]]
    assert log_probabilities(np.array([[1e4, 0.0]]), "logits").tolist() == [[0.0, LEAST]]
    scores = np.zeros((2, 2, 2))
    scores[0] = np.inf
    with pytest.raises(InputError, match="clip 'a': the output of class 0 is NaN"), np.errstate(invalid="ignore"):
        counterfactual_of(Counterfactual(1.0, 1), scores, "logits", np.array([0, 1]), "ab", np.array([1, 2]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-0.1,), "alpha is -0.1; expected: 0 to 10"),
        ((math.nan,), "alpha is nan; expected: 0 to 10"),
        (("half",), "alpha is 'half'; expected: 0 to 10"),
        ((0.5, 0), "shuffles is 0; expected at least 1"),
    ],
)
def test_what_is_not_allowed(arguments, message):
    with pytest.raises(InputError, match=message):
        Counterfactual(*arguments)


def test_labels_and_a_second_class_are_needed():
    unlabelled = [replace(clip, label=None) for clip in CLIPS]
    with pytest.raises(InputError, match="label"):
        evaluate(classifier(mixed), unlabelled, counterfactual=0.5)
    with pytest.raises(InputError, match="the model scores one class"):
        evaluate(
            classifier(lambda frames: mixed(frames)[:, :1]),
            [replace(clip, label="0") for clip in CLIPS],
            counterfactual=0.5,
        )


def test_the_model_that_looks_at_appearance_has_nothing_to_gain():
    with demo_model("appearance") as path:
        runner = open_model(path, provider="cpu")
    classes = {name: index for index, name in enumerate(APPEARANCES)}
    found = evaluate(runner, world_clips(40), classes, counterfactual=1.0, batch=48)
    assert found.counterfactual["top1"]["value"] < 0.6
    assert found.counterfactual["gain"]["top1"]["ci95"][1] < 0
