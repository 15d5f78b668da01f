"""A run as one page that needs nothing else: no script, no network, readable in print.

    page.py  RunResult -> text      charts.py  numbers -> geometry      templates/  HTML      reconshield.css  tokens and look

The style sheet is also that of the web app and of the static site.
"""

from reconshield.report.html.page import html_text, style_sheet

__all__ = ["html_text", "style_sheet"]
