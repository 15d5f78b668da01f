"""Runs the steps on the connection that `store.migrate` has open, inside its transaction and under its lock.

Alembic loads this file by its path and expects it to act at once: the one module of the package that does something when it is
imported.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
