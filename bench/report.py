"""Claim: a report of 10,000 open endpoints is made in 5 seconds, in every format.

    python bench/report.py [ENDPOINTS]

Every second endpoint has evidence and two of five a finding; 4,096 addresses. What is measured is the making of the whole text
from a run in memory; the page of HTML is the largest. Memory is the highest of the process, the run itself included.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from big_run import big_run
from reconshield.report.html import html_text
from reconshield.report.lines import dump_lines, result_lines
from reconshield.report.markdown import markdown_text
from reconshield.report.nmap_xml import nmap_xml_text
from reconshield.report.result import RunResult
from reconshield.report.sheet import csv_text

LIMIT = 5.0


def page_with_evidence(result: RunResult) -> Iterator[str]:
    return html_text(result, with_evidence=True)


def json_lines(result: RunResult) -> Iterator[str]:
    return dump_lines(result_lines(result))


FORMATS: dict[str, Callable[[RunResult], Iterator[str]]] = {
    "html": html_text,
    "html, evidence": page_with_evidence,
    "markdown": markdown_text,
    "nmap-xml": nmap_xml_text,
    "jsonl": json_lines,
    "csv": csv_text,
}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"python bench/report.py {count}")
    result = big_run(count)
    slow = []
    for name, make in FORMATS.items():
        begun, busy = time.perf_counter(), time.process_time()
        octets = sum(len(piece.encode()) for piece in make(result))
        seconds, cpu = time.perf_counter() - begun, time.process_time() - busy
        print(f"  {name:<15} {seconds:6.2f} s   CPU {cpu:5.2f} s   {octets / 1e6:6.1f} MB")
        slow += [name] if seconds > LIMIT else []
    print(f"  peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if slow:
        sys.exit(f"over {LIMIT:.0f} s: {', '.join(slow)}")


if __name__ == "__main__":
    main()
