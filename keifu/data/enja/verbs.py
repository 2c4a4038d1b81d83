"""Verbs with the particle each takes, the nouns that fit it, and where, when and in which forms it is said.

A verb that is written twice (play + sport, play + piano) has two entries; what follows "#" tells them apart and is not
said.
"""

import zlib
from collections import Counter
from dataclasses import dataclass

from keifu.data.enja.nouns import Noun, tagged

# Columns: English; Japanese; objects; determiners; places; times; flags; subjects. A line may go on after a space.
#
# English: ">" before a preposition that translates the particle ("go >to", に); otherwise the verb decides it.
# Japanese: particle of the object, further words, the verb and its group (see japanese.py).
# Objects: tags of nouns or "=noun"; "@known", "@anyone", "@kin" are people; "-" for none.
# Determiners: a (a, or none before a mass noun), s (bare plural), t (the), d (this, that), n (number), o (the
# subject's own), q (somebody's), T (the + plural); after "/" those for habits and negations, if others.
# Places: tags, with "from:", "to:", "by:" before another preposition than the noun's own; "shop" sells the object.
# Times: day, week, month, year (how often it happens), meal, night, morning, "-" never with a time.
# Flags: p progressive, h habit, b simple present without adverb, w want to, m have to, r please, c can, e experience,
# k shall we, g gerund, u routine at home, S always a state (ている), P only past, T with a recipient,
# N subject takes には, A only adults, Y only the young, L place takes に.
_TABLE = """
eat; を 食べる:1; food -dish -order; a n t/s; =kitchen =park home; day; p h w c g
eat#dish; を 食べる:1; dish order -drink -alcohol; a t/s; eatery home; day; p h w c e g
eat#meal; を 食べる:1; meal; a; =park home eatery; meal; p h w m k u
drink; を 飲む:5; drink; a n/a; =living_room eatery home; day; p h w
drink#alcohol; を 飲む:5; alcohol; a n/a; =restaurant home; night; p h w A
take#medicine; を 飲む:5; medicine; a d/a; -; day; p h m r u
read; を 読む:5; readable; a t d n q/s; =library =park =cafe =living_room home; day; p h w m r e g
write; を 書く:5; written; a n/s; =library =cafe home; week; p h w m g
buy#grocery; を 買う:5; grocery alcohol; a n/s; shop; day; h w m r
buy; を 買う:5; goods; a n t d; shop; month; w m
buy#medicine; を 買う:5; medicine; a; -; day; only
sell; を 売る:5; wheels instrument furniture =camera =computer =house =ring; t o d; -; month; w A
watch; を 見る:1; movie match show news; a/s; =living_room home; day; p h w g k
watch#stadium; を 見る:1; match; a; =stadium; week; p w e g
see#zoo; を 見る:1; zoo; a n s; =zoo; week; w e
see#wild; を 見る:1; forest; a n; =forest; month; e P
see; を 見る:1; =rainbow =whale =dolphin; a; -; week; w e P
look at; を 見る:1; look =mountain =lake =moon =sea =sky; t d; -; day; p r
watch#cinema; を 見る:1; movie; a; =movie_theater; week; w
see#lake; を 見る:1; =swan =duck; a n; at:lake,park; week; w e P
look at#stars; を 見る:1; =star =flower =rose =tulip; T; -; night; p w g
listen to; を 聞く:5; sound radio song; a/s; =living_room =cafe home; day; p h w r g
make; を 作る:5; makeable; a n/s; =kitchen home; day; p w m g e
make#craft; を 作る:5; =doll =chair =table =bookshelf =box =toy =candle =basket; a n/s; home; week; p w g
cook; を 作る:5; =curry =soup =ramen =spaghetti =tempura =stew =fried_rice =udon; a; =kitchen home; day; p h w m g c
cook#meal; を 作る:5; meal; a; =kitchen home; meal; p h m w u
bake; を 焼く:5; baked; a n/s; =kitchen home; week; p h w g
order; を 注文する:s; order alcohol; a n/s; eatery; day; w
cut; を 切る:5; vegetable paper =cake =pizza =bread =meat =fish =rope =watermelon =melon; t a; =kitchen; day; p r m
wash; を 洗う:5; washable dishes clothes; t o/t o; -; day; p m r u
wash#body; を 洗う:5; bodywash; o; =bathroom; day; p h m r u
brush; を 磨く:5; teeth; o; =bathroom; day; p h m r u
clean; を 掃除する:s; homeroom =garden =classroom =room =window; t o; -; day; p h m r u
open; を 開ける:1; opening =box =bag =envelope =suitcase; t; -; day; r m
close; を 閉める:1; opening; t; -; day; r m h
draw; を 描く:5; draw pet =flower; a n/s; =park =school home; week; p h w g c
paint; を 描く:5; =picture scenery -star =flower =rose =tulip =sunflower =lily; a/s; =park home; week; p w g
learn; を 習う:5; language instrument drill; a; -; course; p h w e g
study; を 勉強する:s; language subject; a; =library home; day; p h w m g
study#alone; 勉強する:s; -; -; =library home; day; p h m w u
teach; を 教える:1; language subject; a; =school =university; year; S b w A
speak; を 話す:5; language; a; home; -; b c w
understand; が 分かる:5; language =question =problem =rule =plan =story; t d; -; -; b
know; を 知る:5; ask =secret =rule =plan @anyone; t q; -; -; S b
remember; を 覚える:1; ask =story =song; t q; -; -; S b
forget#name; を 忘れる:1; ask; q; -; day; P
forget; を 忘れる:1; loseable =umbrella =homework =textbook =camera =smartphone =ticket =money; o; home =school;
  day; P L
lose; を なくす:5; loseable =umbrella =ticket =camera =smartphone; o; =station =park =airport =museum =zoo; week; P
find; を 見つける:1; loseable =coin pet; o a; =park =station =beach; day; P
look for; を 探す:5; loseable =umbrella =ticket =smartphone =textbook pet; o; =station =park home; day; p m
use; を 使う:5; tool paper; t o d a; -; day; p m
borrow; を 借りる:1; lendable; q; -; week; w
borrow#library; を 借りる:1; =book =novel =magazine =comic_book =picture_book =guidebook; a n t/s; from:library; week;
  w h
lend; を 貸す:5; lendable; t o; -; week; T
give; を あげる:1; =present =book =toy =doll =ring =necklace =picture =wristwatch =ball =scarf flower snack; a n; -;
  day; T w
send; を 送る:5; sendable money; a n; -; week; T w m h
show; を 見せる:1; look =letter =passport =report =toy =ring; t o; -; day; T r
bring; を 持ってくる:k; snack -fresh alcohol =camera =umbrella =dictionary =map =flower =guitar =present =textbook
  =paper; a n; to:party,school,office; day; m r
carry; を 運ぶ:5; =box furniture =suitcase =bag; t d; -; day; p m r A
hold; を 持つ:5; =flower =rose =umbrella =bag =box =doll =ball =candle =map =camera =cup; a; -; -; only
have; を 持つ:5; wheels device lendable furniture; a n/a; -; -; S b
have#pet; を 飼う:5; pet =horse =goat =chicken =pig =duck; a n/a; -; -; S b w
have#family; が いる:1; family =friend =child; a n/a; -; -; N b
have#thing; が ある:5; =idea =dream =plan =secret money; a; -; -; N b
have#question; が ある:5; =question; a; -; -; b
have#event; が ある:5; exam meet; a; =school =office =university; week; event
wear; を 着る:1; on; a d t; -; day; p w
wear#legs; を はく:5; legs feet; a d t; -; day; p w
wear#head; を かぶる:5; head; a d t; -; day; p w
wear#glasses; を かける:1; glasses; a t; -; day; p
wear#neck; を する:s; neck; a d t; -; day; p w
put on; を 着る:1; on; o a; -; -; m r
put on#legs; を はく:5; legs feet; o a; -; -; m r
put on#head; を かぶる:5; head; o a; -; -; m r
take off; を 脱ぐ:5; on feet -uniform; o; -; -; m r
break; を 割る:5; breakable =window; t a q; =kitchen; day; P
break#device; を 壊す:5; device =toy =chair =umbrella; t q; -; day; P
repair; を 直す:5; device wheels =chair =umbrella =toy =bicycle =motorcycle =door; t q o; -; day; p m c
drive; を 運転する:s; =car =truck =bus =taxi; a t; -; day; b c w p A
ride; に 乗る:5; straddle; a t; =park =farm; week; p c w e g
take#transit; に 乗る:5; =bus =train =subway; t; -; day; h m w
take#taxi; に 乗る:5; =taxi =boat =airplane; a; -; week; w e
get on; に 乗る:5; =bus =train =boat =airplane; t; =station =airport; day; P
get off; を 降りる:1; =bus =train =boat =airplane =taxi; t; =station =airport; day; P
miss; に 乗り遅れる:1; =bus =train =airplane =boat; t; -; day; P
wait for; を 待つ:5; transit @known; t a; =station =bus_stop =airport; day; p m
play; を する:s; sport; a; =park =gym =stadium; day; p h w m g c k e
play#game; を する:s; game; a; =library home; day; p h w g k
play#strings; を 弾く:5; strings; t; home =school =church; day; p h w c g
play#winds; を 吹く:5; winds; t; =park home =school; day; p h w c g
play#drums; を 叩く:5; drums; t; =park home =school; day; p w c g
practice; を 練習する:s; instrument drill sport; a; =school; day; p h m w
sing; を 歌う:5; song; a n t d; =park =church =school home; day; p w g c
kick; を 蹴る:5; =ball =stone; a t; =park =street; day; P
throw; を 投げる:1; throw; a t; =park =beach; day; P
catch; を 捕まえる:1; insect =mouse =frog =squirrel; a n; =park =forest =garden; week; P
turn on; を つける:1; appliance radio =lamp; t; -; day; r m
turn off; を 消す:5; appliance radio =lamp; t; -; day; r m
choose; を 選ぶ:5; on legs head neck feet =ring =necklace =present =curtain; a t d; shop; week; w
pay; を 払う:5; bill; t; -; month; m
collect; を 集める:1; collect; s; -; -; S b g
hide; を 隠す:5; =present =letter =key =ring =coin =wallet money; t o; -; day; P
plant; を 植える:1; plant; a n/s; =garden =park; week; p w L
grow; を 育てる:1; crop flower; s; =garden =farm; year; S b w
water; に 水 を やる:5; flower =tree; T; =garden; day; p h m r u
feed; に 餌 を やる:5; pet farm; t T o/t T o; =garden =farm; day; p h m r u
pick up; を 拾う:5; =coin =stone =ball =wallet =ring =key trash; a t; =park =beach =street; day; P
take out; を 出す:5; trash; t; -; day; h m r u
visit#place; を 訪れる:1; country city =museum =temple =shrine =church; t; -; year; w e
visit; を 訪ねる:1; @known; t; -; week; w m h
go >to; に 行く:5; goal =school; t; -; week; h w m k
go >to#daily; に 行く:5; =school =office =gym =park =library =supermarket; t; -; day; h m
go >to#far; に 行く:5; country city; t; -; year; w e
come >to; に 来る:k; =school =office =party =library; t; -; week; P
come >to#far; に 来る:k; country city; t; -; year; P
return >to; に 帰る:5; country city =hotel; t; -; year; w m
arrive >at; に 着く:5; =station =airport =hotel =school =hospital =theater =office =stadium =factory; t; -; day; P
leave; を 出る:1; =station =hotel =school =hospital =office =restaurant =library =classroom =factory; t; -; day; P
enter; に 入る:5; =room =classroom =kitchen =living_room =museum =bank =cafe =theater; t; -; day; P
walk >to; まで 歩く:5; =school =station =park =library =office =supermarket =post_office; t; -; day; h m w
walk >in; を 歩く:5; =park =forest =town =village =garden =market; t; -; day; p w g
live >in; に 住む:5; country city =village =town; t; -; year; S b w
travel around; を 旅行する:s; country; t; -; year; w g
move >to; に 引っ越す:5; country city; t; -; year; w m
stay >at; に 泊まる:5; =hotel; t d; -; week; w
stay at home; 家 に いる:1; -; -; -; day; m w
come home; 帰ってくる:k; -; -; -; -; only
go home; 家 に 帰る:5; -; -; -; night; w m
work; 働く:5; -; -; =bank =hospital =factory =supermarket =bookstore =restaurant =hotel =airport =post_office =farm
  =school =bakery =flower_shop =drugstore =museum; year; S b w A
swim; 泳ぐ:5; -; -; =pool =sea =river =lake; week; p h w c g
run; 走る:5; -; -; =park =beach =stadium =street; day; p h w g
dance; 踊る:5; -; -; =gym =theater; week; p w c g
sleep; 寝る:1; -; -; =bedroom =sofa =living_room; day; p w h; person baby pet
go to bed; 寝る:1; -; -; -; night; h m u
get up; 起きる:1; -; -; -; morning; h m
sit >on; に 座る:5; sit; a t; =park =garden =library; day; p r
laugh; 笑う:5; -; -; =classroom =living_room; day; p P; person baby
cry; 泣く:5; -; -; =bedroom =hospital =park; day; p P; person baby
meet; に 会う:5; @anyone; t a; =station =park =library =airport =cafe =hotel; day; w m
talk >with; と 話す:5; @anyone; t a; =cafe =office =park =classroom; day; p h w m
marry; と 結婚する:s; role; a; -; year; w A
help; を 手伝う:5; @known; t; =kitchen =office home; day; p h m
call; に 電話する:s; @known; t; -; day; h w m r
thank; に 感謝する:s; @known; t; -; day; P
trust; を 信頼する:s; @known; t; -; -; S b
love; を 愛する:s; @kin; o; -; -; S b
respect; を 尊敬する:s; @known =teacher =professor =doctor =scientist =writer =nurse =firefighter =lawyer; t; -; -;
  S b
invite; を 招待する:s; @known; t; to:party,wedding; week; w m
answer; に 答える:1; =question; t d q; -; day; m c
join; に 参加する:s; =meeting =party =lesson =concert; t; -; week; w m
attend; に 出席する:s; =meeting =wedding =lesson; t; -; week; m w
win; に 勝つ:5; match; t; -; week; w P
pass; に 合格する:s; exam; t d; -; year; w P
solve; を 解く:5; =problem; t d n; -; day; c m
graduate >from; を 卒業する:s; =university =school; t; -; year; P
become; に なる:5; job; a; -; year; w P
look like; に 似る:1; @kin; o; -; -; S b
touch; に 触る:5; look pet =vase =doll; t d; -; day; P r
cross; を 渡る:5; =bridge =street =river; t; -; day; m p
climb; に 登る:5; =mountain =tree; a t; -; week; w e g
explain; を 説明する:s; idea =rule =problem; t o; =office =classroom; day; p m
check; を 確認する:s; =schedule =address =phone_number =ticket =report =e-mail =password =passport; t; -; day;
  m r
change; を 変える:1; =plan =rule =schedule; t; -; week; m
change#own; を 変える:1; =password =address =phone_number; o; -; week; m
translate; を 翻訳する:s; written =book =novel =picture_book; t d; -; week; p w m c
do; を する:s; task; o; =library home; day; p h m u Y
finish; を 終える:1; task; o; -; day; P m Y
boil; を ゆでる:1; =egg =potato =carrot =udon =spaghetti =pumpkin; a n/s; =kitchen; day; p m
hug; を 抱きしめる:1; =baby =child =dog =cat =puppy =kitten =doll @known; t; -; day; P
praise; を 褒める:1; role someone @known; t; -; day; P
scold; を 叱る:5; =student =child =boy =girl =dog =clerk; t; =classroom =garden; day; P
wake; を 起こす:5; @kin =baby =child; t; -; morning; m h
park; を 止める:1; =car =truck =motorcycle =bicycle; o t; by:station,house,library; day; P m
rent; を 借りる:1; =car =house =room =bicycle =boat; a; -; month; w
build; を 建てる:1; =house; a; -; year; w P A
take a walk; 散歩 を する:s; -; -; =park =beach =forest; day; p h w g k u
take a bath; お風呂 に 入る:5; -; -; -; night; p h w m u
take a picture of; の 写真 を 撮る:5; scenery pet zoo flower =temple =shrine; a t/s; -; week; p w
go shopping; 買い物 に 行く:5; -; -; -; week; h w m k
go fishing; 釣り に 行く:5; -; -; -; week; h w k
go camping; キャンプ に 行く:5; -; -; -; month; w k e
go skiing; スキー に 行く:5; -; -; -; month; w k e
exercise; 運動する:s; -; -; =gym =park home; day; p h m g u
rest; 休む:5; -; -; home; day; m w
bark; 吠える:1; -; -; =garden =street =park; day; p; =dog =puppy
fly >in; を 飛ぶ:5; =sky; t; -; -; p; bird
chase; を 追いかける:1; prey =ball =bird =squirrel; a t; =garden =park; day; p; chaser
like; が 好き:na; food drink alcohol animal -insect sport game subject language flower instrument sound movie song;
  s; -; -; b
like#one; が 好き:na; =movie =song =picture =photo =poem =hat =dress =coat =bag =room =garden =park =restaurant
  =cafe; d; -; -; b
dislike; が 嫌い:na; insect vegetable food drink subject =snake =mouse; s; -; -; b
want; が 欲しい:i; goods pet wheels; a n d; -; -; b
need; が 必要:na; =passport tool stationery furniture =coat =boots =shoes =umbrella medicine money; a n; -; -; b
be good at; が 得意:na; sport game subject language drill; a; -; -; b
be afraid of; が 怖い:i; danger =dog =mouse =lion =bee =exam; s; -; -; b
be interested in; に 興味 が ある:5; subject sound =movie; s; -; -; b
work#today; 働く:5; -; -; -; -; only
be late for; に 遅れる:1; =school =meeting =lesson =wedding =party =concert =exam; t; -; day; P
be absent from; を 休む:5; =school =meeting =lesson; t; -; day; P
be worried about; を 心配する:s; @kin exam; o t; -; -; S b
"""


@dataclass(frozen=True, slots=True, eq=False)
class Verb:
    """One entry. `nouns` fit as object; `kept` are those of the training data, `held` those of `combination`."""

    key: str
    lemma: str
    main: str  # the English word that inflects; after "be" the adjective
    rest: tuple[str, ...]
    split: bool  # `rest` translates the particle
    be: bool
    particle: str
    prefix: tuple[str, ...]  # Japanese words between object and verb
    japanese: str
    group: str
    nouns: tuple[Noun, ...]
    kept: tuple[Noun, ...]
    held: tuple[Noun, ...]
    people: str
    determiners: tuple[str, ...]
    calm: tuple[str, ...]  # determiners in habits and negations
    places: tuple[tuple[str, Noun], ...]  # preposition, or "" for the noun's own
    shop: bool
    times: str
    flags: frozenset[str]
    subjects: tuple[str, ...]


def _rows() -> list[list[str]]:
    lines = _TABLE.strip().replace("\n ", " ").splitlines()  # a line that begins with a space goes on
    return [[column.strip() for column in line.split(";")] for line in lines]


def _nouns(column: str) -> tuple[Noun, ...]:
    """The nouns of "tag =noun -tag @people"."""
    parts = column.split()
    wanted = [part for part in parts if part[0] not in "@-"]
    without = {part[1:] for part in parts if part[0] == "-"}
    return tuple(noun for noun in tagged(*wanted) if noun.tags.isdisjoint(without)) if wanted else ()


def _lemma(english: str) -> str:
    return english.partition("#")[0].replace(">", "")


# Pairs that the documentation's first example needs in the training data.
_ALWAYS_KEPT = frozenset({("like", "cat"), ("have", "cat"), ("read", "book"), ("be afraid of", "exam")})


def _choose_held_out() -> frozenset[tuple[str, str]]:
    """About a tenth of every verb's nouns, by a stable hash: at most a fifth, and at most a third of a noun's verbs."""
    rows = [(_lemma(row[0]), [noun.english for noun in _nouns(row[2])]) for row in _rows()]
    verbs_of = Counter(name for _, names in rows for name in names)
    held_of: Counter[str] = Counter()
    pairs: set[tuple[str, str]] = set(_ALWAYS_KEPT)
    for lemma, names in rows:
        hashed = {name: zlib.crc32(f"{lemma} {name}".encode()) for name in names}
        chosen = sorted((name for name in names if hashed[name] % 9 == 0), key=lambda name: hashed[name])
        for name in chosen[: len(names) // 5]:
            if held_of[name] < verbs_of[name] // 3 and (lemma, name) not in pairs:
                pairs.add((lemma, name))
                held_of[name] += 1
    return frozenset(pairs - _ALWAYS_KEPT)


_HELD_OUT = _choose_held_out()


def held_out(verb: str, noun: str) -> bool:
    """Whether verb and noun ("look for", "key") meet in `combination` only."""
    return (verb, noun) in _HELD_OUT


def _places(column: str) -> tuple[tuple[str, Noun], ...]:
    places: list[tuple[str, Noun]] = []
    for part in column.split():
        preposition, colon, names = part.rpartition(":")
        if part in ("-", "shop"):
            continue
        found = tagged(*(f"={name}" for name in names.split(","))) if colon else tagged(part)
        places.extend((preposition, noun) for noun in found)
    return tuple(places)


def _verb(row: list[str]) -> Verb:
    english, japanese, objects, determiners, places, times, flags, *subjects = row
    lemma = _lemma(english)
    spoken = english.partition("#")[0].split()
    be = spoken[0] == "be" and spoken[0] != "become"
    main, *rest = spoken[1:] if be else spoken
    *before, last = japanese.split()
    word, _, group = last.partition(":")
    nouns = _nouns(objects)
    people = next((part for part in objects.split() if part[0] == "@"), "")
    particle = before.pop(0) if nouns or people else ""
    usual, _, calm = determiners.partition("/")
    return Verb(
        key=english.replace(">", ""),
        lemma=lemma,
        main=main,
        rest=tuple(part.lstrip(">") for part in rest),
        split=any(part[0] == ">" for part in rest),
        be=be,
        particle=particle,
        prefix=tuple(before),
        japanese=word,
        group=group,
        nouns=nouns,
        kept=tuple(noun for noun in nouns if not held_out(lemma, noun.english)),
        held=tuple(noun for noun in nouns if held_out(lemma, noun.english)),
        people=people,
        determiners=tuple(usual.split()),
        calm=tuple((calm or usual).split()),
        places=_places(places),
        shop="shop" in places.split(),
        times=times,
        flags=frozenset(flags.split()),
        subjects=tuple(subjects[0].split()) if subjects else ("person",),
    )


VERBS: tuple[Verb, ...] = tuple(_verb(row) for row in _rows())
BY_KEY: dict[str, Verb] = {verb.key: verb for verb in VERBS}


def plain_verb(
    english: str,
    japanese: str,
    group: str,
    prefix: tuple[str, ...] = (),
    be: bool = False,
    flags: str = "",
    key: str = "",
) -> Verb:
    """A predicate outside the table: it takes no object and is used where a construction asks for it."""
    return Verb(
        key=key or english, lemma=key or english, main=english, rest=(), split=False, be=be, particle="",
        prefix=prefix, japanese=japanese, group=group, nouns=(), kept=(), held=(), people="", determiners=(),
        calm=(), places=(), shop=False, times="-", flags=frozenset(flags), subjects=(),
    )  # fmt: skip
