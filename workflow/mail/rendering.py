"""From a letter's templates and plain facts to its subject, its text and its HTML with the styles inlined."""

import re
import textwrap
from collections.abc import Mapping
from functools import cache

from css_inline import CSSInliner
from jinja2 import Environment

from workflow import templating
from workflow.mail.messages import Attachment, Letter

TEXT_WIDTH = 74


def rendered(
    name: str,
    reader: str,
    desk: object,
    language: str,
    facts: Mapping[str, object],
    attachments: tuple[Attachment, ...] = (),
) -> Letter:
    """The letter that the templates of this name make of plain facts. Both forms say the same; the text is wrapped."""
    templates = _templates(language)
    words = {**facts, "reader": reader, "desk": desk, "language": language}
    # Names and companies are typed by people; whatever is no visible character must not end up in a header field.
    subject = " ".join(_CONTROL.sub(" ", templates.get_template(f"letters/{name}/subject.txt").render(words)).split())
    text = templates.get_template(f"letters/{name}/body.txt").render(words)
    html = templates.get_template(f"letters/{name}/body.html").render(words, subject=subject)
    return Letter(subject, _wrapped(text), _INLINER.inline(html), attachments, language)


@cache
def _templates(language: str) -> Environment:
    """The letters' templates. Only English is written so far; the language already decides which words a letter gets."""
    made = templating.environment()
    made.globals["language"] = language
    return made


# Remote sheets off: a template could otherwise make the worker fetch an address. What stays in the head are the media
# queries for dark mode and narrow screens, which no style attribute can hold.
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True, minify_css=True)


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# What the second line of a paragraph stands under: nothing, an indent, the words of a numbered step, the value of a row.
_HANGING = re.compile(r" +(?:\d+\. |[^:]{1,18}: +)?")


def _wrapped(text: str) -> str:
    """Paragraphs at 74 columns; lines with an address in them stay whole, so that it can be clicked."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        if len(line) <= TEXT_WIDTH or "://" in line:
            lines.append(line.rstrip())
        else:
            lead = _HANGING.match(line)
            lines += textwrap.wrap(
                line,
                TEXT_WIDTH,
                subsequent_indent=" " * len(lead[0] if lead else ""),
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(_single_spaced(lines)) + "\n"


def _single_spaced(lines: list[str]) -> list[str]:
    return [line for index, line in enumerate(lines) if line or (index and lines[index - 1])]
