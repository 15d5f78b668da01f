"""One-time links: what a code is good for, once, and for whom."""

import threading
from collections.abc import Iterator
from functools import partial

import pytest
from sqlalchemy import text

from engines import new_store
from jobs.people import CAFE, DAY, HOME, NOW, PASSWORD, code_at, events, first_admin, member, sign_in, with_totp
from reconshield.access import LINK_LASTS, LinkRefused, LoginRefused, NewSession, NotAllowed, Role, Throttled, TotpWanted
from reconshield.errors import UserError
from reconshield.jobs.accounts import (
    find_session,
    finish_setup,
    invite,
    invite_account,
    link_for,
    list_links,
    list_members,
    list_workspaces,
    remove_member,
    set_role,
    setup_link,
    signin_link,
    withdraw_link,
)
from reconshield.store import audit
from reconshield.store.db import Store, open_store

pytestmark = pytest.mark.usefixtures("fast")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with new_store(url) as opened:
        yield opened


@pytest.fixture
def elsewhere(url: str, store: Store) -> Iterator[Store]:
    with open_store(url, workspace="tenant-b") as opened:
        yield opened


def finish(store: Store, code: str, name: str, password: str = PASSWORD, now: float = NOW, totp: str = "") -> NewSession:
    return finish_setup(store, code, name, password, now, client=HOME, agent="Firefox", totp=totp)


def test_the_first_code_makes_the_admin_and_works_once(store: Store) -> None:
    code = setup_link(store, NOW)
    link = link_for(store, code.lower().replace("-", ""), NOW)
    assert link is not None
    assert (link.kind, link.workspace, link.role, link.account) == ("setup", "main", Role.ADMIN, None)
    made = finish(store, code, " Ada ")
    assert (made.visitor.account, made.visitor.role, made.visitor.workspace) == ("Ada", Role.ADMIN, "main")
    assert find_session(store, made.token, NOW) == made.visitor
    assert link_for(store, code, NOW) is None
    with pytest.raises(LinkRefused, match="does not work"):
        finish(store, code, "Eve")
    assert events(store) == ["link-made", "account-added"]
    assert audit.verify_chain(store) is None


TABLES = ("links", "sessions", "accounts", "audit")


def test_nothing_that_opens_a_door_lies_in_the_database(store: Store) -> None:
    code = setup_link(store, NOW)
    made = finish(store, code, "Ada")
    with store.read() as connection:
        rows = [row for table in TABLES for row in connection.execute(text(f"SELECT * FROM {table}"))]
    kept = " ".join(map(str, rows))
    for secret in (code, code.replace("-", ""), made.token, PASSWORD):
        assert secret not in kept
    assert "$argon2id$" in kept


def test_a_code_ends_by_itself_and_by_the_next_one(store: Store) -> None:
    old = setup_link(store, NOW)
    new = setup_link(store, NOW + 1)
    assert link_for(store, old, NOW + 1) is None
    assert link_for(store, new, NOW + LINK_LASTS) is not None
    assert link_for(store, new, NOW + 1 + LINK_LASTS) is None
    with pytest.raises(LinkRefused):
        finish(store, new, "Ada", now=NOW + 1 + LINK_LASTS)


def test_who_has_an_account_needs_no_setup(store: Store, elsewhere: Store) -> None:
    other = setup_link(elsewhere, NOW)
    first_admin(store)
    with pytest.raises(UserError, match="has accounts already") as caught:
        setup_link(store, NOW)
    assert "account link" in (caught.value.hint or "")
    assert link_for(store, other, NOW) is not None  # that of another workspace stays, and is found from anywhere
    link = link_for(store, setup_link(store, NOW, account="ADA"), NOW)
    assert link is not None
    assert (link.kind, link.account) == ("signin", "Ada")


def test_a_setup_code_that_waited_does_not_make_a_second_admin(store: Store) -> None:
    code = setup_link(store, NOW)
    assert invite_account(store, "bob", Role.VIEWER, NOW) is not None
    with pytest.raises(LinkRefused):
        finish(store, code, "Eve")
    assert [each.account for each in list_members(store)] == ["bob"]


@pytest.mark.parametrize("code", ["", "x", "-" * 19, "0000-0000-0000-0000", "\0" * 16, "\udcff" * 16, "Ａ" * 16, "9" * 10**6])
def test_a_wrong_code_is_refused_in_one_sentence(store: Store, code: str) -> None:
    setup_link(store, NOW)
    assert link_for(store, code, NOW) is None
    with pytest.raises(LinkRefused, match=r"^this code does not work$"):
        finish(store, code, "Ada")


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [("a b", PASSWORD, "this name"), ("", PASSWORD, "this name"), ("\0", PASSWORD, "this name"), ("Ada", "short", "shorter")],
)
def test_a_mistake_does_not_cost_the_code(store: Store, name: str, password: str, says: str) -> None:
    code = setup_link(store, NOW)
    with pytest.raises(UserError, match=says):
        finish(store, code, name, password)
    assert link_for(store, code, NOW) is not None
    assert list_members(store) == []


def test_an_invitation_gives_the_role_that_it_was_made_for(store: Store) -> None:
    ada = first_admin(store)
    bob = member(store, ada, "bob", Role.ANALYST)
    assert bob.visitor.role is Role.ANALYST
    assert [(each.account, each.role) for each in list_members(store)] == [("Ada", Role.ADMIN), ("bob", Role.ANALYST)]
    with pytest.raises(NotAllowed, match="only admin"):
        invite(store, bob.visitor, Role.VIEWER, NOW)
    with pytest.raises(UserError, match="30 days"):
        invite(store, ada.visitor, Role.VIEWER, NOW, 31 * DAY)


def test_who_is_known_in_the_database_joins_with_the_password_that_it_has(store: Store, elsewhere: Store) -> None:
    ada = first_admin(store)
    bea = first_admin(elsewhere, "bea")
    code = invite(elsewhere, bea.visitor, Role.VIEWER, NOW)
    with pytest.raises(LoginRefused, match="name and password"):
        finish(elsewhere, code, "ADA", "whatever Eve would like it to be")
    joined = finish(store, code, "ADA")
    assert (joined.visitor.workspace, joined.visitor.role) == ("tenant-b", Role.VIEWER)
    assert {each.workspace for each in list_workspaces(store, ada.visitor)} == {"main", "tenant-b"}
    assert find_session(store, ada.token, NOW) is not None
    assert events(elsewhere)[-1] == "account-added"


def test_joining_asks_for_the_second_factor(store: Store, elsewhere: Store) -> None:
    secret = with_totp(store, first_admin(store))
    code = invite(elsewhere, first_admin(elsewhere, "bea").visitor, Role.VIEWER, NOW)
    with pytest.raises(TotpWanted):
        finish(store, code, "ada")
    assert finish(store, code, "ada", now=NOW + 60, totp=code_at(secret, NOW + 60)).visitor.workspace == "tenant-b"


def test_who_belongs_already_is_told_so(store: Store) -> None:
    ada = first_admin(store)
    code = invite(store, ada.visitor, Role.VIEWER, NOW)
    with pytest.raises(UserError, match="belongs to the workspace already"):
        finish(store, code, "ada")
    assert list_members(store)[0].role is Role.ADMIN
    assert link_for(store, code, NOW) is not None


def test_invitations_are_listed_and_withdrawn(store: Store, elsewhere: Store) -> None:
    ada = first_admin(store)
    code = invite(store, ada.visitor, Role.OPERATOR, NOW)
    (shown,) = list_links(store, ada.visitor, NOW)
    assert (shown.by, shown.link.role, shown.created) == ("Ada", Role.OPERATOR, NOW)
    stranger = first_admin(elsewhere, "bea")
    for hostile in (shown.id[:-1] + "%", "", "\0", "\udcff", "%" * 16, "_" * 16):
        with pytest.raises(UserError, match="no open invitation"):
            withdraw_link(store, ada.visitor, hostile, NOW)
    with pytest.raises(UserError, match="no open invitation"):
        withdraw_link(store, stranger.visitor, shown.id, NOW)
    withdraw_link(store, ada.visitor, shown.id, NOW)
    assert list_links(store, ada.visitor, NOW) == []
    assert link_for(store, code, NOW) is None
    assert events(store)[-1] == "link-withdrawn"


@pytest.mark.parametrize("ending", ["removed", "demoted"])
def test_the_invitations_of_who_is_no_admin_any_more_end(store: Store, ending: str) -> None:
    ada = first_admin(store)
    bob = member(store, ada, "bob", Role.ADMIN)
    code = invite(store, bob.visitor, Role.ADMIN, NOW)
    if ending == "removed":
        remove_member(store, ada.visitor, "bob", NOW)
    else:
        set_role(store, ada.visitor, "bob", Role.OPERATOR, NOW)
    assert link_for(store, code, NOW) is None


def test_a_link_renews_a_password_and_ends_what_was_open(store: Store) -> None:
    ada = first_admin(store)
    code = signin_link(store, "ada", NOW)
    with pytest.raises(UserError, match="for another account"):
        finish(store, code, "eve", "some other long password")
    renewed = finish(store, code, "", "some other long password")
    assert renewed.visitor.account == "Ada"
    assert find_session(store, ada.token, NOW) is None
    with pytest.raises(LoginRefused):
        sign_in(store)
    assert [entry.detail.get("by") for entry in audit.entries(store)][-2] == "link"


def test_a_link_asks_for_the_second_factor_unless_it_ends_it(store: Store) -> None:
    ada = first_admin(store)
    secret = with_totp(store, ada)
    code, new = signin_link(store, "ada", NOW), "some other long password"
    with pytest.raises(TotpWanted):
        finish(store, code, "ada", new)
    with pytest.raises(LoginRefused, match="code does not fit"):
        finish(store, code, "ada", new, totp="000000")
    finish(store, code, "ada", new, now=NOW + 60, totp=code_at(secret, NOW + 60))
    assert list_members(store)[0].totp
    finish(store, signin_link(store, "ada", NOW, ends_totp=True), "ada", new)
    assert not list_members(store)[0].totp


def test_codes_are_not_guessed_through_a_link_either(store: Store) -> None:
    """Not even from a client that the account is known to sign in from, and a link that waits for the code costs nothing."""
    ada = first_admin(store)
    secret = with_totp(store, ada)
    sign_in(store, "ada", now=NOW + 60, code=code_at(secret, NOW + 60))
    code, new, at = signin_link(store, "ada", NOW + 60), "an entirely different one", NOW + 120
    for _ in range(20):
        with pytest.raises(TotpWanted):
            finish(store, code, "ada", new, now=at)
    refused = []
    for _ in range(30):
        with pytest.raises((LoginRefused, Throttled)) as error:
            finish(store, code, "ada", new, now=at, totp="000000")
        refused.append(error.type)
    assert refused.count(Throttled) >= 15
    later = at + 830
    finish(store, code, "ada", new, now=later, totp=code_at(secret, later))


def test_an_account_is_added_without_a_password_and_chooses_one(store: Store, elsewhere: Store) -> None:
    code = invite_account(store, "Bob", Role.OPERATOR, NOW, actor="root")
    assert code is not None
    (bob,) = list_members(store)
    assert (bob.account, bob.invited, bob.last_used) == ("Bob", True, None)
    with pytest.raises(LoginRefused):
        sign_in(store, "bob", client=CAFE)
    with pytest.raises(UserError, match="belongs to the workspace already"):
        invite_account(store, "BOB", Role.ADMIN, NOW)
    assert finish(store, code, "bob").visitor.role is Role.OPERATOR
    assert invite_account(elsewhere, "bob", Role.ADMIN, NOW) is None
    assert list_members(elsewhere)[0].role is Role.ADMIN


def together(*calls: object) -> list[object]:
    """What calls that begin at the same time return or raise."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(at: int, call: object) -> None:
        barrier.wait()
        try:
            results[at] = call()  # type: ignore[operator]
        except UserError as error:
            results[at] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return list(results)


@pytest.mark.parametrize("names", [("ada", "eve"), ("ada", "ada")])
def test_of_two_who_use_one_code_at_once_one_gets_in(store: Store, names: tuple[str, str]) -> None:
    code = setup_link(store, NOW)
    results = together(*(partial(finish, store, code, name) for name in names))
    assert sorted(type(each).__name__ for each in results) in (["LinkRefused", "NewSession"], ["NewSession", "UserError"])
    assert len(list_members(store)) == 1
    assert audit.verify_chain(store) is None


def test_of_two_who_take_one_name_at_once_one_gets_it(store: Store) -> None:
    ada = first_admin(store)
    codes = [invite(store, ada.visitor, Role.VIEWER, NOW) for _ in range(2)]
    results = together(*(partial(finish, store, code, "bob", PASSWORD + code) for code in codes))
    assert sum(isinstance(each, NewSession) for each in results) == 1
    assert [each.account for each in list_members(store)] == ["Ada", "bob"]
    assert sum(link_for(store, code, NOW) is not None for code in codes) == 1
