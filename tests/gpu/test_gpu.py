"""A GPU computes what the CPU computes: every model, its gradients, its steps, its training, its texts."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from keifu.config import merge
from keifu.layers.attention import attend, attention, causal_mask, scaled_dot_product
from keifu.layers.losses import cross_entropy
from keifu.session import load, train
from keifu.training.loop import Checkpoint
from keifu.training.network import named_parameters
from keifu.training.start import prepare, resume
from tests.properties.cases import Case
from tests.properties.families import FAMILIES, make_case
from tests.small_text import write_text
from tests.tiny import TINY

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")

GPU = "cuda"


def moved(value: Any) -> Any:
    """The same on the GPU."""
    if isinstance(value, Tensor):
        return value.to(GPU)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(moved, value))
    return value


def outputs_and_gradients(case: Case, batch: Any) -> list[Tensor]:
    """What every side came to, and the gradient of the mean of its squares for every weight that it hangs on."""
    case.model.zero_grad()
    outputs = list(case.inputs.outputs(case.model, batch).values())
    torch.stack([output.square().mean() for output in outputs]).sum().backward()
    gradients = [each.grad for each in case.model.parameters() if each.grad is not None]
    return [each.detach().cpu() for each in (*outputs, *gradients)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FAMILIES)
def test_vectors_and_gradients_are_those_of_the_cpu(name: str, seed: int) -> None:
    case = make_case(name, seed)
    batch = case.inputs.batch(*case.padded(case.examples(3, longest=7)))
    expected = outputs_and_gradients(case, batch)
    case.model.to(GPU)
    torch.testing.assert_close(outputs_and_gradients(case, moved(batch)), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in FAMILIES if hasattr(make_case(name, 0).model, "step")])
def test_steps_come_to_what_reading_at_once_does(name: str) -> None:
    case = make_case(name, 1)
    case.model.to(GPU)
    tokens, masks = ({side: each.to(GPU) for side, each in sides.items()} for sides in case.padded(case.examples(3)))
    written = case.inputs.written
    with torch.no_grad():
        whole = case.inputs.outputs(case.model, case.inputs.batch(tokens, masks))[written]
        state, steps = case.inputs.start(case.model, tokens, masks, 64), []
        for place in range(tokens[written].shape[1]):
            hidden, state = case.model.step(tokens[written][:, place : place + 1], state)
            steps.append(hidden)
    real = masks[written]
    torch.testing.assert_close(torch.cat(steps, 1)[real], whole[real], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(40, 40), (300, 300), (1, 40), (7, 40)])
def test_the_causal_kernel_is_the_written_out_form(size: tuple[int, int], dtype: torch.dtype) -> None:
    queries, keys = size
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 4, queries, 16), (2, 2, keys, 16), (2, 2, keys, 16))
    query, key, value = (torch.randn(shape, generator=generator).to(GPU, dtype) for shape in shapes)
    mask = causal_mask(queries, keys, query.device)
    found = attention(query, key, value, mask, at=torch.nn.Module())
    key, value = (each.double().repeat_interleave(2, dim=1) for each in (key, value))
    expected = attend(scaled_dot_product(query.double(), key), value, mask, torch.nn.Module())[1]
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5 if dtype == torch.float32 else 3e-2)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_and_its_gradient_are_those_of_the_cpu(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(300, 8, generator=generator), torch.randn(50, 8, generator=generator)
    targets = torch.randint(50, (300,), generator=generator)
    results = []
    for device in ("cpu", GPU):
        inputs = [each.detach().to(device).requires_grad_() for each in (hidden, weight)]
        smoothed, plain = cross_entropy(*inputs, targets.to(device), smoothing)
        smoothed.backward()
        grads = [each.grad for each in inputs]
        results.append([each.cpu() for each in (smoothed.detach(), plain, *grads) if each is not None])
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-4)


def overrides(**training: Any) -> dict[str, Any]:
    more = {"model": {"d_model": 32, "d_ff": 64}, "training": {"batch_tokens": 1000, "evaluate_on": 6, "device": GPU}}
    return merge(merge(TINY, more), {"training": training})


def test_what_was_trained_there_translates_alike_on_both(corpus: str, tmp_path: Path) -> None:
    run = train("translation", corpus, out=tmp_path / "run", max_steps=120, overrides=overrides())
    sentences = ["I see cats.", "They like birds and fish.", "You draw dogs."]
    there, here = (load(run.path, device) for device in (GPU, "cpu"))
    assert next(there.network.parameters()).is_cuda
    assert there.translate(sentences, beam=4) == here.translate(sentences, beam=4)
    assert there.translate(sentences, beam=1) == ["私は猫を見る。", "彼らは鳥と魚を好む。", "君は犬を描く。"]


def test_a_run_that_was_stopped_there_goes_on_there(corpus: str, tmp_path: Path) -> None:
    """Sums on a GPU come in any order, so not to the bit."""
    settings = overrides(evaluate_every=10)
    runs = [prepare("translation", corpus, out=tmp_path / name, max_steps=40, overrides=settings) for name in "ab"]
    list(runs[0].events())
    for event in runs[1].events():
        if isinstance(event, Checkpoint) and event.step == 20:
            break
    again = resume(tmp_path / "b")
    assert again.learner.step == 20
    list(again.events())
    assert next(again.learner.model.parameters()).is_cuda
    expected, found = (dict(named_parameters(run.learner.model, run.learner.head)) for run in (runs[0], again))
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["lstm", "lstm-attention", "gpt", "llama", "moe"])
def test_a_language_model_learns_and_writes_there(name: str, precision: str, tmp_path: Path) -> None:
    rng = random.Random(0)
    words = [" ".join(rng.choice(["the cat sat", "the dog ran", "a bird sang"]) for _ in range(3)) for _ in range(200)]
    spec = write_text(tmp_path / "a.txt", "".join(f"{line}\n" for line in words))
    settings = {
        "model": {"d_model": 64, "n_layers": 1, "dropout": 0.1},
        "data": {"tokenizer": "character"},
        "training": {"batch_tokens": 500, "device": GPU, "precision": precision, "evaluate_every": 100},
    }
    run = train("language-modeling", spec, name, out=tmp_path / "run", max_steps=200, overrides=settings)
    there, here = (load(run.path, device) for device in (GPU, "cpu"))
    options: dict[str, Any] = {"max_tokens": 30, "seed": 3, "temperature": 0.5}
    written = there.generate(["the cat"], **options)
    assert written == here.generate(["the cat"], **options)
    assert any(phrase in written[0] for phrase in ("cat sat", "dog ran", "bird sang"))
