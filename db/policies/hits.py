"""How often each rule and list hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import func, select

from db.engine import reading
from db.tables import transactions
from tidegate.errors import ConfigError
from tidegate.messages.rule_hits import hit_bits

_MOST = 20_000
"""Some ten milliseconds."""


class Hits(NamedTuple):
    """Rows by what hit them; with `more` at least so many."""

    rows: Counter[str]
    more: bool


def hits_since(
    url: str, since_us: int, names: Callable[[str], dict[int, str]], most: int = _MOST
) -> Hits:
    """Rows hit by each rule, or list:NAME, since a time of ingest; `names` are those of a policy's
    bits, by its version. The newest `most` rows that were hit are counted. Raises Retry.
    """
    table = transactions.c
    newest = (
        select(table.policy, table.rule_hits, table.ingested_us)
        .where(table.rule_hits.is_not(None))
        .order_by(table.seq.desc())
        .limit(most)
        .subquery()
    )
    query = (
        select(newest.c.policy, newest.c.rule_hits, func.count().label("rows"))
        .where(newest.c.ingested_us >= since_us)
        .group_by(newest.c.policy, newest.c.rule_hits)
    )
    counts: Counter[str] = Counter()
    with reading(url) as connection:
        rows = connection.execute(query).all()
    known = {version: _known(names, version) for version in {row.policy or "" for row in rows}}
    for row in rows:
        of_version = known[row.policy or ""]
        for bit in hit_bits(row.rule_hits):
            if bit in of_version:
                counts[of_version[bit]] += row.rows
    return Hits(counts, sum(row.rows for row in rows) >= most)


def _known(names: Callable[[str], dict[int, str]], version: str) -> dict[int, str]:
    """None for those of a profile's rules that are no longer there."""
    try:
        return names(version)
    except ConfigError:
        return {}
