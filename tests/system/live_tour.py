"""A scan as somebody sees it in a real browser, with and without JavaScript: run by `test_web_live.py`.

    python -m system.live_tour BASE SETUP_PATH HOST PORT

Types targets and sees what the grants say of them, looks at the plan, starts, watches, pauses, resumes, and reads the result
that takes the place of the progress. Prints one JSON object a remark, nothing when all is well.
"""

from __future__ import annotations

import sys
from typing import Any

from playwright.sync_api import Page, sync_playwright

from system.browser_tour import BROWSER, FLAGS, SECONDS, add_grant, browser, first_run, remark

PORTS = "1-5000"
"""Of one host, so at most 1,000 a second: five seconds."""


def main() -> None:
    base, setup, host, port = sys.argv[1:5]
    with browser() as page:
        first_run(page, base + setup)
        add_grant(page, base, host)
        run = begin(page, base, host, f"{PORTS},{port}")
        watch_and_pause(page)
        resume_to_the_end(page, host, port)
        cookies = page.context.cookies()
    without_script(base, run, cookies, host, port)


def begin(page: Page, base: str, host: str, ports: str) -> str:
    """The form answers while one types, and says what would be sent; both without another page being loaded."""
    page.goto(f"{base}/scans/new")
    page.evaluate("window.same = true")
    page.locator("#f-targets").press_sequentially(f"{host}\n203.0.113.7")
    page.wait_for_selector("#target-notes >> text=not allowed")
    if f"{host} 1 address" not in page.inner_text("#target-notes"):
        remark("form", "the allowed target is not said to be so", shown=page.inner_text("#target-notes"))
    page.fill("#f-ports", ports)
    page.select_option("#f-engine", "connect")
    page.click("text=Show the plan")
    page.wait_for_selector("#plan >> text=No grant covers 203.0.113.7")
    page.fill("#f-targets", host)
    page.click("text=Show the plan")
    page.wait_for_selector("#plan >> text=5,001 endpoints")
    if not page.evaluate("window.same === true"):
        remark("form", "the page was loaded anew")
    page.click("text=Start the scan")
    page.wait_for_selector("#live")
    return page.url.rpartition("/")[2]


def watch_and_pause(page: Page) -> None:
    page.evaluate("window.same = true")
    until(page, "document.querySelector('#live progress').value > 500")
    before = page.evaluate("document.querySelector('#live progress').value")
    until(page, f"document.querySelector('#live progress').value > {before}")
    if not page.evaluate("window.same === true"):
        remark("live", "the page was loaded anew")
    page.click("text=Pause")
    page.wait_for_selector("text=paused")
    if "of the others nothing is said here" not in page.inner_text("#run"):
        remark("pause", "the page does not say what is missing", shown=page.inner_text("#run"))


def until(page: Page, expression: str) -> None:
    """Wait for something to become true. The page's own policy forbids what a browser could wait with by itself."""
    for _ in range(SECONDS // 100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    remark("wait", f"this never became true: {expression}")


def resume_to_the_end(page: Page, host: str, port: str) -> None:
    """The result comes in the place of the progress, and whoever used the keyboard is still on the page of the run."""
    page.click("text=Resume")
    page.wait_for_selector("#live")
    page.evaluate("window.same = true")
    page.wait_for_selector("#endpoints")
    if not page.evaluate("window.same === true"):
        remark("end", "the page was loaded anew")
    until(page, "document.activeElement.id === 'run'")
    if f"{host}:{port}/tcp" not in page.inner_text("#endpoints"):
        remark("end", "the open endpoint is not in the table", shown=page.inner_text("#endpoints"))
    if "5,001 of 5,001" not in page.inner_text("#coverage"):
        remark("end", "not everything is measured", shown=page.inner_text("#coverage"))
    page.wait_for_timeout(1500)
    if page.get_attribute("#run", "sse-connect"):
        remark("end", "the page still listens")


def without_script(base: str, run: str, cookies: list[Any], host: str, port: str) -> None:
    """The same without JavaScript: the page comes again by itself until the result is there."""
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=BROWSER, args=list(FLAGS))
        context = started.new_context(java_script_enabled=False)
        context.add_cookies(cookies)
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.goto(f"{base}/scans/new?again={run}")
        page.select_option("#f-engine", "connect")
        page.click("text=Show the plan")
        page.wait_for_selector("#plan >> text=5,001 endpoints")
        page.click("text=Start the scan")
        page.wait_for_selector("#live")
        page.wait_for_selector("#endpoints")
        page.click(f"text={host}:{port}/tcp >> nth=0")
        page.click("text=hex")
        page.wait_for_selector("pre.hex")
        started.close()


if __name__ == "__main__":
    main()
