"""Texts in, translations out: in order, whatever stands in the same batch, within their limits."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from keifu.errors import ConfigError
from keifu.generation.translation import Decoding, Translated, translate
from keifu.models.transformer import Config, Transformer
from keifu.tasks.translation import Translation as Task
from tests.properties.cases import letters, scatter

TEXTS = ["abc", "a", "hgfedcba", "", "ce", "bbbbb", "  ", "gh", "fa", "dddd", "a", "hhhh", "bag", "fed", "cab", "ace"]


class Translator:
    """A small random model that ends its outputs at various lengths."""

    def __init__(self, position: str = "sinusoidal", max_length: int = 64) -> None:
        self.tokenizer = letters(12)
        config = Config.model_validate(
            {"vocab_size": 12, "d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 32, "dropout": 0.5}
            | {"position": position, "max_length": max_length, "tie_embeddings": False}
        )
        torch.manual_seed(1)
        self.model = Transformer(config)
        scatter(self.model, 1)
        self.head = Task(self.tokenizer).head(self.model)
        with torch.no_grad():
            self.head.weight[self.tokenizer.eos_id] *= 2
        self.model.double().eval()
        self.head.double()

    def __call__(self, texts: list[str], **decoding: Any) -> list[list[Translated]]:
        return translate(self.model, self.head, self.tokenizer, texts, Decoding(**decoding))


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator()


SEARCHES = [{"beam": 1}, {"beam": 2, "n_best": 2}, {"beam": 4, "n_best": 3, "length_penalty": 0.5}]


def assert_same(found: list[list[Translated]], expected: list[list[Translated]]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert [replace(best, score=0) for best in one] == [replace(best, score=0) for best in other]
        assert [best.score for best in one] == pytest.approx([best.score for best in other], abs=1e-5)


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_the_batch_changes_no_translation(translator: Translator, search: dict[str, Any]) -> None:
    together = translator(TEXTS, **search)
    assert len({bests[0].text for bests in together}) > 5
    assert_same([translator([text], **search)[0] for text in TEXTS], together)
    for size in (1, 2, 5):
        assert_same(translator(TEXTS, batch_size=size, **search), together)


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_results_stand_in_the_order_of_the_texts(translator: Translator, search: dict[str, Any]) -> None:
    expected = dict(zip(TEXTS, translator(TEXTS, **search), strict=True))
    for seed in range(3):
        order = torch.randperm(len(TEXTS), generator=torch.Generator().manual_seed(seed)).tolist()
        shuffled = [TEXTS[place] for place in order]
        assert_same(translator(shuffled, batch_size=4, **search), [expected[text] for text in shuffled])


@pytest.mark.parametrize("search", SEARCHES, ids=str)
@pytest.mark.parametrize("max_ratio", [0.5, 3.0])
def test_an_output_keeps_to_its_limit(translator: Translator, search: dict[str, Any], max_ratio: float) -> None:
    ends = set()
    for text, bests in zip(TEXTS, translator(TEXTS, max_ratio=max_ratio, **search), strict=True):
        limit = int((len(text) + 1) * max_ratio) + 10
        for best in bests:
            assert len(best.tokens) + best.complete <= limit
            assert best.complete or len(best.tokens) == limit
            assert translator.tokenizer.eos_id not in best.tokens
            assert best.text == translator.tokenizer.decode(best.tokens)
            ends.add(best.complete)
    assert True in ends


def test_the_score_is_that_of_the_tokens(translator: Translator) -> None:
    for penalty in (0.0, 1.0, 2.0):
        for beam in (1, 3):
            for text, [best] in zip(TEXTS, translator(TEXTS, beam=beam, length_penalty=penalty), strict=True):
                if not text.strip():
                    continue
                eos = translator.tokenizer.eos_id
                source = torch.tensor([[*translator.tokenizer.encode(text), eos]])
                output = [*best.tokens, eos] if best.complete else best.tokens
                state = translator.model.start(source, torch.ones_like(source, dtype=torch.bool))
                prompt = torch.tensor([[translator.tokenizer.bos_id, *output[:-1]]])
                with torch.no_grad():
                    likely = translator.head(translator.model.step(prompt, state)[0])[0].log_softmax(-1)
                total = sum(float(likely[t, token]) for t, token in enumerate(output))
                assert best.score == pytest.approx(total / len(output) ** penalty, abs=1e-5)


def test_a_text_without_words_gives_empty_translations(translator: Translator) -> None:
    nothing = Translated("", 0.0, [], True, "")
    assert translator(["", " \t"], beam=4, n_best=3) == [[nothing] * 3] * 2
    assert translator([]) == []


def test_a_longer_penalty_favours_longer_outputs(translator: Translator) -> None:
    def mean(penalty: float) -> float:
        found = translator(TEXTS, beam=6, length_penalty=penalty)
        return sum(len(best.tokens) for [best] in found) / len(found)

    lengths = [mean(penalty) for penalty in (0.0, 1.0, 4.0)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_dropout_is_off_and_no_gradient_is_kept(translator: Translator) -> None:
    assert translator(TEXTS) == translator(TEXTS)
    translator(TEXTS)
    assert all(parameter.grad is None for parameter in translator.model.parameters())


def test_learned_positions_bound_sources_and_outputs() -> None:
    translator = Translator("learned", max_length=9)
    for beam in (1, 3):
        for [best] in translator(["abcdefgh", "a"], beam=beam):
            assert len(best.tokens) + best.complete <= 9
    with pytest.raises(ConfigError, match=r"has 10 tokens.*9"):
        translator(["a", "abcdefgha"])


@pytest.mark.parametrize("wrong", [{"beam": 0}, {"beam": 2, "n_best": 3}, {"max_ratio": 0.0}, {"length_penalty": -1.0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"beam|n_best|max_ratio|length_penalty"):
        Decoding(**wrong)
