"""The C library is told to keep freed memory, unless the user says otherwise."""

import ctypes
import sys
from types import SimpleNamespace

import pytest

from keifu.training.allocator import keep_freed_memory


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What is asked of a C library that says yes to everything."""
    made: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *arguments: made.append(arguments) or 1)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("KEIFU_ALLOCATOR", raising=False)
    return made


def test_memory_is_kept_and_never_mapped_anew(calls: list[tuple[int, int]]) -> None:
    assert keep_freed_memory()
    assert dict(calls) == {-4: 0, -1: 2**31 - 1, -2: 2**28}  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD


def test_the_users_wish_is_honoured(calls: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEIFU_ALLOCATOR", "system")
    assert not keep_freed_memory()
    assert calls == []


def test_other_systems_are_left_alone(calls: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())  # a C library without mallopt
    assert not keep_freed_memory()
    assert calls == []
