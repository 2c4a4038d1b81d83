"""Language models whose blocks are compiled for a text that is written alone."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.errors import ConfigError
from keifu.layers.quantised import multiplies_int8
from keifu.session import LanguageModel, load
from keifu.trace import Recorder
from tests.small_text import language_run, running, write_text

COMPILER = torch._inductor.config.cpp.cxx[1]

needs_int8 = pytest.mark.skipif(not multiplies_int8(), reason="this processor has no instructions for it")


def _has_compiler() -> bool:
    try:
        return subprocess.run([COMPILER, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


needs_compiler = pytest.mark.skipif(not _has_compiler(), reason=f"there is no C++ compiler ({COMPILER})")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    spec = write_text(folder / "a.txt", running(40))
    for name in ("gpt", "llama", "moe"):
        sizes: dict[str, Any] = {"n_layers": 2, "max_length": 100}
        more: dict[str, Any] = {"model": sizes, "data": {"window": None}}
        list(language_run(spec, folder / name, {"max_steps": 3, "batch_tokens": 400}, name, **more).events())
    return folder


@needs_int8
@needs_compiler
@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_compiled_blocks_give_what_the_others_give(folder: Path, name: str) -> None:
    plain, compiled = (load(folder / name, "cpu", "int8") for _ in range(2))
    compiled.compile()
    tokens = torch.randint(4, plain.tokenizer.vocab_size, (90,))
    compiled_calls = _calls(compiled)
    with torch._dynamo.config.patch(error_on_recompile=True):
        expected, found = (_steps(model, tokens) for model in (plain, compiled))
    assert compiled_calls == [2 * 85]  # all but the prompt
    # What a compiler orders otherwise may fall on the other side of a half, and be rounded to the next step.
    close = (expected - found).abs() < 1e-4
    assert close.float().mean() > 0.9
    assert (expected - found).abs().max() < 0.05 * expected.std()

    text = compiled.generate("the cat", max_tokens=80, temperature=0)
    assert text == plain.generate("the cat", max_tokens=80, temperature=0)
    texts = compiled.generate(["the cat", "a dog sees"], max_tokens=20, temperature=0)
    assert texts == plain.generate(["the cat", "a dog sees"], max_tokens=20, temperature=0)


@torch.no_grad()
def _steps(model: LanguageModel, tokens: Tensor) -> Tensor:
    """Hidden vectors of the tokens, of which five come together, and the others one by one."""
    hidden, state = model.network.step(tokens[None, :5], model.network.start(1, capacity=8))
    found = [hidden[0]]
    for token in tokens[5:]:
        hidden, state = model.network.step(token.view(1, 1), state)
        found.append(hidden[0])
    return torch.cat(found)


def _calls(model: LanguageModel) -> list[int]:
    """How often compiled code has been called from now on, as the only item."""
    code, count = model.network.compiled, [0]

    def counted(*arguments: Any) -> Any:
        count[0] += 1
        return code(*arguments)

    model.network.compiled = counted
    return count


@needs_int8
@needs_compiler
def test_who_looks_inside_sees_a_compiled_model_too(folder: Path) -> None:
    plain, compiled = (load(folder / "gpt", "cpu", "int8") for _ in range(2))
    compiled.compile()
    expected, found = (_recorded(model) for model in (plain, compiled))
    assert "blocks.1.attention.weights" in found
    assert all(torch.equal(found[name], expected[name]) for name in [*expected, *found])


@torch.no_grad()
def _recorded(model: LanguageModel) -> dict[str, Tensor]:
    with Recorder(model.network) as recorder:
        model.network.step(torch.tensor([[5]]), model.network.start(1))
    return {name: value.value for name, value in recorder.values().items()}


def test_what_cannot_be_compiled_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="a moe cannot be compiled, gpt and llama can; leave --compile away"):
        load(folder / "moe", "cpu").compile()
    with pytest.raises(ConfigError, match="compiled is a model in int8; add --precision int8, or leave --compile away"):
        load(folder / "gpt", "cpu").compile()
    if multiplies_int8():
        torch._dynamo.reset()
        monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/nowhere/g++",))
        monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
        model = load(folder / "gpt", "cpu", "int8")
        with pytest.raises(ConfigError, match=r"the model cannot be compiled: .*; install a C\+\+ compiler"):
            model.compile()
        assert model.generate("the cat", max_tokens=3).startswith("the cat")
