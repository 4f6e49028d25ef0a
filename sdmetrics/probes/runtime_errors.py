"""Say in one line what ONNX Runtime fails on, from messages that quote its own source code."""

from __future__ import annotations

import re

_CODE = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_NODE = re.compile(r"Non-zero status code returned while running (\w+) node\. Name:'([^']*)' Status Message: ")
_SOURCE = re.compile(r"(?:\S*/)?\w+\.(?:cc|h|cpp|cu):\d+ .*?\) (?=[A-Z'\"{\[])|\S*/onnxruntime_src/\S+ ?")
LENGTH = 300
READ = 4000
"""Characters of a message that are looked at: it quotes names of the file, and the patterns backtrack."""


def reason_of(error: BaseException) -> str:
    """Return the reason that an error of ONNX Runtime gives: the operator and its node, and what is wrong there.

    Examples
    --------
    >>> text = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. Name:'c1' "
    >>> reason_of(RuntimeError(text + "Status Message: Input channels C is not equal to kernel channels"))
    "operator Conv (node 'c1'): Input channels C is not equal to kernel channels"
    """
    text = _CODE.sub("", " ".join(str(error)[:READ].split()))
    where = ""
    for found in _NODE.finditer(text):
        kind, name = found.groups()
        where = f"operator {kind} (node {name!r}): " if name else f"operator {kind}: "
    text = _SOURCE.sub("", _NODE.sub("", text)).strip()
    return (where + (text or type(error).__name__))[:LENGTH].rstrip(". ")


def is_short_of_memory(error: BaseException) -> bool:
    """Return whether the runtime failed for want of memory.

    Examples
    --------
    >>> is_short_of_memory(RuntimeError("Available memory of 9 is smaller than requested bytes of 10"))
    True
    """
    text = str(error)
    return isinstance(error, MemoryError) or any(
        sign in text for sign in ("Available memory of", "bad_alloc", "bad allocation", "Failed to allocate memory")
    )
