"""Which application serves a page: pure rules over what a GET brought back.

    Page (status, headers, body) ── table: one line a sign ──▸ Application ── questions: one more GET ──▸ version, login

The `http` probe makes the pages and asks what the rules want asked; nothing here sends anything. A rule is one line of `table`,
so a new application is a new line and a recording.
"""

from reconshield.identify.applications.page import Application, Page, read_page
from reconshield.identify.applications.questions import Question, further_paths, question_for, read_answer, read_front
from reconshield.identify.applications.table import recognise

__all__ = [
    "Application",
    "Page",
    "Question",
    "further_paths",
    "question_for",
    "read_answer",
    "read_front",
    "read_page",
    "recognise",
]
