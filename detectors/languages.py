"""In which language a short text is, as far as its script and its commonest words tell.

The heads judge only languages that they were trained for; a post in another one must not be scored as if it were
English. The post's own tag is believed, unless the script contradicts it; without a tag, the script decides, and for
Latin letters which language's commonest words the text has. A text that shows nothing either way gets no answer.
"""

import re
import unicodedata

UNKNOWN = ""
"""No answer: too short, names and numbers only, or no list of words for it."""

LEAST_WORDS = 2
"""Common words of another language, and more than of English, that it takes to answer."""

_LETTERS = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")

_ELIDED = ("l'", "d'", "qu'", "j'", "n'", "s'", "m'", "c'")

_BY_SCRIPT = {
    "ARABIC": "ar",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "ETHIOPIC": "am",
    "MYANMAR": "my",
    "KHMER": "km",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "SINHALA": "si",
}
"""First word of a letter's Unicode name -> the most common language in that script."""

_COMMON = {
    "en": "the and you that for are was with this have not but what they from your just like all we our his her she "
    "who can will would about out there been when it's i'm don't to of is in it on my be so if at as he do i a me "
    "no us or die an man war go by us",
    "de": "der die das und ist nicht ich ein eine mit auf für sie den dem des wir ihr es von zu auch aber wie "
    "wenn noch nur alle man hat sind war bei nach dass kein keine mich uns sich oder aus am im heute wird "
    "du dich dir deine deiner dein einen einem einer wegen weil wer dieser diese dieses seiner seine meinen ihre wurde "
    "müssen muss sollte werden",
    "fr": "le la les des et est un une pas pour que qui dans sur il elle nous vous ils je avec ce cette mais tout plus "
    "sont au aux du ne leur se c'est j'ai être faut tous ces ça d'un l'on "
    "tu te ton ta mon ma son sa ses moi toi où quand selon depuis jusqu'à avant après "
    "comme aussi contre personne rien devant sept était étaient",
    "es": "el la los las de que y es un una no por para con en se lo al del como más pero su sus todos esta este están "
    "hay yo ya mi te nos muy son fue ser tiene hoy "
    "tu tú todo toda nadie quien qué cuando porque donde dónde sin contra según después antes desde vamos van va quede "
    "quién le les",
    "pt": "o os as de que e é um uma não por para com em se do da dos das no na mais mas como seu sua todos esta este "
    "são eu já me te nos muito foi ser tem hoje você",
    "it": "il lo gli di che e è un una non per con in si del della dei delle ma come più suo sua tutti questo questa "
    "sono ho io mi ti ci molto era essere ha oggi al alla",
    "nl": "de het een en is niet ik dat van voor met op zijn ze we je wij er maar ook aan om als nog alle naar bij uit "
    "deze geen wordt hebben heeft moet",
    "sv": "och att det är inte jag en ett som på med för av den har de vi till men om så kan ska alla var från nu när",
    "da": "og at det er ikke jeg en et som på med for af den har de vi til men om så kan skal alle var fra nu når",
    "pl": "nie i w na się z to jest że do co jak ale za po tak od są jego tylko dla wszyscy już być przez te ich",
    "tr": "ve bir bu için de da ne çok ama var mi gibi daha olan ben sen biz onlar değil bütün her şey ile kadar",
    "id": "yang dan di ini itu untuk dengan tidak dari ada akan pada saya kita mereka sudah bisa semua juga orang",
    "fi": "ja on ei se että hän minä olen mutta kun niin ovat oli tämä joka myös kaikki nyt vain mitä sen",
    "ro": "și nu este o un de la cu pe că mai în sunt care ce pentru din dar toți au fost să se",
    "tl": "ang ng sa na mga at ay si ko mo ito hindi lang po siya ka niya kung para naman",
    "sw": "na ya wa kwa ni katika la za hii huyo hiyo sisi watu lakini kama yao wote sana leo",
    "vi": "và của là không có những cho được trong một người này với các đã sẽ tôi họ",
}
"""The commonest words of languages in Latin letters; a word that several share counts for each."""

_LISTS_OF: dict[str, tuple[str, ...]] = {}
for _language, _words in _COMMON.items():
    for _word in _words.split():
        _LISTS_OF[_word] = (*_LISTS_OF.get(_word, ()), _language)


def language_told(tag: str | None, text: str) -> str:
    """Language of a text (ISO 639-1), from its BCP 47 tag and from the text; `UNKNOWN` where neither tells.

    >>> language_told("de-AT", "Kommt alle"), language_told(None, "Nous ne sommes pas d'accord avec vous")
    ('de', 'fr')
    >>> language_told("en", "Полиция просит не выходить"), language_told(None, "Harwick 2:1")
    ('ru', '')
    """
    tagged = (tag or "").replace("_", "-").partition("-")[0].lower()
    if tagged in {"und", "zxx", "qme", "mul"}:
        tagged = UNKNOWN
    scripted = UNKNOWN if text.isascii() else _by_script(text)
    if scripted:
        return tagged if _script_of(tagged) == _script_of(scripted) and tagged else scripted
    return tagged or _by_words(text)


_ARABIC_SCRIPT = frozenset({"ar", "fa", "ur", "ps", "ckb", "sd", "ug"})
_CYRILLIC = frozenset({"ru", "uk", "bg", "sr", "mk", "be", "kk", "ky", "mn", "tg"})
_DEVANAGARI = frozenset({"hi", "mr", "ne"})
_HAN = frozenset({"zh", "ja", "yue"})


def _script_of(language: str) -> str:
    for name, languages in (("A", _ARABIC_SCRIPT), ("C", _CYRILLIC), ("D", _DEVANAGARI), ("H", _HAN)):
        if language in languages:
            return name
    return language


def _by_script(text: str) -> str:
    """Language of the script of most letters; `UNKNOWN` where they are Latin."""
    letters = "".join(_LETTERS.findall(text))[:200]
    other = [letter for letter in letters if ord(letter) >= 0x0370]
    if 2 * len(other) <= len(letters):
        return UNKNOWN
    seen: dict[str, int] = {}
    for letter in other:
        script = unicodedata.name(letter, "").partition(" ")[0].partition("-")[0]
        language = _BY_SCRIPT.get(script)
        if language:
            seen[language] = seen.get(language, 0) + 1
    if not seen:
        return UNKNOWN
    if "ja" in seen:  # kana beside Han characters
        return "ja"
    return max(seen, key=lambda language: (seen[language], language))


def _by_words(text: str) -> str:
    hits: dict[str, int] = {}
    for word in {word.lower() for word in _WORD.findall(text[:1000].replace("’", "'"))}:
        # "l'hôtel", "qu'elle": what French leaves out tells as much as a common word.
        for language in _LISTS_OF.get(word) or (("fr",) if word.startswith(_ELIDED) else ()):
            hits[language] = hits.get(language, 0) + 1
    if not hits:
        return UNKNOWN
    best = max(hits, key=lambda language: (hits[language], language == "en", language))
    english = hits.get("en", 0)
    if best == "en":
        return "en"
    return best if hits[best] >= LEAST_WORDS and hits[best] > english else UNKNOWN
