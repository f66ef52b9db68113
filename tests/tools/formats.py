# SPDX-License-Identifier: MIT
"""Writers of the model formats for the tests, made from the formats' descriptions alone.

They share nothing with the writers under test, and write what is wrong as gladly as what is right:
every length, count, type and offset can be given.  Standard library only.
"""
import json
import math
import struct
import zlib

# ---- Numbers ----

def f16(x):
    """A number as the two bytes of the nearest half."""
    if math.isnan(x):
        return b"\x00\x7e"
    if math.isinf(x) or abs(x) >= 65520:
        return b"\x00\x7c" if x > 0 else b"\x00\xfc"
    return struct.pack("<e", x)


def f32_bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def bf16(x):
    """A number as the two bytes of the nearest bfloat16, ties to even."""
    bits = f32_bits(x)
    if math.isnan(x):
        return struct.pack("<H", bits >> 16 | 64)
    return struct.pack("<H", (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


PLAIN = {  # how one element of a type that has no blocks is packed
    "F64": lambda x: struct.pack("<d", float(x)),
    "F32": lambda x: struct.pack("<f", float(x)),
    "F16": lambda x: f16(float(x)),
    "BF16": lambda x: bf16(float(x)),
    "I64": lambda x: struct.pack("<q", int(x)),
    "I32": lambda x: struct.pack("<i", int(x)),
    "I16": lambda x: struct.pack("<h", int(x)),
    "I8": lambda x: struct.pack("<b", int(x)),
    "U64": lambda x: struct.pack("<Q", int(x)),
    "U32": lambda x: struct.pack("<I", int(x)),
    "U16": lambda x: struct.pack("<H", int(x)),
    "U8": lambda x: struct.pack("<B", int(x)),
    "BOOL": lambda x: struct.pack("<B", int(x)),
    "C64": lambda x: struct.pack("<ff", complex(x).real, complex(x).imag),
}

# name: (number in GGUF, elements of a block, bytes of a block)
GGML = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22),
    "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q8_1": (9, 32, 36), "Q2_K": (10, 256, 84),
    "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210),
    "Q8_K": (15, 256, 292), "IQ2_XXS": (16, 256, 66), "IQ2_XS": (17, 256, 74), "IQ3_XXS": (18, 256, 98),
    "IQ1_S": (19, 256, 50), "IQ4_NL": (20, 32, 18), "IQ3_S": (21, 256, 110), "IQ2_S": (22, 256, 82),
    "IQ4_XS": (23, 256, 136), "I8": (24, 1, 1), "I16": (25, 1, 2), "I32": (26, 1, 4), "I64": (27, 1, 8),
    "F64": (28, 1, 8), "IQ1_M": (29, 256, 56), "BF16": (30, 1, 2), "TQ1_0": (34, 256, 54),
    "TQ2_0": (35, 256, 66), "MXFP4": (39, 32, 17), "NVFP4": (40, 64, 36), "Q1_0": (41, 128, 18),
    "Q2_0": (42, 64, 18),
}


def values(dtype, numbers):
    return b"".join(PLAIN[dtype](x) for x in numbers)


class Tensor:
    """A tensor and what a file is to say of it; shape is outermost first."""

    def __init__(self, name, dtype, shape, data, **said):
        self.name, self.dtype, self.shape, self.data, self.said = name, dtype, list(shape), data, said


def ones(name="w", dtype="F32", shape=(4,), **said):
    return Tensor(name, dtype, shape, values(dtype, [1] * math.prod(shape)), **said)


# ---- SafeTensors ----

def safetensors_raw(header, data=b"", length=None):
    """header is text or bytes, as it is; length is what the file says of it."""
    header = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for t in tensors:
        begin, end = len(data), len(data) + len(t.data)
        data += t.data
        header[t.name] = {"dtype": t.dtype, "shape": t.shape,
                          "data_offsets": t.said.get("offsets", [begin, end])}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    text += " " * (-len(text.encode()) % 8)
    return safetensors_raw(text, data)


# ---- GGUF ----

GGUF_TYPES = {"u8": (0, "<B"), "i8": (1, "<b"), "u16": (2, "<H"), "i16": (3, "<h"), "u32": (4, "<I"),
              "i32": (5, "<i"), "f32": (6, "<f"), "bool": (7, "<B"), "u64": (10, "<Q"),
              "i64": (11, "<q"), "f64": (12, "<d")}


def gguf_string(text, length=None, wide="<Q"):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack(wide, len(text) if length is None else length) + text


def gguf_value(kind, value):
    """The bytes of a value; kind is "u32", "str", or "[kind]" for arrays."""
    if kind == "str":
        return gguf_string(value)
    if kind.startswith("["):
        return struct.pack("<IQ", gguf_type(kind[1:-1]), len(value)) + b"".join(
            gguf_value(kind[1:-1], v) for v in value)
    return struct.pack(GGUF_TYPES[kind][1], value)


def gguf_type(kind):
    return 9 if kind.startswith("[") else 8 if kind == "str" else GGUF_TYPES[kind][0]


def gguf_pair(key, kind, value):
    return gguf_string(key) + struct.pack("<I", gguf_type(kind)) + gguf_value(kind, value)


def gguf_info(name, shape, number, offset, dims=None):
    return (gguf_string(name) + struct.pack("<I", len(shape) if dims is None else dims) +
            b"".join(struct.pack("<Q", d) for d in reversed(shape)) + struct.pack("<IQ", number, offset))


def gguf_raw(pairs, infos, data=b"", version=3, tensors=None, count=None, alignment=32, magic=b"GGUF"):
    """pairs and infos are lists of bytes; counts are theirs unless they are given."""
    head = magic + struct.pack("<IQQ", version, len(infos) if tensors is None else tensors,
                               len(pairs) if count is None else count)
    head += b"".join(pairs) + b"".join(infos)
    return head + bytes(-len(head) % alignment) + data


def gguf(tensors, pairs=(), alignment=32, **raw):
    infos, data = [], b""
    for t in tensors:
        data += bytes(-len(data) % alignment)
        infos.append(gguf_info(t.name, t.said.get("shape", t.shape),
                               t.said.get("number", GGML.get(t.dtype, (0,))[0]),
                               t.said.get("offset", len(data)), t.said.get("dims")))
        data += t.data
    data += bytes(-len(data) % alignment)
    return gguf_raw([gguf_pair(*p) if isinstance(p, tuple) else p for p in pairs], infos, data,
                    alignment=alignment, **raw)


# ---- APR ----

APR = {"F32": 0, "F16": 1, "F64": 3, "I32": 4, "I64": 5, "I8": 6, "U8": 7, "Q4_K": 12, "Q6_K": 14,
       "BF16": 30, "APR_Q4": 128, "APR_Q8": 129}


def padded(data):
    return data + bytes(-len(data) % 64)


def apr_entry(name, code, shape, offset, size):
    name = name.encode() if isinstance(name, str) else name
    return (struct.pack("<H", len(name)) + name + struct.pack("<BB", code, len(shape)) +
            b"".join(struct.pack("<Q", d) for d in shape) + struct.pack("<QQ", offset, size))


def apr_raw(metadata, index, data, count, footer=True, crc=None, **said):
    """metadata, index and data are bytes; said overrides fields of the header."""
    metadata_place = 64
    index_place = metadata_place + len(padded(metadata))
    data_place = index_place + len(padded(index))
    fields = {"magic": b"APR\0", "major": 2, "minor": 0, "flags": 0x0400, "count": count,
              "metadata": metadata_place, "metadata_bytes": len(metadata), "index": index_place,
              "data": data_place}
    fields.update(said)
    front = fields["magic"] + struct.pack("<BBHIQIQQ", fields["major"], fields["minor"],
                                          fields["flags"], fields["count"], fields["metadata"],
                                          fields["metadata_bytes"], fields["index"], fields["data"])
    back = bytes(20)
    header = front + struct.pack("<I", zlib.crc32(front + back) if crc is None else crc) + back
    body = header + padded(metadata) + padded(index) + padded(data)
    return body + (struct.pack("<I", zlib.crc32(body)) if footer else b"")


def apr(tensors, metadata=None, sort=True, **said):
    placed, data = [], b""
    for t in tensors:
        data = padded(data)
        placed.append((t, len(data)))
        data += t.data
    if sort:
        placed.sort(key=lambda p: p[0].name)
    index = b"".join(apr_entry(t.name, t.said.get("code", APR.get(t.dtype, 0)), t.shape,
                               t.said.get("offset", offset), t.said.get("size", len(t.data)))
                     for t, offset in placed)
    if metadata is None:
        metadata = {"model_type": "test", "license": None, "data_source": None, "data_license": None,
                    "total_size": 0, "param_count": 0}
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata,
                                                                  separators=(",", ":")).encode()
    return apr_raw(text, index, data, len(placed), **said)


# ---- MessagePack and the tensor stream ----

class Raw(bytes):
    """Bytes that are MessagePack already."""


def pack(x):
    if isinstance(x, Raw):
        return bytes(x)
    if x is None:
        return b"\xc0"
    if isinstance(x, bool):
        return b"\xc3" if x else b"\xc2"
    if isinstance(x, float):
        return b"\xcb" + struct.pack(">d", x)
    if isinstance(x, int):
        return pack_int(x)
    if isinstance(x, str):
        body = x.encode("utf-8", "surrogateescape")
        return pack_length(len(body), (0xA0, 32), 0xD9, 0xDA, 0xDB) + body
    if isinstance(x, bytes):
        return pack_length(len(x), None, 0xC4, 0xC5, 0xC6) + x
    if isinstance(x, (list, tuple)):
        return pack_length(len(x), (0x90, 16), None, 0xDC, 0xDD) + b"".join(map(pack, x))
    if isinstance(x, dict):
        x = list(x.items())
        return pack_length(len(x), (0x80, 16), None, 0xDE, 0xDF) + b"".join(
            pack(k) + pack(v) for k, v in x)
    raise TypeError(type(x))


def pack_int(x):
    if 0 <= x < 128:
        return bytes([x])
    if -32 <= x < 0:
        return bytes([256 + x])
    for code, form, low, high in ((0xCC, ">B", 0, 1 << 8), (0xCD, ">H", 0, 1 << 16),
                                  (0xCE, ">I", 0, 1 << 32), (0xCF, ">Q", 0, 1 << 64),
                                  (0xD0, ">b", -1 << 7, 0), (0xD1, ">h", -1 << 15, 0),
                                  (0xD2, ">i", -1 << 31, 0), (0xD3, ">q", -1 << 63, 0)):
        if low <= x < high:
            return bytes([code]) + struct.pack(form, x)
    raise OverflowError(x)


def pack_length(n, small, one, two, four):
    if small and n < small[1]:
        return bytes([small[0] + n])
    if one is not None and n < 256:
        return bytes([one, n])
    if n < 65536:
        return bytes([two]) + struct.pack(">H", n)
    return bytes([four]) + struct.pack(">I", n)


def opening(version=1, tool="test"):
    return pack({"kind": "stream", "version": version, "tool": tool})


def ending(tensors, records=0):
    return pack({"kind": "end", "tensors": tensors, "records": records})


def source(meta=None, number=0):
    return pack({"kind": "source", "id": number, "path": "m", "format": "test", "bytes": 0,
                 "meta": meta or {}})


def tensor_record(t, **more):
    record = {"kind": "tensor", "name": t.name, "dtype": t.dtype, "shape": t.shape,
              "nbytes": len(t.data)}
    record.update(t.said)
    record.update(more)
    return pack(record)


def tensor_objects(t, cuts=(), **more):
    """The record and its chunks, cut at these places."""
    edges = [0, *cuts, len(t.data)]
    chunks = b"".join(pack(t.data[a:b]) for a, b in zip(edges, edges[1:]) if b > a or cuts)
    return tensor_record(t, **more) + chunks


def stream(tensors, records=()):
    """A segment; records are bytes of objects that come before the tensors."""
    return (opening() + b"".join(records) + b"".join(tensor_objects(t) for t in tensors) +
            ending(len(tensors), len(records)))


WRITERS = {"safetensors": safetensors, "st": safetensors, "gguf": gguf, "apr": apr, "tsr": stream}
