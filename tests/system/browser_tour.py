"""A person's first hour with the app, in a real browser: run inside a network namespace by `test_web_tour.py`.

    browser_tour.py BASE SETUP_PATH HOST NETNS SHOTS

Sets up the account, adds a grant, analyzes port 110 and sees it appear, reads the evidence, makes rules in the firewall studio,
loads them into the host's namespace, measures again and sees it closed. Along the way axe looks at every page for what people
with other eyes and hands could not use, and every page is held against the width of the window. Prints one JSON object a
remark, nothing when all is well. With SHOTS a folder, pictures of the pages are kept there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

BROWSER = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")
WIDTHS = ((1600, "light"), (1024, "dark"), (390, "light"))
PASSWORD = "a sentence that nobody guesses"
SECONDS = 120_000


def main() -> None:
    base, setup, host, namespace, shots = sys.argv[1:6]
    with browser() as page:
        first_run(page, base + setup)
        add_grant(page, base, host)
        folder = Path(shots) if shots != "-" else None
        analyze(page, base, host)
        picture(page, folder, "port-open")
        page.goto(base)
        picture(page, folder, "overview-open")
        accept_nothing_blindly(page, base)
        rules = make_rules(page, base)
        subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=rules, text=True, check=True)
        see_it_closed(page, base)
        look_at_all(page, base, folder)


@contextmanager
def browser() -> Iterator[Page]:
    """A page whose complaints are remarks of the tour."""
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=BROWSER, args=list(FLAGS))
        page = started.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: remark("script", str(error)))
        page.on("console", lambda message: remark("console", message.text, at=page.url) if is_trouble(message) else None)
        yield page
        started.close()


def is_trouble(message: ConsoleMessage) -> bool:
    """An error that is not the browser's word on an answer that the tour asked for, such as that of a link used twice."""
    return message.type == "error" and "status of 404" not in message.text


def remark(kind: str, text: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"kind": kind, "text": text, **more}) + "\n")


def first_run(page: Page, link: str) -> None:
    page.goto(link)
    page.fill("#f-name", "ada")
    page.fill("#f-password", PASSWORD)
    page.fill("#f-again", PASSWORD)
    page.click("button.main")
    page.wait_for_selector("text=Sign out", state="attached")
    page.goto(link)
    if "was used" not in page.inner_text("main"):
        remark("setup", "the link works twice")


def add_grant(page: Page, base: str, host: str) -> None:
    page.goto(f"{base}/ports/110")
    if "Nobody has allowed a scan yet" not in page.inner_text("#own"):
        remark("grant", "the panel does not say that there is no grant", shown=page.inner_text("#own"))
    page.goto(f"{base}/grants")
    page.fill("#f-targets", host)
    page.fill("#f-by", "Ada Example")
    page.click("text=Add the grant")
    page.wait_for_selector("text=1 grant is valid now")


def analyze(page: Page, base: str, host: str) -> None:
    """Press the button; the panel must show the port in its own place, without another page being loaded."""
    page.goto(f"{base}/ports/110")
    page.evaluate("window.same = true")
    page.click("text=Analyze infrastructure for port 110")
    page.wait_for_selector("text=Exposed, not expected: 1 endpoint")
    if not page.evaluate("window.same === true"):
        remark("analyze", "the page was loaded anew")
    panel = page.inner_text("#own")
    for wanted in (f"{host}:110/tcp", "pop3", "Dovecot"):
        if wanted not in panel:
            remark("analyze", f"{wanted} is not in the panel", shown=panel)


def picture(page: Page, folder: Path | None, name: str) -> None:
    """What the window shows, at every width; then the window is as before."""
    for width, scheme in WIDTHS if folder is not None else ():
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.screenshot(path=f"{folder}/{name}-{width}.png")
    page.set_viewport_size({"width": 1280, "height": 900})


def accept_nothing_blindly(page: Page, base: str) -> None:
    """The finding has its evidence one step away, and is accepted only with a reason."""
    page.goto(f"{base}/findings")
    page.click("table a >> nth=0")
    page.wait_for_selector("text=Accept it for a time")
    page.fill("#f-reason", "old scanners until spring")
    page.fill("#f-owner", "mail team")
    page.click("text=Accept until then")
    page.wait_for_selector("text=Accepted.")
    page.click("text=Evidence")
    page.wait_for_selector("main >> text=sent")


def make_rules(page: Page, base: str) -> str:
    page.goto(f"{base}/firewall?ports=110")
    page.wait_for_selector("pre.block")
    rules: str = page.inner_text("pre.block >> nth=0")
    return rules


def see_it_closed(page: Page, base: str) -> None:
    page.goto(f"{base}/ports/110")
    page.click("text=Measure again")
    page.wait_for_selector("text=Not exposed")
    if "0 open" not in page.inner_text("#own"):
        remark("closed", "the panel does not count", shown=page.inner_text("#own"))


PAGES = {
    "overview": "/",
    "port": "/ports/110",
    "ports": "/ports",
    "search": "/search?q=mail",
    "scans": "/scans",
    "new-scan": "/scans/new",
    "exposures": "/exposures",
    "assets": "/assets",
    "findings": "/findings",
    "alerts": "/alerts",
    "policy": "/policy",
    "grants": "/grants",
    "audit": "/grants/audit",
    "firewall": "/firewall?ports=110",
    "detections": "/detections",
    "account": "/account",
    "settings": "/settings",
    "api": "/api",
}


def look_at_all(page: Page, base: str, shots: Path | None) -> None:
    """Every page at three widths: nothing sticks out, and axe has nothing to say."""
    runs = run_pages(page, base)
    for width, scheme in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for name, path in {**PAGES, **runs}.items():
            answer = page.goto(base + path)
            if answer is None or answer.status != 200:
                remark("page", f"{name} answers {answer.status if answer else 'nothing'}")
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                remark("width", f"{name} is {wide} wide in a window of {width}")
            for found in Axe().run(page).response["violations"]:
                places = [node["html"][:200] for node in found["nodes"][:3]]
                remark("axe", f"{name} at {width} {scheme}: {found['id']}: {found['help']}", places=places)
            if shots is not None:
                page.screenshot(path=shots / f"{name}-{width}.png")


def run_pages(page: Page, base: str) -> dict[str, str]:
    """The newest run's own pages."""
    page.goto(f"{base}/scans")
    link = page.get_attribute('main a[href^="/scans/2"]', "href")
    return {"scan": link} if link else {}


if __name__ == "__main__":
    main()
