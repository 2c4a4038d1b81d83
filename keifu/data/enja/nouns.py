"""Nouns: things, animals, people, kin, names, places, with counters and the classes that verbs ask for."""

from dataclasses import dataclass
from functools import cache

from keifu.data.enja.english import plural


@dataclass(frozen=True, slots=True, eq=False)
class Noun:
    """`kind`: count, mass, pair (scissors, shoes), name (no article), the (always with "the").

    `counter` counts it; for "mass" and "pair" it follows the English measure ("cup", "pair"). `marked` nouns translate
    "the" as その; places, roles and the furniture of a home do not, since 公園で and 先生は are definite already.
    """

    english: str
    plural: str
    japanese: str
    kind: str
    marked: bool
    counter: str
    measure: str
    tags: frozenset[str]


# Tags; kind, with "!" where "the" stays untranslated; "english[/plural] japanese [counter] [+tag ...]", spaces as "_".
_TABLE = """
food fruit grocery white sweet; count; apple りんご 個, orange オレンジ 個, banana バナナ 本, peach 桃 個,
  pear 梨 個, strawberry いちご 個, melon メロン 個, watermelon すいか 個, mandarin みかん 個
grocery vegetable crop; count; tomato トマト 個 +food, carrot にんじん 本, potato じゃがいも 個, onion 玉ねぎ 個,
  cucumber きゅうり 本 +food, pumpkin かぼちゃ 個, eggplant なす 本
food snack grocery; count; sandwich サンドイッチ 個 +makeable, hamburger ハンバーガー 個 +order,
  doughnut ドーナツ 個 +sweet +baked, cookie クッキー 枚 +sweet +baked, rice_ball おにぎり 個 +makeable,
  pancake パンケーキ 枚 +sweet +baked +order, cake ケーキ 個 +sweet +baked +order, pie パイ 個 +sweet +baked,
  egg 卵 個 +fresh
food dish order makeable; mass; curry カレー +spicy +hotfood, soup スープ +hotfood +spicy, salad サラダ,
  pizza ピザ +baked +hotfood, ramen ラーメン +hotfood +spicy, spaghetti スパゲッティ, tempura 天ぷら,
  stew シチュー +hotfood, fried_rice チャーハン, udon うどん +hotfood
food; mass; sushi すし +order, bread パン +baked +grocery +bakery, rice ご飯, cheese チーズ +grocery,
  meat 肉 +grocery +fresh, fish 魚 +grocery +fresh, chocolate チョコレート +grocery +sweet,
  ice_cream アイスクリーム +sweet +order, tofu 豆腐 +grocery, natto 納豆 +grocery, yogurt ヨーグルト +grocery
meal; mass; breakfast 朝食, lunch 昼食, dinner 夕食
drink grocery; mass; water 水 glass杯 +cold, milk 牛乳 glass杯 +cold +fresh,
  juice ジュース glass杯 +cold +sweet +order, coffee コーヒー cup杯 +hot +bitter +order,
  tea お茶 cup杯 +hot +bitter +order, green_tea 緑茶 cup杯 +hot +order, cocoa ココア cup杯 +hot +sweet +order
alcohol drinkalcohol; mass; beer ビール bottle本 +cold +order, wine ワイン bottle本 +order,
  sake 日本酒 bottle本 +order
book readable written small goods literary interesting; count; book 本 冊 +lendable +study, novel 小説 冊 +lendable,
  story 物語 つ -small -goods, poem 詩 つ -small -goods -book, comic_book 漫画 冊 +lendable
readable small goods; count; magazine 雑誌 冊 +lendable +interesting, newspaper 新聞 部,
  textbook 教科書 冊 +lendable +study +hard, guidebook ガイドブック 冊 +lendable +useful,
  picture_book 絵本 冊 +lendable +interesting, dictionary 辞書 冊 +lendable +useful +tool +heavy -readable
readable written sendable document; count; letter 手紙 通 +small, e-mail メール 通, report 報告書 つ +hard,
  postcard はがき 枚 +small +goods, article 記事 つ -sendable +interesting, notice お知らせ つ
small goods stationery; count; pen ペン 本 +lendable +tool +coloured, pencil 鉛筆 本 +lendable +tool +coloured,
  eraser 消しゴム 個 +lendable, notebook ノート 冊 +coloured, envelope 封筒 枚, stamp 切手 枚 +collect,
  ticket 切符 枚
small goods tool; count; knife ナイフ 本, camera カメラ 台 +device +lendable +heavy,
  computer パソコン 台 +device +useful +heavy, smartphone スマートフォン 台 +device +useful,
  hammer 金づち 本 +lendable +heavy, ladder はしご つ +lendable +heavy -small,
  umbrella 傘 本 +lendable +coloured +useful, rope ロープ 本 +long, flashlight 懐中電灯 つ +lendable +useful +device
small goods loseable; count; bag かばん つ +coloured +heavy +container, wallet 財布 つ +coloured,
  wristwatch 腕時計 つ +device, ring 指輪 つ, key 鍵 つ -goods,
  suitcase スーツケース つ +coloured +heavy +container, necklace ネックレス つ, passport パスポート 冊 -goods,
  towel タオル 枚 +coloured +washable, handkerchief ハンカチ 枚 +coloured +washable
small goods; count; toy おもちゃ つ +play +collect +coloured, doll 人形 つ +play +collect +cute,
  ball ボール 個 +play +coloured +throw, coin コイン 枚 +collect, photo 写真 枚 +look +sendable -goods,
  picture 絵 枚 +look +draw +beautiful, map 地図 枚 +look +draw +useful,
  cup カップ つ +breakable +washable +coloured, plate 皿 枚 +breakable +washable, bottle 瓶 本 +breakable,
  vase 花瓶 つ +breakable +coloured, mirror 鏡 枚 +breakable, candle ろうそく 本,
  box 箱 つ +heavy +container +coloured -goods, present プレゼント つ -goods +sendable, basket かご つ +container
paper goods; mass; paper 紙 +stationery
furniture goods heavy; count; chair 椅子 つ +coloured +sit, table テーブル つ +top, desk 机 つ +top, bed ベッド つ,
  sofa ソファー つ +sit +coloured, bookshelf 本棚 つ, lamp ランプ つ +device -heavy,
  bench ベンチ つ +sit -goods, refrigerator 冷蔵庫 台 +container +device, blanket 毛布 枚 +washable +warm +coloured
wear on washable goods coloured; count; coat コート 着 +warm, shirt シャツ 枚, T-shirt Tシャツ 枚,
  dress ドレス 着 +cute +beautiful, sweater セーター 枚 +warm, jacket 上着 着 +warm, kimono 着物 枚 +beautiful,
  suit スーツ 着 -coloured, uniform 制服 着 -goods -coloured
legs washable goods coloured; count; skirt スカート 枚 +cute
head goods coloured; count; hat 帽子 つ +cute, helmet ヘルメット つ
neck goods coloured; count; scarf マフラー 本 +warm +washable, tie ネクタイ 本
feet goods coloured; pair; shoes 靴 pair足 +washable, boots 長靴 pair足, socks 靴下 pair足 +washable
glasses goods; pair; glasses 眼鏡
vehicle goods wheels coloured washable; count; car 車 台 +fast, truck トラック 台,
  motorcycle バイク 台 +fast +straddle -vehicle, bicycle 自転車 台 +straddle +lendable -vehicle
transit; count!; bus バス 台 +slow, train 電車 +fast +slow, taxi タクシー 台, subway 地下鉄 +fast, boat 船 +slow,
  airplane 飛行機 +fast
animal pet cute; count; dog 犬 匹 +clever +chaser +colour, cat 猫 匹 +clever +chaser +colour,
  rabbit うさぎ 匹 +colour, hamster ハムスター 匹, turtle 亀 匹 +slow, goldfish 金魚 匹 -cute,
  puppy 子犬 匹 +colour, kitten 子猫 匹 +colour, parrot オウム 羽 +bird +clever -cute
animal farm; count; horse 馬 頭 +straddle +fast +colour, cow 牛 頭 +colour, sheep 羊 匹, pig 豚 匹,
  goat やぎ 匹 +colour, chicken 鶏 羽 +bird, duck あひる 羽 +bird +cute
animal wild zoo; count; lion ライオン 頭 +strong, tiger 虎 頭 +strong +danger, bear 熊 頭 +strong +danger +forest,
  elephant 象 頭 +clever, monkey 猿 匹 +clever +forest, wolf 狼 匹 +danger +forest, panda パンダ 頭 +cute,
  giraffe きりん 頭, penguin ペンギン 羽 +cute, fox 狐 匹 +forest, deer 鹿 頭 +forest, koala コアラ 匹 +cute
animal; count; bird 鳥 羽 +bird +beautiful +forest +colour, swan 白鳥 羽 +bird +beautiful,
  snake 蛇 匹 +danger +forest, frog 蛙 匹 +forest, dolphin イルカ 頭 +clever, whale 鯨 頭, mouse ねずみ 匹 +prey,
  squirrel りす 匹 +forest +cute
animal insect; count; butterfly 蝶 匹 +beautiful +prey +colour, bee 蜂 匹 +danger, spider 蜘蛛 匹 +danger,
  beetle かぶと虫 匹 +forest
role person; count!; teacher 先生 人 +strict, student 学生 人, doctor 医者 人 +famous +job, nurse 看護師 人 +job,
  police_officer 警察官 人 +job, singer 歌手 人 +famous +job, lawyer 弁護士 人 +famous +job,
  engineer エンジニア 人 +job, chef シェフ 人 +famous +job, driver 運転手 人, hairdresser 美容師 人 +job,
  writer 作家 人 +famous +job, painter 画家 人 +famous +job, scientist 科学者 人 +famous +job,
  musician 音楽家 人 +famous +job, actor 俳優 人 +famous +job, dentist 歯医者 人 +job, pilot パイロット 人 +job,
  carpenter 大工 人 +job, journalist 記者 人 +job, firefighter 消防士 人 +job, clerk 店員 人, waiter ウェイター 人,
  guide ガイド 人, professor 教授 人 +famous +strict, tourist 観光客 人, secretary 秘書 人,
  photographer 写真家 人 +famous +job
someone person; count; man 男性 人 +m, woman 女性 人 +f, boy 男の子 人 +m +young, girl 女の子 人 +f +young +cute,
  child 子供 人 +young +cute, old_man おじいさん 人 +m, old_woman おばあさん 人 +f, young_man 若者 人 +m
baby; count; baby 赤ちゃん 人 +cute
relation person; count; friend 友達 人, classmate 同級生 人, colleague 同僚 人, boss 上司, neighbor 近所の人
language study; name; English 英語, Japanese 日本語, French フランス語, Chinese 中国語, German ドイツ語,
  Spanish スペイン語, Korean 韓国語, Italian イタリア語
subject study; name; mathematics 数学, history 歴史, science 理科, physics 物理, chemistry 化学, literature 文学,
  law 法律, economics 経済, geography 地理, art 美術
sport; name; tennis テニス, soccer サッカー, baseball 野球, basketball バスケットボール +court,
  volleyball バレーボール +court, golf ゴルフ, badminton バドミントン +court, table_tennis 卓球 +court
drill; name; judo 柔道, karate 空手, calligraphy 書道
game; name; chess チェス, shogi 将棋, cards トランプ, video_games テレビゲーム
strings instrument; the; piano ピアノ, violin バイオリン, guitar ギター
winds instrument; the; flute フルート, trumpet トランペット
drums instrument; the; drums ドラム
movie event; count; movie 映画 本 +interesting +scary +long +famousthing
match event; count; soccer_game サッカーの試合, baseball_game 野球の試合, tennis_match テニスの試合
song; count; song 歌 曲 +beautiful +famousthing
sound; mass; music 音楽
show; mass; television テレビ
radio; the; radio ラジオ
news; the; news ニュース
door opening; count!; window 窓 +clean, door ドア +coloured, gate 門, curtain カーテン -clean, drawer 引き出し
appliance; count!; light 電気, heater ヒーター, air_conditioner エアコン, fan 扇風機
nature scenery; count; mountain 山 つ +high, river 川 つ +deep, lake 湖 つ +deep, island 島 つ,
  tree 木 本 +high +plant, rainbow 虹 -clean
star scenery; count; star 星
sky scenery; the; moon 月, sea 海 +deep, sky 空
flower plant goods coloured beautiful; count; flower 花 本, rose ばら 本, tulip チューリップ 本,
  sunflower ひまわり 本 -coloured, lily ゆり 本
stone; count; stone 石 個 +throw +heavy
problem hard; count; question 質問 つ, problem 問題 つ
ask; count; name 名前, address 住所, phone_number 電話番号, password パスワード
plan idea; count; plan 計画 つ, rule 規則 つ +hard, schedule 予定, idea 考え つ -hard
secret; count; secret 秘密 つ, dream 夢 つ
task; mass; homework 宿題
exam hard; count; exam 試験 つ
meet long; count; meeting 会議 つ, party パーティー つ -long, wedding 結婚式 -long, concert コンサート つ -long,
  lesson 授業 つ +hard +interesting
money; mass; money お金, time 時間
homeroom room; the; kitchen 台所, living_room 居間, bathroom 浴室, bedroom 寝室
garden place outdoor; count!; garden 庭 つ
room; count!; room 部屋 つ
place outdoor goal; count!; park 公園 つ, zoo 動物園, beach 海岸, farm 農場 -goal, forest 森 +deepwoods -outdoor,
  village 村 +town +near, town 町 +town -goal
place indoor goal building; count!; library 図書館 +quiet, restaurant レストラン 軒 +eatery +shop +famousthing,
  cafe 喫茶店 軒 +eatery +quiet +shop, hospital 病院, supermarket スーパー 軒 +shop, bookstore 本屋 軒 +shop,
  museum 美術館 +famousthing +quiet, department_store デパート +shop, flower_shop 花屋 軒 +shop,
  bakery パン屋 軒 +shop, bank 銀行 +office, post_office 郵便局 +office, hotel ホテル 軒 +famousthing, station 駅,
  airport 空港, theater 劇場 +famousthing, movie_theater 映画館, market 市場 +shop -building,
  convenience_store コンビニ 軒 +shop, drugstore 薬局 軒 +shop, gym 体育館, office 会社 +office -building,
  factory 工場 +office, university 大学, stadium 競技場, temple お寺 +quiet +famousthing,
  shrine 神社 +quiet +famousthing, church 教会 +quiet
house building; count; house 家 軒
family; count; older_brother 兄 人, younger_brother 弟 人, older_sister 姉 人, younger_sister 妹 人, son 息子 人,
  daughter 娘 人, cousin いとこ 人
home; name; home 家
classroom place; count!; classroom 教室 つ +quiet
pool; count!; pool プール +deep
bus_stop place; count!; bus_stop バス停
bridge road; count; bridge 橋 つ +long
road; count!; street 通り
school place indoor goal; name; school 学校
country; name; Japan 日本, America アメリカ, France フランス, China 中国, Italy イタリア, Canada カナダ,
  Germany ドイツ, Korea 韓国, India インド
city; name; Tokyo 東京, Kyoto 京都, Osaka 大阪, Nara 奈良, Sapporo 札幌, London ロンドン, Paris パリ,
  New_York ニューヨーク, Fukuoka 福岡, Nagoya 名古屋, Berlin ベルリン, Rome ローマ, Boston ボストン, Seoul ソウル
medicine; mass; medicine 薬 +bitter
hand; pair; hands 手 +bodywash, teeth 歯 +teeth
face; count; face 顔 +bodywash
hair; mass; hair 髪 +bodywash
dishes; pair!; dishes 食器
clothes; pair!; clothes 服
trash; the; trash ごみ
bill; the; bill 料金, rent 家賃
"""


def _parse(table: str) -> list[Noun]:
    nouns: list[Noun] = []
    # A line that begins with a space goes on with the line before.
    for line in table.strip().replace("\n ", " ").splitlines():
        tags, kind, entries = (column.strip() for column in line.split(";"))
        nouns.extend(_noun(entry, tags, kind) for entry in entries.split(","))
    return nouns


def _noun(entry: str, tags: str, kind: str) -> Noun:
    english, japanese, *rest = entry.split()
    own = set(tags.split())
    counter = ""
    for part in rest:
        if part[0] == "+":
            own.add(part[1:])
        elif part[0] == "-":
            own.discard(part[1:])
        else:
            counter = part
    measure = "".join(character for character in counter if character.isascii())
    english = english.replace("_", " ")
    many = plural(english) if kind.startswith("count") else english
    bare = kind.rstrip("!")
    return Noun(english, many, japanese, bare, kind == bare, counter.removeprefix(measure), measure, frozenset(own))


NOUNS: tuple[Noun, ...] = tuple(_parse(_TABLE))
BY_NAME: dict[str, Noun] = {noun.english: noun for noun in NOUNS}


@cache
def tagged(*tags: str) -> tuple[Noun, ...]:
    """The nouns with any of the tags, in the order of the table; "=name" asks for one noun by its name."""
    names = {tag[1:].replace("_", " ") for tag in tags if tag[0] == "="}
    found = tuple(noun for noun in NOUNS if noun.english in names or not noun.tags.isdisjoint(tags))
    assert found, tags
    return found


def _people(text: str) -> list[list[str]]:
    return [[part.replace("_", " ") for part in entry.split()] for entry in text.split(",")]


# English name, Japanese name, pronoun.
NAMES: tuple[tuple[str, str, str], ...] = tuple(
    (english, japanese, who)
    for english, japanese, who in _people("""
    Tom トム he, John ジョン he, Mike マイク he, David デイビッド he, Paul ポール he, Peter ピーター he,
    Mary メアリー she, Emma エマ she, Lucy ルーシー she, Anna アンナ she, Jane ジェーン she, Alice アリス she,
    Taro 太郎 he, Kenji 健二 he, Ichiro 一郎 he, Hanako 花子 she, Naomi 直美 she, Yoko 洋子 she,
    Mr._Tanaka 田中さん he, Mr._Yamada 山田さん he, Mr._Brown ブラウンさん he,
    Ms._Suzuki 鈴木さん she, Ms._Sato 佐藤さん she, Ms._Smith スミスさん she
    """)
)

# English, one's own, somebody else's, pronoun.
KIN: tuple[tuple[str, str, str, str], ...] = tuple(
    (english, own, other, who)
    for english, own, other, who in _people("""
    father 父 お父さん he, mother 母 お母さん she, grandfather 祖父 おじいさん he, grandmother 祖母 おばあさん she,
    older_brother 兄 お兄さん he, younger_brother 弟 弟さん he, older_sister 姉 お姉さん she,
    younger_sister 妹 妹さん she, uncle 叔父 叔父さん he, aunt 叔母 叔母さん she, son 息子 息子さん he,
    daughter 娘 娘さん she, husband 夫 ご主人 he, wife 妻 奥さん she, cousin いとこ いとこ they
    """)
)
ADULT_KIN = tuple(kin for kin in KIN if kin[0] not in ("son", "daughter"))
