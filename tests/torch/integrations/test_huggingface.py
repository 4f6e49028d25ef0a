"""BiasCallback in a real Trainer of Transformers, with a small VideoMAE and generated clips."""

import copy

import pytest
import torch

from sdmetrics.clips.generated.world import MOTIONS, world_batch, world_clips
from sdmetrics.comparison.scalars import scalars
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch import BiasTracker
from tests.test_imports import loaded_by

transformers = pytest.importorskip("transformers", reason="this callback is one of Transformers")
pytest.importorskip("accelerate", reason="the Trainer of Transformers needs accelerate")
from sdmetrics.torch.integrations.huggingface import BiasCallback  # noqa: E402

VIDEO = ModelInput("pixel_values", frames=4, stride=1, layout="NTCHW", size=(16, 16))
CLIPS = world_clips(20, frames=4, size=16, seed=5)
LAYERS = {"videomae.encoder.layer.0": 2, "videomae.encoder.layer.1": 2}
STEPS = 6


def model():
    config = transformers.VideoMAEConfig(
        image_size=16,
        patch_size=8,
        num_frames=4,
        tubelet_size=2,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_dropout_prob=0.1,
        num_labels=len(MOTIONS),
    )
    torch.manual_seed(0)
    return transformers.VideoMAEForVideoClassification(config)


def clips():
    video, labels, _ = world_batch(24, frames=4, size=16, seed=1)
    frames = (torch.from_numpy(video).float().permute(0, 1, 4, 2, 3) / 255 - 0.45) / 0.225
    return [{"pixel_values": clip, "labels": int(label)} for clip, label in zip(frames, labels, strict=True)]


def trainer(folder, *callbacks, **arguments):
    """Two epochs of three steps."""
    settings = transformers.TrainingArguments(
        str(folder),
        **{
            "num_train_epochs": 2,
            "per_device_train_batch_size": 8,
            "learning_rate": 0.01,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "use_cpu": True,
            "disable_tqdm": True,
            "dataloader_pin_memory": False,
            "seed": 0,
            **arguments,
        },
    )
    return transformers.Trainer(model=model(), args=settings, train_dataset=clips(), callbacks=list(callbacks))


def callback(**arguments):
    return BiasCallback([VIDEO], LAYERS, CLIPS, batch=30, **arguments)


def losses(trained):
    return [row["loss"] for row in trained.state.log_history if "loss" in row]


def measured(trained):
    return {row["step"]: row for row in trained.state.log_history if "dynamic/videomae.encoder.layer.1" in row}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The losses of a training that is not measured."""
    trained = trainer(tmp_path_factory.mktemp("plain"))
    trained.train()
    return losses(trained)


@pytest.mark.parametrize(("reported", "every"), [(False, {"every": 1}), (True, {"every": 3, "unit": "steps"})])
def test_a_training_is_measured_logged_and_otherwise_the_same(tmp_path, monkeypatch, plain, reported, every):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    trained = trainer(tmp_path, report_to="tensorboard" if reported else "none")
    bias = callback(trainer=trained if reported else None, **every)
    assert bias.tracker is None
    trained.add_callback(bias)
    trained.train()
    assert losses(trained) == plain
    assert len(plain) == STEPS
    assert list(bias.tracker.results) == [0, 3, 6]
    logged = measured(trained)
    assert list(logged) == [0, 3, 6]
    for step, results in bias.tracker.results.items():
        assert scalars(results).items() <= logged[step].items()
    assert [row["epoch"] for row in logged.values()] == [0, 1, 2]
    if reported:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        read = EventAccumulator(str(tmp_path / "events"))
        read.Reload()
        for step, results in bias.tracker.results.items():
            for name, value in scalars(results).items():
                events = {event.step: event.value for event in read.Scalars(f"train/{name}")}
                assert events[step] == pytest.approx(value, rel=1e-6)


def test_a_measurement_is_that_of_a_tracker(tmp_path):
    bias = callback()
    trained = trainer(tmp_path, bias)
    trained.train()
    after = BiasTracker(trained.model, [VIDEO], LAYERS, CLIPS, batch=30).measure(STEPS)
    assert bias.tracker.results[STEPS].layers == after.layers


def test_steps_are_those_of_the_optimiser_and_a_part_is_measured(tmp_path):
    bias = BiasCallback(
        [VIDEO], {"encoder.layer.1": 2}, CLIPS, every=2, unit="steps", module="videomae", out=tmp_path / "run"
    )
    trained = trainer(tmp_path, bias, gradient_accumulation_steps=3, num_train_epochs=4)
    trained.train()
    assert trained.state.global_step == 4
    assert list(bias.tracker.results) == [0, 2, 4]
    assert len(list((tmp_path / "run").glob("step-*/results.json"))) == 3
    assert bias.tracker.results[4].layers[0]["name"] == "encoder.layer.1"


def test_epochs_are_counted_from_the_beginning_of_a_resumed_training(tmp_path):
    trainer(tmp_path, num_train_epochs=1, save_strategy="epoch").train()
    bias = callback(every=2)
    trained = trainer(tmp_path, bias, num_train_epochs=4)
    trained.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert trained.state.global_step == 12
    assert list(bias.tracker.results) == [3, 6, 12]  # the beginning, then after the second and the fourth epoch


def test_mixed_precision_is_not_measured(tmp_path):
    bias = callback(unit="steps", every=STEPS)
    trained = trainer(tmp_path, bias, bf16=True)
    trained.train()
    weights = copy.deepcopy(trained.model)
    plain = model()
    plain.load_state_dict(weights.state_dict())
    expected = BiasTracker(plain, [VIDEO], LAYERS, CLIPS, batch=30).measure(0)
    assert bias.tracker.results[STEPS].layers == expected.layers
    assert trained.model.training == weights.training


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "every is 0; expected at least 1"),
        ({"unit": "hours"}, "unit is 'hours'; allowed: epochs, steps"),
    ],
)
def test_hostile_input(arguments, message):
    with pytest.raises(InputError, match=message):
        callback(**arguments)


def test_a_part_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="VideoMAEForVideoClassification has no module 'videomea'"):
        trainer(tmp_path, callback(module="videomea")).train()


def test_transformers_is_loaded_only_with_the_callback():
    assert not loaded_by("import sdmetrics.torch; from sdmetrics.torch import BiasTracker") & {
        *("transformers", "torchmetrics", "accelerate"),
    }
