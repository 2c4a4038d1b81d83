"""Source and target as a single stream: what is read, what is scored, and that nothing else changes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keifu.data.examples import Alignment, Pair
from keifu.errors import ConfigError
from keifu.generation.translation import Decoding, translate
from keifu.interface import TokenBatch
from keifu.models import gpt
from keifu.tasks.alignment import alignment_errors
from keifu.tasks.translation import Translation
from keifu.text import Tokenizer
from keifu.trace import record
from keifu.training.network import make_model
from tests.properties.cases import letters
from tests.properties.families import make_case
from tests.tiny import pairs

TEXTS = [text for pair in pairs(20) for text in (pair.source, pair.target)]
TASK = Translation(Tokenizer.train(TEXTS, "character", 100), takes="tokens")
_, _, BOS, EOS = range(4)


def ids(text: str) -> list[int]:
    return TASK.tokenizer.encode(text)


def test_a_row_is_the_source_bos_and_the_target_which_alone_is_scored() -> None:
    encoded = TASK.encode([Pair("I see", "私"), Pair("You", "君は見る"), Pair("", "私")])
    assert encoded.sizes.tolist() == [[5, 2], [3, 5], [0, 2]]
    assert TASK.sizes_read(encoded).tolist() == [[7], [8], [2]]
    batch = TASK.batch(encoded, encoded.rows())
    assert [row[real].tolist() for row, real in zip(*batch.inputs[:2], strict=True)] == [
        [*ids("I see"), BOS, *ids("私")],
        [*ids("You"), BOS, *ids("君は見る")],
        [BOS, *ids("私")],
    ]
    assert [row[scored].tolist() for row, scored in zip(batch.targets, batch.scored, strict=True)] == [
        [*ids("私"), EOS],
        [*ids("君は見る"), EOS],
        [*ids("私"), EOS],
    ]
    assert batch.scored.int().argmax(1).tolist() == [5, 3, 0]
    assert TASK.scored(batch) == 9


def test_a_source_that_leaves_no_room_for_its_translation_is_refused() -> None:
    config = gpt.Config(vocab_size=TASK.tokenizer.vocab_size, max_length=16, d_model=8, n_layers=1, n_heads=2)
    model = make_model(config).eval()
    head = TASK.head(model)
    (found,), (_,) = translate(model, head, TASK.tokenizer, ["I see ca", "I see"], Decoding(beam=2))
    assert len(ids("I see ca")) == 8
    assert len(found.tokens) <= 8
    with pytest.raises(
        ConfigError, match=r"^text 2, 'I see cat'\.\.\. has 9 tokens; this model reads 8 \(half of model\.max_length\)"
    ):
        translate(model, head, TASK.tokenizer, ["I see", "I see cat"], Decoding(beam=2), _unused)


def _unused() -> None:
    raise AssertionError("a batch is begun, though one of the texts cannot be translated")


def test_the_loss_is_that_of_the_target_after_the_source() -> None:
    case = make_case("lstm-attention", 0)
    task = Translation(letters(case.config.vocab_size), takes="tokens")
    head = task.head(case.model).double()
    encoded = task.encode([Pair("abc", "de"), Pair("a", "fgah"), Pair("bad", "c")])
    loss = task.loss(case.model, head, task.batch(encoded, encoded.rows()))
    expected = 0.0
    for source, target in zip(encoded.sources, encoded.targets, strict=True):
        whole = torch.tensor([[*source.tolist(), BOS, *target.tolist()]])
        hidden = case.model(TokenBatch(whole[:, :-1], torch.ones_like(whole[:, :-1], dtype=torch.bool))).hidden
        scores = head(hidden)[0, len(source) :]
        expected += F.cross_entropy(scores, whole[0, len(source) + 1 :], reduction="sum").item()
    assert loss.tokens == int(encoded.targets.lengths.sum())
    torch.testing.assert_close(loss.total.item(), expected, rtol=1e-10, atol=0)


def test_translations_are_what_reading_everything_anew_at_each_token_gives() -> None:
    case = make_case("gru-attention", 1)
    tokenizer = letters(case.config.vocab_size)
    head = Translation(tokenizer, takes="tokens").head(case.model).double()
    sources = ["abcd", "b", "dcbaab"]
    found = translate(case.model, head, tokenizer, sources, Decoding(beam=1, max_ratio=1.0))
    for source, [best] in zip(sources, found, strict=True):
        read, written = [*tokenizer.encode(source), BOS], []
        while len(written) < len(source) + 10:
            whole = torch.tensor([read + written])
            with torch.no_grad():
                hidden = case.model(TokenBatch(whole, torch.ones_like(whole, dtype=torch.bool))).hidden
            token = int(head(hidden)[0, -1].argmax())
            if token == EOS:
                break
            written.append(token)
        assert best.tokens == written


class Planted(nn.Module):
    """Attends as it is told: weights `[T, S]` over the stream."""

    def __init__(self, plan: Tensor) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.attention = nn.Module()
        self.plan = plan

    def forward(self, batch: TokenBatch) -> None:
        record(self.attention, "weights", self.plan[None, None], "B H T S")


def test_alignment_looks_from_the_target_to_the_source_alone() -> None:
    tokenizer = Tokenizer.train(["ab", "XY"], "character", 100)
    task = Translation(tokenizer, takes="tokens")
    crossed = Pair("ab", "XY", (), Alignment(((0, 1), (1, 2)), ((0, 1), (1, 2)), frozenset({(0, 1), (1, 0)})))
    # The stream is a b [BOS] X Y; rows 2 and 3 predict X and Y, most of whose weight lies on the target itself.
    plan = torch.zeros(5, 5)
    plan[2, :3] = torch.tensor([0.1, 0.2, 0.7])
    plan[3, :4] = torch.tensor([0.2, 0.1, 0.0, 0.7])
    assert alignment_errors(Planted(plan), task, [crossed]) == {"attention.weights": 0.0}
    plan[3, :2] = torch.tensor([0.1, 0.2])
    assert alignment_errors(Planted(plan), task, [crossed]) == {"attention.weights": 0.5}
