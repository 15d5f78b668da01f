"""Identification beside `nmap -sV` on real servers with known truth, in own namespaces. Needs root, iproute2, nft and nmap.

    apt-get install --no-install-recommends $(python bench/identify_zoo.py --packages)
    python bench/identify_zoo.py [--only redis,bind] [--no-nmap] [--misses]

Claims: all services; products and versions where the server shows them; the form of TLS; the weaknesses that the
configurations have, at least 95 % and none that is not there; in a tenth of nmap's time at its default intensity. The servers
and their truth are in tests/system/zoo. What is not installed, or does not start, is named and left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree.ElementTree import fromstring

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from reconshield.jobs.gathering import service_id
from system.netns import Lab, Namespace, can_make_namespaces
from system.scanning import scan
from system.servers import missing_programs, running, tail
from system.zoo.residents import ADDRESS, WATCHER, Resident, Truth, load, upstream_version
from system.zoo.score import ASPECTS, Claim, Key, Verdict, judge, total

START_SECONDS = 60
NMAP_NAMES = {
    "munin": "munin-node",
    "nut": "upsd",
    "varnish": "varnish-cli",
    "xmpp-client": "xmpp",
    "xmpp-server": "xmpp",
}
"""Names of nmap's that the catalogue has another id for than our probe."""
Claims = Mapping[Key, Claim]


def main() -> int:
    asked = parse()
    residents = [resident for resident in load() if not asked.only or resident.server.name in asked.only.split(",")]
    if asked.packages:
        print(" ".join(sorted({package for resident in residents for package in resident.packages})))
        return 0
    if not can_make_namespaces():
        raise SystemExit("needs root, ip and nft")
    here = [resident for resident in residents if not missing_programs([resident.server])]
    if left_out := sorted({resident.server.name for resident in residents} - {r.server.name for r in here}):
        print("not installed:", ", ".join(left_out))
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        watcher, zoo = lab.namespace("watch"), lab.namespace("zoo")
        lab.link(watcher, zoo, f"{WATCHER}/16", f"{ADDRESS}/16")
        home = Path(folder, "zoo")
        home.mkdir()
        with running(zoo, [resident.server for resident in here], home, {"IP": ADDRESS}):
            truths = await_start(zoo, here, home)
            return compare(watcher, truths, Path(folder), asked)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="servers by name, with commas")
    parser.add_argument("--no-nmap", action="store_true")
    parser.add_argument("--misses", action="store_true", help="also every endpoint of ours that is not as it should be")
    parser.add_argument("--packages", action="store_true", help="print the Debian packages that it takes, and end")
    return parser.parse_args()


def await_start(zoo: Namespace, here: list[Resident], home: Path) -> list[Truth]:
    """The truths of what listens, once all does or time is up."""
    wanted = {(truth.port, truth.transport): truth for resident in here for truth in resident.truths}
    owner = {key: resident.server.name for resident in here for key in wanted if wanted[key] in resident.truths}
    deadline = time.monotonic() + START_SECONDS
    while (absent := wanted.keys() - listening(zoo)) and time.monotonic() < deadline:
        time.sleep(0.5)
    for name in sorted({owner[key] for key in absent}):
        print("did not start:", name, *sorted(key for key in absent if owner[key] == name), tail(home / name / "log")[-300:])
    return [truth for key, truth in sorted(wanted.items()) if key not in absent]


def listening(zoo: Namespace) -> set[Key]:
    found = set()
    for transport, flag in (("tcp", "-Htln"), ("udp", "-Huln")):
        found |= {(int(line.split()[3].rsplit(":", 1)[1]), transport) for line in zoo.run("ss", flag).splitlines()}
    return found


def compare(watcher: Namespace, truths: list[Truth], folder: Path, asked: argparse.Namespace) -> int:
    versions = {package: upstream_version(package) for package in sorted({t.shows for t in truths if t.shows})}
    begun = time.monotonic()
    ours = ask_reconshield(watcher, truths, folder / "home")
    took = time.monotonic() - begun
    scores = {"reconshield": (score(truths, versions, ours), took)}
    if not asked.no_nmap:
        begun = time.monotonic()
        theirs = ask_nmap(watcher, truths)
        scores["nmap -sV"] = (score(truths, versions, theirs), time.monotonic() - begun)
    if asked.misses:
        print_misses(truths, versions, ours)
        if not asked.no_nmap:
            print("-- nmap:")
            print_misses(truths, versions, theirs)
    print_table(truths, scores)
    mine = scores["reconshield"][0]
    return 0 if all(verdict.service and not verdict.false and verdict.version is not False for verdict in mine) else 1


def score(truths: list[Truth], versions: Mapping[str, str], claims: Claims) -> list[Verdict]:
    return [judge(t, versions.get(t.shows, ""), claims.get((t.port, t.transport), Claim())) for t in truths]


def port_list(truths: Iterable[Truth], transport: str) -> str:
    return ",".join(str(truth.port) for truth in truths if truth.transport == transport)


def ask_reconshield(watcher: Namespace, truths: list[Truth], home: Path) -> Claims:
    """One scan of all ports at level 4."""
    ports = f"T:{port_list(truths, 'tcp')},U:{port_list(truths, 'udp')}"
    answer = scan(watcher, home, ADDRESS, "-p", ports.replace("T:,", "").removesuffix(",U:"), "--level", "4", timeout=600)
    weak: dict[Key, set[str]] = {}
    for row in answer.of("finding"):
        # a known vulnerability depends on the day's security updates, not on how the zoo is configured
        if not row["check"].endswith("-known-vulnerability"):
            weak.setdefault((row["port"], row["transport"]), set()).add(row["check"])
    return {
        (key := (row["port"], row["transport"])): Claim(
            row["service"], row["product"] or "", row["version"] or "", row["tls"], frozenset(weak.get(key, ()))
        )
        for row in answer.of("service")
    }


def ask_nmap(watcher: Namespace, truths: list[Truth]) -> Claims:
    """TCP, then UDP, at the default intensity. What nmap takes from its port table alone is no claim."""
    claims: dict[Key, Claim] = {}
    for transport, kind in (("tcp", "-sS"), ("udp", "-sU")):
        if not (ports := port_list(truths, transport)):
            continue
        shown = watcher.run("nmap", "-n", "-Pn", kind, "-sV", "-p", ports, "-oX", "-", ADDRESS, timeout=1800)
        for port in fromstring(shown).iter("port"):
            service = port.find("service")
            if service is not None and service.get("method") == "probed":
                tls = "implicit" if service.get("tunnel") == "ssl" else "none"
                product, version = service.get("product", ""), service.get("version", "")
                name = service.get("name", "unknown")
                if name.startswith("mosquitto version "):  # nmap gives the whole answer as the name
                    name, product, version = "mqtt", "Mosquitto", name.split()[-1]
                name = service_id(name)
                name = NMAP_NAMES.get(name, name)
                claims[int(port.get("portid", 0)), transport] = Claim(name, product, version.split(" ")[0], tls, None)
    return claims


def print_misses(truths: list[Truth], versions: Mapping[str, str], claims: Claims) -> None:
    for truth, verdict in zip(truths, score(truths, versions, claims), strict=True):
        wrong = [aspect for aspect in ASPECTS if getattr(verdict, aspect) is False]
        if wrong or verdict.missed or verdict.false:
            claim = claims.get((truth.port, truth.transport), Claim())
            print(
                f"{truth.port}/{truth.transport} {truth.service}: {', '.join(wrong) or 'weaknesses'} of {claim.service}",
                end=" ",
            )
            print(
                f"{claim.product} {claim.version} {claim.tls}; missed {sorted(verdict.missed)}; false {sorted(verdict.false)}"
            )


def print_table(truths: list[Truth], scores: Mapping[str, tuple[list[Verdict], float]]) -> None:
    weak = sum(len(truth.weak) for truth in truths)
    print(f"{len(truths)} endpoints", *(f"{name:>14}" for name in scores), sep="\t")
    totals = {name: total(verdicts) for name, (verdicts, _) in scores.items()}
    for aspect in ASPECTS:
        print(aspect, *(f"{right} of {of}" for right, of in (totals[name][aspect] for name in scores)), sep="\t")
    ours = scores["reconshield"][0]
    missed, false = sum(len(v.missed) for v in ours), sum(len(v.false) for v in ours)
    print("weaknesses", f"{weak - missed} of {weak}, {false} false", *("not looked for" for _ in list(scores)[1:]), sep="\t")
    print("seconds", *(f"{took:.1f}" for _, took in scores.values()), sep="\t")
    if len(scores) == 2:
        mine, theirs = (took for _, took in scores.values())
        print("ratio", f"{mine / theirs:.3f} of nmap's time", sep="\t")


if __name__ == "__main__":
    sys.exit(main())
