"""`keifu translate RUN --file`: documents in, documents out, and one message where that cannot be."""

import json
from pathlib import Path

import pytest

from keifu.session import Model, TrainedRun
from tests.cli.conftest import Command

LETTER = "I see cats. You like dogs.\r\n\r\n  We draw birds.\n"
GUIDE = "# I see *cats*\n\n- You like `dogs`.\n\n```\nWe draw birds.\n```\n"


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.txt"
    path.write_bytes(LETTER.encode())
    return path


def test_a_letter_is_translated_with_its_paragraphs(
    letter: Path, keifu: Command, trained: TrainedRun, model: Model
) -> None:
    cats, dogs, birds = model.translate(["I see cats.", "You like dogs.", "We draw birds."])
    result = keifu("translate", trained.path, "--file", letter)
    assert result == (0, f"{cats}{dogs}\r\n\r\n  {birds}\n", "")
    out = letter.with_name("brief.txt")
    assert keifu("translate", trained.path, "--file", letter, "--out", out) == (0, "", "")
    assert out.read_bytes().decode() == result.out
    assert letter.read_bytes().decode() == LETTER


def test_markdown_keeps_its_markup(tmp_path: Path, keifu: Command, trained: TrainedRun, model: Model) -> None:
    guide = tmp_path / "guide.MD"
    guide.write_text(GUIDE, "utf-8")
    result = keifu("translate", trained.path, "--file", guide)
    assert result.out == model.translate_document(GUIDE, "markdown")
    assert result.out.endswith("\n\n```\nWe draw birds.\n```\n")
    assert result.out.count("`dogs`") == 1


def test_a_translation_memory_gets_what_it_lacks(
    tmp_path: Path, keifu: Command, trained: TrainedRun, model: Model
) -> None:
    memory = tmp_path / "memory.tmx"
    unit = '<tu><tuv xml:lang="en"><seg>I see cats.</seg></tuv></tu>'
    memory.write_text(f"<tmx><body>{unit}</body></tmx>", "utf-8")
    result = keifu("translate", trained.path, "--file", memory)
    added = f'<tuv xml:lang="ja"><seg>{model.translate("I see cats.")}</seg></tuv></tu>'
    assert result.out == f"<tmx><body>{unit.replace('</tu>', added)}</body></tmx>"


def test_a_file_with_nothing_to_translate_is_named(tmp_path: Path, keifu: Command, trained: TrainedRun) -> None:
    memory = tmp_path / "memory.tmx"
    memory.write_text('<tmx><body><tu><tuv xml:lang="fr"><seg>x</seg></tuv></tu></body></tmx>', "utf-8")
    result = keifu("translate", trained.path, "--file", memory)
    assert result == (0, memory.read_text("utf-8"), f"keifu: {memory}: no text in en that lacks its translation\n")


def test_json_is_a_line_a_sentence(letter: Path, keifu: Command, trained: TrainedRun, model: Model) -> None:
    result = keifu("translate", trained.path, "--file", letter, "--json", "--beam", 1)
    lines = [json.loads(line) for line in result.out.splitlines()]
    best = model.translate("You like dogs.", details=True, beam=1)
    assert [line["source"] for line in lines] == ["I see cats.", "You like dogs.", "We draw birds."]
    expected = {
        "source": "You like dogs.",
        "translation": best.text,
        "score": pytest.approx(best.score),
        "complete": True,
    }
    assert lines[1] == expected


def test_sentences_too_long_for_the_model_are_named_once(tmp_path: Path, keifu: Command, trained: TrainedRun) -> None:
    path = tmp_path / "long.txt"
    path.write_text(f"{'I see cats, ' * 50}\n\n{'You like dogs ' * 50}\n\nI see cats.\n", "utf-8")
    result = keifu("translate", trained.path, "--file", path, "--beam", 1)
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert "because longer than model.max_length (512 tokens): 2 of 3 sentences" in result.err
    assert len(result.out.splitlines()) == 5


REFUSED = {
    "missing": (None, 3, "no such file; expected text, Markdown"),
    "gzip": (b"\x1f\x8bab", 3, "is not text; expected"),
    "an image": (b"\x89PNG\r\n", 3, "is not text; expected"),
    "zip": (b"PK\x03\x04\x14\0", 3, "is a zip archive, as .docx and .odt files are; save it as text or Markdown"),
    "binary": (b"\x7fELF\0\0", 3, "is not text; expected"),
    "PDF": (b"%PDF-1.7\n", 3, "is not text; expected"),
    "UTF-16": ("cats".encode("utf-16"), 3, "is UTF-16; save it as UTF-8"),
    "Latin-1": (b"cats\n\nna\xefve\n", 3, "letter.txt:3: not UTF-8; save the file as UTF-8"),
}


@pytest.mark.parametrize(("content", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_files_that_are_no_documents(
    content: bytes | None, code: int, message: str, tmp_path: Path, keifu: Command, trained: TrainedRun
) -> None:
    path, out = tmp_path / "letter.txt", tmp_path / "out.txt"
    if content is not None:
        path.write_bytes(content)
    result = keifu("translate", trained.path, "--file", path, "--out", out)
    assert (result.code, result.out, result.err.count("\n")) == (code, "", 1)
    assert message in result.err
    assert not out.exists()


def test_a_damaged_memory_is_named_with_its_line(tmp_path: Path, keifu: Command, trained: TrainedRun) -> None:
    path = tmp_path / "memory.tmx"
    path.write_text("<tmx>\n<body>\n</tmx>", "utf-8")
    result = keifu("translate", trained.path, "--file", path)
    assert (result.code, result.out) == (3, "")
    assert result.err == f"keifu: {path}, line 3: not well-formed XML (mismatched tag); export the file again\n"


def test_options_that_do_not_go_together(letter: Path, keifu: Command, trained: TrainedRun, tmp_path: Path) -> None:
    for arguments, message in [
        (["I see cats.", "--file", letter], "TEXT and --file cannot both be given"),
        (["--file", letter, "--n-best", 2], "--n-best 2 does not go with --file"),
        (["I see cats.", "--out", tmp_path / "out.txt"], "--out goes with --file"),
        (["--file", letter, "--out", letter], "exists already; name a new file"),
        (["--file", letter, "--out", tmp_path / "none" / "out.txt"], "no folder"),
    ]:
        result = keifu("translate", trained.path, *arguments)
        assert (result.code, result.out) == (2, "")
        assert message in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt"]
    assert letter.read_bytes().decode() == LETTER


def test_a_failed_write_leaves_nothing(
    letter: Path, keifu: Command, trained: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keifu.checkpoint.os.replace", full)
    result = keifu("translate", trained.path, "--file", letter, "--out", letter.with_name("out.txt"))
    assert (result.code, result.out) == (3, "")
    assert [path.name for path in letter.parent.iterdir()] == ["letter.txt"]
