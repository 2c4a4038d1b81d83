"""Files of words with tags, CoNLL-U and two columns, and what is refused."""

import os
from pathlib import Path

import pytest

from keifu.data.examples import TaggedSentence
from keifu.data.tagged import load_tagged
from keifu.errors import ConfigError, DataError

REAL = os.environ.get("KEIFU_DATA")
CONLL_U = """\
# newdoc
# text = He didn't.
1\tHe\the\tPRON\tPRP\t_\t3\tnsubj\t_\t_
2-3\tdidn't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdid\tdo\tAUX\tVBD\t_\t0\troot\t_\t_
3\tn't\tnot\tPART\tRB\t_\t2\tadvmod\t_\tSpaceAfter=No
3.1\tgo\tgo\tVERB\t_\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t2\tpunct\t_\t_

1\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
"""


def write(folder: Path, content: str, name: str = "a.conllu") -> str:
    (folder / name).write_text(content, "utf-8")
    return str(folder / name)


def test_conll_u_passes_over_words_for_several_and_those_not_written(tmp_path: Path) -> None:
    data = load_tagged(write(tmp_path, CONLL_U))
    assert data.examples == [
        TaggedSentence(("He", "did", "n't", "."), ("PRON", "AUX", "PART", "PUNCT")),
        TaggedSentence(("Go",), ("VERB",)),
    ]
    assert data.labels == {"AUX": 1, "PART": 1, "PRON": 1, "PUNCT": 1, "VERB": 1}
    assert load_tagged(f"{data.spec}[1:]").examples == data.examples[1:]


@pytest.mark.parametrize("sign", ["\t", " "])
def test_two_columns(sign: str, tmp_path: Path) -> None:
    content = f"猫{sign}NOUN\nが{sign}ADP\n\n\n#{sign}SYM\n"
    data = load_tagged(write(tmp_path, content, "a.txt"))
    assert [example.words for example in data.examples] == [("猫", "が"), ("#",)]
    assert [example.tags for example in data.examples] == [("NOUN", "ADP"), ("SYM",)]


def test_the_first_word_of_two_columns_may_begin_with_the_sign_of_a_comment(tmp_path: Path) -> None:
    data = load_tagged(write(tmp_path, "#nlproc X\nis VERB\n#fun X\n", "a.txt"))
    assert [example.words for example in data.examples] == [("#nlproc", "is", "#fun")]
    comment = load_tagged(write(tmp_path, "#newdoc x\n" + "\t".join(["1", "Go", "go", "VERB", *"______"]) + "\n"))
    assert [example.words for example in comment.examples] == [("Go",)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b c\n", "a.conllu:1: 3 columns .*; expected CoNLL-U, or a word, a TAB and its tag"),
        ("word\n", "a.conllu:1: 1 column "),
        ("a\tX\nb\n", "a.conllu:2: 1 column "),
        ("a\t\n", "a.conllu:1: a word without a tag"),
        ("\n\n", "no sentence in it"),
        ("# only a comment, that is all\n", "no sentence in it"),
    ],
)
def test_what_has_no_tags_is_refused(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_tagged(write(tmp_path, content))


def test_sets_for_other_tasks_are_refused() -> None:
    with pytest.raises(ConfigError, match="is for classification; expected a file for tagging, or a set such as ud-en"):
        load_tagged("sst2")


@pytest.mark.skipif(not REAL, reason="$KEIFU_DATA, the folder of real data, is not set")
@pytest.mark.parametrize(("name", "count"), [("ud-en", 2001), ("ud-ja", 507)])
def test_the_parts_of_a_treebank_are_all_of_it(name: str, count: int) -> None:
    parts = [load_tagged(f"{name}:{part}").examples for part in ("train", "dev", "test")]
    assert sum(map(len, parts)) == count
    assert len(parts[0]) == round(0.8 * count)
    assert len(set(load_tagged(f"{name}:train").labels)) >= 15
