"""Where the other pages are. A page of the site links to them; a page that stands on its own has nothing to link to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Links:
    """Relative addresses from one page; `root` leads to the site's folder, None when there is no site around the page."""

    root: str | None

    def port(self, port: int) -> str | None:
        return None if self.root is None else f"{self.root}port/{port}.html"

    def service(self, service: str) -> str | None:
        return None if self.root is None else f"{self.root}service/{service}.html"

    def cluster(self, cluster: str) -> str | None:
        return None if self.root is None else f"{self.root}cluster/{cluster}.html"

    def attack(self, technique: str) -> str | None:
        return None if self.root is None else f"{self.root}attack.html#{technique}"

    def page(self, name: str) -> str | None:
        return None if self.root is None else f"{self.root}{name}.html"


ALONE = Links(None)
TOP = Links("")
BELOW = Links("../")
