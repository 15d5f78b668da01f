"""Names and passwords: what can be one, and what is the same."""

from __future__ import annotations

import re
import unicodedata

from reconshield.errors import UserError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def name_key(name: str) -> str:
    """What makes two names the same. Any text has one, so that a hostile name is looked up as any other."""
    return unicodedata.normalize("NFKC", name[:256]).strip().casefold()


def check_name(name: str) -> str:
    """The name as it is kept. ASCII only: nobody can look like somebody else."""
    name = name.strip()
    if not NAME.fullmatch(name):
        hint = "use letters, digits and . _ @ + - (64 at most), beginning with a letter or digit"
        raise UserError("an account cannot have this name", where=ascii(name[:64])[1:-1], hint=hint)
    return name


PASSWORD_SHORTEST, PASSWORD_LONGEST = 12, 256

_DOUBLED = "qwerty letmein changeme password passwort admin abc123 asdf trustno1 reconshield welcome monkey dragon football"
_BEGUN = "password passw0rd p@ssw0rd passwort welcome changeme reconshield admin administrator iloveyou sunshine qwertyuiop"
_ENDS = "1 12 123 1234 12345 123456 1! 123! 1234! 2024 2025 2026 2027"
_ROWS = "qwertyuiop[] qwertzuiopü+ 1qaz2wsx3edc 1qaz2wsx3edc4rfv 1q2w3e4r5t6y 1q2w3e4r5t6y7u8i zaq12wsxcde3 123qweasdzxc"
_COUNTS = "abcdefghijkl abcdefghijklm abcdefghijklmnop 987654321098 098765432109 0987654321098 112233445566 121212121212"
_PHRASES = ("correcthorsebatterystaple", "correct horse battery staple", "thisismypassword", "mypassword123", "administrator")

COMMONEST = frozenset(
    {
        *("".join(str(digit % 10) for digit in range(1, length + 1)) for length in range(12, 21)),
        *(character * length for character in "0123456789abcdefghijklmnopqrstuvwxyz*.-" for length in range(12, 21)),
        *(word * times for word in _DOUBLED.split() for times in (2, 3, 4)),
        *(word + end for word in _BEGUN.split() for end in _ENDS.split()),
        *_ROWS.split(),
        *_COUNTS.split(),
        *_PHRASES,
    }
)
"""What guessers try first among texts that are long enough; written by hand, compared without regard to case."""


def fold_password(password: str) -> str:
    """One text for what looks the same, however a keyboard composes it (NFKC, as NIST SP 800-63B asks)."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, name: str) -> None:
    """Refuse what is guessed first. Length counts, the kinds of characters do not (NIST SP 800-63B 3.1.1.2)."""
    folded = fold_password(password)
    plain, who = folded.casefold(), name_key(name)
    hint = f"take {PASSWORD_SHORTEST} characters or more: four or five words that only you put together"
    if len(folded) < PASSWORD_SHORTEST:
        raise UserError(f"the password is shorter than {PASSWORD_SHORTEST} characters", where="password", hint=hint)
    if len(password) > PASSWORD_LONGEST or len(folded) > PASSWORD_LONGEST:
        raise UserError(
            f"the password is longer than {PASSWORD_LONGEST} characters", where="password", hint="take a shorter one"
        )
    if any("\ud800" <= character <= "\udfff" for character in folded):
        raise UserError("the password has characters that cannot be kept", where="password", hint=hint)
    if who and not plain.replace(who, ""):
        raise UserError("the password is the name of the account", where="password", hint=hint)
    if plain in COMMONEST or plain.strip() in COMMONEST:
        raise UserError("the password is among those that are tried first", where="password", hint=hint)
