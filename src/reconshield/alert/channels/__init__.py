"""The channels: one file each, listed here."""

from reconshield.alert.channel import Channel
from reconshield.alert.channels import alertmanager, apprise, email, exec, file, syslog, webhook  # noqa: A004 - a module here

CHANNELS: tuple[Channel, ...] = (
    webhook.CHANNEL,
    email.CHANNEL,
    syslog.CHANNEL,
    alertmanager.CHANNEL,
    apprise.CHANNEL,
    file.CHANNEL,
    exec.CHANNEL,
)
