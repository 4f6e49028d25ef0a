"""Do the demo's units prefer one motion, or one appearance? `python -m benchmarks.studies.exemplars [--write PAGE]`."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import sdmetrics as sd
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.demo import demo_model
from sdmetrics.inspection.choice import extremes, strengths, typical_units

CLIPS, UNITS, TOP, DRAWS = 320, 8, 10, 2000


def largest(labels: Sequence[str]) -> int:
    """Return how many have the most frequent label."""
    return max(Counter(labels).values())


def row_of(model: str, factor: str) -> str:
    """Return the table's row for the most typical units of a model and a factor."""
    clips = world_clips(CLIPS)
    part = ("motion", "appearance").index(model)
    labels = {clip.id: str(clip.label).split("/")[part] for clip in clips}
    with demo_model(model) as path, tempfile.TemporaryDirectory() as run:
        results = sd.analyze(path, f"world:{CLIPS}", out=run, keep_responses=True)
        kept = results.responses("stage4")
        responses, of_clips = kept.array(), [labels[clip] for clip in kept.clips]
    units = [row["unit"] for row in typical_units(results, "stage4", UNITS) if row["label"] == factor]
    tops = [extremes(strengths(responses[:, :, unit], factor), TOP)[0] for unit in units]
    shares = sorted((largest([of_clips[place] for place in top]) for top in tops), reverse=True)
    rng = np.random.default_rng(0)
    chance = [largest([of_clips[place] for place in rng.permutation(CLIPS)[:TOP]]) for _ in range(DRAWS)]
    found = ", ".join(map(str, shares))
    return f"| {model} | {factor} | {model} | {found} | {np.mean(shares):.1f} | {np.mean(chance):.1f} |"


def main() -> None:
    """Print the table, and write it into a page on request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    page = parser.parse_args().write
    head = ["| model | units | label | of ten clips, with one label | mean | by chance |", "|---|---|---|---|---|---|"]
    table = "\n".join([*head, row_of("motion", "dynamic"), row_of("appearance", "static")])
    print(table)
    if page is not None:
        marked = re.compile(r"(<!-- exemplars: begin -->\n).*?(\n<!-- exemplars: end -->)", re.DOTALL)
        page.write_text(marked.sub(lambda found: found[1] + table + found[2], page.read_text()))


if __name__ == "__main__":
    main()
