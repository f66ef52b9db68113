# SPDX-License-Identifier: MIT
"""SafeTensors samples; see make-samples."""
from formats import safetensors_raw

MAX64 = (1 << 64) - 1
DEEP = 100000


def entry(name='"w"', dtype='"F32"', shape="[4]", offsets="[0,16]"):
    """A member of the header, of JSON texts."""
    return f'{name}:{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}'


def header_of(*entries):
    return "{" + ",".join(entries) + "}"


class Samples:
    def __init__(self, add):
        self.add = add

    def one(self, sample, says, proves, data=bytes(16), **fields):
        """A file of one entry with some of its fields given."""
        self.header(sample, says, proves, header_of(entry(**fields)), data)

    def header(self, sample, says, proves, header, data=b""):
        self.add(f"{sample}.safetensors", safetensors_raw(header, data), says, proves)


def good(s):
    s.one("good-plain", '"name":"w","dtype":"F32","shape":[4],"nbytes":16', "a plain file")
    s.one("good-scalar", '"shape":[]', "rank 0 is one element", bytes(4), shape="[]", offsets="[0,4]")
    s.one("good-rank-16", '"elements":4', "16 dimensions are taken", shape="[" + "1," * 15 + "4]")
    s.one("good-empty-tensor", '"elements":0', "a dimension of 0 has no bytes", b"",
          shape="[0,9223372036854775807]", offsets="[0,0]")
    s.header("good-empty-among", '"elements":0', "an empty tensor may stand where another begins",
             header_of(entry('"a"'), entry('"e"', shape="[0]", offsets="[0,0]")), bytes(16))
    s.header("good-no-tensors", "", "a file of no tensors", "{}")
    s.header("good-padded", '"name":"w"', "blanks behind the header", header_of(entry()) + " " * 77,
             bytes(16))
    s.header("good-100000", '"name":"w"', "a header of exactly 100,000 bytes",
             header_of(entry()).ljust(100000), bytes(16))
    s.header("good-order", '"name":"a"', "the order of the header is not that of the data",
             header_of(entry('"b"', offsets="[16,32]"), entry('"a"')), bytes(32))
    s.header("good-metadata", '"name":"w"', "metadata of strings",
             '{"__metadata__":{"format":"pt","a":""},' + entry() + "}", bytes(16))
    s.header("good-metadata-empty", '"name":"w"', "metadata of nothing",
             '{"__metadata__":{},' + entry() + "}", bytes(16))
    s.one("good-escapes", "\\u001B]52;c;ZXZpbA==", "a name that would command a terminal is escaped",
          name=r'"\u001b]52;c;ZXZpbA==\u0007"')
    s.one("good-newline", "a\\nb\\tc\\u007f", "newline, tab and DEL in a name are escaped",
          name=r'"a\nb\tc\u007f"')
    s.one("good-c1", "\\u009b31m", "C1 controls in a name are escaped", name='"\u009b31m"')
    s.one("good-unicode", '"name":"wêiß😀"', "names are UTF-8", name=r'"wêi\u00df\ud83d\ude00"')
    s.one("good-surrogates", '"name":"\\\\u😀"', "an escaped backslash begins no escape",
          name=r'"\\u\ud83d\ude00"')
    for dtype, size in (("BOOL", 1), ("U8", 1), ("I8", 1), ("F8_E5M2", 1), ("F8_E4M3", 1),
                        ("F8_E8M0", 1), ("I16", 2), ("U16", 2), ("F16", 2), ("BF16", 2), ("I32", 4),
                        ("U32", 4), ("C64", 8), ("F64", 8), ("I64", 8), ("U64", 8)):
        s.one(f"good-type-{dtype}", f'"dtype":"{dtype}"', "every type of the format is read",
              bytes(4 * size), dtype=f'"{dtype}"', offsets=f"[0,{4 * size}]")
    s.one("good-type-F4", '"dtype":"F4"', "two elements to a byte", bytes(2), dtype='"F4"',
          offsets="[0,2]")
    s.one("good-type-F6_E2M3", '"nbytes":3', "four elements to three bytes", bytes(3),
          dtype='"F6_E2M3"', offsets="[0,3]")


def bad_file(s):
    plain = header_of(entry())
    s.add("bad-empty.safetensors", b"", "empty", "a file of no bytes")
    s.add("bad-short.safetensors", b"\2\0\0\0\0\0\0", "known format", "shorter than its length field")
    s.add("bad-text.safetensors", b"Hello, world! I am no model.\n" * 9, "known format", "a text file")
    s.add("bad-length-0.safetensors", bytes(8) + b"{}", "header length 0", "a header of no bytes")
    s.add("bad-length-1.safetensors", safetensors_raw("{"), "header length 1", "a header of one byte")
    s.add("bad-polyglot.safetensors", safetensors_raw(plain, bytes(16) + b"PK\5\6" + bytes(18)),
          "belong to no tensor", "a zip archive behind the data")
    s.add("bad-length-max.safetensors", safetensors_raw(plain, bytes(16), MAX64),
          f"header length {MAX64}", "header length 2^64-1")
    s.add("bad-length-sign.safetensors", safetensors_raw(plain, bytes(16), 1 << 63),
          f"header length {1 << 63}", "header length 2^63 is not negative")
    s.add("bad-length-beyond.safetensors", safetensors_raw("{}", b"", 3), "header length 3",
          "header one byte longer than the file")
    s.add("bad-length-100m.safetensors", (safetensors_raw("{}", b"", 100000001), 100000100),
          "header length 100000001", "a header of more than 100 MB")


def bad_json(s):
    plain = header_of(entry())
    for name, says, proves, header in (
            ("no-brace", "brace", "blanks before the header", "  " + plain),
            ("json", "JSON", "a header that is no JSON", plain[:-2] + "]}"),
            ("json-open", "JSON", "a header that ends too early", plain[:-1]),
            ("json-comma", "JSON", "a trailing comma", plain[:-1] + ",}"),
            ("json-comment", "JSON", "a comment", "{/* */" + plain[1:]),
            ("json-more", "JSON", "something behind the object", plain + " x"),
            ("json-two", "JSON", "two objects", plain + "{}"),
            ("json-nul", "JSON", "a header padded by NULs", plain + "\0\0\0"),
            ("name-latin1", "UTF", "a name that is no UTF-8", plain.encode().replace(b"w", b"\xff")),
            ("name-overlong", "UTF-8", "a name with an overlong form",
             plain.encode().replace(b"w", b"\xc0\xaf")),
            ("name-raw-surrogate", "UTF-8", "a name with a surrogate as bytes",
             plain.replace("w", "\ud800")),
            ("name-raw-control", "JSON", "a control character that is not escaped",
             plain.replace("w", "\x1b[31m"))):
        s.header(f"bad-{name}", says, proves, header, bytes(16))
    s.one("bad-deep-array", "natural number", "a shape of arrays nested 100,000 deep",
          shape="[" * DEEP + "]" * DEEP)
    s.header("bad-deep-map", "unknown field", "maps nested 100,000 deep",
             '{"w":' * DEEP + "{}" + "}" * DEEP)
    s.header("bad-deep-metadata", "no string", "metadata nested 100,000 deep",
             '{"__metadata__":{"a":' + "[" * DEEP + "]" * DEEP + "}}")


def bad_entry(s):
    for name, says, proves, header in (
            ("entry-number", "no object", "an entry that is a number", '{"w":5}'),
            ("entry-array", "no object", "an entry that is an array", '{"w":[]}'),
            ("no-dtype", "no dtype", "an entry without dtype",
             '{"w":{"shape":[4],"data_offsets":[0,16]}}'),
            ("no-shape", "no shape", "an entry without shape",
             '{"w":{"dtype":"F32","data_offsets":[0,16]}}'),
            ("no-offsets", "no data_offsets", "an entry without place",
             '{"w":{"dtype":"F32","shape":[4]}}'),
            ("field-unknown", "unknown field", "a field that the format does not have",
             '{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"strides":[4]}}'),
            ("field-twice", "twice", "two shapes",
             '{"w":{"dtype":"F32","shape":[4],"shape":[2],"data_offsets":[0,16]}}'),
            ("metadata-text", "no object", "metadata that is a text", '{"__metadata__":"pt"}'),
            ("metadata-null", "no string", "metadata that is null", '{"__metadata__":{"a":null}}'),
            ("metadata-array", "no string", "metadata that is an array", '{"__metadata__":{"a":["1"]}}'),
            ("metadata-number", "no string", "metadata that is a number", '{"__metadata__":{"a":1}}'),
            ("metadata-map", "no string", "metadata in metadata", '{"__metadata__":{"a":{}}}'),
            ("metadata-twice", "__metadata__ occurs twice", "two sets of metadata",
             '{"__metadata__":{},"__metadata__":{}}'),
            ("metadata-key-twice", "twice", "one key of metadata for two values",
             '{"__metadata__":{"a":"1","a":"2"}}')):
        s.header(f"bad-{name}", says, proves, header, bytes(16) if "data_off" in header else b"")
    for name, dtype in (("unknown", '"F33"'), ("lower", '"f32"'), ("ggml", '"Q4_0"'),
                        ("escape", r'"\u001b[2J"')):
        s.one(f"bad-dtype-{name}", "unknown dtype", "a type that the format does not have", dtype=dtype)
    s.one("bad-dtype-number", "dtype", "a type that is a number", dtype="32")
    s.one("bad-dtype-F4-odd", "whole bytes", "half a byte", bytes(2), dtype='"F4"', shape="[3]",
          offsets="[0,2]")
    s.one("bad-dtype-F6-odd", "whole bytes", "elements that are no whole bytes", bytes(3),
          dtype='"F6_E3M2"', shape="[3]", offsets="[0,3]")


def bad_name(s):
    two = entry('"{}"', offsets="[16,32]")
    s.header("bad-name-twice", "occurs twice", "one name for two tensors",
             header_of(entry(), two.replace("{}", "w", 1)), bytes(32))
    s.header("bad-name-twice-escaped", "occurs twice", "one name spelt in two ways",
             header_of(entry(), two.replace("{}", r"\u0077", 1)), bytes(32))
    s.one("bad-name-empty", "empty", "a name of no characters", name='""')
    s.one("bad-name-nul", "NUL", "a name with a NUL", name=r'"w\u0000x"')
    s.one("bad-name-high", "surrogate", "a lone high surrogate", name=r'"\ud800"')
    s.one("bad-name-low", "surrogate", "a lone low surrogate", name=r'"\udc00"')
    s.one("bad-name-high-high", "surrogate", "a high surrogate before another", name=r'"\ud800\ud800"')
    s.one("bad-name-high-letter", "surrogate", "a high surrogate before a letter", name=r'"\ud800A"')
    s.one("bad-name-64k", "65536", "a name of 64 KiB and a byte", name=f'"{"n" * 65537}"')
    s.one("bad-name-escape", "\\x1b]52;c;ZXZpbA==\\x07",
          "a complaint about a hostile name shows it escaped",
          name=r'"\u001b]52;c;ZXZpbA==\u0007"', shape="[5]")


def bad_shape(s):
    s.one("bad-shape-wraps", "overflow", "2^32 x 2^32 is not 0", b"", shape="[4294967296,4294967296]",
          offsets="[0,0]")
    s.one("bad-shape-bytes-wrap", "overflow", "(2^62+1) x 4 bytes are not 4", bytes(4),
          shape="[4611686018427387905]", offsets="[0,4]")
    s.one("bad-shape-63-bits", "overflow", "a shape of 2^63 elements", dtype='"U8"',
          shape="[9223372036854775808]")
    s.one("bad-shape-less", "16 bytes, its type F32 and shape need 12", "more bytes than the shape has",
          shape="[3]")
    s.one("bad-shape-more", "16 bytes, its type F32 and shape need 20", "fewer bytes than the shape has",
          shape="[5]")
    s.one("bad-shape-zero", "need 0", "an empty tensor with bytes", shape="[0]")
    s.one("bad-shape-rank-17", "dimensions", "17 dimensions", shape="[" + "1," * 16 + "4]")
    s.one("bad-shape-rank-1000", "dimensions", "1000 dimensions", shape="[" + "1," * 999 + "4]")
    for name, shape in (("64-bits", "[18446744073709551616]"), ("negative", "[-4]"),
                        ("fraction", "[4.0]"), ("huge", "[1e308]"), ("string", '["4"]'),
                        ("null", "null"), ("nested", "[[4]]"), ("object", "{}"), ("number", "4")):
        s.one(f"bad-shape-{name}", "natural number", f"a shape of {shape}", shape=shape)


def bad_offsets(s):
    for name, says, offsets in (("reversed", "no range", "[16,0]"), ("beyond", "no range", "[0,17]"),
                                ("far", "no range", f"[{MAX64 - 16},{MAX64}]"),
                                ("64-bits", "natural number", f"[0,{MAX64 + 1}]"),
                                ("negative", "natural number", "[-1,15]"),
                                ("fraction", "natural number", "[0.5,16.5]"),
                                ("huge", "natural number", "[0,1e308]"),
                                ("2^53", "no range", f"[0,{(1 << 53) + 1}]"),
                                ("zeros", "JSON", "[00,16]"), ("signed-0", "natural number", "[-0,16]"),
                                ("exponent", "natural number", "[0,16e0]"),
                                ("string", "natural number", '["0","16"]'),
                                ("one", "1 number", "[0]"), ("none", "0 number", "[]"),
                                ("three", "more than 2", "[0,8,16]")):
        s.one(f"bad-offsets-{name}", says, f"a place of {offsets}", offsets=offsets)
    a = entry('"a"')
    for name, says, proves, second, size in (
            ("overlap", "overlap", "two tensors on the same bytes", "[8,24]", 24),
            ("overlap-same", "overlap", "two tensors on all the same bytes", "[0,16]", 16),
            ("hole", "belong to no tensor", "bytes between two tensors", "[20,36]", 36),
            ("hole-last", "belong to no tensor", "bytes behind the last tensor: what hides there?",
             "[16,32]", 36)):
        s.header(f"bad-{name}", says, proves, header_of(a, entry('"b"', offsets=second)), bytes(size))
    s.one("bad-hole-first", "belong to no tensor", "bytes before the first tensor", bytes(20),
          offsets="[4,20]")
    s.header("bad-hole-only", "belong to no tensor", "data, and no tensor", "{}", bytes(16))
    s.header("bad-empty-inside", "empty tensor", "an empty tensor within another",
             header_of(a, entry('"e"', shape="[0]", offsets="[8,8]")), bytes(16))


def samples(add):
    s = Samples(add)
    for part in (good, bad_file, bad_json, bad_entry, bad_name, bad_shape, bad_offsets):
        part(s)
