from __future__ import annotations

import re

import numpy as np

from tidegate.messages import frames
from tidegate.messages.frames import FrameLayout, Frames

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
