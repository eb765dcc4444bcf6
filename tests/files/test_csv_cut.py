"""Records are cut as one byte after the other says, however their quotes stand."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from model.files.csv_cut import NOT_CLOSED, Signs, cut

SIGNS = Signs(b",", b'"', 2)
LONGEST = 12


class Machine:
    """The rules of `cut`, one byte at a time."""

    def __init__(self, data: bytes, *, final: bool) -> None:
        self.data, self.final = data, final

    def records(self) -> tuple[list[list[int]], int]:
        start, found = 0, []
        while start < len(self.data):
            end, cells = self.record(start)
            if end is None:
                break
            if end > start:
                found.append([start, end, cells])
            start = end + 1
        return found, min(start, len(self.data))

    def record(self, start: int) -> tuple[int | None, int]:
        """The end of the record and its cells; no end where it may go on."""
        i, cells, begins, quoted, closed, ragged = start, 1, True, False, False, False
        while i < len(self.data):
            sign = self.data[i : i + 1]
            if quoted:
                if sign == b'"' and self.data[i + 1 : i + 2] == b'"':
                    i += 1
                elif sign == b'"':
                    quoted, closed = False, True
            elif sign in b"\r\n":
                break
            elif sign == b",":
                cells, begins, closed = cells + 1, True, False
            elif sign == b'"' and begins:
                quoted, begins = True, False
            else:
                ragged, begins = ragged or closed, False
            i += 1
        breaks = [j for j in range(start, i) if self.data[j] in b"\r\n"]
        long = bool(breaks) and i - start > LONGEST
        if i == len(self.data) and not self.final and not long:
            return None, 0
        if breaks and (quoted or ragged or cells != SIGNS.width or long):
            return breaks[0], NOT_CLOSED
        return i, NOT_CLOSED if quoted else cells


lines = st.lists(
    st.sampled_from([b"a,b\n", b'"c\nd",e\r\n', b'"f""",\n', b'"",g\r', b'5" x,y\n', b'"u,v\n']),
    max_size=6,
).map(b"".join)
loose = st.text('",\r\nab', max_size=30).map(str.encode)


@settings(deadline=None, max_examples=400)
@given(
    data=st.tuples(lines, loose).map(b"".join) | st.tuples(loose, lines).map(b"".join), final=...
)
def test_records_are_those_of_a_machine(data: bytes, final: bool) -> None:
    records, end = cut(data, SIGNS, final=final, longest=LONGEST)
    assert (records.tolist(), end) == Machine(data, final=final).records()


def test_without_a_quote_every_line_break_ends_a_record() -> None:
    records, end = cut(b'"a\nb",c\r\n\nd', Signs(b",", b"", 2), final=False)
    assert (records.tolist(), end) == ([[0, 2, 1], [3, 7, 2]], 10)
