"""Requests that must be done once, on both engines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from reconshield.store.db import Store
from reconshield.store.idempotency import Kept, claim, release, settle
from store.examples import NOW


def test_a_key_is_taken_once_and_keeps_its_answer(store: Store) -> None:
    assert claim(store, "ada", "k", "request", NOW) is None
    assert claim(store, "ada", "k", "request", NOW + 1) == Kept("request", None, None, None)
    settle(store, "ada", "k", 201, "/api/v1/grants/g1", '{"id":"g1"}')
    assert claim(store, "ada", "k", "another", NOW + 2) == Kept("request", 201, "/api/v1/grants/g1", '{"id":"g1"}')
    assert claim(store, "eve", "k", "request", NOW) is None
    assert claim(replace(store, workspace="other"), "ada", "k", "request", NOW) is None


def test_what_failed_leaves_no_claim(store: Store) -> None:
    assert claim(store, "ada", "k", "request", NOW) is None
    release(store, "ada", "k")
    assert claim(store, "ada", "k", "request", NOW) is None


def test_of_many_at_once_one_gets_the_key(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: claim(store, "ada", "k", "request", NOW), range(16)))
    assert answers.count(None) == 1
