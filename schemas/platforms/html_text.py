"""The text of an HTML fragment and the links in it, in linear time on anything.

The parser of the standard library is quadratic on input that opens tags without end (40 s for 80 kB of "<a <a <a"), so it gets
to see only tags that are complete and short; any other "<" is text, and comments and declarations are dropped.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

MAX_HTML_CHARS = 200_000  # ten times the longest text that is kept
MAX_TAG_CHARS = 4_096  # longer than a link with the longest URL kept

_OPENING = re.compile(rf"<(?![/a-zA-Z][^<>]{{0,{MAX_TAG_CHARS}}}>)")
_DECLARATION = re.compile(r"<[!?][^<>]*>?")
_BREAKS = frozenset(("br", "p", "div", "li", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6"))
_SPACES = re.compile(r"[ \t]*\n\s*")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.links: list[str] = []

    def set_cdata_mode(self, elem: str, **_options: bool) -> None:
        """Text of script and style is text like any other: no platform sends them, and looking for their end costs time."""

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKS:
            self.pieces.append("\n")
        elif tag == "a":
            attributes = dict(attrs)
            kinds = (attributes.get("class") or "").split()
            if attributes.get("href") and "mention" not in kinds and "hashtag" not in kinds:
                self.links.append(attributes["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self.pieces.append("\n")


def html_text(html: str) -> tuple[str, list[str]]:
    """Plain text with line breaks, and the targets of links that are neither mention nor hashtag."""
    if "<" not in html and "&" not in html:
        return html.strip(), []
    parser = _Text()
    parser.feed(_OPENING.sub("&lt;", _DECLARATION.sub("", html[:MAX_HTML_CHARS])))
    parser.close()
    return _SPACES.sub("\n", "".join(parser.pieces)).strip(), parser.links
