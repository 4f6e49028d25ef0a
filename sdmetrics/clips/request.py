"""ClipRequest: what clips are asked for, wherever the request comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import check_sampling


@dataclass(frozen=True)
class ClipRequest:
    """Which clips are asked for; how many frames they have, and of which size, is up to the model.

    Parameters
    ----------
    path
        One of: a video; a folder with videos at any depth; a folder with folders of frames (images in natural order) at
        any depth; a folder with such folders per style, each named `style…` and holding the same videos (the layout of
        the paper's data sets), optionally with one named `unstyled`, from which optical flow is estimated and clips are
        shown where no style is wanted; a CSV manifest with the columns `path`, relative to the manifest, and optionally
        `label`, `start` and `end` (seconds); a list of paths and labels, or of folders, numbers of frames and labels;
        HMDB51's `CLASS_test_split1.txt` or their folder; the published annotations of ActivityNet, Kinetics,
        Something-Something, SomethingElse or Diving48; a data set with segmentation masks: DAVIS, YouTube-VOS, TAO-VOS,
        ImageNet VID or MoCA (the folder), YouTube-VIS or OVIS (the JSON file); or generated clips: `"world:N"`,
        `"world:N:SEED"` (motion and appearance are known), `"camouflage:N"` (objects are visible only through their
        motion).
    clips_per_video
        Clips per video, evenly spaced; a single one is the centre of the video. `None`: one, and for data sets with
        masks all that is annotated.
    stride
        Distance between the frames in the video. Default: the model's own.
    sampling
        `"window"` (frames `stride` apart) or `"spread"` (over the whole video). Default: the model's own.
    fps
        Frames per second to which videos are resampled before the stride counts; images have no time stamps and are
        not. Default: the model's own rate, if it has one.
    videos
        For lists: the folder that paths are relative to. For published annotations: the folder below which their videos
        are looked for by name, or that of the images of a JSON or CSV file. Default: the folder of the list.
    split
        For data sets with masks: a file with the name of a video in every line, the name of one of the data set's own
        splits, or of a folder of its videos. Default: every annotated video. For HMDB51's lists: `"test1"`, `"train1"`,
        … Default: `"test"`.
    flow
        For data sets with masks and folders of frames: a folder with the optical flow of every image, as `.flo`,
        KITTI's PNG or colour-coded images; the folders below it (without that of the style) and the files are named as
        those of the images. Default: flow is read from grey images beside the frames (`x_00001.jpg`, `y_00001.jpg`),
        else it is estimated, when a model reads it; for folders of styles from `unstyled`.

    Examples
    --------
    >>> ClipRequest("videos/", clips_per_video=3).stride is None
    True
    """

    path: str | Path
    clips_per_video: int | None = 1
    stride: int | None = None
    videos: str | Path | None = None
    split: str | Path | None = None
    flow: str | Path | None = None
    sampling: str | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("clips_per_video", self.clips_per_video), ("stride", self.stride)):
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; expected at least 1")
        check_sampling("window" if self.sampling is None else self.sampling, self.fps, "the request has")
