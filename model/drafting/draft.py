"""From a sample to the parts of a profile."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

import pyarrow as pa

from model.drafting.amount import choose_money, marks
from model.drafting.choice import Answers, Choice, Columns
from model.drafting.currency import CurrencyColumn, choose_currency, scaled
from model.drafting.evidence import FEW_ROWS, look
from model.drafting.features import Facts, Features, label_delay, propose
from model.drafting.fields import FieldDraft, Names, filled_by, label_field, other_field
from model.drafting.label import choose_label, counts_of
from model.drafting.moment import Moment, choose_time
from model.drafting.parties import choose_account, choose_id, choose_second
from model.drafting.sample import Sample
from tidegate.profile.spec import Json

ROLES = ("id", "time", "money", "account", "second", "label")
_NAMES = {
    "id": "transaction_id",
    "time": "time",
    "money": "amount",
    "account": "account",
    "second": "counterparty",
    "label": "label",
}
_USUAL_DECIMALS = 2


@dataclass(frozen=True)
class Draft:
    """A profile before it is written: `choices` by role, the field of each role, `file` as the
    reader needs it, and what else there is to say.
    """

    choices: dict[str, Choice]
    named: dict[str, str]
    fields: list[FieldDraft]
    features: Features
    label_delay: str
    file: dict[str, Json]
    rows: int
    whole: bool


def draft(sample: Sample, answers: Answers | None = None) -> Draft:
    """The profile that the sample speaks for.

    `answers` are columns that people named for a role ("" for none), by the names in `ROLES`, and
    the `unit` of a time.
    """
    told = answers or {}
    columns = look(sample)
    choices, moment = _choices(columns, told, json=sample.is_json)
    currency = choose_currency(columns, choices["money"])
    choices["money"] = _in_currency(choices["money"], currency)
    file = _marks_of_file(columns)
    names = Names()
    named = {
        role: names.give(_one_name(choice, role), _NAMES[role])
        for role, choice in choices.items()
        if choice or role == "id"
    }
    fields = [_role_field(columns, role, name, choices[role], file) for role, name in named.items()]
    used = {column for choice in choices.values() for column in choice.columns}
    fields += [
        other_field(names.give(name, f"column_{place}"), column, file)
        for place, (name, column) in enumerate(columns.items(), 1)
        if name not in used
    ]
    scale: dict[str, Json] = {}
    if currency is not None and currency.several:
        fields, scale = _with_currency(fields, named["money"], currency)
    facts = replace(_facts(columns, choices, named, fields, moment), scaled=scale)
    return Draft(
        choices,
        named,
        fields,
        _free(propose(facts), fields),
        label_delay(facts),
        {**sample.file, **file},
        sample.rows,
        sample.whole,
    )


def _choices(columns: Columns, told: Answers, *, json: bool) -> tuple[dict[str, Choice], Moment]:
    label = choose_label(columns, told)
    rest = {name: column for name, column in columns.items() if name not in label.columns}
    moment = choose_time(rest, told)
    rest = {name: column for name, column in rest.items() if name not in moment.choice.columns}
    identity = choose_id(rest, told)
    taken = {*identity.columns}
    account = choose_account(rest, told, taken)
    second = choose_second(rest, told, taken | {*account.columns}) if account else Choice()
    taken |= {*account.columns, *second.columns}
    numbers = {name: column for name, column in rest.items() if name not in taken}
    money = choose_money(numbers, told, json=json)
    found = {
        "id": identity,
        "time": moment.choice,
        "money": money,
        "account": account,
        "second": second,
        "label": label,
    }
    return {role: found[role] for role in ROLES}, moment


def _in_currency(money: Choice, currency: CurrencyColumn | None) -> Choice:
    """The amount with the decimals of its currency, or with a word on its currencies."""
    if currency is None:
        return money
    decimals = currency.decimals()
    if decimals is not None and money.options.get("decimals") == _USUAL_DECIMALS:
        return replace(money, options={**money.options, "decimals": decimals})
    if not currency.several:
        return money
    told = "in several currencies: windows take multiples of each one's median; better your rates"
    return replace(money, unsure="; ".join(filter(None, (money.unsure, told))))


def _with_currency(
    fields: list[FieldDraft], money: str, currency: CurrencyColumn
) -> tuple[list[FieldDraft], dict[str, Json]]:
    """The fields, of which the amount's has the decimals of each row's currency where they fit; and
    the feature that makes amounts comparable.
    """
    own = next(field for field in fields if field.columns == (currency.name,))
    if not currency.exact:
        return fields, scaled(money, own.name, currency)
    changed = []
    for field in fields:
        if field is own:
            codes: list[Json] = [word.upper() for word in currency.medians]
            options = filled_by(own.name, own.columns) | {"values": codes}
            changed.append(FieldDraft(own.name, own.columns, "currency", options))
        elif field.name == money:
            kept = {key: told for key, told in field.options.items() if key != "decimals"}
            changed.append(replace(field, options={**kept, "currency": own.name}))
        else:
            changed.append(field)
    return changed, scaled(money, own.name, currency)


def _one_name(choice: Choice, role: str) -> str:
    """The column's own name, or the role's where several columns make the field."""
    return choice.columns[0] if len(choice.columns) == 1 else _NAMES[role]


def _role_field(
    columns: Columns, role: str, name: str, choice: Choice, file: dict[str, str]
) -> FieldDraft:
    if role == "id" and not choice:
        return FieldDraft(name, (), "string", {"optional": True}, "the file has none: made")
    first = columns[choice.columns[0]]
    if role == "label":
        return label_field(name, first, choice)
    options = filled_by(name, choice.columns)
    if role == "time":
        return FieldDraft(name, choice.columns, "time", options | choice.options)
    if role == "money":
        return _money_field(columns, name, choice, file)
    if first.typed == "number":
        options["integers"] = True
    if role == "id" or (role == "second" and first.blanks):
        options["optional"] = True
    return FieldDraft(name, choice.columns, "string", options)


def _money_field(columns: Columns, name: str, choice: Choice, file: dict[str, str]) -> FieldDraft:
    options: dict[str, Json] = filled_by(name, choice.columns)
    if len(choice.columns) == 2:
        options = {"column": dict(zip(("debit", "credit"), choice.columns, strict=True))}
    form = columns[choice.columns[0]].numbers
    own = marks(form) if form else {}
    apart = {key: mark for key, mark in own.items() if file.get(key) != mark}
    return FieldDraft(name, choice.columns, "money", {**options, **apart, **choice.options})


def _marks_of_file(columns: Columns) -> dict[str, str]:
    """The marks that most of the columns with numbers share, if they are not the usual ones."""
    found = {}
    for key in ("decimal_mark", "thousands"):
        counted = Counter(
            mark
            for column in columns.values()
            if column.numbers and (mark := marks(column.numbers).get(key))
        )
        if counted:
            found[key] = counted.most_common(1)[0][0]
    return found


def _facts(
    columns: Columns,
    choices: dict[str, Choice],
    named: dict[str, str],
    fields: list[FieldDraft],
    moment: Moment,
) -> Facts:
    money = choices["money"]
    texts = [
        field.name
        for field in fields[len(named) :]
        if field.type in ("string", "category")
        and not field.ignored
        and _varies(columns, choices["account"].columns, field.columns[0])
    ]
    entities = bool(choices["time"])
    return Facts(
        time=named.get("time", ""),
        money=named.get("money", ""),
        negative=bool(money.options.get("min", 0)),
        account=named.get("account", "") if entities else "",
        second=named.get("second", "") if entities else "",
        span=max(moment.span, 0) if next(iter(columns.values())).rows >= FEW_ROWS else 0,
        clock=moment.clock,
        texts=texts,
        prior=_prior(columns, choices["label"]),
    )


def _varies(columns: Columns, account: tuple[str, ...], name: str) -> bool:
    """Whether an account shows several values of a column, which are then worth counting."""
    if not account or columns[name].rows < FEW_ROWS:
        return False
    table = pa.table(
        [columns[part].cells for part in (*account, name)],
        names=["a", "b", "c"][-len(account) - 1 :],
    )
    accounts = len(table.group_by(table.column_names[:-1]).aggregate([]))
    pairs = len(table.group_by(table.column_names).aggregate([]))
    return pairs > 1.2 * accounts


def _prior(columns: Columns, label: Choice) -> float:
    """The share of frauds among the verdicts; 0.01 where there are verdicts and no fraud."""
    if not label:
        return 0.0
    column = columns[label.columns[0]]
    words = {
        kind: label.options.get(kind, usual)
        for kind, usual in (("fraud", "1"), ("legitimate", "0"))
    }
    found = counts_of(column)
    counts = {
        kind: sum(found.get(word, 0) for word in _as_list(told)) for kind, told in words.items()
    }
    return counts["fraud"] / max(sum(counts.values()), 1) or 0.01


def _as_list(told: str | list[str]) -> list[str]:
    return [told] if isinstance(told, str) else told


def _free(features: Features, fields: list[FieldDraft]) -> Features:
    """The features under names that no field has."""
    taken = {field.name for field in fields}
    renamed = {name: f"{name}_here" for name in features if name in taken}
    if not renamed:
        return features
    words = re.compile(rf"\b({'|'.join(renamed)})\b")

    def again(value: Json) -> Json:
        return (
            words.sub(lambda found: renamed[found[0]], value) if isinstance(value, str) else value
        )

    return {
        renamed.get(name, name): {
            key: again(value) if key in ("is", "of") else value for key, value in spec.items()
        }
        for name, spec in features.items()
    }
