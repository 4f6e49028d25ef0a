"""Small Flax models, nnx and linen, whose layers the tests export, probe and change; JAX is loaded when one is made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.probes.inputs import ModelInput
from tests.helpers.exports import made_once

Arrays = dict[str, NDArray[np.float32]]


def nnx_resnet() -> Any:
    """Reads `(N, T, H, W, C)`: a stem and two residual blocks with BatchNorm and dropout."""
    from flax import nnx

    class Residual(nnx.Module):
        def __init__(self, width, out, stride, rngs):
            self.conv1 = nnx.Conv(width, out, (3, 3, 3), (1, stride, stride), use_bias=False, rngs=rngs)
            self.bn1 = nnx.BatchNorm(out, rngs=rngs)
            self.conv2 = nnx.Conv(out, out, (3, 3, 3), use_bias=False, rngs=rngs)
            self.bn2 = nnx.BatchNorm(out, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.shortcut = nnx.Conv(width, out, (1, 1, 1), (1, stride, stride), rngs=rngs)

        def __call__(self, x):
            out = nnx.relu(self.bn1(self.conv1(x)))
            return nnx.relu(self.drop(self.bn2(self.conv2(out))) + self.shortcut(x))

    class ResNet(nnx.Module):
        def __init__(self, rngs):
            self.stem = nnx.Sequential(
                nnx.Conv(3, 6, (3, 5, 5), (1, 2, 2), rngs=rngs), nnx.BatchNorm(6, rngs=rngs), nnx.relu
            )
            self.blocks = nnx.List([Residual(6, 6, 1, rngs), Residual(6, 8, 2, rngs)])
            self.head = nnx.Linear(8, 5, rngs=rngs)
            self.unused = nnx.Linear(8, 5, rngs=rngs)

        def __call__(self, x):
            x = self.stem(x)
            for block in self.blocks:
                x = nnx.max_pool(block(x), (3, 3, 3), (1, 2, 2), ((1, 1), (1, 1), (1, 1)))
            return self.head(x.mean((1, 2, 3)))

    model = ResNet(nnx.Rngs(0))
    rng = np.random.default_rng(0)
    for _, part in nnx.iter_modules(model):
        if isinstance(part, nnx.BatchNorm):
            for variable, low in ((part.mean, -1), (part.bias, -1), (part.var, 0.5), (part.scale, 0.5)):
                variable[...] = rng.uniform(low, 1.5, variable.shape).astype(np.float32)
    return model


def nnx_transformer() -> Any:
    """Reads `(N, T, H, W, C)`, cuts it into tubes and returns a dict."""
    from flax import nnx
    from jax import numpy as jnp

    class Block(nnx.Module):
        def __init__(self, width, rngs):
            self.norm1, self.norm2 = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
            self.attention = nnx.MultiHeadAttention(2, width, decode=False, rngs=rngs)
            self.mlp = nnx.Sequential(
                nnx.Linear(width, 2 * width, rngs=rngs), nnx.gelu, nnx.Linear(2 * width, width, rngs=rngs)
            )

        def __call__(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class Transformer(nnx.Module):
        def __init__(self, rngs, width=16):
            self.embed = nnx.Conv(3, width, (2, 8, 8), (2, 8, 8), rngs=rngs)
            self.cls = nnx.Param(rngs.params.normal((1, 1, width)))
            self.position = nnx.Param(rngs.params.normal((1, 33, width)))
            self.blocks = nnx.List([Block(width, rngs) for _ in range(2)])
            self.norm = nnx.LayerNorm(width, rngs=rngs)
            self.head = nnx.Linear(width, 5, rngs=rngs)

        def __call__(self, x):
            x = self.embed(x)
            x = x.reshape(x.shape[0], -1, x.shape[-1])
            x = jnp.concatenate([jnp.broadcast_to(self.cls[...], (x.shape[0], 1, x.shape[-1])), x], 1)
            x = x + self.position[...]
            for block in self.blocks:
                x = block(x)
            return {"logits": self.head(self.norm(x)[:, 0])}

    return Transformer(nnx.Rngs(0))


def nnx_framewise(time_major: bool = False) -> Any:
    """A 2-D network on the frames of `(N, T, H, W, C)`, folded into the batch: n · T + t, or t · N + n."""
    from flax import nnx
    from jax import numpy as jnp

    class Framewise(nnx.Module):
        def __init__(self, rngs):
            self.conv = nnx.Conv(3, 8, (5, 5), (2, 2), rngs=rngs)
            self.act = nnx.PReLU(0.1)
            self.deep = nnx.Conv(8, 10, (3, 3), (2, 2), rngs=rngs)
            self.fc = nnx.Linear(10, 5, rngs=rngs)

        def __call__(self, x):
            n, t = x.shape[:2]
            x = (jnp.swapaxes(x, 0, 1) if time_major else x).reshape(n * t, *x.shape[2:])
            x = self.deep(self.act(self.conv(x))).mean((1, 2))
            x = x.reshape(t, n, 10).mean(0) if time_major else x.reshape(n, t, 10).mean(1)
            return self.fc(x)

    return Framewise(nnx.Rngs(0))


def nnx_two() -> Any:
    """Reads a slow and a fast video and returns two arrays."""
    from flax import nnx
    from jax import numpy as jnp

    class Two(nnx.Module):
        def __init__(self, rngs):
            self.slow = nnx.Conv(3, 8, (1, 5, 5), (1, 2, 2), rngs=rngs)
            self.fast = nnx.Conv(3, 4, (3, 5, 5), (1, 2, 2), rngs=rngs)
            self.head = nnx.Linear(12, 5, rngs=rngs)

        def __call__(self, slow, fast):
            pooled = [nnx.relu(path(x)).mean((1, 2, 3)) for path, x in ((self.slow, slow), (self.fast, fast))]
            joined = jnp.concatenate(pooled, -1)
            return self.head(joined), joined

    return Two(nnx.Rngs(0))


def linen_resnet() -> Any:
    """As `nnx_resnet`, with modules that come to be in the call and a flag that says whether it trains."""
    import jax
    from flax import linen as nn

    class Residual(nn.Module):
        out: int
        stride: int

        @nn.compact
        def __call__(self, x, train):
            strides = (1, self.stride, self.stride)
            out = nn.Conv(self.out, (3, 3, 3), strides, use_bias=False)(x)
            out = nn.relu(nn.BatchNorm(not train)(out))
            out = nn.BatchNorm(not train, name="bn2")(nn.Conv(self.out, (3, 3, 3), name="conv2")(out))
            out = nn.Dropout(0.5, deterministic=not train)(out)
            return nn.relu(out + nn.Conv(self.out, (1, 1, 1), strides, name="shortcut")(x))

    class ResNet(nn.Module):
        @nn.compact
        def __call__(self, x, train: bool = True):
            x = nn.relu(nn.BatchNorm(not train)(nn.Conv(6, (3, 5, 5), (1, 2, 2), name="stem")(x)))
            for stride, width in ((1, 6), (2, 8)):
                x = nn.avg_pool(Residual(width, stride)(x, train), (1, 3, 3), (1, 2, 2), ((0, 0), (1, 1), (1, 1)))
            return nn.Dense(5, name="head")(x.mean((1, 2, 3)))

    model = ResNet()
    variables = model.init(jax.random.key(0), np.zeros((1, 4, 32, 32, 3), np.float32), train=False)
    rng = np.random.default_rng(0)
    low = {"mean": -1, "bias": -1, "var": 0.5, "scale": 0.5}

    def drawn(path, value):
        least = low.get(path[-1].key)
        return value if least is None else rng.uniform(least, 1.5, value.shape).astype(np.float32)

    return model.bind(jax.tree_util.tree_map_with_path(drawn, variables))


def linen_transformer() -> Any:
    """As `nnx_transformer`, set up before the call."""
    import jax
    from flax import linen as nn
    from jax import numpy as jnp

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = x + nn.MultiHeadDotProductAttention(2, name="attention")(nn.LayerNorm()(x))
            hidden = nn.gelu(nn.Dense(32, name="wide")(nn.LayerNorm()(x)))
            return x + nn.Dense(16, name="narrow")(hidden)

    class Transformer(nn.Module):
        def setup(self):
            self.embed = nn.Conv(16, (2, 8, 8), (2, 8, 8))
            self.position = self.param("position", nn.initializers.normal(1.0), (1, 32, 16))
            self.blocks = [Block(), Block()]
            self.norm = nn.LayerNorm()
            self.head = nn.Dense(5)

        def __call__(self, x):
            x = self.embed(x)
            x = x.reshape(x.shape[0], -1, x.shape[-1]) + self.position
            for block in self.blocks:
                x = block(x)
            return {"logits": self.head(jnp.mean(self.norm(x), 1))}

    model = Transformer()
    return model.bind(model.init(jax.random.key(0), np.zeros((1, 4, 32, 32, 3), np.float32)))


def linen_framewise() -> Any:
    """As `nnx_framewise`, from linen's own Sequential."""
    import jax
    from flax import linen as nn

    class Framewise(nn.Module):
        @nn.compact
        def __call__(self, x):
            n, t = x.shape[:2]
            x = x.reshape(n * t, *x.shape[2:])
            x = nn.Sequential([nn.Conv(8, (5, 5), (2, 2)), nn.PReLU(), nn.Conv(10, (3, 3), (2, 2))], name="net")(x)
            return nn.Dense(5, name="fc")(x.mean((1, 2)).reshape(n, t, 10).mean(1))

    model = Framewise()
    return model.bind(model.init(jax.random.key(0), np.zeros((1, 4, 32, 32, 3), np.float32)))


@dataclass(frozen=True)
class Case:
    """A model, how it is fed, and layers of every kind that it has."""

    make: Callable[[], Any]
    layers: tuple[str, ...]
    inputs: tuple[ModelInput, ...] = (ModelInput("video", frames=4, stride=1, size=(32, 32), layout="NTHWC"),)


CASES = {
    "nnx-resnet": Case(
        nnx_resnet,
        (
            *("stem.layers.0", "stem.layers.1", "stem", "blocks.0.conv1", "blocks.0.bn1", "blocks.0.bn2"),
            *("blocks.0.drop", "blocks.0.shortcut", "blocks.0", "blocks.1", "head"),
        ),
    ),
    "nnx-transformer": Case(
        nnx_transformer,
        (
            *("embed", "blocks.0.norm1", "blocks.0.attention.out", "blocks.0.attention", "blocks.0.mlp"),
            *("blocks.0", "blocks.1", "norm", "head"),
        ),
    ),
    "nnx-framewise": Case(nnx_framewise, ("conv", "act", "deep", "fc")),
    "nnx-time-major": Case(functools.partial(nnx_framewise, time_major=True), ("conv", "act", "deep", "fc")),
    "nnx-two": Case(
        nnx_two,
        ("slow", "fast", "head"),
        (
            ModelInput("slow", frames=2, stride=2, size=(32, 32), layout="NTHWC"),
            ModelInput("fast", frames=4, stride=1, size=(32, 32), layout="NTHWC"),
        ),
    ),
    "linen-resnet": Case(
        linen_resnet,
        (
            *("stem", "BatchNorm_0", "Residual_0/Conv_0", "Residual_0/BatchNorm_0", "Residual_0/bn2"),
            *("Residual_0/Dropout_0", "Residual_0/shortcut", "Residual_0", "Residual_1", "head"),
        ),
    ),
    "linen-transformer": Case(
        linen_transformer,
        (
            *("embed", "blocks_0/LayerNorm_0", "blocks_0/attention/out", "blocks_0/attention", "blocks_0/narrow"),
            *("blocks_0", "blocks_1", "norm", "head"),
        ),
    ),
    "linen-framewise": Case(linen_framewise, ("Conv_0", "PReLU_0", "net", "fc")),
}


def _export(case: str, path: Path) -> Path:
    from sdmetrics.exporters.jax import export

    chosen = CASES[case]
    return export(chosen.make(), chosen.inputs, chosen.layers, path)


exported, probed = made_once(_export)


def changed(
    model: Any, names: Sequence[str], arrays: Sequence[NDArray[np.float32]], masks: Mapping[str, float] | None = None
) -> tuple[Arrays, Arrays]:
    """Return what a model and its modules return, by Flax's own means; a mask multiplies a module's output."""
    from flax import linen

    run = _changed_linen if isinstance(model, linen.Module) else _changed_nnx
    own, taps = run(model, names, arrays, masks or {})
    own = own if isinstance(own, dict) else own if isinstance(own, tuple) else {"output": own}
    named = own if isinstance(own, dict) else {f"output_{index}": value for index, value in enumerate(own)}
    return {name: np.asarray(value) for name, value in named.items()}, taps


def _changed_nnx(model: Any, names: Sequence[str], arrays: Sequence[Any], masks: Mapping[str, float]) -> Any:
    """Put another class in the place of the wanted objects' own."""
    from flax import nnx

    model = nnx.clone(model)
    model.eval()
    taps: Arrays = {}

    def watched(kind: type, name: str) -> type:
        class Watched(kind):  # type: ignore[misc, valid-type]
            def __call__(self, *args, **kwargs):
                output = super().__call__(*args, **kwargs)
                taps[name] = np.asarray(output)
                return output * masks.get(name, 1.0)

        return Watched

    for path, part in list(nnx.iter_modules(model)):
        name = ".".join(map(str, path))
        if name in names:
            object.__setattr__(part, "__class__", watched(type(part), name))
    return model(*arrays), taps


def _changed_linen(model: Any, names: Sequence[str], arrays: Sequence[Any], masks: Mapping[str, float]) -> Any:
    """Intercept the calls of the wanted modules."""
    import inspect

    from flax import linen

    taps: Arrays = {}

    def intercept(call, args, kwargs, context):
        output, name = call(*args, **kwargs), "/".join(context.module.path)
        if context.method_name != "__call__" or name not in names:
            return output
        taps[name] = np.asarray(output)
        return output * masks.get(name, 1.0)

    module, variables = model.unbind()
    flags = {"train": False} if "train" in inspect.signature(module.__call__).parameters else {}
    with linen.intercept_methods(intercept):
        return module.apply(variables, *arrays, **flags), taps
