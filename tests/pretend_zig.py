"""A pretend zig whose compiles wait until a test lets them go on."""

from __future__ import annotations

from pathlib import Path


class PretendZig:
    """A script that answers as zig does, logs each compile, and waits in it until it may go on."""

    def __init__(self, folder: Path) -> None:
        self.log, self.gate, self.program = folder / "log", folder / "gate", folder / "zig"
        self.log.touch()
        self.program.write_text(
            "#!/bin/sh\n[ $1 = version ] && { echo 0.17.1; exit; }\n"
            'out=; for a in "$@"; do [ "$p" = -o ] && out=$a; p=$a; done\n'
            f"echo $$ >> {self.log}\nwhile [ ! -e {self.gate} ]; do sleep 0.02; done\n"
            "printf '\\0asm\\1\\0\\0\\0' > \"$out\"\n"
        )
        self.program.chmod(0o755)

        self.variables = {
            "WASILAB_CC": f"{self.program} cc",
            "WASILAB_COMPILER_FOLDERS": str(folder),  # it is confined, as any compiler is
            "WASILAB_CACHE_DIR": str(folder / "cache"),
            "ZIG_GLOBAL_CACHE_DIR": str(folder / "zig-cache"),
        }
        """The environment in which it is the compiler of C, and has built nothing yet."""

    @property
    def started(self) -> list[int]:
        """The processes of the compiles so far."""
        return [int(line) for line in self.log.read_text().split()]

    def open(self) -> None:
        """Let all compiles finish."""
        self.gate.touch()


def ended(process: int) -> bool:
    """Whether a process has ended, or only its status is left."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return True
