"""Naive twins: the textbook's formulas in plain NumPy, to compare the fast code with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

Pairs = tuple[np.ndarray, np.ndarray]


def pair_moments(z1, z2):
    """Return mean1, mean2, m11, m22, m12 of pairs `(pairs, units)`: two passes in float64."""
    z1, z2 = np.asarray(z1, np.float64), np.asarray(z2, np.float64)
    mean1, mean2 = z1.mean(axis=0), z2.mean(axis=0)
    d1, d2 = z1 - mean1, z2 - mean2
    return (
        mean1,
        mean2,
        (d1 * d1).sum(axis=0),
        (d2 * d2).sum(axis=0),
        (d1 * d2).sum(axis=0),
    )


def pearson(z1, z2):
    """Return r of each unit."""
    _, _, m11, m22, m12 = pair_moments(z1, z2)
    return np.clip(m12 / np.sqrt(m11 * m22), -1, 1)


def icc(z1, z2):
    """Return the intraclass correlation of each unit: every pair enters in both orders."""
    return pearson(np.concatenate([z1, z2]), np.concatenate([z2, z1]))


def reference_layer(factors: Mapping[str, Pairs], further: Sequence[Pairs] = ()):
    """Return the authors' layer scores: covariance about the common mean, over the variance of all rows."""
    rows = np.concatenate([z for pairs in (*factors.values(), *further) for z in pairs]).astype(np.float64)
    scores = {}
    for name, (z1, z2) in factors.items():
        common = (z1.mean(axis=0, dtype=np.float64) + z2.mean(axis=0, dtype=np.float64)) / 2
        scores[name] = ((z1 - common) * (z2 - common)).mean(axis=0).sum() / rows.var(axis=0).sum()
    return scores


def softmax_percent(scores):
    """Return 100 · softmax over the scores and identical = 1, in the order given."""
    powers = np.exp([*scores, 1.0])
    return 100 * powers / powers.sum()


def without_each_group(z, group):
    """Return the rows left when each group is left out."""
    return [z[group != g] for g in np.unique(group)]


def top_k(outputs, labels, k):
    """Return for each row whether its label is among the first k classes, sorted by output, then by index."""
    ranked = [sorted(range(len(row)), key=lambda c, row=row: (-row[c], c)) for row in outputs.tolist()]
    return np.array([label in order[:k] for order, label in zip(ranked, labels, strict=True)], bool)


def softmax(scores):
    """Return Eq. 4: e to each score over the sum of them."""
    powers = np.exp(np.asarray(scores, np.float64))
    return powers / powers.sum()


def drawn_sets(p, k):
    """Return the probability of each set of k units, drawn one after the other without replacement."""
    chances: dict[frozenset[int], float] = {}
    for order in itertools.permutations(range(len(p)), k):
        chance, left = 1.0, 1.0
        for unit in order:
            chance *= p[unit] / left
            left -= p[unit]
        chances[frozenset(order)] = chances.get(frozenset(order), 0.0) + chance
    return chances


def inclusion(p, k):
    """Return each unit's probability to be among k units drawn without replacement."""
    return np.array([sum(c for units, c in drawn_sets(p, k).items() if unit in units) for unit in range(len(p))])


def region_similarity(predicted, truth):
    """Return the share of pixels in both, of those in either, of one frame `(H, W)`, pixel by pixel; 255 is unknown."""
    both = either = known = 0
    for marked, annotated in zip(predicted.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if annotated == 255:
            continue
        known += 1
        both += marked and annotated != 0
        either += marked or annotated != 0
    return np.nan if not known else both / either if either else 1.0


def regions(mask):
    """Return the regions of `mask` `(H, W)`, each a set of pixels that touch, corners included: by flooding."""
    left = {(row, column) for row, column in np.argwhere(mask).tolist()}
    found = []
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            row, column = edge.pop()
            region.add((row, column))
            beside = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= beside
            edge.extend(beside)
        found.append(region)
    return found


def box_pixels(region):
    """Return all pixels of the smallest box that holds a region."""
    rows, columns = zip(*region, strict=True)
    return set(itertools.product(range(min(rows), max(rows) + 1), range(min(columns), max(columns) + 1)))


def video_score(predicted, truth, skip_ends=False):
    """Return the mean IoU of the annotated frames of one video, `{number: mask}` each, scored one after the other."""
    numbers = sorted(truth)[1:-1] if skip_ends else sorted(truth)
    return np.mean([region_similarity(predicted[number], truth[number]) for number in numbers])


def carried_noise(frames, flow, rng):
    """Return noise carried along a video's flow: one grain after the other, in fractions of a pixel."""
    noise = rng.integers(0, 256, frames.shape, np.uint8)
    height, width = frames.shape[1:3]
    where = {(y, x): (0.0, 0.0) for y in range(height) for x in range(width)}
    for t, vectors in enumerate(flow):
        arrived = {}
        for (y, x), (below, beside) in where.items():
            down, right = below + float(vectors[y, x, 1]), beside + float(vectors[y, x, 0])
            steps = int(np.floor(down + 0.5)), int(np.floor(right + 0.5))
            there = y + steps[0], x + steps[1]
            if not (0 <= there[0] < height and 0 <= there[1] < width):
                continue
            away = down - steps[0], right - steps[1]
            looks = np.abs(frames[t, y, x].astype(int) - frames[t + 1][there].astype(int)).sum()
            rank = looks, int((away[0] ** 2 + away[1] ** 2) * 1024), y * width + x
            if there not in arrived or rank < arrived[there][0]:
                arrived[there] = rank, (y, x), away
        where = dict.fromkeys(where, (0.0, 0.0))
        for there, (_, came_from, away) in arrived.items():
            noise[t + 1][there] = noise[t][came_from]
            where[there] = away
    return noise


def ridge_top1(features, labels, further, their_labels, ridge):
    """Return the top-1 of a ridge regression of standardised features, as least squares with rows of the penalty."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    x, asked = (features - mean) / deviation, (further - mean) / deviation
    n, units = x.shape
    answers = []
    for label in range(max(labels.max(), their_labels.max()) + 1):
        target = (labels == label).astype(float)
        rows = np.vstack([x, np.sqrt(ridge * n) * np.eye(units)])
        weights = np.linalg.lstsq(rows, np.concatenate([target - target.mean(), np.zeros(units)]), rcond=None)[0]
        answers.append(asked @ weights + target.mean())
    return np.mean(np.argmax(answers, axis=0) == their_labels)


def spearman(x, y):
    """Return the correlation of ranks: the mean place that equal values take in the sorted list."""
    a, b = ([np.mean([i for i, v in enumerate(sorted(of)) if v == u]) for u in of] for of in (x, y))
    if np.std(a) == 0 or np.std(b) == 0:
        return 0.0
    return np.corrcoef(a, b)[0, 1]
