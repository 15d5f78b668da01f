"""A signed POST of JSON to an address of yours: see `signing` for how the receiver checks it."""

from __future__ import annotations

from reconshield.alert.channel import Channel, Field, Order, Outcome
from reconshield.alert.http import post
from reconshield.alert.payload import notice_bytes
from reconshield.alert.signing import headers_of


def send(order: Order) -> Outcome:
    body = notice_bytes(order.notice)
    headers = headers_of(order.settings["secret"], order.notice.key, order.at, body)
    return post(order, order.settings["url"], body, headers)


CHANNEL = Channel(
    "webhook",
    "signed webhook (Standard Webhooks, HMAC-SHA-256)",
    (
        Field("url", "where to post to", required=True, secret=True),
        Field("secret", "the shared secret, whsec_… or any text", required=True, secret=True),
        Field("ca", "a file with the certificate authority of the receiver"),
    ),
    send,
    guarded=True,
)
