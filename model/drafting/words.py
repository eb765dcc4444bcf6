"""The names of columns as people write them, in a few languages.

The patterns look at names that `folded` has made the same: small letters, words apart, no accents.
A role's patterns have points: the more of them, the surer the name.
"""

from __future__ import annotations

import re
import unicodedata

Points = tuple[tuple[int, str], ...]
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _words(text: str) -> str:
    """A pattern for one of the words; each may be a pattern itself, with _ for a blank."""
    return rf"\b({'|'.join(word.replace('_', ' ') for word in text.split())})\b"


def _only(text: str) -> str:
    """A pattern for a name that is one of the words and nothing else."""
    return rf"^({'|'.join(word.replace('_', ' ') for word in text.split())})$"


_TX = r"(transaction|trans|tx|trx|txn|payment|zahlung\w*|transaktion\w*)"
LABEL: Points = (
    (
        10,
        r"\b(fraud|fraudulent|fraude|betrug)( flag| label| ind\w*| bool| yn| reported)?$|^isfraud$",
    ),
    (8, r"\b(sar|suspicious)( flag| label| ind\w*)?$"),
    (9, _words(r"is_laundering is_anomaly is_fraud\w* laundering chargeback anomaly")),
    (7, _only("labels? class verdict outcome")),
    (3, _only("target y")),
)
NO_LABEL = r"scenario|score|type|date|time|amount|predicted|flagged"
ID: Points = (
    (10, rf"\b{_TX} ?(id|uuid|guid|num|number|no|nr|ref\w*|key)\b"),
    (9, _only("id uuid guid ref reference referenz transaction trans_num")),
    (7, _words("ref reference referenz uetr rrn event_id order_id auftragsnummer belegnummer")),
    (4, r"\b(id|nr|no|key)$"),
)
TIME: Points = (
    (
        10,
        rf"\b({_TX}|event|booked|booking|created|posted|authori[sz]ed)\w* ?"
        r"(at|date ?time|timestamp|time|date|dt|ts)\b",
    ),
    (9, r"timestamp|datetime|date time|\bcreated\b|buchungs(tag|datum|zeit)|fecha"),
    (8, _only("time date datum zeit when ts dt step data transactiondt")),
    (7, _words("unix epoch step ts")),
    (5, _words("date time datum zeit day wertstellung valuta value_date")),
)
NO_TIME = r"birth|dob|zone|expir|open|since|last|delta|hour of|day of"
MONEY: Points = (
    (
        10,
        _words(
            r"amount amt betrag importe importo monto montant bedrag belopp kwota transactionamt"
        ),
    ),
    (9, _words("gross brutto umsatz amount_paid")),
    (7, _only("eur usd gbp chf value price sum total paid wert summe valor")),
    (4, _words("eur usd gbp value price sum total paid wert")),
)
NO_MONEY = (
    r"balance|saldo|fee|\bnet\b|netto|tax|original|before|after|received|24h|1h|\bcount|gebuhr|"
    r"ratio|median|average|\bavg|\bmean"
)
DEBIT = _words(
    "soll debits? debe cargos? belastung lastschrift withdrawals? ausgang ausgaben dare uscite out"
)
CREDIT = _words(
    "haben credits? haber abonos? gutschrift deposits? eingang einnahmen avere entrate in"
)
ACCOUNT: Points = (
    (
        10,
        _words(
            r"user customer cust client cliente kunden?\w* payer payor debtor cardholder "
            "card_holder member subscriber usuario buyer shopper acheteur msisdn nadawcy"
        ),
    ),
    (9, _words("cc_?num card pan card_?(id|num|number|no|1) card1")),
    (8, _words("from name_orig orig source sender remitter originator wallet quelle")),
    (7, _words(r"account acct konto\w* auftragskonto iban cuenta compte")),
)
NO_ACCOUNT = (
    r"dest|merchant|receiv|recipient|\bto\b|balance|type|\bage\b|gender|city|state|zip|\bname$|"
    r"country|\bbank$|account 2|amount|lat|long|email|domain|\bcount|score|job|dob|limit|date|time|"
    r"ratio|level|segment|brand|network|scheme|last ?4|kundenreferenz|end to end"
)
SECOND: Points = (
    (
        10,
        _words(
            "merchant terminal payee shop store comercio vendor seller haendler handler dealer pos"
        ),
    ),
    (
        9,
        _words(
            "account_2 name_dest dest destination target recipient receiver beneficiary creditor "
            r"counterparty to \w*empfanger\w* \w*begue?nstigter\w* gegenkonto tegenrekening "
            "odbiorcy"
        ),
    ),
    (5, _words("device ip")),
)
NO_SECOND = (
    r"city|state|zip|category|type|lat|long|mcc|country|balance|amount|old|new|group|score|"
    r"name orig|location|match|email|info|\bcount|\bbank$|refer|end to end"
)
PERSONAL = (
    r"\b(first|last|family|given|full|sur|middle)( ?name)?$|\bname\b|surname|vorname|nachname|"
    r"street|address|adresse|strasse|birth|\bdob\b|geburt|email$|phone|telefon|iban|passport|ssn|"
    r"\bjob\b|begue?nstigt|zahlungspflichtig|auftraggeber|empfae?nger|beneficiary|payee"
)
REFERENCE = r"fingerprint|\bhash\b|\btoken\b|e ?mail|\bip\b|\brefer|referenz|uuid|guid"
FREE_TEXT = (
    r"verwendungszweck|description|memo|\bnote|comment|purpose|\btext\b|narrative|remittance|"
    r"buchungstext|subject|libelle|concepto|descripcion|omschrijving|descrizione|opis|details"
)
LEAK = r"fraud|flagged|scenario|chargeback|laundering|dispute|verdict|blocked|betrug|anomaly"
AFTER = (
    r"\b(new|after|nach|neue[rs]?|despues)\b.*(balance|saldo|bal)|"
    r"(balance|saldo).*\b(after|new|nach)\b|newbalance"
)
CENTS = r"\b(cents?|minor|pence|paise|centimes|centavos|rappen|ore)\b"
CURRENCY = r"currency|wae?hrung|moneda|devise|\bccy\b"
ZONE = r"time ?zone|zeitzone|\btz\b|\bzone\b"
CODE = _words(
    r"mcc \w*zip\w* plz postal postcode bin code sic region bank branch country category id "
    r"addr\d? policy phone msisdn"
)


def folded(name: str) -> str:
    """A name as words of small letters: `nameOrig` and `NAME_ORIG` are both `name orig`."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    ascii_only = plain.encode("ascii", "ignore").decode()
    split = _CAMEL.sub(" ", ascii_only)
    return re.sub(r"[^a-z0-9]+", " ", split.lower()).strip()


def score(key: str, patterns: Points, against: str = r"(?!)") -> int:
    """How well a folded name fits a role: the best of its patterns, 0 where `against` speaks."""
    if says(key, against):
        return 0
    return max((points for points, pattern in patterns if says(key, pattern)), default=0)


def says(key: str, pattern: str) -> bool:
    """Whether a folded name holds the pattern."""
    return re.search(pattern, key) is not None
