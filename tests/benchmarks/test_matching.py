"""The set-prediction loss that the studies train VisTR with: boxes of masks, the cheapest matching, what costs what."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torchvision.ops import box_convert, generalized_box_iou, sigmoid_focal_loss

from benchmarks.studies.models.matching import Objects, match, overlap, vistr_loss

FRAMES, SIDE, CLASSES = 3, 16, 4


def rectangles(*objects, frames=FRAMES, side=SIDE):
    """Masks in which each object is a rectangle (top, bottom, left, right) per frame, or None."""
    annotated = torch.zeros(frames, side, side, dtype=torch.uint8)
    for number, places in enumerate(objects, start=1):
        for frame, place in enumerate(places):
            if place:
                top, bottom, left, right = place
                annotated[frame, top:bottom, left:right] = number
    return annotated


MOVING = [(0, 4, 0, 4), (2, 6, 4, 8), (4, 8, 8, 12)]
LEAVING = [(10, 16, 0, 8), (10, 16, 2, 10), None]
THREE = Objects.of(rectangles(MOVING, LEAVING, [None, (8, 10, 12, 16), None]), [2, 0, 3])


def found_for(objects, queries=5, seed=0, masks=True):
    """Outputs of no particular sense for several clips."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(objects), FRAMES, queries)
    found = {
        "logits": torch.randn(*shape, CLASSES + 1, generator=generator),
        "boxes": torch.rand(*shape, 4, generator=generator) * 0.5 + 0.2,
    }
    return found | ({"masks": torch.randn(*shape, 8, 8, generator=generator)} if masks else {})


def perfect(objects, queries, places):
    """Outputs that show each object at the query of its place, and nothing elsewhere."""
    logits = torch.full((1, FRAMES, queries, CLASSES + 1), -20.0)
    logits[..., -1] = 20
    boxes, masks = torch.full((1, FRAMES, queries, 4), 0.5), torch.full((1, FRAMES, queries, SIDE, SIDE), -20.0)
    for number, place in enumerate(places):
        for frame in torch.nonzero(objects.visible[number]).flatten().tolist():
            logits[0, frame, place, -1] = -20
            logits[0, frame, place, objects.labels[number]] = 20
            boxes[0, frame, place] = objects.boxes[number, frame]
            masks[0, frame, place][objects.masks[number, frame]] = 20
    return {"logits": logits, "boxes": boxes, "masks": masks}


# --- objects


def test_boxes_of_masks_by_hand():
    assert THREE.visible.tolist() == [[True] * 3, [True, True, False], [False, True, False]]
    assert THREE.boxes[0, 1].tolist() == [6 / 16, 4 / 16, 4 / 16, 4 / 16]
    assert THREE.boxes[1, 0].tolist() == [4 / 16, 13 / 16, 8 / 16, 6 / 16]
    assert THREE.boxes[2, 1].tolist() == [14 / 16, 9 / 16, 4 / 16, 2 / 16]
    assert THREE.boxes[2, 0].tolist() == [0, 0, 0, 0]


def test_what_is_not_annotated_is_no_object():
    annotated = rectangles(MOVING)
    annotated[:, 12:] = 255
    assert torch.equal(Objects.of(annotated, [1]).boxes, Objects.of(rectangles(MOVING), [1]).boxes)


sides = st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0.01, 0.9), st.floats(0.01, 0.9))


@given(st.lists(sides, min_size=1, max_size=4), st.lists(sides, min_size=1, max_size=4))
def test_the_overlap_is_torchvisions(some, others):
    some, others = torch.tensor(some, dtype=torch.float64), torch.tensor(others, dtype=torch.float64)
    corners = [box_convert(boxes, "cxcywh", "xyxy") for boxes in (some, others)]
    torch.testing.assert_close(overlap(some[:, None], others[None]), generalized_box_iou(*corners))


# --- matching


def naive_cost(found, clip, objects, query, number):
    costs = []
    for frame in range(FRAMES):
        if objects.visible[number, frame]:
            box, wanted = found["boxes"][clip, frame, query], objects.boxes[number, frame]
            likely = found["logits"][clip, frame, query].softmax(0)[objects.labels[number]]
            costs.append(-likely + 5 * (box - wanted).abs().sum() - 2 * overlap(box, wanted))
    return float(sum(costs)) / max(1, len(costs))


@pytest.mark.parametrize("seed", range(5))
def test_no_other_matching_is_cheaper(seed):
    found = found_for([THREE, THREE], seed=seed)
    for clip in range(2):
        queries, matched = match(found, clip, THREE)
        assert sorted(matched.tolist()) == [0, 1, 2]
        cost = sum(
            naive_cost(found, clip, THREE, q, n) for q, n in zip(queries.tolist(), matched.tolist(), strict=True)
        )
        every = [
            sum(naive_cost(found, clip, THREE, query, number) for number, query in enumerate(chosen))
            for chosen in permutations(range(5), 3)
        ]
        assert cost == pytest.approx(min(every), abs=1e-5)


def test_more_objects_than_queries_leave_some_out():
    queries, matched = match(found_for([THREE], queries=2), 0, THREE)
    assert sorted(queries.tolist()) == [0, 1]
    assert len(set(matched.tolist())) == 2
    assert vistr_loss(found_for([THREE], queries=2), [THREE]).isfinite()


# --- the loss


@pytest.mark.parametrize("places", [(0, 1, 2), (3, 0, 4)])
def test_what_is_found_without_error_costs_nothing_wherever_it_is(places):
    assert vistr_loss(perfect(THREE, 5, places), [THREE]) < 1e-4


@pytest.mark.parametrize("part", ["logits", "boxes", "masks"])
def test_each_part_costs_when_it_is_wrong(part):
    found = perfect(THREE, 5, (0, 1, 2))
    found[part] = found[part].flip(-1)
    assert vistr_loss(found, [THREE]) > 0.1


def test_an_object_whose_queries_change_in_midst_costs():
    found = perfect(THREE, 5, (0, 1, 2))
    swapped = {name: value.clone() for name, value in found.items()}
    for value in swapped.values():
        value[:, 0, [0, 1]] = value[:, 0, [1, 0]]
    assert vistr_loss(swapped, [THREE]) > 1


@pytest.mark.parametrize("masks", [True, False])
def test_the_loss_by_hand(masks):
    clips = [THREE, Objects.of(rectangles(LEAVING), [1])]
    found = found_for(clips, masks=masks)
    wanted = torch.full((2, FRAMES, 5), CLASSES)
    drawn, total = 0.0, 0
    for clip, objects in enumerate(clips):
        for query, number in zip(*(part.tolist() for part in match(found, clip, objects)), strict=True):
            for frame in range(FRAMES):
                if not objects.visible[number, frame]:
                    continue
                total += 1
                wanted[clip, frame, query] = objects.labels[number]
                box, right = found["boxes"][clip, frame, query], objects.boxes[number, frame]
                drawn += 5 * (box - right).abs().sum() + 2 * (1 - overlap(box, right))
                if masks:
                    drawn += naive_mask_loss(found["masks"][clip, frame, query], objects.masks[number, frame])
    chances = found["logits"].log_softmax(-1).gather(-1, wanted[..., None])[..., 0]
    weights = torch.where(wanted == CLASSES, 0.1, 1.0)
    expected = -(weights * chances).sum() / weights.sum() + drawn / total
    torch.testing.assert_close(vistr_loss(found, clips), expected)


def naive_mask_loss(mask, right):
    logits = functional.interpolate(mask[None, None], right.shape, mode="bilinear")[0, 0]
    truth, share = right.float(), logits.sigmoid()
    dice = 1 - (2 * (share * truth).sum() + 1) / (share.sum() + truth.sum() + 1)
    return sigmoid_focal_loss(logits, truth, reduction="mean") + dice


def test_a_clip_without_objects_asks_for_nothing():
    nobody = Objects.of(rectangles(), [])
    found = found_for([nobody])
    wanted = torch.full((FRAMES * 5,), CLASSES)
    expected = functional.cross_entropy(found["logits"].flatten(0, 2), wanted)
    torch.testing.assert_close(vistr_loss(found, [nobody]), expected)


def test_the_order_of_objects_is_of_no_account():
    found = found_for([THREE])
    turned = Objects(THREE.labels[[2, 0, 1]], THREE.masks[[2, 0, 1]])
    torch.testing.assert_close(vistr_loss(found, [THREE]), vistr_loss(found, [turned]))


def test_following_its_slope_finds_the_objects():
    found = {name: value.requires_grad_() for name, value in found_for([THREE]).items()}
    optimiser = torch.optim.Adam(found.values(), 0.05)
    for _ in range(300):
        loss = vistr_loss(found, [THREE])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    queries, matched = match(found, 0, THREE)
    seen = THREE.visible[matched]
    boxes = found["boxes"][0].transpose(0, 1)[queries]
    named = found["logits"][0].transpose(0, 1)[queries].argmax(-1)
    assert overlap(boxes, THREE.boxes[matched])[seen].min() > 0.7
    assert torch.equal(named == CLASSES, ~seen)
    assert torch.equal(named[seen], THREE.labels[matched][:, None].expand(-1, FRAMES)[seen])
