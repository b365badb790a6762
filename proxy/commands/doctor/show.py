"""Pure: findings as text for people, as JSON, and as a report to hand on. Every text is redacted."""

import json
from collections.abc import Callable, Iterator
from textwrap import wrap
from typing import Final

from proxy.commands.doctor.finding import Findings, Mark, Section, Step, Why

Redact = Callable[[str], str]

WIDTH: Final = 100
_INDENT: Final = " " * 11
_MARKS: Final[dict[Mark, str]] = {"ok": "ok", "notice": "notice", "wrong": "WRONG", "skipped": "skipped"}


def text(findings: Findings, redact: Redact) -> str:
    """Return the findings for people."""
    parts = ["\n".join(_section(section, redact)) for section in findings.sections]
    return redact("\n\n".join([*parts, summary(findings)]))


def summary(findings: Findings) -> str:
    """Return one sentence that counts what is wrong."""
    wrong = len(findings.wrong)
    notices = sum(step.mark == "notice" for section in findings.sections for step in section.steps)
    noticed = f" There {'is' if notices == 1 else 'are'} {_count(notices, 'notice')}." if notices else ""
    if not wrong:
        return f"Nothing is wrong.{noticed}"
    where = ", ".join(dict.fromkeys(section.subject for section, _ in findings.wrong))
    return f"{_count(wrong, 'thing')} {'is' if wrong == 1 else 'are'} wrong: see {where}.{noticed}"


def as_json(findings: Findings, redact: Redact, version: str) -> str:
    """Return the findings for machines; docs/reference.md has the members."""
    return json.dumps(
        {
            "version": version,
            "source": redact(findings.source),
            "ok": not findings.wrong,
            "summary": redact(summary(findings)),
            "sections": [
                {
                    "subject": section.subject,
                    "title": redact(section.title),
                    "steps": [_step_object(step, redact) for step in section.steps],
                }
                for section in findings.sections
            ],
        },
        indent=2,
    )


def report(findings: Findings, redact: Redact, *, version: str, system: str, date: str) -> str:
    """Return the findings as a text file that can be handed on."""
    head = (
        f"camunda-auth-proxy doctor, version {version}, {date}, {system}\n"
        "Secrets, tokens and cookies are left out or masked. Host names, client ids and user names are not.\n"
    )
    return f"{head}\n{text(findings, redact)}\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _section(section: Section, redact: Redact) -> Iterator[str]:
    yield redact(f"{section.subject}  {section.title}")
    for step in section.steps:
        took = "" if step.seconds is None else f"  ({_took(step.seconds)})"
        yield redact(f"  {_MARKS[step.mark]:8} {step.name:10}  {step.said}{took}".rstrip())
        if step.why is not None:
            yield from wrap(
                redact(step.why.words),
                WIDTH,
                initial_indent=_INDENT,
                subsequent_indent=_INDENT,
                break_long_words=False,
                break_on_hyphens=False,
            )


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _step_object(step: Step, redact: Redact) -> dict[str, object]:
    return {
        "name": step.name,
        "mark": step.mark,
        "said": redact(step.said),
        "seconds": None if step.seconds is None else round(step.seconds, 3),
        "cause": _cause_object(step.why, redact),
        "facts": _redacted(dict(step.facts), redact),
    }


def _cause_object(why: Why | None, redact: Redact) -> dict[str, str] | None:
    return None if why is None else {"name": why.name, "text": redact(why.words)}


def _redacted(value: object, redact: Redact) -> object:
    """Redact each text, but no number: a mask in one would not be JSON."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [_redacted(each, redact) for each in value]
    if isinstance(value, dict):
        return {key: _redacted(each, redact) for key, each in value.items()}
    return value
