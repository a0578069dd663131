"""The rules of streams.terms once more, one regular expression each, for texts of few characters."""

from __future__ import annotations

import re
from unicodedata import category

from streams.stopwords import STOP_WORDS

HAN, KATAKANA, THAI, HIRAGANA, HANGUL = "日本々", "カー", "ดิน", "の", "지서"
SPACELESS = HAN + KATAKANA + THAI + HIRAGANA
OTHERS = "abcdefghijklmnopqrstuvwxyz0123456789_#@&.-/?:'\"<> éñσ²\u0301🎉…क्𝔘"
CHARACTERS = SPACELESS + HANGUL + OTHERS
PIECES = (
    "http://",
    "https://",
    "www.",
    "@user",
    "#tag",
    "the",
    " ",
    "@a.b@c-d",
    "x.de",
    "ab@",
    "日http://",
    "abw",
    *CHARACTERS[9:],
)

_COMPOSED = "".join(map(chr, [*range(0xC0, 0x250), *range(0x1E00, 0x1F00)]))  # what NFKC makes of a letter and an accent
_WORD = "".join(c for c in CHARACTERS + _COMPOSED if c == "_" or category(c)[0] in "LMN")
_PLAIN = "".join(c for c in _WORD if c != "_" and c not in SPACELESS)
_HANDLE = r"[a-z0-9_]+(?:[.-][a-z0-9_]+)*"
_NEXT = rf"(?:(?!(?<=[{SPACELESS}])https?://)[{_WORD}#@&])*"  # a run ends where a script without spaces meets a url
_CHUNK = re.compile(rf'(https?://[^\s"<>{SPACELESS}{HANGUL}]+)|(@{_HANDLE}(?:@{_HANDLE})?{_NEXT})|([{_WORD}#@&]{_NEXT})')
_HOST = re.compile(rf"https?://(?:[^/?#]*@)?(?:www\.)?([{_WORD}](?:[{_WORD}.-]*[{_WORD}])?)")
_MENTION = re.compile(rf"@({_HANDLE}(?:@{_HANDLE})?)(?=$|[#@&{SPACELESS}{HANGUL}])")
_HASHTAG = re.compile(rf"(?<![{_WORD}&])#([{_WORD}]+)")
_WORDS = re.compile(rf"([{HAN}]+)|([{THAI}]+)|([{KATAKANA}]+|[{_PLAIN}]+)")


def terms_by_the_rules(text: str, max_chars: int) -> list[str]:
    """The distinct terms of a normalised text over CHARACTERS, in order of place."""
    found = [term for chunk in _CHUNK.finditer(text) for term in _terms(*chunk.groups())]
    return list(dict.fromkeys(term for term in found if len(term.partition(":")[2]) <= max_chars))


def _terms(url: str | None, handle: str | None, run: str | None) -> list[str]:
    if url:
        host = _HOST.match(url)
        return [f"domain:{host[1]}"] if host and "." in host[1] else []
    if handle:
        mention = _MENTION.match(handle)
        return [f"mention:{mention[1]}"] if mention else []
    assert run
    placed = [(tag.start(1), f"hashtag:{tag[1]}") for tag in _HASHTAG.finditer(run) if _has_letter(tag[1])]
    for free in re.finditer(rf"(?<![#@{_WORD}])[{_WORD}]+", run):
        for words in _WORDS.finditer(free[0]):
            size = 2 if words[1] else 4 if words[2] else len(words[0])
            some = [words[0][at : at + size] for at in range(len(words[0]) - size + 1)]
            placed += [(free.start() + words.start(), f"keyword:{word}") for word in some if _is_keyword(word)]
    return [term for _, term in sorted(placed, key=lambda one: one[0])]


def _is_keyword(word: str) -> bool:
    long_enough = len(word) >= 3 or (len(word) == 2 and min(word) >= "\u1100")
    return long_enough and _has_letter(word) and word not in STOP_WORDS


def _has_letter(word: str) -> bool:
    return any(category(c)[0] == "L" for c in word)
