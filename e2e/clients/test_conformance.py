"""What WebSockets may and may not say (RFC 6455), frame by frame: through the gateway the echo server comes to the same
verdict as without it (security §4, W4). The cases are those of the public conformance suites, in groups of their order."""

import base64
import contextlib
import os
import socket
import ssl
import struct

import pytest
import wire
from gateway import policy

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x5a\x01\xff\x80"


def frame(opcode, payload=b"", fin=True, reserved=0, mask=MASK, size=None):
    """A frame as a client sends it; `size` writes the length in 7, 16 or 64 bits, however short it is."""
    length = len(payload)
    size = size or (7 if length < 126 else 16 if length < 65536 else 64)
    head = bytes([fin << 7 | reserved << 4 | opcode])
    masked = 0x80 if mask else 0
    match size:
        case 7:
            head += bytes([masked | length])
        case 16:
            head += struct.pack(">BH", masked | 126, length)
        case 64:
            head += struct.pack(">BQ", masked | 127, length)
    if mask:
        payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return head + (mask or b"") + payload


def closing(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


def parts(opcode, *pieces):
    """One message in fragments."""
    last = len(pieces) - 1
    return b"".join(frame(opcode if at == 0 else CONTINUATION, piece, at == last) for at, piece in enumerate(pieces))


BYE = closing(1000)
GREETING = "Hello-µ@ßöäüàá-UTF-8!!".encode()
LONG = os.urandom(1 << 20)

# What is said, and after how many frames of answer the next is said: an echo that a close overtakes would be lost or not.
CASES = {
    # 1: framing
    "1.1 text, nothing in it": [frame(TEXT), 1, BYE],
    "1.1 text of 125": [frame(TEXT, b"*" * 125), 1, BYE],
    "1.1 text of 126": [frame(TEXT, b"*" * 126), 1, BYE],
    "1.1 text of 127": [frame(TEXT, b"*" * 127), 1, BYE],
    "1.1 text of 65535": [frame(TEXT, b"*" * 65535), 1, BYE],
    "1.1 text of 65536": [frame(TEXT, b"*" * 65536), 1, BYE],
    "1.2 bytes, none": [frame(BINARY), 1, BYE],
    "1.2 bytes, 126": [frame(BINARY, b"\xfe" * 126), 1, BYE],
    "1.2 bytes, a megabyte": [frame(BINARY, LONG[:1 << 20]), 1, BYE],
    "1.3 a length in 64 bits that fits into 7": [frame(TEXT, b"hi", size=64), 1, BYE],
    "1.3 a length in 16 bits that fits into 7": [frame(TEXT, b"hi", size=16), 1, BYE],
    "1.3 a length with its highest bit set": [b"\x82\xff\x80" + b"\0" * 7 + MASK],
    "1.3 not masked": [frame(TEXT, b"hi", mask=b"")],
    "1.3 masked with nothing": [frame(TEXT, b"hi", mask=b"\0\0\0\0"), 1, BYE],
    # 2: pings and pongs
    "2.1 ping": [frame(PING), 1, BYE],
    "2.2 ping with something": [frame(PING, b"payload"), 1, BYE],
    "2.3 ping with bytes": [frame(PING, b"\0\xff\xfe\xfd"), 1, BYE],
    "2.4 ping of 125": [frame(PING, b"\xfe" * 125), 1, BYE],
    "2.5 ping of 126": [frame(PING, b"\xfe" * 126, size=16)],
    "2.6 a pong that nobody asked for": [frame(PONG, b"unasked") + frame(TEXT, b"hi"), 1, BYE],
    "2.10 ten pings": [b"".join(frame(PING, b"%d" % at) for at in range(10)), 10, BYE],
    # 3: reserved bits
    **{f"3 reserved bits {bits}": [frame(TEXT, b"hi"), 1, frame(TEXT, b"hi", reserved=bits) + frame(PING)] for bits in range(1, 8)},
    "3 reserved bits on a ping": [frame(PING, b"hi", reserved=4)],
    # 4: opcodes
    **{f"4 opcode {code}": [frame(TEXT, b"hi"), 1, frame(code, b"hi") + frame(PING)] for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    # 5: fragments
    "5.1 a ping in fragments": [parts(PING, b"a", b"b")],
    "5.2 a pong in fragments": [parts(PONG, b"a", b"b")],
    "5.3 text in fragments": [parts(TEXT, b"frag", b"ment"), 1, BYE],
    "5.5 text in bytes": [parts(TEXT, *[bytes([byte]) for byte in GREETING]), 1, BYE],
    "5.6 a ping between fragments": [frame(TEXT, b"frag", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"ment"), 2, BYE],
    "5.9 a continuation of nothing": [frame(CONTINUATION, b"lost") + frame(TEXT, b"hi")],
    "5.11 an unfinished continuation of nothing": [frame(CONTINUATION, b"lost", fin=False) + frame(TEXT, b"hi")],
    "5.15 a continuation after the end": [parts(TEXT, b"a", b"b"), 1, frame(CONTINUATION, b"c", fin=False) + frame(TEXT, b"d")],
    "5.18 a message within a message": [frame(TEXT, b"a", fin=False) + frame(TEXT, b"b")],
    "5.19 pings among many fragments": [
        frame(TEXT, b"1", fin=False) + frame(PING, b"a") + frame(CONTINUATION, b"2", fin=False) + frame(PING, b"b")
        + frame(CONTINUATION, b"3"), 3, BYE],
    # 6: UTF-8
    "6.1 empty fragments": [parts(TEXT, b"", b"", b""), 1, BYE],
    "6.2 text beyond ASCII": [frame(TEXT, GREETING), 1, BYE],
    "6.3 not UTF-8": [frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited")],
    "6.4 not UTF-8, in the second fragment": [parts(TEXT, b"\xce\xba\xe1\xbd\xb9", b"\xf4\x90\x80\x80", b"edited")],
    "6.5 the largest code point": [frame(TEXT, b"\xf4\x8f\xbf\xbf"), 1, BYE],
    "6.6 cut off in a code point": [frame(TEXT, b"\xce\xba\xe1\xbd")],
    "6.7 a code point in two fragments": [parts(TEXT, b"\xf0\x9f", b"\x98\x80"), 1, BYE],
    "6.14 overlong": [frame(TEXT, b"\xc0\xaf")],
    "6.15 NUL overlong": [frame(TEXT, b"\xc0\x80")],
    "6.18 half of a pair": [frame(TEXT, b"\xed\xa0\x80")],
    "6.20 never a byte of UTF-8": [frame(TEXT, b"\xfe")],
    "6.21 not characters, but UTF-8": [frame(TEXT, b"\xef\xbf\xbe\xef\xbf\xbf"), 1, BYE],
    # 7: closing
    "7.1 close, and more": [BYE + frame(TEXT, b"late") + frame(PING, b"late")],
    "7.1 close twice": [BYE, 1, BYE],
    "7.1 close within a message": [frame(TEXT, b"frag", fin=False) + BYE + frame(CONTINUATION, b"ment")],
    "7.3 close without a code": [closing()],
    "7.3 half a code": [frame(CLOSE, b"\x03")],
    "7.3 a reason": [closing(1000, GREETING)],
    "7.3 a reason of 123": [closing(1000, b"*" * 123)],
    "7.3 a reason of 124": [frame(CLOSE, b"\x03\xe8" + b"*" * 124, size=16)],
    "7.5 a reason that is not UTF-8": [closing(1000, b"\xce\xba\xe1\xbd\xb9\xcf\xed\xa0\x80")],
    "7.5 a close in fragments": [frame(CLOSE, b"\x03\xe8", fin=False)],
    **{f"7.7 code {code}": [closing(code)] for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)},
    **{f"7.9 code {code}": [closing(code)] for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)},
    # 9: much
    "9.1 text in 64 kB fragments": [parts(TEXT, *[b"*" * 65536] * 8), 1, BYE],
    "9.3 bytes in 4 kB fragments": [parts(BINARY, *[LONG[at:at + 4096] for at in range(0, 1 << 18, 4096)]), 1, BYE],
    "9.7 five hundred messages": [frame(TEXT, b"*" * 16) * 500, 500, BYE],
}


@pytest.fixture(scope="module")
def open_sockets(gateway):
    app = gateway.protect(policy("bypass"), host="socket.localhost")
    yield app
    gateway.access("DELETE", f"/apps/{app.id}")


def switch(connection, authority):
    """Makes a WebSocket of a connection; what came after the 101."""
    key = base64.b64encode(b"sixteen bytes!!!").decode()
    connection.sendall(
        f"GET /echo HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    reader = wire.Reader(connection)
    assert reader.head().line.startswith("HTTP/1.1 101 ")
    return reader


def verdict(connection, authority, steps):
    """Every frame that comes back, and then the end."""
    reader, frames = switch(connection, authority), []

    def one():
        first, second = reader.exactly(2)
        assert not second & 0x80, "a server masks nothing"
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(reader.exactly(2 if length == 126 else 8), "big")
        frames.append((first, reader.exactly(length)))

    with contextlib.suppress(wire.Closed, ConnectionError, ssl.SSLError):
        for step in steps:
            if isinstance(step, int):
                for _ in range(step):
                    one()
            else:
                connection.sendall(step)
    with contextlib.suppress(wire.Closed):
        while True:
            one()
    return frames


@pytest.mark.parametrize("case", CASES)
def test_w04_the_verdict_is_the_same_as_without_the_gateway(gateway, open_sockets, sockets, case):
    direct = socket.create_connection(("127.0.0.1", sockets.port), wire.PATIENCE)
    with direct:
        want = verdict(direct, f"127.0.0.1:{sockets.port}", CASES[case])
    assert want, "the echo server has a verdict"
    with open_sockets.open() as through:
        got = verdict(through.sock, open_sockets.authority, CASES[case])
    assert got == want
