"""Files of texts with classes, in every form, and what is refused."""

import json
import os
from pathlib import Path

import pytest

from keifu.data.examples import LabelledText
from keifu.data.labelled import load_labelled
from keifu.data.pairs import Form
from keifu.errors import ConfigError, DataError

REAL = os.environ.get("KEIFU_DATA")


def write(folder: Path, content: str, name: str = "a.tsv") -> str:
    (folder / name).write_text(content, "utf-8")
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.txt", "good\tyes\nbad film\tno\n", ()),
        ("a.tsv", "text\tlabel\ngood\tyes\nbad film\tno\n", ()),
        ("a.csv", "label,text\nyes,good\nno,bad film\n", ()),
        ("a.csv", 'id,sentence,label\n1,good,yes\n2,"bad film",no\n', ()),
        ("a.csv", "id,judgement,says\n1,yes,good\n2,no,bad film\n", ("says", "judgement")),
        ("a.csv", "good,yes\nbad film,no\n", ("a", "b")),
        ("a.csv", "review,sentiment\ngood,yes\nbad film,no\n", ()),
        ("a.tsv", "1\tgood\tyes\n2\tbad film\tno\n", ("id", "text", "label")),
        ("a.jsonl", '{"text": "good", "label": "yes"}\n{"text": "bad film", "label": "no"}\n', ("text", "label")),
    ],
)
def test_single_texts(name: str, content: str, columns: tuple[str, ...], tmp_path: Path) -> None:
    data = load_labelled(write(tmp_path, content, name), form=Form(columns))
    assert data.examples == [LabelledText(("good",), "yes"), LabelledText(("bad film",), "no")]
    assert data.labels == {"no": 1, "yes": 1}


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("columns", [(), ("one", "two", "label")])
def test_classes_may_be_numbers_and_other_numbers_are_no_texts(
    ending: str, columns: tuple[str, ...], tmp_path: Path
) -> None:
    records = [
        {"one": "a", "label": 1, "length": 7, "two": "b", "score": 0.5},
        {"one": "c", "label": 0, "length": 8, "two": "d", "score": 0.25},
    ]
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pyarrow = pytest.importorskip("pyarrow.parquet")
        pyarrow.write_table(pytest.importorskip("pyarrow").Table.from_pylist(records), path)
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    data = load_labelled(str(path), form=Form(columns))
    assert data.examples == [LabelledText(("a", "b"), "1"), LabelledText(("c", "d"), "0")]


def test_true_and_false_are_classes(tmp_path: Path) -> None:
    spec = write(tmp_path, '{"text": "good", "label": true}\n{"text": "bad", "label": false}\n', "a.jsonl")
    assert load_labelled(spec).labels == {"false": 1, "true": 1}


def test_pairs_slices_and_several_files(tmp_path: Path) -> None:
    spec = write(tmp_path, "a\tb\tsame\nc\td\tother\n e\tf\tsame\n")
    data = load_labelled(f"{spec}[1:]+{spec}[:1]")
    assert [example.texts for example in data.examples] == [("c", "d"), (" e", "f"), ("a", "b")]
    assert data.spec == f"{spec}[1:]+{spec}[:1]"
    assert data.texts == ["c", "d", " e", "f", "a", "b"]
    assert load_labelled(spec).sha256 != data.sha256


def test_lines_without_a_text_or_a_class_are_counted(tmp_path: Path) -> None:
    data = load_labelled(write(tmp_path, "a\tx\n \ty\nb\t\n\nc\tz\n"))
    assert [example.label for example in data.examples] == ["x", "z"]
    assert data.blank == 3
    assert (data.cut(0, 1).blank, data.cut(1, 2).blank) == (3, 0)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("only a text\nand another\n", DataError, "one text a line, without a class; expected a text and its class"),
        ("a\tb\tc\td\n", ConfigError, "name those of one or two texts and of the class with --columns"),
        ("a\t\n", DataError, "no line has both a text and a class"),
        ("a\tb\nc\n", DataError, "a.tsv:2: 1 column, but line 1 has 2"),
    ],
)
def test_what_is_no_labelled_text_is_refused(content: str, error: type, message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        load_labelled(write(tmp_path, content))


def test_other_sets_and_mixtures_are_refused(tmp_path: Path) -> None:
    for spec, message in (("enja:dev", "is for translation"), ("neko", "is for language-modeling")):
        with pytest.raises(ConfigError, match=f"{spec}.*{message}; expected a file for classification"):
            load_labelled(spec)
    one, two = write(tmp_path, "a\tx\n", "one.tsv"), write(tmp_path, "a\tb\tx\n", "two.tsv")
    with pytest.raises(ConfigError, match="single texts in one place and pairs in another"):
        load_labelled(f"{one}+{two}")
    with pytest.raises(ConfigError, match="two files; expected a text and its class"):
        load_labelled(f"{one},{two}")
    with pytest.raises(DataError, match="no example in this slice; there are 1"):
        load_labelled(f"{one}[5:]")


@pytest.mark.skipif(not REAL, reason="$KEIFU_DATA, the folder of real data, is not set")
def test_sst2_loads_by_name() -> None:
    assert len(load_labelled("sst2", "train").examples) == 6_920
    dev = load_labelled("sst2:dev")
    assert len(dev.examples) == 872
    assert set(dev.labels) == {"0", "1"}


@pytest.mark.parametrize("header", ["tweet,label", "Category,Message"])
def test_a_first_row_that_names_the_classes_is_a_header(header: str, tmp_path: Path) -> None:
    names = header.split(",")
    cells = {"tweet": "I love it", "Message": "I love it", "review_text": "I love it", "id": "7"}
    row = ",".join(cells.get(name, "pos") for name in names)
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{row}\n{row.replace('love', 'hate').replace('pos', 'neg')}\n{row}\n", "utf-8")
    data = load_labelled(str(path))
    assert [(example.texts, example.label) for example in data.examples] == [
        (("I love it",), "pos"),
        (("I hate it",), "neg"),
        (("I love it",), "pos"),
    ]


def test_a_class_may_be_called_label(tmp_path: Path) -> None:
    data = load_labelled(write(tmp_path, "sewn on\tlabel\nsewn in\tpocket\nironed on\tlabel\n"))
    assert data.labels == {"label": 2, "pocket": 1}
    words = load_labelled(write(tmp_path, "class\tnoun\nrun\tverb\nred\tadj\n"))
    assert words.labels == {"noun": 1, "verb": 1, "adj": 1}


def test_a_header_of_unusual_names_is_no_example(tmp_path: Path) -> None:
    rows = "".join(f"I {verb} it.,{label}\n" for verb, label in [("love", "5"), ("hate", "1")] * 2)
    spec = write(tmp_path, f"comment,star rating\n{rows}", "a.csv")
    expected = (
        f"{spec}: its first line, comment | star rating, looks like a header, and would be the only example of star "
        "rating; where it is one, name the texts and, last, the class: --columns 'comment,star rating'; where it is "
        "not, add --columns text,label"
    )
    with pytest.raises(ConfigError) as refused:
        load_labelled(spec)
    assert str(refused.value) == expected
    assert load_labelled(spec, form=Form(("comment", "star rating"))).labels == {"1": 2, "5": 2}
    assert load_labelled(spec, form=Form(("text", "label"))).labels == {"1": 2, "5": 2, "star rating": 1}


@pytest.mark.parametrize("first", ["I saw it.,3", "comment,5", "It was never there,3", "comment,rating\nremark,rating"])
def test_a_first_example_is_one(first: str, tmp_path: Path) -> None:
    rows = "".join(f"I {verb} it.,{label}\n" for verb, label in [("love", "5"), ("hate", "1")] * 2)
    count = 5 + first.count("\n")
    assert len(load_labelled(write(tmp_path, f"{first}\n{rows}", "a.csv")).examples) == count


def test_a_header_is_no_example_where_numbers_choose_columns(tmp_path: Path) -> None:
    rows = "".join(
        f"{n},I {verb} it.,{label},x\n" for n, (verb, label) in enumerate([("love", "5"), ("hate", "1")] * 2)
    )
    spec = write(tmp_path, f"nr,comment,rating,user\n{rows}0,It is.,3,x\n", "a.csv")
    with pytest.raises(ConfigError, match=r"--columns comment,rating; .* put another line first$"):
        load_labelled(spec, form=Form(("2", "3")))
    assert load_labelled(spec, form=Form(("comment", "rating"))).labels == {"1": 2, "5": 2, "3": 1}
    *others, last = (tmp_path / "a.csv").read_text("utf-8").splitlines()
    moved = write(tmp_path, "\n".join([last, *others]) + "\n", "b.csv")
    assert load_labelled(moved, form=Form(("2", "3"))).labels["rating"] == 1


def test_numbers_choose_columns_where_there_is_no_header(tmp_path: Path) -> None:
    spec = write(tmp_path, "yes\t7\tgood\nno\t8\tbad film\n")
    data = load_labelled(spec, form=Form(("3", "1")))
    assert data.examples == [LabelledText(("good",), "yes"), LabelledText(("bad film",), "no")]
