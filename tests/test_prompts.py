"""Prompt files: strict, versioned, and inert to what is put into them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsi_chain.errors import ConfigurationError
from pmsi_chain.prompts import Prompt, list_prompts, load_prompt

#: A prompt is never edited in place: a change is a new version with a new hash. Never change a line, add one.
PUBLISHED = {
    "agent_v1": "ff353eeb6a4f6869db58533b59ae039168147f81d44798bc3d819604a6722862",
    "select_codes_retry_v1": "680a60f720e853fe5b74c2ad20a102f870d0e41fcde12286460575040abe5c17",
    "select_codes_v1": "c9a79e84aa78e134db2c1a8e84df35134b87d08631765e6809cef5043cd08f26",
}

GOOD = """
id = "greet_v2"
version = 2
language = "fr"
description = "Dire bonjour à quelqu'un."
variables = ["name", "place"]
system = "Tu es à $place."
human = "Bonjour ${name}, c'est 5 $$."
"""


def greet() -> Prompt:
    return Prompt.from_toml(GOOD, "greet_v2")


def test_published_prompts_are_not_edited_in_place() -> None:
    assert {name: load_prompt(name).sha256 for name in list_prompts()} == PUBLISHED


@pytest.mark.parametrize("name", list_prompts())
def test_every_prompt_renders_with_its_variables(name: str) -> None:
    prompt = load_prompt(name)
    messages = prompt.render(**{v: f"<{v}>" for v in prompt.variables})
    text = "\n".join(m.text for m in messages)
    assert all(f"<{v}>" in text for v in prompt.variables)
    assert "$" not in text


def test_render_gives_system_then_human() -> None:
    messages = greet().render(name="Zoé", place="Brest")
    assert [(m.type, m.text) for m in messages] == [("system", "Tu es à Brest."), ("human", "Bonjour Zoé, c'est 5 $.")]


def test_runnable_is_the_same() -> None:
    values = {"name": "Zoé", "place": "Brest"}
    assert greet().as_runnable().invoke(values) == greet().render(**values)


@given(st.text(), st.sampled_from(["$place", "${name}", "{name}", "{0}", "%s", "%(name)s", "$$", "$", "{{", "\\1"]))
def test_values_are_inert(text: str, trap: str) -> None:
    value = text + trap + text
    assert greet().render(name=value, place="x")[1].text == f"Bonjour {value}, c'est 5 $."


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"name": "secret"}, "variables absentes : place"),
        ({"name": "secret", "place": "x", "town": "y"}, "variables inconnues : town"),
        ({}, "variables absentes : name, place"),
        ({"Name": "secret"}, "variables absentes : name, place ; variables inconnues : Name"),
    ],
)
def test_wrong_variables_are_refused_without_their_values(values: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        greet().render(**values)
    assert told in str(refused.value)
    assert "greet_v2" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('variables = ["name", "place"]', 'variables = ["name"]', "employé sans être déclaré dans variables : place"),
        ('["name", "place"]', '["name", "place", "x"]', "déclaré dans variables sans être employé : x"),
        ('["name", "place"]', '["name", "name", "place"]', "déclarée deux fois"),
        ("5 $$", "5 $", "human a un $ seul"),
        ("version = 2", "version = 3", "l'id doit finir par _v3"),
        ("version = 2", 'version = "deux"', "version"),
        ("version = 2", "", "version : obligatoire, et absent"),
        ('language = "fr"', 'language = "de"', "language"),
        ('system = "Tu', 'sistem = "Tu', "sistem"),
        ("[", "", "pas du TOML"),
        ('"greet_v2"', '"Greet"', "id"),
        ('"greet_v2"', '"hello_v2"', "se nomme hello_v2"),
    ],
)
def test_bad_file_is_refused_with_a_clear_line(old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as refused:
        Prompt.from_toml(GOOD.replace(old, new, 1), "greet_v2")
    assert told in str(refused.value)
    assert "greet_v2.toml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_prompt_without_messages_is_refused() -> None:
    text = 'id = "x_v1"\nversion = 1\nlanguage = "fr"\ndescription = "Rien du tout."\nvariables = []\n'
    with pytest.raises(ConfigurationError, match="sont vides"):
        Prompt.from_toml(text, "x_v1")


def test_hash_is_of_the_words_and_not_of_line_ends() -> None:
    assert Prompt.from_toml(GOOD.replace("\n", "\r\n"), "greet_v2").sha256 == greet().sha256
    assert Prompt.from_toml(GOOD.replace("Bonjour", "Bonsoir"), "greet_v2").sha256 != greet().sha256


def test_from_file_reads_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "greet_v2.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert Prompt.from_file(path) == greet()
    with pytest.raises(ConfigurationError, match="lecture impossible"):
        Prompt.from_file(tmp_path / "absent_v1.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        Prompt.from_file(path)


@pytest.mark.parametrize("name", ["nothing_v9", "../pyproject", "select_codes_v1.toml", ""])
def test_unknown_prompt_names_those_that_exist(name: str) -> None:
    with pytest.raises(ConfigurationError, match="select_codes_v1"):
        load_prompt(name)
