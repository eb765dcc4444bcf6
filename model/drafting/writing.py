"""A draft as YAML, with its evidence and doubts as comments."""

from __future__ import annotations

import json
import re
from datetime import date

import yaml

from model.drafting.draft import Draft
from tidegate.profile.spec import Json

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_UNPRINTED = re.compile(
    "[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_WORDS = {
    "id": "id",
    "time": "time",
    "money": "amount",
    "account": "account",
    "second": "second entity",
    "label": "verdict",
}


def report(draft: Draft) -> list[str]:
    """One line a choice: the role, the columns and the evidence."""
    lines = []
    for role, choice in draft.choices.items():
        columns = " + ".join(name or "(no name)" for name in choice.columns) or "none"
        line = f"{_WORDS[role] + ':':15}{columns}"
        if choice.why:
            line += f": {choice.why}"
        if choice.unsure:
            line += f". Unsure: {choice.unsure}"
        lines.append(line)
    return lines


def written(draft: Draft, history: str) -> str:
    """The profile as text; `history` is the file as the profile names it."""
    parts = [_head(draft, history), *_roles(draft), "", "fields:"]
    parts += _fields(draft)
    if draft.features:
        parts += ["", "features:"]
        parts += [f"  {name}: {flow(spec)}" for name, spec in draft.features.items()]
    parts += ["", *_models(draft), _history(draft, history)]
    if draft.file:
        parts.append(f"file: {flow(draft.file)} # how the file is written")
    return "\n".join(parts) + "\n"


def _head(draft: Draft, history: str) -> str:
    some = "" if draft.whole else "some of its rows, "
    return (
        f"# Drafted from {history} ({some}{draft.rows:,} looked at). What is marked `unsure` wants "
        "a look."
    )


def _roles(draft: Draft) -> list[str]:
    lines = [f"id: {flow(draft.named['id'])}"]
    timed = "time" in draft.named
    lines += [
        _with_doubt(f"{role}: {flow(draft.named[role])}", draft.choices[role].unsure)
        for role in ("account", "time", "money")
        if role in draft.named and (role != "account" or timed)
    ]
    if "account" in draft.named and timed:
        entities = [draft.named[role] for role in ("account", "second") if role in draft.named]
        second = draft.choices["second"]
        lines.append(_with_doubt(f"entities: {flow(entities)}", second.unsure))
    delay = "unsure: how late you usually learn of a fraud"
    lines.append(f"label_delay: {draft.label_delay} # {delay}")
    return lines


def _with_doubt(line: str, unsure: str) -> str:
    return f"{line} # unsure: {unsure}" if unsure else line


def _fields(draft: Draft) -> list[str]:
    lines = []
    for field in draft.fields:
        line = f"  {flow(field.name)}: {flow({'type': field.type, **field.options})}"
        if field.remark:
            line += f" # {field.remark}"
        lines.append(line)
    return lines


def _models(draft: Draft) -> list[str]:
    if not draft.choices["label"]:
        return [
            "# unsure: no column holds verdicts, so nothing can be learnt from them yet",
            "models:",
            "  isolation_forest: {}",
            "thresholds: {contamination: {review: 0.01, block: 0.001}}",
        ]
    return [
        "models:",
        "  lightgbm: {trees: 100, leaves: 15, rate: 0.08, columns: 0.3}",
        "  online: {rate: 0.01}",
        "thresholds: {review: 0.5, block: 0.9} # unsure: what a review, a fraud and a block cost",
    ]


def _history(draft: Draft, history: str) -> str:
    label = draft.choices["label"]
    told: dict[str, Json] = {"file": history}
    if label:
        told |= {"label": label.columns[0], **label.options}
    return _with_doubt(f"history: {flow(told)}", label.unsure)


def flow(value: Json) -> str:
    """A value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value)


def _text(text: str) -> str:
    """A text that YAML reads as this text: in quotes where it might be something else."""
    if re.fullmatch(r"\d{1,6}[smhd]", text):
        return text
    if _PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTED.sub(lambda sign: f"\\u{ord(sign[0]):04x}", quoted)
