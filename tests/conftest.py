"""What all tests share: the lanes, parallel runs, and in CI no quiet skip.

The whole suite runs on all cores, the long files first. The tests of a file run in one worker, and so do all that use
JupyterLab, so that what they share is made once. `pytest -m "not slow"` is the fast lane: it should take two cores a
minute, so a test of more than 0.3 s of CPU is marked `slow` or listed in `SLOW` below.
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import signal
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.terminal import TerminalReporter

from .folders import in_memory

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

# The only skips that CI may show: the programs of public suites are not in the repository (see tests/conformance,
# tests/components and tests/wast), and WASILAB_NATIVE=0 leaves the native library out.
ALLOWED_SKIPS = (
    "WASILAB_NATIVE", "WASI_TESTSUITE", "COMPONENT_MODEL_TESTS", "COMPONENT_ADAPTER", "WASM_SPEC_TESTS",
)  # fmt: skip
# Markers of tests that need something outside Python.
HEAVY = ("browser", "kernel", "toolchain")
MOST_WORKERS = 8
TESTS = Path(__file__).parent
# Files that the fast lane leaves out: fuzzing, large sizes, many processes; a second of CPU or more each.
SLOW = {
    "components/test_component_traces.py", "conformance/test_differential.py", "engine/test_threads.py",
    "frontends/test_core_only.py", "frontends/test_readme.py", "frontends/test_streams.py",
    "grants/test_reads_back.py",
    "hostile/test_bombs.py", "hostile/test_descriptors.py", "hostile/test_fuzz.py", "hostile/test_memory.py",
    "hostile/test_modules.py", "hostile/test_numbers.py", "hostile/test_paths.py", "hostile/test_published.py",
    "hostile/test_resources.py", "hostile/test_swap_race.py", "hostile/test_text.py", "native/test_differential.py",
    "native/test_library_in_c.py", "test_portable.py", "trace/test_bombs.py", "trace/test_hostile_files.py",
    "trace/test_perfetto.py", "trace/test_table.py", "views/test_bad_input.py", "views/test_picture.py",
    "views/test_plots.py", "views/test_timeline.py", "wast/test_scripts.py",
}  # fmt: skip
WHOLLY_SLOW = re.compile(rf"^pytestmark = \[?pytest\.mark\.(slow|{'|'.join(HEAVY)})\b", re.MULTILINE)
# Their tests are long and share little: each may run in any worker.
SPREAD = SLOW - {"conformance/test_differential.py"}
# The longest of the fast lane.
LONG = {
    "frontends/test_options.py", "isolate/test_isolated_changes.py", "isolate/test_isolated_runs.py",
    "replay/test_sweeps.py", "test_architecture.py", "views/test_explore.py",
}  # fmt: skip

# A shell starts its background jobs with SIGINT ignored, and their children inherit it: nothing could be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def whole_suite(config: pytest.Config) -> bool:
    """Whether no single files or folders were named."""
    return {str(Path(name).resolve()) for name in config.args} <= {str(TESTS)}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker a core for the whole suite; none for named files, which start sooner without."""
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS) if whole_suite(config) else 0


@cache
def worker_share(file: str) -> str:
    """What the tests of a file, named below `tests`, run in one worker with; "" if each may run in any worker.

    The groups of pytest-xdist are not used: its version 3.8 ignores them, with no warning, under pytest 9.2.
    """
    if file in SPREAD:
        return ""
    path = TESTS / file
    return "browser" if path.is_file() and "mark.browser" in path.read_text() else file


def work_unit(nodeid: str) -> str:
    """The name that a test shares with all that run in one worker with it."""
    return worker_share(nodeid.partition("::")[0].removeprefix("tests/")) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give whole files to the workers."""
    from xdist.scheduler import LoadFileScheduling

    class Sharing(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return work_unit(nodeid)

    return Sharing(config, log)


def keep_folders_in_memory() -> None:
    """Make the folders of tests on a file system in memory, if there is one with room.

    Named files are tested where temporary files usually are, so that `.ci/run` tests both kinds of file systems.
    """
    place = in_memory(4 << 30)
    if place:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", place)


class FailuresAtOnce:
    """In CI a failure is printed when it happens, so that a log that is cut short still has it, and not at the end."""

    def __init__(self, reporter: TerminalReporter) -> None:
        self.reporter = reporter
        reporter.summary_failures = reporter.summary_errors = lambda: None  # type: ignore[method-assign]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the report of a failed test (in the process that collects the workers' reports)."""
        if not report.failed:
            return
        reporter = self.reporter
        reporter.ensure_newline()
        reporter.write_sep("_", f"{report.when} of {report.nodeid} failed", red=True)
        reporter.write_line(report.longreprtext)
        for title, text in report.sections:
            reporter.write_sep("-", title)
            reporter.write_line(text.rstrip())
        reporter.flush()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose where tests make their folders, and print failures at once in CI."""
    if whole_suite(config):
        keep_folders_in_memory()
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and isinstance(reporter, TerminalReporter) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(reporter), "failures at once")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude what collecting makes, which stays to the end, from garbage collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files whose tests the fast lane leaves out."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    leaves_out = below_tests(collection_path) in SLOW or WHOLLY_SLOW.search(collection_path.read_text())
    return True if leaves_out else None


def below_tests(path: Path) -> str:
    return path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # Its name would differ between workers, which then refuse to run anything.
        assert not re.search(r" at 0x[0-9a-f]{6,}", item.nodeid), f"give ids to the parameters of {item.nodeid}"
        if below_tests(item.path) in SLOW or any(item.get_closest_marker(name) for name in HEAVY):
            item.add_marker(pytest.mark.slow)
    if hasattr(config, "workerinput"):  # long files first and short ones last, so that no worker waits at the end
        items.sort(key=first_to_last)


def first_to_last(item: pytest.Item) -> tuple[bool, ...]:
    """In what order the workers of pytest-xdist begin: browser, kernel, toolchain, other slow tests, all others."""
    marked = (item.get_closest_marker(name) is None for name in (*HEAVY, "slow"))
    return (*marked, below_tests(item.path) not in LONG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in ALLOWED_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI, where every tool is installed: {reason}"
    return report


@pytest.fixture
def ipython() -> Iterator[InteractiveShell]:
    """An IPython shell without a history. IPython does not keep it: it would clean it up when the process ends."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    yield made
    atexit.unregister(made.atexit_operations)


@pytest.fixture
def files_below_a_terabyte() -> Iterator[None]:
    """Limit the size of files, since not every file system does (ext4 has no file of 2**62 bytes, tmpfs and XFS do)."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
