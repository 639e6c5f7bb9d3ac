"""``us.builtin.fetch``: against real servers on this machine, and names that lie."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

import understudy as us
from tests.tools.intents import AGENT
from tests.tools.test_perform import started
from understudy.protocols.effects import Attempt
from understudy.tools.builtin.egress import Egress, read
from understudy.tools.perform import Performer

Answer = Callable[[str], bytes]


def ok(body: bytes, kind: str = "text/plain", *more: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


def moved(to: str) -> bytes:
    return ok(b"", "text/plain", f"Location: {to}", status="302 Found")


class Server:
    """Answers each path as it is told, and keeps what it was asked."""

    def __init__(self, answers: dict[str, bytes], tls: ssl.SSLContext | None = None, then: bytes = b"") -> None:
        self.answers, self.asked, self.port, self.tls, self.then = answers, list[str](), 0, tls, then

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            writer.write(self.answers[head.split()[1]])
            while self.then:
                await writer.drain()
                writer.write(self.then)
                await asyncio.sleep(0)
            await writer.drain()
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def serving(server: Server, host: str = "127.0.0.1") -> AsyncGenerator[Server]:
    running = await asyncio.start_server(server.serve, host, 0, ssl=server.tls)
    server.port = running.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        running.close()


async def get(url: str, *allow: str, **options: Any) -> Attempt:
    tool = us.builtin.fetch(allow=allow, **options)
    with anyio.fail_after(60):
        return await Performer({AGENT: {"fetch": tool}}, {}).perform(
            started(tool, {"url": url}), None, lambda _: None, lambda _: None
        )


def page(attempt: Attempt) -> dict[str, Any]:
    assert attempt.value is not None, attempt
    found: dict[str, Any] = msgspec.json.decode(attempt.value)
    return found


def why(attempt: Attempt) -> str:
    assert attempt.failure is not None, attempt
    assert not attempt.unknown
    return f"{attempt.failure.kind}: {attempt.failure.message}"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What each name means, the first, the second time and so on; the last one stays."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def look(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host not in known:
            return real(host, port, *rest, **more)
        answers = known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return known


async def test_a_page_is_read_from_an_allowed_host() -> None:
    async with serving(Server({"/a?b=c": ok("Blåbær".encode(), "text/plain; charset=utf-8")})) as server:
        here = f"http://127.0.0.1:{server.port}"
        found = page(await get(f"{here}/a?b=c#part", here))
    assert found == {"url": f"{here}/a?b=c", "status": 200, "type": "text/plain", "text": "Blåbær", "cut": False}
    assert f"Host: 127.0.0.1:{server.port}" in server.asked[0]
    assert "Accept-Encoding: identity" in server.asked[0]


async def test_a_name_inside_is_read_and_one_that_was_only_allowed_is_not(names: dict[str, list[list[str]]]) -> None:
    names["intranet.example"] = [["127.0.0.1"]]
    async with serving(Server({"/": ok(b"in")})) as server:
        here = f"http://intranet.example:{server.port}"
        assert page(await get(here, here, inside=[here]))["text"] == "in"
        assert "127.0.0.1, which is this machine's own" in why(await get(here, here))
    assert len(server.asked) == 1


ADDRESSES = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254", "ff02::1",
    "168.63.129.16", "fd20:ce::254", "fd00:ec2::23",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "::127.0.0.1", "::a9fe:a9fe", "2001:db8::1", "64:ff9b:1::1", "fec0::1", "2001:0:7f00:1::",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
async def test_an_allowed_name_may_not_mean_an_address_of_the_inside(
    names: dict[str, list[list[str]]], address: str
) -> None:
    names["api.example.org"] = [[address]]
    assert "refused" in why(await get("https://api.example.org/", "api.example.org"))
    names["api.example.org"] = [["93.184.215.14", address]]
    assert "refused" in why(await get("https://api.example.org/", "api.example.org"))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "64:ff9b::a9fe:a9fe",
        "0.0.0.0",
        "168.63.129.16",
        "fd20:ce::254",
        "fd00:ec2::23",
    ],
)
async def test_not_even_a_name_inside_may_mean_a_metadata_service(
    names: dict[str, list[list[str]]], address: str
) -> None:
    names["intranet.example"] = [[address]]
    attempt = await get("http://intranet.example/", "http://intranet.example", inside=["http://intranet.example"])
    assert "refused" in why(attempt)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]
)
def test_a_public_address_is_fine(address: str) -> None:
    egress = Egress(["api.example.org"], [])
    assert egress.check(read("https://api.example.org/"), [address]) == (address,)


async def test_a_name_is_looked_up_once_and_what_was_checked_is_what_is_connected_to(
    names: dict[str, list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names["api.example.org"] = [["93.184.215.14"], ["127.0.0.1"]]
    connected = list[Any]()

    async def connect(host: str, port: int, **_: Any) -> Any:
        connected.append((host, port))
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio, "open_connection", connect)
    assert "could not be reached" in why(await get("https://api.example.org/", "api.example.org"))
    assert connected == [("93.184.215.14", 443)]


LYING = [
    "https://api.example.org@evil.example/", "https://evil.example/https://api.example.org", "https://api.example.org.evil.example/",
    "https://evilapi.example.org/", "https://evil.example#@api.example.org/", "https://evil.example?@api.example.org/",
    "https://evil.example\\@api.example.org/", "https://api.example.org:8443/", "http://api.example.org/", "https://user:pw@api.example.org/",
    "//api.example.org/", "file:///etc/passwd", "ftp://api.example.org/", "gopher://api.example.org/", "https:///etc/passwd", "https://",
    "https://api.example.org\r\nHost: evil.example/", "https://api.example.org/\r\nX: y", "https://api.example.org /",
    "https://аpi.example.org/",
    "https://api%2eexample.org/", "https://api.example.org%00.evil.example/", "https://2130706433/", "https://017700000001/", "https://0x7f.1/",
    "https://127.1/", "https://0177.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::1%25lo]/", "https://1.1.1.1./",
    "https://api.example.org:99999/", "https://api.example.org:/", "https://api.example.org:0/", "https://api.example.org:+443/",
    "https://api.example.org:４43/", "https://example.org/", "https://.api.example.org/", "https://api..example.org/",
    "javascript:alert(1)", "",
    "https://api.example.org/" + "a" * 5_000, "https://0x7f000001/", "https://①②⑦.⓪.⓪.①/", "https://127.0.0.1.nip.io/",
    "https://api.example.org/sign-for-\u212Aelvin",
]  # fmt: skip


@pytest.mark.parametrize("url", LYING)
async def test_an_address_that_is_not_allowed_or_can_be_misread_goes_nowhere(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: Any, **__: Any) -> Any:
        pytest.fail("it was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", look)
    assert why(await get(url, "api.example.org")).startswith("change_arguments: ")


@pytest.mark.parametrize(
    "url", ["https://API.Example.ORG/", "https://api.example.org./", "HTTPS://api.example.org:443?q=1"]
)
def test_other_ways_to_write_the_same_host_are_the_same(url: str) -> None:
    assert Egress(["api.example.org"], []).place(url).host == "api.example.org"


def test_a_star_is_for_what_is_below() -> None:
    egress = Egress(["*.example.org"], [])
    assert egress.place("https://a.b.example.org/").host == "a.b.example.org"
    for url in ("https://example.org/", "https://evilexample.org/", "https://.example.org/"):
        with pytest.raises(us.ChangeArguments):
            egress.place(url)


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.2:{port}/next", "https://127.0.0.1:{port}/next", "//evil.example/", "http://[::1]:{port}/next", "file:///etc/passwd",
        "http://x@127.0.0.1:{port}/", "http://[", "http://[::1/",
    ],
)  # fmt: skip
async def test_each_redirect_is_looked_at_like_the_first_address(to: str) -> None:
    async with serving(Server({"/": b"", "/next": ok(b"stolen")})) as server:
        server.answers["/"] = moved(to.format(port=server.port))
        here = f"http://127.0.0.1:{server.port}"
        assert why(await get(here, here)).startswith("change_arguments: ")
    assert len(server.asked) == 1


async def test_a_redirect_to_a_name_that_means_the_inside_is_refused(names: dict[str, list[list[str]]]) -> None:
    names["a.example"], names["b.example"] = [["127.0.0.1"]], [["169.254.169.254"]]
    async with serving(Server({"/": moved("http://b.example/latest/meta-data")})) as server:
        here = f"http://a.example:{server.port}"
        assert "link-local" in why(await get(here, here, "http://b.example", inside=[here]))


async def test_redirects_inside_are_followed_and_a_circle_ends() -> None:
    async with serving(Server({"/a": moved("b"), "/b": ok(b"here"), "/c": moved("/c")})) as server:
        here = f"http://127.0.0.1:{server.port}"
        assert page(await get(f"{here}/a", here))["url"] == f"{here}/b"
        assert "more than 5 redirects" in why(await get(f"{here}/c", here))


async def test_a_body_without_an_end_is_cut() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(Server({"/": head}, then=b"2710\r\n" + b"x" * 10_000 + b"\r\n")) as server:
        here = f"http://127.0.0.1:{server.port}"
        found = page(await get(here, here, most=50_000))
    assert (len(found["text"]), found["cut"]) == (50_000, True)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (ok(gzip.compress(b"x" * 10_000_000), "text/plain", "Content-Encoding: gzip"), "is compressed (gzip)"),
        (ok(b"\x89PNG", "image/png"), "is image/png, no text"),
        (ok(b"", "application/octet-stream"), "no text"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, "no HTTP"),
        (ok(b"", status="503 Later", kind="text/plain"), "answered 503"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, "no answer"),
    ],
)
async def test_what_is_no_text_is_refused_and_what_is_no_http_is_named(answer: bytes, text: str) -> None:
    async with serving(Server({"/": answer})) as server:
        here = f"http://127.0.0.1:{server.port}"
        assert text in why(await get(here, here))


async def test_a_host_may_say_when_to_come_again() -> None:
    async with serving(Server({"/": ok(b"", "text/plain", "Retry-After: 7", status="429 Slow")})) as server:
        here = f"http://127.0.0.1:{server.port}"
        attempt = await get(here, here)
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.after) == ("retry_later", 7.0)


async def test_an_error_page_is_an_answer() -> None:
    async with serving(Server({"/": ok(b"no such thing", status="404 Not Found")})) as server:
        here = f"http://127.0.0.1:{server.port}"
        assert page(await get(here, here))["status"] == 404


async def test_a_host_that_drips_is_left_when_the_time_is_over() -> None:
    async with serving(Server({"/": b"HTTP/1.1 200 OK\r\nX-Slow: "})) as server:
        here = f"http://127.0.0.1:{server.port}"
        attempt = await get(here, here, timeout=0.5)
    assert attempt.failure is not None
    assert attempt.failure.code == "timeout"


@pytest.mark.parametrize("charset", ["zlib_codec", "rot13", "idna", "no-such", "utf-8"])
async def test_a_charset_is_one_of_texts_or_utf_8(charset: str) -> None:
    async with serving(Server({"/": ok("Blåbær".encode(), f"text/html; charset={charset}")})) as server:
        here = f"http://127.0.0.1:{server.port}"
        assert page(await get(here, here))["text"] == "Blåbær"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=good.example"
    line += " -addext subjectAltName=DNS:good.example"
    subprocess.run(
        [*line.split(), "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True
    )
    return folder


async def test_the_certificate_is_asked_for_by_name_while_the_address_is_the_one_that_was_checked(
    certificate: Path, names: dict[str, list[list[str]]]
) -> None:
    names["good.example"] = names["bad.example"] = [["127.0.0.1"]]
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    trust = ssl.create_default_context(cafile=certificate / "cert.pem")
    async with serving(Server({"/": ok(b"safe")}, own)) as server:
        good, bad = f"good.example:{server.port}", f"bad.example:{server.port}"
        assert page(await get(f"https://{good}/", good, inside=[good], tls=trust))["text"] == "safe"
        assert why(await get(f"https://{bad}/", bad, inside=[bad], tls=trust)).startswith("abandon: ")
        assert "certificate" in why(await get(f"https://{good}/", good, inside=[good]))
    assert len(server.asked) == 1


def test_certificates_cannot_be_left_unchecked() -> None:
    blind = ssl.create_default_context()
    blind.check_hostname = False
    with pytest.raises(us.DefinitionError, match="does not check certificates"):
        us.builtin.fetch(allow=["api.example.org"], tls=blind)


@pytest.mark.parametrize(
    "entry", [
        "", "*", "*.", "*.org", "https://", "api.example.org/path", "user@api.example.org", "2130706433", "*.1.2.3.4", "a b",
        "ftp://x.example", "a.*.example", "http://169.254.169.254", "http://[fe80::1]", "http://[::ffff:169.254.169.254]",
        "http://[fd00:ec2::254]", "http://100.100.100.200", "0.0.0.0", "[::]", "224.0.0.1",
    ],
)  # fmt: skip
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(us.DefinitionError):
        us.builtin.fetch(allow=[entry])


@pytest.mark.parametrize(("allow", "inside"), [([], []), ("api.example.org", []), (["a.example"], ["b.example"])])
def test_lists_that_cannot_be_meant_are_refused(allow: Any, inside: Any) -> None:
    with pytest.raises(us.DefinitionError):
        us.builtin.fetch(allow=allow, inside=inside)
