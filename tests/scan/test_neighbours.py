"""Who is asked for a link-layer address and when: tables of given times, and the bytes that are asked with."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from reconshield.scan.neighbour_frames import ask_arp, read_advertisement, read_arp, solicit
from reconshield.scan.neighbours import REMEMBERED, Segment

A, B, C = 1, 2, 3
MAC = bytes.fromhex("02a1b2c3d4e5")


def v4(text: str) -> int:
    return 0xFFFF << 32 | int(ip_address(text))


def run(segment: Segment, until: float, tick: float = 0.005) -> list[tuple[float, int]]:
    """Every question until then, with its time."""
    return [(step * tick, one) for step in range(round(until / tick)) for one in segment.due(step * tick)]


def test_three_questions_a_second_apart_then_nobody() -> None:
    segment = Segment()
    segment.want(A)
    segment.want(A)
    assert [(round(at, 1), one) for at, one in run(segment, 5)] == [(0.0, A), (1.0, A), (2.0, A)]
    assert segment.found == {A: None}
    assert segment.waiting == 0


def test_who_answers_is_not_asked_again() -> None:
    segment = Segment()
    for one in (A, B):
        segment.want(one)
    assert segment.due(10.0) == [A, B]
    segment.heard(B, MAC)
    segment.heard(C, MAC)  # nobody asked for C
    assert segment.due(11.1) == [A]
    segment.heard(A, MAC)
    segment.want(B)
    assert segment.due(15.0) == []
    assert segment.found == {A: MAC, B: MAC}


def test_never_more_than_the_rate_and_all_of_it() -> None:
    segment = Segment(rate=200)
    for one in range(5000):
        segment.want(one)
    asked = run(segment, 10, tick=0.02)
    assert 1950 <= len(asked) <= 2021  # a tenth of a second may be made up for
    per_second = [sum(1 for at, _ in asked if second <= at < second + 1) for second in range(10)]
    assert max(per_second) <= 221


def test_after_a_pause_a_tenth_of_a_second_is_made_up() -> None:
    segment = Segment(rate=200)
    for one in range(5000):
        segment.want(one)
    segment.due(0.0)
    assert len(segment.due(60.0)) in {20, 21}


def test_repetitions_come_before_new_ones() -> None:
    """A block can be finished only when its last neighbour is settled."""
    segment = Segment(rate=10)
    for one in range(100):
        segment.want(one)
    asked = [one for _, one in run(segment, 3)]
    assert asked[:10] == list(range(10))
    assert set(asked[11:25]) <= set(range(12))


def test_the_oldest_are_forgotten() -> None:
    segment = Segment(rate=1e9)
    for one in range(REMEMBERED + 10):
        segment.want(one)
        segment.due(0.0)
        segment.heard(one, MAC)
    assert len(segment.found) == REMEMBERED
    assert 9 not in segment.found


def test_arp_bytes() -> None:
    question = ask_arp(v4("10.1.2.3"), v4("10.1.2.1"), MAC)
    assert question.hex(" ") == "00 01 08 00 06 04 00 01 02 a1 b2 c3 d4 e5 0a 01 02 01 00 00 00 00 00 00 0a 01 02 03"
    assert read_arp(question) is None  # a question is no answer
    answer = question[:7] + b"\x02" + MAC + bytes([10, 1, 2, 3]) + question[18:]
    assert read_arp(answer + bytes(18)) == (v4("10.1.2.3"), MAC)  # with the padding of a short frame
    assert read_arp(answer[:20]) is None


def test_solicitation_bytes() -> None:
    """Checked by hand against RFC 4861 §4.3; the checksum by adding everything up again."""
    packet = solicit(int(ip_address("fd91::2")), int(ip_address("fd91::1")), MAC)
    assert packet[:8].hex(" ") == "60 00 00 00 00 20 3a ff"
    assert str(ip_address(packet[8:24])) == "fd91::1"
    assert str(ip_address(packet[24:40])) == "ff02::1:ff00:2"
    assert packet[40:42].hex() == "8700"
    assert str(ip_address(packet[48:64])) == "fd91::2"
    assert packet[64:] == b"\x01\x01" + MAC
    summed = packet[8:40] + (32).to_bytes(4) + (58).to_bytes(4) + packet[40:]
    total = sum(int.from_bytes(summed[at : at + 2]) for at in range(0, len(summed), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


def advertise(target: str, options: bytes, hops: int = 255) -> bytes:
    body = b"\x88\x00\x00\x00\x60\x00\x00\x00" + ip_address(target).packed + options
    return (
        b"\x60\x00\x00\x00"
        + len(body).to_bytes(2)
        + bytes([58, hops])
        + ip_address(target).packed
        + ip_address("fd91::1").packed
        + body
    )


def test_advertisements() -> None:
    target = int(ip_address("fd91::2"))
    good = advertise("fd91::2", b"\x02\x01" + MAC)
    assert read_advertisement(good) == (target, MAC)
    assert read_advertisement(advertise("fd91::2", b"\x0e\x01" + bytes(6) + b"\x02\x01" + MAC)) == (target, MAC)
    assert read_advertisement(advertise("fd91::2", b"\x02\x01" + MAC, hops=64)) is None  # not from this link
    assert read_advertisement(advertise("fd91::2", b"\x02\x00" + MAC)) is None  # an option of no length would never end
    assert read_advertisement(advertise("fd91::2", b"")) is None
    assert read_advertisement(good[:70]) is None


@given(st.binary(max_size=140))
def test_noise_is_no_answer_and_no_error(noise: bytes) -> None:
    read_arp(noise)
    found = read_advertisement(advertise("fd91::2", noise))
    assert found is None or (found[0] == int(ip_address("fd91::2")) and len(found[1]) == 6)
