"""Decodes and styles clips in threads, a few ahead of the model that reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError, MissingExtra

Rendered = TypeVar("Rendered")

THREADS = 2
"""Decoding and styling take a few per cent of a model's time; two threads keep ahead of it."""


@dataclass(frozen=True)
class Unusable:
    """Why a clip gives nothing to the model."""

    reason: str


@contextmanager
def rendered_ahead(
    render: Callable[[Clip], Rendered], clips: Iterable[Clip]
) -> Iterator[Iterator[Rendered | Unusable]]:
    """Give what `render` makes of every clip, in order; of one that it fails on, the reason.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> with rendered_ahead(lambda clip: clip.frames, world_clips(3)) as rendered:
    ...     [frames.shape for frames in rendered]
    [(8, 40, 40, 3), (8, 40, 40, 3), (8, 40, 40, 3)]
    """
    with ThreadPoolExecutor(THREADS, thread_name_prefix="render") as pool:

        def in_order() -> Iterator[Rendered | Unusable]:
            ahead: deque[Future[Rendered | Unusable]] = deque()
            for clip in clips:
                ahead.append(pool.submit(_attempt, render, clip))
                if len(ahead) > 2 * THREADS:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

        try:
            yield in_order()
        finally:
            pool.shutdown(cancel_futures=True)


def _attempt(render: Callable[[Clip], Rendered], clip: Clip) -> Rendered | Unusable:
    """Render a clip, or say why not: one bad clip must not end a run of thousands."""
    try:
        return render(clip)
    except (MissingExtra, MemoryError):
        raise
    except InputError as error:
        return Unusable(str(error))
    except Exception as error:
        return Unusable(f"{type(error).__name__}: {error}")
