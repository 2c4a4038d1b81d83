"""Adjectives and states: what they are in Japanese and which nouns or people they fit."""

from dataclasses import dataclass
from functools import cache

from keifu.data.enja.nouns import Noun, tagged
from keifu.data.enja.verbs import Verb, plain_verb


@dataclass(frozen=True, slots=True, eq=False)
class Adjective:
    english: str
    prefix: tuple[str, ...]  # 背 が of 背が高い
    japanese: str
    group: str
    nouns: tuple[Noun, ...]
    flags: frozenset[str]
    verb: Verb  # the predicate "be + adjective"


# English; Japanese, with its group; nouns by tag or "=name" ("-tag" leaves out); flags. B is said only after be, C
# compares, X is not what one chooses, P is of people, M a passing state of people, W of the weather, S takes ている.
_TABLE = """
expensive; 高い:i; on legs head feet wheels furniture =ring =necklace =camera =wristwatch =vase; C
cheap; 安い:i; on legs feet furniture wheels =umbrella =notebook =vase =cup; C
big; 大きい:i; =box =bag =suitcase =table =dog =house =plate =cake =watermelon =tree =fish =hotel =park =hospital
  =library =pumpkin =bear =elephant =whale =stone =refrigerator; C
small; 小さい:i; =box =bag =table =dog =bird =cup =key =room =garden =village =town =island =station =kitten
  =notebook =chair =bakery =frog; C
new; 新しい:i; device wheels furniture on =house =bridge =station =library =hospital =bag =dictionary =hotel
  =theater =novel =song =wallet =hat =shoes
old; 古い:i; =temple =shrine =church =bridge =house =camera =coin =book =map =letter =photo =song =movie =bookshelf
  =dictionary =doll =desk wheels
interesting; 面白い:i; =story =poem =article =movie =idea =lesson =book =novel =comic_book =magazine =picture_book; C
boring; つまらない:i; =movie =book =novel =lesson =meeting =article =magazine =story =party =comic_book; C X
difficult; 難しい:i; hard subject language; C X
easy; 簡単:na; =question =problem =exam =homework; C X
useful; 便利:na; useful =knife =car =bicycle =bag; C
beautiful; 美しい:i; beautiful =star =mountain =lake =sea =garden =island =sky =vase =town =rainbow; C
famous; 有名:na; famousthing famous =picture =poem; C
quiet; 静か:na; quiet =park =village =room =town =hotel; C
clean; きれい:na; =room =kitchen =bathroom =classroom =river =towel =shirt =plate =park =hotel =window =beach =shoes
  =lake; C X
dirty; 汚い:i; =room =kitchen =bathroom =river =towel =shirt =plate =shoes =car =window =socks =hands =face; C X
spacious; 広い:i; =room =garden =kitchen =park =house =classroom =living_room =farm =gym =bathroom
narrow; 狭い:i; =street =room =bathroom =bedroom =garden =bridge =kitchen =living_room =classroom; X
long; 長い:i; long =letter =report =rope =scarf =skirt =story =river -famousthing; C
heavy; 重い:i; heavy =book -warm; C X
light; 軽い:i; =bag =suitcase =computer =camera =bicycle =chair =umbrella =box =shoes; C
hot; 熱い:i; hot =soup =ramen =stew
cold; 冷たい:i; cold =soup =hands
warm; 暖かい:i; warm =room =bed =boots =socks; C
delicious; おいしい:i; food drink alcohol -water; C X
sweet; 甘い:i; sweet =tomato; C
spicy; 辛い:i; spicy; C
bitter; 苦い:i; bitter; X
fresh; 新鮮:na; vegetable fresh =apple =strawberry
cute; かわいい:i; cute; C
scary; 怖い:i; =movie =story =dog =spider =snake =bear =wolf =tiger =dream; X
dangerous; 危険:na; danger =mountain =river =bridge =street =knife -dog; C X
fast; 速い:i; =car =train =motorcycle =horse =subway =airplane; C
slow; 遅い:i; =bus =turtle =computer =boat; X
red; 赤い:i; coloured =apple
blue; 青い:i; coloured =suit =sea =sky -flower =bird
white; 白い:i; coloured colour =goat
black; 黒い:i; coloured colour =coat =suit -flower
yellow; 黄色い:i; coloured =butterfly -wheels
green; 緑色:no; =curtain =sofa =bag =frog =scarf =sweater =car =door =parrot =shirt =T-shirt =hat
brown; 茶色い:i; colour =bag =shoes =sofa =hat =coat =bear =desk =table -butterfly
important; 大切:na; =letter =meeting =question =rule =key =report =exam =address =lesson =plan =problem; C
strange; 不思議:na; =dream =story =picture =movie =song =stone
wonderful; 素晴らしい:i; =concert =movie =picture =song =party =idea =plan =dream =poem =novel =wedding
comfortable; 快適:na; =room =hotel =sofa =bed =chair =house =living_room; C
deep; 深い:i; deep; C
high; 高い:i; =mountain =bridge; C
tall; 高い:i; =tree =ladder =bookshelf; C
round; 丸い:i; =table =box =stone =mirror =plate =moon =basket =vase
thick; 厚い:i; =book =dictionary =coat =sweater =blanket =notebook =curtain =envelope
strong; 強い:i; strong; C
sharp; 鋭い:i; =knife =pencil
broken; 壊れる:1; device =umbrella =chair =toy =refrigerator =air_conditioner =heater =fan =door =bicycle =drums; S X
closed; 閉まる:5; shop =bank =museum =library =post_office =theater =zoo =gym =gate -market; S B
open; 開く:5; shop =bank =museum =library =post_office =window =door =gate =zoo; S B
tall; 背 が 高い:i; ; P C
short; 背 が 低い:i; ; P C
kind; 親切:na; ; P C
gentle; 優しい:i; ; P C
strict; 厳しい:i; strict; P C
young; 若い:i; ; P C
clever; 賢い:i; clever; P C
honest; 正直:na; ; P
brave; 勇敢:na; ; P C
cheerful; 明るい:i; ; P
polite; 礼儀正しい:i; ; P
rich; お金持ち:no; ; P C
healthy; 健康:na; ; P
serious; 真面目:na; ; P
shy; 内気:na; ; P
happy; 幸せ:na; ; P B M
sad; 悲しい:i; ; P B M
busy; 忙しい:i; ; P B M
free; 暇:na; ; P B M
tired; 疲れる:1; ; P B S M
hungry; お腹 が 空く:5; ; P B S M
thirsty; 喉 が 渇く:5; ; P B S M
sleepy; 眠い:i; ; P B M
sick; 病気:no; ; P B M
angry; 怒る:5; ; P B S M
bored; 退屈する:s; ; P B S M
nervous; 緊張する:s; ; P B S M
hot; 暑い:i; ; W
cold; 寒い:i; ; W
warm; 暖かい:i; ; W
cool; 涼しい:i; ; W
windy; 風 が 強い:i; ; W
sunny; 晴れる:1; ; W S
cloudy; 曇る:5; ; W S
foggy; 霧 が 出る:1; ; W S
humid; 蒸し暑い:i; ; W
"""


def _fits(column: str) -> tuple[Noun, ...]:
    parts = column.split()
    wanted = [part for part in parts if part[0] != "-"]
    without = {part[1:] for part in parts if part[0] == "-"}
    if not wanted:
        return ()
    return tuple(noun for noun in tagged(*wanted) if noun.tags.isdisjoint(without) and noun.english not in without)


def _adjective(line: str) -> Adjective:
    english, japanese, nouns, *rest = (column.strip() for column in line.split(";"))
    *before, last = japanese.split()
    word, _, group = last.partition(":")
    flags = frozenset(rest[0].split()) if rest else frozenset[str]()
    prefix = tuple(before)
    state = "S" if "S" in flags else ""
    predicate = plain_verb(english, word, group, prefix, be=True, flags=state, key="be " + english)
    return Adjective(english, prefix, word, group, _fits(nouns), flags, predicate)


ADJECTIVES: tuple[Adjective, ...] = tuple(_adjective(line) for line in _TABLE.strip().replace("\n ", " ").splitlines())
OF_PEOPLE = tuple(adjective for adjective in ADJECTIVES if "P" in adjective.flags)
TRAITS = tuple(adjective for adjective in OF_PEOPLE if "B" not in adjective.flags)
MOODS = {adjective.english: adjective for adjective in OF_PEOPLE if "M" in adjective.flags}
WEATHER = {adjective.english: adjective for adjective in ADJECTIVES if "W" in adjective.flags}
OF_THINGS = tuple(adjective for adjective in ADJECTIVES if adjective.nouns)


@cache
def fitting(noun: Noun) -> tuple[Adjective, ...]:
    """The adjectives that may stand before a noun."""
    return tuple(adjective for adjective in OF_THINGS if noun in adjective.nouns and "B" not in adjective.flags)


@cache
def choice(noun: Noun) -> tuple[Adjective, ...]:
    """The adjectives of a noun that one buys, likes, reads."""
    return tuple(adjective for adjective in fitting(noun) if "X" not in adjective.flags)


@cache
def describing(noun: Noun) -> tuple[Adjective, ...]:
    """The adjectives that may be said of a noun after be."""
    return tuple(adjective for adjective in OF_THINGS if noun in adjective.nouns)
