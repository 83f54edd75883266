"""`%%wasi` in a real kernel: output in its cell, input, Interrupt in every state, failures that stop "Run All"."""

from __future__ import annotations

import ast
import sys
import time
from typing import Any

import pytest

from . import programs
from .conftest import Cell, Kernel

pytestmark = pytest.mark.kernel

GRACE = 30.0
"""Seconds until an interrupted cell that is not over counts as hanging (measured: 0.1 s)."""


def cell(source: str, line: str = "wat") -> str:
    return f"%%wasi {line}\n{source}"


def interrupt_once_it_prints(kernel: Kernel, code: str) -> Cell:
    stopped: list[Cell] = []

    def stop(sofar: Cell) -> None:
        if not stopped:
            stopped.append(sofar)
            kernel.interrupt()

    return kernel.finish(kernel.send(code), on_output=stop, patience=GRACE)


def test_output_streams_into_the_cell_and_the_value_is_the_run(kernel: Kernel) -> None:
    done = kernel.run(cell(programs.HELLO))
    assert done.status == "ok"
    assert done.stdout == "hello\n"
    assert done.stderr == "oops\n"
    assert {"text/html", "application/vnd.jupyter.widget-view+json"} <= set(done.value)
    assert "exit status 0" in done.text
    again = kernel.run("(_.exit_code, _.stdout, len(_.trace))")
    assert again.text.startswith("(0, ")
    assert again.text.endswith(", 2)")


@pytest.mark.parametrize("name", ["LOOP", "SLEEP", "ECHO", "FLOOD"])
def test_interrupt_ends_the_cell_in_every_state_and_fails_it(kernel: Kernel, name: str) -> None:
    done = interrupt_once_it_prints(kernel, cell(getattr(programs, name), "wat --stdin -"))
    assert done.status == "error"
    assert "Interrupt" in done.ename
    assert kernel.run("1 + 1").text == "2"


def test_a_second_interrupt_is_safe(kernel: Kernel) -> None:
    def stop(_: Cell) -> None:
        kernel.interrupt()
        time.sleep(0.01)
        kernel.interrupt()

    done = kernel.finish(kernel.send(cell(programs.LOOP)), on_output=stop)
    assert done.status == "error"
    assert kernel.run("'alive'").text == "'alive'"


def test_the_input_box_feeds_the_guest(kernel: Kernel) -> None:
    done = kernel.finish(
        kernel.send(cell(programs.ECHO, "wat --stdin -")),
        answers=["first", "zweite äöü"],
        on_output=lambda sofar: kernel.interrupt() if "äöü" in sofar.stdout else None,
    )
    assert "first\nzweite äöü\n" in done.stdout
    assert done.prompts >= 2


def test_with_nobody_to_ask_the_guest_reads_end_of_file(kernel: Kernel) -> None:
    done = kernel.run(cell(programs.ECHO, "wat --stdin -"), stdin=False)
    assert done.status == "ok"
    assert done.stdout == "ready\n"


def test_a_cell_asks_only_where_somebody_can_answer(kernel: Kernel) -> None:
    done = kernel.finish(
        kernel.send(cell(programs.ECHO)),
        answers=["typed"],
        on_output=lambda sofar: kernel.interrupt() if "typed" in sofar.stdout else None,
    )
    assert "typed\n" in done.stdout
    for options in ("wat --stdin none", "wat --stdin-text ''", "wat --deny-all --stdout"):
        assert kernel.run(cell(programs.ECHO, options)).prompts == 0


def test_a_compile_error_fails_the_cell_in_the_compilers_words(kernel: Kernel) -> None:
    done = kernel.run(cell("(module\n  (func (export))\n)"))
    assert done.status == "error"
    assert done.ename == "CompileFailed"
    assert ":3:" in done.traceback
    number = int(kernel.run("len(In) - 1").text) - 1
    assert f"Cell In[{number}], line 3" in done.traceback
    assert "Traceback" not in done.traceback
    assert "wasilab/" not in done.traceback


def test_a_usage_error_is_one_line(kernel: Kernel) -> None:
    done = kernel.run(cell(programs.HELLO, "wat --starce"))
    assert (done.status, done.ename) == ("error", "UsageError")
    assert "did you mean '--strace'?" in done.evalue
    assert "it now holds a small WAT program to change and run" in kernel.run(cell("", "wat")).displays[0]["text/plain"]
    assert "did you mean 'zig'?" in kernel.run(cell("x", "zag")).evalue


def test_a_flood_is_capped_in_the_page_and_whole_in_the_run(kernel: Kernel) -> None:
    done = kernel.run(cell(programs.LINES_50000))
    assert len(done.stdout) < 50_000
    assert "more lines not shown" in done.stdout
    assert kernel.run("_.stdout.count('a line')").text == "50000"


def test_a_named_module_runs_again_under_other_grants(kernel: Kernel, tmp_path: Any) -> None:
    (tmp_path / "secret.txt").write_text("s")
    first = kernel.run(cell(programs.OPEN_SECRET, "wat --name opener"))
    assert first.status == "ok"
    assert "refused" in first.text
    assert "--dir" in first.text
    kernel.run(f"folder = {str(tmp_path)!r}")
    second = kernel.run("%wasi run --dir {folder} opener")
    assert second.status == "ok"
    assert "exit status 0" in second.text
    assert "opener" in kernel.run("%wasi list").stdout


def test_braces_expand_only_outside_quotes(kernel: Kernel) -> None:
    kernel.run("n = 3")
    done = kernel.run("%wasi run --invoke add '{n}'")
    assert "there is no file '{n}'" in done.evalue
    kernel.run(cell(programs.ADD, "wat --name adder --compile-only"))
    done = kernel.run("%wasi run --invoke add adder {n} {n + 1}")
    assert "7" in done.stdout


def test_lines_are_commands(kernel: Kernel) -> None:
    assert "inspect" in kernel.run("%wasi").stdout
    assert "WAT" in kernel.run("%wasi doctor").stdout
    kernel.run(cell(programs.HELLO, "wat --name hello --quiet"))
    assert "fd_write" in kernel.run("%wasi inspect hello").stdout
    assert kernel.run("%wasi trace hello").stdout.count("fd_write(") == 2
    assert "fd_write" in kernel.run("%wasi trace --summary hello").stdout


def test_help_is_the_docstring(kernel: Kernel) -> None:
    kernel.send("%wasi?")
    helped = kernel.run("get_ipython().inspector.info(get_ipython().find_magic('wasi'))['docstring']")
    assert "COMPILER FLAGS" in helped.text


SENT = """
from wasilab.views.interactive.widget import TimelineWidget
sent, send = [], TimelineWidget.send
def noted(self, content, buffers=None):
    if content.get("push") == "calls":
        sent.append((content["first"], content["count"]))
    return send(self, content, buffers)
TimelineWidget.send = noted
"""


def test_the_timeline_of_a_cell_grows_while_it_runs(kernel: Kernel) -> None:
    kernel.run(SENT)
    short = kernel.run(cell(programs.HELLO, "wat"))
    long = kernel.run(cell(programs.SLEEPS, "wat"))
    view = "application/vnd.jupyter.widget-view+json"
    shown = [[view in bundle for bundle in one.displays].count(True) for one in (short, long)]
    assert shown == [1, 2], "once while it runs, and once with its report"
    models = {bundle[view]["model_id"] for bundle in long.displays if view in bundle}
    assert len(models) == 1
    assert "exit status 0" in long.text
    told = kernel.run("sent, len(_.trace)").text
    sent, calls = ast.literal_eval(told)
    assert len([count for _, count in sent if count]) >= 2, "it grew"
    assert sent[-1][0] + sent[-1][1] == calls
    reach = 0  # an update may hold again what an earlier one held, and leaves out nothing
    for first, count in sent:
        assert first <= reach
        reach = max(reach, first + count)


def test_a_detached_run_returns_at_once_and_writes_into_its_own_cell(kernel: Kernel) -> None:
    first = kernel.run(cell(programs.LOOP, "wat --detach"))
    assert first.status == "ok"
    assert "Still running, after 0 WASI calls in " in first.text or "so far" in first.text
    assert " ns" not in first.text.split("\n")[0]
    others = {first.id: first}  # its output comes whenever the guest gets to run, under whichever later cell
    kernel.finish(kernel.send("run = _"), others=others)
    for _ in range(40):  # the guest runs beside the kernel: a busy machine lets it wait
        kernel.finish(kernel.send("import time; time.sleep(0.5)"), others=others)
        if "ready\n" in first.stdout:
            break
    assert "ready\n" in first.stdout
    stopped = kernel.run("run.stop(); r = run.wait(60); (r.outcome.kind, r.exit_code)")
    assert stopped.text == "('interrupt', 130)"


def test_a_detached_run_can_be_awaited_and_is_shown_when_it_is_over(kernel: Kernel) -> None:
    kernel.run(cell(programs.HELLO, "wat --detach --name later"))
    done = kernel.run("await _")
    assert "exit status 0" in done.text


def test_a_question_of_ask_mode_is_put_in_the_input_box(kernel: Kernel, tmp_path: Any) -> None:
    (tmp_path / "secret.txt").write_text("s")
    kernel.run(f"import os; os.chdir({str(tmp_path)!r})")
    denied = kernel.run(cell(programs.OPEN_SECRET, "wat --ask"), answers=["what?", "d", "a"])
    assert denied.prompts > 1
    assert kernel.run("len(_.asked) > 0").text == "True"
    allowed = kernel.run(cell(programs.OPEN_SECRET, "wat --ask"), answers=["r"] * 4)
    assert allowed.status == "ok"
    nobody = kernel.run(cell(programs.OPEN_SECRET, "wat --ask"), stdin=False)
    assert (nobody.status, nobody.prompts) == ("ok", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
def test_an_isolated_cell_asks_in_the_input_box(kernel: Kernel, tmp_path: Any) -> None:
    (tmp_path / "secret.txt").write_text("s")
    kernel.run(f"import os; os.chdir({str(tmp_path)!r})")
    kernel.run("%wasi config isolate on")
    allowed = kernel.run(cell(programs.OPEN_SECRET, "wat --ask"), answers=["what?", "o"])
    assert (allowed.status, allowed.prompts) == ("ok", 2)
    assert kernel.run("(_.exit_code, [str(one.answer) for one in _.asked])").text == "(0, ['Answer.ONCE'])"
    denied = kernel.run(cell(programs.OPEN_SECRET, "wat --ask"), answers=["d"])
    assert denied.prompts == 1
    assert kernel.run("_.exit_code").text == "76"
    kernel.run(cell(programs.HELLO, "wat --name isolated --quiet"))
    assert kernel.run("%wasi grants isolated").status == "ok"
    assert kernel.run("_.model.isolate").text == "True"
    kernel.run("%wasi config isolate off")


def test_what_a_run_shows_besides_its_report(kernel: Kernel) -> None:
    kernel.run(cell(programs.HELLO, "wat --name shown --quiet"))
    assert "asked for" in kernel.run("%wasi grants shown").results[0]["text/html"]
    assert "image/png" in kernel.run("%wasi plot shown latency").results[0]
    assert "application/vnd.jupyter.widget-view+json" in kernel.run("%wasi timeline shown").value
    unknown = kernel.run("%wasi plot shown latencies")
    assert "did you mean 'latency'? the kinds are timeline, counts" in unknown.evalue + unknown.stderr
    assert "image/png" in kernel.run("%wasi plot shown compare shown").results[0]
    assert "--stdout" in kernel.run("%wasi advise shown").stdout


def test_repeat_says_the_distribution(kernel: Kernel) -> None:
    done = kernel.run(cell(programs.HELLO, "wat --repeat 3 --quiet"))
    assert done.stdout == "hello\n"
    assert done.stderr == "oops\n"
    assert done.displays[0]["text/plain"].startswith("3 runs: ")
    assert done.results == []
    many = kernel.run(cell(programs.HELLO, "wat --repeat 20"))
    assert many.stderr.count("oops") == 1
    assert many.displays[0]["text/plain"].startswith("20 runs: ")
    assert "█" in many.displays[0]["text/plain"]
    assert kernel.run("len(_.repeats)").text == "20"


def test_the_kernel_survives_all_of_it(kernel: Kernel) -> None:
    kernel.run(cell(programs.TRAP))
    assert kernel.alive()
