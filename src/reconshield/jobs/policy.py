"""Find and read the policy file, and look at it as a reviewer would.

The file is `reconshield.toml`: by `--policy`, else in the working directory, else in the home directory. What its names mean is
told here, from the catalogue and the checks; the policy itself knows neither. Where there is no file, nothing of it is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.policy import Known, Policy, Problem

NAME = "reconshield.toml"
MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy file that was read: its path, its text, the policy (None when it has errors) and every problem by line."""

    path: Path
    text: str
    policy: Policy | None
    problems: tuple[Problem, ...]


def locate_policy(home: Path, given: Path | None = None) -> Path | None:
    """The policy file that is meant; None when none was given and there is none. A given one must exist.

    An empty file is none: a shell makes it before `policy propose > reconshield.toml` has written a word.
    """
    if given is not None:
        return given.expanduser()
    return next((path for path in (Path(NAME), home / NAME) if path.is_file() and path.stat().st_size), None)


def load_policy(home: Path, given: Path | None = None, vantages: Collection[str] = ()) -> Policy:
    """The policy that is meant. No file, and a file with an error, are a `UserError`."""
    found = find_policy(home, given, vantages)
    if found is None:
        hint = f"write one with: reconshield policy propose > {NAME}"
        raise UserError("there is no policy file", where=f"{NAME} here or in {home}", hint=hint)
    return found


def find_policy(home: Path, given: Path | None = None, vantages: Collection[str] = ()) -> Policy | None:
    """The policy that is meant, None where there is no file. A file with an error is a `UserError`."""
    path = locate_policy(home, given)
    if path is None:
        return None
    from reconshield.policy import read_policy, refuse_errors

    policy, problems = read_policy(read_text(path), str(path), known_names(vantages))
    refuse_errors(problems)
    return policy


def try_policy(home: Path) -> tuple[Policy | None, str | None]:
    """The policy of this place for verbs that can do without it: with an error in it they go on, and say so."""
    try:
        return find_policy(home), None
    except UserError as error:
        return None, f"the policy is not used: {error.message} ({error.where})"


def examine_policy(path: Path, now: float, vantages: Collection[str] = ()) -> PolicyFile:
    """Read a policy file and gather everything that is wrong with it, or soon will be."""
    from reconshield.policy import read_policy, review_policy

    text, known = read_text(path), known_names(vantages)
    policy, problems = read_policy(text, str(path), known)
    if policy is not None:
        found = [*review_channels(policy), *review_policy(policy, known, now)]
        problems = sorted(found, key=lambda problem: problem.line)
    return PolicyFile(path, text, policy, tuple(problems))


def review_channels(policy: Policy) -> Iterator[Problem]:
    """Channels of a kind that there is not, and settings that their kind does not take or misses."""
    from reconshield.jobs.channels import ready_channels
    from reconshield.policy import Problem

    for number, entry in enumerate(policy.channels, 1):
        try:
            ready_channels(replace(policy, channels=(entry,)))
        except UserError as error:
            yield Problem("error", policy.file, entry.line, f"channel[{number}]", error.message, error.hint or "")


def read_text(path: Path) -> str:
    """The text of a policy file. A file that cannot be read, is no text, or is far too large is a `UserError`."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UserError("the policy file is larger than 8 MB", where=str(path), hint="is it the right file?")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("the policy file is not text in UTF-8", where=str(path), hint="save it as UTF-8") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"the policy file cannot be read: {reason}", where=str(path), hint="check the path") from error


def known_names(vantages: Collection[str] = ()) -> Known:
    """What services, ports and checks are called here."""
    from reconshield.knowledge.names import nearest_names, ports_of
    from reconshield.policy import Known

    return Known(
        service_id=find_service,
        near_services=lambda name: nearest_names(name, 2),
        ports_of=ports_of,
        is_check=is_check,
        checks=check_names(),
        vantages=vantages,
    )


def find_service(name: str) -> str | None:
    """The id of a service by any of its names; `unknown` is what nobody could identify."""
    from reconshield.knowledge.names import find_endpoints

    if name == "unknown":
        return name
    found = find_endpoints(name)
    return found[0].service if found else None


@cache
def check_names() -> frozenset[str]:
    """The ids of all checks, those for every service as they are written (`{service}-version-shown`)."""
    from reconshield.checks.rules import CHECKS

    return frozenset(check.id for check in CHECKS)


def is_check(name: str) -> bool:
    """Whether a finding can have this name."""
    if name in check_names():
        return True
    endings = (check.removeprefix("{service}") for check in check_names() if check.startswith("{service}"))
    return any(name.endswith(end) and find_service(name.removesuffix(end)) == name.removesuffix(end) for end in endings)
