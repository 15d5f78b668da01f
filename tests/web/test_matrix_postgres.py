"""The same on PostgreSQL, which takes no NUL in a text and locks in another way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from engines import postgres_url, server
from reconshield.jobs.accounts import passwords
from reconshield.jobs.live import LiveScans
from reconshield.settings import load_settings
from reconshield.store.db import open_store
from reconshield.web.call import Site
from web.test_matrix import (
    test_a_role_gets_exactly_as_far_as_it_reaches,
    test_another_workspace_finds_nothing_and_changes_nothing,
    test_hostile_text_in_forms_comes_back_as_text,
    test_hostile_text_is_text_on_every_page,
    test_many_who_change_the_same_at_once_are_told_apart,
    test_odd_things_in_any_address_are_a_page_that_says_so,
    test_two_who_change_the_same_get_words,
    world,
)

__all__ = [
    "postgres_url",
    "server",
    "test_a_role_gets_exactly_as_far_as_it_reaches",
    "test_another_workspace_finds_nothing_and_changes_nothing",
    "test_hostile_text_in_forms_comes_back_as_text",
    "test_hostile_text_is_text_on_every_page",
    "test_many_who_change_the_same_at_once_are_told_apart",
    "test_odd_things_in_any_address_are_a_page_that_says_so",
    "test_two_who_change_the_same_get_words",
    "world",
]

pytestmark = pytest.mark.system


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> Iterator[Site]:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    settings = load_settings({"home": str(tmp_path), "db": postgres_url}, {})
    with open_store(settings.db) as store:
        made = Site(settings=settings, store=store, live=LiveScans())
        yield made
        made.live.close(5)
