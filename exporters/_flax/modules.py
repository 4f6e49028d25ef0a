"""Read and replace what the modules of nnx and linen models return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from sdmetrics.errors import InputError, one_line, require

if TYPE_CHECKING:
    import jax
    from flax import linen, nnx

EVALUATION = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
}
"""Arguments that put a model into evaluation mode, if its `__call__` takes them."""

Call = Callable[[], object]
Replace = Callable[[str, Any], Any]


class FlaxModel(Protocol):
    """A Flax model in evaluation mode."""

    names: list[str]
    """Names of the modules that can be layers."""

    def run(self, arrays: Sequence[jax.Array], layers: Sequence[str], replace: Replace) -> object:
        """Run the model, in which `layers` return `replace(name, array)` for the first array of their output.

        Raises
        ------
        InputError
            If a module runs twice, never or within a transformation, or returns no array.
        """

    def weights(self) -> dict[str, jax.Array]:
        """Return parameters and statistics by name."""


def flax_model(model: nnx.Module | linen.Module, example: Sequence[jax.Array]) -> FlaxModel:
    """Return a model in evaluation mode; `example` are the arguments of its call.

    Raises
    ------
    InputError
        If it is not a Flax model, is a linen module without variables, or does not run.
    """
    nnx, linen = require("flax.nnx", extra="jax"), require("flax.linen", extra="jax")
    if isinstance(model, nnx.Module):
        return _Nnx(model)
    if isinstance(model, linen.Module):
        return _Linen(model, example)
    raise InputError(
        f"the model is a {type(model).__name__}; expected a flax.nnx.Module, or a flax.linen.Module with its "
        "variables, module.bind(variables)"
    )


class _Nnx:
    """A copy of the user's nnx model, whose modules are identified by their paths."""

    def __init__(self, model: nnx.Module) -> None:
        from flax import nnx

        copy = nnx.clone(model)
        copy.eval()
        self.graph, self.state = nnx.split(copy)
        self.arguments = _evaluation_arguments(model)
        parts = {path: part for path, part in nnx.iter_modules(copy) if path and callable(part)}
        self.names = [_dotted(path) for path in parts]
        self.classes = {type(part) for part in parts.values()}

    def run(self, arrays: Sequence[jax.Array], layers: Sequence[str], replace: Replace) -> object:
        from flax import nnx

        # A new copy for every run, so that what a module writes into its variables belongs to the running trace.
        model = nnx.merge(self.graph, self.state)
        names = {id(part): _dotted(path) for path, part in nnx.iter_modules(model)}
        calls = _Calls(layers, replace)
        with _around_calls(self.classes, lambda part, call: calls.around(names.get(id(part), ""), call)):
            own = model(*arrays, **self.arguments)
        calls.check()
        return own

    def weights(self) -> dict[str, jax.Array]:
        from flax import nnx

        return named_arrays(nnx.filter_state(self.state, nnx.Not(nnx.RngState)))


class _Linen:
    """A linen model, whose modules are created in a call, each with its path."""

    def __init__(self, model: linen.Module, example: Sequence[jax.Array]) -> None:
        import jax
        from flax import linen

        if model.scope is None:
            raise InputError(f"{type(model).__name__} is a linen module without variables; pass module.bind(variables)")
        self.module, self.variables = model.unbind()
        self.arguments = _evaluation_arguments(model)
        seen: dict[str, type] = {}

        def see(call: Callable[..., object], args: Any, kwargs: Any, context: Any) -> object:  # noqa: ANN401
            if context.method_name == "__call__" and context.module.path:
                seen["/".join(context.module.path)] = type(context.module)
            return call(*args, **kwargs)

        with running(model), linen.intercept_methods(see):
            jax.eval_shape(self._apply, *example)
        self.names = list(seen)
        self.classes = set(seen.values())

    def run(self, arrays: Sequence[jax.Array], layers: Sequence[str], replace: Replace) -> object:
        calls = _Calls(layers, replace)

        def around(part: Any, call: Call) -> object:  # noqa: ANN401
            return calls.around("/".join(part.path), call)

        with _around_calls(self.classes, around):
            own = self._apply(*arrays)
        calls.check()
        return own

    def weights(self) -> dict[str, jax.Array]:
        return named_arrays(self.variables)

    def _apply(self, *arrays: jax.Array) -> object:
        return self.module.apply(self.variables, *arrays, **self.arguments)


class _Calls:
    """The calls of the layers in one run of the model."""

    def __init__(self, layers: Sequence[str], replace: Replace) -> None:
        self.layers = layers
        self.replace = replace
        self.running: set[str] = set()
        self.ran: set[str] = set()
        self.trace = _trace()

    def around(self, name: str, call: Call) -> object:
        """Return the output of a module's call, replaced if the module is a layer."""
        if name not in self.layers or name in self.running:
            return call()
        if name in self.ran:
            raise InputError(
                f"module {name!r} runs more than once in a forward, so it is not one layer; name the module around it"
            )
        if _trace() != self.trace:
            raise InputError(
                f"module {name!r} runs within a transformation of JAX (jit, remat, scan, vmap), out of which its "
                "output cannot be taken; name the module around it, or build the model without"
            )
        self.running.add(name)
        output = call()
        self.running.remove(name)
        self.ran.add(name)
        return self._changed(name, output)

    def check(self) -> None:
        """Raise an `InputError` if a layer did not run."""
        for name in self.layers:
            if name not in self.ran:
                raise InputError(
                    f"module {name!r} does not run in a forward of the model, or only within a transformation of JAX "
                    "(jit, remat, scan, vmap); name another module"
                )

    def _changed(self, name: str, output: object) -> object:
        import jax
        from jax import numpy as jnp

        leaves, structure = jax.tree.flatten(output)
        index = next((i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)), None)
        if index is None:
            raise InputError(f"module {name!r} returns {type(output).__name__} without an array; name another module")
        if not jnp.issubdtype(leaves[index].dtype, jnp.floating):
            raise InputError(
                f"module {name!r} returns {leaves[index].dtype}; units are floating-point numbers. Name another module"
            )
        leaves[index] = self.replace(name, leaves[index])
        return jax.tree.unflatten(structure, leaves)


@contextmanager
def running(model: object) -> Iterator[None]:
    """While the block runs, turn the failure of a model into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{type(model).__name__} does not run in evaluation mode: {type(error).__name__}: {one_line(error)}. Fix "
            "the model, or the layout, frames and size of its inputs"
        ) from error


@contextmanager
def _around_calls(classes: Iterable[Any], around: Callable[[Any, Call], object]) -> Iterator[None]:
    """While the block runs, calls of objects of these classes go through `around(object, call)`."""
    own = {kind: kind.__dict__.get("__call__") for kind in classes}

    def changed(original: Callable[..., object]) -> Callable[..., object]:
        return lambda part, *args, **kwargs: around(part, lambda: original(part, *args, **kwargs))

    for kind, call in [(kind, kind.__call__) for kind in own]:
        kind.__call__ = changed(call)
    try:
        yield
    finally:
        for kind, call in own.items():
            if call is None:
                del kind.__call__
            else:
                kind.__call__ = call


def named_arrays(tree: object) -> dict[str, jax.Array]:
    """Return the arrays of a tree by name: `output`, the keys of a dict, or `output_0`, `output_1` and so on."""
    import jax

    arrays = {}
    for place, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(place, simple=True, separator=".")
        if isinstance(leaf, jax.Array):
            arrays[f"output_{name}" if name[:1].isdigit() else name or "output"] = leaf
    return arrays


def _evaluation_arguments(model: object) -> Mapping[str, bool]:
    """Return the arguments that put a model into evaluation mode."""
    accepted = inspect.signature(type(model).__call__).parameters
    return {name: value for name, value in EVALUATION.items() if name in accepted}


def _dotted(path: Iterable[object]) -> str:
    return ".".join(map(str, path))


def _trace() -> object:
    """Return an object that identifies the current transformation."""
    from jax.extend import core

    return core.get_opaque_trace_state()
