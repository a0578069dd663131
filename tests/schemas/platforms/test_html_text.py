from __future__ import annotations

import time

import pytest

from schemas.platforms.html_text import html_text


@pytest.mark.parametrize(
    ("expected", "html"),
    [
        (("plain & simple", []), "plain &amp; simple"),
        (("a < b", []), "a < b"),
        (("a <3 b", []), "<p>a &lt;3 b</p>"),
        (("one\ntwo\nthree", []), "<p>one</p><p>two<br>three</p>"),
        (("one\ntwo", []), "one<br/> \n <br />two"),
        (
            ("#fire @ann", []),
            '<a class="mention hashtag" href="https://m/tags/fire">#<span>fire</span></a> <a class="u-url mention" href="https://m/@ann">@<span>ann</span></a>',
        ),
        (
            ("https://a.example/b", ["https://a.example/b?c=1&d"]),
            '<a href="https://a.example/b?c=1&amp;d"><span class="invisible">https://</span>a.example/b</a>',
        ),
        (("héllo 😀 é", []), "h&eacute;llo &#x1F600; &#233;"),
        (("ab", []), "a<!-- c --><!doctype html><?php b?>b"),
        (("alert(1)</i", []), "<script>alert(1)</script></i"),
        (("", []), ""),
        (("<a href=x", []), "<a href=x"),
        (("x", []), "<a>x</a>"),
    ],
)
def test_html_reads_as_a_person_would_see_it(expected: tuple[str, list[str]], html: str) -> None:
    assert html_text(html) == expected


HOSTILE = [
    "<",
    "<a ",
    "<a b='",
    "<a b=",
    "<a/",
    "<a\n",
    "<a =",
    "<!--",
    "<![CDATA[",
    "</",
    "<?",
    "&#",
    "<script>",
    "<p> ",
    " \n",
    "<" + "a/" * 2_000 + ">",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_html_takes_more_than_linear_time(piece: str) -> None:
    def seconds(size: int) -> float:
        html = (piece * (size // len(piece) + 1))[:size]
        started = time.process_time()
        html_text(html)
        return time.process_time() - started

    # the parser alone takes 40 s for 80,000 characters of "<a ", so a second leaves room for the slowest machine
    assert seconds(150_000) < 1
