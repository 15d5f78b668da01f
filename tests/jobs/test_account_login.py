"""Signing in: one answer for whatever does not fit, ever slower for who guesses, and never a wall for its owner."""

import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from engines import new_store
from jobs.people import CAFE, DAY, HOME, HOUR, NOW, PASSWORD, code_at, events, first_admin, member, sign_in, with_totp
from reconshield.access import LIMITS, LoginRefused, NewSession, Role, Throttled, TotpWanted, match_totp
from reconshield.errors import UserError
from reconshield.jobs.accounts import (
    begin_totp,
    change_password,
    confirm_totp,
    disable_account,
    end_totp,
    find_session,
    has_totp,
    invite_account,
    log_in,
    passwords,
    remove_member,
)
from reconshield.jobs.accounts.sessions import known_account
from reconshield.store import accounts, audit
from reconshield.store.db import Store

MATCH = "reconshield.jobs.accounts.second_factor.match_totp"


@pytest.fixture
def store(url: str, fast: PasswordHasher) -> Iterator[Store]:
    with new_store(url) as opened:
        yield opened


def fails(store: Store, name: str = "ada", client: str = CAFE, now: float = NOW, password: str = "wrong") -> type[UserError]:
    with pytest.raises(UserError) as caught:
        log_in(store, name, password, "", now, client=client, agent="")
    return caught.type


def test_a_name_is_the_same_in_any_case(store: Store) -> None:
    first_admin(store)
    session = sign_in(store, " aDA ")
    assert (session.visitor.account, session.visitor.actor) == ("Ada", "account:Ada")
    assert find_session(store, session.token, NOW) == session.visitor
    assert events(store)[-1] == "login"


def test_every_sign_in_has_a_token_of_its_own(store: Store) -> None:
    made = {each.token: each for each in (first_admin(store), sign_in(store), sign_in(store))}
    assert len(made) == 3
    assert len({each.visitor.csrf for each in made.values()}) == 3


class Counting(PasswordHasher):
    """Counts how often Argon2 is computed."""

    computed = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.computed += 1
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override] # noqa: A002
        self.computed += 1
        return super().verify(hash, password)


def test_whatever_does_not_fit_gets_one_answer_after_the_same_work(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = first_admin(store)
    member(store, ada, "gone")
    remove_member(store, ada.visitor, "gone", NOW)
    member(store, ada, "off")
    disable_account(store, "off", NOW)
    invite_account(store, "new", Role.VIEWER, NOW)
    counting = Counting(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: counting)
    said, now = set(), NOW
    names = ["ada", "gone", "off", "new", "nobody", "", "\0", "\udcff", "x" * 10**5, "' OR 1=1 --", "ada\0", "ADA\u200b"]
    for name in names:
        for password in ("wrong", "", "\0", "\udcff", "x" * 10**5, *([PASSWORD] if name in {"off", "new"} else [])):
            counting.computed, now = 0, now + 2 * HOUR
            with pytest.raises(LoginRefused) as caught:
                log_in(store, name, password, "", now, client=CAFE, agent="\0" * 9999)
            said.add((caught.value.message, caught.value.where, caught.value.hint))
            assert counting.computed == 1, (name, password[:20])
    assert len(said) == 1


def test_who_belongs_nowhere_is_told_so_only_with_the_right_password(store: Store) -> None:
    ada = first_admin(store)
    member(store, ada, "bob")
    remove_member(store, ada.visitor, "bob", NOW)
    assert fails(store, "bob") is LoginRefused
    with pytest.raises(LoginRefused, match="belongs to no workspace"):
        sign_in(store, "bob")


def test_guessing_gets_slower_and_is_never_locked(store: Store) -> None:
    first_admin(store)
    now, seen = NOW, list[float]()
    for _ in range(16):
        while (kind := fails(store, client=f"203.0.113.{len(seen)}", now=now)) is Throttled:
            now += 1
        seen.append(now - NOW)
    free = LIMITS["account"].free
    assert seen[:free] == [0] * free
    waits = [later - earlier for earlier, later in zip(seen[free - 1 :], seen[free:], strict=False)]
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert kind is LoginRefused


def test_a_throttled_attempt_is_not_even_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first_admin(store)
    for at in range(LIMITS["account"].free):
        fails(store, client=f"203.0.113.{at}")
    counting = Counting(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: counting)
    with pytest.raises(Throttled) as caught:
        log_in(store, "ada", PASSWORD, "", NOW, client=CAFE, agent="")
    assert 0 < caught.value.seconds <= 1
    assert counting.computed == 0


def test_unknown_names_are_slowed_down_as_known_ones_are(store: Store) -> None:
    first_admin(store)
    tried = {name: [fails(store, name, f"203.0.113.{at}") for at in range(8)] for name in ("ada", "nobody")}
    assert tried["ada"] == tried["nobody"]
    assert Throttled in tried["ada"]


def test_strangers_do_not_keep_the_owner_out(store: Store) -> None:
    first_admin(store)
    sign_in(store)  # from HOME, which is known from now on
    for at in range(40):
        fails(store, client=f"203.0.113.{at}")
    assert fails(store, client=CAFE) is Throttled
    assert sign_in(store, client=HOME).visitor.account == "Ada"
    for at in range(40):
        fails(store, client=f"203.0.113.{at}", now=NOW + 31 * DAY)
    with pytest.raises(Throttled):
        sign_in(store, client=HOME, now=NOW + 31 * DAY)


def test_a_client_that_tries_many_names_is_slowed_down_even_when_it_has_an_account(store: Store) -> None:
    first_admin(store)
    for at in range(LIMITS["client"].free):
        fails(store, f"victim{at}", client=HOME)
        if at == 5:
            sign_in(store)  # does not wipe out what this client did to others
    assert fails(store, "victim", client=HOME) is Throttled
    assert fails(store, "victim", client=CAFE) is LoginRefused


def test_a_hundred_guesses_at_once_are_not_a_hundred_free_ones(store: Store) -> None:
    first_admin(store)
    refused, held = [], []
    barrier = threading.Barrier(24)

    def guess(at: int) -> None:
        barrier.wait()
        try:
            log_in(store, "ada", f"guess {at}", "", NOW, client=f"203.0.113.{at}", agent="")
        except Throttled:
            held.append(at)
        except LoginRefused:
            refused.append(at)

    threads = [threading.Thread(target=guess, args=(at,)) for at in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(refused), len(held)) == (LIMITS["account"].free, 24 - LIMITS["account"].free)


def test_what_was_counted_is_forgotten(store: Store) -> None:
    first_admin(store)
    for at in range(12):
        fails(store, f"name{at}", client=f"203.0.113.{at}")
    fails(store, "later", now=NOW + 2 * DAY)
    with store.read() as connection:
        rows = connection.execute(text("SELECT subject FROM login_failures WHERE subject NOT LIKE 'known:%'")).scalars().all()
    assert len([row for row in rows if row.startswith(("account:", "client:"))]) == 2


def test_the_log_of_refusals_is_bounded(store: Store) -> None:
    first_admin(store)
    before = len(events(store))
    for at in range(70):
        fails(store, f"who{at}", client=f"203.0.113.{at}")
    assert len(events(store)) == before + 20
    fails(store, "who", now=NOW + HOUR)
    entry = audit.entries(store)[-1]
    assert (entry.actor, entry.detail) == ("nobody", {"what": "unknown name", "client": CAFE, "left_out_before": 50})
    assert not any("who" in str(each.detail) for each in audit.entries(store))
    known = len(events(store))
    for at in range(8):
        fails(store, client=f"198.51.100.{at}", now=NOW + HOUR + 70 * at)
    assert [entry.detail["failures"] for entry in audit.entries(store)[known:]] == [1, 2, 4, 8]


def test_a_password_is_hashed_anew_when_the_parameters_have_changed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first_admin(store)
    before = accounts.find_account(store, "ada")
    newer = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: newer)
    sign_in(store)
    after = accounts.find_account(store, "ada")
    assert before is not None
    assert after is not None
    assert "m=8,t=1,p=1" in (before.password or "")
    assert "m=16,t=2,p=1" in (after.password or "")
    sign_in(store)
    assert accounts.find_account(store, "ada") == after


def test_the_defaults_are_those_of_the_library() -> None:
    kept = passwords.hash_password(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.password_fits(kept, PASSWORD)
    assert passwords.password_fits(passwords.hash_password("caf\u00e9 au lait"), "cafe\u0301 au lait")
    assert not passwords.password_fits(kept, PASSWORD + " ")
    assert not passwords.password_fits("no hash at all", PASSWORD)
    assert passwords.newer_hash(kept, PASSWORD) is None


def test_the_second_factor_is_wanted_and_each_code_is_taken_once(store: Store) -> None:
    ada = first_admin(store)
    other = sign_in(store)
    secret = with_totp(store, ada)
    assert has_totp(store, ada.visitor)
    assert find_session(store, ada.token, NOW) is not None
    assert find_session(store, other.token, NOW) is None  # it never had the factor
    with pytest.raises(TotpWanted):
        sign_in(store)
    with pytest.raises(LoginRefused, match="used before"):
        sign_in(store, code=code_at(secret, NOW))  # confirming used that one up
    assert sign_in(store, now=NOW + 30, code=code_at(secret, NOW + 30)).visitor.account == "Ada"
    with pytest.raises(LoginRefused, match="used before"):
        sign_in(store, now=NOW + 31, code=code_at(secret, NOW + 30))
    with pytest.raises(LoginRefused, match="name and password"):
        log_in(store, "ada", "wrong", code_at(secret, NOW + 60), NOW + 60, client=HOME, agent="")


def test_one_code_lets_one_in_however_many_come_at_once(store: Store) -> None:
    secret = with_totp(store, first_admin(store))
    results: list[object] = []
    barrier = threading.Barrier(6)

    def enter(at: int) -> None:
        barrier.wait()
        try:
            results.append(sign_in(store, now=NOW + 60, code=code_at(secret, NOW + 60), client=f"203.0.113.{at}"))
        except UserError as error:
            results.append(error)

    threads = [threading.Thread(target=enter, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 6
    assert sum(isinstance(each, NewSession) for each in results) == 1


def test_asking_for_the_code_is_no_failure_but_a_wrong_one_is(store: Store) -> None:
    secret = with_totp(store, first_admin(store))
    for _ in range(30):
        with pytest.raises(TotpWanted):
            sign_in(store, client=CAFE)
    for at in range(LIMITS["totp"].free):
        with pytest.raises(LoginRefused):
            sign_in(store, client=f"203.0.113.{at}", code="000000", now=NOW + 70 * at)
    later = NOW + 70 * LIMITS["totp"].free
    with pytest.raises(LoginRefused):
        sign_in(store, client=CAFE, code="000000", now=later)
    with pytest.raises(Throttled):
        sign_in(store, client=CAFE, code=code_at(secret, later), now=later)


@pytest.mark.parametrize("secret", ["", "AAAA", "not base32 !", "\0", "A" * 1000])
def test_the_second_factor_begins_only_with_a_secret_and_its_code(store: Store, secret: str) -> None:
    ada = first_admin(store)
    with pytest.raises(UserError, match="no secret"):
        confirm_totp(store, ada.visitor, secret, "000000", NOW)
    good = begin_totp(store, ada.visitor)
    for _ in range(LIMITS["session"].free - 1):
        with pytest.raises(LoginRefused, match="code does not fit"):
            confirm_totp(store, ada.visitor, good, "12345x", NOW)
    assert not has_totp(store, ada.visitor)
    confirm_totp(store, ada.visitor, good.lower(), code_at(good, NOW - 30), NOW)
    with pytest.raises(UserError, match="already"):
        begin_totp(store, ada.visitor)


def test_of_two_who_confirm_a_second_factor_at_once_the_first_one_wins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = first_admin(store)
    mine, theirs = begin_totp(store, ada.visitor), begin_totp(store, ada.visitor)

    def slow_match(secret: str, code: str, now: float, last: int | None) -> int | None:
        monkeypatch.setattr(MATCH, match_totp)
        confirm_totp(store, ada.visitor, mine, code_at(mine, NOW), NOW)  # the other window is quicker
        return match_totp(secret, code, now, last)

    monkeypatch.setattr(MATCH, slow_match)
    with pytest.raises(UserError, match="already"):
        confirm_totp(store, ada.visitor, theirs, code_at(theirs, NOW), NOW)
    assert known_account(store, "Ada").totp_secret == mine
    assert events(store).count("totp-begun") == 1


def test_the_second_factor_ends_with_the_password(store: Store) -> None:
    ada = first_admin(store)
    with_totp(store, ada)
    with pytest.raises(LoginRefused, match="password is not right"):
        end_totp(store, ada.visitor, "wrong", NOW)
    end_totp(store, ada.visitor, PASSWORD, NOW)
    assert sign_in(store).visitor.account == "Ada"
    assert events(store)[-2:] == ["totp-ended", "login"]


def test_inside_a_session_guessing_is_slowed_down_too(store: Store) -> None:
    ada = first_admin(store)
    for _ in range(LIMITS["session"].free):
        with pytest.raises(LoginRefused):
            change_password(store, ada.visitor, "wrong", "some other long password", NOW)
    with pytest.raises(Throttled):
        change_password(store, ada.visitor, PASSWORD, "some other long password", NOW)
    other = sign_in(store)
    assert change_password(store, other.visitor, PASSWORD, "some other long password", NOW).visitor.account == "Ada"
