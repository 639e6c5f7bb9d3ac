"""``us.builtin.fetch``: HTTP GET, to hosts that are allowed.

    read the address -> allowed? -> look its addresses up, once -> all of them fit? -> connect to exactly these
    -> TLS for the host's name -> answer: a redirect begins again at the first step

The wire is ``h11``'s, the connection is made here: no HTTP client connects to an address that was checked before and still asks
for the certificate of the name. Proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import re
import socket
import ssl
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import urljoin

from msgspec import Meta, Struct

from ...protocols.errors import Abandon, ChangeArguments, DefinitionError, MissingExtra, RetryLater
from ..declaring import AsyncTool, tool
from ..threads import in_thread
from .egress import Egress, Place

if TYPE_CHECKING:
    import h11

HOPS = 5
"""Redirects that are followed."""

HEAD = 65_536
"""Bytes of an answer's head."""

CONNECT = 10.0
"""Seconds for one connection, TLS included."""

TEXTS = re.compile(
    r"text/[\w.+-]+|application/([\w.+-]+\+)?(json|xml|yaml|x-ndjson|javascript|x-yaml|ld\+json)|application/xhtml\+xml"
)

CHARSETS = re.compile(
    r"utf-?8|utf-?16(le|be)?|(us-)?ascii|iso-8859-\d{1,2}|windows-12\d\d|koi8-[ru]|shift_jis|euc-(jp|kr)|gb2312|gbk|gb18030|big5"
)


class Page(Struct, frozen=True):
    """What a host answered.

    Attributes:
        url: where it came from in the end, after redirects.
        status: HTTP status; 404 and the like are answers, not failures.
        type: content type, without parameters.
        text: the body.
        cut: it was longer; the rest was not read.
    """

    url: str
    status: int
    type: str
    text: str
    cut: bool


def fetch(
    allow: Sequence[str],
    *,
    inside: Sequence[str] = (),
    most: int = 100_000,
    timeout: float = 30.0,
    tls: ssl.SSLContext | None = None,
    name: str = "fetch",
) -> AsyncTool[..., Page]:
    """A tool ``fetch`` that reads a page by HTTP GET, from allowed hosts only, redirects included.

    Addresses that are not public (loopback, private, link-local and the like, also inside of IPv6 addresses) are refused even for an
    allowed name, unless it stands in ``inside`` or the address itself is allowed.

    Args:
        allow: hosts: ``api.example.org`` (https, port 443), ``*.example.org`` (all below it), ``example.org:8443``,
            ``http://example.org``, or an IP address.
        inside: those of them that may be in a private network or on this machine. Link-local addresses are refused all the same.
        most: bytes of a body that are read.
        timeout: seconds for all of it.
        tls: how certificates are checked; by default as the system does. It must check them.
        name: the tool's name.

    Raises:
        DefinitionError: an entry is no host, or a number or ``tls`` cannot be meant.
        MissingExtra: ``h11`` is not installed.
    """
    if find_spec("h11") is None:  # said now, not at the first call
        raise MissingExtra("us.builtin.fetch needs h11", hint="pip install 'understudy[fetch]'")
    egress = Egress(allow, inside)
    if not 0 < most <= 200_000:
        raise DefinitionError(f"fetch(most={most})", hint="bytes, above 0, 200,000 at most")
    if tls is not None and (tls.verify_mode != ssl.CERT_REQUIRED or not tls.check_hostname):
        raise DefinitionError(
            "fetch(tls=…) does not check certificates",
            hint="leave it out, or load your own authority into one that does",
        )
    checks = tls
    Url = Annotated[  # noqa: N806 - a type
        str,
        Meta(
            description=f"Address of the page, such as https://{egress.allow[0].host}/. Hosts: {egress.listed}.",
            max_length=4_000,
        ),
    ]

    async def get(url: str) -> Page:
        """Read a web page or an API by HTTP GET. Gives status, type and text; what is no text is refused."""
        nonlocal checks
        if checks is None:
            checks = ssl.create_default_context()
        place = egress.place(url)
        for _ in range(HOPS + 1):
            answer = await _get(egress, place, checks, most)
            if isinstance(answer, Page):
                return answer
            try:
                there = urljoin(str(place), answer)
            except ValueError as error:
                raise ChangeArguments(f"{place} has moved to no address: {answer[:200]!r}") from error
            place = egress.place(there)
        raise ChangeArguments(f"{url}: more than {HOPS} redirects, at last to {place}")

    get.__annotations__["url"] = Url
    # The address itself is what leaves: whoever owns the host reads what stands in it.
    return tool(
        effect="read",
        name=name,
        timeout=timeout,
        kind=("read", "egress"),
        sinks=["url"],
        payload=["url"],
        trusted=False,
        private=False,
    )(get)


async def _get(egress: Egress, place: Place, checks: ssl.SSLContext, most: int) -> Page | str:
    """One hop: a page, or where it is now."""
    addresses = egress.check(place, await _addresses(place))
    async with _connected(place, addresses, checks) as (reader, writer):
        try:
            return await _ask(place, reader, writer, most)
        except (OSError, EOFError) as error:
            raise RetryLater(f"{place}: the connection was lost: {error}") from error


async def _addresses(place: Place) -> list[str]:
    """What the name means now. Looked up once: whoever connects does not ask again."""
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(place.host))]

    def look() -> list[str] | OSError:
        try:
            found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError) as error:
            return error if isinstance(error, OSError) else OSError(str(error))
        return [str(one[4][0]) for one in found]

    found = await in_thread(look, f"look up {place.host}", lambda _: None)
    if isinstance(found, OSError):
        raise RetryLater(f"{place.host} could not be looked up: {found}")
    return found


@contextlib.asynccontextmanager
async def _connected(
    place: Place, addresses: Sequence[str], checks: ssl.SSLContext
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to one of these addresses and no other, with a certificate for the name."""
    why: Exception | None = None
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for address in addresses:
        secure = {"ssl": checks, "server_hostname": place.host} if place.scheme == "https" else {}
        try:
            async with asyncio.timeout(CONNECT):
                streams = await asyncio.open_connection(address, place.port, limit=HEAD, **secure)  # type: ignore[arg-type]
            break
        except ssl.SSLCertVerificationError as error:
            raise Abandon(f"{place.authority}: its certificate is not its own: {error.verify_message}") from error
        except (OSError, TimeoutError) as error:
            why = error
    if streams is None:
        raise RetryLater(f"{place.authority} could not be reached: {why or 'timed out'}") from why
    try:
        yield streams
    finally:
        streams[1].transport.abort()  # at once: nothing that was not read is wanted


async def _ask(place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int) -> Page | str:
    import h11

    wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD)
    headers = [
        ("Host", place.authority),
        ("User-Agent", "understudy"),
        ("Accept", "text/*, application/json, application/xml;q=0.9, */*;q=0.1"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    writer.write(wire.send(h11.Request(method="GET", target=place.target, headers=headers)) or b"")
    writer.write(wire.send(h11.EndOfMessage()) or b"")
    await writer.drain()
    try:
        head = await _next(wire, reader)
        for _ in range(10):
            if not isinstance(head, h11.InformationalResponse):
                break
            head = await _next(wire, reader)
        if not isinstance(head, h11.Response):
            raise RetryLater(f"{place}: there was no answer")
        known = {name.decode().lower(): value.decode("latin-1").strip() for name, value in head.headers}
        moved = _judge(place, head.status_code, known)
        if moved:
            return moved
        body, cut = bytearray(), False
        while isinstance(piece := await _next(wire, reader), h11.Data):
            body += piece.data
            if len(body) > most:
                del body[most:]
                cut = True
                break
    except h11.RemoteProtocolError as error:
        raise RetryLater(f"{place}: what came is no HTTP, or ended in the middle: {error}") from error
    kind, charset = _type(known.get("content-type", ""))
    return Page(str(place), head.status_code, kind, body.decode(charset, "replace"), cut)


async def _next(wire: h11.Connection, reader: asyncio.StreamReader) -> Any:  # h11's events
    import h11

    while (event := wire.next_event()) is h11.NEED_DATA:
        wire.receive_data(await reader.read(65_536))
    return event


def _judge(place: Place, status: int, head: dict[str, str]) -> str:
    """Where it is now, if it has moved; empty where the body is to be read. Raises where it is not."""
    if status in (301, 302, 303, 307, 308) and head.get("location"):
        return head["location"]
    if status in (408, 425, 429, 500, 502, 503, 504):
        raise RetryLater(f"{place} answered {status}", after=_after(head.get("retry-after", "")))
    if head.get("content-encoding", "identity").lower() not in ("identity", ""):
        _refuse(place, f"is compressed ({head['content-encoding'][:40]}), which was not asked for")
    kind, _ = _type(head.get("content-type", ""))
    if kind and not TEXTS.fullmatch(kind) and status != 204:
        _refuse(place, f"is {kind[:80]}, no text")
    return ""


def _refuse(place: Place, why: str) -> NoReturn:
    raise ChangeArguments(f"{place} {why}")


def _type(header: str) -> tuple[str, str]:
    """Content type and charset."""
    kind, _, more = header.partition(";")
    named = re.search(r"charset\s*=\s*\"?([\w.-]+)", more, re.IGNORECASE)
    charset = named[1].lower() if named else "utf-8"
    return kind.strip().lower(), charset if CHARSETS.fullmatch(charset) and _known(charset) else "utf-8"


def _known(charset: str) -> bool:
    try:
        "".encode(charset)
    except LookupError:
        return False
    return True


def _after(text: str) -> float | None:
    """Seconds that a ``Retry-After`` asks for."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
