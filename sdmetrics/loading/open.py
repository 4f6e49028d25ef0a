"""Open a model and the clips for it: the first two lines of every analysis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.generated.names import is_generated
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.errors import InputError, note
from sdmetrics.loading.user_code import is_code
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import ModelInput, reads_flow

if TYPE_CHECKING:
    from sdmetrics.runners.onnxruntime import OnnxRunner
    from sdmetrics.runners.protocols import OutputRunner, Runner
    from sdmetrics.runners.torch import TorchRunner


def open_model(
    model: str | Path,
    *,
    layers: Sequence[str] | Mapping[str, int | None] | None = None,
    inputs: Sequence[ModelInput | HeldInput] | None = None,
    provider: str = "auto",
    threads: int | None = None,
    half: bool = False,
    allow_tf32: bool = False,
    masks: bool = False,
    device: str | None = None,
) -> OnnxRunner | TorchRunner:
    """Return the runner of a model. An ONNX model that is not a probe yet is turned into one.

    Parameters
    ----------
    model
        A probe, a model that an exporter of this package wrote, or any ONNX file with `layers` named. Or
        `FILE.py:FUNCTION` or `package.module:FUNCTION`, your own code: the function takes no arguments and returns
        `(module, inputs, layers)` as `TorchRunner` takes them, and the module runs live.
    layers
        The layers to measure. Default: those that the file declares; `sdmetrics layers MODEL` lists candidates. Pass an
        empty tuple to open the model without layers, e.g. for `evaluate`. A probe keeps all of its layers and must
        have those named. A mapping specifies their channel axes, where the file leaves them open.
    inputs
        How the model's inputs are fed; a `HeldInput` for one that is not video. Default: as the file declares.
    provider
        `"auto"` (CUDA if it loads, else the CPU), `"cpu"` or `"cuda"`.
    threads
        Number of threads of the CPU provider. Default: the number of cores that this process may use. For a live module
        it becomes torch's number for the whole process.
    half
        Whether an ONNX model runs in half precision. This is meant for GPUs; a CPU gains nothing.
    allow_tf32
        Whether CUDA may multiply in TF32, which has ten bits. A live module never does.
    masks
        Whether units can be removed. A probe must have been built with masks.
    device
        The graphics card: `"cuda:1"` is the second, and fails where CUDA does not load; `"auto"` is that of this
        process on its machine (LOCAL_RANK, else SLURM_LOCALID, else 0). Default: the first.

    Raises
    ------
    InputError
        If the model, a layer, the provider or the device cannot be used, a probe lacks what is requested, half
        precision does not hold the model's values, TF32 is requested on the CPU, or your own code fails.

    Examples
    --------
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("motion") as path:
    ...     open_model(path, provider="cpu").inputs[0].frames
    8
    """
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; expected at least 1, or None to use all cores")
    if is_code(model):
        from sdmetrics.loading.live import open_live

        if half or allow_tf32:
            option = "half (--half)" if half else "allow_tf32 (--tf32)"
            raise InputError(f"{option} is for ONNX models; let your function return the module in its precision")
        return open_live(model, layers=layers, inputs=inputs, provider=provider, threads=threads, device=device)

    from sdmetrics.exporters.probe import open_probe
    from sdmetrics.probes.model_file import read_model_file
    from sdmetrics.runners.onnxruntime import OnnxRunner

    file = read_model_file(model)
    probe = open_probe(file, layers=layers, inputs=inputs, masks=masks, half=half)
    runner = OnnxRunner(
        probe, provider=provider, threads=threads, allow_tf32=allow_tf32, file=Path(model), device=device
    )
    runner.stride_assumed = file.metadata is None and not inputs
    return runner


class Clips(list[Clip]):
    """The clips of a request: a list that knows what was requested, so that a run can be repeated.

    Attributes
    ----------
    request
        What was requested; None once clips were added, removed or moved.
    """

    def __init__(self, clips: Iterable[Clip], request: ClipRequest) -> None:
        super().__init__(clips)
        self._listed, self._request = tuple(self), request

    @property
    def request(self) -> ClipRequest | None:
        """What was requested, as long as the list is what it gave."""
        same = len(self) == len(self._listed) and all(a is b for a, b in zip(self, self._listed, strict=True))
        return self._request if same else None


def open_clips(
    path: str | Path,
    runner: OutputRunner | Runner,
    *,
    clips_per_video: int | None = 1,
    stride: int | None = None,
    videos: str | Path | None = None,
    split: str | Path | None = None,
    flow: str | Path | None = None,
    sampling: str | None = None,
    fps: float | None = None,
    cache: str | Path | None = None,
) -> Clips:
    """Return the clips at `path`, cut as the runner's model reads them.

    Parameters
    ----------
    path, clips_per_video, stride, videos, split, flow, sampling, fps
        Which clips, see `sdmetrics.clips.request.ClipRequest`: a video, a folder of videos, of frames or of styles, a
        list of videos, published annotations, a data set with segmentation masks, or generated clips.
    runner
        Its inputs determine how many frames a clip has, how they are chosen, scaled and cropped.
    cache
        A folder to store estimated flow in, for models that read flow.

    Raises
    ------
    InputError
        If there are no videos at `path`, or an argument does not apply to them or to the model.

    Examples
    --------
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("motion") as model:
    ...     open_clips("holiday.mp4", open_model(model, provider="cpu"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: holiday.mp4 does not exist; expected a video, a folder, a list (CSV, text or \
JSON), or generated clips (world:N or camouflage:N)
    """
    return list_requested(ClipRequest(path, clips_per_video, stride, videos, split, flow, sampling, fps), runner, cache)


def list_requested(request: ClipRequest, runner: OutputRunner | Runner, cache: str | Path | None = None) -> Clips:
    """Return the clips of a request as `open_clips` does."""
    from sdmetrics.clips.open import list_clips

    reads = reads_flow(runner.inputs)
    if request.flow is not None and not reads:
        raise InputError(f"flow is {request.flow}, but the model reads no optical flow; leave flow out")
    kept = Path(cache) if cache is not None and reads else None
    shape = ClipShape.read_by(runner.inputs, request.stride, request.sampling, request.fps)
    clips = Clips(list_clips(request, shape, kept, reads_flow=reads), request)
    spread = runner.inputs[0].sampling == "spread"
    assumed = request.stride is None and (spread or getattr(runner, "stride_assumed", False))
    if assumed and shape.frames > 1 and shape.sampling == "window" and not is_generated(request.path):
        why = "the model spreads its frames" if spread else "the model's file stores none"
        note(
            f"no stride is specified, and {why}, so frames {shape.stride} apart are read; pass --stride (in Python, "
            "stride)"
        )
    return clips
