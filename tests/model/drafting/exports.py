"""Invented rows as banks and payment services export them, under header lines of their kinds."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from tests.model.drafting.layouts import Layout, Row, amount, at, columns, german


def sparkasse(number: int, chance: random.Random, fraud: bool) -> Row:
    day = at(-number, "%d.%m.%y", 180)
    paid = german(chance.choice([-1, -1, 1]) * 10 * amount(chance, fraud=fraud))
    kind = chance.choice(["FOLGELASTSCHRIFT", "KARTENZAHLUNG", "GUTSCHRIFT"])
    other = f"Laden {chance.randrange(60)}", f"DE00{chance.randrange(80):018}"
    return [
        "DE00500000000000000001", day, day, kind, f"Rechnung Nr {number} vom Laden", "",
        "NOTPROVIDED" if chance.random() < 0.3 else f"E2E{number}", *other, "XXXXDEFF", paid, "EUR",
    ]  # fmt: skip


def uk_bank(number: int, chance: random.Random, fraud: bool) -> Row:
    paid = f"{amount(chance, fraud=fraud):.2f}"
    cells = [paid, ""] if chance.random() < 0.7 else ["", paid]
    kind = chance.choice(["DEB", "FPI", "DD"])
    text = f"SHOP {chance.randrange(90)} CD 1234"
    return [
        at(-number, "%d/%m/%Y", 240),
        kind,
        "'30-00-00",
        "12345678",
        text,
        *cells,
        number + 0.25,
    ]


def adyen(number: int, chance: random.Random, fraud: bool) -> Row:
    paid = f"{amount(chance, fraud=fraud):.2f}"
    kind, *cells = chance.choice([("Settled", "", paid), ("Refunded", paid, "")])
    return [
        "TestCo", "TestCo_NL", f"{number:016}", f"ORD{number}", chance.choice(["visa", "mc"]),
        at(number, "%Y-%m-%d %H:%M:%S"), "CET", kind, "EUR", *cells, "1", "EUR", *cells, "0.10",
        f"shopper{chance.randrange(200)}", chance.randrange(90),
    ]  # fmt: skip


def charges(number: int, chance: random.Random, fraud: bool) -> Row:
    currency = chance.choice(["usd", "usd", "eur", "jpy"])
    paid = amount(chance, fraud=fraud)
    paid = round(160 * paid) if currency == "jpy" else paid
    return [
        f"ch_{number:024x}", at(number, "%Y-%m-%d %H:%M"), paid, "0.00", currency,
        f"p{number % 97}@example.com", f"cus_{chance.randrange(150):08x}", f"Order {number}",
        chance.choice(["Paid", "Refunded", "Failed"]), chance.choice(["Visa", "MasterCard"]),
        f"fp{chance.randrange(150)}", "true" if fraud else "false",
    ]  # fmt: skip


def disputes(number: int, chance: random.Random, fraud: bool) -> Row:
    outcome = "Confirmed fraud" if fraud else chance.choice(["", "Not fraud"])
    dollars = f"${30 * amount(chance, fraud=fraud):,.2f}"
    return [
        at(number, "%m/%d/%Y %I:%M %p"), f"************{chance.randrange(200):04}",
        f"SHOP #{chance.randrange(50)}, ORL", chance.choice(["0742", "5411"]), dollars, outcome,
    ]  # fmt: skip


def flagged(number: int, chance: random.Random, fraud: bool) -> Row:
    paid = german(60 * amount(chance, fraud=fraud))
    return [
        f"T{number}", at(number, "%Y%m%d%H%M%S"), f"{chance.randrange(90):06}",
        f"Shop {chance.randrange(40)}", paid, "Y" if fraud else "",
    ]  # fmt: skip


def workbook_days(number: int, chance: random.Random, fraud: bool) -> Row:
    buyer = f"B{chance.randrange(90)}"
    cents = round(100 * amount(chance, fraud=fraud))
    return [45_658 + number // 100, buyer, cents, "1.0" if fraud else "0.0"]


def transfers(number: int, chance: random.Random, fraud: bool) -> Row:
    word = chance.choice(["WIRE", "CASH"])
    sender, receiver = f"+4915{chance.randrange(90):07}", f"B{chance.randrange(40):010}"
    paise = round(100 * amount(chance, fraud=fraud))
    moment = at(number, "%d/%b/%Y %H:%M:%S")
    phone = f"+4917{chance.randrange(60):08}"
    return [moment, sender, receiver, paise, "INR", word, phone, "SAR" if fraud else "NO"]


EXPORTS = {
    "sparkasse": Layout(
        columns(
            "Auftragskonto,Buchungstag,Valutadatum,Buchungstext,Verwendungszweck,Mandatsreferenz,"
            "Kundenreferenz (End-to-End),Beguenstigter/Zahlungspflichtiger,Kontonummer/IBAN,"
            "BIC (SWIFT-Code),Betrag,Waehrung"
        ),
        sparkasse,
        separator=";",
    ),
    "uk_bank": Layout(
        columns(
            "Transaction Date,Transaction Type,Sort Code,Account Number,Transaction Description,"
            "Debit Amount,Credit Amount,Balance"
        ),
        uk_bank,
    ),
    "adyen": Layout(
        columns(
            "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,"
            "Creation Date,TimeZone,Type,Gross Currency,Gross Debit (GC),Gross Credit (GC),"
            "Exchange Rate,Net Currency,Net Debit (NC),Net Credit (NC),Commission (NC),"
            "Shopper Reference,Risk Score"
        ),
        adyen,
    ),
    "charges": Layout(
        columns(
            "id,Created date (UTC),Amount,Amount Refunded,Currency,Customer Email,Customer ID,"
            "Description,Status,Card Brand,Card Fingerprint,Is Fraudulent"
        ),
        charges,
    ),
    "disputes": Layout(
        columns("Posted Date,Card Number,Merchant Name,MCC,Amount (USD),Dispute Outcome"),
        disputes,
    ),
    "flagged": Layout(
        columns("tx_id,booking,acct_no,payee_name,amt,fraud_flag"), flagged, separator=";"
    ),
    "transfers": Layout(
        columns(
            "TIMESTAMP,ORIGINATOR,BENEFICIARY_ACCOUNT,AMOUNT_IN_PAISE,TX_CCY,TX_TYPE,DEVICE_PHONE,"
            "SAR_FLAG"
        ),
        transfers,
    ),
    "workbook_days": Layout(columns("Date,Buyer,amount_cents,Chargeback"), workbook_days),
}


def nested(rows: int) -> Iterator[str]:
    """JSON lines with objects in them, as webhooks have them."""
    chance = random.Random(3)
    for number in range(rows):
        fraud = chance.random() < 0.05
        payment = {
            "transactionId": f"t-{number}",
            "timestamp": at(number, "%Y-%m-%dT%H:%M:%SZ"),
            "amount": {"value": amount(chance, fraud=fraud), "currency": "EUR"},
            "customer": {"id": f"c{chance.randrange(100)}", "home": {"country": "DE"}},
            "merchant": {"id": f"m{chance.randrange(30)}"},
            "items": [1, 2],
            "review": {"fraud": fraud},
        }
        yield json.dumps(payment)
