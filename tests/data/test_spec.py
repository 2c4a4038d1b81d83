"""What a SPEC means, sign by sign."""

from pathlib import Path

import pytest

from keifu.data.spec import Term, absolute, parse, short_name
from keifu.errors import ConfigError

NAMES = frozenset({"builtin:enja", "enja", "multi30k-en-de"})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


MEANINGS = {
    "a.en,a.ja": [Term("a.en,a.ja", ("a.en", "a.ja"))],
    "a.en, a.ja": [Term("a.en, a.ja", ("a.en", "a.ja"))],
    "corpus.tsv": [Term("corpus.tsv", ("corpus.tsv",))],
    "corpus.tsv[:100]": [Term("corpus.tsv[:100]", ("corpus.tsv",), rows=slice(None, 100))],
    "corpus.tsv[10:]": [Term("corpus.tsv[10:]", ("corpus.tsv",), rows=slice(10, None))],
    "a.en,a.ja[-5:-1]": [Term("a.en,a.ja[-5:-1]", ("a.en", "a.ja"), rows=slice(-5, -1))],
    "enja": [Term("enja", name="enja")],
    "enja:dev": [Term("enja:dev", name="enja", part="dev")],
    "enja:train[:5000]": [Term("enja:train[:5000]", name="enja", part="train", rows=slice(None, 5000))],
    "builtin:enja": [Term("builtin:enja", name="builtin:enja")],
    "builtin:enja:test": [Term("builtin:enja:test", name="builtin:enja", part="test")],
    "enja+corpus.tsv": [Term("enja", name="enja"), Term("corpus.tsv", ("corpus.tsv",))],
    "./enja": [Term("./enja", ("./enja",))],
    "/data/a.en,/data/a.ja": [Term("/data/a.en,/data/a.ja", ("/data/a.en", "/data/a.ja"))],
}


@pytest.mark.parametrize(("spec", "terms"), MEANINGS.items(), ids=MEANINGS.keys())
def test_a_spec_means_what_it_says(spec: str, terms: list[Term]) -> None:
    assert parse(spec, NAMES) == terms


@pytest.mark.parametrize("name", ["c++.tsv", "a,b.tsv", "notes[1:2].tsv", "a+b,c.tsv"])
def test_a_file_that_exists_is_meant_as_it_is_written(name: str, folder: Path) -> None:
    (folder / name).write_text("a\tb\n", "utf-8")
    assert parse(name, NAMES) == [Term(name, (name,))]
    assert parse(f"{name}+enja", NAMES) == [Term(name, (name,)), Term("enja", name="enja")]


def test_aligned_files_may_have_a_plus_in_their_names(folder: Path) -> None:
    for name in ("c++.en", "c++.ja"):
        (folder / name).write_text("a\n", "utf-8")
    assert parse("c++.en,c++.ja", NAMES) == [Term("c++.en,c++.ja", ("c++.en", "c++.ja"))]


@pytest.mark.parametrize(
    ("spec", "message"),
    {
        "": "nothing named",
        "enja+": "nothing named beside a +",
        "a,b,c": "two aligned files",
        "a,": "two aligned files",
        "builtin:": "builtin:NAME",
        "builtin:xyz": "no such corpus; built in: builtin:enja",
        "multi30k-en-dee": "no file and no set has this name; did you mean multi30k-en-de?",
        "zzz+enja": "no file and no set has this name; keifu datasets lists",
        "builtin:enja:a:b": "builtin:NAME:PART",
    }.items(),
)
def test_what_no_spec_can_be_is_refused(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]*$") as caught:
        parse(spec, NAMES)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "name"),
    {
        "data/train.en,data/train.ja": "train",
        "builtin:enja": "enja",
        "builtin:enja:test": "enja",
        "enja:train[:50]": "enja",
        "multi30k-en-de+a.tsv": "multi30k-en-de",
        "corpus.tsv.gz": "corpus",
        ".hidden": "hidden",
        "日本 語.tsv": "日本_語",
    }.items(),
)
def test_data_has_a_short_name_for_folders(spec: str, name: str) -> None:
    assert short_name(spec) == name


def test_whole_paths_mean_the_same_files_from_any_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = absolute("enja:dev+a.en,a.ja[:10]+sub/corpus.tsv", NAMES)
    assert spec == f"enja:dev+{folder}/a.en,{folder}/a.ja[:10]+{folder}/sub/corpus.tsv"
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert absolute(spec, NAMES) == spec


def test_a_folder_may_have_a_plus_in_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "c++").mkdir()
    monkeypatch.chdir(folder / "c++")
    for name in ("a.tsv", "b.tsv"):
        (folder / "c++" / name).touch()
    spec = absolute("a.tsv[:10]+b.tsv+a.tsv[-5:]", NAMES)
    assert [term.rows for term in parse(spec, NAMES)] == [slice(None, 10), slice(None), slice(-5, None)]
    assert absolute(spec, NAMES) == spec


def test_thousands_of_files_are_parted_soon_and_too_many_refused(folder: Path) -> None:
    names = [f"{number}.txt" for number in range(2000)]
    assert [term.text for term in parse("+".join(names), NAMES)] == names
    with pytest.raises(ConfigError, match="characters of paths; expected at most 50,000: join the files into fewer"):
        absolute("+".join(names), NAMES)


def test_a_comma_may_stand_in_the_names_of_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a,1.en", "a,1.ja"):
        (tmp_path / name).touch()
    assert parse("a,1.en,a,1.ja", frozenset()) == [Term("a,1.en,a,1.ja", ("a,1.en", "a,1.ja"))]
    with pytest.raises(ConfigError, match=r"'b\.en, b\.en': the same file twice"):
        parse("b.en, b.en", frozenset())
