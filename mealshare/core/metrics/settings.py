"""The settings of the metrics, and which addresses may read them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mealshare.core.settings import Secret, SettingsError, setting

ANYBODY = "*"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class MetricsSettings:
    """Whether ``/metrics`` is there, and for whom."""

    enabled: bool = setting(False, "Answer /metrics for Prometheus; needs the extra metrics.")
    token: Secret = setting(Secret(""), "What a reader has to send as Authorization: Bearer ...; empty: nothing.")
    allow: tuple[str, ...] = setting(
        ("127.0.0.1", "::1"), "Addresses and networks that may read; * for any, which needs metrics.token."
    )
    folder: str = setting(
        "",
        "A folder (best in memory, such as /run/mealshare/metrics) in which all processes of this machine count together; "
        "empty: each process tells of itself only.",
    )


def allowed_networks(settings: MetricsSettings) -> tuple[Network, ...] | None:
    """The networks that may read; None for any.  Raises SettingsError."""
    if ANYBODY in settings.allow:
        if not settings.token:
            raise SettingsError("the setting metrics.allow is wrong: * needs a metrics.token")
        return None
    try:
        return tuple(ipaddress.ip_network(item) for item in settings.allow)
    except ValueError as error:
        raise SettingsError(f"the setting metrics.allow is wrong: {error}") from None


def is_among(address: str | None, networks: tuple[Network, ...] | None) -> bool:
    """Whether the client's address is in one of the networks; what is no address (a Unix socket) is in none."""
    if networks is None:
        return True
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)
