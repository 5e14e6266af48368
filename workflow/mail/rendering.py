"""From a letter's templates and plain facts to its subject, its text and its HTML with the styles inlined."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from css_inline import CSSInliner
from jinja2 import Environment

from workflow import templating
from workflow.languages import ENGLISH, Language, chinese, find
from workflow.mail.messages import Attachment, Letter
from workflow.mail.wrapping import padded, wrapped


@dataclass(frozen=True)
class Reader:
    """Who reads a letter, and in which language (`en`, `zh`); one that letters are not written in gets English."""

    name: str
    language: str

    @property
    def speaks(self) -> Language:
        """The language of the letter."""
        return find(self.language, languages()) or ENGLISH


@cache
def languages() -> tuple[Language, ...]:
    """What letters are written in."""
    return (ENGLISH, chinese())


def rendered(
    name: str,
    reader: Reader,
    desk: object,
    facts: Mapping[str, object],
    attachments: tuple[Attachment, ...] = (),
) -> Letter:
    """The letter that the templates of this name make of plain facts. Both forms say the same; the text is wrapped."""
    templates = _templates(reader.speaks)
    given = {**facts, "reader": reader.name, "desk": desk}
    # Names and companies are typed by people; whatever is no visible character must not end up in a header field.
    subject = " ".join(_CONTROL.sub(" ", templates.get_template(f"letters/{name}/subject.txt").render(given)).split())
    text = templates.get_template(f"letters/{name}/body.txt").render(given)
    html = templates.get_template(f"letters/{name}/body.html").render(given, subject=subject)
    text, html = (_AFTER_FULL_STOP.sub("", form) for form in (text, html))
    return Letter(subject, wrapped(text), _INLINER.inline(html), attachments, reader.speaks.tag)


def lines_of(template: str, reader: Reader, facts: Mapping[str, object]) -> list[str]:
    """The lines of a text beside a letter, in the reader's language."""
    said = _templates(reader.speaks).get_template(f"letters/{template}").render(facts)
    return _AFTER_FULL_STOP.sub("", said).strip().splitlines()


@cache
def _templates(language: Language) -> Environment:
    made = templating.environment()
    made.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]  # of the i18n extension
    made.globals["language"] = language.tag
    made.filters.update(said=language.say, day=language.day, instant=language.instant, padded=padded)
    return made


# Remote sheets off: a template could otherwise make the worker fetch an address. What stays in the head are the media
# queries for dark mode and narrow screens, which no style attribute can hold.
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True, minify_css=True)


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# Templates part two sentences with a blank; what ends a Chinese one brings its own.
_AFTER_FULL_STOP = re.compile(r"(?<=[。？！）]) +(?=\S)")
