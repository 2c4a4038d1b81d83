"""Whatever is wrong with data or settings: one short message, the right exit code, nothing written, no traceback."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command, Result, keifu
from tests.hostile import broken_data, broken_settings

__all__ = ["keifu"]  # the fixture


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_refused(result: Result, code: int, holds: tuple[str, ...], lines: int = 1) -> None:
    assert result.code == code, result
    assert result.out == ""
    message = result.err.removeprefix("keifu: ")
    assert message != result.err
    for part in holds:
        assert part in message
    assert "Traceback" not in message
    assert ";" in message or "expected" in message  # what to do
    assert message.count("\n") <= lines
    assert len(message) < 400 * lines
    assert message.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", broken_data.CASES)
def test_broken_data_is_refused_with_one_short_message(name: str, folder: Path, keifu: Command) -> None:
    case = broken_data.CASES[name]
    case.lay_out(folder)
    result = keifu(*case.command)
    assert_refused(result, case.code, case.holds)
    assert {path.name for path in folder.iterdir()} == set(case.files)


@pytest.mark.parametrize("name", broken_settings.CASES)
def test_broken_settings_are_refused_with_one_short_message(name: str, folder: Path, keifu: Command) -> None:
    case = broken_settings.CASES[name]
    case.lay_out(folder)
    result = keifu(*case.command)
    assert_refused(result, case.code, case.holds, case.mistakes)
    assert {path.name for path in folder.iterdir()} <= {"a.tsv", "s.yaml"}


def test_there_are_as_many_as_promised() -> None:
    parts = [getattr(broken_data, name) for name in dir(broken_data) if name.isupper()]
    assert len(broken_data.CASES) == sum(len(part) for part in parts if isinstance(part, dict)) / 2 >= 100
    assert len(broken_settings.CASES) >= 60
