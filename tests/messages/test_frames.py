from __future__ import annotations

import re

import numpy as np

from tidegate.messages import frames
from tidegate.messages.frames import FrameLayout, Frames
from tidegate.messages.origin import origin

PAYLOAD = b'{"id":"t-1","user_id":"u7","amount":12.5}'
NEW_YEAR_US = 1_704_067_200_000_000


def test_the_drawn_frame_is_what_is_packed() -> None:
    layout = FrameLayout(b"3fa9c0de", steps=1, keys=2, values=3)
    rows = layout.empty(1)
    rows["event_us"], rows["ingest_us"] = NEW_YEAR_US, NEW_YEAR_US + 1_000_000
    rows["amount_minor"] = 1250
    rows["steps"]["partition"], rows["steps"]["offset"] = 2, 41
    rows["values"] = np.array([[12.5, 1.0, 12.5]])
    (message,) = layout.pack(Frames(rows, [b"t-1"], [b"u7"], [PAYLOAD], [b""]))

    drawn = frames.__doc__ or ""
    lines = re.findall(r"^ +(\d+)  ([a-z_]+)\S* +(.*)$", drawn, re.MULTILINE)
    for place, name, rest in lines:
        if name == "tail":
            break
        dtype, offset = (layout.dtype.fields or {})[name][:2]
        assert offset == int(place)
        octets = re.match(r"(?:[0-9a-f]{2} ){2,}", rest)
        if octets:
            drawn_bytes = bytes.fromhex(octets[0])
            assert message[offset : offset + len(drawn_bytes)] == drawn_bytes
            assert len(drawn_bytes) in (4, 8, dtype.itemsize)
    assert [name for _, name, _ in lines] == [*(layout.dtype.names or ()), "tail"]
    assert f"= {len(message)}" in drawn
    assert message[132:].startswith(b't-1u7{"id":"t-1","user_id":')


def test_the_origin_of_a_frame_needs_no_layout() -> None:
    for scores in (0, 2):
        layout = FrameLayout(b"3fa9c0de", steps=2, keys=2, values=3, scores=scores)
        rows = layout.empty(2)
        rows["steps"]["partition"] = [[1, 7], [2, 8]]
        rows["steps"]["offset"] = [[1 << 40, 70], [20, 80]]
        packed = layout.pack(
            Frames(rows, [b"t-1", b"t-22"], [b"u7", b""], [PAYLOAD] * 2, [b"", b"[]"])
        )
        assert [origin(value) for value in packed] == [(1, 1 << 40, b"t-1"), (2, 20, b"t-22")]
        assert origin(packed[0][:20]) is None
    assert origin(b"{}") is None
    assert origin(None) is None
