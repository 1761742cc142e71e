"""Prompts as versioned files: `prompts/<id>.toml`, read strictly, filled with `$name` substitution.

A prompt is never edited in place: a change is a new file with the next version, so that the id and the hash in the
trace of a coding always name the words that were sent. Values are inserted once and are never read as templates: a
report full of `{}`, `$` and `%` is inert.
"""

from __future__ import annotations

import hashlib
import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Literal, Self

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import Field, ValidationError, model_validator

from pmsi_chain.domain import Value
from pmsi_chain.errors import ConfigurationError
from pmsi_chain.problems import problems_line


class _PromptFile(Value):
    """What a prompt file holds; anything else in it is refused."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*_v[1-9][0-9]*$")
    version: int = Field(ge=1)
    language: Literal["fr", "en"]
    description: str = Field(min_length=10)
    variables: list[str]
    system: str = ""
    human: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.id.endswith(f"_v{self.version}"):
            raise ValueError(f"l'id doit finir par _v{self.version}, la version")
        if not (self.system.strip() or self.human.strip()):
            raise ValueError("system et human sont vides : donner l'un ou l'autre")
        used: set[str] = set()
        for part, text in (("system", self.system), ("human", self.human)):
            template = Template(text)
            if not template.is_valid():
                raise ValueError(f"{part} a un $ seul : écrire $$ pour un dollar, $nom pour une variable")
            used.update(template.get_identifiers())
        if len(set(self.variables)) != len(self.variables):
            raise ValueError("une variable est déclarée deux fois")
        if undeclared := sorted(used - set(self.variables)):
            raise ValueError(f"employé sans être déclaré dans variables : {', '.join(undeclared)}")
        if unused := sorted(set(self.variables) - used):
            raise ValueError(f"déclaré dans variables sans être employé : {', '.join(unused)}")
        return self


class Prompt(Value):
    """A prompt ready to be filled.

    Attributes:
        id: name and version, such as "select_codes_v1"; also the file's name.
        sha256: of the file, line ends as `\\n`, in hexadecimal.
        variables: what `render` must be given, no more and no less.
        system, human: the templates; an empty one gives no message.
    """

    id: str
    version: int
    language: str
    description: str
    variables: tuple[str, ...]
    system: str
    human: str
    sha256: str

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """A prompt from a TOML file; its name must be the prompt's id.

        Raises:
            ConfigurationError: unreadable, not TOML, a field too many or too few, or templates that do not agree
                with `variables`.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"prompt {path.name} : lecture impossible ({type(error).__name__}) ; attendu un fichier TOML en UTF-8"
            ) from None
        return cls.from_toml(text, name=path.name.removesuffix(".toml"))

    @classmethod
    def from_toml(cls, text: str, name: str) -> Self:
        """A prompt from the text of its file; `name` is the file's name without `.toml`.

        Raises:
            ConfigurationError: see `from_file`.
        """
        text = text.replace("\r\n", "\n")
        try:
            written = _PromptFile.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"prompt {name}.toml : pas du TOML ({error}) ; corriger cette ligne") from None
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False)
            problems = problems_line(found, {str(part) for e in found for part in e["loc"]}, "fichier")
            raise ConfigurationError(
                f"prompt {name}.toml refusé : {problems} ; attendu id, version, language, description, variables, "
                "system, human"
            ) from None
        if written.id != name:
            raise ConfigurationError(
                f"prompt {name}.toml : il se nomme {written.id} ; donner au fichier et à l'id le même nom"
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(**written.model_dump(exclude={"variables"}), variables=tuple(written.variables), sha256=digest)

    def render(self, **values: str) -> list[BaseMessage]:
        """The messages, with every variable filled; values are inserted as they are, once.

        Raises:
            ConfigurationError: a variable is missing, or is none of this prompt's. The message names variables,
                never values.
        """
        problems = []
        if missing := [name for name in self.variables if name not in values]:
            problems.append(f"variables absentes : {', '.join(missing)}")
        if extra := sorted(set(values) - set(self.variables)):
            problems.append(f"variables inconnues : {', '.join(extra)}")
        if problems:
            expected = ", ".join(self.variables) or "aucune"
            raise ConfigurationError(f"prompt {self.id} : {' ; '.join(problems)} ; il prend : {expected}")
        messages: list[BaseMessage] = []
        if self.system.strip():
            messages.append(SystemMessage(Template(self.system).substitute(values).strip()))
        if self.human.strip():
            messages.append(HumanMessage(Template(self.human).substitute(values).strip()))
        return messages

    def as_runnable(self) -> Runnable[dict[str, Any], list[BaseMessage]]:
        """`render` as a LangChain part, to be composed with `|`."""
        return RunnableLambda(lambda values: self.render(**values), name=self.id)


def prompts_dir() -> Path:
    """Where the prompts are: inside the installed package, or at the top of the repository in an editable checkout.

    Raises:
        ConfigurationError: neither is there.
    """
    package = Path(str(files("pmsi_chain")))
    for folder in (package / "_prompts", package.parent / "prompts"):
        if folder.is_dir():
            return folder
    raise ConfigurationError("les prompts manquent à cette installation : réinstaller pmsi-chain")


def list_prompts() -> tuple[str, ...]:
    """Ids of the prompts that come with the package, sorted."""
    return tuple(sorted(path.name.removesuffix(".toml") for path in prompts_dir().glob("*.toml")))


@lru_cache(maxsize=64)
def load_prompt(prompt_id: str) -> Prompt:
    """A prompt of the package by its id ("select_codes_v1").

    Raises:
        ConfigurationError: no such prompt, or its file is refused.
    """
    if prompt_id not in list_prompts():
        raise ConfigurationError(f"aucun prompt {prompt_id!r} : il y a {', '.join(list_prompts())}")
    return Prompt.from_file(prompts_dir() / f"{prompt_id}.toml")
