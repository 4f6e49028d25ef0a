"""Weights of FusionSeg and MATNet as their authors save them, by the names that their code gives them."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from sdmetrics.errors import InputError
from sdmetrics.exporters._weights.checkpoints import open_checkpoint
from sdmetrics.exporters._weights.layouts.table import translated
from sdmetrics.exporters._weights.load_state import fit
from sdmetrics.exporters.catalogue import build_random, find_architecture
from sdmetrics.torch.segmenters.published import matnet

torch.set_num_threads(1)

MATNET = (
    {
        f"encoder.{theirs}_{number}": f"{stream}.{ours}"
        for number, stream in ((1, "appearance"), (2, "motion"))
        for theirs, ours in (("conv1", "stem.0"), ("bn1", "stem.1"), *((f"res{n}", f"stage{n}") for n in (2, 3, 4, 5)))
    }
    | {
        f"encoder.coa_res{n}.{theirs}": f"cross.res{n}.{ours}"
        for n in (3, 4, 5)
        for theirs, ours in (
            ("proja", "project_appearance"),
            ("projb", "project_motion"),
            ("proj1", "attend_appearance"),
            ("proj2", "attend_motion"),
            ("rgating.conv.0", "gate"),
        )
    }
    | {
        f"encoder.gated_res{n}.{theirs}": f"fusion.res{n}.{ours}"
        for n in (2, 3, 4, 5)
        for theirs, ours in (
            ("excitation_1.0", "channel.reduce"),
            ("excitation_2.0", "channel.expand"),
            ("global_attention.0", "overall"),
            ("spatial.conv", "spatial"),
            ("spatial.bn", "norm"),
        )
    }
    | {
        f"decoder.bdry{n}.{theirs}": f"refinement.heads.res{n}.{ours}"
        for n in (2, 3, 4, 5)
        for theirs, ours in (("bn1", 0), ("conv1", 1), ("bn2", 3), ("conv2", 4), ("conv3", 6))
    }
    | {
        f"decoder.RF{n}.{theirs}": f"decoder.refine.res{n}.{ours}"
        for n in (2, 3, 4)
        for theirs, ours in (
            ("pdc.block0", "plain"),
            ("pdc.block1.conv", "dilated.0"),
            ("pdc.block2.conv", "dilated.1"),
            ("pdc.block3.conv", "dilated.2"),
            ("pdc.bn", "norm"),
            ("convFS2", "smooth_stage.1"),
            ("convFS3", "smooth_stage.3"),
            ("convMM1", "smooth.1"),
            ("convMM2", "smooth.3"),
        )
    }
    | {
        "decoder.GC.conv_l1": "decoder.context.tall_first.0",
        "decoder.GC.conv_l2": "decoder.context.tall_first.1",
        "decoder.GC.conv_r1": "decoder.context.flat_first.0",
        "decoder.GC.conv_r2": "decoder.context.flat_first.1",
        "decoder.convG1": "decoder.smooth.1",
        "decoder.convG2": "decoder.smooth.3",
        "decoder.pred2": "decoder.mask",
        "decoder.concat": "refinement.combine",
    }
)
"""Parts of MATNet by its authors' names, and by ours."""

MATNET_NEVER_RUN = [
    *(f"encoder.coa_res{n}.bottolneck{k}.{i}.weight" for n in (3, 4, 5) for k in (1, 2) for i in (0, 1)),
    *(f"encoder.coa_res{n}.bn{k}.running_mean" for n in (3, 4, 5) for k in "ab"),
    *(f"decoder.RF{n}.convFS1.bias" for n in (2, 3, 4)),
    *(f"decoder.pred{n}.weight" for n in (3, 4, 5)),
]

FUSIONSEG = {
    f"backbone.{theirs}_stream.{part}": f"{ours}.{ours_part}"
    for theirs, ours in (("app", "appearance"), ("mot", "motion"))
    for part, ours_part in (
        ("conv1", "stem.0"),
        ("bn1", "stem.1"),
        *((f"layer{n - 1}", f"stage{n}") for n in (2, 3, 4, 5)),
    )
} | {
    "backbone.sensor_fusion.layer1": "fusion.res2.mix",
    "backbone.sensor_fusion.layer4": "fusion.res5.mix",
    "classifier.project.0": "decoder.project.0",
    "classifier.project.1": "decoder.project.1",
    **{f"classifier.aspp.convs.{k}.{i}": f"decoder.pyramid.{k}.{i}" for k in range(4) for i in (0, 1)},
    "classifier.aspp.convs.4.1": "decoder.pyramid.4.1.0",
    "classifier.aspp.convs.4.2": "decoder.pyramid.4.1.1",
    "classifier.aspp.project.0": "decoder.join.0.0",
    "classifier.aspp.project.1": "decoder.join.0.1",
    "classifier.classifier.0": "decoder.smooth.0",
    "classifier.classifier.1": "decoder.smooth.1",
    "classifier.classifier.3": "decoder.mask",
}


def named(state, table):
    """Return a state of ours under the authors' names; every weight has one."""
    parts = sorted(((ours + ".", theirs + ".") for theirs, ours in table.items()), key=len, reverse=True)
    found = {}
    for name, tensor in state.items():
        (part,) = [(ours, theirs) for ours, theirs in parts if name.startswith(ours)]
        found[part[1] + name.removeprefix(part[0])] = tensor
    assert len(found) == len(state)
    return found


def small(name, backbone="resnet18"):
    row = find_architecture(name)
    return replace(row, build=partial(row.build, backbone=backbone))


def random_state(row, seed=1):
    torch.manual_seed(seed)
    state = row.build(row.inputs, row.classes).state_dict()
    return {name: torch.rand_like(value) if value.is_floating_point() else value for name, value in state.items()}


def same(module, state):
    ours = module.state_dict()
    return ours.keys() == state.keys() and all(torch.equal(ours[name], state[name]) for name in ours)


def save_halves(state, folder, epoch=0):
    """Save as MATNet's training does, in two files, from several cards."""
    for half in ("encoder", "decoder"):
        part = {
            f"module.{name.removeprefix(half + '.')}": t for name, t in state.items() if name.startswith(half + ".")
        }
        torch.save(part, folder / f"{half}_{epoch}.pt")


@pytest.mark.parametrize("name", ["matnet", "matnet_both_ways"])
def test_the_two_files_of_matnet(name, tmp_path):
    row = small(name)
    state = random_state(row)
    theirs = named(state, MATNET) | {unused: torch.ones(3) for unused in MATNET_NEVER_RUN}
    save_halves(theirs, tmp_path)
    torch.save({"lr": 1.0}, tmp_path / "args.pt")
    module, inputs = open_checkpoint(row, tmp_path)
    assert same(module, state)
    assert inputs == row.inputs
    assert not module.training


def test_the_sizes_that_its_authors_gave_it():
    row = find_architecture("matnet")
    with torch.device("meta"):
        module = row.build(row.inputs, row.classes)
    theirs = named(module.state_dict(), MATNET)
    shapes = {name: tuple(tensor.shape) for name, tensor in theirs.items()}
    assert {name: shapes[name] for name in (
        "encoder.conv1_1.weight", "encoder.res4_2.22.conv3.weight", "encoder.coa_res3.proja.weight",
        "encoder.coa_res5.proj2.weight", "encoder.gated_res2.excitation_1.0.weight",
        "encoder.gated_res5.excitation_2.0.weight", "encoder.gated_res5.global_attention.0.weight",
        "encoder.gated_res3.spatial.conv.weight", "encoder.gated_res3.spatial.bn.weight", "decoder.GC.conv_l1.weight",
        "decoder.GC.conv_l2.weight", "decoder.GC.conv_r1.weight", "decoder.RF4.pdc.block0.weight",
        "decoder.RF3.pdc.block3.conv.weight", "decoder.RF2.convFS2.weight", "decoder.pred2.weight",
        "decoder.concat.weight", "decoder.bdry5.conv1.weight", "decoder.bdry2.bn1.weight", "decoder.bdry2.conv3.weight",
    )} == {
        "encoder.conv1_1.weight": (64, 3, 7, 7),
        "encoder.res4_2.22.conv3.weight": (1024, 256, 1, 1),
        "encoder.coa_res3.proja.weight": (32, 512, 1, 1),
        "encoder.coa_res5.proj2.weight": (1, 2048, 1, 1),
        "encoder.gated_res2.excitation_1.0.weight": (32, 512),
        "encoder.gated_res5.excitation_2.0.weight": (4096, 256),
        "encoder.gated_res5.global_attention.0.weight": (1, 256),
        "encoder.gated_res3.spatial.conv.weight": (1, 1, 7, 7),
        "encoder.gated_res3.spatial.bn.weight": (1,),
        "decoder.GC.conv_l1.weight": (256, 4097, 7, 1),
        "decoder.GC.conv_l2.weight": (256, 256, 1, 7),
        "decoder.GC.conv_r1.weight": (256, 4097, 1, 7),
        "decoder.RF4.pdc.block0.weight": (64, 2049, 1, 1),
        "decoder.RF3.pdc.block3.conv.weight": (64, 1025, 3, 3),
        "decoder.RF2.convFS2.weight": (256, 256, 3, 3),
        "decoder.pred2.weight": (1, 256, 3, 3),
        "decoder.concat.weight": (1, 4, 3, 3),
        "decoder.bdry5.conv1.weight": (64, 4096, 3, 3),
        "decoder.bdry2.bn1.weight": (512,),
        "decoder.bdry2.conv3.weight": (1, 64, 1, 1),
    }  # fmt: skip


def test_fusionseg_draws_what_the_softmax_of_its_two_logits_says(tmp_path):
    row = small("fusionseg", "resnet50")
    state = build_random(row).state_dict()
    theirs = named(state, FUSIONSEG)
    unused = {f"backbone.sensor_fusion.layer{n}.weight": torch.ones(3) for n in (2, 3)}
    generator = torch.Generator().manual_seed(0)
    last = {
        f"classifier.classifier.3.{kind}": torch.randn(2, *state[f"decoder.mask.{kind}"].shape[1:], generator=generator)
        for kind in ("weight", "bias")
    }
    torch.save({"model_state": theirs | unused | last, "epoch": 3}, tmp_path / "davis.pth")
    module, _ = open_checkpoint(row, tmp_path / "davis.pth")
    found = module.state_dict()
    for name in state.keys() - {"decoder.mask.weight", "decoder.mask.bias"}:
        assert torch.equal(found[name], state[name]), name
    features = []
    module.decoder.mask.register_forward_hook(lambda _module, inputs, _output: features.append(inputs[0]))
    with torch.no_grad():
        logits = module(*torch.randn(2, 1, 3, 64, 64))["mask"]
        two = torch.nn.functional.conv2d(features[0], *last.values())
        foreground = torch.nn.functional.interpolate(two, (64, 64), mode="bilinear").softmax(1)[:, 1:]
    torch.testing.assert_close(logits.sigmoid(), foreground)


@pytest.mark.parametrize(
    ("name", "backbone"), [("fusionseg", "resnet50"), ("matnet", "resnet18"), ("rtnet", "resnet18")]
)
def test_weights_saved_under_our_own_names_stay_as_they_are(name, backbone, tmp_path):
    row = small(name, backbone)
    state = random_state(row)
    assert translated(state, state)[0].keys() == state.keys()
    torch.save(state, tmp_path / "mine.pth")
    assert same(open_checkpoint(row, tmp_path / "mine.pth")[0], state)


# --- what does not fit


def test_weights_of_the_authors_do_not_fit_the_papers_equations_and_nothing_is_loaded():
    state = named(random_state(small("matnet")), MATNET)
    module = matnet("resnet18")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(InputError, match=r"Unexpected: fusion\.res2\.norm\.weight"):
        fit(module, state, "encoder_0.pt")
    assert same(module, before)


def test_weights_of_the_connection_both_ways_want_their_own_row(tmp_path):
    save_halves(named(random_state(small("matnet_both_ways")), MATNET), tmp_path)
    with pytest.raises(InputError, match=r"matnet: .*Unexpected: cross\.res3\.gate\.weight \(2, 256, 1, 1\)"):
        open_checkpoint(small("matnet"), tmp_path)


def test_weights_of_rtnet_are_those_of_another_network(tmp_path):
    state = {"spatial_net.inconv.0.weight": torch.ones(64, 3, 7, 7), "STTransformer1.scaling.fc1.bias": torch.ones(3)}
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "model_R34.pth")
    with pytest.raises(InputError, match=r"rtnet: these are weights of RTNet as published, which reads two frames"):
        open_checkpoint(small("rtnet"), tmp_path / "model_R34.pth")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["encoder_0.pt"], "has encoder_0.pt; leave one encoder_"),
        (["decoder_3.pt"], "has decoder_3.pt; leave one encoder_"),
        (["encoder_0.pt", "encoder_1.pt", "decoder_0.pt"], "has encoder_0.pt, encoder_1.pt, decoder_0.pt; leave one"),
        (["weights.pth"], "is a folder, as Transformers writes them, and matnet is not a model of Transformers"),
    ],
)
def test_a_folder_without_just_the_two_files(files, said, tmp_path):
    for file in files:
        torch.save({"a": torch.ones(1)}, tmp_path / file)
    with pytest.raises(InputError, match=said):
        open_checkpoint(small("matnet"), tmp_path)
