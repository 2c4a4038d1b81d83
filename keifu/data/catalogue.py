"""Public data sets by name: where they come from, how they are checked, and under which terms they stand."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keifu.data.cache import cache_folder
from keifu.data.download import Progress, download, ignore
from keifu.errors import ConfigError, DataError

_ENJA = "https://raw.githubusercontent.com/odashi/small_parallel_enja/312408a11c5fbcbc09443bebb18121f7efdcd61e/"
_MULTI30K = (
    "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/"
)

BUILT_IN = {
    "builtin:enja": ("translation", "a grammar's English sentences, each with its one Japanese translation"),
    "builtin:stories": (
        "question-answering",
        "stories of a house with questions, answers and the facts that lead to them",
    ),
}
"""Of every corpus that comes with keifu its task, and what it holds."""

ALIASES = {"val": "dev", "valid": "dev", "test_2016": "test"}
"""What others call the parts."""


@dataclass(frozen=True)
class File:
    """path: below a folder of data. address: of the file, packed where it ends in .gz; behind a # the file's place in
    an archive, which is fetched by hand. sha256, size: unpacked.
    """

    path: str
    address: str
    sha256: str
    size: int


@dataclass(frozen=True)
class DataSet:
    """parts: of each, its file, or those of the `languages` in their order. shares: of a set that is one file, where
    among its characters (of a treebank, its sentences) each part begins and ends. note: what has to be known to use
    it well.
    """

    name: str
    summary: str
    task: str
    languages: tuple[str, ...]
    parts: Mapping[str, tuple[File, ...]]
    licence: str
    citation: str
    homepage: str
    note: str = ""
    shares: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def files(self) -> tuple[File, ...]:
        """Every file of its parts, once."""
        return tuple(dict.fromkeys(file for part in self.parts.values() for file in part))


def task_of(spec: str) -> str:
    """What data are for, where a set's name or a folder says it; else translation."""
    first = re.split(r"[+\[]", spec)[0]
    corpus, name = ":".join(first.split(":")[:2]), first.split(":")[0]
    if corpus in BUILT_IN:
        return BUILT_IN[corpus][0]
    if name in CATALOGUE:
        return CATALOGUE[name].task
    return "image-classification" if os.path.isdir(first) else "translation"


def find(data_set: DataSet, part: str, on_progress: Progress = ignore) -> tuple[Path, ...]:
    """The files of a part: in $KEIFU_DATA, in the cache, or from their address into the cache.

    Raises ConfigError for a part that does not exist, DataError where a file is not what it should be or cannot be
    had.
    """
    if part not in data_set.parts:
        raise ConfigError(f"{data_set.name}: no part {part!r}; it has {', '.join(data_set.parts)}")
    return tuple(_find(file, on_progress) for file in data_set.parts[part])


def whereabouts(file: File) -> str:
    """Where a file would come from now: "$KEIFU_DATA", "cache" or "address"."""
    local = _local(file)
    if local is not None and local.exists():
        return "$KEIFU_DATA"
    return "cache" if (cache_folder() / file.path).exists() else "address"


def _find(file: File, on_progress: Callable[[str, int, int], None]) -> Path:
    local, cached = _local(file), cache_folder() / file.path
    for path in (local, cached):
        if path is not None and path.exists():
            return _checked(path, file)
    archive, _, member = file.address.partition("#")
    if member:
        raise DataError(
            f"{file.path}: not at hand; fetch {archive}, and put its file {member} at $KEIFU_DATA/{file.path}, or at "
            f"{cached}"
        )
    download(file.address, file.sha256, file.size, cached, on_progress, f"$KEIFU_DATA/{file.path}")
    return cached


def _local(file: File) -> Path | None:
    folder = os.environ.get("KEIFU_DATA")
    if not folder:
        return None
    if not os.path.isdir(folder):
        raise ConfigError(f"$KEIFU_DATA is {folder}: no such folder; correct it, or unset it")
    return Path(folder) / file.path


def _checked(path: Path, file: File) -> Path:
    try:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if found != file.sha256:
        raise DataError(
            f"{path}: not the file that this set is made of (SHA-256 {found[:12]}..., expected {file.sha256[:12]}...); "
            "remove it and it is fetched again, or name the file itself as data"
        )
    return path


def _pair(folder: str, stem: str, address: str, files: dict[str, tuple[str, int]]) -> tuple[File, ...]:
    return tuple(
        File(f"{folder}/{stem}.{language}", address.format(language), digest, size)
        for language, (digest, size) in files.items()
    )


_MULTI30K_FILES = {
    ("train", "en"): ("460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6", 1_801_238),
    ("train", "de"): ("2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72", 2_110_398),
    ("train", "fr"): ("5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d", 2_111_303),
    ("val", "en"): ("1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227", 63_297),
    ("val", "de"): ("660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660", 75_981),
    ("val", "fr"): ("5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc", 73_924),
    ("test_2016", "en"): ("399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182", 62_076),
    ("test_2016", "de"): ("4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16", 70_649),
    ("test_2016", "fr"): ("cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6", 72_261),
}


def _multi30k(source: str, target: str, languages: str) -> DataSet:
    stems = {"train": ("train", "train"), "dev": ("val", "val"), "test": ("test_2016", "test_2016_flickr")}
    parts = {}
    for part, (stem, upstream) in stems.items():
        files = {language: _MULTI30K_FILES[stem, language] for language in (source, target)}
        parts[part] = _pair("multi30k", stem, f"{_MULTI30K}{upstream}.{{}}.gz", files)
    return DataSet(
        name=f"multi30k-{source}-{target}",
        summary=f"29,000 image captions, {languages}",
        task="translation",
        languages=(source, target),
        parts=parts,
        licence="the upstream project's terms (research use)",
        citation="Elliott, Frank, Sima'an, Specia 2016: Multi30K: Multilingual English-German Image Descriptions",
        homepage="https://github.com/multi30k/dataset",
    )


_SHARES = {"train": (0.0, 0.855), "dev": (0.855, 0.9), "test": (0.9, 1.0)}
"""Of a running text: the last tenth is for tests, the twentieth before it for choosing."""


def _running_text(name: str, file: File, **more: str) -> DataSet:
    parts = dict.fromkeys(_SHARES, (file,))
    return DataSet(name=name, task="language-modeling", languages=(), parts=parts, shares=_SHARES, **more)


_BABI_ARCHIVE = "https://dl.fbaipublicfiles.com/babi/tasks_1-20_v1-2.tar.gz"
_BABI_FOLDER = "tasks_1-20_v1-2/en-valid-10k"
_BABI = (
    "one supporting fact", "two supporting facts", "three supporting facts", "relations of two arguments",
    "relations of three arguments", "yes/no questions", "counting", "lists", "simple negation", "indefinite knowledge",
    "basic coreference", "conjunction", "compound coreference", "reasoning about time", "basic deduction",
    "basic induction", "reasoning about positions", "reasoning about size", "finding a path", "motivations of agents",
)  # fmt: skip
"""What each task is about, by its number from 1."""
_BABI_FILES = {
    (1, "train"): ("6f3dad60b5001427caf740404d6106aaea7257dc8e75a73afd4289475bed705a", 849_711),
    (1, "valid"): ("a7a41a89ca009b00cd5869bb949f47bb21c3b5c4df424cd1795a5e6067f0562e", 94_537),
    (2, "train"): ("e074f5119e67bca02338882e5fc50616a271d824dfde977f9c643fd3fa8748c5", 1_609_314),
    (2, "valid"): ("cf3cb2877eada0bff7e84fe0cbbcc70fb45ea855c583fe963c6eb25c426726cc", 185_402),
    (3, "train"): ("3177a5aa6de0b6a0f83a341f0929c5a0db85239cffa615dcf6fd36bd28e10258", 473_501),
    (3, "valid"): ("8da018e1b079299c25b34c62a509cde6b9820735c398357e69d1d72a1cc54537", 536_060),
    (4, "train"): ("2cf269f9ccfe792e50ac4c364f9ea9f6dabf23c64b8826e25c884b2e4ca2a678", 1_057_457),
    (4, "valid"): ("6864535aa47280f2486d93d0f5e209c0e720a97cdcdd0ed406e63929c7c28845", 117_608),
    (5, "train"): ("998903406d464de7cfe622549bc7040403211da8e09891a9538d8de4858edf44", 1_910_902),
    (5, "valid"): ("db165e176ce585ee745fb797386fc9c28512eb28060fde810c77b76ac530cbe2", 211_511),
    (6, "train"): ("d3c276fd8041efb264e8589edea4f8f90488464b5ddf04fa163264711836636d", 902_949),
    (6, "valid"): ("58b488903ec1a1f1bf98f003a383d78976cebff02fef9a3f4d7a5ece442c3105", 100_263),
    (7, "train"): ("3c1cfb0290981d2d4abeb37376522f3c21e51ffa310d19093a1a8efb7ee77223", 1_209_816),
    (7, "valid"): ("f8fe1ebb0707269e059f6c874024d896e96eb4b3d03a001d9589487cdb6e51dd", 135_459),
    (8, "train"): ("4da116c3265b9ba97f3dc9cb97f463632f21f7e5e752a6a3deeb364cb683b7ae", 1_130_022),
    (8, "valid"): ("03d2192ae6603df0841d250a9619f25ce1e6c70ade67c8d4c3dcdcda56af9632", 126_345),
    (9, "train"): ("186733a0526ff52c6761642bc57092fcbde75b408dc33c6521d8ccecff53b147", 873_877),
    (9, "valid"): ("62c8156c69a2f399db0e4454ef174328d2b70ad7dab4a6ef834dfc312862e700", 97_296),
    (10, "train"): ("3c4285c3f6e45fd85ba3944ca58b860c91ed44f1ed394723c7e268048e2f251c", 897_376),
    (10, "valid"): ("df0a8d20028b11700862faec7dda64956d84a36e590e0eb2ea6188271bcf464b", 100_259),
    (11, "train"): ("8217e55886155843be48d06b53c8e990b876cd99c6fce048e33b55f1f9a159f0", 941_465),
    (11, "valid"): ("4b7c481dddd99bce8015425463cf9bac68cc55d19537b72cd1dca0910512ab61", 104_674),
    (12, "train"): ("d470857a0b3e0d4d92da39bc656053b35c990e14a1fa60761b707aa19eefb2c6", 1_030_158),
    (12, "valid"): ("985abac1f0d2a166c29984dad03c170b93e671c5e99c5628a80271f782bbf157", 114_547),
    (13, "train"): ("93b8ea332cdc791f74520d8f6f456a90dec5e216c6e73f065d11bfbbd9673827", 1_046_518),
    (13, "valid"): ("8bcc1a09ad8bc7dbba32cc241879045a0a58daee0fd90082b57105bb5a6e0e50", 116_591),
    (14, "train"): ("2eb60c0c728d9888f78d641322848b8ca2359272e1b8c2b974e9e51b15f7246e", 1_357_383),
    (14, "valid"): ("00169215f1f0bf995c556611b55d344a1a1d3f502ed71ff7c881e2da7e703afc", 149_200),
    (15, "train"): ("1aa31d576e196ad37f3802d1e6639c61417c31d720e8289353b145fb6af2db9d", 789_575),
    (15, "valid"): ("6fa344c75562d126fb56438ce993a8dbc630cd9e199a007d6ede4b005e6234e4", 87_783),
    (16, "train"): ("5e6cbdcf78706889d066e7d4ef606a9eb9ad7e1d1fc33c4b406222f3f98aad4a", 1_874_404),
    (16, "valid"): ("014ad9bb6f5f4a0141553f0e707a9a4e13fa617208888f15ea65f3ff9195b6d5", 208_400),
    (17, "train"): ("523425b8627312b9e169af60e46289f67e33358fe8f8a1efe2a365d06ad6ad1d", 615_425),
    (17, "valid"): ("0f391eeb822e60d5a187b8456c58f2d75481a4c37bbf36047809b4f5ca824350", 68_868),
    (18, "train"): ("29901ebd6831d8e19f452d98aec10f8ad0c40488ff56f8153a77cedbeeb1da23", 952_295),
    (18, "valid"): ("a41d67b4056c373247fbb03840688e4ff199a04b32d6f28fe684118a7d8381e8", 105_965),
    (19, "train"): ("59854cc0f60642e16f5c8d887dd4d4b1a44b072e2499f1605119f0f88309097d", 2_227_487),
    (19, "valid"): ("b188a6a68134cc3662e8b4efa1e0d8d1e594400063c69b4f090f9a5825593719", 247_559),
    (20, "train"): ("d3176fc7c5f2c337e1d74e69dd17954d85f4c19585c5687d5963a9733ddd36da", 610_924),
    (20, "valid"): ("ee57599d71919d00b2e864537c104cacb09432aa35a2a483e9ead323c6511ac4", 67_727),
}
"""SHA-256 and size of each task's file, by its part upstream."""


def _babi(number: int) -> dict[str, tuple[File, ...]]:
    def file(part: str) -> File:
        name = f"qa{number}_{part}.txt"
        return File(f"babi/{name}", f"{_BABI_ARCHIVE}#{_BABI_FOLDER}/{name}", *_BABI_FILES[number, part])

    return {"train": (file("train"),), "dev": (file("valid"),)}


def _babi_set(name: str, summary: str, parts: Mapping[str, tuple[File, ...]]) -> DataSet:
    return DataSet(
        name=name,
        summary=summary,
        task="question-answering",
        languages=(),
        parts=parts,
        licence="CC BY 3.0",
        citation="Weston et al. 2015: Towards AI-Complete Question Answering: A Set of Prerequisite Toy Tasks",
        homepage="https://github.com/facebookarchive/bAbI-tasks",
        note="folder en-valid-10k of version 1.2, whose valid is dev; to be fetched by hand, as keifu download says",
    )


def _all_of_babi() -> tuple[DataSet, ...]:
    tasks = {number: _babi(number) for number in range(1, len(_BABI) + 1)}
    joined = {part: tuple(files[part][0] for files in tasks.values()) for part in ("train", "dev")}
    single = (
        _babi_set(f"babi-{number}", f"bAbI task {number}: {_BABI[number - 1]}", tasks[number]) for number in tasks
    )
    return (*single, _babi_set("babi", "the 20 tasks of bAbI together: stories with 171,898 questions", joined))


_SST2 = (
    "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/"
    "1ab8411a978bb0a7424b493e574f40ea58ab49ad/data/SST2/"
)
_UD = "https://raw.githubusercontent.com/UniversalDependencies/"
_UD_SHARES = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}
"""Of a treebank's sentences: the parts that are here are upstream's dev files, small ones, divided anew."""


def _treebank(name: str, file: File, **more: Any) -> DataSet:
    parts = dict.fromkeys(_UD_SHARES, (file,))
    return DataSet(
        name=name,
        task="tagging",
        parts=parts,
        shares=_UD_SHARES,
        licence="CC BY-SA 4.0",
        note="upstream's dev file: its first eight tenths are train, a tenth each dev and test",
        **more,
    )


_SETS = (
    DataSet(
        name="enja",
        summary="50,000 short everyday sentences, English and Japanese",
        task="translation",
        languages=("en", "ja"),
        parts={
            "train": _pair(
                "enja",
                "train",
                _ENJA + "train.{}",
                {
                    "en": ("148b05dcd28638fe20ee84f2b1127001c80982be352007dda241fb759adadc76", 1_701_356),
                    "ja": ("fc81a1434349ec98a449d7ae9cd2530057f689637684ecfed3501ea6a8a07ecc", 2_784_447),
                },
            ),
            "dev": _pair(
                "enja",
                "dev",
                _ENJA + "dev.{}",
                {
                    "en": ("04a2673449770657fd5e3b963cb856be3130923212b6db8ac7eaeef18f06c041", 17_054),
                    "ja": ("cd534f56b8639dc130f86a365e5ec0aa70042000bdd740a622fbbf8b6be4acca", 27_781),
                },
            ),
            "test": _pair(
                "enja",
                "test",
                _ENJA + "test.{}",
                {
                    "en": ("45edb380749ec2b49cca7618fc5a7595fc9f791180672ba466b90c873a4aa8bf", 17_301),
                    "ja": ("d37dc460a81b064e4106c8913eb11fa300da05cf3f58a7a5bbfec7e20947ddef", 27_793),
                },
            ),
        },
        licence="CC BY 2.0 FR (Tanaka Corpus / Tatoeba)",
        citation="small_parallel_enja, drawn from the Tanaka Corpus (Yasuhito Tanaka; Tatoeba)",
        homepage="https://github.com/odashi/small_parallel_enja",
        note="English in lower case, punctuation and Japanese words set apart; 77 of the 500 English dev lines also "
        "occur in train",
    ),
    _multi30k("en", "de", "English and German"),
    _multi30k("en", "fr", "English and French"),
    _running_text(
        "shakespeare",
        File(
            "shakespeare/input.txt",
            "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/"
            "tinyshakespeare/input.txt",
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            1_115_394,
        ),
        summary="passages of Shakespeare's plays, 1.1 million characters",
        licence="public domain",
        citation="Karpathy 2015: The Unreasonable Effectiveness of Recurrent Neural Networks",
        homepage="https://github.com/karpathy/char-rnn",
        note="its last tenth, which others validate on, is test; to train on all before and choose on it, as they do: "
        "--data shakespeare:train+shakespeare:dev --valid shakespeare:test",
    ),
    _running_text(
        "neko",
        File(
            "neko/neko.txt",
            "https://raw.githubusercontent.com/nlp100/nlp100.github.io/63f2ddde03f23f9a0afbbf31bb1dca0ec32f04b2/data/"
            "neko.txt",
            "4819ee9e1b9d53bd73aee807fd2bcee644e1d43a824cff07b02f09c4421110a2",
            975_789,
        ),
        summary="Natsume Soseki's novel I Am a Cat (吾輩は猫である), a sentence a line",
        licence="public domain",
        citation="Natsume Soseki 1905-1906: Wagahai wa Neko de Aru; Aozora Bunko",
        homepage="https://nlp100.github.io",
        note="paragraphs are divided by blank lines; the last tenth is test",
    ),
    *_all_of_babi(),
    DataSet(
        name="digits",
        summary="1,797 handwritten digits of 8 by 8 pixels, grey",
        task="image-classification",
        languages=(),
        parts=dict.fromkeys(("train", "dev", "test", *(f"fold-{number}" for number in range(1, 6))), ()),
        licence="CC BY 4.0",
        citation="Alpaydin and Kaynak 1998: Optical Recognition of Handwritten Digits (UCI), as scikit-learn has it",
        homepage="https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits.html",
        note="comes with scikit-learn (pip install 'keifu[data]'); of every ten, seven are train, one dev, two test; "
        "fold-1 to fold-5 are every fifth",
    ),
    DataSet(
        name="sst2",
        summary="sentences of English film reviews, 1 where they praise and 0 where they do not",
        task="classification",
        languages=(),
        parts={
            part: (File(f"sst2/{part}.tsv", f"{_SST2}{part}.tsv", digest, size),)
            for part, digest, size in (
                ("train", "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920", 720_259),
                ("dev", "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359", 92_057),
                ("test", "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7", 188_749),
            )
        },
        licence="the upstream project's terms (research use)",
        citation="Socher et al. 2013: Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank",
        homepage="https://nlp.stanford.edu/sentiment",
    ),
    _treebank(
        "ud-en",
        File(
            "ud/en_ewt-dev.conllu",
            f"{_UD}UD_English-EWT/6d4e3e2d515c3da8dcb579bb437a62a2569f4c88/en_ewt-ud-dev.conllu",
            "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6",
            1_805_545,
        ),
        summary="2,001 English sentences from the web, with a part of speech for every word",
        languages=(),
        citation="Silveira et al. 2014: A Gold Standard Dependency Corpus for English",
        homepage="https://github.com/UniversalDependencies/UD_English-EWT",
    ),
    _treebank(
        "ud-ja",
        File(
            "ud/ja_gsd-dev.conllu",
            f"{_UD}UD_Japanese-GSD/e8c4c0468d7282adda71087662fc24da67c8d4ac/ja_gsd-ud-dev.conllu",
            "18d266e29336ef619787a928d89d20f2e64188be70d5b37829e3aadc5bb6b841",
            2_961_591,
        ),
        summary="507 Japanese sentences, with a part of speech for every word",
        languages=(),
        citation="Asahara et al. 2018: Universal Dependencies Version 2 for Japanese",
        homepage="https://github.com/UniversalDependencies/UD_Japanese-GSD",
    ),
)

CATALOGUE = {data_set.name: data_set for data_set in _SETS}
