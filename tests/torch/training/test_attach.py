import numpy as np
import pytest
import torch
from torch import nn

import sdmetrics as sd
from sdmetrics.errors import InputError
from sdmetrics.torch import Attachment, StaticDropout, attach, finetune
from tests import naive
from tests.helpers.training import UNITS, Net, TwoPathways, equal, made, seeded_and_alone, train, videos, watch


@pytest.fixture(autouse=True)
def _alone():
    with seeded_and_alone():
        yield


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
    with pytest.raises(InputError, match=r"'3\.0' already has a StaticDropout attached; \.remove\(\) it first"):
        attach(model, "3.0")
    attachment.remove()
    with pytest.raises(InputError, match=r"'3\.0' is already a StaticDropout; set rate, units and options there"):
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
