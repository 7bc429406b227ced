"""What the incitement heads look for: six classes, what each means, and what is not meant.

`weights/incitement_taxonomy.md` is the page for people: definitions, examples, look-alikes, and how the classes relate
to the Rabat Plan of Action's six-part test and to the Dangerous Speech factors. This is the part that code needs.
"""

from msgspec import Struct


class HarmClass(Struct, frozen=True, kw_only=True):
    """One class of the taxonomy."""

    name: str
    means: str
    many: str
    """What an alert calls several such posts."""
    incites: bool
    """Whether a post of this class counts as inciting; the others only describe what is found beside it."""


TAXONOMY: tuple[HarmClass, ...] = (
    HarmClass(
        name="call_to_violence",
        means="wants others to hurt people, or to destroy what they live by",
        many="calls to violence",
        incites=True,
    ),
    HarmClass(name="threat", means="says that the author or friends will hurt somebody", many="threats", incites=True),
    HarmClass(
        name="glorification",
        means="praises violence that was done, or who did it, as something to repeat",
        many="praise of violence",
        incites=True,
    ),
    HarmClass(
        name="mobilisation",
        means="calls people together at a place or a time; lawful protest does so too",
        many="calls to gather",
        incites=False,
    ),
    HarmClass(name="weapons", means="speaks of weapons to be brought or used on people", many="weapons", incites=False),
    HarmClass(
        name="dehumanisation",
        means="denies that people of a group are human: vermin, disease, animals",
        many="dehumanising words",
        incites=False,
    ),
)

CLASSES: tuple[str, ...] = tuple(one.name for one in TAXONOMY)
"""Names, in the order in which alerts tell them."""

HARMLESS: dict[str, str] = {
    "news": "reports violence, a threat or a trial",
    "quoted": "repeats a call in order to object to it, or as history or evidence",
    "counter_speech": "objects to violence or to hate",
    "negated": "says that nobody should be hurt",
    "protest": "calls to a lawful gathering, however angry",
    "everyday_gathering": "calls people together for anything else",
    "hate_no_violence": "insults, excludes or demands punishment by law: it may be hateful, it is no call to violence",
    "idiom": "uses a violent word for something else",
    "object": "wants to destroy a thing",
    "game": "plays",
    "fiction": "tells a story",
    "identity": "names a group",
    "profanity": "swears",
    "satire": "jokes",
    "everyday": "talks of anything else",
}
"""What is not incitement, by the kinds of look-alikes that the heads are trained and measured on."""
