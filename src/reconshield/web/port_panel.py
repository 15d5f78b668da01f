"""The panel "Your exposure" on the page of a port."""

from __future__ import annotations

from reconshield.web.call import Call
from reconshield.web.frame import render


def panel_html(call: Call, port: int) -> str:
    """Where this port is open in the visitor's scopes, as far as was measured."""
    return render(call, "port_panel.html.j2", port=port)
