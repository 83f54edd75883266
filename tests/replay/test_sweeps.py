"""Sweeps: every combination once, the same bytes by every executor, a lost worker as a row, one error for bad input."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import wasilab
from tests.engine.guests import wat
from wasilab import Fault, Grants, HostDir, Limits, MemDir
from wasilab.cli import main
from wasilab.runs.experiments import sweep_worker
from wasilab.runs.experiments.executors import IN_FLIGHT, SweepError
from wasilab.runs.experiments.sweeping import A_TASK, Sweep
from wasilab.trace.errors import QueryError

parquet = pytest.importorskip("pyarrow.parquet")

NAMES = "args_sizes_get args_get fd_read fd_write random_get clock_time_get path_open proc_exit"
PROGRAM = wat(NAMES, """
  (drop (call $args_sizes_get (i32.const 400) (i32.const 404)))
  (drop (call $random_get (i32.const 96) (i32.const 8)))
  (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 104)))
  (i32.store (i32.const 0) (i32.const 112)) (i32.store (i32.const 4) (i32.const 8))
  (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
  (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 9) (i64.const 64)
    (i64.const 0) (i32.const 0) (i32.const 80)))
  (i32.store (i32.const 0) (i32.const 96)) (i32.store (i32.const 4) (i32.const 24))
  (drop (call $fd_write (i32.load (i32.const 80)) (i32.const 0) (i32.const 1) (i32.const 8)))
  (call $proc_exit (i32.add (i32.mul (i32.load (i32.const 400)) (i32.const 10))
    (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))""",
  extra='(data (i32.const 64) "a.txt")')  # fmt: skip
"""Writes randomness, the time and stdin into a file and to stdout; its status is ten times argc, and a failed write's
errno."""
GRANTS = Grants(dirs={"/": MemDir({"kept": b"1"})})
OVER: dict[str, Sequence[Any]] = {
    "seed": [1, 2, 3], "faults": [[], ["fd_write:error=EIO:path=<stdout>"]], "stdin": [b"one", "two"],
    "args": [[], ["x", "y"]],
}  # fmt: skip


def swept(executor: Any = None, over: dict[str, Sequence[Any]] | None = None, **more: Any) -> Sweep:
    return wasilab.sweep(PROGRAM, over or OVER, executor, grants=GRANTS, **more)


@pytest.fixture(scope="module")
def serial() -> Sweep:
    return swept()


@pytest.fixture(scope="module")
def pool() -> Any:
    with ProcessPoolExecutor(2) as made:
        yield made


def test_every_combination_is_run_once(serial: Sweep) -> None:
    assert len(serial) == 24 == len(serial.parameters)
    assert [row.number for row in serial] == list(range(24))
    statuses = {(p["args"], p["faults"]): row.exit_code for p, row in zip(serial.parameters, serial, strict=True)}
    fault = "fd_write:error=EIO:path=<stdout>"
    assert {key[0]: code for key, code in statuses.items() if not key[1]} == {"": 10, "x y": 30}
    assert statuses["", f"'{fault}'"] == 10 + 29
    assert GRANTS.dirs["/"].files() == {"kept": b"1"}  # type: ignore[attr-defined]  # each run had its own folder
    assert str(serial).startswith("24 runs of module; exit 10: 6")


def test_equal_parameters_give_equal_runs_and_other_seeds_other_ones(serial: Sweep) -> None:
    by_seed = {p["seed"]: row.stdout for p, row in zip(serial.parameters, serial, strict=True) if row.exit_code == 10}
    assert len(set(by_seed.values())) == 3
    again = swept()
    assert [row.stdout for row in again] == [row.stdout for row in serial]
    assert again.calls.read_bytes() == serial.calls.read_bytes()


@pytest.mark.parametrize("size", [1, A_TASK, 100])
def test_threads_and_processes_give_the_same_bytes(serial: Sweep, pool: ProcessPoolExecutor, size: int) -> None:
    with ThreadPoolExecutor(3) as threads:
        for executor in (pool, threads):
            other = swept(executor, runs_per_task=size)
            assert parquet.read_table(other.calls).equals(parquet.read_table(serial.calls))
            if size == A_TASK:
                assert other.calls.read_bytes() == serial.calls.read_bytes()
            without = other.table.drop_columns(["seconds"])
            assert without.equals(serial.table.drop_columns(["seconds"]))


@pytest.mark.slow
def test_the_tables_are_asked_in_sql(serial: Sweep, tmp_path: Path) -> None:
    found = serial.sql('select "p.seed", count(*), sum(calls)::int from runs group by 1 order by 1')
    assert found.rows == [(1, 8, 64), (2, 8, 64), (3, 8, 64)]
    injected = serial.sql("select call, count(*) from calls join runs using (run) where injected group by 1")
    assert injected.rows == [("fd_write", 12)]
    with pytest.raises(QueryError, match="SELECT"):
        serial.sql("drop table runs")
    serial.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls.parquet", "runs.parquet"]


def test_a_run_is_reproduced_completely(serial: Sweep) -> None:
    run = serial.rerun(7)
    assert run.exit_code == serial[7].exit_code
    assert run.stdout_bytes == serial[7].stdout
    assert len(run.trace) == serial[7].calls
    assert serial.rerun(-1).stdout_bytes == serial[23].stdout
    assert serial[23].rerun().stdout_bytes == serial[23].stdout
    assert len(serial[7].rerun().trace) == serial[7].calls


def test_host_folders_are_opened_where_the_run_is(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    grants = Grants(dirs={"/": HostDir(str(tmp_path), "copy")})
    found = wasilab.sweep(PROGRAM, {"seed": range(4)}, pool, grants=grants)
    assert {row.exit_code for row in found} == {10}
    assert (tmp_path / "a.txt").read_text() == "old"


def test_whole_grants_and_variables_are_swept() -> None:
    found = wasilab.sweep(
        PROGRAM, {"grants": [GRANTS, Grants.nothing()], "env.LANG": ["C", "de"], "clock": ["frozen:5", "none"]},
        calls=False,
    )  # fmt: skip
    assert len(found) == 8
    assert {row.refused for row in found} != {0}
    with pytest.raises(SweepError, match="calls were not kept"):
        _ = found.calls
    assert found.sql("select count(*) from runs").rows == [(8,)]


# --- executors that are not the standard library's ---


class _View:
    """As an ipyparallel view: `executor` has `submit`."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor


class _DaskClient:
    """As a Dask client: its own `submit` must not be used, for it takes equal tasks for one."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, *arguments: Any) -> Any:
        raise AssertionError("equal tasks would be run once")

    def get_executor(self, *, pure: bool) -> Executor:
        assert pure is False
        return self._executor


class _Joblib:
    """As a `joblib.Parallel`."""

    n_jobs = 2

    def __call__(self, tasks: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]) -> list[Any]:
        return [function(*arguments, **named) for function, arguments, named in tasks]


def test_anything_that_takes_tasks_is_an_executor(serial: Sweep) -> None:
    with ThreadPoolExecutor(2) as threads:
        for executor in (_View(threads), _DaskClient(threads), _Joblib()):
            assert swept(executor).calls.read_bytes() == serial.calls.read_bytes()
    with pytest.raises(SweepError, match="int is not an executor"):
        swept(7)


def test_the_program_is_sent_once_to_a_worker() -> None:
    sent: list[int] = []

    class Counting(ThreadPoolExecutor):
        def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
            sent.append(len(arguments[2] or b""))
            return super().submit(function, *arguments, **named)

    with Counting(1) as one:
        swept(one, runs_per_task=4)
    assert len(sent) == 6
    assert sum(size > 0 for size in sent) == 1


class _Losing(ThreadPoolExecutor):
    """Loses the second task, as a worker that dies does."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        if any(plan.number == 10 for plan in arguments[3]):
            lost: Future[Any] = Future()
            lost.set_exception(RuntimeError("the worker is gone"))
            return lost
        return super().submit(function, *arguments, **named)


def test_a_lost_worker_is_a_row_and_not_the_end() -> None:
    with _Losing(2) as executor:
        found = swept(executor, runs_per_task=10)
    assert len(found) == 24
    assert [row.number for row in found if row.kind == "lost"] == list(range(10, 20))
    assert "the worker is gone" in found[10].message
    assert found.table.num_rows == 24


def test_a_process_that_dies_is_a_row(pool: ProcessPoolExecutor) -> None:
    with ProcessPoolExecutor(1) as mortal:
        mortal.submit(os._exit, 3).exception()
        found = swept(mortal, over={"seed": [1, 2]})
    assert [row.kind for row in found] == ["lost", "lost"]


def test_an_interrupt_returns_what_there_is() -> None:
    class Stopped(ThreadPoolExecutor):
        def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
            if any(plan.number == 30 for plan in arguments[3]):
                raise KeyboardInterrupt
            return super().submit(function, *arguments, **named)

    with Stopped(1) as executor:
        found = wasilab.sweep(PROGRAM, {"seed": range(60)}, executor, grants=GRANTS, runs_per_task=10)
    assert found.partial
    assert len(found) % 10 == 0
    assert len(found) < 31
    assert found.table.num_rows == len(found)
    assert "(interrupted)" in str(found)


def test_not_all_tasks_wait_at_once() -> None:
    waiting, most, lock = [0], [0], threading.Lock()

    class Counting(ThreadPoolExecutor):
        def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
            with lock:
                waiting[0] += 1
                most[0] = max(most[0], waiting[0])
            future = super().submit(function, *arguments, **named)
            future.add_done_callback(lambda _: waiting.__setitem__(0, waiting[0] - 1))
            return future

    with Counting(1) as executor:
        wasilab.sweep(PROGRAM, {"seed": range(120)}, executor, grants=GRANTS, runs_per_task=1, calls=False)
    assert most[0] <= IN_FLIGHT


def test_an_executor_that_cannot_send_says_so() -> None:
    class Unpickling(ThreadPoolExecutor):
        def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
            failed: Future[Any] = Future()
            failed.set_exception(TypeError("cannot pickle '_thread.lock' object"))
            return failed

    with Unpickling(1) as executor, pytest.raises(SweepError, match="cannot send a run to its workers"):
        swept(executor)


def test_an_executor_that_refuses_a_task_at_once_is_not_said_to_have_lost_its_worker() -> None:
    class Refusing:
        def submit(self, *task: object) -> object:
            raise TypeError("cannot pickle 'x' object")

    with pytest.raises(SweepError, match="cannot send a run to its workers: cannot pickle 'x' object"):
        swept(Refusing())


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        ({"sed": [1]}, "did you mean 'seed'"), ({"limits.fule": [1]}, "did you mean 'fuel'"),
        ({"limits": [1]}, "unknown limit"),
        ({"seed": 7}, "give a list"), ({"seed": []}, "give a list"), ({"stdin": "text"}, "give a list"),
        ({"seed": ["x"]}, "seed: 'x' cannot be used"), ({"clock": ["sundial"]}, "clock: 'sundial' cannot"),
        ({"faults": [["fd_wite:error=EIO"]]}, "did you mean 'fd_write'"), ({"args": ["x"]}, "not a list of arguments"),
        ({"limits.memory": [-1]}, "cannot be used"), ({"grants": [{}]}, "is not a Grants object"),
        ({"env.": ["x"]}, "unknown parameter"),
        ({"env.A=B": ["x"]}, "cannot be used"), ({"stdin": [7]}, "cannot be used"),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_named_with_what_to_write(over: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SweepError, match=sentence):
        wasilab.sweep(PROGRAM, over)


def test_grants_that_cannot_be_sent_are_refused(tmp_path: Path) -> None:
    for grants, sentence in (
        (Grants(overrides={"random_get": print}), "Python functions"),
        (Grants(ask=True), "cannot ask questions"), (Grants(dirs={"/": HostDir(str(tmp_path), "rw")}), "as copy"),
    ):  # fmt: skip
        with pytest.raises(SweepError, match=sentence):
            wasilab.sweep(PROGRAM, {"seed": [1]}, grants=grants)
    found = wasilab.sweep(PROGRAM, {"faults": [Fault("fd_write", short=1)]}, grants=Grants(limits=Limits(fuel=900)))
    again = found.rerun(0)
    assert (again.grants.limits.fuel, list(again.grants.faults)) == (900, ["fd_write:short=1"])
    assert len(found[0].stdout) == 1


# --- the command ---


def test_the_command_sweeps_as_a_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.wasm").write_bytes(PROGRAM.bytes)
    (tmp_path / "policy.toml").write_text("[env]\nA = '1'\n")
    file = tmp_path / "sweep.toml"
    head = "program = 'p.wasm'\nargs = ['x']\npolicy = 'policy.toml'\n"
    file.write_text(f"{head}[over]\nseed = [1, 2]\n'limits.fuel' = [100000]\n")
    assert main(["sweep", str(file), "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == "2 runs of p.wasm; exit 20: 2\n"
    assert (tmp_path / "out" / "calls.parquet").stat().st_size > 100
    assert main(["sweep", str(file), "--sql", "select count(*) as n from calls"]) == 0
    assert "16" in capsys.readouterr().out
    for text, sentence in (
        ("args = []", "name the program"), ("program = 'p.wasm'\novr = 1", "mean 'over'"),
        ("program = 7", "program is not a str"),
        ("program = 'none.wasm'", "none.wasm"), ("program = 'p.wasm'\n[over]\nsed = [1]", "mean 'seed'"),
        ("program", "not TOML"),
    ):  # fmt: skip
        file.write_text(text)
        assert main(["sweep", str(file)]) == 2, text
        assert sentence in capsys.readouterr().err
    assert main(["sweep", str(tmp_path / "none.toml")]) == 2


# --- plots, progress, memory ---


def test_a_heat_map_has_the_mean_of_each_pair(serial: Sweep) -> None:
    figure = serial.plot("heat", x="faults", y="args", value="exit_code")
    (image,) = figure.axes[0].images
    assert image.get_array().tolist() == [[10.0, 39.0], [30.0, 59.0]]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["none", "x y"]
    shares = serial.plot().axes[0].images[0].get_array()
    assert shares.tolist() == [[0.0] * 3] * 2  # status 10 or more: none is ok


def test_lines_and_boxes_have_the_values_of_the_runs(serial: Sweep) -> None:
    axes = serial.plot("lines", x="seed", by="args", value="exit_code").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[24.5] * 3, [44.5] * 3]
    assert [line.get_xdata().tolist() for line in axes.lines] == [[1, 2, 3]] * 2
    axes = serial.plot("box", x="args", value="failed").axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["none", "x y"]
    assert axes.get_xlabel() == "failed calls"


def test_lost_runs_and_one_parameter_and_none_are_drawn() -> None:
    with _Losing(2) as executor:
        found = swept(executor, over={"seed": range(24)}, runs_per_task=10)
    for kind in ("heat", "lines", "box"):
        assert found.plot(kind, value="calls").axes[0].get_title(loc="left") == "calls, 24 runs"
        assert swept(over={"seed": [1]}).plot(kind).axes
    with ProcessPoolExecutor(1) as mortal:
        mortal.submit(os._exit, 3).exception()
        gone = swept(mortal, over={"seed": [1, 2]})
    for kind in ("heat", "lines", "box"):
        assert [text.get_text() for text in gone.plot(kind).axes[0].texts] == ["no run ended"]


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("heart", {}, "did you mean 'heat'"), ("heat", {"x": "sead"}, "did you mean 'seed'"),
        ("heat", {"value": "colour"}, "the runs have no 'colour'"), ("box", {"y": "seed"}, "is for 'heat'"),
        ("lines", {"y": "seed"}, "is for 'heat'"), ("heat", {"by": "seed"}, "is for 'lines'"),
    ],
)  # fmt: skip
def test_a_plot_that_does_not_exist_is_refused(
    serial: Sweep, kind: str, options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        serial.plot(kind, **options)


def test_many_values_are_cut_and_the_title_says_so() -> None:
    found = swept(over={"seed": range(70)}, calls=False)
    axes = found.plot("heat").axes[0]
    assert axes.get_title(loc="left").endswith("; the first 60 values of seed")
    assert axes.images[0].get_array().shape == (1, 60)


def test_progress_is_shown_by_tqdm_or_told(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[int, int]] = []
    swept(runs_per_task=10, progress=lambda done, of: told.append((done, of)), calls=False)
    assert told == [(10, 24), (20, 24), (24, 24)]
    pytest.importorskip("tqdm")
    swept(progress=True, calls=False)
    assert "24/24" in capsys.readouterr().err


def test_without_tqdm_there_is_no_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert len(swept(progress=True, calls=False)) == 24
    assert capsys.readouterr().err == ""


def test_no_run_and_no_call_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[wasilab.Run]] = []
    alive: list[int] = []
    start = sweep_worker.start_run

    def noted(*args: Any, **named: Any) -> wasilab.Run:
        run = start(*args, **named)
        made.append(weakref.ref(run))
        return run

    def look(done: int, of: int) -> None:
        gc.collect()
        alive.append(sum(reference() is not None for reference in made))

    monkeypatch.setattr(sweep_worker, "start_run", noted)
    found = swept(over={"seed": range(60)}, progress=look)
    assert (len(made), len(alive)) == (60, 3)
    assert max(alive) <= 1
    assert {row.columns for row in found} == {None}
    assert len({id(row.stdout) for row in swept(over={"seed": [1] * 9})}) == 1  # equal outputs are kept once


def test_a_fault_of_chance_takes_the_seed_of_its_run() -> None:
    faults = [["fd_write:error=EIO:p=0.5"], ["fd_write:error=EIO:p=0.5:seed=3"]]
    found = swept(over={"seed": range(16), "faults": faults})
    chance = [row.failed for row, p in zip(found, found.parameters, strict=True) if "seed=3" not in p["faults"]]
    fixed = [row.failed for row, p in zip(found, found.parameters, strict=True) if "seed=3" in p["faults"]]
    assert len(set(chance)) > 1
    assert len(set(fixed)) == 1
    assert [row.failed for row in swept(over={"seed": range(16), "faults": faults[:1]})] == chance


# --- the libraries themselves, where they are installed ---


@pytest.mark.slow
def test_a_local_dask_cluster(serial: Sweep) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        for executor in (client, client.get_executor(pure=False)):
            found = swept(executor)
            assert parquet.read_table(found.calls).equals(parquet.read_table(serial.calls))


@pytest.mark.slow
def test_an_ipyparallel_cluster(serial: Sweep) -> None:
    ipyparallel = pytest.importorskip("ipyparallel")
    with ipyparallel.Cluster(n=2, log_level=40) as client:
        for executor in (client.load_balanced_view(), client[:], client):
            found = swept(executor)
            assert parquet.read_table(found.calls).equals(parquet.read_table(serial.calls))


@pytest.mark.slow
def test_joblib(serial: Sweep) -> None:
    joblib = pytest.importorskip("joblib")
    found = swept(joblib.Parallel(2))
    assert parquet.read_table(found.calls).equals(parquet.read_table(serial.calls))
