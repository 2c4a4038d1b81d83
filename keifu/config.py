"""Settings: strict schemas, YAML, and messages that name the file, the line and the remedy.

Everything that a user can set is a field of a `Schema`. `read_yaml` and `parse_overrides` give plain data and
where each value stands, `validate` turns the data into schemas or reports all mistakes together, `to_yaml`
writes them out again with each field's docstring as its comment.
"""

import os
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from keifu.errors import ConfigError

Key = tuple[str, ...]  # the names that lead to a value: ("training", "learning_rate")
Lines = dict[Key, int]  # the line on which each key stands, counted from 1

MAX_FILE_BYTES = 100_000  # no real file is larger, and one that is could keep the parser busy for minutes
MAX_DEPTH = 20
MAX_PROBLEMS = 20


class Schema(BaseModel):
    """Base of all settings. Unknown keys are refused; nothing is converted but an integer to a number.

    The docstring under a field is its help text. Sequences are declared as tuples; lists are taken for them.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _tuples_for_lists(cls, value: Any) -> Any:
        if isinstance(value, str) and not _is_text(value):
            raise ValueError(f"{_show(value)} is not UTF-8; rename the file, or write the text anew")
        return _tuples(value)


def _is_text(value: str) -> bool:
    """Whether it can be written to a file: names of files may hold other bytes, which stand for themselves."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def duration(text: str) -> float:
    """Seconds from "90s", "20m", "1.5h", "1h30m" or a bare number of seconds, alone. Raises `ConfigError`."""
    number = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
    written = text.replace(" ", "")
    written += "s" * (re.fullmatch(number, written) is not None)
    match = re.fullmatch(rf"(?:{number}d)?(?:{number}h)?(?:{number}m)?(?:{number}s)?", written)
    parts = zip(match.groups(), (86400, 3600, 60, 1), strict=True) if match else ()
    seconds = sum(float(amount) * unit for amount, unit in parts if amount)
    if seconds == 0:
        raise ConfigError(f"{_show(text)} is no duration; write for example 90s, 20m or 1.5h")
    return seconds


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` put over it, section by section. Neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merge(below, value)
        merged[key] = value
    return merged


# ---- reading -----------------------------------------------------------------------------------------------


def read_yaml(path: str | Path) -> tuple[dict[str, Any], Lines]:
    """The plain data of a YAML file and the line of every key.

    Raises `ConfigError` for a file that cannot be read, is not UTF-8, is not valid YAML, repeats a key, uses
    tags or aliases, or does not hold keys with values.
    """
    text = _read_text(Path(path))
    data, lines = _parse(text, lambda line: f"{path}:{line}")
    if data is None:
        raise ConfigError(f"{path}: the file is empty; expected sections such as model: and training:")
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: expected sections such as model: and training:, found {_show(data)}")
    return data, lines


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """Nested data from arguments like "model.d_model=256"; the last of several for one key holds.

    Raises `ConfigError` that names the `--set` argument.
    """
    data: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        key = tuple(name.strip().split("."))
        if not equals or len(key) < 2 or not all(key):
            raise ConfigError(f"--set {_show(pair)}: expected section.key=value, such as model.d_model=256")
        data = merge(data, _nested(key, _parse_value(name, text)))
    return data


def _parse_value(name: str, text: str) -> Any:
    try:
        return _parse(text, lambda _line: f"--set {name}")[0]
    except ConfigError as error:
        problem = str(error).split(";")[0]  # what to do is the same everywhere: there is no line to correct
        raise ConfigError(f"""{problem}; text with special characters needs quotes: '{name}="..."'""") from None


def _read_text(path: Path) -> str:
    if not os.path.isfile(path):  # unlike Path.is_file, also for a name that is too long or not permitted
        found = "not a file" if os.path.exists(path) else "no such file"
        raise ConfigError(f"{path}: {found}; expected a YAML file")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES // 1000} kB; expected a file of settings in YAML")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None


class _Loader(yaml.SafeLoader):
    """Safe YAML in which plain words mean what they look like; aliases, tags and deep nesting are refused.

    Unlike in YAML 1.1, `no` is text (the language code), `1e-3` a number, `2024-01-01` and `1:30` text.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def __init__(self, text: str, place: Callable[[int], str]) -> None:
        super().__init__(text)
        self.place = place  # names a line in messages
        self.lines: Lines = {}
        self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):  # a few lines of aliases can stand for gigabytes
            raise ConfigError(f"{self.place(line)}: aliases (*name) are not allowed; write the value out")
        if self.depth == MAX_DEPTH:
            raise ConfigError(f"{self.place(line)}: nested deeper than any setting; expected section, key and value")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def plain(self, node: yaml.Node, key: Key) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "map" and isinstance(node, yaml.MappingNode):
            return self.plain_mapping(node, key)
        if kind == "seq" and isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*key, str(i))) for i, item in enumerate(node.value)]
        place = self.place(node.start_mark.line + 1)
        if kind not in ("str", *_PLAIN_WORDS) or not isinstance(node, yaml.ScalarNode):
            raise ConfigError(f"{place}: the tag {_show(kind)} is not allowed; remove it, or put the text in quotes")
        try:
            return self.construct_object(node)
        except (ValueError, KeyError):  # `!!int many`
            raise ConfigError(f"{place}: {_show(node.value)} does not fit its tag; remove the tag") from None

    def plain_mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, yaml.ScalarNode):
                raise ConfigError(f"{self.place(line)}: expected a name before the colon")
            name: str = name_node.value
            inner = (*key, name)
            if name in data:
                first = f"line {self.lines[inner]} has this key already"
                raise ConfigError(f"{self.place(line)}: {_dotted(inner)}: {first}; remove one of them")
            self.lines[inner] = line
            data[name] = self.plain(value_node, inner)
        return data


_FLOAT = r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)|[-+]?\.inf|\.nan"
_PLAIN_WORDS = {  # what a word without quotes may look like to be no text, and with what it begins
    "null": ("~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": ("true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": ("[-+]?(?:0|[1-9][0-9_]{0,24})", list("-+0123456789")),
    "float": (_FLOAT, list("-+.0123456789")),
}
for _name, (_pattern, _first) in _PLAIN_WORDS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), _first)

_YAML_REMEDIES = {
    "mapping values are not allowed": "a second colon; put text that contains ': ' in quotes",
    r"found character '\t'": "a tab; indent with spaces",
    "expected <block end>": "the indentation does not fit the lines above; begin keys of one section in one column",
    "could not find expected ':'": "the line before is not of the form 'key: value'; correct it",
    "unexpected end of stream": "a quote is not closed; close it",
    "cannot start any token": "text that begins with a special character; put it in quotes",
    "expected alphabetic or numeric character": "text that begins with * or &; put it in quotes",
    "unknown escape character": r"a backslash in double quotes; write \\ or use single quotes",
    "expected the node content": "a value is missing; write one, or remove the key",
    "expected ',' or": "a bracket is not closed, or a comma is missing; close it, or put the text in quotes",
    "but found another document": "more than one document; remove the line '---'",
}


def _parse(text: str, place: Callable[[int], str]) -> tuple[Any, Lines]:
    """Plain data from YAML text, and the line of every key. Raises `ConfigError`."""
    try:
        loader = _Loader(text, place)
        node = loader.get_single_node()
        return loader.plain(node, ()) if node else None, loader.lines
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = ord(text[error.position])
        raise ConfigError(f"{place(line)}: the character U+{code:04X} is not allowed; remove it") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = str(error.problem)
        remedies = (remedy for known, remedy in _YAML_REMEDIES.items() if known in problem)
        raise ConfigError(f"{place(line)}: not valid YAML: {next(remedies, problem)}") from None


# ---- checking ----------------------------------------------------------------------------------------------


def validate(
    sections: Mapping[str, type[Schema]],
    data: Mapping[str, Any],
    lines: Mapping[Key, int] | None = None,
    file: str | Path = "",
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A schema for each section, from `data` with `overrides` put over it; absent ones take their defaults.

    `file` and `lines` (from `read_yaml`) say where a mistake stands; one in `overrides` is shown as `--set`.
    Raises one `ConfigError` with all mistakes, a line each.
    """
    whole = merge({name: {} for name in sections}, merge(data, overrides or {}))
    problems = [*_unknown_sections(sections, whole)]
    schemas = {}
    for name, schema in sections.items():
        section = whole.get(name)
        if not isinstance(data.get(name) or {}, Mapping):  # even where an override took its place
            section = data[name]
        if section is not None and not isinstance(section, Mapping):
            hint = "; write key: value, with a space behind the colon" if isinstance(section, str) else ""
            problems.append(((name,), f"expected keys with values, found {_show(section)}{hint}"))
            continue
        try:
            schemas[name] = schema.model_validate(dict(section or {}))
        except ValidationError as error:
            problems += _explain(error, name, sections, whole)
        except ConfigError as error:  # from a validator
            problems.append(((name,), str(error)))
    if problems:
        raise ConfigError(_report(problems, lines or {}, str(file), overrides or {}))
    return schemas


Problem = tuple[Key, str]

_EXPECTED = {  # pydantic's kinds of error, in our words; what stands in braces comes from the error
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "none_required": "null",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "text of {min_length} characters or more",
    "string_too_long": "text of {max_length} characters or fewer",
    "too_short": "{min_length} items or more",
    "too_long": "{max_length} items or fewer",
}


def _unknown_sections(sections: Mapping[str, type[Schema]], data: Mapping[str, Any]) -> Iterator[Problem]:
    for name in data:
        if name not in sections:
            yield (name,), f"unknown section; {_suggest_section(name, list(sections))}"


def _suggest_section(name: str, sections: Sequence[str]) -> str:
    first, _, rest = name.partition(".")
    if rest and first in sections:
        return f"write {rest}: below a line {first}:"
    if name[:1].isspace():
        return "indent with ordinary spaces"
    return _suggest(name, sections)


def _explain(
    error: ValidationError, name: str, sections: Mapping[str, type[Schema]], data: Mapping[str, Any]
) -> Iterator[Problem]:
    """The mistakes of one section. The members of a union each give an error; they become one "a or b"."""
    expected: dict[Key, list[str]] = {}
    for item in error.errors(include_url=False):
        kind, context = item["type"], item.get("ctx", {})
        key = _key_in(data, (name, *item["loc"]))
        if kind == "missing" and isinstance(item["loc"][-1], int):
            yield key, f"expected more items, found {len(_value_at(data, key))}"
        elif kind == "missing":
            yield (*key, str(item["loc"][-1])), "missing; give it a value"
        elif kind == "extra_forbidden":
            yield key, f"unknown key; {_suggest_key(key, sections)}"
        elif kind in ("value_error", "assertion_error"):
            yield key, str(context["error"])
        elif kind in _EXPECTED:
            expected.setdefault(key, []).append(_EXPECTED[kind].format(**_plain_numbers(context)))
        else:
            wanted = re.sub(r"^Input should (be|have|match) (a valid )?", "", item["msg"])
            expected.setdefault(key, []).append(wanted)
    for key, wishes in expected.items():
        value = _value_at(data, key)
        choices = re.findall("'([^']*)'", " ".join(wishes))
        close = get_close_matches(value, choices, 1) if isinstance(value, str) else []
        hint = f"; did you mean '{close[0]}'?" if close else _about_quotes(wishes, value)
        yield key, f"expected {' or '.join(dict.fromkeys(wishes))}, found {_show(value)}{hint}"


def _about_quotes(wishes: Sequence[str], value: Any) -> str:
    if wishes == ["text"] and isinstance(value, int | float):
        return "; put it in quotes"
    wants_number = any(wish in ("an integer", "a number") for wish in wishes)
    return "; leave the quotes away" if wants_number and isinstance(value, str) and _is_number(value) else ""


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(f"{_PLAIN_WORDS['int'][0]}|{_FLOAT}", text))


def _plain_numbers(context: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds as people write them: 1, not 1.0."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in context.items()
    }


def _report(problems: list[Problem], lines: Mapping[Key, int], file: str, overrides: Mapping[str, Any]) -> str:
    def place(key: Key) -> str:
        line = _line_of(key, lines)
        if _covers(overrides, key, lines):
            return "--set "
        return f"{file}:{line}: " if line else f"{file}: " if file else ""

    problems = sorted(problems, key=lambda problem: _line_of(problem[0], lines))
    found = [f"{place(key)}{_dotted(key)}: {text}" for key, text in problems]
    more = [f"... and {len(found) - MAX_PROBLEMS} more"] if len(found) > MAX_PROBLEMS else []
    return "\n".join(found[:MAX_PROBLEMS] + more)


def _line_of(key: Key, lines: Mapping[Key, int]) -> int:
    """The line of a key, or of the section in which it is missing; 0 if it stands in no file."""
    return next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), 0)


def _suggest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known) or 'none'}"


def _suggest_key(key: Key, sections: Mapping[str, type[Schema]]) -> str:
    schema = sections[key[0]]
    for name in key[1:-1]:
        inner = schema.model_fields[name].annotation if name in schema.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, Schema)):
            return "remove it"
        schema = inner
    fields = list(schema.model_fields)
    home = [name for name, other in sections.items() if key[-1] in other.model_fields]
    if home and not get_close_matches(key[-1], fields, 1):
        return f"did you mean {' or '.join(f'{name}.{key[-1]}' for name in home)}?"
    return _suggest(key[-1], fields)


def _key_in(data: Any, location: Sequence[int | str]) -> Key:
    """The part of an error's location that leads through the data; what follows names members of a union."""
    key: Key = ()
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
        key = (*key, str(part))
    return key


def _value_at(data: Any, key: Key) -> Any:
    for name in key:
        data = data[name] if isinstance(data, Mapping) else data[int(name)]
    return data


def _covers(overrides: Any, key: Key, lines: Mapping[Key, int]) -> bool:
    """Whether an override gave this value, or gave a part of it while the file says nothing about it."""
    for name in key:
        if not isinstance(overrides, Mapping):
            return True  # inside a list that was given as a whole
        if name not in overrides:
            return False
        overrides = overrides[name]
    return not isinstance(overrides, Mapping) or key not in lines


def _nested(key: Key, value: Any) -> dict[str, Any]:
    return {key[0]: _nested(key[1:], value) if len(key) > 1 else value}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _dotted(key: Key) -> str:
    return ".".join(name if name and name.isprintable() and len(name) <= 40 else _show(name) for name in key)


def _show(value: Any) -> str:
    """A value as a user would write it, cut to a readable length."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "keys with values"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 42 else f"{text[:36]} ...{text[-1] if isinstance(value, str) else ''}"


# ---- writing -----------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` or other readers of YAML would not read back as the same text."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    # Invisible characters become escapes, or the indentation would change them; YAML 1.1 takes 1e-3 for text.
    quoted = not text.isprintable() or re.fullmatch(_FLOAT, text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_Dumper.add_representer(str, _represent_text)


def to_yaml(sections: Mapping[str, Schema], comments: bool = True, header: str = "") -> str:
    """A complete YAML file, which `read_yaml` and `validate` turn into equal schemas again.

    With `comments`, each field stands under its docstring. `header` becomes a comment at the top.
    """
    blocks = [_comment(header)] if header else []
    for name, schema in sections.items():
        blocks.append("\n".join([f"{name}:", *_field_lines(schema, comments)]) + "\n")
    return "\n".join(blocks)


def _field_lines(schema: Schema, comments: bool, indent: str = "  ") -> Iterator[str]:
    plain = schema.model_dump()
    for name, field in type(schema).model_fields.items():
        if comments and field.description:
            yield textwrap.indent(_comment(" ".join(field.description.split())), indent).rstrip()
        value = getattr(schema, name)
        if isinstance(value, Schema):
            yield f"{indent}{name}:"
            yield from _field_lines(value, comments, indent + "  ")
        else:
            yield indent + _line(name, plain[name])


def _line(name: str, value: Any) -> str:
    width = float("inf")  # one line, however long
    flow = yaml.dump({name: value}, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=width)
    return str(flow).strip().removeprefix("{").removesuffix("}")


def _comment(text: str) -> str:
    wrapper = textwrap.TextWrapper(100, break_long_words=False, break_on_hyphens=False)  # commands stay whole
    lines = [line for part in text.strip().splitlines() for line in wrapper.wrap(part) or [""]]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)
