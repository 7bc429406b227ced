"""Which words of a text are its author's own, where it quotes and says that it does.

"'Burn it down', he shouted, and people clapped" holds a call that is not its author's. A model that reads the whole
text sees the call first; without what stands in quotation marks it sees the report. Both are asked (`second_look.py`).
Marks alone are no report: who puts a call of their own between marks gains nothing.
"""

import re

GAP = " ... "
"""What stands for a quotation that was taken out."""

LEAST_WORDS = 3
"""Words of the author's own that it takes: a text that is all quotation is read as it is."""

_MARKS = str.maketrans({**dict.fromkeys("“”„«»", '"'), **dict.fromkeys("‘’", "'")})
_DOUBLE = re.compile(r'"[^"]*"')
_SINGLE = re.compile(
    r"(?<!\w)'(?!em\b|cause\b|til\b|bout\b|tis\b|twas\b|n\b)(?=\w)[^']*(?:(?<=\w)'(?=\w)[^']*)*'(?!\w)"
)
"""An apostrophe inside a word neither opens nor ends a quotation."""
_WORD = re.compile(r"\w+(?:'\w+)*")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_REPORTS = _set(
    "said says say saying wrote writes write written writing shouted shouts shout shouting yelled yells yelling "
    "screamed screams screaming posted posts post posting tweeted tweets tweet tweeting claimed claims claim claiming "
    "muttered told tells telling called calls call calling chanted chants chanting chant sang sings singing sprayed "
    "spray painted whispered typed texted text texts message messages messaged commented comment comments joke joked "
    "jokes joking insisted reads read reading quote quotes quoted transcript letter leaflet banner sign slogan "
    "graffiti song lyrics line words word phrase phrases statement statements sentence speech article headline heard "
    "hear hears believe believes think thinks thought thinking argue argues argued anyone anybody whoever someone "
    "somebody people idea notion opinion rhetoric voicemail email mail caption poster sticker placard meme report "
    "reported answer answered replied reply asked asks uses used using use shares shared sharing spread spreads "
    "spreading suggest suggests suggested imply implies promote promotes advocate advocates preach preaches preached "
    "insists stereotype stereotypes slur slurs insult insults threat threats threatened joined mumbled snapped hissed "
    "growled bragged admitted testified"
)
_OBJECTS = _set(
    "revolting vile unacceptable shameful ashamed shame excuse appalled appalling sickening disgusting disgusted "
    "cowardly disgrace disgraceful bigot bigots bigotry racist racism sexist sexism homophobic transphobic hate "
    "hateful hatred wrong awful horrible terrible outrageous intolerable despicable chilling offensive illegal crime "
    "criminal condemn condemned suspended banned ban resign bad stupid ridiculous unfair unjust harmful hurtful "
    "dangerous ignorant ignorance prejudice prejudiced discrimination abuse abusive bully bullying acceptable "
    "tolerate tolerated tolerance intolerance normalise normalize justified justify disagree problem evil gross cruel "
    "rude inexcusable unforgivable indefensible repulsive repugnant abhorrent heinous inhuman inhumane false untrue "
    "lie lies misogyny misogynist misogynistic ableist islamophobic islamophobia antisemitic antisemitism xenophobic "
    "xenophobia homophobia transphobia bullshit nonsense garbage propaganda fascist fascism nazi nazis extremist "
    "extremists radical respect sad sick tired angry scared afraid cried crying worried deleted blocked removed "
    "denounce denounced denounces reject rejects rejected oppose opposes opposed"
)
"""Words by which authors show that what they quote is somebody else's, or that they object to it."""


def own_words(text: str) -> str:
    """The text without its quotations, where the rest reports them or objects; empty where it does not.

    >>> own_words('"Burn it down with them inside", a grown man shouted at us')
    '... , a grown man shouted at us'
    >>> own_words('Hey lads: "burn it down tonight", bring petrol'), own_words("They're the dogs' owners")
    ('', '')
    """
    plain = text.translate(_MARKS)
    rest = _DOUBLE.sub(GAP, plain) if plain.count('"') > 1 else _SINGLE.sub(GAP, plain)
    if rest == plain:
        return ""
    words = _WORD.findall(rest.lower())
    if len(words) < LEAST_WORDS or (_REPORTS.isdisjoint(words) and _OBJECTS.isdisjoint(words)):
        return ""
    return " ".join(rest.split())
