"""Targets and ports in, batches of observations out.

`plan` says which pairs of address and port are measured and in which blocks, `order` in which order, `pacing` how fast; all
three are pure. An engine (`connect`) does the work of a block and yields it as one array (`batch`).
"""
