"""Invented rows under the header lines of public data sets and of banks' exports."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

START = datetime(2024, 3, 1)
Row = list[object]


class Layout:
    """`header`, and a `row` of it by number, chance and whether it is a fraud."""

    def __init__(
        self,
        header: list[str],
        row: Callable[[int, random.Random, bool], Row],
        separator: str = ",",
        quote: str = '"',
        quoting: int = csv.QUOTE_MINIMAL,
        before: str = "",
        after: str = "",
    ) -> None:
        self.header, self.row = header, row
        self.separator, self.quote, self.quoting = separator, quote, quoting
        self.before, self.after = before, after

    def text(self, rows: int) -> str:
        chance = random.Random(7)
        out = io.StringIO()
        writer = csv.writer(
            out, delimiter=self.separator, quotechar=self.quote, quoting=self.quoting
        )
        if self.quote == "'":  # BankSim encloses cells and not the header
            out.write(",".join(self.header) + "\r\n")
        else:
            writer.writerow(self.header)
        for number in range(rows):
            writer.writerow(self.row(number, chance, chance.random() < 0.05))
        return self.before + out.getvalue() + self.after


def columns(header: str) -> list[str]:
    return header.split(",")


def at(number: int, form: str, minutes: int = 7) -> str:
    return (START + timedelta(minutes=minutes * number)).strftime(form)


def amount(chance: random.Random, *, fraud: bool) -> float:
    return round(chance.lognormvariate(4.5 if fraud else 3.0, 0.8), 2)


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def ulb(number: int, chance: random.Random, fraud: bool) -> Row:
    parts = [round(chance.gauss(2 if fraud else 0, 1), 6) for _ in range(28)]
    return [number * 31, *parts, amount(chance, fraud=fraud), int(fraud)]


def paysim(number: int, chance: random.Random, fraud: bool) -> Row:
    paid, before = amount(chance, fraud=fraud) * 1000, round(chance.uniform(0, 90_000), 2)
    kind = chance.choice(["PAYMENT", "TRANSFER", "CASH_OUT", "DEBIT", "CASH_IN"])
    names = f"C{chance.randrange(10**9)}", f"M{chance.randrange(400)}"
    day, hour = divmod(number // 14, 14)
    left = round(max(before - paid, 0), 2)
    return [
        24 * day + hour + 7,
        kind,
        paid,
        names[0],
        before,
        left,
        names[1],
        paid / 2,
        paid,
        int(fraud),
        0,
    ]


def banksim(number: int, chance: random.Random, fraud: bool) -> Row:
    customer, merchant = f"C{chance.randrange(300)}", f"M{chance.randrange(40)}"
    kind = chance.choice(["es_transportation", "es_health", "es_food"])
    age, gender = chance.choice(["1", "2", "3", "U"]), chance.choice(["M", "F"])
    paid = amount(chance, fraud=fraud)
    return [number // 30, customer, age, gender, "28007", merchant, "28007", kind, paid, int(fraud)]


def sparkov(number: int, chance: random.Random, fraud: bool) -> Row:
    who = chance.randrange(200)
    shop = f"fraud_Shop, {chance.randrange(60)}"
    person = ["Ann", f"Other{who}", chance.choice("FM"), f"{who} Main St", f"Town {who % 50}"]
    place = ["NC", f"{who:05}", 36.1 + who / 100, -81.1, 3000 + who, "Job, other", "1980-02-03"]
    return [
        number, at(number, "%Y-%m-%d %H:%M:%S"), 4_000_000_000_000_000_000 + who, shop,
        chance.choice(["misc_net", "grocery_pos", "travel"]), amount(chance, fraud=fraud),
        *person, *place, f"{number:032x}", 1_325_376_018 + 420 * number, 36.2, -82.0, int(fraud),
    ]  # fmt: skip


def ibm_aml(number: int, chance: random.Random, fraud: bool) -> Row:
    paid, who, other = amount(chance, fraud=fraud), chance.randrange(200), chance.randrange(100)
    currency = chance.choice(["US Dollar", "Euro"])
    form = chance.choice(["Cheque", "ACH", "Reinvestment"])
    return [
        at(number, "%Y/%m/%d %H:%M"), f"{who % 30:03}", f"8000{who:04X}", f"{other % 20:03}",
        f"9000{other:04X}", paid, currency, paid, currency, form, int(fraud),
    ]  # fmt: skip


def tabformer(number: int, chance: random.Random, fraud: bool) -> Row:
    moment = START + timedelta(minutes=40 * number)
    dollars = f"${amount(chance, fraud=fraud):.2f}"
    chip = chance.choice(["Swipe Transaction", "Chip Transaction", "Online Transaction"])
    shop = chance.choice([3527213246127876953, -727612092139916043, 5817218446178736267])
    error = chance.choice(["", "", "", "Technical Glitch,", "Insufficient Balance,"])
    return [
        chance.randrange(60), chance.randrange(4), moment.year, moment.month, moment.day,
        f"{moment:%H:%M}", dollars, chip, shop + chance.randrange(50), "La Verne", "CA", "91750.0",
        chance.choice(["5300", "5411", "5912"]), error, "Yes" if fraud else "No",
    ]  # fmt: skip


def ieee(number: int, chance: random.Random, fraud: bool) -> Row:
    card = 1000 + chance.randrange(300)
    mail = chance.choice(["gmail.com", "yahoo.com", "", "anonymous.com"])
    counts = [round(chance.expovariate(0.2), 1) for _ in range(14)]
    gaps = [chance.choice(["", round(chance.expovariate(0.01), 1)]) for _ in range(15)]
    matches = [chance.choice(["T", "F", ""]) for _ in range(9)]
    others = [round(chance.gauss(1 if fraud else 0, 1), 4) for _ in range(339)]
    return [
        2_987_000 + number, int(fraud), 86_400 + 900 * number, amount(chance, fraud=fraud),
        chance.choice("WHCRS"), card, chance.choice(["", 321.0, 555.0]), 150.0,
        chance.choice(["visa", "mastercard"]), 226.0, chance.choice(["debit", "credit"]),
        chance.choice([315.0, 204.0]), 87.0, "", "", mail, mail, *counts, *gaps, *matches, *others,
    ]  # fmt: skip


def preamble(number: int, chance: random.Random, fraud: bool) -> Row:
    day = at(number, "%d.%m.%y", 300)
    paid = german(chance.choice([-1, -1, 1]) * amount(chance, fraud=fraud) * 10)
    return [day, day, chance.choice(["Laden A", "Firma B", ""]), f"Einkauf Nr. {number}", paid]


def debit_credit(number: int, chance: random.Random, fraud: bool) -> Row:
    paid, out = german(amount(chance, fraud=fraud) * 10), chance.random() < 0.7
    cells = [f"{paid}-" if chance.random() < 0.1 else paid, ""] if out else ["", paid]
    return [at(-number, "%d.%m.%Y", 300), f"Karte {number}", *cells, german(1000 + number)]


def processor(number: int, chance: random.Random, fraud: bool) -> Row:
    gross = amount(chance, fraud=fraud) * 20
    kind = chance.choice(["Payment", "Refund"])
    gross = -gross if kind == "Refund" else gross
    return [
        at(number, "%m/%d/%Y"), at(number, "%H:%M:%S"), "PDT", f"Person {number % 90}", kind,
        chance.choice(["Completed", "Pending"]), chance.choice(["USD", "JPY"]),
        f"{round(gross):,}.00", f"{-gross / 50:,.2f}", f"{gross * 49 / 50:,.2f}", f"TX{number:05}",
    ]  # fmt: skip


_IEEE = columns(
    "TransactionID,isFraud,TransactionDT,TransactionAmt,ProductCD,card1,card2,card3,card4,card5,"
    "card6,addr1,addr2,dist1,dist2,P_emaildomain,R_emaildomain"
)
_IEEE += [f"{kind}{n}" for kind, last in (("C", 14), ("D", 15), ("M", 9), ("V", 339))
          for n in range(1, last + 1)]  # fmt: skip
LAYOUTS = {
    "ulb": Layout(
        ["Time", *(f"V{n}" for n in range(1, 29)), "Amount", "Class"],
        ulb,
        quoting=csv.QUOTE_NONNUMERIC,
    ),
    "paysim": Layout(
        columns(
            "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,nameDest,oldbalanceDest,"
            "newbalanceDest,isFraud,isFlaggedFraud"
        ),
        paysim,
    ),
    "banksim": Layout(
        columns("step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud"),
        banksim,
        quote="'",
        quoting=csv.QUOTE_NONNUMERIC,
    ),
    "sparkov": Layout(
        columns(
            ",trans_date_trans_time,cc_num,merchant,category,amt,first,last,gender,street,city,state,"
            "zip,lat,long,city_pop,job,dob,trans_num,unix_time,merch_lat,merch_long,is_fraud"
        ),
        sparkov,
    ),
    "ibm_aml": Layout(
        columns(
            "Timestamp,From Bank,Account,To Bank,Account,Amount Received,Receiving Currency,"
            "Amount Paid,Payment Currency,Payment Format,Is Laundering"
        ),
        ibm_aml,
    ),
    "tabformer": Layout(
        columns(
            "User,Card,Year,Month,Day,Time,Amount,Use Chip,Merchant Name,Merchant City,"
            "Merchant State,Zip,MCC,Errors?,Is Fraud?"
        ),
        tabformer,
    ),
    "ieee": Layout(_IEEE, ieee),
    "bank_preamble": Layout(
        ["Buchungsdatum", "Wertstellung", "Zahlungsempfänger*in", "Verwendungszweck", "Betrag (€)"],
        preamble,
        separator=";",
        quoting=csv.QUOTE_ALL,
        before='"Konto";"DE00000000000000000000"\r\n\r\n"Kontostand:";"4.093,32 €"\r\n',
    ),
    "bank_debit_credit": Layout(
        ["Datum", "Text", "Soll", "Haben", "Saldo"],
        debit_credit,
        separator=";",
        after="Summe;;62,90;100,00;\r\n",
    ),
    "processor": Layout(
        columns("Date,Time,TimeZone,Name,Type,Status,Currency,Gross,Fee,Net,Transaction ID"),
        processor,
        quoting=csv.QUOTE_ALL,
    ),
}


def minor_units(rows: int) -> Iterator[str]:
    """JSON lines of a payment service: amounts in cents, times in seconds."""
    chance = random.Random(3)
    for number in range(rows):
        charge = {
            "id": f"ch_{number}",
            "created": 1_767_225_600 + 60 * number,
            "amount": chance.randrange(100, 90_000),
            "currency": chance.choice(["eur", "usd"]),
            "customer": f"cus_{chance.randrange(90)}",
            "captured": chance.random() < 0.9,
        }
        yield json.dumps(charge)
