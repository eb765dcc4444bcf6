"""What stands around a row, on both databases."""

from __future__ import annotations

import numpy as np
from sqlalchemy import insert

from db.cases.tables import verdicts
from db.engine import open_database
from db.search.around import event_us_of, history, of_account, of_second, similar_frauds
from model.hashing import hash64
from tests.db.said import said
from tests.db.scored import LAYOUT, Writer, frames


def test_neighbours_verdicts_and_known_frauds(writer: Writer, url: str) -> None:
    made = frames([f"t{number}" for number in range(8)])
    made.accounts = [b"u1" if number % 2 else b"u2" for number in range(8)]
    made.rows["keys"][:, 1] = hash64([b"shop"] * 6 + [b"inn"] * 2)
    made.rows["values"] = np.array([[number, 1.0] for number in range(8)])
    made.rows["event_us"] = 1_000 + np.arange(8)
    writer.write(*LAYOUT.pack(made))
    given = [
        ("t1", True, 1, 1.0),
        ("t1", False, 2, 0.0),
        ("t6", True, 3, 1.0),
        ("t2", True, 4, 1.0),
    ]
    given.append(("t2", False, 5, 1.0))
    database = open_database(url)
    with database.engine.begin() as connection:
        connection.execute(
            insert(verdicts),
            [
                said(f"l{at}", name, fraud=fraud, weight=weight, given_us=at, label_offset=at)
                for name, fraud, at, weight in given
            ],
        )
    with database.engine.connect() as connection:
        this = of_account(connection, "u1", 10**15, 0, 0)
        assert this == [] or this[0].transaction_id == "t7"
        newest = of_account(connection, "u1", 10**15, 8, 0)
        seqs = {each.transaction_id: each.seq for each in newest}
        around = of_account(connection, "u1", seqs["t3"], 1, 1)
        assert [(each.transaction_id, each.fraud) for each in around] == [
            ("t3", None),
            ("t1", True),
            ("t5", None),
        ]
        of_shop = of_second(connection, "merchant", "shop", seqs["t5"], 3)
        assert sorted(each.transaction_id for each in of_shop) == ["t2", "t3", "t4", "t5"]
        assert event_us_of(connection, seqs["t5"]) == 1_005
        assert event_us_of(connection, -1) is None
        near = similar_frauds(connection, seqs["t5"], 3)
        assert [case.transaction_id for case in near] == ["t6", "t1"], "t2 is none any more"
        assert 0 < near[0].distance < near[1].distance
        assert similar_frauds(connection, -1, 3) == []
        assert [(one.label_id, one.holds) for one in history(connection, "t1")] == [
            ("l2", False),
            ("l1", True),
        ]
    database.close()
