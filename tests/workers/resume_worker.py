"""Analyze slow clips into a folder, so that a test can kill the process midway."""

import sys
import time

from sdmetrics.analysis.measure import measure_biases
from tests.helpers.fakes import NumpyRunner, changes, colours, noise_clip

if __name__ == "__main__":

    def slowly(frames):
        time.sleep(0.01)
        return colours(frames)

    clips = [noise_clip(i) for i in range(60)]
    measure_biases(NumpyRunner({"colours": slowly, "changes": changes}), clips, out=sys.argv[1], batch=2)
