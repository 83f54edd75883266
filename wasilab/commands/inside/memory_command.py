"""`memory`: a part of a guest's memory as a hexdump: of a kept instance now, of a recorded run at any call."""

from __future__ import annotations

import argparse

from ...engine.instances import GuestError
from ...engine.stop import CannotReplay
from ...grants.forms.flags import size as bytes_
from ...runs.instance import Instance
from ...runs.lab import Member
from ...runs.replays.memories import ReplayedMemory
from ...runs.replays.recordings import Recording
from ...runs.run import Run, RunError
from ...text.numbers import counted
from ...views.inside.memory_image import MemoryImage, kept_image
from ..line.argument_types import address, call_number
from ..line.frontend import Done, Frontend, FrontendKind
from ..line.parser import Parser
from ..line.request import Request
from ..line.usage import UsageProblem
from ..traces.saved import load_trace


def add_arguments(parser: Parser, kind: FrontendKind) -> None:
    parser.description = (
        "A guest's memory as a hexdump: data segments, stack, stack pointer and heap are marked. Of a recorded run\n"
        "(--record) at any of its calls, by a replay"
        + ("; of a kept instance now: %wasi memory {instance}." if kind == "notebook" else ".")
    )
    if kind == "notebook":
        parser.add_argument("of", nargs="?", metavar="NAME", help="a run (default: the last), or {an instance}")
        parser.epilog = "Example: %wasi memory look --at 3 --from 0x400 --length 128"
    else:
        parser.add_argument("of", metavar="RECORDING", help="a file that `run --record FILE.wtrace` made")
        parser.epilog = "Example: wasilab memory run.wtrace --at 3 --from 0x400 --length 128"
    parser.add_argument(
        "--at", type=call_number, metavar="CALL", help="after this call, as `trace` numbers them (default: the last)"
    )
    parser.add_argument("--before", action="store_true", help="when that call was made, before it was answered")
    parser.add_argument(
        "--from", dest="start", type=address, metavar="ADDRESS",
        help="the first address, such as 0x1000 (default: the beginning of each region)",
    )  # fmt: skip
    parser.add_argument("--length", type=bytes_, metavar="BYTES", help="how many bytes (default: 256)")


def execute(request: Request, frontend: Frontend) -> Done:
    """Show a part of a memory."""
    options = request.options
    try:
        image = _image(options.of, options, frontend)
    except (CannotReplay, RunError, IndexError, ValueError, GuestError) as error:
        raise UsageProblem(str(error)) from None
    if frontend.kind == "notebook":
        return Done(0, image)
    frontend.say(image.text())
    return Done()


def _image(word: object, options: argparse.Namespace, frontend: Frontend) -> MemoryImage:
    if isinstance(word, Instance):
        at = len(word.trace) - 1 if options.before and options.at is None else options.at
        return word.memory_image(options.start, options.length, at=at, before=options.before)
    if isinstance(word, Member):
        if options.at is not None or options.before:
            raise UsageProblem("--at and --before are for runs and instances: a lab's member is shown as it is now")
        return word.memory_image(options.start, options.length)
    run = word if isinstance(word, Run) else frontend.run_named(word) if word is None or isinstance(word, str) else None
    if run is None and word is None:
        raise UsageProblem("nothing has run yet in this notebook")
    with frontend.busy("replaying"):
        if run is None:
            recording = Recording(load_trace(word, frontend))
            at = _at(options.at, len(recording.trace))
            held = ReplayedMemory(recording).then(at, before=options.before)
            title = f"{recording.module.name} {'before' if options.before else 'after'} call {at}"
            return kept_image(
                recording.module, held.data, held.stack_pointer, title, options.start, options.length
            )
        return run.memory_image(_at(options.at, len(run.trace)), options.start, options.length, before=options.before)


def _at(given: int | None, calls: int) -> int:
    if given is None:
        return max(0, calls - 1)
    if given >= calls:
        raise UsageProblem(f"there is no call {given:,}: the run made {counted(calls, 'call')}, from 0")
    return given
