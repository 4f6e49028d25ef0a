"""Decodes and styles clips in threads, a few ahead of the model that reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sdmetrics._progress import progress_bar
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.stamps import MISSING
from sdmetrics.errors import InputError, MissingExtra, one_line
from sdmetrics.probes.session import available_threads

Rendered = TypeVar("Rendered")

LEAST = 2
"""Threads beside a model that computes on all cores: decoding and styling take a few per cent of its time."""


@dataclass(frozen=True)
class Unusable:
    """Why a clip cannot be used; `transient` if another attempt may succeed, e.g. after a disk did not answer."""

    reason: str
    transient: bool = False


def decoding_threads(circumstance: Mapping[str, Any]) -> int:
    """Return in how many threads clips are decoded and styled beside a model: on the cores that it leaves free.

    `circumstance` is its runner's. A model on a graphics card needs one core, one on the CPU its `threads`.

    Examples
    --------
    >>> decoding_threads({"provider": "cpu", "threads": available_threads()})
    2
    """
    cores = available_threads()
    taken = 1 if circumstance.get("provider") == "cuda" else int(circumstance.get("threads") or cores)
    return max(cores - taken, LEAST)


@contextmanager
def rendered_ahead(
    render: Callable[[Clip], Rendered], clips: Iterable[Clip], threads: int = LEAST
) -> Iterator[Iterator[tuple[Clip, Rendered | Unusable]]]:
    """Yield every clip, in order, with what `render` makes of it, or with the reason why it fails.

    At most two clips per thread wait to be read, so that memory does not grow with the number of clips.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> with rendered_ahead(lambda clip: clip.frames.shape, world_clips(2)) as rendered:
    ...     [(clip.id, shape) for clip, shape in rendered]
    [('world-000000', (8, 40, 40, 3)), ('world-000001', (8, 40, 40, 3))]
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="render") as pool:

        def in_order() -> Iterator[tuple[Clip, Rendered | Unusable]]:
            ahead: deque[tuple[Clip, Future[Rendered | Unusable]]] = deque()
            for clip in clips:
                ahead.append((clip, pool.submit(_attempt, render, clip)))
                if len(ahead) > 2 * threads:
                    first, future = ahead.popleft()
                    yield first, future.result()
            while ahead:
                first, future = ahead.popleft()
                yield first, future.result()

        try:
            yield in_order()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def usable_clips(
    render: Callable[[Clip], Rendered],
    clips: Sequence[Clip],
    skipped: list[dict[str, str]],
    progress: bool = True,
    threads: int = LEAST,
) -> Iterator[Iterator[tuple[Clip, Rendered]]]:
    """Yield the clips that can be used, in order, each with its rendering; the others go to `skipped`.

    A progress bar counts all of them.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> skipped = []
    >>> with usable_clips(lambda clip: clip.masks, world_clips(1), skipped) as usable:
    ...     print(list(usable), [row["id"] for row in skipped])
    [] ['world-000000']
    """
    with (
        rendered_ahead(render, clips, threads) as rendered,
        progress_bar("clips", len(clips), shown=progress) as advance,
    ):

        def usable() -> Iterator[tuple[Clip, Rendered]]:
            for clip, outcome in rendered:
                if isinstance(outcome, Unusable):
                    skipped.append({"id": clip.id, "reason": outcome.reason})
                else:
                    yield clip, outcome
                advance(1)

        yield usable()


def check_any_usable(used: int, clips: int, skipped: Sequence[Mapping[str, str]], least: int = 1) -> None:
    """Raise an `InputError` where fewer than `least` clips could be used; it quotes the first reasons.

    Examples
    --------
    >>> check_any_usable(0, 1, [{"id": "a.mp4", "reason": "empty"}])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: 0 of 1 clips could be used, expected at least 1; a.mp4: empty. Fix it, or add others
    """
    if used < least:
        reasons = "".join(f"; {row['id']}: {row['reason']}" for row in skipped[:3])
        raise InputError(
            f"{used} of {clips} clips could be used, expected at least {least}{reasons}. Fix it, or add others"
        )


def _attempt(render: Callable[[Clip], Rendered], clip: Clip) -> Rendered | Unusable:
    """Render a clip, or return why not: one bad clip must not end a run of thousands."""
    try:
        return render(clip)
    except MissingExtra:
        raise
    except InputError as error:
        return Unusable(str(error), transient=_may_pass(error, clip))
    except MemoryError as error:
        return Unusable(f"there was not enough memory to decode it ({one_line(error)})", transient=True)
    except Exception as error:
        return Unusable(f"{type(error).__name__}: {one_line(error)}", transient=_may_pass(error, clip))


def _may_pass(error: BaseException, clip: Clip) -> bool:
    """Return whether a clip may be readable at the next attempt: nothing proves that its content is damaged.

    A file that was missing when the clips were listed has a stamp that says so; one that vanished since may come back.
    """
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    if any(isinstance(cause, FileNotFoundError) for cause in causes) and f" {MISSING}" in clip.stamp:
        return False
    return any(isinstance(cause, OSError | MemoryError) for cause in causes)
