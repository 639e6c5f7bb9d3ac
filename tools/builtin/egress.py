"""Where a request may go: which hosts are allowed, and which addresses one of them may have.

A host is compared as a name, and its addresses are looked up once a hop; whoever connects does so to exactly these. So a name that says
something else the second time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn
from urllib.parse import urlsplit

from msgspec import Struct

from ...protocols.errors import ChangeArguments, DefinitionError

IP = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS = {"https": 443, "http": 80}

LONGEST = 4_000
"""Characters of an address."""

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.ASCII)
_WRITTEN = re.compile(r"[!-\[\]^_`a-z{|}~]+", re.ASCII)
_GLOBAL = ipaddress.IPv6Network("2000::/3")  # all of IPv6 that has been given out; Python's tables differ by version
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_METADATA = tuple(
    map(
        ipaddress.ip_network,
        # Amazon, Google, Alibaba, Oracle, Azure; what is not here is link-local
        ("fd00:ec2::/32", "fd20:ce::/64", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"),
    )
)


class Place(Struct, frozen=True):
    """Where a request goes.

    Attributes:
        scheme: ``https`` or ``http``.
        host: in small letters; an IP address as it is usually written.
        port: always given.
        target: path and query, as they are sent.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port, as they stand in a ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


class Allowed(Struct, frozen=True):
    """One entry of an allow-list: a host (``*.`` before it: all below it) with its scheme and port."""

    scheme: str
    host: str
    port: int

    def fits(self, place: Place) -> bool:
        """Whether a request may go there by this entry."""
        if (self.scheme, self.port) != (place.scheme, place.port):
            return False
        if self.host.startswith("*."):
            return place.host.endswith(self.host[1:]) and len(place.host) > len(self.host) - 1
        return place.host == self.host


class Egress:
    """The hosts that requests may go to.

    Args:
        allow: ``api.example.org`` (https on 443), ``*.example.org``, ``example.org:8443``, ``http://example.org``, or an IP address.
        inside: those among them that may have private and loopback addresses.

    Raises:
        DefinitionError: an entry is no host, or an address that nobody may have (link-local, metadata), or nothing is allowed.
    """

    def __init__(self, allow: Sequence[str], inside: Sequence[str]) -> None:
        if isinstance(allow, str) or isinstance(inside, str) or not allow:
            raise DefinitionError(
                f"fetch(allow={allow!r}, inside={inside!r})", hint='hosts, such as ["api.example.org"]'
            )
        self.allow = tuple(_entry(entry) for entry in allow)
        self.inside = tuple(_entry(entry) for entry in inside)
        if extra := [entry.host for entry in self.inside if entry not in self.allow]:
            raise DefinitionError(f"fetch: {', '.join(extra)} stands in inside= and not in allow=")
        self.listed = ", ".join(allow)

    def place(self, url: str) -> Place:
        """Read an address and see that it is allowed.

        Raises:
            ChangeArguments: it is no address, is written so that it could be misread, or leads where nothing may go.
        """
        place = read(url)
        if not any(entry.fits(place) for entry in self.allow):
            raise ChangeArguments(f"{place.scheme}://{place.authority} is not allowed", hint=f"allowed: {self.listed}")
        return place

    def check(self, place: Place, addresses: Iterable[str]) -> tuple[str, ...]:
        """See that all addresses of a host are ones it may have; gives them.

        Raises:
            ChangeArguments: one is not: then none is used.
        """
        found = tuple(dict.fromkeys(addresses))
        own = any(entry.fits(place) for entry in self.inside)
        for address in found:
            why = _against(address, place.host, inside=own)
            if why:
                raise ChangeArguments(f"{place.host} has the address {address}, which is {why}: refused")
        if not found:
            raise ChangeArguments(f"{place.host} has no address")
        return found


def read(url: str) -> Place:
    """An address as a place. Only what every program would read alike is taken.

    Raises:
        ChangeArguments: it is not.
    """
    if len(url) > LONGEST:
        raise ChangeArguments(f"the address has {len(url):,} characters, more than {LONGEST:,}")
    bare = url.partition("#")[0]
    if not bare.isascii() or not _WRITTEN.fullmatch(bare.lower()):  # the sign for kelvin is a k in small letters
        _no(url, "has characters that do not belong into one (spaces, backslashes, controls, letters beyond ASCII)")
    scheme, colon, rest = bare.partition("://")
    if not colon or scheme.lower() not in PORTS:
        _no(url, "begins with neither https:// nor http://")
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    if "@" in authority:
        _no(url, "has a user name in it")
    if "%" in authority:
        _no(url, "has an encoded host")
    try:
        parts = urlsplit(bare)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        _no(url, "has no host that can be read")
    if authority.endswith(":") or port == 0:
        _no(url, "has no port that can be read")
    scheme = scheme.lower()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(scheme, _host(url, host), port or PORTS[scheme], target)


def _host(url: str, host: str) -> str:
    host = host.lower().removesuffix(".")
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            _no(url, "has no host that can be read")
    if not _NAME.fullmatch(host) or len(host) > 253:
        _no(url, "has no host that can be read")
    if _NUMBER.fullmatch(
        host.rpartition(".")[2]
    ):  # every resolver would take it for an address, and each in its own way
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            _no(url, "has a number as its host; write an IPv4 address as four decimal numbers")
    return host


def _no(url: str, why: str) -> NoReturn:
    raise ChangeArguments(f"{url[:200]!r} {why}", hint="an address such as https://api.example.org/v1/items?page=2")


def _entry(entry: str) -> Allowed:
    text = entry if "://" in entry else f"https://{entry}"
    below = "://*." in text
    try:
        place = read(text.replace("://*.", "://", 1))
    except ChangeArguments as error:
        raise DefinitionError(f"fetch: {entry!r} is no host: {error.failure.message}") from error
    if place.target != "/" or "*" in place.host or (below and ("." not in place.host or _is_ip(place.host))):
        hint = "api.example.org, *.example.org, example.org:8443, http://example.org or an IP address"
        raise DefinitionError(f"fetch: {entry!r} is no host", hint=hint)
    if _is_ip(place.host) and (why := _against(place.host, "", inside=True)):
        raise DefinitionError(f"fetch: {entry!r} is {why}: it cannot be allowed")
    return Allowed(place.scheme, f"*.{place.host}" if below else place.host, place.port)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _against(text: str, host: str, *, inside: bool) -> str:
    """Why a host may not have this address; empty where it may."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # with a scope (fe80::1%eth0), or something else
        return "no plain address"
    if text == host:  # it was allowed as an address
        return ""
    return next((why for one in (address, *_within(address)) if (why := _kind(one, inside=inside))), "")


def _within(address: IP) -> tuple[IP, ...]:
    """IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    number = int(address)
    if address in _NAT64 or number >> 32 == 0:  # NAT64; the old compatible form ::1.2.3.4
        found.append(ipaddress.IPv4Address(number & 0xFFFF_FFFF))
    return tuple(one for one in found if one is not None)


def _kind(address: IP, *, inside: bool) -> str:
    if address.is_link_local:
        return "link-local (there is where clouds keep credentials)"
    if address.is_multicast:
        return "multicast"
    if address.is_unspecified:
        return "no host's"
    if any(address in network for network in _METADATA):
        return "a cloud's metadata service"
    if inside and (address.is_private or address.is_loopback):
        return ""
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address in _NAT64):
        return ""  # the address within says it
    if address.is_loopback:
        return "this machine's own"
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL:
        return "private or reserved"
    return "" if address.is_global else "private or reserved"
