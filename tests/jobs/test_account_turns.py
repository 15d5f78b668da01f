"""Many people at once, each changing what the others look at: nobody waits in a circle, nothing is half done."""

import random
import threading
from collections.abc import Callable, Iterator

import pytest

from engines import new_store
from jobs.people import CAFE, HOME, NOW, PASSWORD, first_admin, member, sign_in
from reconshield.access import Role
from reconshield.errors import StoreError, UserError
from reconshield.jobs.accounts import (
    change_password,
    disable_account,
    enable_account,
    find_session,
    finish_setup,
    invite,
    list_members,
    log_in,
    log_out_everywhere,
    remove_member,
    set_role,
    signin_link,
    switch_workspace,
)
from reconshield.store import audit, sessions
from reconshield.store.db import Store, open_store

pytestmark = pytest.mark.usefixtures("fast")
TURNS, PEOPLE = 40, ("ann", "bob", "cyd")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with new_store(url) as opened:
        yield opened


def deeds(store: Store, elsewhere: Store, chance: random.Random, turn: int) -> list[Callable[[], object]]:
    """What somebody may do in the thick of it; half of it is refused, for the others were faster. Nobody fails to sign in from
    `HOME`, or all who do so later would be refused.
    """
    name, now = chance.choice(PEOPLE), NOW + 1000 * turn
    admin = sign_in(store, "ada", now=now)
    place = chance.choice([store, elsewhere])

    def join() -> None:
        code = invite(place, admin.visitor, Role.OPERATOR, now)
        finish_setup(place, code, name, PASSWORD, now, client=HOME, agent="")

    return [
        join,
        lambda: log_in(
            store, name, chance.choice(["wrong", PASSWORD]), "", now, client=CAFE, agent=""
        ),  # HOME is never refused
        lambda: set_role(store, admin.visitor, name, chance.choice(list(Role)), now),
        lambda: remove_member(store, admin.visitor, name, now),
        lambda: disable_account(store, name, now),
        lambda: enable_account(store, name, now),
        lambda: log_out_everywhere(store, name, now),
        lambda: finish_setup(store, signin_link(store, name, now), name, PASSWORD, now, client=HOME, agent=""),
        lambda: change_password(store, sign_in(store, name, now=now, client=CAFE).visitor, PASSWORD, PASSWORD, now),
        lambda: switch_workspace(store, sign_in(store, name, now=now, client=CAFE).token, elsewhere.workspace, now),
        lambda: sessions.prune_sessions(store, now),
    ]


def test_nobody_waits_in_a_circle(store: Store, url: str) -> None:
    ada = first_admin(store)
    for name in PEOPLE:
        member(store, ada, name, Role.ADMIN)
    broken: list[BaseException] = []
    done: list[int] = []

    def live(seed: int) -> None:
        chance = random.Random(seed)
        try:
            with open_store(url) as mine, open_store(url, workspace="tenant-b") as elsewhere:
                for turn in range(TURNS):
                    try:
                        chance.choice(deeds(mine, elsewhere, chance, turn))()
                        done.append(turn)
                    except StoreError:
                        raise
                    except UserError:
                        continue
        except BaseException as error:  # noqa: BLE001 - told to the test, which runs in another thread
            broken.append(error)

    threads = [threading.Thread(target=live, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert broken == []
    assert len(done) > TURNS / 2
    assert audit.verify_chain(store) is None
    assert any(each.role is Role.ADMIN and not each.disabled for each in list_members(store))
    assert find_session(store, sign_in(store, "ada", now=NOW + 10**6).token, NOW + 10**6) is not None
