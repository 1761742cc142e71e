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
            raise ValueError(f"the id must end in _v{self.version}, the version")
        if not (self.system.strip() or self.human.strip()):
            raise ValueError("system and human are both empty: give one")
        used: set[str] = set()
        for part, text in (("system", self.system), ("human", self.human)):
            template = Template(text)
            if not template.is_valid():
                raise ValueError(f"{part} has a lone $: write $$ for a dollar sign, $name for a variable")
            used.update(template.get_identifiers())
        if len(set(self.variables)) != len(self.variables):
            raise ValueError("a variable is declared twice")
        if undeclared := sorted(used - set(self.variables)):
            raise ValueError(f"used but not declared in variables: {', '.join(undeclared)}")
        if unused := sorted(set(self.variables) - used):
            raise ValueError(f"declared in variables but not used: {', '.join(unused)}")
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
                f"the prompt file {path.name} cannot be read ({type(error).__name__}): expected a TOML file in UTF-8"
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
            raise ConfigurationError(f"the prompt {name}.toml is not TOML ({error}): mend that line") from None
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors(include_input=False)[:3]
            )
            raise ConfigurationError(
                f"the prompt {name}.toml was refused: {problems}; expected id, version, language, description, "
                "variables, system, human"
            ) from None
        if written.id != name:
            raise ConfigurationError(f"the prompt {name}.toml calls itself {written.id}: give file and id one name")
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
            problems.append(f"missing variables: {', '.join(missing)}")
        if extra := sorted(set(values) - set(self.variables)):
            problems.append(f"unknown variables: {', '.join(extra)}")
        if problems:
            expected = ", ".join(self.variables) or "none"
            raise ConfigurationError(f"the prompt {self.id} was given {'; '.join(problems)}; it takes: {expected}")
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
    raise ConfigurationError("the prompts are missing from this installation: install pmsi-chain again")


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
        raise ConfigurationError(f"no prompt {prompt_id!r}: there are {', '.join(list_prompts())}")
    return Prompt.from_file(prompts_dir() / f"{prompt_id}.toml")
