"""What frames are scaled to before they are cropped: by a preprocessor of Transformers, or for another size."""

from __future__ import annotations

from typing import Any

from sdmetrics.probes.inputs import LARGEST_SIDE

Size = tuple[int, int]
"""`(height, width)` in pixels."""


def resize_of(processor: Any, size: Size) -> int | Size | None:  # noqa: ANN401 (Transformers is imported late)
    """Return the field `resize` of an input that reads `size` of what a video processor of Transformers scales.

    A processor for another size than the model's is taken to crop the same share.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> crop = {"do_resize": True, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
    >>> resize_of(SimpleNamespace(size={"shortest_edge": 256}, **crop), (224, 224))
    256
    >>> whole = SimpleNamespace(size={"height": 640, "width": 640}, do_resize=True, do_center_crop=False)
    >>> resize_of(whole, (640, 640))
    (640, 640)
    """
    if not processor.do_resize:
        return None
    scaled: dict[str, int] = dict(processor.size)
    crop: dict[str, int] = dict(processor.crop_size or {}) if processor.do_center_crop else {}
    if "height" in scaled and "width" in scaled:
        sides = scaled["height"], scaled["width"]
        return resized_for(sides, (crop.get("height", sides[0]), crop.get("width", sides[1])), size)
    edge = scaled.get("shortest_edge")
    return None if edge is None else resized_for(edge, (crop.get("height", edge), crop.get("width", edge)), size)


def resized_for(resize: int | Size | None, read: Size, size: Size) -> int | Size | None:
    """Return what frames are scaled to for a model that reads `size`, where it is `resize` for one that reads `read`.

    None for a model that reads larger frames than are scaled.

    Examples
    --------
    >>> resized_for(292, (256, 256), (384, 384)), resized_for((128, 171), (112, 112), (56, 56))
    (438, (64, 85))
    """
    if resize is None or max(size) > LARGEST_SIDE:
        return None
    if isinstance(resize, int):
        return max(max(size), resize * size[0] // read[0])
    (height, width), (tall, wide) = resize, read
    return max(size[0], height * size[0] // tall), max(size[1], width * size[1] // wide)
