"""Graphics cards: which of them a process uses, and what they are called."""

from __future__ import annotations

import ctypes
import os
import re
import sys

from sdmetrics.errors import InputError

LOCAL_NUMBERS = ("LOCAL_RANK", "SLURM_LOCALID")
"""Environment variables with the number of a process on its machine: torchrun's, and Slurm's."""


def check_device(device: str | None, provider: str) -> str:
    """Return the provider that a device allows: a card that is named by its number is used or fails.

    Raises
    ------
    InputError
        If the device is neither `"auto"` nor a card, or a card is named for the provider `"cpu"`.

    Examples
    --------
    >>> check_device("cuda:1", "auto"), check_device("auto", "auto"), check_device(None, "cpu")
    ('cuda', 'auto', 'cpu')
    >>> check_device("gpu1", "auto")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: device is 'gpu1'; allowed: auto, or cuda: and the number of a card, e.g. cuda:1
    """
    if device is None or device == "auto":
        return provider
    if _number(device) is None:
        raise InputError(f"device is {device!r}; allowed: auto, or cuda: and the number of a card, e.g. cuda:1")
    if provider == "cpu":
        raise InputError(f"device is {device!r}, but provider is 'cpu'; drop one of them")
    return "cuda"


def card_number(device: str | None, cards: int) -> int:
    """Return the number, among the `cards` that CUDA shows to this process, of the one to use.

    `"cuda:1"` is the second, and None the first. `"auto"` is that of the process on its machine: LOCAL_RANK of
    torchrun, else SLURM_LOCALID, else 0; where a machine has more processes than cards they share them in turn.

    Raises
    ------
    InputError
        If there is no such card, or a variable holds no number.

    Examples
    --------
    >>> card_number("cuda:1", cards=2), card_number(None, cards=2)
    (1, 0)
    >>> card_number("cuda:2", cards=2)
    Traceback (most recent call last):
    sdmetrics.errors.InputError: device is 'cuda:2', but CUDA shows 2 card(s); allowed: auto, cuda:0, cuda:1
    """
    if device == "auto":
        return _local_number() % max(1, cards)
    number = 0 if device is None else _number(device)
    assert number is not None
    # Without any card, CUDA itself says what is missing.
    if cards and number >= cards:
        allowed = ", ".join(["auto", *(f"cuda:{card}" for card in range(cards))])
        raise InputError(f"device is {device!r}, but CUDA shows {cards} card(s); allowed: {allowed}")
    return number


def card_names() -> list[str]:
    """Return the names of the cards that CUDA shows to this process, in its order; empty where there are none.

    The driver itself is asked: `nvidia-smi` lists cards that CUDA_VISIBLE_DEVICES hides, and in another order.
    """
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count, names = ctypes.c_int(), []
        if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
            return []
        for number in range(count.value):
            card, name = ctypes.c_int(), ctypes.create_string_buffer(256)
            failed = cuda.cuDeviceGet(ctypes.byref(card), number) or cuda.cuDeviceGetName(name, len(name), card)
            names.append("unknown" if failed else name.value.decode(errors="replace"))
    except (OSError, AttributeError):
        return []
    return names


def _number(device: str) -> int | None:
    """Return the number of a card that is named as torch names it."""
    found = re.fullmatch(r"cuda:([0-9]{1,4})", str(device))
    return int(found[1]) if found else None


def _local_number() -> int:
    """Return the number of this process on its machine."""
    for name in LOCAL_NUMBERS:
        text = os.environ.get(name, "")
        if text:
            if not re.fullmatch(r"[0-9]{1,6}", text):
                raise InputError(
                    f"the environment variable {name} is {text!r}; expected a whole number from 0. Correct it, or name "
                    "the card, e.g. cuda:0"
                )
            return int(text)
    return 0
