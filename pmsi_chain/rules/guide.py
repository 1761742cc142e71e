"""The Guide méthodologique MCO as data: `load_guide()` reads and strictly validates the knowledge base.

The statements are the project's own words; the facts, codes and places are the Guide's. What the Guide leaves open
(a threshold without a comparator, a stray digit) stands in `hole` and is not mended.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from pmsi_chain.domain import RuleSource
from pmsi_chain.errors import SourceFileError
from pmsi_chain.rules.expressions import Specificity, categories, expression

Role = Literal[
    "dp", "dr", "das", "forbidden", "forbidden_together", "forbidden_dp", "forbidden_dr", "forbidden_das",
    "governs", "context",
]  # fmt: skip
Kind = Literal["definition", "position", "prohibition", "condition", "association", "obligation", "permission"]
Situation = Literal[
    "diagnostic", "traitement", "surveillance négative", "surveillance positive", "plusieurs problèmes",
    "prise en charge non réalisée",
]  # fmt: skip
#: Every file of the knowledge base, in the order of the Guide.
GUIDE_FILES = (
    "guide_nomenclatures.toml",
    "guide_ccam.toml",
    "guide_mco_2026_iv.toml",
    "guide_mco_2026_v.toml",
    "guide_mco_2026_v_z.toml",
    "guide_mco_2026_vi.toml",
)

Texts = Annotated[tuple[str, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]


class StrictModel(BaseModel):
    """A part of the knowledge base: frozen, no unknown field, no coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CodeExpression(StrictModel):
    """Codes that a rule speaks of, and what it says of them.

    Attributes:
        expr: a code expression (see `pmsi_chain.rules.expressions`).
        role: the position it goes to, or what is forbidden; "governs": the rule applies to the code wherever it
            stands; "context": only mentioned.
        scope: "each" code alone, or "all" the codes of this role in the rule together.
        centrality: "subject" of the rule, or printed as an "example".
        side: for "forbidden_together": codes of different sides exclude each other.
    """

    expr: str
    role: Role
    scope: Literal["each", "all"] = "each"
    centrality: Literal["subject", "example"] = "subject"
    side: int = 0

    @field_validator("expr")
    @classmethod
    def _parses(cls, value: str) -> str:
        expression(value)
        return value


class GuideRule(StrictModel):
    """One rule of the Guide, of CIM-10 or of CCAM.

    Attributes:
        id: stable, "GM2026-V-AVC-02".
        chapter, article: as printed; article is the title in ch. V, the section number in IV and VI.
        page: printed page or range; None where the material read has none.
        basis: "read" when stated from the text; "domain" when the text of the section was not at hand.
        statement: the rule in the project's own words, in French; conditions: what must hold, one sentence each.
        hole: what the Guide itself leaves open, as found.
    """

    id: str = Field(pattern=r"^[A-Z0-9]+(?:-[A-Z0-9.]+)+$")
    guide: str
    edition: str
    chapter: str
    article: str
    title: str
    page: str | None = None
    situation: Situation | None = None
    kind: Kind
    basis: Literal["read", "domain"] = "read"
    statement: str = Field(min_length=15)
    conditions: Texts = ()
    codes: tuple[CodeExpression, ...] = ()
    exclusion_rules: Texts = ()
    hierarchization_rules: Texts = ()
    hole: str | None = None

    @property
    def source(self) -> RuleSource:
        """Where the rule is printed."""
        return RuleSource(
            guide=self.guide, edition=self.edition, chapter=self.chapter, article=self.article, page=self.page
        )

    @property
    def citation(self) -> str:
        """The place as a coder writes it."""
        return str(self.source)

    @property
    def passage(self) -> str:
        """The rule as one searchable text: title, statement, conditions, what it excludes and puts first, codes."""
        codes = ", ".join(dict.fromkeys(item.expr for item in self.codes if len(item.expr) > 1))
        parts = (self.title, self.statement, *self.conditions, *self.exclusion_rules, *self.hierarchization_rules)
        return " ".join(part if part.endswith(".") else f"{part}." for part in (*parts, codes) if part)

    def expressions(self, *roles: Role) -> tuple[str, ...]:
        """The code expressions that have one of these roles."""
        return tuple(code.expr for code in self.codes if code.role in roles)

    def matches(self, code: str, *roles: Role) -> bool:
        """Whether a stored code falls under an expression of one of these roles (of any role when none is given)."""
        return any(expression(item.expr).matches(code) for item in self.codes if not roles or item.role in roles)


class _CodeGroup(StrictModel):
    role: Role
    expr: list[str] = Field(min_length=1)
    scope: Literal["each", "all"] = "each"
    centrality: Literal["subject", "example"] = "subject"


class _RuleEntry(StrictModel):
    n: str
    kind: Kind
    text: str
    page: str | None = None
    section: str | None = None
    situation: Situation | None = None
    basis: Literal["read", "domain"] = "read"
    conditions: list[str] = []
    codes: list[_CodeGroup] = []
    exclusions: list[str] = []
    order: list[str] = []
    hole: str | None = None

    def expressions(self) -> Iterable[CodeExpression]:
        """One per expression; the sides of an exclusion are its groups, or its expressions when it has one group."""
        groups = sum(group.role == "forbidden_together" for group in self.codes)
        for index, group in enumerate(self.codes):
            for place, expr in enumerate(group.expr):
                side = 0 if group.role != "forbidden_together" else index if groups > 1 else place
                yield CodeExpression(
                    expr=expr, role=group.role, scope=group.scope, centrality=group.centrality, side=side
                )


class _Article(StrictModel):
    key: str
    title: str
    section: str | None = None
    page: str | None = None
    file: str | None = None
    situation: Situation | None = None
    rule: list[_RuleEntry] = Field(min_length=1)


class _Document(StrictModel):
    prefix: str
    guide: str
    edition: str
    chapter: str


class _GuideFile(StrictModel):
    document: _Document
    article: list[_Article] = Field(min_length=1)

    def rules(self) -> Iterable[GuideRule]:
        head = self.document
        for article in self.article:
            for entry in article.rule:
                yield GuideRule(
                    id="-".join(part for part in (head.prefix, article.key, entry.n) if part),
                    guide=head.guide, edition=head.edition, chapter=head.chapter,
                    article=entry.section or article.section or article.title, title=article.title,
                    page=entry.page or article.page, situation=entry.situation or article.situation,
                    kind=entry.kind, basis=entry.basis, statement=entry.text, conditions=tuple(entry.conditions),
                    codes=tuple(entry.expressions()),
                    exclusion_rules=tuple(entry.exclusions), hierarchization_rules=tuple(entry.order), hole=entry.hole,
                )  # fmt: skip


@dataclass(frozen=True)
class Guide:
    """All the rules, in the order of the files.

    Attributes:
        rules: every rule.
        articles: the file of the official text (its name only) behind each article of ch. V → the article's rule ids.
    """

    rules: tuple[GuideRule, ...]
    articles: dict[str, tuple[str, ...]]

    @classmethod
    def from_texts(cls, texts: Iterable[tuple[str, str]]) -> Guide:
        """Build from (name, TOML text) pairs.

        Raises:
            SourceFileError: not TOML, a field unknown or missing, a bad code expression, an id used twice.
        """
        rules: list[GuideRule] = []
        articles: dict[str, tuple[str, ...]] = {}
        for name, text in texts:
            try:
                part = _GuideFile.model_validate(tomllib.loads(text))
                found = tuple(part.rules())
            except (tomllib.TOMLDecodeError, ValidationError) as error:
                raise SourceFileError(f"{name} : base de règles illisible ; {error}") from error
            rules.extend(found)
            for article in part.article:
                if article.file:
                    title = article.title
                    ids = tuple(rule.id for rule in found if rule.title == title)
                    articles[article.file] = articles.get(article.file, ()) + ids
        ids_seen: set[str] = set()
        for rule in rules:
            if rule.id in ids_seen:
                raise SourceFileError(f"règle {rule.id} : l'identifiant sert deux fois ; donner un numéro libre")
            ids_seen.add(rule.id)
        return cls(tuple(rules), articles)

    @cached_property
    def _by_id(self) -> dict[str, GuideRule]:
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def editions(self) -> tuple[str, ...]:
        """The editions the rules were read in, without repetition."""
        return tuple(dict.fromkeys(rule.edition for rule in self.rules if rule.guide.startswith("Guide")))

    def rule(self, rule_id: str) -> GuideRule:
        """A rule by its id.

        Raises:
            KeyError: no such rule; the message names the id.
        """
        try:
            return self._by_id[rule_id]
        except KeyError:
            raise KeyError(f"règle {rule_id} inconnue : voir load_guide().rules") from None

    def __contains__(self, rule_id: object) -> bool:
        return rule_id in self._by_id

    @cached_property
    def _index(self) -> dict[str, list[tuple[int, GuideRule, CodeExpression]]]:
        """What may match a code, by its category; « * » for what may match any."""
        index: dict[str, list[tuple[int, GuideRule, CodeExpression]]] = {}
        every = [(rule, item) for rule in self.rules for item in rule.codes]
        for place, (rule, item) in enumerate(every):
            parsed = expression(item.expr)
            anywhere = parsed.specificity == "all" or parsed.nomenclature == "ccam" or "?" in parsed.first[:3]
            for key in ("*",) if anywhere else categories(parsed.first[:3], parsed.last[:3]):
                index.setdefault(key, []).append((place, rule, item))
        return index

    @cached_property
    def exclusive(self) -> tuple[tuple[GuideRule, tuple[CodeExpression, ...]], ...]:
        """The rules that forbid codes together, with the expressions of each side."""
        found = ((rule, tuple(i for i in rule.codes if i.role == "forbidden_together")) for rule in self.rules)
        return tuple((rule, items) for rule, items in found if items)

    def matching(self, code: str, nomenclature: Literal["cim10", "ccam"] = "cim10") -> list[Match]:
        """The rules that speak of a stored code, the most specific first, then in the order of the Guide.

        Each rule comes once, with its most specific expression and every role it gives the code.
        """
        found: dict[str, Match] = {}
        index = self._index
        for _, rule, item in sorted(index.get(code[:3], []) + index.get("*", []), key=lambda row: row[0]):
            parsed = expression(item.expr)
            if parsed.nomenclature != nomenclature or not parsed.matches(code):
                continue
            match = Match(rule, *parsed.closeness(code), frozenset({item.role}))
            known = found.get(rule.id)
            if known is not None:
                best = min(known, match, key=lambda m: m.rank)
                match = Match(rule, best.specificity, best.rank, known.roles | match.roles)
            found[rule.id] = match
        return sorted(found.values(), key=lambda match: match.rank)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that speaks of a code, with how closely (`specificity`, `rank`) and in which roles."""

    rule: GuideRule
    specificity: Specificity
    rank: tuple[int, int]
    roles: frozenset[Role]


def knowledge(name: str) -> Traversable:
    """A data file of the package."""
    return files("pmsi_chain").joinpath("knowledge", name)


@lru_cache(maxsize=1)
def load_guide() -> Guide:
    """The knowledge base shipped with the package.

    Raises:
        SourceFileError: a file of the base is not valid.
    """
    return Guide.from_texts((name, knowledge(name).read_text(encoding="utf-8")) for name in GUIDE_FILES)
