import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import sdmetrics as sd
from sdmetrics.errors import InputError
from sdmetrics.torch import Attachment, StaticDropout, attach, finetune
from tests import naive

UNITS = 6


class Net(nn.Module):
    """A small network with all that a further forward could disturb."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, UNITS, 3)
        self.bn = nn.BatchNorm3d(UNITS)
        self.inner = nn.Dropout(0.3)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(UNITS, 2)

    def forward(self, video):
        return self.fc(self.pool(self.inner(self.bn(self.conv(video)).relu())).flatten(1))


class TwoPathways(nn.Module):
    """Takes a list of inputs and writes into it, as PyTorchVideo's SlowFast does."""

    def __init__(self):
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 4, (1, 3, 3)), nn.Conv3d(3, 2, (3, 3, 3))
        self.joined = nn.Identity()
        self.fc = nn.Linear(6, 2)

    def forward(self, pathways):
        assert [pathway.shape[1] for pathway in pathways] == [3, 3]
        for number, conv in enumerate((self.slow, self.fast)):
            pathways[number] = conv(pathways[number]).relu().mean((2, 3, 4))
        return self.fc(self.joined(torch.cat(pathways, 1)))


@pytest.fixture(autouse=True)
def _seeded_and_alone():
    """Everything here is tiny: sharing it among threads would cost more than it saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def videos(number=0, clips=6, frames=4):
    return torch.randn(clips, 3, frames, 5, 5, generator=torch.Generator().manual_seed(number))


def made(kind=Net, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind()


def train(model, first=0, last=6, optimizer=None, batch=videos):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    losses = []
    for number in range(first, last):
        loss = model(batch(number)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def equal(first, second):
    """Whether two mappings or lists of tensors are the same, bit for bit."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        first, second = list(first.values()), list(second.values())
    assert len(first) == len(second)
    return all(map(torch.equal, first, second))


def watch(module):
    """Return a list that what the module reads is added to."""
    seen = []
    module.register_forward_pre_hook(lambda _module, args: seen.append(args[0].detach().clone()))
    return seen


def test_the_further_forward_leaves_no_trace():
    plain, attached = made(), made()
    attachment = attach(attached, "pool", rate=0.0, every=2)
    ran = watch(attached.conv)
    torch.manual_seed(5)
    losses = train(plain)
    state = torch.get_rng_state()
    torch.manual_seed(5)
    assert equal(train(attached), losses)
    assert torch.equal(torch.get_rng_state(), state)
    assert (attachment.dropout.step, attachment.dropout.estimates, len(ran)) == (6, 3, 9)
    attachment.remove()
    assert equal(attached.state_dict(), plain.state_dict())
    assert plain.bn.num_batches_tracked == 6
    assert all(map(torch.equal, (p.grad for p in attached.parameters()), (p.grad for p in plain.parameters())))


def test_scores_are_those_of_the_features_in_order_and_shuffled():
    model = made()
    attachment = attach(model, "pool", rate=0.5, every=3, batches=2)
    model.inner.p = 0.0  # so that a forward can be repeated
    read = watch(model.conv)
    train(model, last=2, optimizer=torch.optim.SGD(model.parameters(), 0.0))
    assert len(read) == 4
    again = made()
    again.inner.p = 0.0
    pooled = watch(again.fc)
    for video in read:
        again(video)
    assert attachment.dropout.estimates == 0  # made of both batches; it takes effect with the next step
    model(videos())
    assert attachment.dropout.estimates == 1
    shuffled, in_order = (torch.cat(pooled[start::2]).numpy() for start in (0, 1))
    assert not np.allclose(shuffled, in_order)
    expected = sd.unit_bias({"static": sd.PairMoments.from_arrays(in_order, shuffled)}).scores["static"]
    np.testing.assert_allclose(attachment.dropout.scores, expected, atol=1e-6)
    np.testing.assert_allclose(
        attachment.dropout.probabilities, naive.softmax(attachment.dropout.scores.numpy()), rtol=1e-12
    )


def permutations(before, after, axis):
    """Return each clip's order of frames, as what each frame shows tells."""
    before, after = (video.movedim(axis, 1).flatten(2) for video in (before, after))
    same = (before[:, None] == after[:, :, None]).all(3)
    assert (same.sum(2) == 1).all()
    return same.int().argmax(2)


@pytest.mark.parametrize(("layout", "axis"), [("NCTHW", 2), ("NTCHW", 1), ("NTHWC", 1), ("NCHWT", 4)])
@pytest.mark.parametrize("given", ["letters", "input"])
def test_each_clip_is_shuffled_in_time_in_any_layout(layout, axis, given):
    class Reading(nn.Module):
        def __init__(self):
            super().__init__()
            self.reads = nn.Identity()
            self.features = nn.Linear(300, 4)
            self.fc = nn.Linear(4, 2)

        def forward(self, *, video, labels):
            assert video.is_contiguous()
            assert labels.tolist() == list(range(32))
            return self.fc(self.features(self.reads(video).flatten(1)))

    model = Reading()
    read = watch(model.reads)
    chosen = layout if given == "letters" else sd.ModelInput("video", frames=4, size=(5, 5), layout=layout)
    attach(model, "features", 0.5, layout=chosen)
    video = videos(clips=32).permute(["NCTHW".index(letter) for letter in layout]).contiguous()
    model(video=video, labels=torch.arange(32)).sum().backward()
    shuffled, in_order = read
    assert torch.equal(in_order, video)
    orders = permutations(video, shuffled, axis)
    assert not (orders == torch.arange(4)).all(1).any()
    assert len(orders.unique(dim=0)) > 10
    assert (orders.sort(1).values == torch.arange(4)).all()


@pytest.mark.parametrize("layout", ["NCTHW", ["NCTHW", sd.ModelInput("fast")]])
def test_every_pathway_has_orders_of_its_own(layout):
    model = TwoPathways()
    read = [watch(model.slow), watch(model.fast)]
    attachment = attach(model, "joined", 0.5, units=6, layout=layout)
    pathways = [videos(clips=16), videos(clips=16)]
    model(pathways).sum().backward()
    slow, fast = (permutations(in_order, shuffled, 2) for shuffled, in_order in read)
    assert (slow != fast).any()
    for orders in (slow, fast):
        assert not (orders == torch.arange(4)).all(1).any()
    model([videos(), videos(1)])
    assert attachment.dropout.estimates == 1


def test_orders_follow_from_seed_and_step():
    def first_orders(seed, steps=1):
        model = made()
        read = watch(model.conv)
        attach(model, "pool", 0.5, seed=seed, every=1)
        for _ in range(steps):
            model(videos(clips=20))
        return permutations(read[-1], read[-2], 2)

    assert torch.equal(first_orders(0), first_orders(0))
    assert not torch.equal(first_orders(0), first_orders(1))
    assert not torch.equal(first_orders(0), first_orders(0, steps=2))


def test_two_frames_are_always_exchanged():
    model = made(lambda: nn.Sequential(nn.Conv3d(3, 4, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)))
    read = watch(model[0])
    attach(model, "2", 0.5)
    model(videos(frames=2, clips=9))
    assert torch.equal(read[0], read[1].flip(2))


def test_only_training_with_gradients_counts():
    model = made()
    attachment = attach(model, "pool", 0.5, every=1)
    read = watch(model.conv)
    with torch.no_grad():
        model(videos())
    model.eval()
    model(videos())
    assert (attachment.dropout.step, len(read)) == (0, 2)
    model.train()
    finetune(model)
    model(videos())
    assert attachment.dropout.step == 0
    finetune(model, False)
    model(videos())
    assert attachment.dropout.step == 1


def test_a_layer_may_be_any_module():
    def zeros(model, layer, **options):
        attach(model, layer, 0.5, **options)
        read = watch(model.fc if isinstance(model, Net) else model[-1])
        model(videos())
        return (read[-1].flatten(1) == 0).sum(1)

    assert (zeros(made(), "pool") == 3).all()
    assert (zeros(made(), "bn", units=UNITS) < UNITS).all()  # dropped before the nonlinearity and the pooling
    part = lambda: nn.Sequential(nn.Conv3d(3, 8, 3), nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten()))  # noqa: E731
    model = nn.Sequential(*part(), nn.Linear(8, 2))
    assert (zeros(model, "1") == 4).all()
    assert isinstance(model[1][2], StaticDropout)

    class Pair(nn.Module):
        def forward(self, x):
            return x.mean((2, 3, 4)), "rest"

    class First(nn.Module):
        def forward(self, pair):
            assert pair[1] == "rest"
            return pair[0]

    assert (zeros(nn.Sequential(nn.Conv3d(3, 8, 3), Pair(), First(), nn.Linear(8, 2)), "1") == 4).all()


def test_a_dropout_is_replaced_and_put_back():
    def make():
        return nn.Sequential(
            nn.Conv3d(3, 8, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(0.25), nn.Linear(8, 2)
        )

    model = made(make).eval()
    before, state, out = model[3], model.state_dict(), model(videos())
    attachment = attach(model, "3")
    assert model[3] is attachment.dropout
    assert (attachment.dropout.units, attachment.dropout.rate, attachment.dropout.training) == (8, 0.25, False)
    assert torch.equal(model(videos()), out)
    model.train()
    model(videos())
    assert attachment.dropout.step == 1
    attachment.remove()
    attachment.remove()
    assert model[3] is before
    assert before.training
    assert equal(model.state_dict(), state)
    model(videos())
    assert attachment.dropout.step == 1


def test_a_static_dropout_that_is_there_stays():
    model = nn.Sequential(nn.Conv3d(3, 8, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 2))
    model[3] = nn.Sequential(StaticDropout(8, 0.5, every=2), model[3])
    attachment = attach(model, "3.0")
    assert attachment.dropout is model[3][0]
    for number in range(3):
        model(videos(number))
    assert attachment.dropout.estimates == 1
    with pytest.raises(InputError, match=r"'3\.0' has a StaticDropout attached already; \.remove\(\) that one first"):
        attach(model, "3.0")
    attachment.remove()
    with pytest.raises(InputError, match=r"'3\.0' is a StaticDropout already; its rate and options are given there"):
        attach(model, "3.0", 0.5)
    assert attach(model, "3.0").dropout is attachment.dropout


def test_without_the_attachment_the_model_is_as_before():
    model = made()
    names = [name for name, _ in model.named_modules()]
    attachment = attach(model, "pool", 0.5)
    assert "pool.static_dropout.scores" in model.state_dict()
    assert isinstance(attachment, Attachment)
    attachment.remove()
    assert [name for name, _ in model.named_modules()] == names
    torch.manual_seed(1)
    losses = train(model, last=2)
    torch.manual_seed(1)
    assert equal(losses, train(made(), last=2))


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


@pytest.mark.parametrize(
    ("layer", "arguments", "message"),
    [
        ("pol", {"rate": 0.5}, r"Net has no module 'pol'. The nearest names: pool"),
        ("pool", {}, "'pool' is AdaptiveAvgPool3d, not a dropout; give a rate, 0 to 1"),
        ("fc", {"rate": 0.5}, "no module after 'fc' tells how many units it returns; give units="),
        ("pool", {"rate": 2}, "rate is 2; allowed: 0 to 1"),
    ],
)
def test_what_cannot_be_attached_is_named(layer, arguments, message):
    with pytest.raises(InputError, match=message):
        attach(made(), layer, **arguments)


def test_attaching_twice_is_refused():
    model = made()
    attach(model, "pool", 0.5)
    with pytest.raises(InputError, match="'pool' has a StaticDropout attached already"):
        attach(model, "pool", 0.5)


class Odd(Net):
    """Has a part that never runs, one that runs twice, and one that returns frames."""

    def __init__(self):
        super().__init__()
        self.never, self.twice, self.frames = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, video):
        x = self.twice(self.twice(self.conv(video)))
        return self.fc(self.frames(x.transpose(1, 2).flatten(0, 1).mean((2, 3))))


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        ("never", {}, "'never' does not run in a forward of Odd; needed: once"),
        ("twice", {}, "'twice' runs 2 times in a forward of Odd; needed: once"),
        ("frames", {}, r"'frames' returns features of the shape \(12, 6\) for 6 clips; needed: one row for each clip"),
        ("frames", {"units": 5}, r"features have the shape \(12, 6\); needed: \(N, 5\)"),
        ("twice", {"layout": "NTC"}, r"called with \(6, 3, 4, 5, 5\): with layout='NTC', no tensor has two frames"),
        ("twice", {"layout": ["NCTHW"] * 2}, r"layout is NCTHW, NCTHW; give one layout for each tensor"),
        ("twice", {"layout": "CTHWN"}, "layout is 'CTHWN'; write each axis once, N first"),
        ("twice", {"layout": "NCHWH"}, "layout is 'NCHWH'"),
    ],
)
def test_what_cannot_be_trained_is_named(layer, options, message):
    model = made(Odd)
    attach(model, layer, 0.5, **{"units": UNITS} | options)
    with pytest.raises(InputError, match=message):
        model(videos())


def test_inputs_that_cannot_be_shuffled_are_named():
    model = made(lambda: nn.Sequential(nn.Conv3d(3, 4, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)))
    attach(model, "2", 0.5)
    with pytest.raises(InputError, match=r"called with \(6, 3, 1, 5, 5\): .* no tensor has two frames or more"):
        model(videos(frames=1))
    pathways = TwoPathways()
    attach(pathways, "joined", 0.5, units=6)
    with pytest.raises(InputError, match=r"\(6, 3, 4, 5, 5\), \(5, 3, 4, 5, 5\): .* different numbers of clips"):
        pathways([videos(), videos(clips=5)])
    attach(other := TwoPathways(), "joined", 0.5, units=6)
    with pytest.raises(InputError, match="called with no tensor"):
        other([])
