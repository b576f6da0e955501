"""Which addresses a download may reach, and which format it takes."""

import json
import socket
import subprocess
import sys
from typing import Any

import pytest

from vemoclap_client.fetch._formats import choose_formats
from vemoclap_client.fetch._guard import Guard, is_public

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:800::200e"]

NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba Cloud's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's host
    "169.254.169.254",  # the other clouds' metadata
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # Oracle Cloud's metadata
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4
    "fc00::1",
    "fd00:ec2::254",  # Amazon's metadata
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    # Other spellings, which only a look-up understands.
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "localhost",
    "example.org",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_other_addresses_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_UNIX, "/run/docker.sock"),
        (socket.AF_UNIX, b"\0abstract"),
        (socket.AF_NETLINK, (0, 0)),
        (socket.AF_INET, ("localhost", 80)),
        (socket.AF_INET, ("example.org", 80)),
        (socket.AF_INET, (b"127.0.0.1", 80)),
    ],
)
def test_no_setting_allows_what_is_no_ip_address(family: int, address: Any) -> None:
    guard = Guard(allow_private=True, networks=["0.0.0.0/0"], max_bytes=1)
    assert not guard.permits(family, address)


def test_networks_are_allowed_besides_the_public_addresses() -> None:
    guard = Guard(allow_private=False, networks=["10.1.0.0/16", "fd00::/64"], max_bytes=1)
    assert guard.permits(socket.AF_INET, ("10.1.255.1", 80))
    assert guard.permits(socket.AF_INET6, ("fd00::1", 80, 0, 0))
    assert guard.permits(socket.AF_INET, ("8.8.8.8", 80))
    assert not guard.permits(socket.AF_INET, ("10.2.0.1", 80))
    assert not guard.permits(socket.AF_INET6, ("::ffff:10.1.0.1", 80, 0, 0))


GUARDED = """
import ftplib, os, socket, subprocess, sys
from vemoclap_client.fetch._guard import AddressRefused, Guard
Guard(allow_private=False, networks=[], max_bytes=1).install()
inet, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
try:
    {code}
except (AddressRefused, PermissionError) as error:
    sys.exit(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("socket.create_connection(('127.0.0.1', 1))", "AddressRefused"),
        ("socket.socket().connect(('localhost', 1))", "AddressRefused"),
        ("socket.socket().connect_ex(('127.0.0.1', 1))", "AddressRefused"),
        ("socket.socket(type=udp).sendto(b'x', ('127.0.0.1', 1))", "AddressRefused"),
        ("socket.socket(type=udp).sendmsg([b'x'], [], 0, ('127.0.0.1', 1))", "AddressRefused"),
        ("socket.socket(socket.AF_UNIX).connect('/nowhere')", "AddressRefused"),
        ("subprocess.run(['true'])", "PermissionError"),
        ("subprocess.run('true', shell=True)", "PermissionError"),
        ("subprocess.run(['/bin/true'], close_fds=False)", "PermissionError"),
        ("os.system('true')", "PermissionError"),
        ("os.execv('/bin/true', ['true'])", "PermissionError"),
        ("ftplib.FTP().connect('127.0.0.1', 1)", "PermissionError"),
    ],
)
def test_the_interpreter_itself_refuses(code: str, error: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", GUARDED.format(code=code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr.strip()) == (1, error)


DISGUISES = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://LOCALHOST/",
    "http://127.255.255.254/",
    "http://0/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://192.168.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://0251.0376.0251.0376/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://rebound.example/",
]
NO_HOSTS = {
    "http://127.0.0.1./",
    "http://localhost./",
    "http://%31%32%37.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",
}
"""Which systems take these for an address differs."""

GUARDED_LINKS = """
import json, socket, sys, urllib.request
from vemoclap_client.fetch._guard import AddressRefused, Guard
answers = {"rebound.example": ["8.8.8.8", "127.0.0.1"]}
look_up = socket.getaddrinfo
def rebinding(host, *arguments, **options):
    # The first look-up, as a check would make it, has another answer than the second.
    host = (answers.get(host) or [host]).pop(0)
    return look_up(host, *arguments, **options)
socket.getaddrinfo = rebinding
socket.getaddrinfo("rebound.example", 80)
Guard(allow_private=False, networks=[], max_bytes=1).install()
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for link in json.load(sys.stdin):
    try:
        opener.open(link, timeout=5)
        print("reached")
    except AddressRefused as error:
        print("refused")
    except Exception as error:
        print(f"no such host: {error!r}")
"""


def test_no_disguise_of_a_private_address_is_connected_to() -> None:
    links = [*DISGUISES, *NO_HOSTS]
    finished = subprocess.run(
        [sys.executable, "-c", GUARDED_LINKS],
        input=json.dumps(links),
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = dict(zip(links, finished.stdout.splitlines(), strict=True))
    # What the system takes for no address at all cannot be connected to either.
    assert {link for link, outcome in outcomes.items() if outcome == "reached"} == set()
    unknown = {link for link, outcome in outcomes.items() if outcome != "refused"}
    assert unknown <= NO_HOSTS, outcomes


def test_this_machine_s_own_public_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows a public address of this machine: one of its own stands for it."""
    monkeypatch.setattr("vemoclap_client.fetch._guard.is_public", lambda address: True)
    guard = Guard(allow_private=False, networks=[], max_bytes=1)
    assert not guard.permits(socket.AF_INET, ("127.0.0.1", 80))
    assert guard.permits(socket.AF_INET, ("8.8.8.8", 80))
    allowed = Guard(allow_private=False, networks=["127.0.0.0/8"], max_bytes=1)
    assert allowed.permits(socket.AF_INET, ("127.0.0.1", 80))


def a_format(name: str, height: int | None, codecs: str = "va", **more: Any) -> dict[str, Any]:
    """A format as yt-dlp describes it; `codecs` has v for pictures and a for sound."""
    has = {
        "vcodec": "h264" if "v" in codecs else "none",
        "acodec": "aac" if "a" in codecs else "none",
    }
    return {"format_id": name, "height": height, "protocol": "https"} | has | more


SOUND = a_format("sound", None, "a")


@pytest.mark.parametrize(
    ("formats", "chosen"),
    [
        ([a_format("240", 240), a_format("480", 480), a_format("1080", 1080)], "480"),
        ([a_format("2160", 2160), a_format("720", 720)], "720"),
        ([SOUND, a_format("360", 360), a_format("silent", 480, "v")], "360"),
        ([SOUND, a_format("silent", 480, "v")], "silent sound"),
        ([a_format("silent", 480, "v")], "silent"),
        ([SOUND], ""),
        ([a_format("unknown", None, vcodec=None, acodec=None)], "unknown"),
        ([a_format("360", 360), a_format("rtmp", 480, protocol="rtmp")], "360"),
        ([a_format("240", 240), a_format("hls", 480, protocol="m3u8_native")], "hls"),
        ([], ""),
    ],
)
def test_formats_have_sound_and_no_more_lines_than_needed(
    formats: list[dict[str, Any]], chosen: str
) -> None:
    assert " ".join(one["format_id"] for one in choose_formats(formats)) == chosen
