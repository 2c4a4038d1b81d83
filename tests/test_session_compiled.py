"""Language models whose blocks are compiled for a text that is written alone."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.errors import ConfigError
from keifu.layers.alone import compile_for_one
from keifu.layers.heads import VocabularyHead
from keifu.layers.quantised import multiplies_int8
from keifu.models.llama import Config, Llama
from keifu.session import LanguageModel, load
from keifu.trace import Recorder
from tests.small_text import language_run, running, write_text

MODELS = ("gpt", "llama", "moe", "gpt that reads two tokens", "gpt of another size")


def _has_compiler() -> bool:
    try:
        return subprocess.run([torch._inductor.config.cpp.cxx[1], "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


needs_compiler = pytest.mark.skipif(not _has_compiler(), reason="there is no C++ compiler")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    spec = write_text(folder / "a.txt", running(40))
    for name in MODELS:
        model: dict[str, Any] = {"n_layers": 2, "max_length": 2 if "two" in name else 40}
        model |= {"n_kv_heads": 2} if name == "llama" else {}
        model |= {"d_model": 24, "n_heads": 3} if "another" in name else {}
        more: dict[str, Any] = {"model": model, "data": {"window": None}}
        limits = {"max_steps": 3, "batch_tokens": 400}
        list(language_run(spec, folder / name, limits, name.partition(" ")[0], **more).events())
    return folder


@pytest.fixture(params=["fp32", "bf16", "int8"])
def precision(request: pytest.FixtureRequest) -> str:
    if request.param == "int8" and not multiplies_int8():
        pytest.skip("this processor has no instructions for it")
    return str(request.param)


def _pair(run: Path, precision: str) -> tuple[LanguageModel, LanguageModel]:
    """The same model twice, the second compiled."""
    return load(run, "cpu", precision), load(run, "cpu", precision).compile()


def _calls(model: LanguageModel) -> list[int]:
    """How often compiled code has been called from now on, as the only item."""
    code, count = model.network.compiled_block, [0]

    def counted(*arguments: Any) -> Any:
        count[0] += 1
        return code(*arguments)

    model.network.compiled_block = counted
    return count


def _assert_close(found: Tensor, expected: Tensor, precision: str) -> None:
    """A compiler orders otherwise. In int8 what thereby falls on the other side of a half is rounded to the next of 255
    steps, which is seldom.
    """
    differences = (found - expected).abs().float() / expected.float().std()
    assert differences.max() < {"fp32": 1e-4, "bf16": 0.1, "int8": 0.05}[precision]
    assert (differences < 1e-4).float().mean() > 0.9 or precision == "bf16"


@needs_compiler
@torch.no_grad()
@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_compiled_blocks_give_what_the_others_give(folder: Path, name: str, precision: str) -> None:
    """Also from a state that another text has gone on from, and however often the cache grows."""
    plain, compiled = _pair(folder / name, precision)
    count = _calls(compiled)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, plain.tokenizer.vocab_size, (38,), generator=generator)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for model in (plain, compiled):
            steps = []
            hidden, state = model.network.step(tokens[None, :3], model.network.start(1, capacity=4))
            for token in tokens[3:]:
                model.network.step(token.view(1, 1) - 1, state)
                hidden, state = model.network.step(token.view(1, 1), state)
                steps.append(hidden[0, 0])
            if model is plain:
                expected = torch.stack(steps)
    _assert_close(torch.stack(steps), expected, precision)
    assert count == [2 * 2 * 35]  # layers, texts, tokens


@needs_compiler
@torch.no_grad()
@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_a_compiled_head_gives_what_the_other_gives(folder: Path, name: str, precision: str) -> None:
    plain, compiled = _pair(folder / name, precision)
    head, uncompiled = compiled.head_of_one, compiled.head
    assert head is not None
    hidden = torch.randn(3, plain.model_config.d_model).to(next(plain.network.parameters()).dtype)
    assert torch.equal(head(hidden), plain.head(hidden))
    with torch._dynamo.config.patch(error_on_recompile=True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(uncompiled), "__call__", None)  # it is left alone
        found = torch.cat([head(row[None]) for row in hidden])
    _assert_close(found, plain.head(hidden), precision)


@needs_compiler
@pytest.mark.parametrize("name", ["gpt", "llama", "gpt that reads two tokens", "gpt of another size"])
def test_writing_never_waits_for_the_compiler_again(folder: Path, name: str, precision: str) -> None:
    """Not for a text from nothing, longer than what is read together, or left over of several."""
    compiled = load(folder / name, "cpu", precision).compile()
    count = _calls(compiled)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for prompts in ([""], ["the cat"], ["the cat sees a dog", "a", ""]):
            compiled.generate(prompts, max_tokens=50, seed=3)
        for mode in (torch.inference_mode(), torch.autocast("cpu", torch.bfloat16)):  # it was not compiled for them
            with mode:
                compiled.generate("", max_tokens=5)
    assert count[0] > 0


@needs_compiler
def test_compiled_models_write_with_the_same_probabilities(folder: Path, precision: str) -> None:
    plain, compiled = _pair(folder / "gpt", precision)
    count = _calls(compiled)
    written = compiled.generate("the cat", max_tokens=20, seed=1, details=True)
    assert count[0] > 0
    tokens = [plain.tokenizer.bos_id, *plain.tokenizer.encode("the cat"), *written.tokens]
    logprobs = plain.logits(torch.tensor([tokens])).log_softmax(-1)[0, -len(written.tokens) - 1 : -1]
    expected = logprobs.gather(1, torch.tensor(written.tokens)[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(written.logprobs), expected.float(), rtol=0.0, atol=0.05)


@needs_compiler
def test_who_looks_inside_sees_a_compiled_model_too(folder: Path, precision: str) -> None:
    expected, found = (_recorded(model) for model in _pair(folder / "gpt", precision))
    assert "blocks.1.attention.weights" in found
    assert all(torch.equal(found[name], expected[name]) for name in [*expected, *found])


@torch.no_grad()
def _recorded(model: LanguageModel) -> dict[str, Tensor]:
    _, state = model.network.step(torch.tensor([[5]]), model.network.start(1))
    with Recorder(model.network) as recorder:
        model.network.step(torch.tensor([[6]]), state)
    return {name: value.value for name, value in recorder.values().items()}


@needs_compiler
def test_a_model_that_moves_is_compiled_anew(folder: Path) -> None:
    model = load(folder / "gpt", "cpu").compile()
    assert model.to("cpu", "bf16").network.compiled_block is None
    assert model.head_of_one is None
    assert model.compile().network.compiled_block is not None
    assert model.head_of_one is not None


@needs_compiler
def test_without_a_place_for_the_compiled_a_model_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch._dynamo.reset()
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "file" / "folder"))
    model = load(folder / "gpt", "cpu")
    with pytest.raises(ConfigError, match="the model cannot be compiled: "):
        model.compile()


def test_what_cannot_be_compiled_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="a moe cannot be compiled, gpt and llama can; leave --compile away"):
        load(folder / "moe", "cpu").compile()
    monkeypatch.setattr(LanguageModel, "device", torch.device("cuda", 1))  # a CPU pretends
    with pytest.raises(ConfigError, match="models are compiled for CPUs alone, found cuda:1; add --device cpu"):
        load(folder / "gpt", "cpu").compile()


def test_without_a_compiler_a_model_writes_as_before(folder: Path, precision: str) -> None:
    torch._dynamo.reset()
    plain, model = (load(folder / "gpt", "cpu", precision) for _ in range(2))
    nowhere = {"cpp.cxx": ("/nowhere/g++",), "force_disable_caches": True}
    with (
        torch._inductor.config.patch(nowhere),
        pytest.raises(ConfigError, match=r"the model cannot be compiled: No working C\+\+ compiler found.*; it takes"),
    ):
        model.compile()
    assert model.generate("the cat", max_tokens=3) == plain.generate("the cat", max_tokens=3)


@needs_compiler
def test_each_model_has_code_of_its_own(folder: Path) -> None:
    """Of whatever number, also where nothing but a constant tells one from another."""
    logits = []
    with torch._dynamo.config.patch(recompile_limit=1, fail_on_recompile_limit_hit=True):
        for eps in (1e-5, 0.1, 10.0):
            plain, compiled = (load(folder / "gpt", "cpu") for _ in range(2))
            for block in [*plain.network.blocks, *compiled.network.blocks]:
                block.attention_norm.eps = eps
            compiled.compile()
            count = _calls(compiled)
            found, expected = (_two_steps(model.network) for model in (compiled, plain))
            _assert_close(found, expected, "fp32")
            assert count == [2]
            logits.append(found)
    assert not torch.allclose(logits[0], logits[1])
    assert not torch.allclose(logits[1], logits[2])


@needs_compiler
@torch.no_grad()
def test_a_model_is_compiled_in_whatever_mode_and_after_a_reset_once_more(folder: Path) -> None:
    plain, in_inference, in_autocast, afterwards = (load(folder / "gpt", "cpu") for _ in range(4))
    with torch.inference_mode():
        in_inference.compile()
    with torch.autocast("cpu", torch.bfloat16):
        in_autocast.compile()
    afterwards.compile()
    torch._dynamo.reset()
    for compiled in (in_inference, in_autocast, afterwards):
        count = _calls(compiled)
        for before in (3, 8, 30):
            found, expected = (_two_steps(model.network, before) for model in (compiled, plain))
            _assert_close(found, expected, "fp32")
            head = compiled.head_of_one
            assert head is not None
            _assert_close(head(found[:, -1]), plain.head(expected[:, -1]), "fp32")
        assert count == [2 * 3]


@needs_compiler
def test_a_model_that_could_not_be_compiled_again_writes_as_before(folder: Path, precision: str) -> None:
    plain, compiled = _pair(folder / "gpt", precision)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keifu.layers.alone._compiled", None)
        with pytest.raises(TypeError):
            compiled.compile()
    assert compiled.generate("the cat", max_tokens=3) == plain.generate("the cat", max_tokens=3)


@torch.no_grad()
def _two_steps(network: Any, before: int = 1) -> Tensor:
    """What a network shows after a token that follows so many."""
    _, state = network.step(torch.arange(before)[None] % 5 + 3, network.start(1))
    hidden: Tensor = network.step(torch.tensor([[6]]), state)[0]
    return hidden


@needs_compiler
def test_compiled_blocks_serve_texts_of_any_length() -> None:
    """PyTorch sums more than 4,096 numbers otherwise, and would make code for them anew."""
    torch.manual_seed(0)
    sizes = {"d_model": 16, "n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "max_length": 5000}
    network = Llama(Config(vocab_size=8, **sizes)).eval()
    expected = _two_steps(network, before=4500)
    compile_for_one(network, VocabularyHead.beside(None, 8, 16))
    with torch._dynamo.config.patch(error_on_recompile=True):
        _assert_close(_two_steps(network, before=4500), expected, "fp32")
