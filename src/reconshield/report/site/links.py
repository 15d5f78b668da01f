"""Where the other pages are. Pages of the site and of the app link to them; one that stands alone has nothing to link to."""

from __future__ import annotations

from dataclasses import dataclass

APP_PAGES = {"index": "/", "risk": "/ports/risk", "attack": "/ports/attack"}


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses from one page; `root` leads to the site's folder, None when there is no site around the page.

    In the app they are absolute and have no endings.
    """

    root: str | None
    app: bool = False

    def port(self, port: int) -> str | None:
        return self._below("port", str(port))

    def service(self, service: str) -> str | None:
        return self._below("service", service)

    def cluster(self, cluster: str) -> str | None:
        return self._below("cluster", cluster)

    def numbers(self, block: int) -> str | None:
        return f"/ports/numbers/{block}" if self.app else self._below("numbers", str(block))

    def attack(self, technique: str) -> str | None:
        address = self.page("attack")
        return None if address is None else f"{address}#{technique}"

    def page(self, name: str) -> str | None:
        if self.app:
            return APP_PAGES.get(name, f"/{name}")
        return None if self.root is None else f"{self.root}{name}.html"

    def _below(self, folder: str, name: str) -> str | None:
        if self.app:
            return f"/{folder}s/{name}"
        return None if self.root is None else f"{self.root}{folder}/{name}.html"


ALONE = Links(None)
TOP = Links("")
BELOW = Links("../")
IN_APP = Links("/", app=True)
