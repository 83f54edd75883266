"""How far a script is, in a file that two processes share: it can be read even if the one that writes it dies."""

from __future__ import annotations

import struct
from typing import NamedTuple

PROGRESS = struct.Struct("<7Q")


class ScriptProgress(NamedTuple):
    """Counts of one script."""

    line: int = 0
    """The line of the last command that was begun; 0 if none was."""
    done: int = 0
    """Commands carried out."""
    passed: int = 0
    """Assertions that hold."""
    failed: int = 0
    """Assertions that do not hold."""
    skipped: int = 0
    """Assertions that need what Wasmtime's C API does not offer."""
    others_failed: int = 0
    """Commands that are not assertions and failed or were skipped: modules, registrations, actions."""
    differently: int = 0
    """Assertions that hold, with another error text than the script expects."""

    def counting(self, command: str, outcome: str, words: bool) -> ScriptProgress:
        """With one more command; `words`: whether the verdict has any."""
        more = self._replace(done=self.done + 1)
        if not command.startswith("assert_"):
            return more._replace(others_failed=self.others_failed + (outcome != "passed"))
        if outcome == "passed":
            return more._replace(passed=self.passed + 1, differently=self.differently + words)
        if outcome == "failed":
            return more._replace(failed=self.failed + 1)
        return more._replace(skipped=self.skipped + 1)
