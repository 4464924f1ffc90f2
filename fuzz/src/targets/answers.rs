//! An origin's answer over HTTP/1.1, read by our connection and by hyper's client: what we accept, both read alike. The
//! first byte chooses the method and the pieces in which it arrives.

#[path = "../../../crates/http1/tests/reading/mod.rs"]
mod reading;

use crate::Target;
use http::Method;

pub(crate) const TARGET: Target = Target {
    name: "answers",
    run,
    words: &[
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        " ",
        "\t",
        ":",
        ";",
        ",",
        "0",
        "5",
        "f",
        "+",
        "-",
        "\0",
        "é",
        "HTTP/1.1 ",
        "HTTP/1.0 ",
        "HTTP/2 ",
        "100 Continue",
        "101 Switching Protocols",
        "103 ",
        "204 ",
        "304 ",
        "content-length: 5\r\n",
        "content-length: 05\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "transfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "connection: close\r\n",
        "upgrade: websocket\r\n",
        "\r\n ",
        "0\r\n\r\n",
        "5\r\nhello\r\n",
        "ffffffffffffffff\r\n",
        ";a=\"b\r\n\"",
        "trailer: a\r\n",
    ],
    rounds: 1_500,
};

fn run(data: &[u8]) {
    let [how, sent @ ..] = data else { return };
    let method = if how & 1 == 0 { Method::GET } else { Method::HEAD };
    reading::compare(&method, sent, usize::from(how >> 1).max(1));
}
