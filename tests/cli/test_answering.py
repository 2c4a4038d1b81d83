"""Models that answer questions on the command line: trained, asked, measured; and what they cannot do is refused."""

import json
import re
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from keifu.cli.report import answer_report
from keifu.config import merge, read_yaml
from keifu.data.examples import Question
from keifu.errors import ConfigError
from keifu.session import TrainedRun, load, train
from keifu.session.answering import facts_of
from keifu.tasks.question_answering import spoken_words
from keifu.training.lessons.answering import always_told_of
from keifu.views.figures import path_figure
from tests.cli.conftest import Command
from tests.cli.test_commands import assert_one_message
from tests.small_stories import SMALL_STORIES, stories, story_run, write_stories
from tests.tiny import set_arguments

STORY = "Mary went to the garden.\nJohn went to the kitchen. Daniel went to the garden.\nDaniel went to the hallway.\n"
FACTS = [
    "Mary went to the garden.",
    "John went to the kitchen.",
    "Daniel went to the garden.",
    "Daniel went to the hallway.",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory network that has learned where everybody is."""
    folder = tmp_path_factory.mktemp("stories")
    paper: Any = {"d_model": 32, "d_ff": 0, "tying": "adjacent", "linear_start": 0.1, "dropout": 0.0}
    more: Any = {"model": paper, "training": {"batch_size": 32, "learning_rate": 0.01}}
    options: Any = {"out": folder / "run", "max_steps": 500, "overrides": merge(SMALL_STORIES, more)}
    return train("question-answering", write_stories(folder, 2000), **options).path


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text(STORY, "utf-8")
    return path


def test_stories_are_all_that_training_needs_and_resume_goes_on(tmp_path: Path, keifu: Command) -> None:
    spec, out = write_stories(tmp_path, 100), tmp_path / "run"
    small = set_arguments(SMALL_STORIES)
    result = keifu("train", "question-answering", "--data", spec, "--max-steps", 4, "--out", out, *small)
    assert result.code == 0, result.err
    told = " ".join(result.out.split())
    assert "95 questions with 4 answers; stories of" in told
    assert "memory-network, 3 hops, d_model 16" in told
    assert re.search(r"accuracy [0-9.]+ % \([0-9.]+ to [0-9.]+\)", result.out.splitlines()[-2])
    assert result.out.splitlines()[-1] == f'use it: keifu answer {out} "..." --story FILE'
    settings, _ = read_yaml(out / "config.yaml")
    assert settings["model"]["name"] == "memory-network"
    report = json.loads((out / "data.json").read_text("utf-8"))
    assert (report["train"]["questions"], report["valid"]["questions"], report["answers"]) == (95, 5, 4)
    card = (out / "README.md").read_text("utf-8")
    assert "(3 hops, d_model 16) for question-answering" in card
    assert "95 questions" in card
    assert "nats a question" in card
    resumed = keifu("resume", out, "--max-steps", "+3", "--json")
    assert json.loads(resumed.out.splitlines()[-1]) == {"event": "finished", "step": 7, "reason": "steps"}
    sample = (out / "samples" / "step-7.txt").read_text("utf-8").split("\n\n")[0].splitlines()
    assert sample[-3].startswith("Where is ")
    assert sample[-1] in ("kitchen", "garden", "hallway", "office")


@pytest.mark.parametrize("model", ["memory-network", "transformer", "lstm", "bert"])
def test_a_dry_run_and_a_check_say_what_would_be_learned(model: str, tmp_path: Path, keifu: Command) -> None:
    spec = write_stories(tmp_path, 30)
    overlapping = write_stories(tmp_path, 10, name="other.txt")
    given = ("--model", model, "--set", "model.d_model=16", "--set", "training.device=cpu")
    dry = keifu("train", "question-answering", "--data", spec, *given, "--max-steps", 4, "--dry-run")
    assert dry.code == 0, dry.err
    assert f"name: {model}" in dry.out
    checked = keifu("check", spec, "--task", "question-answering", "--valid", overlapping, "--json", *given)
    report = json.loads(checked.out)
    assert [finding["kind"] for finding in report["findings"]] == ["overlap", "few"]
    assert report["findings"][0]["count"] == 10
    assert report["estimate"]["steps"] > 0
    (tmp_path / "new.jsonl").write_text('{"story": ["Mary slept."], "question": "Who?", "answer": "Mary"}\n', "utf-8")
    unseen = keifu("check", spec, "--task", "question-answering", "--valid", tmp_path / "new.jsonl", *given)
    assert "with an answer that no question to learn from has" in " ".join(unseen.out.split())


def test_an_answer_comes_with_the_facts_that_were_read(run: Path, story: Path, keifu: Command) -> None:
    out = keifu("answer", run, "Where is Daniel?", "where is mary", "--story", story).out.splitlines()
    assert out[0].startswith("Where is Daniel?  hallway  (")
    reads = [line for line in out if "hop 3" in line]
    assert [line.split("%")[1].split() for line in reads] == [
        ["4", *FACTS[3].split()],
        ["1", *FACTS[0].split()],
    ]
    assert sum(line.startswith("where is mary  garden") for line in out) == 1


def test_answers_as_json_from_lines(run: Path, story: Path, keifu: Command) -> None:
    result = keifu("answer", run, "--story", story, "--json", stdin=b"Where is Daniel?\nWhere is Mary?\n")
    first, second = map(json.loads, result.out.splitlines())
    assert (first["question"], first["answer"], second["answer"]) == ("Where is Daniel?", "hallway", "garden")
    assert 0.5 < first["probability"] <= 1
    shares = [first["probability"], *(one["probability"] for one in first["others"])]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert [[one["text"] for one in hop] for hop in first["hops"]] == [FACTS] * 3
    for hop in first["hops"]:
        assert sum(one["weight"] for one in hop) == pytest.approx(1, abs=1e-5)
    assert first["hops"][-1][3]["weight"] > 0.9


def test_a_story_may_be_written_in_another_encoding(run: Path, tmp_path: Path, keifu: Command) -> None:
    (tmp_path / "story.txt").write_bytes("Daniel went to the hallway.\n猫がいる。\n".encode("cp932"))
    given = ("answer", run, "Where is Daniel?", "--story", tmp_path / "story.txt")
    assert_one_message(keifu(*given), 3, "add --encoding cp932")
    assert keifu(*given, "--encoding", "cp932").out.startswith("Where is Daniel?  hallway")


def test_facts_are_counted_from_the_beginning_of_the_story(run: Path, story: Path, keifu: Command) -> None:
    story.write_text("Mary went to the garden.\n" * 300 + "John went to the office.\n", "utf-8")
    line = json.loads(keifu("answer", run, "Where is John?", "--story", story, "--json").out)
    read = load(run, "cpu").task.longest  # as many as the longest story of training had
    assert [one["fact"] for one in line["hops"][0]] == list(range(302 - read, 302))
    told = keifu("answer", run, "Where is John?", "--story", story).out.splitlines()[1:]
    texts = {int(row.split("%")[1].split()[0]): row.split("%")[1].split(maxsplit=1)[1] for row in told if "%" in row}
    assert all((text == "John went to the office.") == (place == 301) for place, text in texts.items())


def test_the_library_answers_the_same(run: Path) -> None:
    model = load(run, "cpu")
    assert model.answer("Where is Daniel?", STORY) == model.answer("Where is Daniel?", FACTS) == "hallway"
    assert model.answer(["Where is Daniel?", "Where is John?"], FACTS, batch_size=1) == ["hallway", "kitchen"]
    found = model.answer("Where is Daniel?", FACTS, details=True)
    trace = model.trace("Where is Daniel?", FACTS)
    weights = trace["weights"]
    assert weights.axes == "I B T M"
    assert trace.labels(weights, "M") == FACTS
    assert found.weights == tuple(tuple(hop) for hop in weights.value[:, 0, 0].tolist())
    chances = trace["logits"].value[0].softmax(-1)
    assert trace.sequences["answers"][int(chances.argmax())] == "hallway"
    blind = model.trace("Where is Daniel?", FACTS, edits={"weights": lambda weights: weights * 0})
    assert not blind["logits"].value.equal(trace["logits"].value)


def test_one_fact_and_five_hundred(run: Path) -> None:
    model = load(run, "cpu")
    assert model.answer("Where is John?", ["John went to the office."]) == "office"
    story = [f"{name} went to the {place}." for name in ("Mary", "Daniel") for place in ("garden", "kitchen")] * 124
    longest = model.task.longest  # of the stories of training
    assert longest < 10
    found = model.answer("Where is John?", [*story, *["John went to the office."] * 4], details=True)
    assert len(found.facts) == len(found.weights[0]) == longest
    assert found.left_out == 500 - longest
    assert found.answer == "office"


def test_what_the_story_does_not_tell_is_not_answered(run: Path, story: Path, keifu: Command) -> None:
    story.write_text("Mary went to the garden. Bob went to the moon.\n", "utf-8")
    out = keifu("answer", run, "Where is Daniel?", "Where is Bob?", "Where is Mary?", "--story", story).out.splitlines()
    assert out[0] == "Where is Daniel?  no answer: the story says nothing of 'daniel'"
    assert out[2] == "Where is Bob?  no answer: the story says nothing of 'bob'"
    assert out[3] == "  note: no training text has 'bob', 'moon'"
    assert out[4].startswith("Where is Mary?  garden")
    line = json.loads(keifu("answer", run, "Where is Daniel?", "--story", story, "--json").out)
    assert (line["answer"], line["probability"], line["missing"]) == (None, None, ["daniel"])
    assert line["unknown"] == ["bob", "moon"]


def test_an_evaluation_says_what_it_measured(run: Path, tmp_path: Path, keifu: Command) -> None:
    spec = write_stories(tmp_path, 200, seed=5)
    told = keifu("evaluate", run, "--data", spec).out
    report = json.loads(keifu("evaluate", run, "--data", spec, "--json").out)
    assert report["questions"] == 200
    assert report["accuracy"] > 0.95
    assert f"accuracy       {report['accuracy']:6.1%}   95 % interval" in told
    assert f"hop 3          {report['supported_by_hop'][2]:6.1%}" in told
    assert report["supported_by_hop"][2] > 0.9
    assert not report["trained_on"]
    small = json.loads(keifu("evaluate", run, "--data", spec, "--batch-size", 7, "--json").out)
    assert small["supported_by_hop"] == pytest.approx(report["supported_by_hop"], abs=0.01)
    assert small["loss"] == pytest.approx(report["loss"], abs=1e-5)
    train = run.parent / "rooms.txt"
    assert json.loads(keifu("evaluate", run, "--data", f"{train}[:1900]", "--json").out)["trained_on"]
    asked = {"story": ["Mary went to the garden."], "question": "Where is Mary?", "answer": "garden"}
    (tmp_path / "unsupported.jsonl").write_text(json.dumps(asked) + "\n", "utf-8")
    report = json.loads(keifu("evaluate", run, "--data", tmp_path / "unsupported.jsonl", "--json").out)
    assert "supported_by_hop" not in report
    assert report["unknown_answers"] == 0
    asked["answer"] = "moon"
    (tmp_path / "moon.jsonl").write_text(json.dumps(asked) + "\n", "utf-8")
    spec = f"{spec}+{tmp_path / 'moon.jsonl'}"
    assert json.loads(keifu("evaluate", run, "--data", spec, "--json").out)["unknown_answers"] == 1
    untaught = "note: answers that the model was not taught: 1; it is wrong there in any case"
    assert untaught in keifu("evaluate", run, "--data", spec).out.splitlines()
    assert "not taught" not in told


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("answer", "{run}", "Where is Mary?"), 2, "no story to ask about; name a file with a fact a line: --story"),
        (("answer", "{run}", "Where?", "--story", "none.txt"), 3, "none.txt: no such file"),
        (
            ("answer", "{run}", "Where?", "--story", "s.jsonl"),
            3,
            "s.jsonl: JSON; expected a text with a fact",
        ),
        (("answer", "{run}", "Where?", "--story", "objects.txt"), 3, "objects.txt: JSON; expected a text with a fact"),
        (("answer", "{run}", "Where?", "--story", "blank.txt"), 3, "the story is empty; expected a fact a line"),
        (("answer", "{run}", " ? ", "--story", "story.txt"), 2, "an empty question"),
        (("answer", "{run}", "Wer da?", "--story", "story.txt"), 2, "no word of it occurs in what the model learned"),
        (
            ("answer", "{run}", "Where?", "--story", "story.txt", "--batch-size", "0"),
            2,
            "batch_size 0: expected at least",
        ),
        (("answer", "{translator}", "a", "--story", "story.txt"), 2, "a model for translation cannot answer"),
        (("translate", "{run}", "I see."), 2, "a model for question-answering cannot translate; use one of: answer"),
        (("evaluate", "{run}", "--data", "rooms.txt", "--beam", "3"), 2, "beam does not go with a model that answers"),
        (("train", "question-answering", "--data", "rooms.txt", "--encoding", "x"), 2, "encoding 'x' is not known"),
        (("train", "question-answering"), 2, "no data to train on; name it with --data, for example --data babi-1"),
        (("train", "question-answering", "--data", "rooms.txt", "--model", "gru-seq2seq"), 2, "cannot do question-ans"),
        (("train", "question-answering", "--data", "rooms.txt", "--source", "en"), 2, "--source does not go with"),
        (("train", "question-answering", "--data", "tabs.txt"), 3, r"tabs.txt:1: expected .*; found '1 Q\\tA\\t\\tB'"),
        (("train", "question-answering", "--data", "one.txt"), 3, "only one question; training needs at least 2"),
        (("train", "question-answering", "--data", "story.txt"), 3, "story.txt:1: expected a number, a space and"),
        (("train", "translation", "--data", "rooms.txt", "--model", "memory-network"), 2, "cannot do translation"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_message(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    run: Path,
    trained: TrainedRun,
    story: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keifu: Command,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_stories(tmp_path, 20)
    (tmp_path / "blank.txt").write_text(" \n\n", "utf-8")
    (tmp_path / "one.txt").write_text(stories(1), "utf-8")
    for name in ("s.jsonl", "objects.txt"):
        (tmp_path / name).write_text('{"story": ["Mary is here."], "question": "Where is Mary?"}\n', "utf-8")
    (tmp_path / "tabs.txt").write_text("1 Q\tA\t\tB\n", "utf-8")
    before = sorted(path.name for path in tmp_path.iterdir())
    result = keifu(*(each.format(run=run, translator=trained.path) for each in arguments))
    assert_one_message(result, code, message)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("answers", [], "answers: expected a list of texts"),
        ("answers", [1], "answers: expected a list of texts"),
        ("answers", ["one"], "the weights do not fit its config.json: head.classes"),
        ("max_facts", 0, "max_facts: expected a whole number from 1"),
        ("told_of", 1, "told_of: expected a list of words"),
        ("decoding", {"beam": 5}, "decoding.beam: unknown key"),
    ],
)
def test_a_damaged_config_is_named(
    key: str, value: object, message: str, run: Path, story: Path, tmp_path: Path, keifu: Command
) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((run / "best" / name).read_bytes())
    config = json.loads((run / "best" / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {key: value}), "utf-8")
    assert_one_message(keifu("answer", tmp_path, "a", "--story", story), 3, message)


def test_a_pre_trained_bert_answers_and_reads_no_further_than_it_learned(tmp_path: Path, keifu: Command) -> None:
    text = "".join(f"{line[2:]}\n" for line in stories(60).splitlines() if "\t" not in line)
    (tmp_path / "text.txt").write_text(text, "utf-8")
    small = ("--set", "model.d_model=16", "--set", "model.n_layers=1", "--set", "model.n_heads=2")
    more = ("--set", "training.device=cpu", "--set", "model.d_ff=16", "--max-steps", 2)
    learned = tmp_path / "bert"
    told = keifu("train", "masked-lm", "--data", tmp_path / "text.txt", *small, *more, "--out", learned)
    assert told.code == 0, told.err
    spec, out = write_stories(tmp_path, 60, longest=4), tmp_path / "run"
    given = ("train", "question-answering", "--data", spec, "--init", learned, "--max-steps", 2, "--out", out)
    told = keifu(*given, "--set", "training.device=cpu")
    assert told.code == 0, told.err
    assert "taken: model.embedding" in " ".join(told.out.split())
    model = load(out, "cpu")
    assert model.model_config.name == "bert"
    config = json.loads((out / "best" / "config.json").read_text("utf-8"))
    assert model.task.most_tokens == config["max_tokens"] < 60
    found = model.answer("Where is Mary?", ["Mary went to the garden."] * 50, details=True)
    assert 0 < len(found.facts) < 12
    assert found.left_out == 50 - len(found.facts)
    told = answer_report(found)
    assert f"note: {found.left_out} earlier facts are more than the model reads" in told
    with pytest.raises(ConfigError, match="give a shorter text"):
        model.answer("Where is Mary now " + "and " * 60, ["Mary went to the garden."])
    with pytest.raises(ConfigError, match="give a shorter text"):
        model.embed("Mary " * 90)
    again = tmp_path / "again"
    told = keifu("train", "question-answering", "--data", spec, "--init", out, "--max-steps", 1, "--out", again)
    assert "head.classes" in " ".join(told.out.split()).split("taken: ")[1].split("; new")[0]  # for the same answers
    scratch = tmp_path / "scratch"
    given = ("train", "question-answering", "--data", spec, "--model", "bert", *small, *more, "--out", scratch)
    told = keifu(*given)
    assert told.code == 0, told.err
    assert load(scratch, "cpu").tokenizer.reads


@pytest.mark.parametrize("model", ["memory-network", "transformer", "lstm", "bert"])
def test_what_answers_also_embeds_and_has_paths(model: str, tmp_path: Path, keifu: Command) -> None:
    spec, out = write_stories(tmp_path, 60), tmp_path / "run"
    small = ("--set", "model.d_model=16", "--set", "training.device=cpu", "--max-steps", 2)
    told = keifu("train", "question-answering", "--data", spec, "--model", model, *small, "--out", out)
    assert told.code == 0, told.err
    vectors = [json.loads(line) for line in keifu("embed", out, "Mary slept.", "").out.splitlines()]
    assert [len(each["vector"]) for each in vectors] == [16, 16]
    assert all(isfinite(number) for each in vectors for number in each["vector"])
    assert any(vectors[0]["vector"])
    loaded = load(out, "cpu")
    lengths = loaded.path_lengths("Where is Daniel?", STORY)
    for name, found in lengths.outputs.items():
        assert found.shape[1] == len(lengths.tokens[name])
        assert found.isfinite().any()
    path_figure(lengths, tmp_path / "paths.svg")
    with pytest.raises(ConfigError, match="give a question and a story"):
        loaded.path_lengths("Where is Daniel?")
    if model == "memory-network":
        assert lengths.tokens["value"] == [fact.lower().rstrip(".") for fact in FACTS]
        with pytest.raises(ConfigError, match="reads facts at no distance"):
            loaded.influence([("Where is Daniel?", STORY)])
    else:
        assert loaded.influence([("Where is Daniel?", STORY)], 5).shape == (6,)


def test_a_story_may_have_the_numbers_and_questions_of_babi(run: Path, tmp_path: Path, keifu: Command) -> None:
    story = tmp_path / "story.txt"
    story.write_text(
        "1 Mary went to the garden.\n2 Where is Mary?\tgarden\t1\n3 Daniel went to the hallway.\n", "utf-8"
    )
    line = json.loads(keifu("answer", run, "Where is Daniel?", "--story", story, "--json").out)
    assert (line["answer"], line["unknown"]) == ("hallway", [])
    assert [one["text"] for one in line["hops"][0]] == ["Mary went to the garden.", "Daniel went to the hallway."]
    for kept in ("3 apples lie here.\n2 apples lie there.", "12 people went to the hallway."):
        assert facts_of(kept) == tuple(kept.split("\n"))
    assert facts_of("1 Mary slept.\n1 John slept.\n2 Mary left.") == ("John slept.", "Mary left.")
    whole = ("Mary took 2 apples. She ate 1 of them.", "John went to room 12 today.")  # as in training, a fact a line
    assert facts_of("".join(f"{number} {fact}\n" for number, fact in enumerate(whole, 1))) == whole


def test_the_facts_of_a_line_are_its_sentences_in_small_letters_too() -> None:
    told = ("mary went to the garden.", "daniel went to the office.")
    assert facts_of(" ".join(told)) == told
    assert facts_of("Mary met Mr. smith. daniel slept.") == ("Mary met Mr. smith. daniel slept.",)
    for whole in (
        "mary met mr. smith in the garden.",
        "john left at 5 p.m. and slept.",
        '"where are you?" asked john.',
    ):
        assert facts_of(whole) == (whole,)


def test_signs_beside_a_word_do_not_hide_it(run: Path) -> None:
    model = load(run, "cpu")
    for fact in ("Daniel, who was tired, went to the garden.", "Daniel's way went to the garden."):
        assert model.answer("Where is Daniel?", [fact]) == "garden"
    assert model.answer("Where is Daniel?", ["Danielle went to the garden."]) is None


def test_words_that_are_told_of_in_what_is_read_are_always_told_of() -> None:
    asked = [Question(("Mary's ball fell.", "John slept."), "Where is Mary's ball?", "")] * 2
    assert always_told_of(asked, [2, 2]) == {"mary", "ball"}
    assert always_told_of(asked, [2, 1]) == set()
    assert spoken_words("‘Daniel’ won't—today… it's Daniel's.") == ["daniel", "won", "today", "it", "daniel"]


def test_only_a_memory_network_is_looked_into_while_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = story_run(write_stories(tmp_path, 40), tmp_path / "run", {"max_steps": 1}, "lstm")
    list(run.events())
    model = load(tmp_path / "run", "cpu")
    monkeypatch.setattr("keifu.session.answering.Recorder", None)
    assert model.evaluate(write_stories(tmp_path, 20, seed=1))["questions"] == 20
    assert model.answer("Where is Mary?", STORY) is not None
