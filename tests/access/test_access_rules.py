"""Roles, names, passwords, codes and the second factor: every rule that needs no database."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.access import (
    CODE_LENGTH,
    CODE_LETTERS,
    COMMONEST,
    PASSWORD_LONGEST,
    PASSWORD_SHORTEST,
    TOKEN_SCOPES,
    TOTP_PERIOD,
    NotAllowed,
    Role,
    Visitor,
    check_name,
    check_password,
    code_text,
    match_totp,
    name_key,
    read_code,
    read_role,
    read_totp_secret,
    require,
    role_of_token,
    totp_code,
    totp_uri,
)
from reconshield.errors import UserError

NOW = 1_800_000_000.0
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238 appendix B: "12345678901234567890"


def test_roles_rise_and_each_covers_those_before_it() -> None:
    assert [role.value for role in Role] == ["viewer", "analyst", "operator", "admin"]
    for role in Role:
        assert [role.covers(other) for other in Role] == [other.rank <= role.rank for other in Role]


def test_a_role_is_read_as_people_write_it() -> None:
    assert read_role(" Admin ") is Role.ADMIN
    with pytest.raises(UserError, match="no such role"):
        read_role("root")


@given(st.sampled_from(list(Role)), st.frozensets(st.sampled_from([*TOKEN_SCOPES, "made-up"])))
def test_a_token_never_acts_above_its_owner_or_its_scopes(owner: Role, scopes: frozenset[str]) -> None:
    role = role_of_token(owner, scopes)
    highest = max((TOKEN_SCOPES[s].rank for s in scopes & TOKEN_SCOPES.keys()), default=0)
    assert role.rank == min(owner.rank, highest)


def test_what_a_role_does_not_reach_is_refused_with_who_may() -> None:
    visitor = Visitor("ada", Role.ANALYST, "main", "s", "c", None, "session")
    require(visitor, Role.ANALYST, "alerts")
    with pytest.raises(NotAllowed, match="only operator or admin may do this") as caught:
        require(visitor, Role.OPERATOR, "schedules")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", ["ada", "Ada.Example", "a@b.example", "0", "x" * 64])
def test_names_that_can_be(name: str) -> None:
    assert check_name(f" {name} ") == name


@pytest.mark.parametrize(
    "name", ["", " ", "-x", "x" * 65, "a b", "a\nb", "аda", "a\0", "\udcff", "<b>", "a\u202eb", "../x", "a:b", "ada\u0301"]
)
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(UserError, match="cannot have this name") as caught:
        check_name(name)
    assert (caught.value.where or "").isprintable()


@given(st.text(max_size=400))
def test_any_text_can_be_looked_up_as_a_name(text: str) -> None:
    assert name_key(text) == name_key(f" {text} ") or len(text) > 200


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("", "shorter"),
        ("x" * (PASSWORD_SHORTEST - 1), "shorter"),
        ("x7" * 200, "longer"),
        ("\ufdfa" * 20, "longer"),  # one character that NFKC makes eighteen of
        ("Ada.Lovelace.1815", "name of the account"),
        ("ada.lovelace.1815ADA.LOVELACE.1815", "name of the account"),
        ("PASSWORD1234", "tried first"),
        ("passwordpassword", "tried first"),
        ("123456789012", "tried first"),
        ("aaaaaaaaaaaaaaa", "tried first"),
        ("reconshield1234", "tried first"),
        ("long enough \udcff", "cannot be kept"),
    ],
)
def test_passwords_that_are_refused(password: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        check_password(password, "Ada.Lovelace.1815")
    assert caught.value.hint
    assert not password.strip() or password not in str(caught.value.__dict__)


@pytest.mark.parametrize(
    "password", ["lower case only is fine", "x7" * 128, "ächtzehn Zeichen ü", "\0" * 12, "🐎🔋🐎🔋🐎🔋🐎🔋🐎🔋🐎🔋"]
)
def test_length_counts_and_kinds_of_characters_do_not(password: str) -> None:
    assert len(password) <= PASSWORD_LONGEST
    check_password(password, "ada")


def test_the_list_of_the_commonest_holds_only_what_would_pass_otherwise() -> None:
    assert len([each for each in COMMONEST if len(each) >= PASSWORD_SHORTEST]) > 150
    assert all(each == each.casefold() for each in COMMONEST)


@given(st.text(alphabet=CODE_LETTERS, min_size=CODE_LENGTH, max_size=CODE_LENGTH))
def test_a_code_is_read_however_it_is_typed(letters: str) -> None:
    shown = code_text(letters)
    assert len(shown) == CODE_LENGTH + 3
    assert read_code(shown) == letters
    assert read_code(shown.lower().replace("-", " ")) == letters
    assert read_code(letters.replace("1", "l").replace("0", "o")) == letters


@given(st.text())
def test_other_texts_are_no_codes(text: str) -> None:
    letters = read_code(text)
    assert letters is None or (len(letters) == CODE_LENGTH and set(letters) <= set(CODE_LETTERS))


def test_eighty_bits_and_no_letters_that_look_alike() -> None:
    assert len(set(CODE_LETTERS)) ** CODE_LENGTH == 2**80
    assert set(string.ascii_uppercase) - set(CODE_LETTERS) == set("ILOU")


@pytest.mark.parametrize(
    ("time", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238(time: int, code: str) -> None:
    key = read_totp_secret(SECRET)
    assert totp_code(key, time // TOTP_PERIOD, digits=8) == code
    assert totp_code(key, time // TOTP_PERIOD) == code[2:]
    assert match_totp(SECRET, code[2:], time, None) == time // TOTP_PERIOD


@given(st.integers(0, 2**40), st.integers(-4, 4), st.one_of(st.none(), st.integers(-4, 4)))
def test_a_code_fits_one_step_around_and_only_after_the_last_one(now: int, off: int, used: int | None) -> None:
    current = now // TOTP_PERIOD
    step = max(0, current + off)
    last = None if used is None else current + used
    code = totp_code(read_totp_secret(SECRET), step)
    allowed = {s for s in range(max(0, current - 1), current + 2) if last is None or s > last}
    same = {s for s in allowed if totp_code(read_totp_secret(SECRET), s) == code}
    assert match_totp(SECRET, code, now, last) == min(same, default=None)


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "²²²²²²", "-12345", "12345\0", "\udcff" * 6, "9" * 10_000]
)
def test_hostile_codes_fit_nothing(code: str) -> None:
    assert match_totp(SECRET, code, NOW, None) is None


def test_a_code_may_be_typed_in_two_groups() -> None:
    code = totp_code(read_totp_secret(SECRET), int(NOW // 30))
    assert match_totp(SECRET, f" {code[:3]} {code[3:]} ", NOW, None) == int(NOW // 30)


@pytest.mark.parametrize("secret", ["", "AAAA", "GEZDGNBVGY3TQOJQ1111", "ü" * 32, "A" * 400, "\0" * 32])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(UserError, match="no secret"):
        read_totp_secret(secret)


def test_the_address_for_authenticator_applications() -> None:
    uri = totp_uri(SECRET, "ada+x@example.org")
    assert uri.startswith("otpauth://totp/ReconShield%3Aada%2Bx@example.org?")
    assert f"secret={SECRET}&issuer=ReconShield&algorithm=SHA1&digits=6&period=30" in uri
