"""Every test that takes `url` or `store` runs on SQLite, and on a private PostgreSQL server (mark `system`)."""

from engines import postgres_url, server, store, url

__all__ = ["postgres_url", "server", "store", "url"]
