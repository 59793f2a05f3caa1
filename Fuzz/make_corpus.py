#!/usr/bin/env python3
"""Writes small valid files and messages, and a few that just fail, for the fuzzers to start from.

    Fuzz/make_corpus.py FOLDER    one folder for each target is made in it
"""

import gzip
import pathlib
import struct
import sys
import zlib


def npy_dictionary(descr, order, shape):
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape!r}, }}".encode()


def npy(descr, order, shape, version=1):
    """As NumPy writes it: padded with blanks to a multiple of 64 bytes."""
    text = npy_dictionary(descr, order, shape)
    start = 10 if version == 1 else 12
    length = (start + len(text) + 1 + 63) // 64 * 64 - start
    text = text.ljust(length - 1) + b"\n"
    count = 1
    for extent in shape:
        count *= extent
    code = {"<f2": "e", "<f4": "f", "<f8": "d"}[descr]
    numbers = struct.pack(f"<{count}{code}", *(i / 2 for i in range(count)))
    return b"\x93NUMPY" + struct.pack("<BBH" if version == 1 else "<BBI", version, 0, length) + text + numbers


def npy_files():
    yield "scalar", npy("<f8", False, ())
    yield "vector", npy("<f4", False, (3,))
    yield "matrix", npy("<f4", False, (2, 3))
    yield "matrix-double", npy("<f8", False, (3, 2))
    yield "matrix-half", npy("<f2", False, (3, 5))
    yield "columns", npy("<f8", True, (2, 3))
    yield "columns-half", npy("<f2", True, (2, 3, 4))
    yield "empty", npy("<f4", False, (0, 4))
    yield "version2", npy("<f4", True, (2, 2), version=2)
    yield "version3", npy("<f8", False, (1, 1, 1, 2), version=3)
    # The dictionary alone, with which the targets make files of the right length.
    yield "dictionary", npy_dictionary("<f4", False, (4, 4))
    yield "dictionary-columns", npy_dictionary("<f2", True, (2, 3, 2))
    # No numbers, but extents whose product does not fit.
    yield "empty-huge", npy_dictionary("<f2", True, (2**62, 2**62, 0))
    yield "huge-empty", npy_dictionary("<f2", False, (0, 2**62, 2**62))


def idx(*dimensions):
    count = 1
    for extent in dimensions:
        count *= extent
    header = struct.pack(f">{1 + len(dimensions)}I", 0x800 | len(dimensions), *dimensions)
    return header + bytes(i * 37 % 256 for i in range(count))


def pack(contents, level=9):
    return gzip.compress(contents, compresslevel=level, mtime=0)


def idx_files():
    yield "labels", idx(10)
    yield "images", idx(2, 3, 4)
    yield "one", idx(1, 1, 1)
    yield "labels-packed", pack(idx(10))
    yield "images-packed", pack(idx(2, 6, 6))
    yield "zeros-packed", pack(struct.pack(">4I", 0x803, 100, 28, 28) + bytes(78_400))
    yield "two-members", pack(idx(10)[:6]) + pack(idx(10)[6:])
    yield "too-large", struct.pack(">4I", 0x803, 2**31, 2**31, 2**31)
    yield "too-large-packed", pack(struct.pack(">4I", 0x803, 2**20, 2**5, 2**5) + bytes(100))


def with_all_fields(contents):
    """A member whose header has a comment, a name, an extra field and a checksum."""
    header = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\x04\x00abcd" + b"name\x00" + b"comment\x00"
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(contents) + packer.flush()
    return header + data + struct.pack("<II", zlib.crc32(contents), len(contents))


def gzip_files():
    text = b"Byzantine workers lie. " * 20
    yield "text", pack(text)
    yield "stored", pack(text[:50], level=0)
    yield "fixed", pack(b"lie")
    yield "empty", pack(b"")
    yield "members", pack(text[:20]) + pack(b"") + pack(text[20:60])
    yield "fields", with_all_fields(text)
    yield "noise", pack(bytes(i * i * 31 % 251 for i in range(400)))
    yield "at-the-limit", pack(bytes(4096))
    yield "bomb", pack(bytes(200_000))


def varint(number):
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


def value(tree):
    """A value of the wire format: see docs/wire-format.md."""
    if tree is None:
        return b"\x00"
    if isinstance(tree, bool):
        return b"\x02" if tree else b"\x01"
    if isinstance(tree, int):
        return b"\x03" + varint(tree * 2 if tree >= 0 else -tree * 2 - 1)
    if isinstance(tree, float):
        return b"\x06" + struct.pack("<d", tree)
    if isinstance(tree, str):
        return b"\x07" + text(tree)
    if isinstance(tree, bytes):
        return b"\x08" + varint(len(tree)) + tree
    if isinstance(tree, list):
        return b"\x09" + varint(len(tree)) + b"".join(map(value, tree))
    return b"\x0a" + varint(len(tree)) + b"".join(text(key) + value(item) for key, item in tree.items())


def text(string):
    return varint(len(string.encode())) + string.encode()


def tensor(shape, segment, element="float32"):
    return {"type": element, "shape": shape, "segment": segment}


def wire_values():
    record = {
        "bool": True, "string": "lie", "double": 0.5, "int": -3, "short": 300, "byte": 255, "bytes": b"\x01\x02",
        "choices": [{"none": {}}, {"one": {"_0": 7}}, {"pair": {"first": {"none": {}}, "_1": tensor([2], 0)}}],
        "tensor": tensor([2, 3], 2),
    }
    yield "record", value(record)
    yield "records", value({**record, "next": [record]})
    yield "tensor", value(tensor([2], 0))
    yield "unaligned", value([tensor([2], 3, "float64"), tensor([0, 4], 1, "float64")])
    yield "huge", value(tensor([2**62, 2**62, 0], 1))
    yield "numbers", value([0.5, 1.0, -2.0])
    yield "single", b"\x09\x02\x05\x00\x00\x80\x3f\x04\xff\xff\x03"
    yield "rows", value([[1, None, -1], []])
    yield "names", value({str(i): 0.5 for i in range(20)})
    yield "deep", b"\x09\x01" * 12 + b"\x00"
    yield "claims-much", b"\x09\xff\xff\x03" * 10


def frame(kind=4, body=b"", segments=(), places=None, call=1, time_left=0):
    header = b"BYZK" + struct.pack("<BBHIIQQ", 1, kind, len(segments), len(body), 1, call, time_left)
    places = places or [0] * len(segments)
    table = b"".join(struct.pack("<QQ", len(s), place) for s, place in zip(segments, places))
    inline = b"".join(s for s, place in zip(segments, places) if place == 0)
    return header + table + body + inline


def frames():
    # The first byte cuts the stream in pieces.
    yield "empty", b"\x00" + frame()
    yield "body", b"\x01" + frame(5, b"abc", time_left=1500)
    yield "segments", b"\x02" + frame(6, b"x", [b"1234", b"", b"5"])
    yield "shared", b"\x03" + frame(4, b"x", [b"1234", b"56", b"7"], [1, 0, 51])
    yield "several", b"\x04" + frame(2) + frame(3) + frame(4, b"xy", [b"12"]) + frame(8)
    yield "at-the-limit", b"\x05" + frame(4, bytes(256), [bytes(464)])
    yield "above-the-limit", b"\x06" + frame(4, bytes(256), [bytes(465)])


def unsigned(number):
    return b"\x04" + varint(number)


def array(*parts):
    return b"\x09" + varint(len(parts)) + b"".join(parts)


def messages():
    # The first byte chooses the reader: hello, call, invocation, answer, release, checkpoint, mail.
    hello = {"host": 0, "name": "node-3 (4711)", "types": {"A": 1}, "kernels": "avx2", "blas": "", "requiresSameBits": True}
    body = value(hello).replace(value("host")[1:] + value(0), value("host")[1:] + unsigned(2**63))
    yield "hello", b"\x00" + body
    note = value({"text": "lie", "tensor": tensor([2], 0)})
    spawn = array(unsigned(1), value("message.Echo"), note)
    keep = array(unsigned(4), unsigned(1), unsigned(0), value("message.Note"), note)
    residents = array(array(unsigned(1), unsigned(0)))
    total = array(
        unsigned(3),
        array(value("message.Sum"), value({"input": 0, "resident": 0}), array(value(tensor([2], 0))), residents,
              value(None), value(None)))
    shape = {"elementType": "float32", "columns": 2, "count": 2}
    shift = array(
        unsigned(3),
        array(value("message.Shift"), value({"columns": [0, 2], "outputRows": [0, 2], "residents": []}), array(), array(),
              value({**shape, "count": 1, "zeros": [0]}), value({**shape, "rows": [0, 2]})))
    put = array(unsigned(5), unsigned(1), value("letters"), unsigned(2), value("lie"))
    invoke = array(unsigned(2), unsigned(7), value("$s7message4EchoC3addyS2d_SdtYaKFTE"), array(), value([1.0, 2.0]))
    for name, service in [("spawn", spawn), ("keep", keep), ("shift", shift), ("put", put), ("invoke", invoke)]:
        yield name, b"\x01" + service
    yield "several", b"\x01" + array(keep, total, spawn, spawn)
    yield "add", b"\x02" + array(unsigned(0), array(), value([1.0, 2.0]))
    yield "fail", b"\x02" + array(unsigned(1), array(), array(value({"number": 3, "reason": "lie"})))
    yield "echo", b"\x02" + array(unsigned(2), array(value("Swift.String")), array(value("lie")))
    yield "echo-note", b"\x02" + array(unsigned(2), array(value("message.Note")), array(note))
    yield "other-target", b"\x02" + array(value("$s7message5OtherC3addyS2d_SdtYaKFTE"), array(), array())
    for kind, name in enumerate(["message.Refusal", "workerLost", "cancelled", "some.Error"]):
        failure = {"kind": kind, "name": name, "description": "what happened"}
        if kind == 0:
            failure["value"] = value({"number": 3})
        yield f"failure-{kind}", b"\x03" + value(failure)
    yield "release", b"\x04" + struct.pack("<2Q", 4096, 2**40)
    letter = array(unsigned(5), unsigned(1), value("letters"), unsigned(2), note)
    meet = array(unsigned(6), unsigned(2), unsigned(0))
    yield "letter", b"\x06" + array(letter)
    yield "letter-of-sibling", b"\x06" + array(unsigned(3), letter)
    yield "meet", b"\x06" + array(meet)
    yield "join", b"\x06" + array(array(unsigned(7), unsigned(2), unsigned(5), value("tcp://127.0.0.1:1")))
    # The target puts the checksum behind it.
    yield "checkpoint", b"\x05ByzKitCP" + struct.pack("<IIQQQ3f", 1, 0, 5, 0, 3, 1, 2, 3)
    yield "checkpoint-velocity", b"\x05ByzKitCP" + struct.pack("<IIQQQ4f", 1, 1, 5, 5, 2, 1, 2, 3, 4)


def part(how, index, count, content, frame=b""):
    return bytes([how]) + frame + bytes([index, count, len(content)]) + content


def parts():
    # The first byte is even for parts of a peer: how it is meant, whose frame, index, count, length.
    ping = frame(2, bytes(8))
    call = frame(4, b"x", [bytes(9)], [1])
    yield "ping", b"\x00" + part(0, 0, 1, ping) + part(1, 0, 1, ping)
    yield "segment", b"\x00" + part(16, 1, 2, bytes(9)) + part(0, 0, 2, call)
    yield "long-head", b"\x00" + part(16, 0, 2, b"") + part(0, 1, 2, ping)
    yield "later-first", b"\x00" + part(18, 0, 1, ping, b"\x01") + part(0, 0, 1, ping)
    yield "far", b"\x00" + part(19, 0, 1, ping, bytes(7) + b"\x80")
    yield "huge", b"\x00" + bytes([8, 0, 1]) + struct.pack("<q", 2**62)
    # Odd for messages: body, its length, segments, their lengths.
    yield "dealt", b"\x01\x07" + bytes([1, 2, 0]) + bytes([2, 250, 3, 1, 1, 220, 2, 255, 3]) + bytes([3, 10, 1, 210, 4])


def proofs():
    # The first byte says who talks to whom; then what is changed in each message.
    yield "whole", b"\x00"
    yield "other-token", b"\x01"
    yield "changed", b"\x00\x00\x00\x01\x05\x01"
    yield "cut", b"\x00\x00\x02\x01"
    yield "longer", b"\x00\x00\x00\x00\x03\x02ab"
    yield "own-server", b"\x04\x01\x22\x01\x01" + bytes(32) + b"\x00\x00"
    yield "own-client", b"\x06\x00\x01\x21\x02" + bytes(32) + b"\x00"


def work():
    # Which call, after others or alone, and changes: to a tensor beside it (0), or to a value (1): where, how, how much. To begin
    # with, each number of each call is one more, and one less.
    for call in range(64):
        for place in range(48):
            for less in range(2):
                yield f"{call}-{place}-{less}", bytes([call, 0, 1, 0, place, 8, less])
    yield "tensor", bytes([0, 1, 0, 40, 1, 0, 1])


def main():
    folder = pathlib.Path(sys.argv[1])
    targets = {
        "npy-header": npy_files(), "npy-tensor": npy_files(), "idx": idx_files(), "gzip": gzip_files(),
        "frame": frames(), "wire-value": wire_values(), "message": messages(),
        "ucx-parts": parts(), "proof": proofs(), "work": work(),
    }
    for target, files in targets.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, contents in files:
            (folder / target / name).write_bytes(contents)


main()
