"""Settings are read strictly, every mistake has its place, and what is written reads back equal."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator, model_validator

from keifu.config import Schema, duration, merge, parse_overrides, read_yaml, to_yaml, validate
from keifu.errors import ConfigError


class Schedule(Schema):
    warmup: int = Field(10, ge=0)
    """Steps until the full rate."""


class Model(Schema):
    """A small model."""

    vocab_size: int
    """Number of tokens."""
    d_model: int = Field(64, gt=0, multiple_of=8)
    """Model width."""
    direction: Literal["forward", "bidirectional", "alternating"] = "forward"
    """Reading direction."""
    tie_embeddings: bool = True
    sizes: tuple[int, ...] = (1, 2)
    """Sizes: any number of them, separated by commas. This help text is so long that it needs more than one \
line of a hundred characters in the file."""


class Training(Schema):
    learning_rate: float = Field(1e-3, gt=0)
    """Peak rate."""
    max_steps: int | None = None
    """Steps."""
    batch_size: int | Literal["auto"] = "auto"
    """Sequences a step."""
    name: str = "run"
    """Any text."""
    schedule: Schedule = Schedule()
    """The warm-up."""

    @field_validator("name")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        if "/" in value:
            raise ValueError(f"a name has no slash, found {value!r}")
        return value

    @model_validator(mode="after")
    def _warmup_fits(self) -> "Training":
        if self.max_steps is not None and self.schedule.warmup > self.max_steps:
            raise ValueError(f"warmup {self.schedule.warmup} exceeds max_steps {self.max_steps}")
        return self


SECTIONS = {"model": Model, "training": Training}


def load(file: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    data, lines = read_yaml(file)
    return validate(SECTIONS, data, lines, file, overrides)


def mistakes(text: str, tmp_path: Path, overrides: list[str] | None = None) -> list[str]:
    """The lines of the error that a file causes, without the folder."""
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, parse_overrides(overrides or []))
    message = str(caught.value)
    for jargon in ("Input should", "pydantic", "http", "Traceback", "type=", "tag:yaml"):
        assert jargon not in message
    return message.replace(f"{tmp_path}/", "").splitlines()


# ---- durations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20m", 1200), ("90s", 90), ("1.5h", 5400), ("1d", 86400), ("7", 7), (" 2 m ", 120), ("1h30m", 5400)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


NO_DURATIONS = ["", "m", "20 minutes", "-5", "+20m", "1e3", "nan", "inf", "0", "9" * 99, "1h30", "1d12", "5m30"]


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no duration; write for example 90s, 20m or 1.5h"):
        duration(text)


# ---- reading -----------------------------------------------------------------------------------------------


def test_yaml_gives_plain_data_and_the_line_of_every_key(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    text = "# settings\nmodel:\n  d_model: 8\n\n  sizes: [1, 2]\ntraining: {name: あ}\n"
    file.write_text(text, encoding="utf-8")
    data, lines = read_yaml(file)
    assert data == {"model": {"d_model": 8, "sizes": [1, 2]}, "training": {"name": "あ"}}
    assert lines == {
        ("model",): 2,
        ("model", "d_model"): 3,
        ("model", "sizes"): 5,
        ("training",): 6,
        ("training", "name"): 6,
    }


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *[("1e-3", 1e-3), ("1E5", 1e5), ("1.e-3", 1e-3), ("-.5", -0.5), ("1_000", 1000), ("-7", -7)],
        *[("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("''", "")],
        *[(text, text) for text in ("no", "on", "y", "2024-01-01", "1:30", "010", "0x1f", "1.2.3", "20m")],
    ],
)
def test_plain_words_mean_what_they_look_like(word: str, value: object) -> None:
    found = parse_overrides([f"a.b={word}"])["a"]["b"]
    assert found == value
    assert type(found) is type(value)


BROKEN = {
    "": "config.yaml: the file is empty; expected sections such as model: and training:",
    "# only a comment\n": "config.yaml: the file is empty; expected sections such as model: and training:",
    "- a\n- b\n": "config.yaml:1: expected sections such as model: and training:, found a list",
    "words\n": "config.yaml:1: expected sections such as model: and training:, found 'words'",
    "a: 1\nb: 2\na: 3\n": "config.yaml:3: a: line 1 has this key already; remove one of them",
    "m:\n  x: 1\n  x: 2\n": "config.yaml:3: m.x: line 2 has this key already; remove one of them",
    "a: [1, 2\nb: 3\n": "config.yaml:2: not valid YAML: a bracket is not closed, or a comma is missing",
    "a: 'x\n": "config.yaml:2: not valid YAML: a quote is not closed",
    "a:\n\tb: 1\n": "config.yaml:2: not valid YAML: a tab; indent with spaces",
    "a:\n    b: 1\n  c: 2\n": "config.yaml:3: not valid YAML: the indentation does not fit the lines above",
    "a: b: c\n": "config.yaml:1: not valid YAML: a second colon; put text that contains ': ' in quotes",
    "a: 1\nb\nc: 1\n": "config.yaml:3: not valid YAML: the line before is not of the form 'key: value'",
    "a: 1\n---\nb: 2\n": "config.yaml:2: not valid YAML: more than one document; remove the line '---'",
    "a: &x 1\nb: *x\n": "config.yaml:2: aliases (*name) are not allowed; write the value out",
    "a: !!python/object/apply:os.system [ls]\n": "config.yaml:1: the tag 'python/object/apply",
    "a: !mine 3\n": "config.yaml:1: the tag '!mine' is not allowed; remove it",
    "a: !!binary aGk=\n": "config.yaml:1: the tag 'binary' is not allowed; remove it",
    "a: !!set {x}\n": "config.yaml:1: the tag 'set' is not allowed; remove it",
    "a: !!int many\n": "config.yaml:1: 'many' does not fit its tag; remove the tag",
    "a: !!bool many\n": "config.yaml:1: 'many' does not fit its tag; remove the tag",
    "? [a, b]\n: 1\n": "config.yaml:1: expected a name before the colon",
    "a: 1\nb: \x00\n": "config.yaml:2: the character U+0000 is not allowed; remove it",
    "a: " + "[" * 5000: "config.yaml:1: nested deeper than any setting",
    "a: " + "{x: " * 5000: "config.yaml:1: nested deeper than any setting",
    "a: " + "x" * 100_000: "config.yaml: larger than 100 kB; expected a file of settings",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_gives_one_short_message_with_its_line(text: str, tmp_path: Path) -> None:
    (message,) = mistakes(text, tmp_path)
    assert message.startswith(BROKEN[text])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\nb: é\n".encode("latin-1"), ":2: not UTF-8; save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), ":1: not UTF-8; save the file as UTF-8"),
    ],
)
def test_other_encodings_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_yaml(file)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_yaml(file) == ({"a": 1, "b": 2}, {("a",): 1, ("b",): 2})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: no such file; expected a YAML file"):
        read_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="not a file; expected a YAML file"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        read_yaml(tmp_path / ("x" * 5000))


COSTLY = ["a: " + "9" * 99_000, "a: " + "x y " * 24_000, "a: [" + "1, " * 30_000 + "1]", "? " * 49_000]


@pytest.mark.parametrize("text", COSTLY)
def test_costly_files_end_soon(text: str, tmp_path: Path) -> None:
    start = time.perf_counter()
    mistakes(text, tmp_path)
    assert time.perf_counter() - start < 5


@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@#~ \t\n1.e\\", max_size=40))
def test_no_text_causes_anything_but_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        parse_overrides([f"a.b={text}"])


# ---- overrides ---------------------------------------------------------------------------------------------


def test_overrides_become_nested_data_and_the_last_one_holds() -> None:
    pairs = ["model.d_model=256", "training.learning_rate=1e-3", "model.sizes=[1, 2]", "model.d_model=8"]
    assert parse_overrides([*pairs, "a.b.c=x=y"]) == {
        "model": {"d_model": 8, "sizes": [1, 2]},
        "training": {"learning_rate": 0.001},
        "a": {"b": {"c": "x=y"}},
    }


@pytest.mark.parametrize("pair", ["", "model.d_model", "=3", "d_model=3", ".d_model=3", "model.=3"])
def test_an_override_of_another_form_is_named(pair: str) -> None:
    with pytest.raises(ConfigError, match=r"expected section.key=value, such as model.d_model=256") as caught:
        parse_overrides([pair])
    assert f"--set {pair!r}" in str(caught.value)


def test_an_override_that_is_no_yaml_is_named_with_the_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides(["data.train=[a"])
    message = str(caught.value)
    assert message.startswith("--set data.train: not valid YAML: a bracket is not closed")
    assert message.endswith("""text with special characters needs quotes: 'data.train="..."'""")


def test_merge_goes_into_sections_and_changes_neither_side() -> None:
    base, over = {"m": {"a": 1, "b": {"c": 2}}, "x": [1]}, {"m": {"b": {"c": 3, "d": 4}}, "x": [2], "y": None}
    assert merge(base, over) == {"m": {"a": 1, "b": {"c": 3, "d": 4}}, "x": [2], "y": None}
    assert base == {"m": {"a": 1, "b": {"c": 2}}, "x": [1]}
    assert over == {"m": {"b": {"c": 3, "d": 4}}, "x": [2], "y": None}


# ---- checking ----------------------------------------------------------------------------------------------


def test_good_settings_become_schemas() -> None:
    data = {"model": {"vocab_size": 100, "sizes": [3]}, "training": {"learning_rate": 1, "batch_size": 4}}
    settings = validate(SECTIONS, data, overrides={"training": {"schedule": {"warmup": 3}}})
    assert settings["model"] == Model(vocab_size=100, sizes=(3,))
    assert settings["training"] == Training(learning_rate=1.0, batch_size=4, schedule=Schedule(warmup=3))
    assert isinstance(settings["training"].learning_rate, float)


def test_all_mistakes_are_reported_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
model:
  d_model: big
  direction: bidirectionl
  tie_embeddings: 1
  sizes: [1, two, 3]
training:
  learning_rat: 0.1
  max_steps: 1.5
  batch_size: aut
  name: a/b
  schedule: {warmup: -1, cooldown: 3}
  d_model: 3
traning: {}
"""
    assert mistakes(text, tmp_path, ["model.vocab_size=true"]) == [
        "--set model.vocab_size: expected an integer, found true",
        "config.yaml:2: model.d_model: expected an integer, found 'big'",
        "config.yaml:3: model.direction: expected 'forward', 'bidirectional' or 'alternating', "
        "found 'bidirectionl'; did you mean 'bidirectional'?",
        "config.yaml:4: model.tie_embeddings: expected true or false, found 1",
        "config.yaml:5: model.sizes.1: expected an integer, found 'two'",
        "config.yaml:7: training.learning_rat: unknown key; did you mean learning_rate?",
        "config.yaml:8: training.max_steps: expected an integer, found 1.5",
        "config.yaml:9: training.batch_size: expected an integer or 'auto', found 'aut'; did you mean 'auto'?",
        "config.yaml:10: training.name: a name has no slash, found 'a/b'",
        "config.yaml:11: training.schedule.cooldown: unknown key; known are warmup",
        "config.yaml:11: training.schedule.warmup: expected at least 0, found -1",
        "config.yaml:12: training.d_model: unknown key; did you mean model.d_model?",
        "config.yaml:13: traning: unknown section; did you mean training?",
    ]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("model: {d_model: 8}", "vocab_size: missing; give it a value"),
        ("model: 3", "expected keys with values, found 3"),
        ("model: {vocab_size: }", "vocab_size: expected an integer, found nothing"),
        ("model: {vocab_size: '1'}", "vocab_size: expected an integer, found '1'"),
        ("model: {vocab_size: [1]}", "vocab_size: expected an integer, found a list"),
        ("model: {vocab_size: {a: 1}}", "vocab_size: expected an integer, found keys with values"),
        ("model: {vocab_size: 1, d_model: 0}", "d_model: expected more than 0, found 0"),
        ("model: {vocab_size: 1, d_model: 9}", "d_model: expected a multiple of 8, found 9"),
        ("model: {vocab_size: 1, sizes: 3}", "sizes: expected a list, found 3"),
        ("model: {vocab_size: 1, <<: 3}", "<<: unknown key; known are vocab_size, d_model, "),
    ],
)
def test_mistakes_are_named_in_plain_words(section: str, message: str, tmp_path: Path) -> None:
    (found,) = mistakes(section, tmp_path)
    assert found.removeprefix("config.yaml:1: model").lstrip(".: ").startswith(message)


def test_a_key_that_is_missing_with_its_section_is_named(tmp_path: Path) -> None:
    assert mistakes("training: {}", tmp_path) == ["config.yaml: model.vocab_size: missing; give it a value"]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("training.learning_rate=.nan", "--set training.learning_rate: expected a finite number, found nan"),
        ("training.learning_rate=0", "--set training.learning_rate: expected more than 0, found 0"),
        ("training.learning_rate=fast", "--set training.learning_rate: expected a number, found 'fast'"),
        ("training.name=7", "--set training.name: expected text, found 7"),
        ("training.schedule=7", "--set training.schedule: expected keys with values, found 7"),
        ("training.shedule.warmup=7", "--set training.shedule: unknown key; did you mean schedule?"),
        ("training.max_steps=5", "--set training.max_steps"),
        ("model.sizes=[1, x]", "--set model.sizes.1: expected an integer, found 'x'"),
        ("modle.d_model=8", "--set modle: unknown section; did you mean model?"),
        ("model.vocab_size=" + "9" * 5000, "--set model.vocab_size: expected an integer, found '9999"),
    ],
)
def test_a_mistake_in_an_override_is_shown_at_its_argument(pair: str, message: str, tmp_path: Path) -> None:
    found = mistakes("model: {vocab_size: 1}\ntraining: {name: x}\n", tmp_path, [pair])
    if pair == "training.max_steps=5":  # a rule between two fields stands at the section that holds both
        message = "config.yaml:2: training: warmup 10 exceeds max_steps 5"
    assert len(found) == 1
    assert found[0].startswith(message)
    assert len(found[0]) < 200


def test_a_value_error_of_the_duration_is_a_mistake_like_any_other() -> None:
    class Limits(Schema):
        max_time: float | None = None

        @field_validator("max_time", mode="before")
        @classmethod
        def _seconds(cls, value: Any) -> Any:
            return duration(value) if isinstance(value, str) else value

    assert validate({"limits": Limits}, {"limits": {"max_time": "20m"}})["limits"].max_time == 1200
    with pytest.raises(ConfigError, match="limits: 'soon' is no duration"):
        validate({"limits": Limits}, {"limits": {"max_time": "soon"}})


def test_hundreds_of_mistakes_stay_readable(tmp_path: Path) -> None:
    text = "model: {vocab_size: 1}\ntraining:\n" + "".join(f"  key_{i}: 1\n" for i in range(300))
    found = mistakes(text, tmp_path)
    assert len(found) == 21
    assert found[-1] == "... and 280 more"


# ---- writing -----------------------------------------------------------------------------------------------


WRITTEN = """\
# keifu config
# for a test

model:
  # Number of tokens.
  vocab_size: 9
  # Model width.
  d_model: 64
  # Reading direction.
  direction: forward
  tie_embeddings: true
  # Sizes: any number of them, separated by commas. This help text is so long that it needs more than
  # one line of a hundred characters in the file.
  sizes: [1, 2]

training:
  # Peak rate.
  learning_rate: 0.001
  # Steps.
  max_steps: null
  # Sequences a step.
  batch_size: auto
  # Any text.
  name: run
  # The warm-up.
  schedule:
    # Steps until the full rate.
    warmup: 10
"""


def test_the_written_file_is_complete_and_commented() -> None:
    settings = {"model": Model(vocab_size=9), "training": Training()}
    assert to_yaml(settings, header="keifu config\nfor a test") == WRITTEN
    assert "#" not in to_yaml(settings, comments=False)


class Anything(Schema):
    text: str
    """Help with a colon: and a # sign."""
    number: float
    texts: tuple[tuple[str, ...], ...]
    table: dict[str, int | bool | None]
    inner: Schedule
    several: tuple[Schedule, ...] = (Schedule(warmup=1), Schedule(warmup=2))


WORDS = ["no", "1e-3", "2024-01-01", "~", "", " x ", "a: b", "# x", "- a", "*x", "true", ".inf", "1_0"]
MARKS = ["%x", "&x", "@x", "'", '"', "a, b}", "x\ty", "\u2028", "\x85", "\r\n", "a\n\nb", "\ufeff", "あ🎌"]
TEXT = st.sampled_from(WORDS + MARKS) | st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, st.floats(allow_nan=False, allow_infinity=False), st.lists(st.lists(TEXT)), st.booleans())
def test_what_is_written_reads_back_equal(text: str, number: float, texts: Any, comments: bool) -> None:
    schema = Anything(text=text, number=number, texts=texts, table={"a": 1, "b": True}, inner=Schedule())
    settings = {"one": schema, "two": Schedule()}
    written = to_yaml(settings, comments)
    with NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(written)
        file.flush()
        data, lines = read_yaml(file.name)
    assert validate({"one": Anything, "two": Schedule}, data, lines, file.name) == settings
    assert yaml.safe_load(written)["one"]["text"] == text  # other readers of YAML see the same text


def test_settings_are_read_without_torch() -> None:
    code = "import sys, keifu.config; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
