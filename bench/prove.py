"""How long a proof takes: one port, four zones, two families, before and after. Needs root, iproute2, nftables and the rest.

    python bench/prove.py [--rounds 3]

Claim: the whole command in at most 15 s on every Linux firewall. Nothing is compared with a peer: none proves rules by packets.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

PLATFORMS = ("nftables", "iptables", "docker", "ufw", "firewalld")
ALLOW = ("--allow", "10.8.0.0/24", "--allow", "fd00:8::/64", "--allow", "10.9.0.0/24", "--allow", "fd00:9::/64")
WANTED = 15.0


def main() -> int:
    parser = argparse.ArgumentParser(description="the proof of one port")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    good = True
    with tempfile.TemporaryDirectory() as home:
        base = [sys.executable, "-m", "reconshield", "--home", home, "--quiet", "firewall", "prove", "110", *ALLOW]
        for platform in PLATFORMS:
            seconds = []
            for _ in range(rounds):
                begun = time.perf_counter()
                done = subprocess.run([*base, "--platform", platform], capture_output=True, text=True, timeout=120, check=False)
                seconds.append(time.perf_counter() - begun)
                if done.returncode or "proved: 16 of 16 rows" not in done.stdout:
                    raise SystemExit(f"{platform} was not proved:\n{done.stdout}{done.stderr}")
            middle = statistics.median(seconds)
            good &= middle <= WANTED
            verdict = "yes" if middle <= WANTED else "NO"
            print(f"{platform:10} {middle:5.1f} s ({min(seconds):.1f}), wanted {WANTED:g} s: {verdict}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
