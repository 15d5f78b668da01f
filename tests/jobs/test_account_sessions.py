"""Sessions, members and tokens: found fast, ended at once, never above what their owner may."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import event

from engines import new_store
from jobs.people import CAFE, DAY, HOUR, NOW, PASSWORD, events, first_admin, member, sign_in, with_totp
from jobs.test_account_links import together
from reconshield.access import SESSION_IDLE, SESSION_LONGEST, TOKEN_LONGEST, TOKEN_SCOPES, LoginRefused, NotAllowed, Role
from reconshield.errors import UserError
from reconshield.jobs.accounts import (
    change_password,
    disable_account,
    enable_account,
    end_session,
    end_totp,
    find_session,
    find_token,
    invite,
    invite_account,
    list_members,
    list_sessions,
    list_tokens,
    log_in,
    log_out,
    log_out_everywhere,
    make_token,
    remove_member,
    revoke_token,
    set_role,
    switch_workspace,
)
from reconshield.store import audit, sessions
from reconshield.store.db import Store, open_store

pytestmark = pytest.mark.usefixtures("fast")
HOSTILE = ["", "\0", "\udcff", "rs_", "rs_\0", "x" * 10**6, "rs_" + "x" * 10**6, "' OR 1=1 --", "%"]


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with new_store(url) as opened:
        yield opened


@pytest.fixture
def elsewhere(url: str, store: Store) -> Iterator[Store]:
    with open_store(url, workspace="tenant-b") as opened:
        yield opened


class Statements:
    """What is said to a database while it stands."""

    def __init__(self, store: Store) -> None:
        self.store, self.said = store, list[str]()

    def note(self, *arguments: object) -> None:
        self.said.append(str(arguments[2]).split()[0].upper())

    def __enter__(self) -> list[str]:
        event.listen(self.store.engine, "before_cursor_execute", self.note)
        return self.said

    def __exit__(self, *_: object) -> None:
        event.remove(self.store.engine, "before_cursor_execute", self.note)


def test_a_session_is_found_with_one_query_and_writes_once_a_minute(store: Store) -> None:
    ada = first_admin(store)
    with Statements(store) as said:
        for second in range(0, 60, 10):
            assert find_session(store, ada.token, NOW + second) == ada.visitor
    assert [word for word in said if word not in {"BEGIN", "SELECT"}] == []
    assert said.count("SELECT") == 6
    with Statements(store) as said:
        for second in range(60, 120, 10):
            find_session(store, ada.token, NOW + second)
    assert said.count("UPDATE") == 1


def test_a_session_ends_when_it_is_not_used_and_when_it_is_old(store: Store) -> None:
    idle, used = first_admin(store), sign_in(store)
    assert used.expires == NOW + SESSION_LONGEST
    now = NOW
    while now + 6 * HOUR < NOW + SESSION_LONGEST:
        now += 6 * HOUR
        assert find_session(store, used.token, now) is not None
    assert find_session(store, used.token, NOW + SESSION_LONGEST) is None
    assert find_session(store, idle.token, NOW + SESSION_IDLE) is None
    assert find_session(store, idle.token, NOW + SESSION_IDLE - 1) is not None
    sign_in(store, now=NOW + 8 * DAY)
    assert len(list_sessions(store, used.visitor, NOW + 8 * DAY)) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_token_finds_nobody(store: Store, text: str) -> None:
    first_admin(store)
    assert find_session(store, text, NOW) is None
    assert find_token(store, text, NOW) is None
    log_out(store, text[:200], NOW)


def test_whatever_a_browser_says_of_itself_is_kept_harmless(store: Store) -> None:
    first_admin(store)
    log_in(store, "ada", PASSWORD, "", NOW + 1, client="\0\udcff" * 99, agent="<script>\0\udcff\u202e" * 999)
    newest = list_sessions(store, sign_in(store).visitor, NOW + 1)[0]
    assert (len(newest.client), len(newest.agent)) == (64, 200)
    assert newest.agent.startswith("<script>\0\udcff\u202e")
    assert audit.verify_chain(store) is None


def test_sessions_are_listed_and_ended_one_by_one(store: Store) -> None:
    ada, other = first_admin(store), sign_in(store, client=CAFE)
    stranger = member(store, ada, "bob")
    shown = list_sessions(store, ada.visitor, NOW)
    assert {(each.client, each.current) for each in shown} == {("192.0.2.10", True), (CAFE, False)}
    foreign = list_sessions(store, stranger.visitor, NOW)[0].id
    for hostile in (foreign, "%" * 16, "_" * 16, "", "\0" * 16, other.token):
        with pytest.raises(UserError, match="no session of that id"):
            end_session(store, ada.visitor, hostile, NOW)
    end_session(store, ada.visitor, next(each.id for each in shown if not each.current), NOW)
    assert find_session(store, other.token, NOW) is None
    assert find_session(store, ada.token, NOW) is not None
    assert find_session(store, stranger.token, NOW) is not None


def test_leaving_here_and_everywhere(store: Store) -> None:
    ada, second, third = first_admin(store), sign_in(store), sign_in(store)
    log_out(store, second.token, NOW)
    log_out(store, second.token, NOW)
    assert find_session(store, second.token, NOW) is None
    assert log_out_everywhere(store, "ADA", NOW, except_token=third.token) == 1
    assert find_session(store, ada.token, NOW) is None
    assert find_session(store, third.token, NOW) is not None
    assert log_out_everywhere(store, "ada", NOW) == 1
    assert events(store)[-3:] == ["logout", "logout-everywhere", "logout-everywhere"]
    with pytest.raises(UserError, match="no account of that name"):
        log_out_everywhere(store, "\0", NOW)


def test_a_new_password_ends_every_session_and_goes_on_under_a_new_token(store: Store) -> None:
    ada, other = first_admin(store), sign_in(store)
    with pytest.raises(UserError, match="shorter"):
        change_password(store, ada.visitor, PASSWORD, "short", NOW)
    new = change_password(store, ada.visitor, PASSWORD, "some other long password", NOW)
    assert find_session(store, ada.token, NOW) is None
    assert find_session(store, other.token, NOW) is None
    assert find_session(store, new.token, NOW) == new.visitor
    assert new.visitor.csrf != ada.visitor.csrf
    with pytest.raises(LoginRefused):
        sign_in(store)
    with pytest.raises(LoginRefused):
        change_password(store, ada.visitor, "some other long password", PASSWORD, NOW)  # that session is over


def test_another_workspace_means_another_token_but_no_longer_life(store: Store, elsewhere: Store) -> None:
    ada = first_admin(store)
    bea = first_admin(elsewhere, "bea")
    for place in ("tenant-b", "nowhere", "", "\0", "\udcff"):
        with pytest.raises(UserError, match="does not belong"):
            switch_workspace(store, ada.token, place, NOW)
    assert invite_account(elsewhere, "ada", Role.VIEWER, NOW) is None
    there = switch_workspace(store, ada.token, "tenant-b", NOW + HOUR)
    assert (there.visitor.workspace, there.visitor.role, there.expires) == ("tenant-b", Role.VIEWER, ada.expires)
    assert find_session(store, ada.token, NOW + HOUR) is None
    assert find_session(store, there.token, NOW + HOUR) == there.visitor
    with pytest.raises(LoginRefused, match="over"):
        switch_workspace(store, ada.token, "main", NOW + HOUR)
    assert sign_in(store, now=NOW + 2 * HOUR).visitor.workspace == "tenant-b"  # the one that was used last
    assert bea.visitor.workspace == "tenant-b"


def test_a_role_holds_in_one_workspace_only(store: Store, elsewhere: Store) -> None:
    ada = first_admin(store)
    bea = first_admin(elsewhere, "bea")
    bob = member(store, ada, "bob")
    acts: list[Callable[[], object]] = [
        lambda: set_role(store, bea.visitor, "bob", Role.ADMIN, NOW),
        lambda: remove_member(store, bea.visitor, "bob", NOW),
    ]
    for act in acts:
        with pytest.raises(UserError, match="does not belong to the workspace"):
            act()
    assert find_session(store, bob.token, NOW) == bob.visitor


def test_a_lower_role_holds_at_once_and_a_higher_one_after_signing_in(store: Store) -> None:
    ada = first_admin(store)
    bob = member(store, ada, "bob", Role.OPERATOR)
    set_role(store, ada.visitor, "bob", Role.VIEWER, NOW)
    found = find_session(store, bob.token, NOW)
    assert found is not None
    assert found.role is Role.VIEWER
    set_role(store, ada.visitor, "bob", Role.VIEWER, NOW)  # no change, no entry
    set_role(store, ada.visitor, "bob", Role.ADMIN, NOW)
    assert find_session(store, bob.token, NOW) is None
    assert sign_in(store, "bob").visitor.role is Role.ADMIN
    changes = [entry.detail for entry in audit.entries(store) if entry.event == "role-changed"]
    assert [(each["from"], each["to"]) for each in changes] == [("operator", "viewer"), ("viewer", "admin")]


def test_the_last_admin_stays(store: Store) -> None:
    ada = first_admin(store)
    member(store, ada, "bob")
    invite_account(store, "new", Role.ADMIN, NOW)  # could not sign in yet
    acts: list[Callable[[], object]] = [
        lambda: set_role(store, ada.visitor, "ada", Role.OPERATOR, NOW),
        lambda: remove_member(store, ada.visitor, "ada", NOW),
        lambda: disable_account(store, "ada", NOW),
    ]
    for act in acts:
        with pytest.raises(UserError, match="would have no admin"):
            act()
    set_role(store, ada.visitor, "bob", Role.ADMIN, NOW)
    remove_member(store, ada.visitor, "ada", NOW)
    assert find_session(store, ada.token, NOW) is None
    with pytest.raises(UserError, match="would have no admin"):
        remove_member(store, sign_in(store, "bob").visitor, "bob", NOW)


def test_of_two_admins_who_remove_each_other_at_once_one_stays(store: Store) -> None:
    ada = first_admin(store)
    bob = member(store, ada, "bob", Role.ADMIN)
    together(
        lambda: remove_member(store, ada.visitor, "bob", NOW),
        lambda: remove_member(store, bob.visitor, "ada", NOW),
    )
    assert len([each for each in list_members(store) if each.role is Role.ADMIN]) == 1


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST, Role.OPERATOR])
def test_only_an_admin_says_who_belongs(store: Store, role: Role) -> None:
    ada = first_admin(store)
    bob = member(store, ada, "bob", role)
    acts: list[Callable[[], object]] = [
        lambda: set_role(store, bob.visitor, "bob", Role.ADMIN, NOW),
        lambda: remove_member(store, bob.visitor, "ada", NOW),
        lambda: invite(store, bob.visitor, Role.VIEWER, NOW),
    ]
    for act in acts:
        with pytest.raises(NotAllowed, match="only admin"):
            act()


def test_who_is_disabled_is_out_at_once_and_comes_back_with_the_password(store: Store, elsewhere: Store) -> None:
    ada = first_admin(store)
    bob = member(store, ada, "bob")
    invite_account(elsewhere, "bob", Role.VIEWER, NOW)
    text, _ = make_token(store, bob.visitor, "ci", ["read"], None, NOW)
    disable_account(store, "bob", NOW, actor="root")
    assert find_session(store, bob.token, NOW) is None
    assert find_token(store, text, NOW) is None
    with pytest.raises(LoginRefused):
        sign_in(store, "bob")
    with pytest.raises(UserError, match="disabled already"):
        disable_account(store, "bob", NOW)
    assert events(elsewhere)[-1] == events(store)[-2] == "account-disabled"
    enable_account(store, "bob", NOW)
    with pytest.raises(UserError, match="not disabled"):
        enable_account(store, "bob", NOW)
    assert find_session(store, bob.token, NOW) is None
    assert sign_in(store, "bob").visitor.account == "bob"


def test_a_token_acts_as_its_owner_within_its_scopes(store: Store) -> None:
    ada = first_admin(store)
    bob = member(store, ada, "bob", Role.ADMIN)
    text, token = make_token(store, bob.visitor, " ci ", ["read", "write"], None, NOW)
    assert text.startswith("rs_")
    assert len(text) == 46
    assert (token.name, token.account, token.until) == ("ci", "bob", NOW + 90 * DAY)
    found = find_token(store, text, NOW)
    assert found is not None
    assert (found.role, found.via, found.csrf, found.session) == (TOKEN_SCOPES["write"], "token", "", token.id)
    assert found.scopes == frozenset({"read", "write"})
    set_role(store, ada.visitor, "bob", Role.VIEWER, NOW)
    demoted = find_token(store, text, NOW)
    assert demoted is not None
    assert demoted.role is Role.VIEWER
    assert find_token(store, text, token.until) is None
    assert find_session(store, text, NOW) is None


def test_the_last_use_of_a_token_is_kept_to_the_minute(store: Store) -> None:
    ada = first_admin(store)
    text, _ = make_token(store, ada.visitor, "ci", ["read"], None, NOW)
    with Statements(store) as said:
        for second in range(5, 125, 5):
            find_token(store, text, NOW + second)
    assert said.count("UPDATE") == 2
    assert list_tokens(store, ada.visitor)[0].last_used == NOW + 65


@pytest.mark.parametrize(
    ("name", "scopes", "until", "says"),
    [
        ("", ["read"], None, "needs a name"),
        ("a\nb", ["read"], None, "needs a name"),
        ("a\u202eb", ["read"], None, "needs a name"),
        ("x" * 81, ["read"], None, "needs a name"),
        ("ci", [], None, "scopes"),
        ("ci", ["root"], None, "scopes"),
        ("ci", ["\0\udcff" * 99], None, "scopes"),
        ("ci", ["admin"], None, "for admin and above"),
        ("ci", ["read"], NOW, "within a year"),
        ("ci", ["read"], NOW + TOKEN_LONGEST + 1, "within a year"),
        ("ci", ["read"], float("nan"), "within a year"),
        ("ci", ["read"], float("inf"), "within a year"),
    ],
)
def test_tokens_that_are_not_made(store: Store, name: str, scopes: list[str], until: float | None, says: str) -> None:
    bob = member(store, first_admin(store), "bob", Role.OPERATOR)
    with pytest.raises(UserError, match=says):
        make_token(store, bob.visitor, name, scopes, until, NOW)
    assert list_tokens(store, bob.visitor) == []


def test_a_token_makes_no_token_and_changes_no_account(store: Store) -> None:
    ada = first_admin(store)
    text, _ = make_token(store, ada.visitor, "ci", ["admin"], None, NOW)
    robot = find_token(store, text, NOW)
    assert robot is not None
    assert robot.role is Role.ADMIN
    with_totp(store, ada)
    acts: list[Callable[[], object]] = [
        lambda: make_token(store, robot, "more", ["read"], None, NOW),
        lambda: invite(store, robot, Role.ADMIN, NOW),
        lambda: set_role(store, robot, "ada", Role.VIEWER, NOW),
        lambda: change_password(store, robot, PASSWORD, "some other long password", NOW),
        lambda: end_totp(store, robot, PASSWORD, NOW),
    ]
    for act in acts:
        with pytest.raises(NotAllowed, match="a token cannot do this"):
            act()


def test_tokens_are_seen_and_revoked_by_their_owner_and_by_admins(store: Store, elsewhere: Store) -> None:
    ada = first_admin(store)
    bob, eve = member(store, ada, "bob"), member(store, ada, "eve")
    bea = first_admin(elsewhere, "bea")
    text, token = make_token(store, bob.visitor, "ci", ["read"], None, NOW)
    assert [each.id for each in list_tokens(store, bob.visitor)] == [token.id]
    assert [each.id for each in list_tokens(store, ada.visitor)] == [token.id]
    assert list_tokens(store, eve.visitor) == list_tokens(store, bea.visitor) == []
    for visitor in (eve.visitor, bea.visitor):
        with pytest.raises(UserError, match="no token of that id"):
            revoke_token(store, visitor, token.id, NOW)
    for hostile in ("", "\0", "\udcff", "t" * 10**5):
        with pytest.raises(UserError, match="no token of that id"):
            revoke_token(store, bob.visitor, hostile, NOW)
    revoke_token(store, ada.visitor, token.id, NOW + 5)
    assert find_token(store, text, NOW + 5) is None
    assert list_tokens(store, bob.visitor)[0].revoked == NOW + 5
    with pytest.raises(UserError, match="no token of that id"):
        revoke_token(store, bob.visitor, token.id, NOW + 6)
    assert events(store)[-2:] == ["token-made", "token-revoked"]


def test_who_is_removed_and_comes_back_has_no_old_keys(store: Store) -> None:
    ada = first_admin(store)
    bob = member(store, ada, "bob")
    text, _ = make_token(store, bob.visitor, "ci", ["read"], None, NOW)
    remove_member(store, ada.visitor, "bob", NOW)
    assert invite_account(store, "bob", Role.VIEWER, NOW) is None
    assert find_session(store, bob.token, NOW) is None
    assert find_token(store, text, NOW) is None


def test_an_account_has_a_hundred_tokens_at_most(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = first_admin(store)
    for at in range(100):
        make_token(store, ada.visitor, f"t{at}", ["read"], NOW + 60, NOW)
    with pytest.raises(UserError, match="100 tokens"):
        make_token(store, ada.visitor, "more", ["read"], None, NOW)
    make_token(store, ada.visitor, "later", ["read"], None, NOW + 60)


def test_every_change_is_one_chain_in_the_right_workspace(store: Store, elsewhere: Store) -> None:
    ada, bea = first_admin(store), first_admin(elsewhere, "bea")
    make_token(elsewhere, ada.visitor, "ci", ["read"], None, NOW)  # whatever store is at hand
    make_token(store, bea.visitor, "ci", ["read"], None, NOW)
    for place, name in ((store, "Ada"), (elsewhere, "bea")):
        assert audit.verify_chain(place) is None
        made = [entry for entry in audit.entries(place) if entry.event == "token-made"]
        assert [entry.actor for entry in made] == [f"account:{name}"]
    assert sessions.SHOWN_HASH == 16
