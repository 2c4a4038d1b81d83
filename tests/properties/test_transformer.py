"""What only the Transformer promises: its settings, its positions, and a memory kept once a sentence."""

import pytest
import torch
from pydantic import ValidationError

from keifu.errors import ConfigError
from keifu.models.transformer import PRESETS, Config, Transformer
from tests.properties.cases import Case
from tests.properties.families import make_case


@pytest.fixture(params=range(2))
def made(request: pytest.FixtureRequest) -> Case:
    return make_case("transformer", request.param)


def test_a_beam_reads_a_memory_that_is_kept_once_a_sentence(made: Case) -> None:
    state = made.start(made.examples(3))
    for rows, sentences in (
        ([0, 0, 0, 1, 1, 1, 2, 2, 2], 3),
        ([2, 0, 1, 3, 3, 5, 8, 8, 8], 3),
        ([0, 1, 2, 6, 7, 8], 2),
        ([5, 4, 3], 1),
    ):
        before = state
        state = state.select(torch.tensor(rows))
        assert {part.shape[0] for layer in state.memory for part in layer} == {sentences}
        if sentences == 3:  # nothing is copied while beams stay with their sentences
            assert state.memory is before.memory
            assert state.cache.storage is before.cache.storage


def test_a_state_may_lose_all_rows_but_one(made: Case) -> None:
    state = made.start(made.examples(3))
    _, state = made.step([[1], [2], [3]], state)
    one = state.select(torch.tensor([1]))
    assert one.cache.lengths.tolist() == [1]
    assert one.cache.groups == 1


def test_learned_positions_end_and_say_so() -> None:
    model = Transformer(Config(vocab_size=9, d_model=8, n_heads=2, position="learned", max_length=4)).eval()
    assert model.longest == 4
    tokens, real = torch.ones(1, 4, dtype=torch.long), torch.ones(1, 5, dtype=torch.bool)
    state = model.start(tokens, real[:, :4])
    _, state = model.step(tokens, state)
    with pytest.raises(ConfigError, match=r"5 tokens: learned positions reach 4"):
        model.step(tokens[:, :1], state)
    with pytest.raises(ConfigError, match=r"5 tokens"):
        model.encode(torch.ones(1, 5, dtype=torch.long), real)


def test_waves_go_on_past_max_length() -> None:
    model = Transformer(Config(vocab_size=9, d_model=8, n_heads=2, max_length=4)).eval()
    assert model.longest is None
    assert model.encode(torch.ones(1, 50, dtype=torch.long), torch.ones(1, 50, dtype=torch.bool)).isfinite().all()


def test_sides_share_one_matrix_only_where_tied() -> None:
    tied = Transformer(Config(vocab_size=9, d_model=8, n_heads=2))
    assert tied.source_embedding.tokens is tied.target_embedding.tokens is tied.output_embedding
    untied = Transformer(Config(vocab_size=9, d_model=8, n_heads=2, tie_embeddings=False))
    assert untied.source_embedding.tokens is not untied.target_embedding.tokens
    assert untied.output_embedding is None


def test_dropout_is_drawn_at_every_sublayer_and_both_embeddings() -> None:
    model = Transformer(Config(vocab_size=9, d_model=8, n_heads=2, n_layers=2, dropout=0.5)).train()
    calls = []
    for block in [model, *model.encoder, *model.decoder]:
        block.dropout.register_forward_hook(lambda module, inputs, output: calls.append(module))
    tokens, real = torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool)
    from_batch = {"source": tokens, "target": tokens}, {"source": real, "target": real}
    model(make_case("transformer", 0).inputs.batch(*from_batch))
    assert calls.count(model.dropout) == 2
    assert [calls.count(block.dropout) for block in model.encoder] == [2, 2]
    assert [calls.count(block.dropout) for block in model.decoder] == [3, 3]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_sound(preset: str) -> None:
    assert Config(**PRESETS[preset]).d_model % Config(**PRESETS[preset]).n_heads == 0


def test_heads_must_divide_the_width_unless_theirs_is_given() -> None:
    with pytest.raises(ValidationError, match=r"d_model 10 is not a multiple of n_heads 3"):
        Config(d_model=10, n_heads=3)
    assert Config(d_model=10, n_heads=3, d_head=4).d_head == 4


@torch.no_grad()
def test_without_positions_the_encoder_knows_no_order() -> None:
    torch.manual_seed(0)
    model = Transformer(Config(vocab_size=9, d_model=8, n_heads=2, position="none")).double().eval()
    tokens, order = torch.tensor([[4, 5, 6, 7, 8]]), torch.tensor([3, 0, 4, 2, 1])
    mask = torch.ones(1, 5, dtype=torch.bool)
    encoded = model.encode(tokens, mask)
    torch.testing.assert_close(model.encode(tokens[:, order], mask), encoded[:, order], rtol=0, atol=1e-12)
    assert model.longest is None
