"""Instantiates a component: executes its definitions in order, in one store.

Core modules become Wasmtime instances; `canon lower`, `canon lift` and the built-ins become core functions and
component functions; nested components are instantiated in turn, each with its arguments. The outermost component's
imports come from an `Imports`. Wasmtime has validated the component, so a bad index or a definition of the wrong sort
cannot occur; it would raise a `LinkError`.

Source: component-model, `design/mvp/Explainer.md` ("Component Definitions") and `Binary.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Protocol, TypeVar, cast

import wasmtime

from ...module.module import Module
from ...text.numbers import with_article
from ...wasi.components import value_types as v
from ...wasi.components.waits import HostWait
from ...wasi.types import Trap
from ..calls import raw as _raw
from ..entry import Exported
from ..stop import LinkError
from ..values.wasmtime_objects import ExternItem, RetainedCallback
from . import component_binary as b
from .abi.canon_context import CanonContext
from .abi.linear_memory import LinearMemory
from .canon_builtins import BuiltinFunctions, Made
from .canon_functions import ComponentFunction, HostFunction, LiftedFunction, LoweredFunction
from .concurrency.fibers import BlockingFunctions, CoreFunction, Target, function_type, instantiate_on_fiber
from .concurrency.tasks import Code, ComponentInstance, Scheduler, Task, Thread

T = TypeVar("T")
MAX_INSTANCES = 1000
"""Maximum component instances of one run."""
_WAITING = frozenset(
    {"waitable-set.wait", "thread.yield", "thread.suspend", "thread.new-indirect", "subtask.cancel"}
    | {f"{kind}.{op}" for kind in ("stream", "future") for op in ("read", "write", "cancel-read", "cancel-write")}
)


class Imports(Protocol):
    """Provides the imports of the outermost component."""

    def resource(self, interface: str, name: str) -> v.ResourceType:
        """The resource type `name` of `interface`."""

    def function(self, interface: str, name: str, type_: v.ComponentFuncType) -> object:
        """The function `name` of `interface`: a `HostFunction`, or an object that `lower` can make a core function
        from."""

    def lower(
        self, function: object, context: CanonContext
    ) -> tuple[tuple[str, ...], tuple[str, ...], Callable[..., int]] | None:
        """(params, results, raw callback) of a function that cannot wait, lowered at once; None for others."""

    def close(self) -> None:
        """The run is over: hold nothing of it."""


def core_modules(component: b.ComponentBody) -> Iterator[bytes]:
    """The bytes of every core module in it, outermost first."""
    for definition in component.definitions:
        if isinstance(definition, b.CoreModule):
            yield definition.data
        elif isinstance(definition, b.ComponentBody):
            yield from core_modules(definition)


def uses_waiting(component: b.ComponentBody) -> bool:
    """Whether its code may wait: it has functions of async type, or built-ins that wait."""
    for definition in component.definitions:
        if isinstance(definition, b.Builtin) and definition.name in _WAITING:
            return True
        if isinstance(definition, b.TypeDefinition) and _has_async(definition):
            return True
        if isinstance(definition, b.ComponentBody) and uses_waiting(definition):
            return True
    return False


def _has_async(type_: b.TypeDefinition) -> bool:
    if type_.kind == "func":
        return bool(type_.body[2])
    if type_.kind in ("component", "instance"):
        return any(isinstance(d, b.TypeDefinition) and _has_async(d) for d in type_.body)
    return False


@dataclass(slots=True)
class Scope:
    """The index spaces of one component or type, by sort, and the scope around it."""

    outer: Scope | None = None
    spaces: dict[str, list[object]] = field(default_factory=dict)

    def add(self, sort: str, thing: object) -> None:
        """Add a definition under the next index of its sort."""
        self.spaces.setdefault(sort, []).append(thing)

    def get(self, sort: str, index: int) -> object:
        """The definition of that index. Raises `LinkError`."""
        space = self.spaces.get(sort, ())
        if index >= len(space):
            raise LinkError(f"the component refers to {sort} {index}, which it does not have")
        return space[index]

    def typed(self, sort: str, index: int, kind: type[T]) -> T:
        """The definition of that index, an instance of `kind`. Raises `LinkError`."""
        found = self.get(sort, index)
        if not isinstance(found, kind):
            raise LinkError(
                f"{sort} {index} of the component is {with_article(type(found).__name__)}, "
                f"not {with_article(kind.__name__)}"
            )
        return found

    def core_function(self, index: int) -> wasmtime.Func:
        """The core function of that index."""
        return self.typed("core func", index, wasmtime.Func)

    def core_instance(self, index: int) -> Mapping[str, ExternItem]:
        """The exports of the core instance of that index."""
        return cast("Mapping[str, ExternItem]", self.get("core instance", index))

    def up(self, levels: int) -> Scope:
        """The scope `levels` levels out."""
        scope: Scope | None = self
        for _ in range(levels):
            scope = scope.outer if scope is not None else None
        if scope is None:
            raise LinkError(f"the component refers to something {levels} levels out, where there is nothing")
        return scope


@dataclass(frozen=True, slots=True)
class _Unresolved:
    """A component or instance type, which is resolved only when imported."""

    definition: b.TypeDefinition
    scope: Scope


class Instantiation:
    """Instantiates components in one store.

    `modules`: bytes of a core module to (`Module`, compiled `wasmtime.Module`). `failed(error)`: stores the exception
    that ended the guest and makes the trap. `waits(what, then)`: makes the host wait. Keep it as long as the store: it
    owns the callbacks.
    """

    def __init__(
        self,
        store: wasmtime.Store,
        modules: Mapping[bytes, tuple[Module, wasmtime.Module]],
        imports: Imports,
        scheduler: Scheduler,
        failed: Callable[[BaseException], int],
        waits: Callable[[HostWait, Callable[[], None]], Callable[[], None]],
        *,
        waiting: bool,
    ) -> None:
        self.store = store
        self.scheduler = scheduler
        self.failed = failed
        self.waits = waits
        self.waiting = waiting
        self.on_instance: Callable[[ComponentInstance], object] | None = None
        self._modules = modules
        self._imports = imports
        self._callbacks: list[RetainedCallback] = []
        self._memories: list[LinearMemory] = []
        self._weights: dict[int, tuple[int, int]] = {}
        self._kept: list[object] = []
        self._resources: list[v.ResourceType] = []
        self._count = 0
        self._blocking = BlockingFunctions(store, failed) if waiting else None

    def close(self) -> None:
        """Drop all references to the store."""
        self._callbacks.clear()
        self._memories.clear()
        self._kept.clear()
        for resource in self._resources:
            resource.forget()
        self._imports.close()
        if self._blocking is not None:
            self._blocking.close()

    def run(self, component: b.ComponentBody) -> dict[str, tuple[str, object]]:
        """Instantiate the outermost component; its exports by name, each with its sort."""
        return self._component(component, None, None, None)

    # ---- components

    def _component(
        self,
        component: b.ComponentBody,
        arguments: Mapping[str, tuple[str, object]] | None,
        outer: Scope | None,
        parent: ComponentInstance | None,
    ) -> dict[str, tuple[str, object]]:
        self._count += 1
        if self._count > MAX_INSTANCES:
            raise LinkError(f"the component makes more than {MAX_INSTANCES} component instances")
        instance = ComponentInstance(self.scheduler, parent, blocking=self.waiting)
        if self.on_instance is not None:
            self.on_instance(instance)
        one = _Instantiator(self, instance, Scope(outer), arguments)
        instance.may_enter = False
        for definition in component.definitions:
            one.carry_out(definition)
        instance.may_enter = True
        return one.exports

    # ---- core functions

    def core_function(
        self, params: tuple[str, ...], results: tuple[str, ...], target: Target, *, blocks: bool
    ) -> wasmtime.Func:
        """A `wasmtime.Func` of `target(*words)`, which returns a word or None."""
        if blocks and self._blocking is not None:
            return self._blocking.make(params, results, target)
        return self.raw_function(params, results, _slots_to_words(params, results, target, self.failed))

    def raw_function(
        self, params: tuple[str, ...], results: tuple[str, ...], callback: Callable[..., int], *,
        by_address: bool = False,
    ) -> wasmtime.Func:  # fmt: skip
        """A `wasmtime.Func` of a raw callback over slots, or over their address."""
        made, keep = _raw.function(self.store, function_type(params, results), callback, by_address=by_address)
        self._callbacks.append(keep)
        return made

    def callable(self, function: wasmtime.Func, params: tuple[str, ...], results: tuple[str, ...]) -> CoreFunction:
        """A core function for the host to call."""
        return CoreFunction(self.store, function, params, results, on_fiber=self.waiting)

    def memory(self, memory: wasmtime.Memory) -> LinearMemory:
        """The view of a core memory; there is one per memory."""
        key = _identity(memory)
        for known in self._memories:
            if known.key == key:
                return known
        made = LinearMemory(self.store, memory, key)
        self._memories.append(made)
        return made

    def measured(self, type_: v.ValueType) -> v.ValueType:
        """`type_`, after checking that it is small enough."""
        self._kept.append(type_)  # keeps the ids in `_weights` from being reused
        try:
            return v.measured(type_, self._weights)
        except v.TypeTooLarge as error:
            raise LinkError(str(error)) from None

    def instantiate_core(self, data: bytes, given: Callable[[str, str], ExternItem]) -> Exported:
        """A core instance."""
        module, compiled = self._modules[data]
        imports = [given(item.module, item.name) for item in module.imports]
        if self.waiting and module.start is not None:
            instance = instantiate_on_fiber(self.store, compiled, imports)
        else:
            instance = wasmtime.Instance(self.store, compiled, imports)
        return Exported(module, self.store, instance)

    @property
    def imports(self) -> Imports:
        """The provider of the outermost imports."""
        return self._imports


class _Instantiator:
    """Executes the definitions of one component."""

    def __init__(
        self,
        run: Instantiation,
        instance: ComponentInstance,
        scope: Scope,
        arguments: Mapping[str, tuple[str, object]] | None,
    ) -> None:
        self.run = run
        self.instance = instance
        self.scope = scope
        self.arguments = arguments
        self.exports: dict[str, tuple[str, object]] = {}
        self._contexts: dict[tuple[object, ...], CanonContext] = {}
        self._builtins = BuiltinFunctions(instance)
        self._carry: dict[type[b.Definition], Callable[..., None]] = {
            b.CoreModule: self._core_module, b.CoreInstance: self._core_instance, b.CoreType: self._core_type,
            b.ComponentBody: self._nested, b.InstanceDefinition: self._instance, b.AliasDefinition: self._alias,
            b.TypeDefinition: self._type, b.Lift: self._lift, b.Lower: self._lower, b.Builtin: self._builtin,
            b.ImportDefinition: self._import, b.ExportDefinition: self._export,
        }  # fmt: skip

    def carry_out(self, definition: b.Definition) -> None:
        """Execute one definition."""
        self._carry[type(definition)](definition)

    # ---- core

    def _core_module(self, definition: b.CoreModule) -> None:
        self.scope.add("core module", definition.data)

    def _core_type(self, definition: b.CoreType) -> None:
        self.scope.add("core type", definition)

    def _core_instance(self, definition: b.CoreInstance) -> None:
        scope = self.scope
        if definition.module is None:
            scope.add("core instance", {name: scope.get(*item) for name, item in definition.exports})
            return
        arguments = {name: scope.core_instance(index) for name, index in definition.arguments}

        def given(module: str, name: str) -> ExternItem:
            try:
                return arguments[module][name]
            except KeyError:
                raise LinkError(
                    f"a core module of the component imports {module}.{name}, which it is not given"
                ) from None

        data = scope.typed("core module", definition.module, bytes)
        stack = self.run.scheduler.stack
        stack.append(self._starting())
        made = self.run.instantiate_core(data, given)
        stack.pop()
        scope.add("core instance", made)

    def _starting(self) -> Thread:
        """The task of a start function: synchronous, and cannot wait."""
        task = Task(v.ComponentFuncType(), _SYNCHRONOUS, self.instance, list, lambda result: None)
        self.run.scheduler.count -= 1
        return Thread(task, _no_code())

    # ---- components and instances

    def _nested(self, definition: b.ComponentBody) -> None:
        self.scope.add("component", (definition, self.scope))

    def _instance(self, definition: b.InstanceDefinition) -> None:
        scope = self.scope
        if definition.component is None:
            made = {name: (item.sort, scope.get(*item)) for name, item in definition.exports}
        else:
            component, outer = scope.typed("component", definition.component, tuple)
            arguments = {name: (item.sort, scope.get(*item)) for name, item in definition.arguments}
            made = self.run._component(component, arguments, outer, self.instance)
        scope.add("instance", made)

    def _alias(self, definition: b.AliasDefinition) -> None:
        scope, sort = self.scope, definition.sort
        if definition.kind == "outer":
            scope.add(sort, scope.up(definition.outward).get(sort, definition.index))
            return
        try:
            if definition.kind == "export":
                scope.add(sort, scope.typed("instance", definition.index, dict)[definition.name][1])
            else:
                scope.add(sort, scope.core_instance(definition.index)[definition.name])
        except KeyError:
            raise LinkError(f"the component refers to an export {definition.name!r} that is not there") from None

    def _export(self, definition: b.ExportDefinition) -> None:
        thing = self.scope.get(*definition.item)
        if isinstance(thing, v.ResourceType) and thing.name == "resource":
            thing.name = definition.name
        if isinstance(thing, LiftedFunction) and not thing.name:
            thing.name = definition.name
        self.exports[definition.name] = (definition.item.sort, thing)
        self.scope.add(definition.item.sort, thing)

    def _import(self, definition: b.ImportDefinition) -> None:
        sort, index = definition.desc
        if self.arguments is not None:
            if definition.name not in self.arguments:
                raise LinkError(f"a component within the component is not given its import {definition.name!r}")
            self.scope.add(sort, self.arguments[definition.name][1])
        elif sort == "type":
            found = self.run.imports.resource("", definition.name) if index is None else self.scope.get("type", index)
            self.scope.add("type", found)
        elif sort == "func":
            type_ = self.scope.typed("type", index or 0, v.ComponentFuncType)
            self.scope.add("func", self.run.imports.function("", definition.name, type_))
        elif sort == "instance":
            unresolved = self.scope.typed("type", index or 0, _Unresolved)
            self.scope.add("instance", self._imported(definition.name, unresolved))
        else:
            raise LinkError(f"the component imports the {sort} {definition.name!r}, which nothing here provides")

    def _imported(self, interface: str, type_: _Unresolved) -> dict[str, tuple[str, object]]:
        """An instance that the host provides, according to its type."""
        inner = _Instantiator(self.run, self.instance, Scope(type_.scope), None)
        scope, found = inner.scope, inner.exports
        for declaration in type_.definition.body:
            if not isinstance(declaration, b.ExportDeclaration):
                inner.carry_out(declaration)
                continue
            name, (sort, index) = declaration.name, declaration.desc
            thing: object
            if sort == "type":
                thing = self.run.imports.resource(interface, name) if index is None else scope.get("type", index)
            elif sort == "func":
                thing = self.run.imports.function(interface, name, scope.typed("type", index or 0, v.ComponentFuncType))
            elif sort == "instance":
                thing = inner._imported(f"{interface}/{name}", scope.typed("type", index or 0, _Unresolved))
            else:
                raise LinkError(f"the component imports {sort} {name!r} of {interface}, which nothing here provides")
            scope.add(sort, thing)
            found[name] = (sort, thing)
        return found

    # ---- types

    def value_type(self, type_: b.Type) -> v.ValueType:
        """A value type in use."""
        if isinstance(type_, str):
            return v.PRIMITIVES[type_]
        found = self.scope.get("type", type_)
        if not isinstance(found, v.ValueType):
            raise LinkError(f"type {type_} of the component is not a type of values")
        return found

    def _maybe(self, type_: b.Type | None) -> v.ValueType | None:
        return None if type_ is None else self.value_type(type_)

    def _resource(self, index: int) -> v.ResourceType:
        found = self.scope.get("type", index)
        if not isinstance(found, v.ResourceType):
            raise LinkError(f"type {index} of the component is not a resource")
        return found

    def _type(self, definition: b.TypeDefinition) -> None:
        kind, body = definition.kind, definition.body
        if kind in ("component", "instance"):
            self.scope.add("type", _Unresolved(definition, self.scope))
        elif kind == "resource":
            self.scope.add("type", self._new_resource(body))
        elif kind == "func":
            params = tuple((name, self.value_type(type_)) for name, type_ in body[0])
            for _, type_ in params:
                self.run.measured(type_)
            result = self._maybe(body[1])
            if sum(1 for _ in params) > 1000:
                raise LinkError("a function of the component has more than 1,000 parameters")
            self.scope.add("type", v.ComponentFuncType(params, result, body[2]))
        else:
            self.scope.add("type", self.run.measured(self._defined(kind, body)))

    def _defined(self, kind: str, body: b.TypeBody) -> v.ValueType:
        of = self.value_type
        if kind == "primitive":
            return v.PRIMITIVES[body]
        if kind == "record":
            return v.RecordType(tuple((name, of(type_)) for name, type_ in body))
        if kind == "variant":
            return v.VariantType(tuple((name, self._maybe(type_)) for name, type_ in body))
        if kind == "list":
            return v.ListType(of(body[0]), body[1])
        if kind == "tuple":
            return v.TupleType(tuple(of(type_) for type_ in body))
        if kind == "flags":
            return v.FlagsType(body)
        if kind == "enum":
            return v.EnumType(body)
        if kind == "option":
            return v.OptionType(of(body))
        if kind == "result":
            return v.ResultType(self._maybe(body[0]), self._maybe(body[1]))
        if kind == "map":
            return v.MapType(of(body[0]), of(body[1]))
        if kind == "own":
            return v.OwnType(self._resource(body))
        if kind == "borrow":
            return v.BorrowType(self._resource(body))
        return (v.StreamType if kind == "stream" else v.FutureType)(self._maybe(body))

    def _new_resource(self, destructor: int | None) -> v.ResourceType:
        resource = v.ResourceType("resource", self.instance)
        self.run._resources.append(resource)
        if destructor is not None:
            core = self.run.callable(self.scope.core_function(destructor), ("i32",), ())
            context = CanonContext(self.instance, None, None, "utf8")
            lifted = LiftedFunction("destructor", v.ComponentFuncType((("rep", v.U32),)), core, context)

            def destroy(rep: int, caller: ComponentInstance | None) -> None:
                if caller is self.instance:  # within its own instance it is an ordinary call
                    self.run.scheduler.call_within(lifted.core, rep)
                else:
                    lifted.invoke(lambda: [rep], lambda result: None, caller)

            resource.destroy = destroy
        return resource

    # ---- functions

    def context(self, options: b.Options) -> CanonContext:
        """The context of canonical options; the same one for the same memory, realloc and encoding."""
        key = (options.memory, options.realloc, options.encoding)
        found = self._contexts.get(key)
        if found is None:
            memory = None
            if options.memory is not None:
                memory = self.run.memory(self.scope.typed("core memory", options.memory, wasmtime.Memory))
            realloc = (
                None
                if options.realloc is None
                else self.run.callable(self.scope.core_function(options.realloc), ("i32",) * 4, ("i32",))
            )
            found = self._contexts[key] = CanonContext(self.instance, memory, realloc, options.encoding, self.run.waits)
        return found

    def _lift(self, definition: b.Lift) -> None:
        type_ = self.scope.typed("type", definition.type, v.ComponentFuncType)
        options = definition.options
        core = v.signature(type_, lowered=False, is_async=options.is_async, callback=options.callback is not None)
        run, scope = self.run, self.scope
        post = options.post_return
        self.scope.add(
            "func",
            LiftedFunction(
                "",
                type_,
                run.callable(scope.core_function(definition.function), core.params, core.results),
                self.context(options),
                is_async=options.is_async,
                callback=None
                if options.callback is None
                else run.callable(scope.core_function(options.callback), ("i32",) * 3, ("i32",)),
                post_return=None if post is None else run.callable(scope.core_function(post), core.results, ()),
            ),
        )

    def _lower(self, definition: b.Lower) -> None:
        function = self.scope.get("func", definition.function)
        context = self.context(definition.options)
        run = self.run
        fused = None
        if not isinstance(function, (LiftedFunction, HostFunction)) and not definition.options.is_async:
            fused = run.imports.lower(function, context)
        if fused is not None:
            self.scope.add("core func", run.raw_function(*fused, by_address=True))
            return
        lowered = LoweredFunction(cast(ComponentFunction, function), context, is_async=definition.options.is_async)
        core = lowered.signature
        made = run.core_function(core.params, core.results, lowered.target, blocks=lowered.blocks)
        self.scope.add("core func", made)

    def _builtin(self, definition: b.Builtin) -> None:
        type_: object = None
        if definition.name == "task.return":
            type_ = self._maybe(definition.type)
        elif isinstance(definition.type, int) and not definition.name.startswith("thread."):
            type_ = self.scope.get("type", definition.type)
        table = None
        if definition.name == "thread.new-indirect":
            core_table = self.scope.typed("core table", definition.number, wasmtime.Table)
            assert isinstance(definition.type, int)
            core_type = self.scope.typed("core type", definition.type, b.CoreType)

            def table(index: int) -> CoreFunction:
                if index >= core_table.size(self.run.store):
                    raise Trap(f"table index {index} is out of bounds")
                found = core_table.get(self.run.store, index)
                if found is None:
                    raise Trap(f"table entry {index} is null")
                kinds = [str(kind) for kind in found.type(self.run.store).params]
                if kinds != list(core_type.params) or len(found.type(self.run.store).results):
                    raise Trap(f"table entry {index} is a function of another type")
                return self.run.callable(found, core_type.params, ())

        made: Made = self._builtins.make(definition, type_, self.context(definition.options), table)
        function = self.run.core_function(made.params, made.results, made.target, blocks=made.blocks)
        self.scope.add("core func", function)


def _no_code() -> Code:
    return
    yield


class _Synchronous:
    is_async = False
    callback = None


_SYNCHRONOUS = _Synchronous()


def _identity(memory: wasmtime.Memory) -> tuple[int, ...]:
    """The identity of a core memory within its store."""
    raw = memory._memory
    return tuple(bytes(raw)) if raw is not None else (id(memory),)


def _slots_to_words(
    params: tuple[str, ...], results: tuple[str, ...], target: Target, failed: Callable[[BaseException], int]
) -> Callable[..., int]:
    """A raw callback over slots that calls `target(*words)`."""
    words = ", ".join(
        f"v[{4 * i}] | v[{4 * i + 1}] << 32" if kind in ("i64", "f64") else f"v[{4 * i}]"
        for i, kind in enumerate(params)
    )
    if not results:
        after = f"target({words})"
    elif results[0] in ("i64", "f64"):
        after = f"r = target({words}); v[0] = r & 0xffffffff; v[1] = r >> 32"
    else:
        after = f"v[0] = target({words})"
    text = (
        f"def callback(env, c, v, n):\n    try:\n        {after}\n        return 0\n"
        "    except BaseException as error:\n        return failed(error)\n"
    )
    names: dict[str, Callable[..., int]] = {"target": target, "failed": failed}  # type: ignore[dict-item]
    exec(_callback_code(text), names)
    return names["callback"]


def _callback_code(text: str) -> CodeType:
    found = _CALLBACKS.get(text)
    if found is None:
        found = _CALLBACKS[text] = compile(text, "<wasilab component callback>", "exec")
    return found


_CALLBACKS: dict[str, CodeType] = {}
