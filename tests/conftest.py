"""What all tests share: in CI nothing is skipped quietly, and no test touches the person's own caches."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

# The only skip that CI may show: the public suite's programs are not in the repository (see tests/conformance).
ALLOWED_SKIP = "WASI_TESTSUITE"


# A shell starts its background jobs with SIGINT ignored, and their children inherit it: nothing could be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if ALLOWED_SKIP not in reason:
            report.outcome = "failed"
            report.longrepr = f"skipped in CI, where every tool is installed: {reason}"
    return report
