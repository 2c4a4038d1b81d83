"""The tokens of a long text: made once, whole or not at all, gone on with after a kill; and text larger than memory."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keifu.data import stored, texts, token_file
from keifu.data.stored import StoredText, collect_text
from keifu.data.texts import TextData, load_text
from keifu.data.token_file import tokens_of
from keifu.errors import DataError
from keifu.text import Tokenizer
from keifu.text import running as running_module
from keifu.training.corpus import _documents_cut
from keifu.training.start import resume
from tests.small_text import language_run, running, sentences, write_text
from tests.tiny import weights

TEXT = running(60) + "吾輩は猫である。\n" * 3
TOKENIZER = Tokenizer.train([TEXT], "bpe", 300)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Everything is large: text is stored, tokens are kept in a file, in many pieces."""
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 100)
    monkeypatch.setattr(stored, "_CHARACTERS", 64)
    monkeypatch.setattr(texts, "LONGEST", 50)
    monkeypatch.setattr(token_file, "WORTH_A_FILE", 100)
    monkeypatch.setattr("keifu.training.lessons.language.WORTH_A_FILE", 100)
    monkeypatch.setattr(token_file, "_DOCUMENTS", 80)
    monkeypatch.setattr(running_module, "_PIECE", 50)
    monkeypatch.setenv("KEIFU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tokens"


def whole(text: str, packed: bool) -> list[int]:
    """By the definition."""
    if not packed:
        return TOKENIZER.encode(text)
    documents = [line for line in text.split("\n") if line.strip()]
    return [token for one in documents for token in [TOKENIZER.bos_id, *TOKENIZER.encode(one), TOKENIZER.eos_id]]


def test_a_stored_text_is_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_text(tmp_path / "a.txt", TEXT)
    data = load_text(path)
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 10**9)
    kept = load_text(path)
    assert isinstance(data.content, StoredText)
    assert isinstance(kept.content, str)
    assert (data.text, data.characters, data.sha256) == (TEXT, len(TEXT), kept.sha256)
    assert list(data.documents) == list(kept.documents)
    assert len(data.documents) == len(kept.documents)
    assert list(data.lines()) == list(kept.lines()) == TEXT.split("\n")[:-1]
    assert max(map(len, data.blocks())) <= 64
    rng = np.random.default_rng(0)
    for _ in range(100):
        begin, end, first, last = rng.integers(0, len(TEXT) + 20, 4).tolist()
        assert data.cut(begin, end).text == kept.cut(begin, end).text == TEXT[begin:end]
        assert data.cut(begin, end).cut(first, last).text == TEXT[begin:end][first:last]
    assert load_text(f"{path}[2:-3]+{path}[:1]").text == load_text(f"{path}[2:-3]").text + TEXT.split("\n")[0] + "\n"


@pytest.mark.parametrize(
    "text",
    ["a\nb\n", "a\nb", "a\n", "a", "a\n\nb\n", "\na\nb\n\n", "\na\n", "x" * 300, "x" * 300 + "\n", "xy\n" * 99],
)
def test_a_list_is_told_from_a_text_wherever_it_lies(text: str) -> None:
    assert TextData("", collect_text([text], 0)).is_a_list == TextData("", text).is_a_list
    lines = text.strip("\n").split("\n")
    assert TextData("", text).is_a_list == (len(lines) > 1 and all(lines))


def test_a_line_of_any_length_is_read_where_text_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keifu.data.lines.LONGEST", 40)
    monkeypatch.setattr("keifu.data.lines._BLOCK", 32)
    text = "x" * 500 + "\r\n" + "yz " * 100 + "\r\n\r\nend"
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert load_text(str(tmp_path / "a.txt")).text == text.replace("\r\n", "\n") + "\n"


@pytest.mark.parametrize("packed", [False, True])
def test_tokens_in_a_file_are_those_of_the_whole_text(
    packed: bool, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for data in (TextData("a", TEXT), TextData("a", collect_text([TEXT]))):
        found = tokens_of(data, TOKENIZER, packed)
        assert isinstance(found, np.memmap)
        assert found.dtype == np.uint16
        assert found.tolist() == whole(TEXT, packed)
        assert len(list(small.iterdir())) == 1  # one text, one file, and nothing beside it
    monkeypatch.setattr(token_file, "_encoded", None)
    assert tokens_of(data, TOKENIZER, packed).tolist() == found.tolist()  # not made again
    monkeypatch.undo()
    monkeypatch.setattr(token_file, "WORTH_A_FILE", 10**9)
    assert tokens_of(data, TOKENIZER, packed).tolist() == found.tolist()


@pytest.mark.parametrize("left", [0, 3, 8, 21, -1, -8])
def test_a_file_that_was_cut_off_is_made_anew(left: int, small: Path) -> None:
    data = TextData("a", TEXT)
    expected = tokens_of(data, TOKENIZER, packed=False).tolist()
    (file,) = small.iterdir()
    os.truncate(file, left % file.stat().st_size)
    assert tokens_of(data, TOKENIZER, packed=False).tolist() == expected


def test_other_tokens_are_in_another_file(small: Path) -> None:
    other = Tokenizer.train([TEXT], "character", 300)
    for data, tokenizer, packed in (
        (TextData("a", TEXT), TOKENIZER, False),
        (TextData("a", TEXT + "x"), TOKENIZER, False),
        (TextData("a", TEXT), other, False),
        (TextData("a", TEXT), TOKENIZER, True),
    ):
        tokens_of(data, tokenizer, packed)
    assert len(list(small.iterdir())) == 4


class Killed(BaseException):
    pass


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("moment", ["before a piece", "within a piece", "before its note", "after its note"])
def test_a_file_whose_making_was_killed_is_gone_on_with(
    moment: str, packed: bool, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, encoded = TextData("a", TEXT), token_file._encoded
    pieces = 0

    def killed(*args: Any) -> Any:
        for number, ids in enumerate(encoded(*args)):
            if number == 3 and moment == "before a piece":
                raise Killed
            yield ids

    write = token_file._write

    def half(path: Path, text: str) -> None:
        nonlocal pieces
        pieces += 1
        if pieces == 4 and moment != "before a piece":
            if moment == "within a piece":
                part = next(small.glob("*.part"))
                os.truncate(part, part.stat().st_size - 3)
            if moment == "after its note":
                write(path, text)
            raise Killed
        write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(token_file, "_encoded", killed)
        patch.setattr(token_file, "_write", half)
        with pytest.raises(Killed):
            tokens_of(data, TOKENIZER, packed)
    assert {path.suffix for path in small.iterdir()} == {".part", ".json"}
    made: list[int] = []
    monkeypatch.setattr(token_file, "_encoded", lambda *args: (made.append(1) or ids for ids in encoded(*args)))
    assert tokens_of(data, TOKENIZER, packed).tolist() == whole(TEXT, packed)
    texts = list(token_file.packs(data.documents) if packed else token_file._stretches(data, TOKENIZER))
    assert len(texts) > 6
    assert len(made) == len(texts) - (4 if moment == "after its note" else 3)
    assert [path.suffix for path in small.iterdir()] == [".uint16"]


def test_a_file_that_lost_its_end_is_made_from_the_beginning(small: Path) -> None:
    data = TextData("a", TEXT)
    path = Path(tokens_of(data, TOKENIZER, False).filename)
    path.rename(path.with_suffix(".part")).write_bytes(b"short")
    path.with_suffix(".json").write_text('{"pieces": 3, "bytes": 900}')
    assert tokens_of(data, TOKENIZER, False).tolist() == whole(TEXT, False)
    path.rename(path.with_suffix(".part"))
    path.with_suffix(".json").write_text("{")
    assert tokens_of(data, TOKENIZER, False).tolist() == whole(TEXT, False)


def test_two_processes_make_one_file(small: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT, "utf-8")
    TOKENIZER.save(tmp_path / "tokenizer.json")
    code = (
        "from keifu.data import token_file; from keifu.data.texts import TextData; from keifu.text import Tokenizer\n"
        "import sys; token_file.WORTH_A_FILE = 1\n"
        "text, tokenizer = open(sys.argv[1], encoding='utf-8').read(), Tokenizer.load(sys.argv[2])\n"
        "print(token_file.tokens_of(TextData('a', text), tokenizer, False).tolist())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "text"), str(tmp_path / "tokenizer.json")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == [str(whole(TEXT, False))] * 2
    assert [path.suffix for path in small.iterdir()] == [".uint16"]


def test_a_full_disk_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(token_file.os, "fsync", full)
    with pytest.raises(DataError, match="cannot be kept here: No space left on device; make room, or name another"):
        tokens_of(TextData("a", TEXT), TOKENIZER, False)


LISTED = "".join(f"{line}\n" for line in sentences(60))


@pytest.mark.parametrize(
    ("model", "text", "packed"),
    [("gpt", TEXT, None), ("gpt", LISTED, None), ("llama", LISTED, True), ("lstm", TEXT, None)],
)
def test_a_run_on_a_text_larger_than_memory_is_trained_and_gone_on_with(
    model: str, text: str, packed: bool | None, tmp_path: Path, small: Path
) -> None:
    spec = write_text(tmp_path / "a.txt", text)
    limits = {"max_steps": 6, "evaluate_every": 6}
    begin = [language_run(spec, tmp_path / name, limits, model, data={"packed": packed}) for name in ("one", "two")]
    assert begin[0].corpus.train.is_stored
    assert isinstance(begin[0].learner.data.tokens, np.memmap)
    assert begin[0].settings.data.packed == (text == LISTED)
    if model == "lstm":  # its streams begin as every text does
        lesson = begin[0].lesson
        streams = lesson.task.batch(lesson.data, next(lesson.sampler())).inputs.tokens
        assert (streams[:, 0] == lesson.task.tokenizer.bos_id).all()
    report = begin[0].data_report
    assert report["tokens"]["train"] >= begin[0].corpus.train.characters - 1
    list(begin[0].events())
    list(begin[1].events(should_stop=lambda: begin[1].learner.step == 4))
    again = resume(tmp_path / "two")
    list(again.events())
    assert weights(again) == weights(begin[0])
    assert len(list(small.iterdir())) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_tokens_in_a_file_are_learned_from_as_those_in_memory(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 10**9)
    spec = write_text(tmp_path / "a.txt", LISTED if packed else TEXT)
    trained = []
    for size in (100, 10**9):
        monkeypatch.setattr(token_file, "WORTH_A_FILE", size)
        run = language_run(spec, tmp_path / str(size), {"max_steps": 4}, "gpt", data={"packed": packed})
        assert isinstance(run.learner.data.tokens, np.memmap) == (size == 100)
        list(run.events())
        trained.append(weights(run))
    assert trained[0] == trained[1]


def test_a_line_in_parts_is_one_line_where_lines_are_counted(small: Path) -> None:
    text = "x" * 300 + "\n" + "a b\n" * 40 + "y" * 130 + "\nz\n"
    kept, data = TextData("", text), TextData("", collect_text([text], 0))
    assert data.is_stored
    assert "".join(data.pieces()) == text
    assert kept.line_count == data.line_count == 43
    for line in range(44):
        assert kept.place_of_line(line) == data.place_of_line(line) == len("".join(text.splitlines(True)[:line]))
    documents = _documents_cut(data)[0]
    assert list(data.cut(documents, len(text)).documents) == list(data.documents)[-data_held_out(data) :]


def data_held_out(data: TextData) -> int:
    return -(-len(data.documents) // 20)
