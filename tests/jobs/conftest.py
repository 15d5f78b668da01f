"""Tests that take `url` run on SQLite, and on a private PostgreSQL server (mark `system`); with `fast` they hash cheaply."""

import pytest
from argon2 import PasswordHasher

from engines import postgres_url, server, url
from jobs.desk import desk, listener
from reconshield.jobs.accounts import passwords

__all__ = ["desk", "fast", "listener", "postgres_url", "server", "url"]


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """Argon2id as ever, with the least work that it takes: what the tests look at is not how slow it is."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    return cheap
