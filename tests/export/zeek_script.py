"""The exported Zeek script, read by Zeek's grammar for tree-sitter; its data as values, and its code done again in Python.

Zeek itself cannot be installed where these tests run. So what is tested here is that the script is in the language, and that
its data say what detection says when they are read as `judge` reads them: that is the code of the script, line by line. That
Zeek does the same with it is not tested.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from ipaddress import ip_address, ip_network
from typing import Any

from export.traffic import Flow

tree_sitter: Any = import_module("tree_sitter")  # without types, so that a check of types needs nothing installed
HIDING = {"ssl", "tls", "quic"}


def parse(text: str) -> Any:
    """The tree of a script that is in the language."""
    language = tree_sitter.Language(import_module("tree_sitter_zeek").language())
    root = tree_sitter.Parser(language).parse(text.encode()).root_node
    assert not root.has_error, "not in Zeek's language"
    return root


def constants_of(text: str) -> dict[str, Any]:
    """The values of the script's constants."""
    declarations = [each for node in parse(text).children for each in node.children if each.type == "const_decl"]
    found = {}
    for each in declarations:
        (initial,) = [part for part in each.children if part.type == "initializer"]
        (found[each.children[1].text.decode()],) = [value_of(part) for part in initial.children if part.type == "expr"]
    return found


def value_of(node: Any) -> Any:
    head, text = node.children[0], node.text.decode()
    items = [each for part in node.children if part.type == "expr_list" for each in part.children if each.type == "expr"]
    if head.type in {"set", "{"}:
        return {value_of(each) for each in items}
    if head.type == "vector":
        return [value_of(each) for each in items]
    if head.type == "id":
        return {each.children[1].text.decode(): value_of(each.children[3]) for each in items}
    assert head.type == "constant", text
    kind = head.children[0].type
    read: dict[str, Callable[[str], Any]] = {
        "T": lambda _: True,
        "F": lambda _: False,
        "string": lambda text: text.strip('"'),
        "subnet": lambda text: ip_network(text.replace("[", "").replace("]", "")),
        "port": lambda text: (text.split("/")[1], int(text.split("/")[0])),
        "floatp": float,
    }
    return read[kind](text)


def judge(script: dict[str, Any], flow: Flow, now: float) -> bool:
    """Whether the script raises a notice for a connection."""
    if keeps_house(script, flow):
        return False
    spoken = {name.lower() for name in flow.service.split(",") if name}
    for gate in script["gates"]:
        own, peer = (flow.dst, flow.src) if gate["direction"] == "in" else (flow.src, flow.dst)
        if not is_at(own, gate["own"]) or is_at(peer, gate["near"]) != (gate["direction"] == "within"):
            continue
        if not any(allows(entry, peer, flow, spoken, now) for entry in gate["entries"]):
            return True
    return False


def keeps_house(script: dict[str, Any], flow: Flow) -> bool:
    sender = (flow.transport, flow.sender_port)
    if sender in script["messages6" if ":" in flow.dst else "messages4"]:
        return True
    asks = (flow.transport, flow.port) in script["asks_link"]
    return asks and any(ip_address(flow.dst) in net for net in script["link"])


def is_at(address: str, places: dict[str, Any]) -> bool:
    found, inner = (any(ip_address(address) in net for net in places[key]) for key in ("nets", "holes"))
    return not found if places["others"] else found and not inner


def allows(entry: dict[str, Any], peer: str, flow: Flow, spoken: set[str], now: float) -> bool:
    if entry["ends"] > 0 and now >= entry["ends"]:
        return False
    if not is_at(peer, entry["peers"]):
        return False
    if entry["anything"] or in_ports(flow, entry["ports"]) or spoken & entry["spoken"]:
        return True
    return in_ports(flow, entry["usual"]) and (not spoken or bool(spoken & HIDING))


def in_ports(flow: Flow, ranges: list[dict[str, Any]]) -> bool:
    return any(flow.transport == each["first"][0] and each["first"][1] <= flow.port <= each["last"][1] for each in ranges)
