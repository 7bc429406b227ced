"""Surface forms of calls to act: who should do what to whom, where, when and with what.

A text is split into words once; a word that can begin a form leads to the few patterns that start with it, so the
cost does not grow with the lexicon. What is found is a hint for a person and an input of the head in
`incitement.py`; on its own it says little ("shoot me an email by 5pm" has a verb and a time). English only.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from detectors.entries import Indicator

_WORD = re.compile(r"(?:https?://|www\.)\S+|[@#]?[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?;:…\n\"“”«»()*—–|>]|\s-\s|[^\w\s,'’@#&/%$£€+-]")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


VIOLENT_VERBS = _set(
    "kill murder slaughter massacre exterminate eradicate annihilate execute behead lynch hang shoot gun stab "
    "slit gut knife cut bomb firebomb petrol-bomb blow burn torch set attack assault ambush storm raid beat smash "
    "crush bash batter break hurt harm maim punch kick slap strangle choke drown stone poison gas nuke rape run "
    "ram drive trample destroy wipe eliminate purge finish string hunt drag jump crucify whip flog riot loot "
    "throw fight arm load clear bury rise take make clean drop put pour cleanse kidnap mow spill plant sink crack "
    "start"
)
"""Base forms. Those that are mostly harmless need the object in `_NEEDS_OBJECT`."""

_NEEDS_OBJECT = {
    verb: re.compile(pattern, re.IGNORECASE)
    for verb, pattern in {
        "set": r"set\s+(?:\w+\s+){0,7}(?:on\s+fire|alight|ablaze)|set\s+fire\b",
        "cut": r"cut\s+(?:\w+\s+){0,2}(?:throats?|heads?|hands?|tongues?)|cut\s+(?:them|him|her|'em)\s+(?:down|up)",
        "break": r"break\s+(?:all\s+)?(?:their|his|her|the|every)\s+(?:\w+\s+)?(?:bones?|necks?|legs?|arms?|kneecaps?|"
        r"faces?|jaws?|windows?|doors?|skulls?)",
        "blow": r"blow\s+(?:\w+\s+){0,4}up\b|blow\s+up\b",
        "drive": r"drive\s+(?:\w+\s+){0,3}(?:into\s+(?:the\s+)?(?:crowd|them|people|march|protest\w*|parade)|over)",
        "run": r"run\s+(?:\w+\s+){0,2}(?:over|down)\b|run\s+over\b",
        "wipe": r"wipe\s+(?:\w+\s+){0,3}(?:out|off)\b",
        "finish": r"finish\s+(?:them|him|her|'em|the\s+job|it\s+this)",
        "string": r"string\s+(?:\w+\s+){0,2}up\b|string\s+up\b",
        "hunt": r"hunt\s+(?:them|him|her|'em|down|the|every|these|those)",
        "drag": r"drag\s+(?:them|him|her|'em|the|every|those|these|that)\b",
        "jump": r"jump\s+(?:them|him|her|'em)\b",
        "throw": r"throw\s+(?:them|him|her|'em|bricks?|bottles?|petrol|molotovs?|stones?|rocks?|grenades?|acid)\b",
        "fight": r"fight\s+(?:them|him|her|'em|the\s+(?:police|cops|invaders|traitors))\b",
        "arm": r"arm\s+(?:yoursel\w+|ourselves|up)\b",
        "load": r"load\s+(?:your|the|up\s+your)\s+(?:guns?|rifles?|weapons?)",
        "clear": r"clear\s+(?:them|the\s+(?:streets?|camps?)|that\s+street)\b",
        "bury": r"bury\s+(?:them|him|her|'em|every|those|these)\b",
        "rise": r"rise\s+up\b",
        "take": r"take\s+(?:(?:them|him|her|'em)\s+(?:all\s+)?(?:out|down)|up\s+arms|(?:your|the)\s+(?:guns?|rifles?))",
        "make": r"make\s+(?:\w+\s+){1,3}(?:bleed|suffer|pay|burn|scream)\b",
        "clean": r"clean\s+(?:up\s+)?(?:the|this|our)\s+(?:cit(?:y|ies)|streets?|towns?|country)",
        "drop": r"drop\s+(?:\w+\s+){0,2}(?:bombs?|grenades?)",
        "put": r"put\s+(?:\w+\s+){0,3}(?:bullets?|in\s+the\s+ground|against\s+(?:a|the)\s+wall|"
        r"in\s+(?:a\s+)?(?:camps?|coffins?)|"
        r"in\s+hospital|six\s+feet)",
        "pour": r"pour\s+(?:\w+\s+){0,2}(?:petrol|gasoline|acid)",
        "gun": r"gun\s+(?:\w+\s+)?down\b",
        "knife": r"knife\s+(?:them|him|her|'em)\b",
        "stone": r"stone\s+(?:them|him|her|'em|the)\b",
        "gas": r"gas\s+(?:them|him|her|'em|the|all|every|these|those)\b",
        "spill": r"spill\s+(?:\w+\s+)?blood",
        "gut": r"gut\s+(?:them|him|her|'em)\b",
        "storm": r"storm\s+(?:the|that|this|their|every|our)\b",
        "raid": r"raid\s+(?:the|that|this|their|every)\b",
        "mow": r"mow\s+(?:them|him|her|'em|down)\b",
        "plant": r"plant\s+(?:\w+\s+)?(?:bombs?|explosives)",
        "sink": r"sink\s+(?:them|the\s+boats?|their\s+boats?|every)\b",
        "crack": r"crack\s+(?:\w+\s+)?(?:skulls?|heads?)",
        "start": r"start\s+(?:killing|shooting|burning|hanging|stabbing|bombing|beating|lynching|attacking)",
        "ram": r"ram\s+(?:them|him|her|the|your|a|into)\b",
    }.items()
}

_IDIOM = {
    verb: re.compile(rf"{verb}(?:ed|ing|s)?\s+(?:{objects})\b", re.IGNORECASE)
    for verb, objects in {
        "kill": r"time|the\s+(?:lights?|mood|vibe|engine|buzz|pain|game|dragon|boss|adds|zombies)|two\s+birds|"
        r"for\s+a|it|"
        r"me\b(?!.*\b(?:self|yourself)\b)|bacteria|germs|weeds",
        "burn": r"calories|fat|off|toast|the\s+(?:toast|midnight|candle)|rubber|incense|wood|leaves|garden|"
        r"some\s+calories|"
        r"those\s+calories|bridges",
        "shoot": r"(?:some\s+)?hoops|pool|me\s+an?\b|us\s+an?\b|for\s+the|a\s+(?:film|video|scene|message|text|selfie)|"
        r"the\s+(?:breeze|film|video|scene|zombies|blue\s+team)|photos|pictures|you\s+an?\b",
        "hang": r"out|in\s+there|on|around|with|tight|up|loose|a\s+(?:left|right|picture)|the\s+(?:washing|"
        r"laundry|lights|pictures?)"
        r"|your\s+(?:coat|stocking)",
        "beat": r"the\s+(?:traffic|rush|heat|queue|eggs?|clock|level|boss|record|odds|drum)|eggs|around|it|cancer|"
        r"a\s+score",
        "attack": r"the\s+(?:day|problem|pile|hill|ball|laundry|weekend|boss|king|base|dishes)|this\s+(?:week|day|"
        r"problem)|"
        r"ideas|that\s+pile|on|of|in|by|helicopter",
        "smash": r"(?:this|that|the|your|my|our|it)\s*(?:exam|interview|test|game|presentation|like|record|"
        r"quiz)?(?=\s*(?:exam|"
        r"interview|test|presentation|like|record|quiz|out\s+of|today|tomorrow))",
        "crush": r"(?:this|that|the|it|my|your)\s*(?:exam|interview|test|garlic|presentation|workout|game)|on\b|"
        r"the\s+garlic",
        "destroy": r"(?:them|him|us)\s+(?:on|at|in|this)\s+(?:sunday|saturday|monday|tuesday|wednesday|thursday|"
        r"friday|game|match|"
        r"season|the\s+(?:final|cup|league|derby))",
        "bomb": r"the\s+(?:test|exam|quiz|interview)|threat|squad|scare",
        "punch": r"it|above|line|the\s+(?:air|clock|ticket)",
        "raid": r"the\s+(?:fridge|wardrobe|boss|biscuit)",
        "storm": r"the\s+(?:castle|charts?|ballot|pitch|shops|stage|dance)",
        "execute": r"the\s+(?:plan|code|order|command|query|strategy)|order",
        "murder": r"an?\s+(?:burger|pint|pizza|curry|kebab|coffee|beer)|mystery",
        "kick": r"off|back|out\s+of|the\s+(?:ball|habit|bucket)|start|ass\s+at",
        "hurt": r"my|feelings",
        "poison": r"ivy",
        "drown": r"out|in\s+(?:work|paperwork|emails)",
        "fight": r"for|back|climate|the\s+power|racism|cancer|on",
        "cut": r"the\s+cake",
    }.items()
}

_MOBILISE = re.compile(
    r"(?:meet|gather|assemble)(?:\s+(?:up|me|us|outside|at|by|behind|in|near|on|there|here|tonight|tomorrow))|"
    r"join\s+(?:us|me)"
    r"|(?:march|rally|protest|demonstrate)\s+(?:with|to|on|at|from|tonight|tomorrow|for|against)|show\s+up|"
    r"turn\s+up|be\s+(?:there|at|ready)"
    r"|(?:get|head|come|go)\s+(?:down\s+)?(?:to|there)|bring\s+\w+|wait\s+for\s+(?:them|him|her)|"
    r"take\s+to\s+the\s+streets|stand\s+with|grab\s+(?:your|whatever|an?|the)"
    r"|(?:who\s+is|who's)\s+(?:coming|in\b|with\s+me)|spread\s+(?:this|the\s+word)|block\s+(?:the|every|all)",
    re.IGNORECASE,
)
_MOBILISERS = _set(
    "meet gather assemble join march rally protest demonstrate show turn be get head come go bring wait take "
    "stand who who's spread block grab"
)

_CALLERS = _set(
    "let's lets must should gotta please just everyone everybody someone somebody anyone lads boys brothers "
    "sisters patriots people citizens comrades folks guys then now go come we'll y'all"
)
"""A base form right after one of these calls to act."""

_CALL_THEN_TO = _set("time need needs have ready us ought got")
"""... or after one of these and "to"."""

_NEGATIONS = _set(
    "not don't dont never no nobody cannot can't cant won't wont stop shouldn't shouldnt mustn't didn't doesn't "
    "isn't without nor neither don’t can’t won’t shouldn’t"
)

_OBJECTS = _set(
    "the them this that those these all every each any him her 'em em everyone everybody anyone their his our "
    "your a an back down up both more as some out you whoever it"
)
"""What follows a verb that opens a sentence as a call; "Attack on market" is a headline."""

_WISH = re.compile(
    r"death\s+to\b|kill\s+(?:yourself|urself|yourselves)|hope\s+(?:you|they|he|she|all|these|"
    r"those)\s+(?:\w+\s+){0,3}(?:die|burn|rot|"
    r"suffer|bleed|get\s+(?:killed|shot|raped|hurt|beaten))|slow\s+death|(?:send|sent)\s+(?:\w+\s+){1,3}to\s+hell|"
    r"go\s+to\s+get\s+killed"
    r"|blood\s+(?:will|must)\s+flow|eye\s+for\s+an\s+eye|no\s+mercy|no\s+survivors|leave\s+no(?:ne|body|\s+one)"
    r"|(?:end|cleanse)\s+(?:them|their\s+lives)",
    re.IGNORECASE,
)
_HARMED = (
    r"shot|killed|hanged|hung|burn(?:ed|t)|lynched|executed|stoned|gassed|beaten|whipped|exterminated|eradicated|"
    r"eliminated|"
    r"wiped\s+out|put\s+down|put\s+against|raped|stabbed|slaughtered|beheaded|drowned|hunted|dragged|bombed|nuked|"
    r"murdered|"
    r"castrated|sterili[sz]ed|euthani[sz]ed|destroyed|torched|flogged|smashed|strung\s+up|run\s+over|attacked"
)
_DEONTIC = re.compile(
    r"(?:should|must|ought\s+to|needs?\s+to|have\s+to|has\s+to|got\s+to|gotta|deserves?\s+to|want\s+(?:them|him|"
    r"her|you)(?:\s+all)?)"
    rf"\s+(?:all\s+|just\s+|both\s+)?(?:(?:be|get)\s+(?:\w+\s+){{0,2}}?(?:{_HARMED})|die\b|burn\b|hang\b|bleed\b|"
    rf"suffer\b|rot\b)",
    re.IGNORECASE,
)
_THREAT = re.compile(
    r"(?:i|we)(?:\s*(?:'ll|’ll|'d|’d)|(?:'m|’m|'re|’re|\s+am|\s+are|m)?\s+(?:will|would|shall|gonna|going\s+to|"
    r"want\s+to|wanna|love\s+to|"
    r"swear|could))\s+(?:\w+\s+){0,3}?(?:kill|murder|shoot|stab|burn|beat|smash|hang|slaughter|cut|destroy|hurt|"
    r"rape|bomb|attack|punch|"
    r"slap|strangle|choke|behead|slit|hunt|crush|blow|come\s+for|put\s+(?:you|them|him|"
    r"her)\s+(?:\w+\s+){0,3}in\s+the\s+ground)\b"
    r"|(?:we|i)(?:'re|’re|'m|’m|\s+are|\s+am)\s+(?:coming|out)\s+(?:for|to\s+get)\s+(?:you|them|him|her)\b|"
    r"we\s+know\s+where\s+(?:you|they|he|she)\s+lives?"
    rf"|you(?:'ll|’ll|\s+will|\s+are\s+going\s+to|'re\s+gonna)\s+(?:all\s+)?(?:die|hang|burn|bleed|(?:be|"
    rf"get)\s+(?:{_HARMED}))\b|watch\s+your\s+back",
    re.IGNORECASE,
)

_GROUPS = _set(
    "immigrants immigrant migrants migrant refugees refugee foreigners muslims muslim islamists jews jew "
    "christians catholics hindus sikhs blacks whites asians arabs gypsies roma gays lesbians lgbt trans women "
    "woman feminists men politicians politician ministers minister councillors judges judge mayor president "
    "journalists journalist reporters reporter editors editor teachers doctors cops police officers officer pigs "
    "soldiers traitors traitor invaders infidels communists fascists liberals conservatives leftists protesters "
    "protestors strikers workers traders bankers elites disabled girls wives whores bitches sluts bitch whore "
    "slut perverts heretics unbelievers settlers natives"
)
_SITES = _set(
    "mosque mosques synagogue synagogues church churches temple temples shrine hotel hotels hostel hostels "
    "shelter shelters camp camps embassy consulate courthouse court parliament ministry palace school schools "
    "hospital clinic clinics library station stations barracks prison headquarters office offices warehouse depot "
    "market mall stadium airport harbour harbor port docks bridge square park plaza shop shops store stores "
    "centre center hall pub nightclub club cemetery village neighbourhood neighborhood district platform gates "
    "newsroom newspaper"
)
_PLACE = re.compile(
    r"(?:(?i:at|outside|near|in\s+front\s+of|inside|behind|by|to|on|in|around|opposite|from))\s+(?:(?i:the|our|"
    r"their|this|that)\s+)?"
    r"(?P<name>(?:[A-Z][\w'’-]+\s+){0,3}(?i:street|road|lane|square|avenue|park|bridge|station|mosque|synagogue|"
    r"church|temple|hotel|hostel|"
    r"shelter|embassy|courthouse|parliament|ministry|hospital|clinic|library|barracks|stadium|airport|harbour|"
    r"harbor|docks|mall|market|"
    r"town\s+hall|city\s+hall|council|police\s+station|train\s+station|petrol\s+station|centre|center|camp|school|"
    r"university|campus|"
    r"office|row|gates?|hill|quay|pier|plaza|capitol|monument|memorial|cathedral|villages?|border|house|pub|club|"
    r"bakery|depot|"
    r"warehouse|factory|platform|bus\s+stop|neighbou?rhood|town|city\s+cent(?:re|er))\b)"
)
_PLACE_NAME = re.compile(
    r"(?i:at|outside|near|inside|to|in|around|on)\s+(?:the\s+)?(?P<name>[A-Z][a-z][\w'’-]+(?:\s+[A-Z0-9][\w'’-]*){0,3})"
)
_PLACE_STARTERS = _set("at outside near in inside behind by to on around opposite from")
_NOT_A_PLACE = _set(
    "january february march april may june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday christmas easter ramadan i god jesus allah english spanish french "
    "facebook twitter youtube the a my your our his her their it this that and or but"
)
_ROADS = _set("street road lane avenue square row hill quay plaza park bridge mosque church hotel library camp station")

_SITE_NOUNS = (
    r"car\s+parks?|churchyards?|canteens?|exits?|entrances?|gates?|crossings?|junctions?|memorials?|fountains?|"
    r"markets?|depots?|beach|steelworks|works|plants?|factor(?:y|ies)|towers?|yards?|squares?|steps|alleys?"
)
_QUALIFIED_PLACE = re.compile(
    r"(?:at|outside|near|in\s+front\s+of|inside|behind|by|to|on|in|around|opposite|from|under)\s+"
    rf"(?:the|our|their|this|that)\s+(?P<name>(?:[\w'’-]+\s+){{1,2}}(?:{_SITE_NOUNS}))\b",
    re.IGNORECASE,
)
"""A site with words before it that need no capital: "the war memorial", "the harbour gate"."""
_OF_SITE = re.compile(
    rf"(?:[A-Z][\w'’-]+\s+){{1,3}}(?:{_SITE_NOUNS})\b|(?:St|Saint|Sankt|San|Santa)\.?\s+[A-Z][\w'’-]+(?:\s+(?:{_SITE_NOUNS})|"
    r"\s+[A-Z][\w'’-]+)?"
)
_NUMBERED_PLACE = re.compile(
    r"(?P<name>(?:(?i:junction|exit|gate|platform|pier|quay|dock|terminal|hall|room|block|stand)\s+(?:\d{1,3}|[A-Z])|[AM]\d{1,3})\b)"
)
_NUMBERED = _set("junction exit gate platform pier quay dock terminal hall room block stand")

_CLOCK = re.compile(
    r"\d{1,2}(?:[:.]\d{2})?\s?(?:am|pm|a\.m\.|p\.m\.|o'?\s?clock|uhr|hrs?)\b|[012]?\d[:h][0-5]\d\b(?!\s*(?:-|"
    r"–)?\s*(?:win|loss|km))"
    r"|\d{1,2}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b"
    r"|\d{1,2}[/.]\d{1,2}(?:[/.]\d{2,4})?\b(?!\s*(?:%|percent|cent|million|km|stars?))|\d{1,2}\s+(?:tonight|"
    r"tomorrow|sharp)\b",
    re.IGNORECASE,
)
_NUMBER_HOUR = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_AT_HOUR = re.compile(
    rf"(?:at|by|from|around|after|before)\s+(?:half\s+past\s+|quarter\s+(?:past|to)\s+)?(?:(?:[01]?\d|"
    rf"2[0-4])(?:[:.]\d\d)?(?:\s?[ap]m)?"
    rf"(?!\d|\s*(?:%|percent|people|million|years?|euros?|dollars?|miles?|km|of\b|in\b))|"
    rf"(?:{_NUMBER_HOUR})(?:\s+o'?clock|\s+sharp|\b(?=\s*(?:[.,!?]|$|"
    r"tonight|tomorrow|on\b|in\s+the)))|dawn|dusk|noon|midnight|sunrise|sunset|nightfall|kick-?off|closing)\b",
    re.IGNORECASE,
)
_HOUR_WORD = re.compile(rf"(?:{_NUMBER_HOUR})\s+(?:o'?\s?clock|sharp)\b|eight\s+tonight", re.IGNORECASE)
_TIMES = _set(
    "tonight tomorrow tmrw tomoz midnight noon dawn dusk monday tuesday wednesday thursday friday saturday sunday "
    "mon tue tues thurs fri sundays saturdays weekend"
)
_THIS_TIME = re.compile(
    r"(?:this|next|coming|every)\s+(?:morning|afternoon|evening|night|weekend|week|monday|tuesday|wednesday|"
    r"thursday|friday|saturday|sunday)"
    r"|right\s+now|in\s+(?:an|one|two|three|\d+)\s+(?:hours?|minutes?|days?)|after\s+(?:prayers|the\s+(?:game|"
    r"match|service|march))",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    r"(?:january|february|march|april|june|july|august|september|october|november|december|jan|feb|aug|sept?|oct|"
    r"nov|dec)"
    r"\s+\d{1,2}(?:st|nd|rd|th)?\b",
    re.IGNORECASE,
)
_PART_OF_DAY = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day\s+(?:early\s+)?(?:morning|afternoon|evening|night|noon)|"
    r"tomorrow\s+(?:morning|afternoon|evening|night|noon)",
    re.IGNORECASE,
)
_PAST_HOUR = re.compile(
    rf"(?:half|quarter)\s+(?:past|to)\s+(?:{_NUMBER_HOUR}|\d{{1,2}})\b|half\s+an\s+hour\s+(?:before|after)\s+[\w-]+",
    re.IGNORECASE,
)
_DARK = re.compile(r"(?:when\s+it\s+(?:gets|is)|after|before|until)\s+dark\b|now(?=\s*(?:[,.!]|$))", re.IGNORECASE)
_FEAST = re.compile(
    r"may\s+day|christmas(?:\s+(?:eve|day))?|new\s+year'?s?(?:\s+(?:eve|day))?|easter(?:\s+(?:sunday|monday))?|"
    r"good\s+friday|halloween|(?:independence|labou?r|remembrance|bastille|columbus|veterans|memorial)\s+day|"
    r"lunch\s?time|lunch\s+break|rush\s+hour",
    re.IGNORECASE,
)
_FEASTS = _set(
    "may christmas new easter good halloween independence labour labor remembrance bastille columbus veterans memorial "
    "lunchtime lunch rush"
)
_MONTHS = _set(
    "january february march april june july august september october november december jan feb aug sep sept oct nov dec"
)

_WEAPONS = _set(
    "gun guns rifle rifles pistol shotgun ak47 ar15 ammo ammunition bullet bullets knife knives machete machetes "
    "blade blades sword swords axe axes bat bats brick bricks hammer hammers crowbar molotov molotovs petrol "
    "gasoline kerosene grenade grenades explosives bomb bombs acid noose rope torches pitchforks weapon weapons "
    "arms matches firebomb dynamite poison stones"
)

_GLORIFY = re.compile(
    r"did\s+the\s+right\s+thing|(?:deserved|deserves)\s+(?:it|what)|had\s+it\s+coming|"
    r"got\s+what\s+\w+\s+deserved?|good\s+riddance|"
    r"more\s+of\s+(?:this|these|that)|one\s+(?:less|fewer)|not\s+enough\b|about\s+time\s+(?:some|they|he|she)\w*|"
    r"(?:is|are|was)\s+an?\s+(?:true\s+|real\s+)?"
    r"(?:hero(?:es)?|martyrs?|legends?|patriots?)|finish(?:ed)?\s+the\s+(?:job|work)|give\s+(?:that|the|"
    r"this)\s+\w+\s+a\s+medal|"
    r"great\s+start|holy\s+deed|(?:the\s+)?only\s+good\s+\w+(?:\s+is)?|be\s+like\s+the\s+martyr",
    re.IGNORECASE,
)
_GLORIFIERS = _set(
    "did deserved deserves had got good more one not about is are was finish finished give great holy only be"
)

_VERMIN = _set(
    "vermin cockroach cockroaches subhuman subhumans parasite parasites maggots leeches scum filth filthy plague "
    "infestation infest infesting savages barbarians invaders degenerates mongrels"
)
_BEASTS = _set(
    "animals animal rats rat pigs pig dogs insects snakes disease cancer garbage trash swine monkeys apes beasts"
)
_BEAST_LEADS = _set("these those such like are fucking bloody dirty filthy human inhuman than them they're you're")
_NOT_HUMAN = re.compile(r"(?:not|n't|aren't|less\s+than|sub-?)\s*(?:even\s+)?human(?:s|\s+beings?)?\b", re.IGNORECASE)

_GET_THEM = re.compile(
    r"let'?s\s+(?:all\s+|go\s+(?:and\s+)?)?(?:get|have|do|end|finish)\s+(?:them|him|her|'em|those|"
    r"these)\b(?!\s+(?:out\s+of\s+office|elected|home|"
    r"some|an?\b|to\b|back))",
    re.IGNORECASE,
)
_DEONTIC_LEADS = _set("should must ought need needs have has got gotta deserve deserves want")
_WISH_LEADS = _set("death kill hope slow send sent go blood eye no leave end cleanse")
_THREAT_LEADS = _set("i we i'm we're im i'd i'll we'll you you'll you're watch")


_PUBLIC = _set(
    "bridge square park plaza harbour harbor port docks market airport station stations platform gates neighbourhood "
    "neighborhood district village cemetery library"
)
"""Sites where people only come together: told as a target where the call is to do something to them."""

_TARGET_SITE = re.compile(
    r"(?:police|fire|polling)\s+stations?|(?:city|town|village)\s+hall|(?:asylum|refugee|migrant|detention)\s+"
    r"(?:cent(?:re|er)s?|hotels?|hostels?|camps?|homes?|shelters?)",
    re.IGNORECASE,
)
_TARGET_SITE_LEADS = _set("police fire polling city town village asylum refugee migrant detention")

_ACTED_ON = re.compile(
    r"[\w-]+\s+(?:down\s+|up\s+|out\s+|into\s+)?(?:on\s+)?(?:all\s+)?"
    r"(?:the|every|those|these|that|their|his|her|this)\s+(?P<name>[\w'’-]+(?:\s+[\w'’-]+)?)",
    re.IGNORECASE,
)
"""Whom or what a verb acts on: two words at most, up to the first of `_PHRASE_ENDS`."""
_PHRASE_ENDS = (
    _set(
        "at on in by to of from with for and or but before after until when while where who that which near outside "
        "behind inside into over out down up as is are was were will tonight tomorrow today now this next again they "
        "we you he she it so because right on-site together all house houses home"
    )
    | _TIMES
)

_BLOCK = re.compile(
    r"(?:occupy|surround|blockade|besiege|barricade|picket|block|seal\s+off|shut\s+down|close\s+down)\s+"
    r"(?:the|every|all|their|his|her|this|that|those|these)\b",
    re.IGNORECASE,
)
_BLOCKERS = _set("occupy surround blockade besiege barricade picket block seal shut close")

_COME = re.compile(
    r"(?:meet|gather|assemble|convene|muster)\s+(?:under|around|before|again|opposite|this|next|every|today)|"
    r"(?:come|get|go|head)\s+(?:\w+\s+)?(?:to|into|onto|over\s+to|up\s+to)\b|be\s+(?:in\s+front|outside|inside|by|on|in)\b|"
    r"show\s+your|(?:walk|march|stand)\s+(?:with|through|past|in)\b",
    re.IGNORECASE,
)
_COMERS = _set("meet gather assemble convene muster come get go head be walk march stand")

_EVENTS = _set(
    "vigil protest march rally demo demonstration picket sit-in strike blockade assembly gathering meeting walkout "
    "counter-protest chain parade procession"
)
_ADDRESSED = re.compile(
    r"(?:everyone|everybody|all|all\s+of\s+you|lads|boys|patriots|brothers|comrades|citizens|students)\s*"
    r"(?:[,:]|(?:down\s+)?to\s|outside\s|on\s+to\s)",
    re.IGNORECASE,
)
_ADDRESSEES = _set("everyone everybody all lads boys patriots brothers comrades citizens students")
_SOON = re.compile(
    r"\b(?:tonight|tomorrow|today|now|noon|midnight|dawn|(?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    rf"this\s+(?:evening|afternoon|morning|weekend)|(?:half|quarter)\s+(?:past|to)|(?:at|from|by)\s+(?:\d|(?:{_NUMBER_HOUR})\b)|"
    r"\d{1,2}\s?(?:am|pm|h|o'?clock)|\d{1,2}[:.]\d\d)\b",
    re.IGNORECASE,
)
"""A time that may lie ahead: where it is said, an event without a verb is announced rather than told."""
_TOLD = re.compile(
    r"\b(?:was|were|had|has|have|held|ended|turned|began|killed|injured|hurt|said|says|yesterday|last|ago|marched|"
    r"gathered|stormed|attended|tickets?|doors?|entry|free|opens?|open|closed|sale|against\s+\w+\s+(?:win|loss))\b",
    re.IGNORECASE,
)
"""Words of what is past, and of what is sold: then nobody is called."""


class Word(NamedTuple):
    """One word of a text, lower case, and where it stands."""

    text: str
    start: int
    end: int


class Reading(NamedTuple):
    """A text, its words, and the forms found in it."""

    words: tuple[Word, ...]
    indicators: tuple[Indicator, ...]
    remarks: frozenset[str]
    """What was seen besides: `violent_call`, `quoted_call`, `negated_call`, `gathering_call`, `threat`, `idiom`."""
    signs: frozenset[str]
    """Kinds found by the rules that the incitement heads were trained with. Rules that came later tell analysts more
    (`indicators`), and leave what the heads read as it was."""


Finder = Callable[[str, Sequence[Word], int], "tuple[str, str] | None"]
"""Looks at one word in its text; gives kind (or remark) and words of the form that begins there."""


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Find the forms of a text, in its order; a form found twice is told once. Remembers the last texts.

    >>> [(i.kind, i.words) for i in read("Burn it down, the one on Dunmore Street, at 8pm").indicators]
    [('call_to_act', 'Burn'), ('place', 'Dunmore Street'), ('time', 'at 8pm')]
    """
    words = _words(text)
    remarks: set[str] = set()
    signs: set[str] = set()
    found: dict[tuple[str, str], Indicator] = {}
    for form, surface in _forms(text, words):
        kind = _REMARKS.get(form, form).removeprefix(TOLD_ONLY).removeprefix(SIGN_ONLY)
        if form in _REMARKS:
            remarks.add(form)
        if kind and not form.startswith(TOLD_ONLY):
            signs.add(kind)
        if kind and not form.startswith(SIGN_ONLY):
            found.setdefault((kind, surface.lower()), Indicator(kind=kind, words=surface))
    return Reading(words, _longest(list(found.values())), frozenset(remarks), frozenset(signs))


TOLD_ONLY, SIGN_ONLY = "+", "-"
"""Before the name of a form: it is told, but no input of the heads; or the other way round."""


def _words(text: str) -> tuple[Word, ...]:
    words = tuple(Word(m[0].lower(), *m.span()) for m in _WORD.finditer(text))
    if "’" in text:
        return tuple(word._replace(text=word.text.replace("’", "'")) for word in words)
    return words


def _longest(found: Sequence[Indicator]) -> tuple[Indicator, ...]:
    """Without those whose words are part of another of their kind ("dawn" beside "at dawn")."""
    if len(found) < 2:
        return tuple(found)
    return tuple(
        one
        for one in found
        if not any(
            one.kind == other.kind and len(one.words) < len(other.words) and one.words.lower() in other.words.lower()
            for other in found
        )
    )


def is_gathering(words: str) -> bool:
    """Whether the words of a call to act only ask people to come together.

    >>> is_gathering("meet at"), is_gathering("Burn")
    (True, False)
    """
    if words.lower().split()[0].rstrip(",:") in _EVENTS | _ADDRESSEES:
        return True
    return any(pattern.match(words) for pattern in (_MOBILISE, _COME, _BLOCK))


_REMARKS = {
    "violent_call": "call_to_act",
    "quoted_call": "call_to_act",
    "gathering_call": "call_to_act",
    "threat": "",
    "negated_call": "",
    "idiom": "",
}
"""Remarks, and the kind of indicator that each also is."""


def _forms(text: str, words: Sequence[Word]) -> Iterator[tuple[str, str]]:
    for index, word in enumerate(words):
        key = word.text
        if key[0] == "#":
            key = key[1:]
        elif key[0] in _DIGITS and (hit := _CLOCK.match(text, word.start)):
            # "30 sharp" is the end of "18:30 sharp".
            ends_another = text[max(0, word.start - 1)] in ":." and text[max(0, word.start - 2)].isdigit()
            yield (f"{SIGN_ONLY}time" if ends_another else "time"), hit.group()
        for finder in _FINDERS.get(key, ()):
            if form := finder(text, words, index):
                yield form


_DIGITS = "0123456789"


def _word(kind: str) -> Finder:
    """The word itself is the form."""

    def find(text: str, words: Sequence[Word], index: int) -> tuple[str, str]:
        return kind, text[words[index].start : words[index].end]

    return find


def _target(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """A group or a site, unless it only names a road: "Church Street"."""
    names_road = index + 1 < len(words) and words[index + 1].text in _ROAD_WORDS
    return _word(f"{SIGN_ONLY}target" if names_road else "target")(text, words, index)


_ROAD_WORDS = _set("street road lane avenue square row hill way close drive")


def _pattern(kind: str, pattern: re.Pattern[str]) -> Finder:
    """The form is what `pattern` matches from this word on."""

    def find(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
        hit = pattern.match(text, words[index].start)
        return (kind, hit.group()) if hit else None

    return find


def _named_place(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """A preposition and a site, or a preposition and a name in capitals."""
    start = words[index].start
    if hit := _PLACE.match(text, start):
        return "place", hit["name"]
    hit = _PLACE_NAME.match(text, start)
    if hit and hit["name"].split()[0].lower().removesuffix("s") not in _NOT_A_PLACE:
        return "place", hit["name"]
    return None


def _more_places(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """A site with plain words before it, or with a saint's name."""
    start = words[index].start
    if hit := _QUALIFIED_PLACE.match(text, start):
        return f"{TOLD_ONLY}place", hit["name"]
    after = words[index + 1] if index + 1 < len(words) else None
    if after and (hit := _OF_SITE.match(text, after.start)) and after.text.removesuffix("s") not in _NOT_A_PLACE:
        return f"{TOLD_ONLY}place", hit.group()
    return None


def _numbered_place(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    hit = _NUMBERED_PLACE.match(text, words[index].start)
    return (f"{TOLD_ONLY}place", hit["name"]) if hit else None


def _acted_on(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """What a call is against: the object of its verb ("Ambush the convoy", "occupy the rector's office")."""
    form = _violent(text, words, index) or _blocks(text, words, index)
    if form is None or form[0] in {"idiom", "negated_call"}:
        return None
    hit = _ACTED_ON.match(text, words[index].start)
    if hit is None:
        return None
    kept: list[str] = []
    for word in hit["name"].split():
        if word.lower() in _PHRASE_ENDS:
            break
        kept.append(word)
    return (f"{TOLD_ONLY}target", " ".join(kept)) if kept else None


def _blocks(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """A call to block or to occupy."""
    hit = _BLOCK.match(text, words[index].start)
    called = _opens(text, words, index) or _is_called(words, index) or _goes_on(words, index)
    return (f"{TOLD_ONLY}call_to_act", hit.group()) if hit and called else None


def _comes(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """A call to come, in more words than `_mobilise` knows, where a time that lies ahead is said."""
    hit = _COME.match(text, words[index].start)
    if hit is None or not (_opens(text, words, index) or _is_called(words, index)) or not _is_ahead(text):
        return None
    return f"{TOLD_ONLY}call_to_act", hit.group().strip()


def _announced(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """An event that opens a text, with a time that lies ahead: "Vigil for the miners this Sunday at 7"."""
    at_start = index == 0 or (index == 1 and words[0].text not in _OBJECTS | _NOT_A_PLACE)
    if not at_start or not _is_ahead(text):
        return None
    return f"{TOLD_ONLY}call_to_act", text[words[index].start : words[index].end]


def _addressed(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """Somebody is told where to be, without a verb: "Everybody to the airport, they land at 6"."""
    hit = _ADDRESSED.match(text, words[index].start)
    if hit is None or not _opens(text, words, index) or not _is_ahead(text):
        return None
    return f"{TOLD_ONLY}call_to_act", hit.group().strip(" ,:")


def _is_ahead(text: str) -> bool:
    return _SOON.search(text) is not None and _TOLD.search(text) is None


def _named_road(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """A road or site with a name before it: "Grange Road"."""
    if index == 0:
        return None
    name, word = words[index - 1], words[index]
    if text[name.start].isupper() and text[word.start].isupper() and word.start - name.end == 1:
        return "place", text[name.start : word.end]
    return None


def _demand(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """What should be done to somebody ("should all be shot"), unless it should be done to nobody."""
    hit = _DEONTIC.match(text, words[index].start)
    if hit is None:
        return None
    denied = any(word.text in _NEGATIONS for word in words[max(0, index - 2) : index])
    return ("negated_call" if denied else "violent_call"), hit.group()


def _beast(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """Animals and illnesses dehumanise only where somebody is called one ("these rats", "they are a cancer")."""
    before = {word.text for word in words[max(0, index - 2) : index]}
    return _word("dehumanisation")(text, words, index) if before & _BEAST_LEADS else None


def _mobilise(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """A call to come together, where it is a call: not "they met at"."""
    hit = _MOBILISE.match(text, words[index].start)
    if hit is None or not (_opens(text, words, index) or _is_called(words, index)):
        return None
    return "gathering_call", hit.group()


def _violent(text: str, words: Sequence[Word], index: int) -> tuple[str, str] | None:
    """A verb of violence where it calls on somebody, and what keeps it from being one."""
    verb, start, end = words[index]
    needed = _NEEDS_OBJECT.get(verb)
    surface = needed.match(text, start) if needed else None
    if needed and not surface:
        return None
    idiom = _IDIOM.get(verb)
    if idiom and idiom.match(text, start):
        return "idiom", verb
    has_object = surface is not None or _has_object(text, words, index)
    if not (has_object and (_opens(text, words, index) or _goes_on(words, index))) and not _is_called(words, index):
        return None
    if any(word.text in _NEGATIONS for word in words[max(0, index - 3) : index]):
        return "negated_call", verb
    return "quoted_call" if _is_quoted(text, start) else "violent_call", surface.group() if surface else text[start:end]


def _is_quoted(text: str, start: int) -> bool:
    """Whether a quotation is open here."""
    before = text[:start]
    return before.count('"') % 2 == 1 or before.count("“") > before.count("”") or before.count("«") > before.count("»")


def _opens(text: str, words: Sequence[Word], index: int) -> bool:
    """Whether a word opens a sentence or a clause."""
    if index == 0:
        return True
    before = words[index - 1]
    between = text[before.end : words[index].start]
    return (
        before.text[0] == "@" or before.text.startswith("http") or "," in between or bool(_SENTENCE_END.search(between))
    )


def _has_object(text: str, words: Sequence[Word], index: int) -> bool:
    """Whether a verb that opens a sentence has an object, or is the whole of it."""
    if index + 1 == len(words):
        return True
    after = words[index + 1]
    return (
        after.text in _OBJECTS
        or after.text in _GROUPS
        or after.text in _SITES
        or bool(_SENTENCE_END.search(text[words[index].end : after.start]))
    )


def _is_called(words: Sequence[Word], index: int) -> bool:
    """Whether what comes before makes a base form a call ("we must", "time to", "go and", "somebody should just")."""
    if index == 0:
        return False
    one = words[index - 1].text
    two = words[index - 2].text if index > 1 else ""
    three = words[index - 3].text if index > 2 else ""
    if one == "to":
        return two in _CALL_THEN_TO and three not in _SINGULAR
    if one in {"we", "all", "just", "then"}:
        return two not in _SINGULAR and (one != "then" or two in _CALLERS)
    return one in _CALLERS and two not in _SINGULAR


def _goes_on(words: Sequence[Word], index: int) -> bool:
    """Whether a verb goes on after another one ("meet there and burn it"), or is what a "we" does."""
    return index > 1 and words[index - 1].text in {"and", "or", "then", "we"} and words[index - 2].text not in _SINGULAR


_SINGULAR = _set("i i'd i'll i've he she it my")


def _finders() -> dict[str, tuple[Finder, ...]]:
    """For each word that can begin a form, what to look for."""
    table: dict[str, list[Finder]] = {}
    for words, finder in (
        (VIOLENT_VERBS, _violent),
        (_MOBILISERS, _mobilise),
        (_set("let's lets"), _pattern("violent_call", _GET_THEM)),
        (_DEONTIC_LEADS, _demand),
        (_WISH_LEADS, _pattern("violent_call", _WISH)),
        (_THREAT_LEADS, _pattern("threat", _THREAT)),
        (_GROUPS | _SITES - _PUBLIC, _target),
        (_PUBLIC, _word(f"{SIGN_ONLY}target")),
        (_TARGET_SITE_LEADS, _pattern(f"{TOLD_ONLY}target", _TARGET_SITE)),
        (VIOLENT_VERBS | _BLOCKERS, _acted_on),
        (_BLOCKERS, _blocks),
        (_COMERS, _comes),
        (_EVENTS, _announced),
        (_ADDRESSEES, _addressed),
        (_SITES, _word("place")),
        (_PLACE_STARTERS, _named_place),
        (_PLACE_STARTERS | {"under"}, _more_places),
        (_NUMBERED, _numbered_place),
        (_ROADS, _named_road),
        (_TIMES, _word("time")),
        (_TIMES, _pattern(f"{TOLD_ONLY}time", _PART_OF_DAY)),
        (_set("half quarter"), _pattern(f"{TOLD_ONLY}time", _PAST_HOUR)),
        (_set("when after before until now"), _pattern(f"{TOLD_ONLY}time", _DARK)),
        (_FEASTS, _pattern(f"{TOLD_ONLY}time", _FEAST)),
        (_set("at by from around after before"), _pattern("time", _AT_HOUR)),
        (_set(_NUMBER_HOUR.replace("|", " ")), _pattern("time", _HOUR_WORD)),
        (_set("this next coming every right in after"), _pattern("time", _THIS_TIME)),
        (_MONTHS, _pattern("time", _MONTH_DAY)),
        (_WEAPONS, _word("weapon")),
        (_GLORIFIERS, _pattern("glorification", _GLORIFY)),
        (_VERMIN, _word("dehumanisation")),
        (_BEASTS, _beast),
        (_set("not aren't less sub"), _pattern("dehumanisation", _NOT_HUMAN)),
    ):
        for word in words:
            table.setdefault(word, []).append(finder)
    return {word: tuple(finders) for word, finders in table.items()}


_FINDERS = _finders()
