"""An SQL view for BI tools: the rows of one profile with their packed columns by name."""

from __future__ import annotations

from psycopg import sql

from db.decode import SHADOW
from tidegate.profile import Profile

FUNCTION = """\
CREATE OR REPLACE FUNCTION tidegate_f8(packed bytea, place integer) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  -- The f8 (IEEE 754, little-endian) at a place, from 0 on; NULL for NaN, infinities and no place.
  SELECT CASE
    WHEN exponent = 2047 THEN NULL
    WHEN exponent = 0 THEN sign * fraction * power(2::float8, -1074)
    ELSE sign * (4503599627370496 + fraction)::float8 * power(2::float8, exponent - 1075)
  END
  FROM (
    SELECT
      CASE WHEN get_byte(bytes, 7) >= 128 THEN -1::float8 ELSE 1::float8 END AS sign,
      (get_byte(bytes, 7) & 127) * 16 + (get_byte(bytes, 6) >> 4) AS exponent,
      ((get_byte(bytes, 6) & 15)::bigint << 48) + (get_byte(bytes, 5)::bigint << 40)
        + (get_byte(bytes, 4)::bigint << 32) + (get_byte(bytes, 3)::bigint << 24)
        + (get_byte(bytes, 2) << 16) + (get_byte(bytes, 1) << 8) + get_byte(bytes, 0) AS fraction
    FROM (SELECT substr(packed, 8 * place + 1, 8) AS bytes) AS cut
    WHERE length(bytes) = 8
  ) AS parts
$$;
"""
_VERDICT = """\
  LEFT JOIN LATERAL (
    SELECT fraud FROM verdicts
    WHERE verdicts.transaction_id = t.transaction_id AND weight > 0
    ORDER BY given_us DESC, label_offset DESC LIMIT 1
  ) AS held ON true
"""


def view_of(profile: Profile, name: str) -> str:
    """The statements that make the view, for PostgreSQL, in place of one that has other columns.

    Columns as in an export; personal fields are left out. A view holds the rows of this version of
    the profile only.
    """
    hidden = profile.masks.names
    columns = [
        ("t.transaction_id", "transaction_id"),
        *(
            []
            if profile.account is None or profile.account in hidden
            else [("t.account", "account")]
        ),
        ("to_timestamp(t.event_us / 1e6)", "event_time"),
        ("to_timestamp(t.ingested_us / 1e6)", "ingested_time"),
        ("t.amount_minor", "amount_minor"),
        ("t.decision", "decision"),
        ("t.score", "score"),
        ("CASE held.fraud WHEN true THEN 'fraud' WHEN false THEN 'legitimate' END", "verdict"),
        ("t.bundle", "bundle"),
        *(
            (f"t.payload::jsonb ->> {_literal(field)}", f"payload_{field}")
            for field in profile.fields
            if field not in hidden
        ),
        *(
            (f"tidegate_f8(t.features, {place})", f"feature_{value}")
            for place, value in enumerate(profile.values)
            if not profile.masks.hides(value)
        ),
        *(
            (f"tidegate_f8(t.scores, {place})", f"score_{detector}")
            for place, detector in enumerate((*profile.models.names, SHADOW))
        ),
    ]
    listed = ",\n".join(f"  {value} AS {_quoted(column)}" for value, column in columns)
    view = _quoted(name)
    return (
        f"BEGIN;\n{FUNCTION}\nDROP VIEW IF EXISTS {view};\nCREATE VIEW {view} AS SELECT\n{listed}\n"
        f"FROM transactions AS t\n{_VERDICT}WHERE t.profile = {_literal(profile.hash.decode())};\n"
        "COMMIT;\n"
    )


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()


def _literal(text: str) -> str:
    return sql.Literal(text).as_string()
