"""`attach` with losses on shuffled frames: what they are, and what they leave alone."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sdmetrics.errors import InputError
from sdmetrics.torch import ShuffleEntropy, StaticPenalty, attach
from tests.helpers.training import Net, Plain, TwoPathways, equal, made, seeded_and_alone, videos


@pytest.fixture(autouse=True)
def _alone():
    with seeded_and_alone():
        yield


def recorded(model):
    """Return a list of the batches that a model is called with from now on."""
    seen = []
    model.conv.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    return seen


def gradients(model):
    return [parameter.grad.clone() for parameter in model.parameters()]


def test_the_loss_and_its_gradient_are_those_computed_by_hand():
    model = made(Plain)
    twin = copy.deepcopy(model)
    seen = recorded(model)
    penalty, entropy = StaticPenalty(0.7), ShuffleEntropy(0.3)
    attached = attach(model, "pool", penalty=penalty, entropy=entropy)
    (model(videos()).square().mean() + attached.loss()).backward()
    shuffled, clips = seen
    assert torch.equal(clips, videos())
    for one, other in zip(clips, shuffled, strict=True):
        frames = [frame.tobytes() for frame in one.transpose(0, 1).numpy()]
        moved = [frame.tobytes() for frame in other.transpose(0, 1).numpy()]
        assert sorted(frames) == sorted(moved)
        assert frames != moved
    z1, z2 = (twin.pool(twin.conv(video).relu()) for video in (clips, shuffled))
    by_hand = penalty(z1, z2) + entropy(twin.fc(z2.flatten(1)))
    assert attached.loss().item() == pytest.approx(by_hand.item(), abs=1e-6)
    (twin(clips).square().mean() + by_hand).backward()
    for one, other in zip(gradients(model), gradients(twin), strict=True):
        torch.testing.assert_close(one, other)


def test_several_layers_are_averaged_and_axes_named():
    model = made(Plain)
    seen = recorded(model)
    attached = attach(model, ["conv", "pool"], penalty=StaticPenalty())
    model(videos())
    value = attached.loss().item()
    z = [[model.conv(video), model.pool(model.conv(video).relu())] for video in seen[::-1]]
    expected = (StaticPenalty()(z[0][0], z[1][0]) + StaticPenalty()(z[0][1], z[1][1])) / 2
    assert value == pytest.approx(expected.item(), abs=1e-6)

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.last = nn.Linear(75, 6), nn.Identity()

        def forward(self, video):
            return self.last(self.embed(video.transpose(1, 2).flatten(2)))

    model = made(Tokens)
    assert attach(model, {"last": 2}, penalty=StaticPenalty()).step == 0
    model(videos())
    attach(model, {"last": 3}, penalty=StaticPenalty())
    with pytest.raises(InputError, match=r"channels on axis 3.*\{'blocks.11': 2\}"):
        model(videos())


@pytest.mark.parametrize("every", [1, 2])
def test_everything_else_is_left_alone(every):
    """BatchNorm's statistics, the dropout's draws and the model's own gradient are those without the loss."""

    def trained(with_loss):
        torch.manual_seed(3)
        model = made(Net)
        if with_loss:
            attach(model, "bn", penalty=StaticPenalty(every=every), entropy=ShuffleEntropy(every=every))
        for number in range(3):
            model(videos(number)).square().mean().backward()
        return gradients(model), dict(model.named_buffers()), torch.get_rng_state()

    with_loss, without = trained(True), trained(False)
    assert equal(with_loss[0], without[0])
    assert equal(with_loss[1], without[1])
    assert torch.equal(with_loss[2], without[2])


def test_the_schedule():
    model = made(Plain)
    seen = recorded(model)
    attached = attach(model, "pool", penalty=StaticPenalty(every=2, warmup=4))
    weights = []
    for number in range(6):
        model(videos(number))
        batches = list(seen)
        pair = [model.pool(model.conv(video).relu()) for video in batches]
        weights.append(round(attached.loss().item() / StaticPenalty()(*pair).item(), 3) if len(pair) == 2 else 0)
        del seen[:]
    assert weights[0] == weights[1] == weights[3] == weights[5] == 0
    assert weights[2::2] == [0.5, 1.0]


def test_only_training_forwards_count():
    model = made(Plain)
    attached = attach(model, "pool", penalty=StaticPenalty())
    with pytest.raises(InputError, match=r"no forward in training yet"):
        attached.loss()
    model.eval()
    model(videos())
    model.train()
    with torch.no_grad():
        model(videos())
    assert attached.step == 0
    model(videos())
    assert attached.step == 1
    attached.remove()
    model(videos())
    assert attached.step == 1
    assert not model.pool._forward_hooks
    assert not model._forward_pre_hooks


def test_accumulated_micro_batches():
    def trained(together):
        model = made(Plain)
        attached = attach(model, "pool", penalty=StaticPenalty())
        losses = []
        for number in range(2):
            loss = model(videos(number)).square().mean() + attached.loss()
            losses.append(loss)
            if not together:
                loss.backward()
        if together:
            sum(losses).backward()
        return gradients(model)

    for one, other in zip(trained(True), trained(False), strict=True):
        torch.testing.assert_close(one, other)


def test_a_training_resumes_bit_for_bit():
    def begin():
        model = made(Net)
        attached = attach(model, "bn", penalty=StaticPenalty(every=2), entropy=ShuffleEntropy())
        return model, attached, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def train(model, attached, optimiser, steps):
        for number in steps:
            optimiser.zero_grad()
            (model(videos(number)).square().mean() + attached.loss()).backward()
            optimiser.step()

    torch.manual_seed(7)
    whole = begin()
    train(*whole, range(6))
    torch.manual_seed(7)
    stopped = begin()
    train(*stopped, range(3))
    saved = [copy.deepcopy(part.state_dict()) for part in stopped]
    state = torch.get_rng_state()
    torch.manual_seed(99)
    resumed = begin()
    for part, values in zip(resumed, saved, strict=True):
        part.load_state_dict(values)
    torch.set_rng_state(state)
    train(*resumed, range(3, 6))
    assert equal(whole[0].state_dict(), resumed[0].state_dict())


@pytest.mark.parametrize("order", ["attach last", "attach first"])
def test_a_compiled_model(order):
    def trained(compiled):
        model = made(Plain)
        called = model
        if compiled and order == "attach last":
            called = torch.compile(model, backend="aot_eager", fullgraph=True)
        attached = attach(called, "pool", penalty=StaticPenalty(every=2), entropy=ShuffleEntropy())
        if compiled and order == "attach first":
            called = torch.compile(model, backend="aot_eager")
        for number in range(3):
            (called(videos(number)).square().mean() + attached.loss()).backward()
        assert attached.step == 3
        return gradients(model)

    torch.compiler.reset()
    for one, other in zip(trained(True), trained(False), strict=True):
        torch.testing.assert_close(one, other)
    torch.compiler.reset()


def test_activation_checkpointing():
    class Checkpointed(Plain):
        reentrant = False

        def forward(self, video):
            z = checkpoint(lambda x: self.pool(self.conv(x).relu()), video, use_reentrant=self.reentrant)
            return self.fc(z.flatten(1))

    def trained(kind):
        model = made(kind)
        attached = attach(model, "pool", penalty=StaticPenalty())
        for number in range(2):
            (model(videos(number)).square().mean() + attached.loss()).backward()
        return gradients(model)

    for one, other in zip(trained(Checkpointed), trained(Plain), strict=True):
        torch.testing.assert_close(one, other)

    class Reentrant(Checkpointed):
        reentrant = True

    model = made(Reentrant)
    attach(model, "conv", penalty=StaticPenalty())
    with pytest.raises(InputError, match="no gradient reaches what module 'conv' returns"):
        model(videos().requires_grad_())


def test_autocast_and_a_scaler():
    model = made(Net)
    attached = attach(model, "bn", penalty=StaticPenalty(), entropy=ShuffleEntropy())
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(videos()).float().square().mean() + attached.loss()
    assert attached.loss().dtype == torch.float32
    scaler.scale(loss).backward()
    scaler.step(optimiser)
    assert all(gradient.isfinite().all() for gradient in gradients(model))


def test_several_inputs_that_the_model_writes_into():
    model = made(TwoPathways)
    slow, fast = torch.randn(4, 3, 4, 5, 5), torch.randn(4, 3, 8, 5, 5)
    attached = attach(model, "joined", penalty=StaticPenalty())
    (model([slow, fast]).square().mean() + attached.loss()).backward()
    assert 0 < attached.loss().item() <= 1


def test_beside_static_dropout():
    model = made(Net)
    dropout = attach(model, "pool", 0.5, every=2).dropout
    attached = attach(model, "bn", penalty=StaticPenalty())
    for number in range(4):
        (model(videos(number)).square().mean() + attached.loss()).backward()
    assert (dropout.step, dropout.estimates, attached.step) == (4, 2, 4)


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        ("gone", {"penalty": StaticPenalty()}, "gone"),
        ("pool", {"penalty": 1.0}, "penalty is 1.0; expected: a StaticPenalty"),
        ("pool", {"entropy": StaticPenalty()}, "expected: a ShuffleEntropy"),
        ("pool", {"penalty": StaticPenalty(), "rate": 0.5}, "are those of StaticDropout"),
        ("pool", {"penalty": StaticPenalty(), "layout": 5}, "layout is 5"),
    ],
)
def test_arguments(layer, options, message):
    with pytest.raises(InputError, match=message):
        attach(made(Plain), layer, **options)


def test_a_layer_that_is_not_one_row_per_clip():
    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, video):
            return self.conv(video.transpose(1, 2).flatten(0, 1)).mean((2, 3))

    model = made(Folded)
    attach(model, "conv", penalty=StaticPenalty())
    with pytest.raises(InputError, match=r"for 6 clips.*one row per clip"):
        model(videos())


def test_a_model_without_parameters_has_no_loss_where_none_is_due():
    model = nn.Sequential(nn.Identity())
    attached = attach(model, "0", penalty=StaticPenalty(weight=0))
    model(videos())
    assert attached.loss().item() == 0
