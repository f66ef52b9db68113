# SPDX-License-Identifier: MIT
"""Samples of numpy's files; see make-samples."""
import io
import struct
import zipfile
import zlib

MAX64 = (1 << 64) - 1
ESCAPES = "\x1b]52;c;ZXZpbA==\x07"  # writes to the clipboard of a terminal that obeys it


def npy(text, data=bytes(16), version=1, length=None):
    """text is the header, as it is; length is what the file says of it."""
    text = text.encode() + b"\n"
    return (b"\x93NUMPY" + bytes([version, 0]) +
            struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length) + text + data)


def header(descr="'<f4'", order="False", shape="(4,)", more=""):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {more}}}"


def npz(*members, method=zipfile.ZIP_STORED):
    """members are (name, bytes)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def replaced(data, mark, at, new):
    """data with other bytes somewhere behind the last mark."""
    place = data.rindex(mark) + at
    return data[:place] + new + data[place + len(new):]


def arrays(add):
    def one(name, says, proves, data=bytes(16), **fields):
        add(f"{name}.npy", npy(header(**fields), data), says, proves)

    one("good-plain", '"name":"array","dtype":"F32","shape":[4],"nbytes":16', "a plain file")
    one("good-scalar", '"shape":[]', "no dimensions are one element", bytes(4), shape="()")
    one("good-dim-0", '"elements":0', "a dimension of 0", b"", shape="(0, 7)")
    plain = npy(header())
    add("bad-version.npy", plain[:6] + b"\4" + plain[7:], "version 4.0", "a version that is not known")
    add("bad-magic-only.npy", plain[:6], "too few", "a magic and nothing else")
    add("bad-length-beyond.npy", npy(header(), length=65535), "beyond", "a header longer than the file")
    add("bad-length-4g.npy", npy(header(), version=2, length=0xFFFFFFFF), "beyond",
        "a header of 4 GiB in a small file")
    add("bad-length-less.npy", npy(header(), length=40), "header", "a header that breaks off")
    for name, says, proves, fields in (
            ("shape-wraps", "overflow", "2^32 x 2^32 is not 0", {"shape": "(4294967296, 4294967296)"}),
            ("shape-max", "overflow", "a dimension of 2^64-1", {"shape": f"({MAX64},)"}),
            ("shape-beyond", "need 20 bytes", "more elements than the file has", {"shape": "(5,)"}),
            ("shape-less", "follow its data", "fewer elements than the file has", {"shape": "(3,)"}),
            ("shape-64-bits", "too large", "a dimension of 2^64", {"shape": f"({MAX64 + 1},)"}),
            ("shape-negative", "natural number", "a negative dimension", {"shape": "(-4,)"}),
            ("shape-fraction", "'.'", "a dimension with a fraction", {"shape": "(4.0,)"}),
            ("shape-rank-17", "16 dimensions", "17 dimensions", {"shape": f"({'1, ' * 16}4)"}),
            ("shape-deep", "natural number", "tuples nested 1000 deep", {"shape": "(" * 1000}),
            ("order-beyond", "need 24 bytes", "less data in the other order", {"order": "True", "shape": "(2, 3)"}),
            ("order-max", "overflow", "2^32 x 2^32 in the other order", {"order": "True", "shape": "(4294967296, 4294967296)"}),
            ("order-number", "True or False", "an order that is a number", {"order": "1"}),
            ("descr-big-endian", "need 20 bytes", "less data of the other byte order", {"descr": "'>f4'", "shape": "(5,)"}),
            ("descr-object", "pickles", "data that runs programs", {"descr": "'|O'"}),
            ("descr-structured", "structured", "a type of several", {"descr": "[('a', '<f4')]"}),
            ("descr-escape", "byte 0x1b", "a type that would command a terminal", {"descr": f"'{ESCAPES}'"}),
            ("key-twice", "shape twice", "two shapes", {"more": "'shape': (1,)"}),
            ("key-unknown", "unknown key", "a key that numpy does not have", {"more": "'os': 1"}),
            ("code", "a dictionary", "a header that is a program", None)):
        if fields is None:
            add(f"bad-{name}.npy", npy("__import__('os').system('id')"), says, proves)
        else:
            one(f"bad-{name}", says, proves, **fields)


def archives(add):
    plain = npy(header())
    whole = npz(("w.npy", plain))
    add("good-plain.npz", whole, '"name":"w","dtype":"F32","shape":[4]', "a plain archive")
    add("good-no-tensors.npz", b"PK\5\6" + bytes(18), "", "an archive of nothing")
    add("good-deflated.npz", npz(("w.npy", plain), method=zipfile.ZIP_DEFLATED), '"name":"w"',
        "a compressed archive")
    add("good-escapes.npz", npz((ESCAPES + ".npy", plain)), "\\u001B]52;c;ZXZpbA==",
        "a name that would command a terminal is escaped")
    add("bad-climbs.npz", npz(("../../w.npy", plain)), "..", "a name that leads out of the folder")
    add("bad-name-utf8.npz", replaced(whole.replace(b"w.npy", b"\xff.npy"), b"PK\1\2", 0, b""), "UTF-8",
        "a name that is no UTF-8")
    two = npz(("v.npy", plain), ("w.npy", plain))
    add("bad-name-twice.npz", two.replace(b"v.npy", b"w.npy"), "twice", "one name for two arrays")
    entry, end = b"PK\1\2", b"PK\5\6"
    for name, says, proves, mark, at, new in (
            ("crc", "checksum", "a wrong checksum", entry, 16, b"\0\0\0\0"),
            ("method", "method", "a compression that is not known", entry, 10, b"\x63\0"),
            ("size", "end beyond", "a size of 4 GiB", entry, 20, b"\xf0\xff\xff\xff\xf0\xff\xff\xff"),
            ("place", "beyond the zip members", "a place behind the end", entry, 42, b"\xf0\xff\xff\xff"),
            ("count", "members", "more members than the directory holds", end, 8, b"\xff\xff\xff\xff"),
            ("directory", "directory", "a directory behind the end", end, 16, b"\xf0\xff\xff\xff")):
        add(f"bad-{name}.npz", replaced(whole, mark, at, new), says, proves)
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = packed.compress(bytes(1 << 20)) + packed.flush()
    bomb = npz(("w.npy", zeros))
    bomb = replaced(replaced(bomb, b"PK\3\4", 8, b"\x08\0"), entry, 10, b"\x08\0")
    add("bad-bomb.npz", replaced(bomb, entry, 24, struct.pack("<I", 0x7FFFFFFF)), "cannot be 2147483647",
        "a claim of 2 GiB from 1 KB")


def samples(add):
    arrays(add)
    archives(add)
