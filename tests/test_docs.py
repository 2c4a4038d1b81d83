"""Every `keifu` command and every Python block in the documentation runs, on small data and for a few steps."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from keifu.models import LINEAGE
from tests.small_pictures import write_pictures
from tests.small_stories import write_stories

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "README.ja.md", *sorted((ROOT / "docs").glob("*.md"))]
ENGLISH = [path for path in DOCUMENTS if not path.name.endswith(".ja.md")]
"""What is run: the Japanese ones show the same commands."""

LIMIT = re.compile(r"--(max-time|max-steps|epochs) \S+")
PYTHON_LIMIT = re.compile(r"(max_time|max_steps|epochs)=[^,)]+")

SMALL = {  # of a translator, and of another model
    True: 'max_steps=2, overrides={"model": {"d_model": 16, "d_ff": 16}}',
    False: 'max_steps=2, overrides={"model": {"d_model": 16}}',
}


def small(line: str) -> str:
    """What takes the place of the limit of a training."""
    return 'max_steps=2, preset="tiny"' if "overrides=" in line else SMALL["translation" in line]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the documents speak of."""
    words = [("cats", "猫"), ("dogs", "犬"), ("books", "本"), ("birds", "鳥"), ("songs", "歌")]
    verbs = [("like", "が好きです"), ("see", "を見ます"), ("want", "が欲しいです"), ("know", "を知っています")]
    pairs = [(f"I {verb} {noun}.", f"私は{word}{end}。") for noun, word in words for verb, end in verbs]
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.en").write_text("".join(f"{source}\n" for source, _ in pairs), "utf-8")
        (tmp_path / f"{name}.ja").write_text("".join(f"{target}\n" for _, target in pairs), "utf-8")
    (tmp_path / "corpus.tsv").write_text("en\tja\n" + "".join(f"{one}\t{other}\n" for one, other in pairs), "utf-8")
    unit = '<tu><tuv xml:lang="en"><seg>I like cats.</seg></tuv></tu>'
    memory = f'<tmx version="1.4"><header srclang="en"/><body>{unit}</body></tmx>'
    (tmp_path / "memory.tmx").write_text(memory, "utf-8")
    (tmp_path / "page.md").write_text("# Cats\n\nI *like* cats.\n", "utf-8")
    story = "".join(f"{source}\n" + "\n" * (number % 3 == 2) for number, (source, _) in enumerate(pairs * 9))
    for name in ("book.txt", "other.txt"):
        (tmp_path / name).write_text(story, "utf-8")
    (tmp_path / "letter.txt").write_text("I like cats.\n\nI see dogs.\n", "utf-8")
    reviews = [(source, "love" if " like " in source else "fact") for source, _ in pairs * 9]
    (tmp_path / "reviews.tsv").write_text("".join(f"{text}\t{label}\n" for text, label in reviews), "utf-8")
    tags = [
        dict(zip(("I", verb, noun), ("PRON", "VERB", "NOUN"), strict=True)) for noun, _ in words for verb, _ in verbs
    ]
    sentences = ("".join(f"{word}\t{tag}\n" for word, tag in each.items()) for each in tags * 9)
    (tmp_path / "words.txt").write_text("\n".join(sentences), "utf-8")
    write_stories(tmp_path, 60)
    (tmp_path / "story.txt").write_text("Mary went to the garden. Daniel went to the hallway.\n", "utf-8")
    write_pictures(tmp_path / "pictures", 12)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", ENGLISH, ids=lambda path: path.name)
def test_the_documents_commands_run(path: Path, folder: Path) -> None:
    lines = [line for block in blocks(path, "console") for line in block.splitlines() if line.startswith("$ ")]
    for line in lines:
        command = line.removeprefix("$ ")
        if command.startswith(("make", "git", "cd")):
            continue  # CI runs these
        assert "keifu" in command, command
        # A few steps of a small model take the place of minutes of a larger one.
        if "keifu train" in command:
            command = LIMIT.sub("", command) + " --max-steps 2"
        if "keifu train" in command and "--init" not in command:
            command += " --set model.d_model=16"
            marks = ("language-modeling", "seq2seq", "-attention", "--model lstm", "--model flat")
            recurrent = any(mark in command for mark in marks)
            command += "" if recurrent else " --set model.d_ff=16"
        command = LIMIT.sub("--max-steps +1", command) if "keifu resume" in command else command
        command = re.sub(r"\bkeifu\b(?= )", f"{shlex.quote(sys.executable)} -m keifu", command, count=1)
        done = subprocess.run(command, shell=True, capture_output=True, text=True, env=os.environ, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("path", ENGLISH, ids=lambda path: path.name)
def test_the_documents_python_runs(path: Path, folder: Path) -> None:
    code = "\n".join(blocks(path, "python"))
    lines = [PYTHON_LIMIT.sub(small(line), line) for line in code.splitlines()]
    exec(compile("\n".join(lines), str(path), "exec"), {})


def test_both_languages_show_the_same_commands() -> None:
    for english in ENGLISH:
        japanese = english.with_name(english.name.replace(".md", ".ja.md"))
        assert blocks(english, "python") == blocks(japanese, "python")
        shown, shown_in_japanese = (
            [line for block in blocks(path, "console") for line in block.splitlines() if line.startswith("$ ")]
            for path in (english, japanese)
        )
        assert shown == shown_in_japanese


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_figure_is_still_to_be_filled_in(path: Path) -> None:
    assert "@@" not in path.read_text("utf-8")


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_the_table_of_tasks_names_every_model_that_does_them(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    for task in dict.fromkeys(task for ancestor in LINEAGE.values() for task in ancestor.tasks):
        [row] = [line for line in text.splitlines() if line.startswith("| `") and f"`{task}`" in line.split("|")[1]]
        models = row.split("|")[2]
        named = set(re.findall(r"`([\w-]+)`", models))
        named |= {one.replace("rnn", kin) for one in named for kin in ("gru", "lstm") if one.startswith("rnn-")}
        named |= {f"{one}-attention" for one in named if one.endswith("-seq2seq") and not one.startswith("bert")}
        assert named == {model for model, ancestor in LINEAGE.items() if task in ancestor.tasks}, task
