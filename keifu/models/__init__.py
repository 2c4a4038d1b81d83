"""The family tree: every architecture, in order of descent, with where it comes from and what it added."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Ancestor:
    """One entry of the lineage. `module` and `cls` name its class; nothing is imported until `architecture` is
    called.
    """

    name: str
    module: str
    cls: str
    year: int
    paper: str
    added: str
    tasks: tuple[str, ...]


LINEAGE: dict[str, Ancestor] = {
    ancestor.name: ancestor
    for ancestor in (
        # By year.
        Ancestor(
            "flat",
            "keifu.models.flat",
            "FlatNetwork",
            1986,
            "Rumelhart, Hinton and Williams, Learning representations by back-propagating errors",
            "a picture's numbers as one vector, and layers that learn what to look for in it",
            ("image-classification",),
        ),
        # Gers et al. gave the LSTM its forget gate in 2000; nobody uses it without.
        Ancestor(
            "rnn",
            "keifu.models.recurrent",
            "RecurrentNetwork",
            1990,
            "Elman, Finding Structure in Time",
            "a state handed on along the sequence, so that what was read before counts, however long ago",
            ("language-modeling", "classification", "tagging", "question-answering", "image-classification"),
        ),
        Ancestor(
            "lstm",
            "keifu.models.recurrent",
            "RecurrentNetwork",
            1997,
            "Hochreiter and Schmidhuber, Long Short-Term Memory; forget gate: Gers et al. 2000",
            "a cell beside the state, and gates that say what enters it, stays and is shown: it remembers for longer",
            ("language-modeling", "classification", "tagging", "question-answering", "image-classification"),
        ),
        Ancestor(
            "gru",
            "keifu.models.recurrent",
            "RecurrentNetwork",
            2014,
            "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder",
            "two gates and no cell: an LSTM made simpler",
            ("language-modeling", "classification", "tagging", "question-answering", "image-classification"),
        ),
        Ancestor(
            "rnn-seq2seq",
            "keifu.models.seq2seq",
            "Seq2Seq",
            2014,
            "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder",
            "a reader whose last state starts a writer: from one sequence to another through one vector",
            ("translation",),
        ),
        Ancestor(
            "gru-seq2seq",
            "keifu.models.seq2seq",
            "Seq2Seq",
            2014,
            "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder",
            "the same made of GRUs",
            ("translation",),
        ),
        Ancestor(
            "lstm-seq2seq",
            "keifu.models.seq2seq",
            "Seq2Seq",
            2014,
            "Sutskever et al., Sequence to Sequence Learning with Neural Networks",
            "the same made of LSTMs, in several layers",
            ("translation",),
        ),
        Ancestor(
            "rnn-seq2seq-attention",
            "keifu.models.seq2seq_attention",
            "Seq2SeqAttention",
            2015,
            "Bahdanau et al., Neural Machine Translation by Jointly Learning to Align and Translate; Luong et al. 2015",
            "attention: the writer looks back at all that was read, and chooses anew at every step",
            ("translation",),
        ),
        Ancestor(
            "gru-seq2seq-attention",
            "keifu.models.seq2seq_attention",
            "Seq2SeqAttention",
            2015,
            "Bahdanau et al., Neural Machine Translation by Jointly Learning to Align and Translate; Luong et al. 2015",
            "the same made of GRUs",
            ("translation",),
        ),
        Ancestor(
            "lstm-seq2seq-attention",
            "keifu.models.seq2seq_attention",
            "Seq2SeqAttention",
            2015,
            "Bahdanau et al., Neural Machine Translation by Jointly Learning to Align and Translate; Luong et al. 2015",
            "the same made of LSTMs",
            ("translation",),
        ),
        Ancestor(
            "memory-network",
            "keifu.models.memory_network",
            "MemoryNetwork",
            2015,
            "Sukhbaatar et al., End-To-End Memory Networks",
            "facts kept apart in a memory, read in several hops by their likeness to the question",
            ("question-answering",),
        ),
        Ancestor(
            "rnn-attention",
            "keifu.models.recurrent_attention",
            "RecurrentAttention",
            2016,
            "Cheng et al., Long Short-Term Memory-Networks for Machine Reading; Daniluk et al. 2017",
            "attention to the chain's own past: each block makes a query, a key and a value of what it shows",
            ("language-modeling", "translation"),
        ),
        Ancestor(
            "gru-attention",
            "keifu.models.recurrent_attention",
            "RecurrentAttention",
            2016,
            "Cheng et al., Long Short-Term Memory-Networks for Machine Reading; Daniluk et al. 2017",
            "the same made of GRUs",
            ("language-modeling", "translation"),
        ),
        Ancestor(
            "lstm-attention",
            "keifu.models.recurrent_attention",
            "RecurrentAttention",
            2016,
            "Cheng et al., Long Short-Term Memory-Networks for Machine Reading; Daniluk et al. 2017",
            "the same made of LSTMs",
            ("language-modeling", "translation"),
        ),
        Ancestor(
            "transformer",
            "keifu.models.transformer",
            "Transformer",
            2017,
            "Vaswani et al., Attention Is All You Need",
            "attention replaces recurrence in encoder and decoder; several heads; positions added to tokens",
            ("translation", "classification", "tagging", "question-answering"),
        ),
        Ancestor(
            "gpt",
            "keifu.models.gpt",
            "GPT",
            2019,
            "Radford et al., Language Models are Unsupervised Multitask Learners (GPT-2); the first GPT: 2018",
            "the decoder alone, which predicts the next token of any text; norms before the sublayers",
            ("language-modeling", "translation"),
        ),
        Ancestor(
            "bert",
            "keifu.models.bert",
            "Bert",
            2019,
            "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
            "the encoder alone, taught by text without labels: to tell masked words and sentences that belong together",
            ("masked-lm", "classification", "tagging", "question-answering"),
        ),
        Ancestor(
            "bert-seq2seq",
            "keifu.models.bert_seq2seq",
            "BertSeq2Seq",
            2020,
            "Rothe et al., Leveraging Pre-trained Checkpoints for Sequence Generation Tasks",
            "a translator both of whose sides begin with a pre-trained BERT",
            ("translation",),
        ),
        Ancestor(
            "vit",
            "keifu.models.vit",
            "VisionTransformer",
            2021,
            "Dosovitskiy et al., An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
            "patches of a picture in place of words: the Transformer's encoder sees",
            ("image-classification",),
        ),
        Ancestor(
            "llama",
            "keifu.models.llama",
            "Llama",
            2023,
            "Touvron et al., LLaMA: Open and Efficient Foundation Language Models; shared keys: Llama 2, 2023",
            "a GPT with RMSNorm, rotary positions, SwiGLU and keys shared by groups of heads, without biases",
            ("language-modeling", "translation"),
        ),
        Ancestor(
            "moe",
            "keifu.models.moe",
            "MixtureOfExperts",
            2024,
            "Jiang et al., Mixtral of Experts; Fedus et al., Switch Transformers, 2021",
            "several feed-forward networks in each block, of which every token takes the few that suit it",
            ("language-modeling", "translation"),
        ),
    )
}


def heir(name: str, task: str) -> str:
    """The model that does the task with this one's weights: itself, or one that is made of it."""
    other = f"{name}-seq2seq"
    does = task in LINEAGE[name].tasks if name in LINEAGE else False
    return other if not does and other in LINEAGE and task in LINEAGE[other].tasks else name


def model_class(name: str) -> Any:
    """The class of a lineage entry."""
    return getattr(architecture(name), LINEAGE[name].cls)


def architecture(name: str) -> ModuleType:
    """The module of a lineage entry: its `Config`, its `PRESETS` and its class."""
    return import_module(LINEAGE[name].module)
