"""Pages that need nothing else: no script, no network, readable in print. A run's, and that of detections.

    page.py        RunResult -> text          charts.py          numbers -> geometry      templates/        HTML
    detections.py  DetectionReport -> text    traffic_charts.py  flows -> geometry        reconshield.css   tokens and look
                                              graph.py           detections -> geometry

The style sheet is also that of the web app and of the static site.
"""

from reconshield.report.html.detections import detections_text
from reconshield.report.html.page import html_text, style_sheet

__all__ = ["detections_text", "html_text", "style_sheet"]
