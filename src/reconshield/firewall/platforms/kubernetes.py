"""Kubernetes NetworkPolicy: a pod that any policy selects is closed but for what policies allow.

So the denial is the selection itself, and what is allowed is a list. Kubelet's probes from the node are not stopped. A policy
has no effect unless the network plug-in enforces it. Source: Kubernetes documentation, Network Policies.
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

FILE = "reconshield-networkpolicy.yaml"


def render(intent: Intent) -> Advice:
    return Advice(
        platform="kubernetes",
        files=(File(FILE, manifest(intent)),),
        apply=f"kubectl apply --dry-run=server -f {FILE} && kubectl apply -f {FILE}",
        undo=f"kubectl delete -f {FILE}",
        check="kubectl describe networkpolicy reconshield",
        notes=(
            "put the labels of your pods into podSelector; the policy counts in one namespace",
            "selecting a pod closes ALL its other ports too: list the ports that it needs under ingress",
            "source addresses are lost where a load balancer or kube-proxy translates them: externalTrafficPolicy: Local",
            "it has no effect unless the network plug-in enforces policies",
        ),
    )


def manifest(intent: Intent) -> str:
    lines = [
        "apiVersion: networking.k8s.io/v1",
        "kind: NetworkPolicy",
        "metadata:",
        "  name: reconshield",
        "  annotations:",
        f'    reconshield/reason: "{intent.comment}"',
        "spec:",
        "  podSelector:",
        "    matchLabels:",
        "      app: CHANGE-ME",
        "  policyTypes:",
        "    - Ingress",
    ]
    nets = ["0.0.0.0/0", "::/0"] if intent.public else [whole(net) for net in (*intent.allow_v4, *intent.allow_v6)]
    if not nets:
        return "\n".join([*lines, "  ingress: []"]) + "\n"
    lines += ["  ingress:", "    - from:"]
    for net in nets:
        lines += ["        - ipBlock:", f'            cidr: "{net}"']
    lines.append("      ports:")
    for port in intent.ports:
        lines += [f"        - protocol: {port.transport.upper()}", f"          port: {port.port}"]
    return "\n".join(lines) + "\n"


def whole(net: str) -> str:
    """A network with its prefix length, which a single address has here too."""
    return net if "/" in net else f"{net}/{128 if ':' in net else 32}"


PLATFORM = Platform("kubernetes", "Kubernetes NetworkPolicy", render, "evaluator")
