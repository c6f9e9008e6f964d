# SPDX-License-Identifier: MIT
"""As much of HTTP/2 (RFC 9113) as asking for one thing at a time takes, so that thousands of
connections can be held open that were used once. Fields are sent as literals (RFC 7541)."""
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
METHOD_GET, SCHEME_HTTPS, STATUS_200 = 0x82, 0x87, 0x88     # of the static table
AUTHORITY, PATH = 0x01, 0x04                                # their names; not to be indexed


def frame(kind, flags=0, stream=0, body=b""):
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def literal(name, value):
    return bytes([name, len(value)]) + value.encode()       # shorter than 127


def begin(connection):
    connection.sendall(PREFACE + frame(SETTINGS))


def ask(connection, path, stream):
    """GET on a stream of its own (1, 3, 5 …), read to its end; whether it was answered with 200."""
    fields = bytes([METHOD_GET, SCHEME_HTTPS]) + literal(AUTHORITY, "127.0.0.1") + \
        literal(PATH, path)
    connection.sendall(frame(HEADERS, END_STREAM | END_HEADERS, stream, fields))
    good = False
    while True:
        head = exactly(connection, 9)
        size = int.from_bytes(head[:3], "big")
        kind, flags, of = struct.unpack(">BBI", head[3:])
        body = exactly(connection, size)
        if kind == SETTINGS and not flags & ACK:
            connection.sendall(frame(SETTINGS, ACK))
        elif kind == PING and not flags & ACK:
            connection.sendall(frame(PING, ACK, 0, body))
        elif kind == HEADERS and of == stream:
            good = answered(body)
        elif kind in (GOAWAY, RST_STREAM):
            return False
        if kind in (DATA, HEADERS) and of == stream and flags & END_STREAM:
            return good


def answered(fields):
    """200 as its first field, behind what resizes the table: by index, or spelled out."""
    at = 0
    while fields[at] & 0xe0 == 0x20:
        more = fields[at] & 0x1f == 0x1f                    # a number of several bytes
        at += 1
        while more:
            more = fields[at] & 0x80
            at += 1
    spelled = fields[at + 1:at + 5]
    return fields[at] == STATUS_200 or spelled[:4] == b"\x03200"


def exactly(connection, size):
    text = b""
    while len(text) < size:
        more = connection.recv(size - len(text))
        if not more:
            raise OSError("closed")
        text += more
    return text
