"""Which addresses the only outgoing HTTP may dial, and how a URL is read."""

import pytest

from shared.platform.fetch import targets
from shared.platform.fetch.addresses import is_public
from shared.platform.fetch.errors import AddressNotAllowed

RULES = {"schemes": ("https", "http"), "ports": (80, 443)}

CLOSED = {
    "loopback": ("127.0.0.1", "127.255.255.254", "::1"),
    "unspecified": ("0.0.0.0", "0.1.2.3", "::"),
    "private": ("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1"),
    "metadata": ("169.254.169.254", "fd20:ce::254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200"),
    "link-local": ("169.254.0.1", "fe80::1", "fe80::1%lo", "febf::1"),
    "carrier-grade NAT": ("100.64.0.1", "100.127.255.255"),
    "unique local": ("fc00::1", "fdff:ffff::1"),
    "site-local": ("fec0::1",),
    "multicast": ("224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"),
    "reserved": ("240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.0.170", "5f00::1", "4000::1"),
    "documentation": ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"),
    "benchmarks": ("198.18.0.1", "198.19.255.255", "2001:2::1"),
    "discard": ("100::1", "100:0:0:1::1"),
    "IPv4-mapped": ("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::ffff:7f00:1"),
    "IPv4-compatible": ("::127.0.0.1", "::8.8.8.8"),
    "IPv4-translated": ("::ffff:0:127.0.0.1",),
    "6to4": ("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1", "192.88.99.1"),
    "NAT64": ("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1"),
    "Teredo and its neighbours": ("2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1"),
    "ISATAP": ("2600:1901::5efe:a00:1", "2600:1901::200:5efe:7f00:1"),
    "not an address": ("", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "1.2.3.4.5"),
}
OPEN = (
    "8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.1", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
    "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2600:1901::1",
    "2606:4700:4700::1111", "2a00:1450:4001::1", "2003::1",
)  # fmt: skip


@pytest.mark.parametrize("address", [one for group in CLOSED.values() for one in group])
def test_an_address_that_is_not_public_is_closed(address: str) -> None:
    """Ours, the cloud's, nobody's, or another address in disguise."""
    assert not is_public(address)


@pytest.mark.parametrize("address", OPEN)
def test_a_public_address_is_open(address: str) -> None:
    """Also right beside the closed ranges."""
    assert is_public(address)


def test_a_laptop_opens_loopback_and_nothing_else() -> None:
    """The setting for tests lets no private range in."""
    opened = {one for group in CLOSED.values() for one in group if is_public(one, loopback=True)}
    assert opened == set(CLOSED["loopback"])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/",
        "http://0177.0.0.1/", "http://017700000001/", "http://127.0.0.01/", "http://0/", "http://0x/",
        "http://1.2.3.4.5/", "http://256.1.1.1/", "http://example.1/", "http://example.0x10/",
        "http://[::1%25lo]/", "http://[fe80::1%25eth0]/", "http://[::1/", "http://[1.2.3.4]/", "http://[]/",
        "http://[v1.x]/", "http://[::1]x/",
        "http://example.com../", "http://.example.com/", "http://example..com/", "http:///path", "http://",
        "http://./", "http://exa%6dple.com/", "http://127%2e0.0.1/", "http://-x.example/", "http://x-.example/",
        f"http://{'a' * 64}.example/", f"http://{'a.' * 127}example/", "http://exam$ple.com/",
        "http://user@example.com/", "http://user:pass@example.com/", "http://@example.com/",
        "http://example.com@127.0.0.1/", "http://example.com:80@127.0.0.1/", "http://example.com#@127.0.0.1:x@/",
        "http://example.com:0/", "http://example.com:22/", "http://example.com:65536/", "http://example.com:x/",
        "http://example.com:-1/", "http://example.com:8080/", "http://example.com:80:80/",
        "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "data:text/plain,x", "//example.com/",
        "example.com", "", "javascript:alert(1)", "dict://example.com:11211/", "jar:http://example.com!/",
        "http://exam\nple.com/", "http://example.com/\r\nHost: x", "http://example.com/a b", "http:\\\\example.com",
        "http://example.com\\@127.0.0.1/", "\thttp://example.com/", "http://example.com/\x00",
        "http://example.com/\xa0", "http://example.com/" + "a" * 2048,
        "http://\u2488.example/", "http://\u0430\u200d.example/", "http://xn--\u00fc.example/",
    ],
)  # fmt: skip
def test_a_url_that_two_readers_could_read_differently_is_refused(url: str) -> None:
    """Number forms, escapes, user names, odd ports and schemes, control characters."""
    if url == "http://example.com#@127.0.0.1:x@/":
        # The fragment begins before the @: what is called is example.com, and no reader disagrees.
        assert targets.parse(url, **RULES).host == "example.com"
        return
    with pytest.raises(AddressNotAllowed) as caught:
        targets.parse(url, **RULES)
    assert caught.value.field == "url"


@pytest.mark.parametrize(
    ("url", "host", "read"),
    [
        ("HTTP://Example.COM", "example.com", "http://example.com/"),
        ("https://example.com.", "example.com", "https://example.com/"),
        ("https://example.com:443/a?b=c#d", "example.com", "https://example.com/a?b=c"),
        ("http://example.com:443/", "example.com", "http://example.com:443/"),
        ("http://127.0.0.1/", "127.0.0.1", "http://127.0.0.1/"),
        ("http://１２７。０。０。１/", "127.0.0.1", "http://127.0.0.1/"),
        ("http://[::FFFF:127.0.0.1]/", "::ffff:7f00:1", "http://[::ffff:7f00:1]/"),
        ("http://[2001:DB8:0::1]:80/", "2001:db8::1", "http://[2001:db8::1]/"),
        ("https://münchen.example/straße", "xn--mnchen-3ya.example", None),
        ("https://faß.example/", "xn--fa-hia.example", None),
        ("https://ｅｘａｍｐｌｅ.com/", "example.com", None),
        ("https://a_b.example/%2e%2E/", "a_b.example", "https://a_b.example/%2e%2E/"),
        ("https://example.com/ä?ö=ü", "example.com", "https://example.com/%C3%A4?%C3%B6=%C3%BC"),
        ("https://example.com//127.0.0.1/", "example.com", "https://example.com//127.0.0.1/"),
        ("https://xn--mnchen-3ya.example/", "xn--mnchen-3ya.example", None),
    ],
)  # fmt: skip
def test_a_url_has_one_reading(url: str, host: str, read: str | None) -> None:
    """Case, default ports, trailing dots, wide digits and international names end in one form."""
    target = targets.parse(url, **RULES)
    assert target.host == host
    assert target.is_address == (host[0] in "1:2" and host != "2")
    if read is not None:
        assert target.url == read
        assert targets.parse(target.url, **RULES) == target


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/b", "https://example.com/b"),
        ("b", "https://example.com/a/b"),
        ("?x=1", "https://example.com/a/?x=1"),
        ("//other.example/", "https://other.example/"),
        ("https://other.example", "https://other.example/"),
        ("http://example.com/", None),
        ("//user@other.example/", None),
        ("file:///etc/passwd", None),
        ("https://[::1", None),
        ("https://0x7f.1/", None),
        ("https://other.example:8443/", None),
    ],
)
def test_a_redirect_is_read_like_the_first_address(location: str, leads_to: str | None) -> None:
    """Relative or absolute, by the same rules, and never from https to http."""
    target = targets.parse("https://example.com/a/", **RULES)
    if leads_to is None:
        with pytest.raises(AddressNotAllowed):
            targets.follow(target, location, **RULES)
    else:
        assert targets.follow(target, location, **RULES).url == leads_to
