"""Which column holds the verdicts, and what its values mean."""

from __future__ import annotations

from model.drafting.choice import Answers, Choice, Columns, ranked, rivals, share
from model.drafting.evidence import Column
from model.drafting.words import LABEL, NO_LABEL, says, score

_MEANINGS = {
    "fraud": "1 true yes y t fraud fraudulent chargeback bad betrug ja si confirmed scam anomaly "
    "sar suspicious",
    "legitimate": "0 false no n f legit legitimate genuine good ok normal nein clean non-fraud "
    "not-fraud none",
    "unknown": "2 -1 unknown pending open ? null na n/a nan unlabelled unlabeled",
}
_WORDS = {word: meaning for meaning, words in _MEANINGS.items() for word in words.split()}
_GENUINE = frozenset({"legit", "legitimate", "genuine"})
_FRAUD = r"fraud|betrug|scam|chargeback"
_NOT = r"\b(no|not|non|kein|never|without)\b|^(no|non|not)[-_ ]?fraud"
_MOST = 4
"""Different values of a column with verdicts."""


def choose_label(columns: Columns, answers: Answers) -> Choice:
    """The column with the verdicts; its options are those of the section `history`."""
    if "label" in answers:
        named = columns.get(answers["label"])
        return _read(named, ()) if named else Choice()
    found = ranked(columns.values(), _points)
    return _read(found[0], rivals(found, _points)) if found else Choice()


def _points(column: Column) -> float:
    points = score(column.key, LABEL, NO_LABEL)
    words = [word.lower() for word in column.words]
    named = any(says(word, _FRAUD) or word in _GENUINE for word in words[: _MOST + 1])
    if not points and not (named and not says(column.key, NO_LABEL)):
        return 0
    if not 1 <= len(words) <= _MOST:
        return 0
    known = sum(_meaning(word) is not None for word in words)
    return (points or 2) * (known / len(words)) if known else points / 4 * (len(words) == 2)


def _meaning(word: str) -> str | None:
    plain = word.strip().lower().removesuffix(".0")
    known = _WORDS.get(plain.replace("_", "-").replace(" ", "-"))
    if known or not says(plain, _FRAUD):
        return known
    return "legitimate" if says(plain, _NOT) else "fraud"


def _read(column: Column, others: tuple[str, ...]) -> Choice:
    meanings: dict[str, list[str]] = {"fraud": [], "legitimate": [], "unknown": []}
    strange: list[str] = []
    for word in column.words:
        meaning = _meaning(word)
        (meanings[meaning] if meaning else strange).append(word)
    unsure = ""
    if column.blanks and not meanings["legitimate"] and not strange:
        meanings["legitimate"].append("")
        unsure = "are rows without a verdict legitimate, or is nothing known of them?"
    if strange:
        _by_rarity(strange, meanings)
        unsure = f"are {', '.join(meanings['fraud'])} the frauds? it is the rarer value"
    counts = counts_of(column)
    frauds = sum(counts[word] for word in meanings["fraud"])
    known = frauds + sum(counts[word] for word in meanings["legitimate"])
    why = (
        f"{frauds:,} of {known:,} rows with a verdict are fraud ({share(frauds, known)}): "
        + "; ".join(
            f"{', '.join(word or 'an empty cell' for word in words)} is {kind}"
            for kind, words in meanings.items()
            if words
        )
    )
    if known < column.rows:
        why += f"; {column.rows - known:,} rows have none"
    if not frauds:
        unsure = unsure or "the rows that were looked at hold no fraud"
    return Choice((column.name,), why, unsure, _options(meanings), others)


def counts_of(column: Column) -> dict[str, int]:
    """How often each word stands there, "" for an empty cell."""
    return {**dict(column.values), "": column.blanks}


def _by_rarity(strange: list[str], meanings: dict[str, list[str]]) -> None:
    """Values are most frequent first: the rarest is taken for fraud, where nothing else is."""
    rest = list(strange)
    if not meanings["fraud"]:
        meanings["fraud"].append(rest.pop())
    if not meanings["legitimate"] and rest:
        meanings["legitimate"].append(rest.pop(0))
    meanings["unknown"] += rest


def _options(meanings: dict[str, list[str]]) -> dict[str, str | list[str]]:
    """What history has to say: the words that are not what it expects anyway."""
    usual = {"fraud": ["1"], "legitimate": ["0"], "unknown": []}
    return {
        kind: words[0] if len(words) == 1 else words
        for kind, words in meanings.items()
        if words and words != usual[kind]
    }
