"""Where webhooks may go: checked when one is asked for, and again with every delivery."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

from wsi_pipeline.errors import UsageError

_MAX_CHARACTERS = 2000
_PORTS = {"https": 443, "http": 80}
#: Addresses that carry an IPv4 address to be judged instead: NAT64 (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: All that is handed out of IPv6 for the internet (RFC 4291); the rest is special in some way.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")

#: Special by RFC 6890 as a whole, of which versions of Python take parts for the internet's.
_SPECIAL = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class WebhookAddress:
    """An address a webhook may go to.

    Attributes:
        url: As it was given.
        secure: Whether it is ``https``.
        host: Name or IP address, lower case.
        port: TCP port.
        target: Path and query, as the request line wants them.
        named: Whether the settings name this very host, and not a pattern it matches: then it may
            be in a private network.
    """

    url: str
    secure: bool
    host: str
    port: int
    target: str
    named: bool

    @classmethod
    def of(cls, url: str, allowed: Sequence[str]) -> Self:
        """Check an address.

        Args:
            url: The address.
            allowed: ``webhook_hosts`` of the settings: a host's name or IP address; ``*.NAME`` for
                every host below a name; ``*`` for every host with a public address.

        Raises:
            UsageError: webhooks may not go there; the message says why.
        """
        if len(url) > _MAX_CHARACTERS or not url.isascii() or not url.isprintable():
            raise UsageError(f"a webhook's address has at most {_MAX_CHARACTERS} ASCII characters")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"the webhook's address cannot be read: {error}") from error
        host = (parts.hostname or "").rstrip(".")
        if parts.scheme not in _PORTS or not host or parts.fragment or " " in url:
            raise UsageError("a webhook's address is https://HOST/PATH")
        if parts.username is not None or parts.password is not None:
            raise UsageError("a webhook's address holds no user and password")
        named = host in {entry.lower() for entry in allowed}
        if not named and not any(_matches(host, entry.lower()) for entry in allowed):
            raise UsageError(f"webhooks may not go to {host}; see `webhook_hosts` in the settings")
        secure = parts.scheme == "https"
        if not secure and not (named and _is_loopback_name(host)):
            raise UsageError("a webhook's address begins with https://")
        return cls(
            url=url,
            secure=secure,
            host=host,
            port=port or _PORTS[parts.scheme],
            target=_target(parts),
            named=named,
        )

    def permits(self, address: Address) -> bool:
        """Whether the host may have this IP address.

        Plain HTTP stays on this machine. Private, link-local and other special addresses, behind
        which metadata services of clouds and unprotected neighbours are, need the host named.
        """
        if not self.secure:
            return address.is_loopback
        return self.named or is_public(address)


def is_public(address: Address) -> bool:
    """Whether an IP address is one of the public internet, also where it carries another one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.sixtofour is not None:
            return is_public(address.sixtofour)
        if address.teredo is not None:
            return False
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _GLOBAL_UNICAST:
            return False
    special = any(address in network for network in _SPECIAL)
    return address.is_global and not address.is_multicast and not special


def _matches(host: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    return pattern.startswith("*.") and host.endswith(pattern[1:])


def _is_loopback_name(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _target(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path
