"""HTTP/2 as a library speaks it, and frames that no library would send."""

import struct

import h2.config
import h2.connection
import h2.events
import h2.settings
import wire

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_ERROR, PROTOCOL_ERROR, ENHANCE_YOUR_CALM = 0, 1, 11


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def hpack(app, *fields, path="/"):
    """A head as literals that are not indexed."""
    head = [(":method", "GET"), (":scheme", "https"), (":authority", app.authority), (":path", path), *fields]
    return b"".join(b"\0" + text(name) + text(value) for name, value in head)


def text(value):
    """A string of HPACK, not Huffman-coded (RFC 7541 §5.2)."""
    value = value.encode("latin-1")
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, out = len(value) - 127, [127]
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes([*out, rest]) + value


class Ended:
    """How an attack went: what the gateway said until it closed, or until patience was over."""

    def __init__(self):
        self.goaway, self.resets, self.closed, self.answers = None, {}, False, {}


class Frames:
    """A connection on which a test writes frames; after the client's preface and an empty SETTINGS."""

    def __init__(self, app, certificate=None):
        self.wire = app.open("h2", certificate)
        assert self.wire.sock.selected_alpn_protocol() == "h2"
        self.send(PREFACE + frame(SETTINGS))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.sock.close()

    def send(self, data):
        self.wire.send(data)

    def flood(self, data, times):
        """Sends again and again until the gateway stops listening; how often it listened."""
        for count in range(times):
            try:
                self.wire.sock.sendall(data)
            except (OSError, ValueError):
                return count
        return times

    def next(self):
        """The next frame: kind, flags, stream, payload."""
        head = self.wire.reader.exactly(9)
        size = int.from_bytes(head[:3], "big")
        return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, self.wire.reader.exactly(size)

    def until(self, enough):
        """Reads frames until `enough` says so of what has been found, or the gateway closes."""
        found = Ended()
        try:
            while not enough(found):
                kind, flags, stream, payload = self.next()
                if kind == GOAWAY:
                    found.goaway = int.from_bytes(payload[4:8], "big")
                elif kind == RST_STREAM:
                    found.resets[stream] = int.from_bytes(payload, "big")
                elif kind == HEADERS:
                    found.answers[stream] = payload
                elif kind == PING and not flags & ACK:
                    self.send(frame(PING, ACK, 0, payload))
        except (wire.Closed, TimeoutError) as ended:
            found.closed = isinstance(ended, wire.Closed)
        return found


class Answer:
    def __init__(self):
        self.fields, self.body, self.trailers, self.reset, self.ended = [], b"", [], None, False

    @property
    def status(self):
        status = self[":status"]
        return int(status) if status else None

    def __getitem__(self, name):
        return next((value for key, value in self.fields + self.trailers if key == name), None)


class Client:
    """A client by the `h2` library, told not to mend what a test wants to break."""

    def __init__(self, app):
        self.app = app
        self.wire = app.open("h2")
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.answers, self.goaway, self.closed = {}, None, False
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.sock.close()

    def flush(self):
        self.wire.send(self.h2.data_to_send())

    def head(self, *fields, **pseudo):
        """A head with the usual pseudo-header fields; keywords change them, `None` leaves one out."""
        usual = {"method": "GET", "scheme": "https", "authority": self.app.authority, "path": "/", **pseudo}
        return [(f":{name}", value) for name, value in usual.items() if value is not None] + list(fields)

    def send(self, head, body=None, end=True):
        """Starts a stream; its number."""
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.h2.send_headers(stream, head, end_stream=body is None and end)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def read(self, enough):
        """Reads until `enough()`, or the gateway closes."""
        while not enough() and not self.closed:
            try:
                data = self.wire.sock.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                self.closed = True
                return
            for event in self.h2.receive_data(data):
                self.note(event)
            self.flush()

    def note(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.ResponseReceived():
                answer.fields = event.headers
            case h2.events.TrailersReceived():
                answer.trailers = event.headers
            case h2.events.DataReceived():
                answer.body += event.data
                if event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                answer.ended = True
            case h2.events.StreamReset():
                answer.reset, answer.ended = event.error_code, True
            case h2.events.ConnectionTerminated():
                self.goaway, self.closed = event.error_code, True

    def answer(self, stream):
        """The whole answer on a stream. Without a status it was reset, or the connection ended."""
        self.read(lambda: self.answers[stream].ended)
        return self.answers[stream]

    def ask(self, head, body=None):
        return self.answer(self.send(head, body))
