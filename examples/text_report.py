"""Word statistics of a text, made in small steps and in bounded memory."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from examples.folder import Source, Unusable

CHUNK = 256 * 1024
MAX_KNOWN = 50_000
"""Different words that are counted at once; beyond, the rarer half is forgotten."""
MAX_CARRY = 1000
"""Characters without a space that may wait for their next chunk; what is longer is no word."""
WORDS_PER_MINUTE = 238
"""Silent reading of English prose by adults (Brysbaert 2019)."""

_WORD = re.compile(r"[^\W_](?:['\u2019\-]?[^\W_]){0,99}")
"""At most 100 letters, with apostrophes and hyphens inside; a longer run counts as several words."""


class TextReport:
    """Counts lines, words and characters of a UTF-8 text, and which words it uses; case does not matter."""

    def __init__(self, most_common: int = 10) -> None:
        self._most_common = most_common
        self._newlines = self._characters = self._words = self._letters = 0
        self._last = "\n"
        self._longest = ""
        self._known: Counter[str] = Counter()
        self._unique = 0
        self._is_exact = True

    def steps(self, open_source: Callable[[], Source]) -> Iterator[tuple[float, str]]:
        """Work on, a chunk at a time; yield how far it is (0.0 to 1.0) and what that means.

        Raises ``Unusable`` with the line and the reason when the text is not UTF-8.
        """
        source = open_source()
        with source.stream:
            decoder = codecs.getincrementaldecoder("utf-8-sig")()
            read, carry = 0, ""
            while chunk := source.stream.read(CHUNK):
                read += len(chunk)
                carry = self._add(carry, self._decoded(decoder, chunk))
                yield source.part(read), f"words: {self._words:,}"
            self._count(carry + self._decoded(decoder, b"", final=True))
            yield 1.0, f"words: {self._words:,}"

    def results(self) -> dict[str, Any]:
        """Return the statistics; ``counts_are`` tells whether those of single words are lower bounds only."""
        unique = max(self._unique, len(self._known))
        return {
            "lines": self._newlines + (self._last != "\n"),
            "words": self._words,
            "characters": self._characters,
            "unique_words": unique,
            "most_common": [
                {"word": word, "count": count} for word, count in self._known.most_common(self._most_common)
            ],
            "counts_are": "exact" if self._is_exact else "at least",
            "longest_word": self._longest or None,
            "mean_word_length": round(self._letters / self._words, 2) if self._words else None,
            "reading_seconds": round(self._words * 60 / WORDS_PER_MINUTE),
        }

    def _decoded(self, decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> str:
        try:
            return decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            line = self._newlines + error.object[: error.start].count(b"\n") + 1
            raise Unusable(f"line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8") from None

    def _add(self, carry: str, text: str) -> str:
        """Count a piece of text up to its last word, which may go on; return the rest."""
        self._newlines += text.count("\n")
        self._characters += len(text)
        self._last = text[-1:] or self._last
        text = carry + text
        ends = max(0, text.rfind(" "), text.rfind("\n"))
        if len(text) - ends > MAX_CARRY:
            ends = len(text)
        self._count(text[:ends])
        return text[ends:]

    def _count(self, text: str) -> None:
        words = _WORD.findall(text)
        if not words:
            return
        self._words += len(words)
        self._letters += sum(map(len, words))
        self._longest = max(self._longest, *words, key=len)
        self._known.update(word.casefold() for word in words)
        if len(self._known) > MAX_KNOWN:
            self._unique = max(self._unique, len(self._known))
            self._known = Counter(dict(self._known.most_common(MAX_KNOWN // 2)))
            self._is_exact = False
