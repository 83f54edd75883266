"""A run's changes in all its copied folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..capabilities.memory.changes import Changes


class RunChanges(Mapping[str, Changes]):
    """What a run changed in its `copy` directories: guest path -> `Changes`; true if anything did."""

    def __init__(self, changes: Mapping[str, Changes]) -> None:
        self._changes = dict(changes)

    def __getitem__(self, guest: str) -> Changes:
        return self._changes[guest]

    def __iter__(self) -> Iterator[str]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)

    def __bool__(self) -> bool:
        return any(self._changes.values())

    def __str__(self) -> str:
        if not self._changes:
            return "no directory was granted as copy (--dir HOST::GUEST:copy)"
        return "\n".join(f"{guest}:\n{changes}" for guest, changes in self._changes.items())

    def __repr__(self) -> str:
        return str(self)

    @property
    def created(self) -> list[str]:
        """Guest paths that the run created."""
        return [f"{guest.rstrip('/')}/{path}" for guest, c in self._changes.items() for path in c.created]

    @property
    def modified(self) -> list[str]:
        """Guest paths of files that the run modified; the differences are in `self[guest].modified`."""
        return [f"{guest.rstrip('/')}/{file.path}" for guest, c in self._changes.items() for file in c.modified]

    @property
    def deleted(self) -> list[str]:
        """Guest paths that the run deleted."""
        return [f"{guest.rstrip('/')}/{path}" for guest, c in self._changes.items() for path in c.deleted]

    @property
    def renamed(self) -> list[tuple[str, str]]:
        """(old, new) guest paths that the run renamed."""
        return [
            (f"{guest.rstrip('/')}/{old}", f"{guest.rstrip('/')}/{new}")
            for guest, c in self._changes.items()
            for old, new in c.renamed
        ]

    def apply(self) -> None:
        """Write the changes to the host's folders (see `Changes.apply` for what it refuses)."""
        for changes in self._changes.values():
            if changes:
                changes.apply()
