import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sdmetrics.torch import attach
from tests import naive
from tests.helpers.training import UNITS, Net, equal, made, seeded_and_alone, train, videos, watch


@pytest.fixture(autouse=True)
def _alone():
    with seeded_and_alone():
        yield


def test_a_static_unit_is_dropped_more_often_than_a_dynamic_one():
    class Known(nn.Module):
        """Channel 0 is the mean over time, channel 1 a difference of frames; both can tell the classes."""

        def __init__(self):
            super().__init__()
            self.features = nn.Identity()
            self.fc = nn.Linear(2, 2)

        def forward(self, video):
            frames = video.mean((1, 3, 4))
            return self.fc(self.features(torch.stack([frames.mean(1), frames[:, 0] - frames[:, -1]], 1)))

    model = Known()
    attachment = attach(model, "features", 0.5, units=2)
    read = watch(model.fc)
    train(model, last=30, batch=lambda number: videos(number, clips=64))
    static, dynamic = attachment.dropout.scores.tolist()
    assert static == pytest.approx(1)
    assert dynamic < 0.5
    gone = torch.cat(read[2:]) == 0  # from the first estimate on
    assert (gone.sum(1) == 1).all()
    share = gone[:, 0].double().mean().item()
    p = attachment.dropout.probabilities[0].item()
    assert share > 0.6
    assert p == pytest.approx(1 / (1 + np.exp(dynamic - static)))
    assert naive.inclusion([p, 1 - p], 1)[0] == pytest.approx(p)


@pytest.mark.parametrize("cached", [True, False])
def test_autocast(cached):
    def run(rate, attached):
        model = made()
        if attached:
            attached = attach(model, "pool", rate, every=2)
        torch.manual_seed(3)
        for number in range(3):
            with torch.autocast("cpu", torch.bfloat16, cache_enabled=cached):
                loss = model(videos(number)).float().square().mean()
                assert torch.is_autocast_cache_enabled() == cached
            loss.backward()
        return [parameter.grad for parameter in model.parameters()], attached

    gradients, attachment = run(0.0, attached=True)
    assert equal(gradients, run(0.0, attached=False)[0])  # weights are converted with their gradients
    assert attachment.dropout.estimates == 1
    assert attachment.dropout.scores.any()


def test_an_overflow_costs_the_estimate_and_nothing_else():
    model = made()
    attachment = attach(model, "pool", 0.5, every=2)

    def forwards():  # no optimizer: a loss scaler skips its step, too
        for number in range(5):
            model(videos(number) * (float("inf") if number == 2 else 1)).sum().backward()

    with pytest.warns(UserWarning, match="not finite"):
        forwards()
    assert attachment.dropout.estimates == 1
    model(videos(5))
    assert attachment.dropout.estimates == 2
    assert attachment.dropout.scores.isfinite().all()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch's own, of a part
@pytest.mark.parametrize("order", ["attach last", "attach first", "in place", "a part"])
def test_a_compiled_model_stays_one_graph(order):
    from torch._dynamo.testing import CompileCounterWithBackend
    from torch._dynamo.utils import counters

    torch.compiler.reset()
    counters.clear()
    counter = CompileCounterWithBackend("aot_eager")
    options = {"backend": counter, "fullgraph": True}
    model = trained = made()
    if order == "attach last":
        trained = torch.compile(model, **options)
        trained(videos())  # compiled before there were hooks
        counter.frame_count = 0
    if order == "a part":
        model.pool = torch.compile(model.pool, **options)
    attachment = attach(trained, "pool", 0.5, every=2)
    if order == "attach first":
        trained = torch.compile(model, **options)
    if order == "in place":
        model.compile(**options)
    train(trained)
    assert (attachment.dropout.step, attachment.dropout.estimates) == (6, 2 + 1)
    assert counter.frame_count == 1
    assert not counters["graph_break"]
    trained.eval()
    assert torch.isfinite(trained(videos())).all()
    attachment.remove()
    trained.train()
    trained(videos())
    assert attachment.dropout.step == 6
    torch.compiler.reset()


def test_fullgraph_and_a_sequential_want_the_other_order():
    model = nn.Sequential(nn.Conv3d(3, 8, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 2))
    attach(model, "2", 0.5)
    with pytest.raises(torch._dynamo.exc.Unsupported, match=r"call sdmetrics\.torch\.attach after torch\.compile"):
        torch.compile(model, backend="eager", fullgraph=True)(videos())
    torch.compiler.reset()


def test_training_resumes_bit_for_bit():
    def begin():
        model = made()
        attachment = attach(model, "pool", 0.5, every=4, batches=3)
        return model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9), attachment

    torch.manual_seed(7)
    model, optimizer, _ = begin()
    uninterrupted = train(model, 0, 12, optimizer)
    torch.manual_seed(7)
    stopped, optimizer, attachment = begin()
    losses = train(stopped, 0, 6, optimizer)
    assert attachment.dropout.collected == 2  # in the midst of an estimate
    file = io.BytesIO()
    torch.save([stopped.state_dict(), optimizer.state_dict(), torch.get_rng_state()], file)
    train(stopped, 6, 8, optimizer)
    torch.manual_seed(99)
    resumed, optimizer, attachment = begin()
    weights, momenta, rng = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    resumed.load_state_dict(weights)
    optimizer.load_state_dict(momenta)
    torch.set_rng_state(rng)
    losses += train(resumed, 6, 12, optimizer)
    assert equal(losses, uninterrupted)
    assert equal(resumed.state_dict(), model.state_dict())
    assert attachment.dropout.estimates == 3


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing_draws_the_same_again(reentrant):
    class Checkpointed(Net):
        use = True

        def forward(self, video):
            def head(x):
                return self.fc(self.pool(x).flatten(1))

            x = self.bn(self.conv(video)).relu()
            return checkpoint(head, x, use_reentrant=reentrant) if self.use else head(x)

    found = []
    for use in (True, False):
        model = made(Checkpointed)
        model.use = use
        attachment = attach(model, "pool", 0.5, every=1)
        torch.manual_seed(2)
        losses = train(model, last=3)
        assert attachment.dropout.estimates == 2
        found.append((losses, [parameter.detach() for parameter in model.parameters()]))
    assert equal(found[0][0], found[1][0])
    assert equal(found[0][1], found[1][1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])  # noqa: S301
def test_a_copy_of_the_model_is_on_its_own(duplicate):
    model = made()
    attachment = attach(model, "pool", 0.5, every=1)
    train(model, last=2)
    other = duplicate(model)
    twin = other.pool.static_dropout
    assert twin is not attachment.dropout
    before = attachment.dropout.scores.clone()
    torch.manual_seed(4)
    losses = train(other, 2, 5)
    assert (twin.step, attachment.dropout.step) == (5, 2)
    assert torch.equal(attachment.dropout.scores, before)
    torch.manual_seed(4)
    assert equal(train(model, 2, 5), losses)
    assert torch.equal(attachment.dropout.scores, twin.scores)


def test_a_model_with_several():
    model = made()
    deep, shallow = attach(model, "pool", 0.5, every=2), attach(model, "bn", 0.2, units=UNITS, every=3)
    train(model, last=7)
    assert [(a.dropout.step, a.dropout.estimates) for a in (deep, shallow)] == [(7, 3), (7, 2)]
