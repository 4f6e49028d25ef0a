"""Does a video model look at motion, or only at single frames? Static and dynamic bias, by layer and unit."""

from sdmetrics._version import __version__
from sdmetrics.ablation.ablate import ablate
from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.measure import measure_biases as analyze
from sdmetrics.analysis.results import Results
from sdmetrics.clips import Clip
from sdmetrics.clips.styles.networks import open_styles
from sdmetrics.errors import InputError, MissingExtra
from sdmetrics.evaluation.classification import Evaluation, evaluate
from sdmetrics.evaluation.segmentation import SegmentationEvaluation, evaluate_segmentation
from sdmetrics.loading.open import open_clips, open_model
from sdmetrics.metrics.bias import LayerBias, UnitBias, layer_bias, unit_bias
from sdmetrics.metrics.moments import PairMoments
from sdmetrics.metrics.removal_mask import removal_mask
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.protocols import Runner

__all__ = [
    "Ablation",
    "Clip",
    "Evaluation",
    "InputError",
    "LayerBias",
    "MissingExtra",
    "ModelInput",
    "PairMoments",
    "Results",
    "Runner",
    "SegmentationEvaluation",
    "UnitBias",
    "__version__",
    "ablate",
    "analyze",
    "evaluate",
    "evaluate_segmentation",
    "layer_bias",
    "open_clips",
    "open_model",
    "open_styles",
    "removal_mask",
    "unit_bias",
]
