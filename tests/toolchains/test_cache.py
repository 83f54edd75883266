"""The disk cache: whole entries or none, bounded, cleared, and one compile for two processes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from wasilab.toolchains import cache
from wasilab.toolchains.diagnostics import CompileInterrupted, ToolchainError

KEY = "ab" + "0" * 62


def _entry(folder: Path, key: str = KEY) -> Path:
    return folder / "modules" / key[:2] / f"{key}.module"


def test_what_is_stored_is_loaded(cache_dir: Path) -> None:
    assert cache.load(KEY) is None
    cache.store(KEY, {"warnings": "ü\n"}, b"\0asm rest")
    entry = cache.load(KEY)
    assert entry is not None
    assert entry.wasm == b"\0asm rest"
    assert entry.meta["warnings"] == "ü\n"
    assert cache.size().entries == 1
    assert cache.size().folder == cache_dir


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff",
        b"\xff\xff\xff\xff",
        b"\2\0\0\0{}",
        b"\4\0\0\0null",
        b"\3\0\0\0\xff\xfe\xfd",
        b'\x0a\0\0\0{"size": 1}x',
    ],
)
def test_a_damaged_entry_is_no_entry_and_goes(cache_dir: Path, damage: bytes) -> None:
    cache.store(KEY, {}, b"module")
    _entry(cache_dir).write_bytes(damage)
    assert cache.load(KEY) is None
    assert not _entry(cache_dir).exists()


def test_a_cut_or_changed_module_is_noticed(cache_dir: Path) -> None:
    cache.store(KEY, {}, b"x" * 1000)
    whole = _entry(cache_dir).read_bytes()
    _entry(cache_dir).write_bytes(whole[:-1])
    assert cache.load(KEY) is None
    cache.store(KEY, {}, b"x" * 1000)
    _entry(cache_dir).write_bytes(whole[:-1] + b"y")
    assert cache.load(KEY) is None


def test_the_least_recently_used_go_first(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASILAB_CACHE_LIMIT", "2500")
    keys = [f"{n:02x}" + "0" * 62 for n in range(3)]
    for age, key in zip((300, 200), keys, strict=False):
        cache.store(key, {}, b"x" * 1000)
        os.utime(_entry(cache_dir, key), (time.time() - age, time.time() - age))
    assert cache.load(keys[0]) is not None  # a use: now the second is the oldest
    cache.store(keys[2], {}, b"x" * 1000)
    assert cache.load(keys[1]) is None
    assert cache.load(keys[0]) is not None
    assert cache.load(keys[2]) is not None
    assert cache.size().bytes <= 2500


def test_a_module_larger_than_the_limit_is_kept_until_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASILAB_CACHE_LIMIT", "10")
    cache.store(KEY, {}, b"x" * 1000)
    assert cache.load(KEY) is not None
    cache.store("cd" + "0" * 62, {}, b"x" * 1000)
    assert cache.load(KEY) is None


def test_a_bad_limit_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASILAB_CACHE_LIMIT", "lots")
    with pytest.raises(ToolchainError, match="WASILAB_CACHE_LIMIT is 'lots'; give a number of bytes"):
        cache.size()


def test_clear_removes_all_and_says_how_much() -> None:
    cache.store(KEY, {}, b"x" * 1000)
    before = cache.clear()
    assert before.entries == 1
    assert before.bytes >= 1000
    assert cache.size().entries == 0
    assert cache.clear().entries == 0


def test_folders_are_the_users_own(cache_dir: Path) -> None:
    cache.store(KEY, {}, b"x")
    assert cache_dir.stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_a_cache_that_cannot_be_written_costs_the_entry_not_the_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WASILAB_CACHE_DIR", str(tmp_path / "file"))
    cache.store(KEY, {}, b"x")
    assert cache.load(KEY) is None
    with pytest.raises(ToolchainError, match="set WASILAB_CACHE_DIR to a writable folder"), cache.work_folder(KEY):
        pass


def test_one_holder_at_a_time_and_waiting_can_be_interrupted() -> None:
    waited: list[float] = []
    inside = threading.Event()
    leave = threading.Event()

    def hold() -> None:
        with cache.lock(KEY, lambda: False, waited.append):
            inside.set()
            leave.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(60)
    calls = iter([False, False, True])
    with pytest.raises(CompileInterrupted), cache.lock(KEY, lambda: next(calls), waited.append):
        pytest.fail("two holders")
    assert len(waited) == 2
    leave.set()
    holder.join(60)
    with cache.lock(KEY, lambda: True, waited.append):
        assert len(waited) == 2  # free: nobody waits


def test_a_work_folder_is_empty_the_same_and_gone() -> None:
    with cache.work_folder(KEY) as first:
        (first / "left").write_text("over")
    assert not first.exists()
    with cache.work_folder(KEY) as second:
        assert second == first
        assert list(second.iterdir()) == []
