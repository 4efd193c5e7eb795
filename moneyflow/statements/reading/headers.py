"""Headers: how banks name their columns, in English, German, French, Spanish, Italian, Dutch, Portuguese and Polish."""

from collections.abc import Sequence
from unicodedata import category, normalize

from moneyflow.money.currencies import DECIMALS
from moneyflow.platform.patterns import Pattern
from moneyflow.statements.reading.mapping import Role

#: Characters of a name.
_LONGEST = 300
_BRACKETS = Pattern(r"[(\[][^()\[\]]{0,40}[)\]]", longest=_LONGEST)
_NO_WORD = Pattern(r"[^a-z0-9]+", longest=_LONGEST)
_CODE = Pattern(r"\b[A-Z]{3}\b", longest=_LONGEST)

#: The names of each role, the best first, without accents: where two columns have one, the better name is taken.
NAMES: dict[Role, tuple[str, ...]] = {
    "date": (
        "booking date", "transaction date", "date of transaction", "posting date", "posted date", "date posted", "date",
        "buchungstag", "buchungsdatum", "buchung", "belegdatum", "datum", "transaktionsdatum",
        "date operation", "date de l operation", "date de comptabilisation", "date comptable",
        "fecha", "fecha operacion", "fecha de operacion", "fecha contable", "f operacion",
        "data operazione", "data contabile", "data", "data movimento", "data do movimento", "data mov",
        "data lancamento",
        "boekdatum", "boekingsdatum", "transactiedatum", "data operacji", "data ksiegowania",
        "completed date", "started date", "time", "wertstellung", "wertstellungstag", "valutadatum", "valuta",
        "value date",
        "date valeur", "date de valeur", "fecha valor", "data valuta", "data valor", "rentedatum",
    ),
    "amount": (
        "amount", "transaction amount", "betrag", "umsatz", "montant", "importe", "importo", "bedrag", "valor",
        "quantia", "montante", "kwota", "kwota operacji", "value", "betrag in", "sum", "net", "monto",
    ),
    "debit": (
        "debit", "debit amount", "debits", "paid out", "money out", "withdrawal", "withdrawals", "withdrawal amount",
        "soll", "belastung", "lastschrift", "ausgaben", "ausgabe", "debit eur", "montant debit",
        "cargo", "cargos", "adeudo", "gasto", "gastos", "dare", "addebito", "addebiti", "uscite", "debito", "af",
    ),
    "credit": (
        "credit", "credit amount", "credits", "paid in", "money in", "deposit", "deposits", "deposit amount",
        "haben", "gutschrift", "einnahmen", "einnahme", "montant credit",
        "abono", "abonos", "ingreso", "ingresos", "avere", "accredito", "accrediti", "entrate", "credito", "bij",
    ),
    "direction": (
        "soll haben", "soll haben kennzeichen", "s h", "debit credit", "credit debit", "credit debit indicator",
        "debit credit indicator", "dr cr", "cr dr", "af bij", "sens", "debe haber",
    ),
    "currency": (
        "currency", "waehrung", "wahrung", "devise", "moneda", "divisa", "moeda", "munt", "muntsoort", "waluta",
        "valuta", "ccy",
    ),
    "note": (
        "payee", "payer", "name", "merchant", "counterparty", "counterparty name", "description", "details", "memo",
        "narrative", "reference", "particulars", "transaction description", "name description", "notes", "note",
        "beguenstigter zahlungspflichtiger", "begunstigter zahlungspflichtiger", "auftraggeber beguenstigter",
        "auftraggeber begunstigter", "auftraggeber empfanger", "auftraggeber empfaenger", "empfanger", "empfaenger",
        "zahlungsempfanger", "zahlungsempfanger in", "zahlungspflichtiger", "zahlungspflichtige r",
        "name zahlungsbeteiligter", "verwendungszweck", "beschreibung", "buchungsdetails", "vorgang verwendungszweck",
        "libelle", "libelle operation", "libelle simplifie", "informations complementaires", "tiers", "beneficiaire",
        "concepto", "descripcion", "beneficiario", "observaciones", "causale", "descrizione", "descrizione operazione",
        "naam omschrijving", "omschrijving", "mededelingen", "naam tegenpartij", "descricao", "historico",
        "opis", "opis operacji", "tytul", "tytulem", "nadawca odbiorca", "odbiorca",
    ),
    "category": ("category", "kategorie", "categorie", "categoria", "kategoria"),
    "account": (
        "account", "account number", "account name", "auftragskonto", "konto", "iban auftragskonto", "compte",
        "numero de compte", "cuenta", "conto", "rekening", "rekeningnummer", "conta", "rachunek",
    ),
}  # fmt: skip
_ROLES = {name: (role, place) for role, names in NAMES.items() for place, name in enumerate(names)}
#: A column of values and of a currency may have the same name: the first is tried first.
_VALUTA = "valuta"


def plain(header: str) -> str:
    """Return a name of a column without case, accents, brackets and marks, by which names are compared."""
    bare = _BRACKETS.sub(" ", header[:_LONGEST].strip().replace("ß", "ss"))
    letters = "".join(one for one in normalize("NFKD", bare.casefold()) if category(one) != "Mn")
    return _NO_WORD.sub(" ", letters.replace("\u0142", "l")).strip()


def roles_of(header: Sequence[str]) -> dict[Role, list[int]]:
    """Return the columns of each role that a header names, the best name first; those of the note in their order."""
    found: dict[Role, list[tuple[int, int]]] = {}
    for column, name in enumerate(header):
        bare = plain(name)
        words = bare.split()
        if words and words[-1].upper() in DECIMALS:  # Betrag EUR
            bare = " ".join(words[:-1]).removesuffix(" in")
        if bare in _ROLES:
            role, place = _ROLES[bare]
            found.setdefault(role, []).append((0 if role == "note" else place, column))
    roles = {role: [column for _, column in sorted(places)] for role, places in found.items()}
    if "date" not in roles and _VALUTA in map(plain, header):
        column = [plain(name) for name in header].index(_VALUTA)
        roles["date"] = [column]
        roles["currency"] = [one for one in roles.get("currency", []) if one != column]
    return {role: columns for role, columns in roles.items() if columns}


def currency_of(header: str) -> str | None:
    """Return the currency that the name of a column ends with, such as `Amount (EUR)`."""
    if "€" in header:
        return "EUR"
    found = [one[0] for one in _CODE.finditer(header) if one[0] in DECIMALS]
    return found[-1] if found else None
