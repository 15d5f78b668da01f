"""What is wrong in a policy file, as lines."""

from __future__ import annotations

from reconshield.policy import Problem
from reconshield.report.line_types import ProblemLine


def problem_line(problem: Problem) -> ProblemLine:
    return {
        "v": 1,
        "type": "problem",
        "level": problem.level,
        "file": problem.file,
        "line": problem.line,
        "key": problem.what,
        "message": problem.message,
        "hint": problem.hint,
    }
