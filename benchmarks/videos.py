"""Write generated clips as video files."""

from __future__ import annotations

from pathlib import Path

import av

from sdmetrics.clips.generated.world import world_clips


def write_videos(folder: Path, count: int, frames: int = 96, size: int = 256) -> Path:
    """Encode `count` generated clips of `frames` frames of `size`² pixels (H.264); return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for clip in world_clips(count, frames=frames, size=size):
        with av.open(str(folder / f"{clip.id}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=30, width=size, height=size, pix_fmt="yuv420p")
            for image in clip.frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
    return folder
