"""Everything that the glass says can be said in Welsh, and the catalogues say nothing else."""

from __future__ import annotations

import re

from tests.kiosk_fixture.sentences import (
    ENGLISH,
    WELSH,
    catalogue,
    everything,
    of_the_page,
    of_the_terminal,
)

MEND = "Write it: python -m tests.kiosk_fixture.sentences says which sentences want Welsh."


def places(sentence: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", sentence))


def test_the_sentences_of_both_sides_are_found() -> None:
    assert "Tap your card." in of_the_terminal()
    assert "Resuscitation" in of_the_terminal()
    assert "Clean screen" in of_the_page()
    assert "Who is signed on" in of_the_page()


def test_every_sentence_has_its_welsh() -> None:
    missing = everything().keys() - catalogue(WELSH).keys()
    assert not missing, "\n".join([*sorted(missing), MEND])


def test_no_catalogue_keeps_what_nobody_says() -> None:
    assert catalogue(WELSH).keys() - everything().keys() == set()


def test_the_english_catalogue_says_where_each_is_said() -> None:
    assert catalogue(ENGLISH) == everything(), "run python -m tests.kiosk_fixture.sentences"


def test_numbers_and_names_stand_in_every_language() -> None:
    faults = [
        sentence
        for sentence, said in catalogue(WELSH).items()
        if places(sentence) != places(said) or not said.strip()
    ]
    assert faults == []


def test_no_sentence_with_places_could_be_taken_for_another() -> None:
    """A page finds a sentence of the terminal again by its pattern: the first that fits."""
    everywhere = everything()
    patterns = {
        sentence: re.compile(
            "".join(
                "(.+?)" if re.fullmatch(r"\{\w+\}", part) else re.escape(part)
                for part in re.split(r"(\{\w+\})", sentence)
            )
        )
        for sentence in everywhere
        if places(sentence) and everywhere[sentence].endswith(".py")
    }
    confused = [
        (sentence, other)
        for sentence, pattern in patterns.items()
        for other in everywhere
        if other != sentence and pattern.fullmatch(re.sub(r"\{\w+\}", "7 min", other))
    ]
    assert confused == []
