"""Links functions of one instance to imports of another; each instance has its own store, and all run on one thread.

The importer gets a host function of the import's type. It converts the descriptors that the link declares
(`passing.py`), calls the exporter and returns its result. Either instance may be in the middle of a call: links may
form cycles. If the exporter ends, the importer ends too, with a message. Numbers and vectors can pass. Memories,
tables, globals and references belong to one store and cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import wasmtime

from ...capabilities.waiting import Interrupted
from ...module.binary import FuncType
from ...module.module import Import, Module
from ...text.nearest import did_you_mean
from ...text.numbers import with_article
from ...trace.record.functions import Function, pack_values
from ...trace.record.layout import DID_NOT_RETURN
from ...trace.record.payload import pack_payload
from ...trace.record.writing import Write
from ...wasi.types import Trap, WasiError
from ..calls import raw as _raw
from ..entry import NUMBERS
from ..session import Session
from ..stop import LinkError
from ..values.raw_slots import read_slots, write_slot
from ..values.wasmtime_objects import Imported, RawWords, RetainedCallback, as_function_type
from .passing import DescriptorFlow, DescriptorPassage, Passed

PASSES = NUMBERS | {"v128"}
"""The types that can pass between stores."""
Enter = Callable[[str, Sequence[object]], object]
"""Calls an export, by name and values. Raises `Ended` if it does not return."""


class Ended(Exception):
    """The exporter did not return; the message says how it ended."""


@dataclass(slots=True)
class Exporter:
    """The target instance of a link."""

    name: str
    module: Module
    session: Session
    enter: Enter
    passing: Mapping[str, Mapping[int, Passed]] = field(default_factory=dict)
    """Export name -> its descriptor parameters."""
    flows: list[DescriptorFlow] = field(default_factory=list)
    """The log of passed descriptors."""


def check_link(importer: str, module: Module, as_: str, exporter: Exporter, *, one_store: bool = False) -> None:
    """Raise `LinkError` for an invalid link: a missing export, a different type, an undeclared parameter.

    `one_store`: both share a store, so that memories, tables, globals and references pass too.
    """
    wanted = [item for item in module.imports if item.module == as_]
    if not wanted:
        names = {item.module for item in module.imports}
        raise LinkError(f"{importer} imports nothing from {as_!r}{did_you_mean(as_, names, _list(names))}")
    offered = {e.name: e for e in exporter.module.exports}
    for item in wanted:
        export = offered.get(item.name)
        if export is None:
            near = did_you_mean(item.name, offered, _list(offered))
            raise LinkError(f"{importer} imports {as_}.{item.name}, which {exporter.name} does not export{near}")
        is_function = isinstance(item.type, FuncType)
        if one_store and is_function != (export.kind == "func"):
            raise LinkError(
                f"{importer} imports {as_}.{item.name} as {with_article(_kind(item))}, and it "
                f"is {with_article(export.kind)}"
            )
        if one_store and not is_function:
            continue  # Wasmtime compares their types when it instantiates
        if not isinstance(item.type, FuncType) or export.kind != "func":
            raise LinkError(
                f"{importer} imports {as_}.{item.name}, {with_article(export.kind)}: only functions pass between "
                "stores; Lab(shared_store=True) has one store for all, preload= puts the module into the importer's own"
            )
        found = exporter.module.function_type(export.index)
        if found != item.type:
            raise LinkError(
                f"{importer} imports {as_}.{item.name} as {item.type}, and in {exporter.name} it is {found}"
            )
        strange = [kind for kind in (*item.type.params, *item.type.results) if kind not in PASSES]
        if strange and not one_store:
            raise LinkError(
                f"{as_}.{item.name} takes or returns {strange[0]}, which cannot pass between two stores: "
                "Lab(shared_store=True) has one for all"
            )
        if strange and item.name in exporter.passing:
            raise LinkError(f"{as_}.{item.name} takes or returns {strange[0]}: it cannot pass descriptors as well")
    for name, params in exporter.passing.items():
        known = next((item.type for item in wanted if item.name == name and isinstance(item.type, FuncType)), None)
        if known is None:
            near = did_you_mean(name, [item.name for item in wanted])
            raise LinkError(f"the link passes descriptors to {name!r}, which {importer} does not import{near}")
        for param in params:
            if param >= len(known.params) or known.params[param] != "i32":
                raise LinkError(f"parameter {param} of {name} {known} is not a descriptor: a descriptor is an i32")


def _kind(item: Import) -> str:
    return "func" if isinstance(item.type, FuncType) else str(item.type).split(" ")[0]


def _list(names: object) -> str:
    shown = sorted(str(name) for name in names) if isinstance(names, (set, dict)) else []
    return f" (there is {', '.join(shown[:10])})" if shown else ""


class CrossCalls:
    """The imports of one instance that other lab instances provide. Keep it as long as the store."""

    def __init__(self, name: str, session: Session) -> None:
        self._name = name
        self._session = session
        self._callbacks: list[RetainedCallback] = []

    def provide(
        self, exporters: Mapping[str, Exporter], compiled: wasmtime.Module
    ) -> Imported:
        """Import module name -> import name -> function, for the links of this instance. Call it once the store
        exists."""
        found: Imported = {}
        types: Sequence[wasmtime.ImportType] | None = None
        for position, item in enumerate(self._session.module.imports):
            exporter = exporters.get(item.module)
            if exporter is None or not isinstance(item.type, FuncType):
                continue
            if any(kind not in PASSES for kind in (*item.type.params, *item.type.results)):
                continue  # references pass directly, within one store (`shared_store.py`)
            if types is None:
                types = compiled.imports  # a new object at each access, so read it once
            target = self._target(exporter, item.name, item.type)
            function, callback = _raw.function(self._session.store, as_function_type(types[position]), target)
            self._callbacks.append(callback)
            found.setdefault(item.module, {})[item.name] = function
        return found

    def close(self) -> None:
        """Free the functions, once no guest code will run in the store any more."""
        self._callbacks.clear()

    def _target(self, exporter: Exporter, name: str, type_: FuncType) -> Callable[..., int]:
        session, passing = self._session, exporter.passing.get(name, {})
        recorder = session.recorder
        note: _CallNotes | None = None
        if recorder is not None:
            names = [f"fd{at}" if at in passing else f"${at}" for at in range(len(type_.params))]
            params = tuple(zip(names, type_.params, strict=True))
            results = tuple(("result" if at == 0 else f"result{at}", kind) for at, kind in enumerate(type_.results))
            number = recorder.function_number(Function(name, "link", exporter.name, params=params, results=results))
            note = _CallNotes(number, recorder.make_writer())

        def target(env: int, caller: int, slots: RawWords, count: int) -> int:
            start = session.host.run_time()
            values = read_slots(slots, type_.params)
            asked = list(values)
            passage = DescriptorPassage(
                f"{exporter.name}.{name}", self._name, session.host, exporter.name, exporter.session.host, passing
            )
            errno, result, why = 0, None, ""
            try:
                try:
                    passage.enter(values)
                    result = exporter.enter(name, values)
                except WasiError as refused:
                    errno, why = int(refused.errno), refused.reason or ""
                    result = _refusal(errno, type_.results)
                    if result is None:
                        raise Trap(why) from None
                except Ended as ended:
                    errno, why = DID_NOT_RETURN, str(ended)
                    raise (Trap(why) if session.stop_reason is None else Interrupted()) from None
                finally:
                    passage.leave()
                    exporter.flows.extend(passage.flows)
                for at, (kind, value) in enumerate(zip(type_.results, _each(result, type_.results), strict=True)):
                    write_slot(slots, at, kind, value)
                return 0
            except BaseException as error:  # noqa: BLE001  nothing may leave a callback
                errno = errno or DID_NOT_RETURN
                session.stop_for(error, f"{exporter.name}.{name}")
                return _raw.trap()
            finally:
                if note is not None:
                    life = 0 if passage.first is None else passage.first.life
                    returned = [] if errno else _each(result, type_.results)
                    took = session.host.run_time() - start
                    note(start, took, _shown(asked, passing, passage), returned, errno, why, life, session)

        return target


class _CallNotes:
    """Records the calls of one linked function in the importer's trace."""

    def __init__(self, number: int, write: Write) -> None:
        self._number = number
        self._write = write

    def __call__(
        self, start: int, took: int, values: Sequence[object], results: Sequence[object], errno: int, why: str,
        life: int, session: Session,
    ) -> None:  # fmt: skip
        try:
            recorder = session.recorder
            reason = recorder.intern_reason(why) if recorder is not None and why else 0
            data = pack_values(results) if results else b""
            payload = pack_payload(pack_values(values), data, (), reason)
            self._write(start, took, 0, life, None, payload, self._number, errno, 0, 0, 0, 0, 0, 0)
        except Exception:  # noqa: BLE001  nothing may leave a callback; recording is optional
            return


def _shown(values: Sequence[object], passing: Mapping[int, Passed], passage: DescriptorPassage) -> list[object]:
    """The arguments for the trace: a descriptor is shown as the receiver's number and its path."""
    shown = list(values)
    for param, flow in zip(passing, passage.flows, strict=False):
        to = f"{flow.receiver}'s {flow.to_fd}" if flow.to_fd >= 0 else "nothing"
        shown[param] = f"{flow.from_fd}<{flow.path}> as {to}" if flow.path else f"{flow.from_fd} as {to}"
    return shown


def _refusal(errno: int, results: Sequence[str]) -> object:
    """The result of a call refused before it started: minus the errno; None if its result is not a single integer."""
    return -errno if tuple(results) in (("i32",), ("i64",)) else None


def _each(result: object, results: Sequence[str]) -> list[object]:
    if not results:
        return []
    return list(result) if isinstance(result, list) else [result]
