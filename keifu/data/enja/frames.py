"""What goes with what: what one does when one is tired, when it is cold, in which shop, and why; what is found where.

An action is written "+drink: =tea =coffee" or "-exercise": done or not done, with the nouns that fit here (any noun of
the verb, if none are named). "*" and "%" are could and could not.
"""

from keifu.data.enja.nouns import Noun, tagged
from keifu.data.enja.verbs import BY_KEY, Verb
from keifu.data.enja.words import listed

Action = tuple[Verb, tuple[Noun, ...], bool]


def actions(column: str) -> tuple[Action, ...]:
    found: list[Action] = []
    for part in listed(column):
        head, _, names = part.partition(":")
        verb = BY_KEY[head[1:]]
        nouns = tuple(noun for noun in tagged(*names.split()) if noun in verb.nouns) if names else ()
        assert bool(nouns) == bool(names), part
        found.append((verb, nouns, head[0] == "-"))
    return tuple(found)


def _lines(text: str) -> list[tuple[str, str]]:
    """ "name; column" a line; a line that begins with a space goes on with the line before."""
    rows = (line.partition(";") for line in text.strip().replace("\n ", " ").splitlines())
    return [(name, column.strip()) for name, _, column in rows]


MOOD_EFFECTS: dict[str, tuple[Action, ...]] = {
    name: actions(column)
    for name, column in _lines("""
tired; +go to bed, +take a bath, +drink: =coffee =tea =cocoa, +sit on: =chair =sofa =bench, +rest, -clean, -exercise,
 -cook#meal: =dinner, -wash: =dishes =clothes =car, -do, -play, -go to: =gym =park, +take#taxi: =taxi, -study#alone,
 -go shopping, -take a walk
hungry; +eat, +eat#dish, +eat, +eat#dish, +cook, +order: dish =hamburger =cake, +buy#grocery: snack =bread,
 +go to: =restaurant =cafe, +make: =sandwich =rice_ball
thirsty; +drink: =water =milk =juice =tea =green_tea, +buy#grocery: =water =juice =tea, +order: =juice =tea =coffee,
 +drink: =water =milk =juice =tea =green_tea
sleepy; +go to bed, +drink: =coffee =tea, +wash#body: =face, -do, -study#alone, -read, -finish, -take a bath,
 -watch: movie show news, +go home
sick; -go to: =office =gym =library =university, +go to: =hospital, +take#medicine, +stay at home, -play, -attend,
 -exercise, -go shopping, -join, -work#today, -swim
busy; -watch: movie show, -visit, -go shopping, -go fishing, -play, -cook#meal: =dinner, -clean, -call, -take a walk,
 -read, -go to: =park =museum =zoo =gym, -listen to: sound radio, -eat#meal: =lunch =breakfast
free; +watch: movie show, +visit, +go shopping, +go fishing, +play, +play#game, +read, +take a walk, +clean, +call,
 +go to: =park =museum =zoo =library =cafe, +listen to: sound radio, +draw, +paint: =picture =flower =mountain,
 +play#strings, +bake
sad; +cry, +listen to: sound, +call, +stay at home, -eat#meal: =dinner =lunch, -laugh, +talk with
bored; +watch: movie show, +play#game, +read, +take a walk, +call, +listen to: sound radio, +draw, +go home,
 +go shopping
angry; -talk with, -help, +go home, -call, -thank, -invite
nervous; -eat#meal: =breakfast =lunch, -talk with, +take a walk, +drink: =water =tea, -laugh
""")
}

WEATHER_EFFECTS: dict[str, tuple[Action, ...]] = {
    name: actions(column)
    for name, column in _lines("""
rain; +stay at home, -go to: =park =beach =zoo, -play: =tennis =soccer =baseball =golf, +take#taxi: =taxi, -run,
 +take#transit: =bus =subway, -wash: =car =clothes, +watch: movie show, +read, -take a walk, +close: =window,
 +use: =umbrella, -go fishing, +play#game, -go camping, -ride: =bicycle =motorcycle, -climb: =mountain
snow; +stay at home, -drive: =car =truck, -ride: =bicycle =motorcycle, +put on: =coat =sweater =jacket, -go shopping,
 +put on#legs: =boots, +turn on: =heater, +take#transit: =bus =train =subway, +go skiing,
 +drink: =cocoa =coffee =tea, +close: =window =curtain
cold; +put on: =coat =sweater =jacket, +drink: =coffee =tea =cocoa =green_tea, +eat#dish: =soup =ramen =stew =udon,
 +turn on: =heater, +close: =window =door, -swim, -take a walk, +stay at home, +put on#head: =hat, -open: =window,
 -go fishing
hot; +open: =window, +turn on: =air_conditioner =fan, +swim, +drink: =water =juice, +drink#alcohol: =beer,
 +eat#dish: =ice_cream, +eat: =watermelon, +take off: =coat =jacket =sweater, -run, -exercise, -take a walk,
 +buy#grocery: =water =juice =watermelon, -turn on: =heater
sunny; +take a walk, +wash: =car =clothes =blanket, +play: =tennis =soccer =baseball =golf, +run,
 +paint: =picture =flower =sea, +go to: =park =beach =zoo, +ride: =bicycle, +go fishing, -stay at home,
 +take a picture of: =flower =mountain =lake =sea, +open: =curtain =window
warm; +take a walk, +open: =window, -put on: =coat =sweater, +go to: =park =beach =zoo, +run, -turn on: =heater,
 +take off: =coat =jacket =sweater, +water: =flower =rose =tulip, +plant: =flower =tulip =rose
windy; +close: =window =door, -play: =badminton =tennis, -ride: =bicycle, +stay at home, -go fishing,
 -take#taxi: =boat
cool; +take a walk, +run, -turn on: =air_conditioner =fan, +ride: =bicycle =horse, +open: =window,
 +play: =tennis =soccer
humid; +turn on: =air_conditioner =fan, +take a bath, -run, -exercise, +drink: =water, +open: =window
foggy; -drive: =car =truck, -climb: =mountain, -ride: =motorcycle =bicycle, +take#transit: =train =subway
""")
}

AT_HOME = actions(
    "+read, +cook#meal, +cook, +watch: show movie news, +clean, +wash: =dishes =clothes =car, +study, +sleep, +draw,"
    "+write, +listen to: sound radio, +play#strings, +play#game, +take a bath, +paint, +eat#meal, +do, +water, +bake,"
    "+make#craft, +drink"
)
IN_A_ROOM = actions(
    "+read, +study, +write, +sleep, +listen to: sound radio, +play#game, +draw, +drink, +clean: =window, +sing,"
    "+talk with, +eat"
)
ARRIVALS = actions("+come home, +come home, +enter: =room =classroom =living_room =kitchen")

# Where one goes and what one does there.
TRIPS: tuple[tuple[str, tuple[Action, ...]], ...] = tuple(
    (place, actions(column))
    for place, column in _lines("""
supermarket; +buy#grocery
market; +buy#grocery: fruit vegetable =fish =meat
convenience store; +buy#grocery: drink snack
bookstore; +buy: =book =novel =magazine =comic_book =dictionary =picture_book
department store; +buy: on legs head feet neck =ring =bag
cafe; +drink, +eat#dish: =cake =ice_cream, +order: =coffee =tea =cake =cocoa
restaurant; +eat#dish, +order: dish
park; +play: =soccer =tennis =baseball, +take a walk, +run, +paint: flower, +eat: =sandwich =rice_ball
library; +read: =book =novel =newspaper =magazine, +study, +study#alone, +borrow#library
zoo; +see#zoo, +take a picture of: zoo
bakery; +buy#grocery: =bread =cake =doughnut =cookie =pie
flower shop; +buy: flower
stadium; +watch#stadium
movie theater; +watch#cinema
beach; +take a walk, +pick up: =stone, +take a picture of: =sea =rainbow
gym; +exercise, +play: =basketball =volleyball =badminton =table_tennis
drugstore; +buy#medicine
station; +meet, +take#transit: =train =subway
farm; +feed: farm, +ride: =horse
""")
)
OUTINGS = tuple(entry for entry in TRIPS if entry[0] in ("park", "zoo", "beach", "farm", "stadium"))

# Why something was (not) done to a thing: the adjective, and the verbs.
REASONS: tuple[tuple[str, str], ...] = tuple(
    _lines("""
expensive; -buy, -choose
cheap; +buy
beautiful; +buy, +take a picture of, +choose, +look at
dirty; +wash, +clean
broken; +repair, -use
delicious; +eat, +eat#dish, +order
heavy; %carry
light; *carry, +buy
difficult; %solve, %answer
easy; *solve, *answer
interesting; +read, +buy
boring; -read
useful; +buy, +borrow
warm; +buy, +choose
cute; +buy, +choose, +take a picture of, +draw
old; +sell
small; -buy
big; +take a picture of
fresh; +buy#grocery
sweet; +eat, -eat
spicy; -eat#dish
bitter; -drink
scary; -watch
long; -read
round; +buy
thick; +buy
""")
)

# Whoever studies this wants to go there, or to become that.
ABROAD: tuple[tuple[str, str], ...] = tuple(
    _lines("""
English; America, Canada, London, New York
French; France, Paris
Chinese; China
German; Germany, Berlin
Italian; Italy, Rome
Korean; Korea, Seoul
Japanese; Japan, Tokyo, Osaka, Kyoto
""")
)
CAREERS: tuple[tuple[str, str], ...] = tuple(
    _lines("""
chemistry; doctor, nurse, scientist, dentist
law; lawyer
mathematics; engineer, scientist
physics; scientist, engineer, pilot
literature; writer, journalist
art; painter, photographer
English; pilot, journalist
economics; journalist
science; doctor, nurse, engineer
history; writer, journalist
""")
)
# Whoever goes there likes that.
FANCIES: tuple[tuple[str, str], ...] = tuple(
    _lines("""
zoo; panda, giraffe, lion, elephant, monkey, penguin, koala, tiger
library; English, literature, history
museum; art, history
beach; dolphin
cafe; coffee, tea, cake, ice cream
restaurant; sushi, tempura, ramen, curry, pizza, spaghetti
stadium; soccer, baseball
gym; basketball, volleyball, table tennis, badminton
forest; bird, squirrel, deer
bakery; bread, cookie, doughnut, cake, pie
park; bird, soccer, tennis, flower
flower shop; rose, lily, tulip
""")
)


def _spot(name: str, column: str) -> tuple[str, str, tuple[Noun, ...], tuple[Noun, ...]]:
    english, _, japanese = name.partition("=")
    anchors, _, things = column.partition(";")
    return english, japanese, tagged(*anchors.split()), tagged(*things.split())


# Where things are: preposition, 上 of 机の上, the nouns it goes with, and what is found there.
SPOTS = tuple(
    _spot(name, column)
    for name, column in _lines("""
on=上; top; readable stationery =key =cup =plate =box =vase =wallet =cat fruit =camera =hat =bag =passport
 =present
under=下; =table =desk =bed =chair =sofa =bench; =dog =cat =ball =bag =box =shoes =toy =kitten =puppy =doll
in=中; =box =bag =drawer =basket =suitcase; =book =key =toy =coin =photo =letter =pen =notebook =shirt =towel
 =apple =handkerchief =stamp =ticket =candle =passport
in=中; =refrigerator; vegetable fruit =egg =milk =beer =juice =cheese =cake =fish =meat =water
near=近く; =station =park =school =hospital =library =house =hotel =beach =university =airport; building =park =zoo
 =bus_stop =house =pool =river =lake
next to=隣; =station =park =school =hospital =library =bank =hotel =museum =post_office; building =park
in front of=前; =station =school =hospital =library =hotel =theater =bank =house; =car =truck =taxi =bus_stop
 =tree =bench =bicycle =motorcycle =dog
behind=後ろ; =door =tree =curtain =school =house =sofa =church; =cat =dog =boy =girl =child =bicycle =rabbit
""")
)
SITES: tuple[tuple[str, tuple[Noun, ...]], ...] = tuple(
    (name, tagged(*column.split()))
    for name, column in _lines("""
park; =tree =bench =dog =bird =duck =child =boy =girl flower =squirrel =man =woman
garden; =tree flower =cat =bird =rabbit =chair =table =butterfly =frog =goat
zoo; zoo
classroom; =student =desk =chair =teacher =girl =boy
living room; =sofa =lamp =cat =dog =bookshelf =table =piano =mirror
kitchen; =refrigerator =table =plate =cup =chair =cat =mouse =spider
forest; forest
farm; farm
town; shop =library =hospital =park =church =temple =bridge =museum =school =hotel
village; =school =church =temple =shrine =river =house =bridge =bakery =post_office =farm
hospital; =doctor =nurse =cafe
bedroom; =bed =lamp =mirror =desk =bookshelf =cat
""")
)
