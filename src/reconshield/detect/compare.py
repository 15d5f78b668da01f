"""The same traffic under two policies: which detections appear, vanish, or are rated otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.detection import Detection, Difference

Key = tuple[str, str, int, str]


def compare(old: tuple[Detection, ...], new: tuple[Detection, ...]) -> Iterator[Difference]:
    """What appears and what is rated otherwise, the worst first; then what vanishes."""
    before, after = {key_of(each): each for each in old}, {key_of(each): each for each in new}
    for key, found in after.items():
        was = before.get(key)
        if was is None:
            yield Difference("appears", found, None, found.grade)
        elif was.grade != found.grade:
            yield Difference("changes", found, was.grade, found.grade)
    yield from (Difference("vanishes", was, was.grade, None) for key, was in before.items() if key not in after)


def key_of(detection: Detection) -> Key:
    return detection.src, detection.dst, detection.port, detection.transport
