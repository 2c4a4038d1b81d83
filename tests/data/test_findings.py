"""What stands out in data is found where it stands, and nothing stands out in clean data."""

from pathlib import Path

import pytest

from keifu.data import findings
from keifu.data.findings import Finding, examine, examine_text
from keifu.data.pairs import PairData, load_pairs
from keifu.data.texts import load_text
from tests.tiny import pairs

CLEAN = [(pair.source, pair.target) for pair in pairs(1200, seed=5)]
LINE = 700  # where a test puts its oddity, from 1


def written(folder: Path, texts: list[tuple[str, str]], name: str = "train", endings: str = "en ja") -> PairData:
    """The pairs as aligned files, read again."""
    files = [folder / f"{name}.{ending}" for ending in endings.split()]
    for side, file in enumerate(files):
        file.write_text("".join(f"{pair[side]}\n" for pair in texts), "utf-8")
    return load_pairs(",".join(map(str, files)))


def with_line(*odd: tuple[str, str]) -> list[tuple[str, str]]:
    return [*CLEAN[: LINE - 1], *odd, *CLEAN[LINE - 1 :]]


def found_in(folder: Path, texts: list[tuple[str, str]]) -> list[Finding]:
    return examine(written(folder, texts))


def test_nothing_stands_out_in_clean_data(tmp_path: Path) -> None:
    assert found_in(tmp_path, CLEAN) == []
    valid = written(tmp_path, [("We draw owls.", "我々は梟を描く。")], "dev")
    assert examine(written(tmp_path, CLEAN), [valid]) == []


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("identical sides", ("彼は猫", "彼は猫")),
        ("strange characters", ("I see \ufffd cats.", "私は猫を見る。")),
        ("strange characters", ("It\u2019s a caf\u00c3\u00a9 here.", "喫茶店です。")),
        ("strange characters", ("I see five cats.", "私は\x85猫を見る。")),
        ("strange characters", ("I see a carriage\rreturn.", "私は猫を見る。")),
        ("strange characters", ("I see cats &amp; dogs <br> here.", "私は猫と犬を見る。")),
        ("other script", ("I see nothing.", "I see nothing now.")),
        ("other script", ("私は猫を見る。", "私は鳥を見る。")),
        ("odd lengths", ("I see five cats.", "私は" + "猫と犬と鳥と魚と" * 12 + "見る。")),
        ("long", ("I see " + "cats and " * 120 + "dogs.", "私は" + "猫と" * 120 + "犬を見る。")),
        ("one side empty", ("I see something.", "   ")),
        ("one side empty", ("", "私は鳥を見る。")),
    ],
)  # fmt: skip
def test_an_odd_pair_is_found_at_its_line(kind: str, odd: tuple[str, str], tmp_path: Path) -> None:
    found = {finding.kind: finding for finding in found_in(tmp_path, with_line(odd))}
    assert found[kind].count == 1
    assert found[kind].places == (f"{tmp_path}/train.en:{LINE}",)
    assert set(found) <= {kind, "other script", "odd lengths"}
    assert found[kind].advice


def test_lines_that_are_empty_on_both_sides_are_only_counted(tmp_path: Path) -> None:
    (finding,) = found_in(tmp_path, with_line(("", " "), ("", "")))
    assert (finding.kind, finding.count, finding.advice) == ("both sides empty", 2, "nothing to do")


def test_lines_after_a_blank_one_keep_their_numbers(tmp_path: Path) -> None:
    found = {f.kind: f for f in found_in(tmp_path, with_line(("", ""), ("", "犬"), ("I see cats&nbsp;.", "私は猫。")))}
    assert found["strange characters"].places == (f"{tmp_path}/train.en:{LINE + 2}",)


def test_repetitions_name_where_the_text_stood_first(tmp_path: Path) -> None:
    again = with_line(CLEAN[9], CLEAN[9], (CLEAN[19][0], "別の訳。"))
    duplicates, other = found_in(tmp_path, again)
    first = f"(first {tmp_path}/train.en:10)"
    assert duplicates.kind == "duplicates"
    assert duplicates.places == tuple(f"{tmp_path}/train.en:{LINE + n} {first}" for n in range(2))
    assert (other.kind, other.count, other.places) == ("several targets", 1, (f"{tmp_path}/train.en:{LINE + 2}",))


def test_held_out_sources_that_are_learned_from_are_found_on_both_sides(tmp_path: Path) -> None:
    new = ("We draw owls.", "我々は梟を描く。")
    valid = written(tmp_path, [new, CLEAN[99], (CLEAN[199][0], "別の訳。")], "dev")
    test = written(tmp_path, [CLEAN[299]], "test")
    of_valid, of_test = examine(written(tmp_path, CLEAN), [valid, test])
    assert (of_valid.kind, of_valid.count) == ("overlap", 2)
    assert of_valid.places == (
        f"{tmp_path}/dev.en:2 is {tmp_path}/train.en:100",
        f"{tmp_path}/dev.en:3 is {tmp_path}/train.en:200",
    )
    assert "1 with the same target" in of_valid.text
    assert of_test.places == (f"{tmp_path}/test.en:1 is {tmp_path}/train.en:300",)


def test_a_long_text_that_is_held_out_from_itself_is_found(tmp_path: Path) -> None:
    texts = []
    for name, content in (("a", "One line.\n\nAnother line.\n"), ("b", "One line.\n\nA third line.\n")):
        (tmp_path / f"{name}.txt").write_text(content * 300, "utf-8")
        texts.append(load_text(str(tmp_path / f"{name}.txt")))
    (overlap, *_) = examine_text(texts[0], texts[0], "stream")
    assert (overlap.kind, overlap.count) == ("overlap", texts[0].characters)
    assert [one.kind for one in examine_text(texts[0], texts[1], "stream")] == ["few"]


def test_held_out_data_in_other_languages_is_remarked_upon(tmp_path: Path) -> None:
    valid = written(tmp_path, [("We draw owls.", "Wir malen Eulen.")], "dev", "en de")
    (finding,) = examine(written(tmp_path, CLEAN), [valid])
    assert finding.kind == "languages"
    assert "en to ja" in finding.text
    assert "en to de" in finding.text


def test_few_pairs_and_more_than_are_examined_are_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (few,) = found_in(tmp_path, CLEAN[:50])
    assert (few.kind, few.count) == ("few", 50)
    monkeypatch.setattr(findings, "MOST_EXAMINED", 800)
    found = {finding.kind: finding for finding in found_in(tmp_path, [*CLEAN, CLEAN[0]])}
    assert set(found) == {"not examined"}
    assert found["not examined"].count == 401


def test_at_most_five_places_are_named(tmp_path: Path) -> None:
    (finding,) = found_in(tmp_path, with_line(*[(f"I see &quot;{n}&quot;", f"私は{n}を見る。") for n in range(9)]))
    assert (finding.count, len(finding.places)) == (9, 5)
