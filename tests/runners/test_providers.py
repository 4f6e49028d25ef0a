"""Providers: CUDA where it is asked for and loads, and never a silent fallback."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from sdmetrics.errors import InputError
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.runners import onnxruntime as module
from sdmetrics.runners.onnxruntime import CPU, CUDA, OnnxRunner, available_providers, loadable_providers
from tests.helpers.torch_models import CASES, probed
from tests.runners.test_runners import RNG


def test_loadable_providers_are_listed_ones():
    assert CPU in loadable_providers()
    assert set(loadable_providers()) <= set(available_providers())


@pytest.fixture
def listed_only(monkeypatch):
    """A runtime that lists CUDA but cannot load it, as the GPU build does on a machine without CUDA."""
    if CUDA in loadable_providers():
        pytest.skip("CUDA really loads here, so that its absence cannot be tried")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    plain = module.open_session

    def falls_back(model, providers=(CPU,), *rest, **options):
        kept = [p for p in providers if (p if isinstance(p, str) else p[0]) != CUDA]
        return plain(model, kept, *rest, **options)

    monkeypatch.setattr(module, "open_session", falls_back)


@pytest.mark.usefixtures("listed_only")
def test_asking_for_cuda_and_not_getting_it_is_an_error_though_the_runtime_says_nothing():
    with pytest.raises(
        InputError, match=r"'cuda' is not available from onnxruntime.*CUDA, cuDNN or the driver does not load"
    ):
        OnnxRunner(probed("framewise"), provider="cuda")


@pytest.mark.parametrize(("options", "tf32"), [({}, "0"), ({"allow_tf32": True}, "1")])
def test_tf32_is_off_unless_asked_for(monkeypatch, options, tf32):
    asked = []
    plain = module.open_session

    def watched(model, providers=(CPU,), *rest, **named):
        asked.extend(providers)
        return plain(model, [CPU], *rest, **named)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(module, "open_session", watched)
    with pytest.raises(InputError, match="'cuda' is not available"):
        OnnxRunner(probed("framewise"), provider="cuda", **options)
    (cuda,) = [provider[1] for provider in asked if provider[0] == CUDA]
    assert cuda["use_tf32"] == tf32


@pytest.mark.parametrize("provider", ["cpu", "auto"])
def test_tf32_on_the_cpu_is_an_error(provider):
    if provider == "auto" and CUDA in loadable_providers():
        pytest.skip("CUDA loads here, so that auto takes it")
    with pytest.raises(InputError, match="TF32 requires CUDA, but the model runs on the CPU; drop allow_tf32"):
        OnnxRunner(probed("framewise"), provider=provider, allow_tf32=True)


@pytest.mark.usefixtures("listed_only")
def test_auto_says_that_it_took_the_cpu():
    assert OnnxRunner(probed("framewise"), provider="auto").circumstance["provider"] == "cpu"
    assert loadable_providers() == [CPU]


def test_cuda_from_a_build_without_it_names_what_to_install():
    if CUDA in available_providers():
        pytest.skip("the installed ONNX Runtime is built with CUDA")
    with pytest.raises(InputError, match=r"built without CUDA .*pip install 'static-dynamic-metrics\[gpu\]'") as caught:
        OnnxRunner(probed("framewise"), provider="cuda")
    assert onnxruntime.__version__ in str(caught.value)


@pytest.mark.parametrize("case", CASES)
def test_cuda_gives_what_the_cpu_gives(case):
    if CUDA not in loadable_providers():
        pytest.skip(f"CUDA does not load; what loads: {', '.join(loadable_providers())}")
    cpu, cuda = OnnxRunner(probed(case), provider="cpu"), OnnxRunner(probed(case), provider="cuda")
    assert (cpu.circumstance["provider"], cuda.circumstance["provider"]) == ("cpu", "cuda")
    feeds = random_feeds(cpu.inputs, 3, seed=1)
    masks = {layer.name: RNG.integers(0, 2, layer.units) for layer in cpu.metadata.layers}
    outputs = [*cpu.metadata.outputs, *(f"units/{layer}" for layer in cpu.layers)]
    for given_masks in (None, masks):
        found, expected = cuda.run(feeds, given_masks, outputs), cpu.run(feeds, given_masks, outputs)
        for name in outputs:
            scale = max(1, np.abs(expected[name]).max())
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-4 * scale, err_msg=name)


def test_what_a_provider_cannot_run_does_not_load(monkeypatch):
    class Session:
        def get_providers(self):
            return [CUDA, CPU]

        def run(self, *_):
            raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(module, "open_session", lambda *_, **__: Session())
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA])
    assert loadable_providers() == []
