"""Words that programs compare and that carry a sentence for people."""

from __future__ import annotations

import enum

__all__ = ["Explained", "Word"]


class Word(str):
    """A word and what it means.

    Attributes:
        sentence: What it means, ending with a full stop.
    """

    __slots__ = ("sentence",)

    sentence: str

    def __new__(cls, word: str, sentence: str) -> Word:
        """Make the word."""
        made = super().__new__(cls, word)
        made.sentence = sentence
        return made


class Explained(enum.StrEnum):
    """An enumeration of Words: its members are the plain words, each with its ``sentence``."""

    sentence: str

    def __new__(cls, word: Word) -> Explained:
        """Make a member."""
        member = str.__new__(cls, word)
        member._value_ = str(word)
        member.sentence = word.sentence
        return member
