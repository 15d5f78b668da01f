"""The only place with SQL: what was measured, who allowed it, and what was done.

`db.open_store` gives a `Store`; one module per noun has plain functions that take it first (`grants`, `audit`, `runs`,
`observations`, `services`, `upkeep`). `tables` says what the columns are, `migrations` makes them, and `failures` turns every
error of a database into a sentence. `glance` answers one small question without loading any of this.
"""
