"""Open folders that Transformers wrote: a model and how it is fed, without running any code that they may contain."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

from sdmetrics._reading import read_json
from sdmetrics._text import printable
from sdmetrics.errors import InputError, load_library, note, one_line
from sdmetrics.exporters._weights.config_limits import check_clip, check_config, check_labels, check_processor
from sdmetrics.exporters._weights.load_state import listed
from sdmetrics.exporters._weights.processor_resize import resize_of, resized_for
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.architectures.transformers import SOURCES, VARIANTS
from sdmetrics.exporters.architectures.transformers_source import (
    TransformersSource,
    as_video_model,
    check_tokens,
    fed_for,
)
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.quiet import quiet

if TYPE_CHECKING:
    from torch import nn

CONFIG = "config.json"
SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
WEIGHTS = (*SAFE_WEIGHTS, "pytorch_model.bin", "pytorch_model.bin.index.json")
PROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")
# Fields by which a configuration could load code from the folder, kernels from the hub, or packed weights.
UNWANTED = ("auto_map", "attn_implementation", "_attn_implementation", "quantization_config")
SECONDS = 15


def open_folder(architecture: Architecture, folder: Path | str) -> tuple[nn.Module, tuple[ModelInput, ...]]:
    """Open a folder that `save_pretrained` wrote, or a complete download of a repository.

    The model is the one that the folder names, of any size: one without a head returns its tokens; of a model that was
    trained with a decoder or with texts it is the part that reads videos.

    Frames and size are those of the configuration. What frames are scaled to is that of the folder's preprocessor; mean
    and deviation are measured on its output for a black and a white image. The stride is chosen such that a clip covers
    the same time as the architecture's.

    Raises
    ------
    InputError
        If a file is missing, or the folder holds another kind of model, according to the names and shapes of its
        parameters.

    Examples
    --------
    >>> from sdmetrics.exporters.catalogue import find_architecture
    >>> open_folder(find_architecture("videomae_b_16x4"), "weights")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: weights does not exist or is not a folder; pass a folder with config.json and \
model.safetensors
    """
    folder = Path(folder)
    if architecture.name not in SOURCES:
        raise InputError(
            f"{folder} is a folder, as Transformers writes them, and {architecture.name} is not a model of "
            "Transformers. Pass a single file: .pyth, .pth, .pt or .safetensors"
        )
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder; pass a folder with {CONFIG} and {WEIGHTS[0]}")
    content = read_config(folder)
    named = content.get("architectures")
    written = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    source = VARIANTS.get(written, SOURCES[architecture.name])
    if source.package != SOURCES[architecture.name].package:
        source = SOURCES[architecture.name]
    config = _config(folder, content, source, architecture)
    video = _read_input(folder, source, config, architecture.inputs[0])
    check_tokens(source, config, video)
    check_config(folder, source, config, video)
    model = _load(folder, source, config, whole=written in ("", source.model))
    if source is SOURCES[architecture.name]:
        video = fed_for(source, video, config.num_labels, folder)
    return as_video_model(source, model, video), (video,)


def open_repository(architecture: Architecture) -> tuple[nn.Module, tuple[ModelInput, ...]]:
    """Open an architecture's published weights from the hub's cache, into which they are downloaded if necessary.

    They are fed as the architecture is, whatever the preprocessor beside them says: whoever converted weights may have
    written another one than their owner's, as for ViViT.

    Raises
    ------
    InputError
        If they cannot be downloaded or opened.
    """
    module, inputs = open_folder(architecture, download(architecture.weights))
    read, own = ([(item.frames, item.size) for item in each] for each in (inputs, architecture.inputs))
    return module, architecture.inputs if read == own else inputs


def download(name: str) -> Path:
    """Return the folder of a repository in the hub's cache, into which it is downloaded if necessary.

    Raises
    ------
    InputError
        If it cannot be downloaded.
    """
    try:
        return _download(name)
    # The remedy is the same for all errors between here and the hub.
    except Exception as error:
        raise InputError(
            f"{name} cannot be downloaded ({one_line(error)}). Download the repository elsewhere, https://"
            f"huggingface.co/{name}, and pass its folder: --checkpoint FOLDER"
        ) from None


def _download(name: str) -> Path:
    """Return the folder of a repository in the hub's cache, updated if the hub is reachable."""
    hub = load_library("huggingface_hub")
    options: dict[str, Any] = {}
    try:
        # A separate request, as the download that follows would wait for the hub without a limit.
        options["revision"] = hub.HfApi().model_info(name, timeout=SECONDS).sha
    except Exception:
        options["local_files_only"] = True
        if not isinstance(hub.try_to_load_from_cache(name, CONFIG), str):
            raise
    folder = Path(hub.snapshot_download(name, allow_patterns=["*.json", "model*.safetensors"], **options))
    if any((folder / file).is_file() for file in SAFE_WEIGHTS):
        return folder
    return Path(hub.snapshot_download(name, allow_patterns=["*.json", "pytorch_model*.bin*"], **options))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"{path.parent} has no {path.name}; pass a folder that save_pretrained wrote")
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a JSON object; download or copy it again")
    return content


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's configuration.

    Raises
    ------
    InputError
        If there is none, or it is not a JSON object.
    """
    return _read_json(folder / CONFIG)


def _config(folder: Path, content: dict[str, Any], source: TransformersSource, architecture: Architecture) -> Any:  # noqa: ANN401
    """Return the folder's configuration, or that of the part that reads videos."""
    kind = source.load().config_class
    inner = content.get(source.part) if source.part else content
    inner = inner if isinstance(inner, dict) else {}
    expected, given = kind.model_type, inner.get("model_type", kind.model_type if source.part else None)
    if given != expected:
        raise InputError(
            f"{folder} has a model of the type {given!r}; {architecture.name} expects {expected!r}. "
            "Name the right architecture: sdmetrics export --list"
        )
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise InputError(f"{folder} has no weights; put {WEIGHTS[0]} or {WEIGHTS[2]} beside its {CONFIG}")
    check_labels(folder / CONFIG, inner)
    try:
        return kind.from_dict({key: value for key, value in inner.items() if key not in UNWANTED})
    except Exception as error:
        raise InputError(
            f"{folder / CONFIG} does not describe a model of type {expected!r}: {one_line(error)}. Download or copy it "
            "again"
        ) from None


def _read_input(folder: Path, source: TransformersSource, config: Any, usual: ModelInput) -> ModelInput:  # noqa: ANN401
    """Return how the folder's model is fed."""
    frames, height, width = check_clip(
        folder / CONFIG, getattr(config, source.frames) if source.frames else usual.frames, getattr(config, source.size)
    )
    stride = stride_for(source, usual, frames)
    size = height, width
    resize = resized_for(usual.resize, usual.size, size)
    described = dataclasses.replace(usual, frames=frames, stride=stride, size=size, resize=resize)
    if not any((folder / name).is_file() for name in PROCESSORS):
        return described
    for name in PROCESSORS:
        if (folder / name).is_file():
            check_processor(folder / name)
    kind = getattr(load_library("transformers"), source.processor)
    black_and_white = np.zeros((2, 32, 32, 3), np.uint8)
    black_and_white[1] = 255
    try:
        processor = kind.from_pretrained(folder, local_files_only=True)
        made = processor([black_and_white], return_tensors="np")
        values = np.asarray(made[processor.model_input_names[0]], np.float64)[0]
        # A crop that is larger than the image has a border.
        black, white = values[..., values.shape[-2] // 2, values.shape[-1] // 2]
        resize = resize_of(processor, size)
    except Exception as error:
        raise InputError(
            f"{folder} has a preprocessor configuration that {source.processor} does not understand: "
            f"{one_line(error)}. Without that file, the mean and deviation of the architecture are used"
        ) from None
    with np.errstate(invalid="ignore"):
        scale = white - black
    if not (np.isfinite(scale) & (scale != 0)).all():
        raise InputError(
            f"{folder} has a preprocessor configuration with the std {printable(processor.image_std)} and the rescale "
            f"factor {printable(processor.rescale_factor)}; expected numbers other than 0. Download or copy it again"
        )
    std = 1 / scale
    (m1, m2, m3), (s1, s2, s3) = ((-black * std).round(6) + 0.0).tolist(), std.round(6).tolist()
    return dataclasses.replace(described, mean=(m1, m2, m3), std=(s1, s2, s3), resize=resize)


def stride_for(source: TransformersSource, usual: ModelInput, frames: int) -> int:
    """Return the distance between frames with which clips cover the same time as usual, or that of the authors.

    Examples
    --------
    >>> stride_for(SOURCES["videomae_b_16x4"], ModelInput("video", frames=16, stride=4), 32)
    2
    """
    return source.strides.get(frames, max(1, round(usual.frames * usual.stride / frames)))


def _load(folder: Path, source: TransformersSource, config: Any, *, whole: bool) -> nn.Module:  # noqa: ANN401
    """Return the model with all of the folder's weights; or those of its part of them, unless it is the `whole`."""
    import torch

    kind = source.load()
    safe = any((folder / name).is_file() for name in SAFE_WEIGHTS)
    try:
        with quiet("transformers"), _without_progress():
            model, report = kind.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=safe,
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                key_mapping=dict(source.renamed) or None,
            )
    except UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f" (an object of {printable(named[1])})" if named else ""
        raise InputError(
            f"{folder} has weights that torch does not open without running what they may contain{what}. If you trust "
            "them, open them with Transformers and save them again: model.save_pretrained(FOLDER)"
        ) from None
    except Exception as error:
        raise InputError(f"{folder} cannot be opened: {one_line(error)}. Download or copy it again") from None
    beside = sorted(report["unexpected_keys"])
    problems = {
        "Of another shape": [
            f"{name} {tuple(given)}, expected {tuple(expected)}"
            for name, given, expected in sorted(report["mismatched_keys"], key=lambda entry: str(entry[0]))
        ],
        "Missing": sorted(report["missing_keys"]),
        "Unexpected": beside if whole else [],
    }
    if any(problems.values()):
        raise InputError(
            f"the weights in {folder} do not fit its {CONFIG}. {listed(problems)}. Pass a folder of a "
            f"{kind.__name__} whose files belong together"
        )
    if beside:
        note(
            f"{folder}: {len(beside)} weights are no part of {kind.__name__}, and are left out: "
            f"{printable(', '.join(beside[:3]))}{', …' if len(beside) > 3 else ''}"
        )
    opened: nn.Module = model.eval()
    return opened


@contextmanager
def _without_progress() -> Iterator[None]:
    """While the block runs, keep Transformers from showing a progress bar."""
    logging = load_library("transformers.utils.logging")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
