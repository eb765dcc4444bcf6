"""Groups of dead letters that somebody resolved, in both databases."""

from __future__ import annotations

from db.audit import Act, export
from db.letter_groups import Resolution, Resolutions


def test_resolved_anew_and_reopened(url: str) -> None:
    resolutions = Resolutions(url)
    first = Resolution("a" * 12, "the producer was mended; 'quotes' and ü", "ann", 1 << 50, 17)
    resolutions.resolve(first, Act("ann", "dead letters resolved", first.signature))
    other = first._replace(signature="b" * 12)
    resolutions.resolve(other, Act("ann", "dead letters resolved", other.signature))
    later = first._replace(note="again", who="bob", until_ms=18)
    resolutions.resolve(later, Act("bob", "dead letters resolved", later.signature))
    assert resolutions.all() == {first.signature: later, other.signature: other}
    resolutions.reopen(first.signature, Act("cid", "dead letters reopened", first.signature))
    assert resolutions.all() == {other.signature: other}
    assert [(entry.who, entry.about) for entry in export(url)] == [
        ("ann", "a" * 12),
        ("ann", "b" * 12),
        ("bob", "a" * 12),
        ("cid", "a" * 12),
    ]
    resolutions.close()
