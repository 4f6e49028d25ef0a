"""The demo: two small models whose answer is known, analyzed on generated clips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from sdmetrics._files import replacing, writable_folder
from sdmetrics.analysis.results import Results
from sdmetrics.clips.generated.world import APPEARANCES, MOTIONS
from sdmetrics.errors import InputError
from sdmetrics.loading.open import open_clips, open_model
from sdmetrics.run import analyze

MODELS = ("motion", "appearance")
"""What each shipped model was trained to classify."""


@contextmanager
def demo_model(name: str) -> Iterator[Path]:
    """Yield the path of a shipped model, `"motion"` or `"appearance"`.

    Raises
    ------
    InputError
        If there is no such model.

    Examples
    --------
    >>> with demo_model("motion") as path:
    ...     path.name
    'world-motion.onnx'
    """
    if name not in MODELS:
        raise InputError(f"there is no demo model {name!r}; allowed: {', '.join(MODELS)}")
    with resources.as_file(resources.files("sdmetrics") / "data" / f"world-{name}.onnx") as path:
        yield path


def run_demo(out: str | Path, clips: int = 320, seed: int = 0) -> dict[str, Results]:
    """Analyze both models on `clips` generated clips, each into its own folder under `out`.

    The model trained to classify motions should come out dynamic, the one trained to classify appearances static. Each
    folder contains a run (see `sdmetrics.analyze`), its model and the model's classes.
    """
    results = {}
    for name, classes in zip(MODELS, (MOTIONS, APPEARANCES), strict=True):
        run = writable_folder(Path(out) / name)
        with demo_model(name) as shipped:
            runner = open_model(shipped)
            with replacing(run / "model.onnx") as path:
                path.write_bytes(shipped.read_bytes())
        runner.file = run / "model.onnx"
        with replacing(run / "classes.txt") as path:
            path.write_text("\n".join(classes) + "\n", encoding="utf-8")
        results[name] = analyze(runner, open_clips(f"world:{clips}:{seed}", runner), seed=seed, out=run, batch=48)
    return results
