"""What identifies a person in a report: forms of their own, and names that a title or a field announces.

Pure. Rules, not a guarantee; `pmsi_chain.privacy.pseudonymiser` says what they leave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from pmsi_chain.privacy.dates import date_spans
from pmsi_chain.text import STOP_WORDS, fold

Kind = Literal["email", "nir", "phone", "id", "address", "name", "date"]
_PRIORITY: dict[Kind, int] = {"email": 0, "nir": 1, "phone": 2, "id": 3, "address": 4, "name": 5, "date": 6}

_UPPER = "A-ZÀ-ÖØ-ÞŒ"
_LETTER = r"(?:[^\W\d_]|[\u0300-\u036f])"
_LETTERS = re.compile(rf"{_LETTER}+")
_WORD = rf"[{_UPPER}](?:[\w'’-]|[\u0300-\u036f])*"
_PARTICLE = r"(?:(?:de|du|des|la|le|van|von|der|el|al|ben|bin|da|di|dos)[ \t]+|d['’]|l['’])"
_ONE = rf"(?:[{_UPPER}]\.|{_WORD})"
_NAME = rf"{_PARTICLE}{{0,3}}{_ONE}(?:[ \t]+{_PARTICLE}{{0,3}}{_ONE}){{0,3}}"
_NAME_COMMA = rf"{_NAME}(?:[ \t]*,[ \t]*{_WORD})?"
_TITLE = (
    r"(?:MM\.|M\.|Mr\.?|Mme\.?|MME|Mlle\.?|MLLE|Mrs|Madame|MADAME|Monsieur|MONSIEUR|Mademoiselle|"
    r"Drs?\.?|DR\.?|Docteure?|DOCTEUR|Prs?\.?|PR\.?|Professeure?|PROFESSEUR|Me|Ma[iî]tre|"
    r"dr\.?|docteure?|pr\.|professeure?|mme|monsieur|madame)"
)
_ROLE = (
    r"(?:m[ée]decin(?:[ \t]+[a-zéè]{1,20})?|r[ée]dacteur|r[ée]dactrice|r[ée]dig[ée][ \t]+par|valid[ée][ \t]+par|"
    r"sign[ée](?:[ \t]+par)?|signataire|destinataires?|correspondants?|op[ée]rateur|op[ée]ratrice|chirurgien(?:ne)?|"
    r"anesth[ée]siste|interne|externe|patiente?|identit[ée]|personne[ \t]+(?:de[ \t]+confiance|[àa][ \t]+pr[ée]venir)|"
    r"infirmi[eè]re?|aide[ \t]+op[ée]ratoire)"
)
_FIELD = (
    r"(?:noms?(?:[ \t]+(?:de[ \t]+naissance|de[ \t]+jeune[ \t]+fille|d['’]usage|de[ \t]+famille|marital|usuel|"
    r"patronymique|du[ \t]+patient|de[ \t]+la[ \t]+patiente))?(?:[ \t]*(?:,|/|et|-)?[ \t]*pr[ée]noms?)?|pr[ée]noms?)"
)
#: What stands between a field and its value: a colon, in bold or not, or the next cell of a table.
_COLON = r"[ \t]*\*{0,2}[ \t]*[:=|][ \t]*\*{0,2}[ \t]*"
_NAME_FORMS: tuple[re.Pattern[str], ...] = (
    re.compile(rf"(?<!\w){_TITLE}[ \t]*(?P<name>{_NAME})"),
    re.compile(rf"(?<!\w)M[ \t]+(?P<name>[{_UPPER}][\w'’-]{{2,}}(?:[ \t]+{_WORD}){{0,2}})"),
    re.compile(rf"(?<!\w)(?i:{_ROLE}){_COLON}(?P<name>{_NAME_COMMA})"),
    re.compile(rf"(?<!\w)(?i:n[ée]e|[ée]pouse|[ée]p\.|veuve)[ \t]+(?P<name>{_NAME})"),
    re.compile(rf"(?<!\w)(?P<name>{_NAME_COMMA})[ \t]*,?[ \t]*\(?(?i:n[ée](?:\(?e\)?)?)[ \t]+(?i:le|en)\b"),
    re.compile(  # « Prénom Nom, un homme de 62 ans »
        rf"(?<!\w)(?P<name>{_ONE}[ \t]+{_PARTICLE}{{0,3}}{_ONE}(?:[ \t]+{_ONE})?)[ \t]*[,(][ \t]*(?:(?:un|une)[ \t]+)?"
        r"(?:homme|femme|patiente?|enfant|gar[çc]on|fille|[âa]g[ée]+|\d{1,3}[ \t]+(?:ans|mois|jours))(?!\w)"
    ),
    re.compile(
        rf"(?<!\w)(?i:{_FIELD}){_COLON}(?P<name>{_LETTER}{{1,40}}"
        rf"(?:['’ \t,.-]{{1,2}}(?!(?i:pr[ée]nom|nom|n[ée]e?|sexe|age|[âa]g[ée]e?|date|ipp)\b){_LETTER}{{1,40}}){{0,4}})"
    ),
)
#: Words that end a name although they begin with a capital letter; folded.
_NOT_NAMES = (STOP_WORDS - frozenset(("d", "de", "des", "du", "la", "le", "l"))) | frozenset(
    (
        "admis", "admise", "adresse", "adressee", "age", "agee", "allergie", "antecedent", "antecedents", "bilan",
        "biologie", "cardiologie", "chef", "chirurgie", "chr", "chru", "chu", "clinique", "compte", "conclusion",
        "consulte", "consultation", "date", "diabete", "docteur", "dr", "entre", "entree", "evolution", "examen",
        "femme", "histoire", "homme", "hopital", "hospitalise", "hospitalisee", "hta", "interne", "ipp", "madame",
        "mademoiselle", "maitre", "medecin", "medecine", "mlle", "mme", "monsieur", "motif", "mr", "nee", "nom",
        "patient", "patiente", "pneumologie", "pole", "pr", "praticien", "prenom", "presente", "professeur",
        "reanimation", "recu", "recue", "revient", "sejour", "service", "sexe", "sort", "sortie", "suivi", "suivie",
        "tabac", "traitement", "traitant", "unite", "urgence", "urgences", "vit", "vu", "vue",
    )
)  # fmt: skip
_PARTICLES = frozenset(
    ("d", "de", "des", "du", "la", "le", "les", "l", "van", "von", "der", "el", "al", "ben", "bin", "da", "di", "dos")
)

_GAP = r"[ \t.\-\u00a0\u202f]?"
_STREET = (
    r"(?i:rue|avenue|av\.?|boulevard|bd|bld|place|pl\.|chemin|ch\.|all[ée]es?|impasse|route|rte|quai|cours|square|"
    r"r[ée]sidence|lotissement|hameau|villa|passage|faubourg|sentier|esplanade|mont[ée]e|clos)"
)
_FORMS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("email", re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")),
    (
        "nir",
        re.compile(
            rf"(?<!\d)[12378]{_GAP}\d{{2}}{_GAP}\d{{2}}{_GAP}(?:\d{{2}}|2[ABab]){_GAP}\d{{3}}{_GAP}\d{{3}}"
            rf"(?:{_GAP}/?{_GAP}\d{{2}})?(?!\d)"
        ),
    ),
    (
        "phone",
        re.compile(r"(?<![\d,])(?:(?:\+|00)33[ \t.]?(?:\(0\))?[ \t.]?|0)[1-9](?:[ \t.\-\u00a0\u202f/]?\d{2}){4}(?!\d)"),
    ),
    (
        "id",
        re.compile(
            r"(?<!\w)(?i:IPP|NDA|IEP|NIP|INS|NIR|RPPS|ADELI|FINESS|(?:n°|n[uo]m[ée]ro|no?)[ \t]*(?:de|du)?[ \t]*"
            r"(?:dossier|s[ée]jour|patiente?|venue|s[ée]curit[ée][ \t]+sociale|ss|identification)|dossier|s[ée]cu)\b"
            r"[ \t]*(?:(?i:n°|n[uo]m[ée]ro|patient)|[:=#.*|-]|[ \t]){0,8}"
            r"(?P<value>\d(?:[ ./-]?\d){3,20}[A-Za-z]?(?!\w)"
            r"|(?=(?:[A-Za-z-]{0,24}\d){3})[A-Za-z0-9-]{5,24}(?!\w))"
        ),
    ),
    ("id", re.compile(r"(?<![\d.,])\d{8,}(?![.,]?\d)")),
    (
        "address",
        re.compile(
            rf"(?<![\d,./])\d{{1,4}}(?:[ \t]*(?i:bis|ter|quater))?,?[ \t]+{_STREET}(?!\w)[ \t]+"
            r"[^\n;:()|]{1,60}?(?=[ \t]*(?:[,;:()|\n]|\.(?:\s|$)|$|\d{5}))"
        ),
    ),
    (
        "address",
        re.compile(
            rf"(?<![\w.,])(?:F-)?\d{{5}}[ \t]+(?!(?:UI|UFC|UA)\b)[{_UPPER}][\w'’]{{2,}}"
            rf"(?:[ \t-](?:[{_UPPER}][\w'’]*|(?:sur|sous|les|lès|en|de|du|des|la|le|aux?)(?=[ \t-]))){{0,6}}"
            r"(?:[ \t]+(?i:cedex))?(?:[ \t]+\d{1,2}(?!\d))?"
        ),
    ),
)


def identifying_spans(text: str) -> list[tuple[int, int, Kind]]:
    """What identifies someone, in order and without overlap: (start, end, kind)."""
    return _merged(_every_span(text, name_words(text)))


def name_words(text: str) -> frozenset[str]:
    """Folded words, three letters or more, of the names that a title or a field announces."""
    return frozenset(w for s, e in _announced_names(text) for w in name_tokens(text[s:e]) if len(w) >= 3)


def name_tokens(written: str) -> list[str]:
    """The folded words of a name without its particles."""
    return [word for word in map(fold, _LETTERS.findall(written)) if word not in _PARTICLES]


def letter_runs(text: str) -> Iterator[re.Match[str]]:
    """Runs of letters, with their combining accents."""
    return _LETTERS.finditer(text)


def _announced_names(text: str) -> Iterator[tuple[int, int]]:
    """Spans of names, each cut before the first word that is none."""
    for form in _NAME_FORMS:
        place = 0
        while match := form.search(text, place):
            start = end = match.start("name")
            for word in _LETTERS.finditer(text, start, match.end("name")):
                folded = fold(word.group())
                initial = len(folded) == 1 and word.group().isupper() and text[word.end() : word.end() + 1] == "."
                if folded in _NOT_NAMES and not initial:
                    break
                if initial or folded not in _PARTICLES:
                    end = word.end()
            if end > start:
                yield start, end
            place = max(end, match.start() + 1)


def _every_span(text: str, names: frozenset[str]) -> Iterator[tuple[int, int, Kind]]:
    for kind, form in _FORMS:
        for match in form.finditer(text):
            group = "value" if "value" in form.groupindex else 0
            yield match.start(group), match.end(group), kind
    for start, end in _announced_names(text):
        yield start, end, "name"
    for match in _LETTERS.finditer(text):
        if match.group()[0].isupper() and fold(match.group()) in names:
            yield match.start(), match.end(), "name"
    for start, end in date_spans(text):
        yield start, end, "date"


def _merged(spans: Iterable[tuple[int, int, Kind]]) -> list[tuple[int, int, Kind]]:
    """Overlapping spans become one, of the kind that says most."""
    out: list[tuple[int, int, Kind]] = []
    for start, end, kind in sorted(spans, key=lambda s: (s[0], -s[1], _PRIORITY[s[2]])):
        if out and start < out[-1][1]:
            first, last, known = out[-1]
            out[-1] = (first, max(last, end), min(known, kind, key=lambda k: _PRIORITY[k]))
        else:
            out.append((start, end, kind))
    return out
