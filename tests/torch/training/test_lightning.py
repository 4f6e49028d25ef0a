"""BiasCallback in a real Trainer."""

import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from sdmetrics.clips.generated.world import world_batch
from sdmetrics.comparison.scalars import scalars
from sdmetrics.errors import InputError
from tests.test_imports import HEAVY, loaded_by
from tests.torch.training.test_tracker import CLIPS, VIDEO, Net, made

lightning = pytest.importorskip("pytorch_lightning")
from sdmetrics.torch.training.lightning import BiasCallback  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytorch_lightning.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*(LeafSpec|isinstance.treespec|torch.jit).*:"),
]
BATCHES = 3


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = made(Net)
        self.losses = []

    def training_step(self, batch, _):
        video, label = batch
        loss = functional.cross_entropy(self.net(video), label)
        self.losses.append(loss.item())
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def fitted(folder, *callbacks, **arguments):
    """Train two epochs of three batches."""
    video, labels, _ = world_batch(8 * BATCHES, frames=4, size=16, seed=1)
    data = TensorDataset(
        (torch.from_numpy(video).float().permute(0, 4, 1, 2, 3) / 255 - 0.45) / 0.225, torch.from_numpy(labels)
    )
    model = Classifier()
    lightning.seed_everything(0, verbose=False)
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=1,
        logger=lightning.loggers.TensorBoardLogger(folder),
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **arguments,
    )
    trainer.fit(model, DataLoader(data, batch_size=8, shuffle=True))
    return model, trainer


def callback(**arguments):
    return BiasCallback([VIDEO], ["stem", "stage"], CLIPS, module="net", batch=36, **arguments)


def events(trainer):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(trainer.logger.log_dir)
    read.Reload()
    return {name: {event.step: event.value for event in read.Scalars(name)} for name in read.Tags()["scalars"]}


def test_a_fit_is_measured_logged_and_otherwise_the_same(tmp_path):
    measured = callback()
    assert measured.tracker is None
    plain, _ = fitted(tmp_path / "plain")
    model, trainer = fitted(tmp_path / "measured", measured)
    assert model.losses == plain.losses
    assert list(measured.tracker.results) == [0, BATCHES, 2 * BATCHES]
    logged = events(trainer)
    for step, results in measured.tracker.results.items():
        for name, value in scalars(results).items():
            assert logged[name][step] == pytest.approx(value, rel=1e-6)
    assert {"static/stage", "dynamic/stem", "units-joint/stage"} < set(logged)
    assert len({results.layer("stage")["percent"]["static"] for results in measured.tracker.results.values()}) == 3


def test_steps_are_those_of_the_optimiser(tmp_path):
    measured = callback(every=2, unit="steps", out=tmp_path / "run")
    fitted(tmp_path, measured)
    assert list(measured.tracker.results) == [0, 2, 4, 6]
    assert len(list((tmp_path / "run").glob("step-*/results.json"))) == 4
    accumulated = callback(every=1, unit="steps")
    _, trainer = fitted(tmp_path, accumulated, accumulate_grad_batches=3)
    assert trainer.global_step == 2
    assert list(accumulated.tracker.results) == [0, 1, 2]


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
    with pytest.raises(InputError, match="Classifier has no module 'nett'"):
        fitted(tmp_path, BiasCallback([VIDEO], ["stage"], CLIPS, module="nett"))


def test_lightning_is_loaded_only_with_the_callback_and_a_comparison_loads_nothing_heavy():
    loaded = loaded_by("import sdmetrics.torch")
    assert "torch" in loaded
    assert not loaded & {"pytorch_lightning", "lightning", "tensorboard"}
    assert not loaded_by("import sdmetrics.comparison.compare, sdmetrics.report.comparison") & HEAVY
