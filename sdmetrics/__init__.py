"""Does a video model look at motion, or only at single frames? Static and dynamic bias, by layer and unit."""

from sdmetrics import _interrupts  # noqa: F401  first, so that Ctrl-C shows no traceback of the imports below
from sdmetrics._version import __version__
from sdmetrics.ablation.ablate import ablate
from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.results import Results
from sdmetrics.clips import Clip
from sdmetrics.clips.styles.networks import open_styles
from sdmetrics.comparison.compare import Comparison, compare
from sdmetrics.errors import InputError, MissingExtra
from sdmetrics.evaluation.centre_bias import CentreBias, centre_bias
from sdmetrics.evaluation.class_files import read_classes
from sdmetrics.evaluation.class_results import Evaluation
from sdmetrics.evaluation.classification import Evaluator, evaluate
from sdmetrics.evaluation.segmentation import SegmentationEvaluation, evaluate_segmentation
from sdmetrics.gate.check import Gate, check
from sdmetrics.inspect_run import inspect
from sdmetrics.inspection.look import Inspection
from sdmetrics.loading.model_source import ModelSource
from sdmetrics.loading.open import open_clips, open_model
from sdmetrics.metrics.bias import LayerBias, UnitBias, layer_bias, unit_bias
from sdmetrics.metrics.moments import PairMoments
from sdmetrics.metrics.removal_mask import removal_mask
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.report import notebook as _notebook  # noqa: F401  shows results in notebooks
from sdmetrics.report.page import write_report
from sdmetrics.run import analyze, analyze_part, merge
from sdmetrics.runners.protocols import Runner

__all__ = [
    "Ablation",
    "CentreBias",
    "Clip",
    "Comparison",
    "Evaluation",
    "Evaluator",
    "Gate",
    "HeldInput",
    "InputError",
    "Inspection",
    "LayerBias",
    "MissingExtra",
    "ModelInput",
    "ModelSource",
    "PairMoments",
    "Results",
    "Runner",
    "SegmentationEvaluation",
    "UnitBias",
    "__version__",
    "ablate",
    "analyze",
    "analyze_part",
    "centre_bias",
    "check",
    "compare",
    "evaluate",
    "evaluate_segmentation",
    "inspect",
    "layer_bias",
    "merge",
    "open_clips",
    "open_model",
    "open_styles",
    "read_classes",
    "removal_mask",
    "unit_bias",
    "write_report",
]
