"""What trainings on CUDA use: scaled gradients, a process group of NCCL, compiled modules."""

import pytest
import torch

from sdmetrics.torch import attach
from tests.helpers.training import made, train, videos

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")


def on_cuda(number=0):
    return videos(number).cuda()


def test_static_dropout_estimates_while_gradients_are_scaled():
    model = made().cuda()
    attached = attach(model, "pool", rate=0.3, every=2)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    scaler = torch.amp.GradScaler("cuda")
    for number in range(6):
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.float16):
            loss = model(on_cuda(number)).square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert attached.dropout.estimates > 0
    assert torch.isfinite(attached.dropout.scores).all()


def test_static_dropout_works_in_a_group_of_nccl(tmp_path):
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group("nccl", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        scores = []
        for wrapped in (False, True):
            torch.manual_seed(0)
            model = made().cuda()
            attached = attach(model, "pool", rate=0.3, every=2)
            train(DistributedDataParallel(model) if wrapped else model, batch=on_cuda)
            scores.append(attached.dropout.scores)
        assert torch.allclose(scores[0], scores[1], atol=1e-4)
    finally:
        distributed.destroy_process_group()


def test_static_dropout_works_in_a_compiled_module():
    model = made().cuda()
    attached = attach(model, "pool", rate=0.3, every=2)
    train(torch.compile(model), batch=on_cuda)
    assert attached.dropout.estimates > 0
    assert torch.isfinite(attached.dropout.scores).all()
