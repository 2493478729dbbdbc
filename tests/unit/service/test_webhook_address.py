"""Where webhooks may go: only to listed hosts, and never inside by accident."""

import ipaddress
import socket

import pytest

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.webhook_address import WebhookAddress, is_public

ALLOWED = ("hooks.example.org", "*.lab.example.org", "localhost", "127.0.0.1", "10.1.2.3", "::1")


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://hooks.example.org/a?b=c", "hooks.example.org", 443, "/a?b=c"),
        ("https://HOOKS.example.org.:8443", "hooks.example.org", 8443, "/"),
        ("https://a.b.lab.example.org/", "a.b.lab.example.org", 443, "/"),
        ("http://localhost:9000/x", "localhost", 9000, "/x"),
        ("http://[::1]:9000/x", "::1", 9000, "/x"),
        ("https://10.1.2.3/x", "10.1.2.3", 443, "/x"),
    ],
)
def test_allowed(url: str, host: str, port: int, target: str) -> None:
    address = WebhookAddress.of(url, ALLOWED)
    assert (address.host, address.port, address.target) == (host, port, target)
    assert address.url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.org",
        "//hooks.example.org/",
        "file:///etc/passwd",
        "ftp://hooks.example.org/",
        "gopher://hooks.example.org/",
        "http://hooks.example.org/",  # plain HTTP leaves this machine
        "http://10.1.2.3/",
        "https://example.org/",
        "https://lab.example.org/",  # *.NAME is what is below NAME
        "https://evillab.example.org/",
        "https://hooks.example.org.evil.example/",
        "https://hooks.example.org@evil.example/",
        "https://user:secret@hooks.example.org/",
        "https://hooks.example.org/#part",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org:port/",
        "https://hooks.example.org/a b",
        "https://hooks.example.org/\r\nX-Header: 1",
        "https://hööks.example.org/",
        "https://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254/latest/meta-data/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://hooks.example.org/" + "a" * 2000,
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(UsageError):
        WebhookAddress.of(url, ALLOWED)


#: This machine, its neighbours, and what clouds keep beside it; each in a spelling of its own.
SPELLINGS = (
    "2130706433",  # 127.0.0.1 as one number
    "0x7f000001",
    "0X7F.0.0.1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "127.0.0.1.",
    "localhost.",
    "LOCALHOST",
    "localhost.localdomain",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[ff02::1]",
    "169.254.169.254",
    "2852039166",  # the same as one number
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "100.64.0.1",
    "100.127.255.254",
    "10.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "224.0.0.1",
)
#: What only looks like a host: letters and signs that programs turn into digits and dots.
DISGUISES = (
    "１２７.0.0.1",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "ｌocalhost",
    "local\u00adhost",
    "127.0.0.1\u200b",
    "%31%32%37.0.0.1",
    "127.0.0.1%2f",
    "127.0.0.1\\@hooks.example.org",
    "hooks.example.org\\@127.0.0.1",
    "hooks.example.org#@127.0.0.1",
)


@pytest.mark.parametrize("host", [*SPELLINGS, *DISGUISES])
def test_no_spelling_is_a_listed_host(host: str) -> None:
    with pytest.raises(UsageError):
        WebhookAddress.of(f"https://{host}/", ("hooks.example.org", "*.example.org"))


@pytest.mark.parametrize("host", SPELLINGS)
def test_whatever_a_spelling_means_it_is_not_permitted(host: str) -> None:
    """As the system's own resolver reads it, where every public host is allowed."""
    try:
        address = WebhookAddress.of(f"https://{host}/", ("*",))
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (UsageError, OSError):
        return  # nobody reads it at all
    for entry in found:
        number = ipaddress.ip_address(str(entry[4][0]).partition("%")[0])
        assert not address.permits(number), number


def test_nothing_is_allowed_unless_it_is_listed() -> None:
    with pytest.raises(UsageError, match="webhook_hosts"):
        WebhookAddress.of("https://hooks.example.org/", ())


PRIVATE = (
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
    "::127.0.0.1",
    "::a9fe:a9fe",
    "fec0::1",
    "64:ff9b:1::a9fe:a9fe",
    "::ffff:0:127.0.0.1",
)


@pytest.mark.parametrize("text", PRIVATE)
def test_special_addresses_are_not_public(text: str) -> None:
    number = ipaddress.ip_address(text)
    assert not is_public(number)
    matched = WebhookAddress.of("https://anything.example.net/", ("*",))
    assert not matched.permits(number)


@pytest.mark.parametrize("text", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_public_addresses(text: str) -> None:
    number = ipaddress.ip_address(text)
    assert is_public(number)
    assert WebhookAddress.of("https://anything.example.net/", ("*",)).permits(number)


def test_a_host_that_is_named_may_be_in_a_private_network() -> None:
    named = WebhookAddress.of("https://hooks.example.org/", ALLOWED)
    assert named.permits(ipaddress.ip_address("10.0.0.1"))


def test_plain_http_stays_on_this_machine() -> None:
    here = WebhookAddress.of("http://localhost/", ALLOWED)
    assert here.permits(ipaddress.ip_address("127.0.0.1"))
    assert not here.permits(ipaddress.ip_address("10.0.0.1"))
    assert not here.permits(ipaddress.ip_address("8.8.8.8"))
