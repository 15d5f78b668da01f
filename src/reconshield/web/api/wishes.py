"""What a request brings: a JSON document, read strictly into a record of its own. What is not known is refused, not ignored."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from reconshield.errors import UserError
from reconshield.web.call import Call
from reconshield.web.failures import Unsupported, unreadable

JSON_KINDS = ("application/json", "")
"""A body without a content type is taken for JSON."""


class Wish(BaseModel):
    """What every document has in common: no unknown fields, no guessing of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, str_max_length=4096)


W = TypeVar("W", bound=Wish)


def read_wish(call: Call, kind: type[W]) -> W:
    """The document of a request. Raises UserError that names every mistake and repeats nothing of what was sent."""
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in JSON_KINDS:
        raise Unsupported(
            "this takes a JSON document", where=f"content-type {media[:60]}", hint="content-type: application/json"
        )
    try:
        return kind.model_validate_json(call.body or b"{}")
    except ValidationError as error:
        raise unreadable((row["loc"], row["msg"]) for row in error.errors(include_url=False, include_input=False)) from error


def plain_line(text: str) -> str:
    """Text of one line, without the blanks around it."""
    if not text.isprintable():
        raise ValueError("one line of printable text")
    return text.strip()


def plain_target(text: str) -> str:
    """A target, and not the name of a file on the server."""
    if text.strip().startswith(("@", "-")):
        raise ValueError("targets themselves: files and standard input are for the command line")
    return plain_line(text)


Line = Annotated[str, Field(max_length=200), AfterValidator(plain_line)]
Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(plain_line)]
Target = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^@\-\s]"), AfterValidator(plain_target)]
"""An address, network, range or name."""
Targets = Annotated[tuple[Target, ...], Field(max_length=10_000, strict=False)]
Moment = Annotated[str, Field(max_length=40), AfterValidator(plain_line)]
"""A date (`2026-12-31`), a time (`2026-12-31T18:00Z`), or a duration from now on (`12h`, `30d`)."""


def need(value: Any, field: str) -> Any:
    """A value that must be there in this combination of fields."""
    if not value:
        raise UserError("this is missing", where=field, hint="see /api")
    return value
