"""Records of any topic as lines of JSON, for people and scripts."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from tidegate.broker.addresses import has_blocks, index_of, offset_of
from tidegate.broker.records import Batch, Headers
from tidegate.messages.frames import DECISIONS, FrameLayout, Frames
from tidegate.pipeline import SCORED
from tidegate.profile import Profile

Json = dict[str, Any]
_encode = msgspec.json.Encoder().encode


class Lines:
    """Tells records as a profile understands them."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def of(self, batch: Batch) -> Iterator[str]:
        """A line for each record of a batch."""
        values = self._frames(batch) if has_blocks(batch.source.topic) else {}
        topic, partition = batch.source
        for place, address in enumerate(batch.offsets):
            told: Json = {
                "topic": topic,
                "partition": partition,
                "offset": offset_of(topic, address),
            }
            if has_blocks(topic):
                told["index"] = index_of(topic, address)
            told["time_ms"] = batch.timestamps[place]
            told["key"] = _text(batch.keys[place])
            if headers := batch.headers[place]:
                told["headers"] = _headers(headers)
            value = values.get(place) or _value(batch.values[place])
            yield _encode(told | value).decode()

    def _frames(self, batch: Batch) -> dict[int, Json]:
        """The frames of this profile, by their places in the batch."""
        scored = batch.source.topic == SCORED
        layout = self._profile.scored_layout if scored else self._profile.features_layout
        column, places = layout.own(batch.values)
        told = self._told(layout, layout.unpack(column), scored=scored)
        return dict(zip(places, told, strict=True))

    def _told(self, layout: FrameLayout, frames: Frames, *, scored: bool) -> Iterator[Json]:
        for place, row in enumerate(frames.rows):
            told: Json = {
                "id": _text(frames.ids[place]),
                "account": _text(frames.accounts[place]),
                "profile": layout.profile.decode(),
                "event_us": int(row["event_us"]),
                "ingested_us": int(row["ingest_us"]),
                "amount_minor": int(row["amount_minor"]),
                "values": _named(self._profile.values, row["values"].tolist()),
                "payload": _value(frames.payloads[place]).get("value"),
            }
            if scored:
                told |= {
                    "decision": DECISIONS[min(int(row["decision"]), len(DECISIONS) - 1)],
                    "score": float(row["score"]),
                    "scores": _named(self._profile.models.names, row["scores"].tolist()[:-1]),
                    "bundle": _text(row["bundle"]),
                    "reasons": msgspec.Raw(frames.reasons[place] or b"[]"),
                }
            yield {"frame": told}


def _named(names: list[str] | tuple[str, ...], values: list[float]) -> dict[str, float | None]:
    """By name; what is missing is null."""
    pairs = zip(names, values, strict=True)
    return {name: value if np.isfinite(value) else None for name, value in pairs}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _headers(headers: Headers) -> dict[str, str | None]:
    return {name: _text(value) for name, value in headers}


def _value(value: bytes | None) -> Json:
    """JSON as it stands; else its bytes."""
    if value is None:
        return {"value": None}
    try:
        msgspec.json.decode(value)
        value.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"base64": base64.b64encode(value).decode()}
    return {"value": msgspec.Raw(value)}
