"""Targets and ports in, batches of observations out.

`plan` says which pairs of address and port are measured and in which blocks, `order` in which order, `pacing` how fast; all
three are pure. `engine` is the door to measuring: TCP pairs are connected to (`connect`), UDP pairs are asked (`udp`), and each
block comes out as one array (`batch`).
"""
