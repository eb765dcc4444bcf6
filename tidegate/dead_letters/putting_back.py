"""What keeps a dead letter from being put back, and the headers with which it goes."""

from __future__ import annotations

from typing import NamedTuple

from tidegate.broker.records import Headers
from tidegate.dead_letters.letters import DeadLetter, record_of
from tidegate.messages.ciphertext import ERASED
from tidegate.pipeline import FRAMES, OTHER_PROFILE, REDRIVABLE
from tidegate.profile import Profile
from tidegate.profile.token_records import TOKENISED
from tidegate.stream.dead_letters import ATTEMPT, PREFIX, RECORDED


class Obstacle(NamedTuple):
    """A word, and a sentence for people."""

    reason: str
    detail: str


def obstacle(profile: Profile, letter: DeadLetter) -> Obstacle | None:
    """Why a redrive cannot put this one back; None if it can."""
    topic = letter.told.get("topic", "")
    if not letter.identity or not topic:
        return Obstacle(
            "no_stage",
            "it has no headers tidegate-key and tidegate-topic; no stage of Tidegate wrote it",
        )
    if topic not in REDRIVABLE:
        return Obstacle("no_stage", f"no stage reads its topic {topic}")
    if letter.plain == ERASED:
        return Obstacle("erased", "its account was erased")
    if profile.tokens and topic in TOKENISED and not record_of(profile, letter)[1]:
        return Obstacle(
            "withheld", "its record cannot be read, or was withheld for the personal data in it"
        )
    told = letter.told.get("profile", "").encode()
    if topic in FRAMES and told not in (profile.hash, profile.version):
        return Obstacle(
            OTHER_PROFILE,
            f"it is a frame of profile {told.decode()}, and profile {profile.hash.decode()} runs",
        )
    return None


def headers_of(letter: DeadLetter) -> Headers:
    """Its own, when it first came, and how often it has failed."""
    kept = [
        (name, value)
        for name, value in letter.headers
        if name == RECORDED or not name.startswith(PREFIX)
    ]
    return [*kept, (ATTEMPT, str(letter.attempt).encode())]
