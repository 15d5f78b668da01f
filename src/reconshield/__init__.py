"""ReconShield: service-exposure intelligence for people who run networks.

The library is the names in `__all__`; each is loaded when it is first used, so `import reconshield` costs nothing
(docs/library.md). `__init__.pyi` says the same to type checkers.
"""

from importlib import import_module

__version__ = "0.1.0"

_PLACES = {
    "Checked": "reconshield.report.checked",
    "Comparison": "reconshield.report.changes",
    "Endpoint": "reconshield.model",
    "Finding": "reconshield.model",
    "Finished": "reconshield.jobs.scan",
    "Identified": "reconshield.jobs.scan",
    "Imported": "reconshield.jobs.imports",
    "Measured": "reconshield.jobs.scan",
    "Measuring": "reconshield.jobs.scan",
    "Observation": "reconshield.model",
    "Policy": "reconshield.policy.policy",
    "Prepared": "reconshield.jobs.scan",
    "Refused": "reconshield.errors",
    "RunResult": "reconshield.report.result",
    "ScanRequest": "reconshield.jobs.scan_request",
    "Service": "reconshield.model",
    "Settings": "reconshield.settings",
    "Started": "reconshield.jobs.scan",
    "Store": "reconshield.store.db",
    "UserError": "reconshield.errors",
    "add_grant": "reconshield.jobs.grants",
    "check_run": "reconshield.jobs.check",
    "compare_runs": "reconshield.jobs.comparison",
    "import_file": "reconshield.jobs.imports",
    "load_evidence": "reconshield.jobs.evidence",
    "load_exposures": "reconshield.jobs.exposures",
    "load_policy": "reconshield.jobs.policy",
    "load_result": "reconshield.jobs.results",
    "load_settings": "reconshield.settings",
    "open_store": "reconshield.store.db",
    "prepare_scan": "reconshield.jobs.scan",
    "rejudge_run": "reconshield.jobs.rejudge",
    "result_lines": "reconshield.report.lines",
    "run_scan": "reconshield.jobs.scan",
    "scan_targets": "reconshield.jobs.library",
}
"""Where each public name lives."""

__all__ = ["__version__", *_PLACES]  # noqa: PLE0604 - every entry is a text, which a test shows


def __getattr__(name: str) -> object:
    """A public name, loaded now and kept."""
    if name not in _PLACES:
        raise AttributeError(f"module 'reconshield' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
