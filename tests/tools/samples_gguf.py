# SPDX-License-Identifier: MIT
"""GGUF samples; see make-samples."""
import gzip
import struct

from formats import gguf, gguf_info, gguf_pair, gguf_raw, gguf_string, ones

MAX64 = (1 << 64) - 1
ESCAPES = "\x1b]52;c;ZXZpbA==\x07"  # writes to the clipboard of a terminal that obeys it
F32, Q4_0, I8 = 0, 2, 24  # numbers of types


class Samples:
    def __init__(self, add):
        self.add = add

    def file(self, sample, says, proves, tensors=None, pairs=(), **raw):
        self.add(f"{sample}.gguf", gguf([ones()] if tensors is None else tensors, pairs, **raw), says,
                 proves)

    def infos(self, sample, says, proves, *infos, data=bytes(64), **raw):
        """A file of these descriptions of tensors."""
        self.add(f"{sample}.gguf", gguf_raw([], list(infos), data, **raw), says, proves)

    def pair(self, sample, says, proves, pair, **raw):
        """A file of one tensor and this pair of metadata."""
        self.add(f"{sample}.gguf", gguf_raw([pair], [gguf_info("w", [4], F32, 0)], bytes(32), **raw), says,
                 proves)


def good(s):
    s.file("good-plain", '"name":"w","dtype":"F32","shape":[4],"nbytes":16', "a plain file")
    s.file("good-no-tensors", "", "metadata alone", [], [("general.architecture", "str", "llama")])
    s.file("good-version-2", '"name":"w"', "version 2", version=2)
    v1 = struct.pack("<4sIII", b"GGUF", 1, 1, 1)
    v1 += gguf_string("k", wide="<I") + struct.pack("<I", 8) + gguf_string("v", wide="<I")
    v1 += gguf_string("w", wide="<I") + struct.pack("<IIIIQ", 2, 2, 3, F32, 0)
    s.add("good-version-1.gguf", v1 + bytes(-len(v1) % 32) + bytes(32), '"shape":[3,2]',
          "version 1 counts in 32 bits")
    s.file("good-shape", '"shape":[2,3]', "shapes are turned", [ones(shape=(2, 3))])
    s.file("good-scalar", '"shape":[]', "no dimensions are one element", [ones(shape=())])
    s.file("good-dim-0", '"elements":0', "a dimension of 0", [ones(shape=(0, 4))])
    s.file("good-alignment", '"name":"b"', "another alignment", [ones("a"), ones("b")],
           [("general.alignment", "u32", 128)], alignment=128)
    s.file("good-order", '"name":"a"', "places in another order than descriptions",
           [ones("a", offset=32), ones("b", offset=0)])
    s.infos("good-unpadded", '"name":"w"', "no padding behind the last tensor",
            gguf_info("w", [4], F32, 0), data=bytes(16))
    s.infos("good-trailing", '"name":"w"', "bytes behind the data", gguf_info("w", [4], F32, 0),
            data=bytes(1000))
    s.file("good-metadata", '"name":"w"', "every type of metadata", pairs=[
        ("a", "u8", 255), ("b", "i8", -128), ("c", "u16", 65535), ("d", "i16", -32768),
        ("e", "u32", 1 << 31), ("f", "i32", -1 << 31), ("g", "f32", 0.1), ("h", "bool", 1),
        ("i", "str", "text"), ("j", "u64", MAX64), ("k", "i64", -1 << 63), ("l", "f64", 0.1),
        ("m", "[str]", ["", "x"]), ("n", "[u8]", []), ("o", "[[i32]]", [[1], [], [2, 3]]),
        ("p", "bool", 7)])
    s.pair("good-metadata-bytes", '"name":"w"', "metadata that is no UTF-8",
           gguf_pair("k", "[str]", [b"\xff\0\x1b"]))
    s.file("good-escapes", "\\u001B]52;c;ZXZpbA==", "a name that would command a terminal is escaped",
           [ones(ESCAPES)])
    s.file("good-newline", "a\\nb", "a newline in a name is escaped", [ones("a\nb")])
    s.file("good-name-200", '"elements":4', "a name longer than ggml takes", [ones("n" * 200)])


def bad_head(s):
    s.file("bad-magic", "known format", "a magic that is none", magic=b"GGUG")
    s.file("bad-magic-fugg", "known format", "a magic turned round", magic=b"FUGG")
    s.add("bad-magic-only.gguf", b"GGUF", "truncated", "a magic and nothing else")
    for version in (0, 4, 0xFFFFFFFF):
        s.file(f"bad-version-{version}", f"version {version}", "a version that is not known",
               version=version)
    w = gguf_info("w", [4], F32, 0)
    for count in (7, 1 << 61, 1 << 63, MAX64):
        s.infos(f"bad-tensors-{count}", f"{count} tensors", "more tensors than the file can hold", w,
                tensors=count)
        s.infos(f"bad-pairs-{count}", f"{count} metadata pairs" if count > 7 else "key has 0 bytes",
                "more metadata than the file can hold",
                w, count=count)
    s.infos("bad-tensors-one-more", "name", "one more tensor than there is", w, data=bytes(200), tensors=2)
    s.infos("bad-pairs-one-more", "name has 0 bytes", "a tensor read as metadata", w, data=bytes(200), count=1)


def bad_metadata(s):
    s.pair("bad-key-length", f"{MAX64} bytes of a string", "a key of 2^64-1 bytes",
           gguf_string("k", MAX64))
    s.pair("bad-key-1g", "bytes of a string", "a key of 1 GiB in a small file",
           gguf_string("k", 1 << 30))
    s.pair("bad-key-empty", "key has 0 bytes", "an empty key", gguf_pair("", "u8", 1))
    s.pair("bad-key-64k", "65536 bytes", "a key of 64 KiB", gguf_pair("k" * 65536, "u8", 1))
    s.file("bad-key-twice", "'k' occurs twice", "one key for two values",
           pairs=[("k", "u8", 1), ("k", "str", "")])
    for name, key in (("nul", "a\0b"), ("utf8", b"\xff\xfe"), ("escapes", ESCAPES)):
        s.pair(f"good-key-{name}", '"name":"w"', "keys are bytes, and escaped where they are shown",
               gguf_pair(key, "u8", 1))
    s.file("bad-key-escape", "\\x1b]52", "a complaint about a hostile key shows it escaped",
           pairs=[(ESCAPES, "u8", 1), (ESCAPES, "u8", 1)])
    for number, shown in ((13, 13), (255, 255), (0x7FFFFFFF, 0x7FFFFFFF), (0xFFFFFFFF, -1)):
        s.pair(f"bad-value-type-{shown}", f"type {shown}", "a type of metadata that there is not",
               gguf_string("k") + struct.pack("<IQ", number, 0))
    for length in (MAX64, MAX64 - 40, 1 << 63):
        s.pair(f"bad-string-{length}", f"{length} bytes of a string", "a string longer than the file",
               gguf_string("k") + struct.pack("<IQ", 8, length))
    array = gguf_string("k") + struct.pack("<I", 9)
    for kind, number, count in (("u8", 0, MAX64), ("u16", 2, 60), ("u32", 4, 1 << 62),
                                ("u64", 10, 1 << 61), ("str", 8, 1 << 61), ("array", 9, 1 << 60)):
        s.pair(f"bad-array-{kind}", f"{count} items", "an array of more items than the file can hold",
               array + struct.pack("<IQ", number, count))
    for kind, number, count in (("i8", 1, 200), ("f32", 6, 50), ("bool", 7, 200), ("f64", 12, 25)):
        s.pair(f"bad-array-confused-{kind}", f"{count} items", "wide items where narrow ones were written",
               array + struct.pack("<IQ", number, count))
    s.pair("bad-array-type", "type 13", "an array of a type that there is not",
           array + struct.pack("<IQ", 13, 0))
    s.pair("bad-array-deep", "nested", "arrays nested 9 deep",
           array + struct.pack("<IQ", 9, 1) * 8 + struct.pack("<IQ", 0, 0))
    s.pair("bad-array-deeper", "nested", "arrays nested 100,000 deep",
           array + struct.pack("<IQ", 9, 1) * 100000)
    s.pair("bad-array-confused", "bytes of a string", "strings where numbers were written",
           array + struct.pack("<IQ", 8, 4) + b"\xff" * 32)


def bad_alignment(s):
    key = "general.alignment"
    for value in (0, 3, 33, 0xFFFFFFFF):
        s.pair(f"bad-alignment-{value}", f"{key} is {value}", "no power of two",
               gguf_pair(key, "u32", value))
    s.pair("bad-alignment-4", f"{key} is 4", "an alignment below 8", gguf_pair(key, "u32", 4))
    s.pair("bad-alignment-huge", "beyond the file", "an alignment of 2^31",
           gguf_pair(key, "u32", 1 << 31))
    s.pair("bad-alignment-array", key, "an alignment that is an array", gguf_pair(key, "[u32]", [32]))
    s.file("bad-alignment-twice", f"'{key}' occurs twice", "two alignments",
           pairs=[(key, "u32", 32), (key, "u32", 64)])
    for kind, value in (("u64", 32), ("i32", 32), ("u8", 32), ("str", "32"), ("f32", 32.0)):
        s.pair(f"bad-alignment-{kind}", key, "an alignment that is no u32", gguf_pair(key, kind, value))


def bad_tensor(s):
    for dims in (5, 9, 255, 0xFFFFFFFF):
        s.infos(f"bad-dims-{dims}", f"{dims} dimensions", "more than 4 dimensions",
                gguf_info("w", [1] * min(dims, 9), F32, 0, dims))
    for name, shape, number in (("wraps", [1 << 32, 1 << 32], F32), ("wraps-to-1", [MAX64, MAX64], I8),
                                ("max", [MAX64], I8), ("4d", [1 << 20] * 4, F32),
                                ("bytes-wrap", [(1 << 62) + 1], F32)):
        s.infos(f"bad-shape-{name}", "overflow", f"a shape of {shape}", gguf_info("w", shape, number, 0))
    s.infos("bad-shape-2^42", "beyond the file", "a dimension of 2^42 + 1",
            gguf_info("w", [(1 << 42) + 1], F32, 0))
    s.infos("bad-shape-pad-max", "overflow", "a size that is 0 when it is padded",
            gguf_info("w", [MAX64 - 3], I8, 0))
    s.infos("bad-shape-blocks-wrap", "overflow", "blocks whose bytes wrap to few",
            gguf_info("w", [1 << 31, 1 << 31, 1 << 5], Q4_0, 0))
    s.infos("bad-shape-pad-wrap", "beyond the file", "a size that wraps when it is padded",
            gguf_info("w", [(1 << 63) - 4], I8, 0), gguf_info("v", [4], F32, 32))
    s.infos("bad-shape-sum-wrap", "beyond the file", "sizes whose sum wraps",
            *[gguf_info(f"t{i}", [1 << 62], I8, i << 62) for i in range(4)])
    s.infos("bad-row", "whole blocks", "a row of no whole blocks", gguf_info("w", [2, 33], Q4_0, 0))
    s.infos("bad-row-scalar", "whole blocks", "a scalar of blocks", gguf_info("w", [], Q4_0, 0))
    for number, shown in [(n, n) for n in (4, 5, 31, 32, 33, 36, 37, 38, 43, 97, 0x7FFFFFFF)] + [
            (0xFFFFFFFF, -1)]:
        s.infos(f"bad-type-{shown}", f"type {shown}", "a type that ggml dropped or never had",
                gguf_info("w", [256], number, 0), data=bytes(2048))
    for name, says, shape, offset in (("unaligned", "no multiple of 32", [4], 16),
                                      ("beyond", "beyond the file", [4], 96),
                                      ("half", "beyond the file", [32], 0),
                                      ("far", "too large", [4], MAX64 - 31), ("sign", "beyond the file", [4], 1 << 63)):
        s.infos(f"bad-offset-{name}", says, f"a place of {offset}", gguf_info("w", shape, F32, offset))
    for name, first in (("overlap", [16]), ("overlap-last", [9])):
        s.infos(f"bad-{name}", "overlap", "two tensors on the same bytes", gguf_info("a", first, F32, 0),
                gguf_info("b", [4], F32, 32))
    s.infos("bad-overlap-same", "overlap", "two tensors at one place", gguf_info("a", [4], F32, 0),
            gguf_info("b", [4], F32, 0))


def bad_name(s):
    s.infos("bad-name-twice", "occurs twice", "one name for two tensors", gguf_info("w", [4], F32, 0),
            gguf_info("w", [4], F32, 32))
    for name, says, value in (("empty", "name", ""), ("nul", "NUL", "a\0b"),
                              ("utf8", "UTF-8", b"\xff\xfe"), ("surrogate", "UTF-8", b"\xed\xa0\x80"),
                              ("64k", "65536", "n" * 65537)):
        s.infos(f"bad-name-{name}", says, "a name that is none", gguf_info(value, [4], F32, 0))
    s.infos("bad-name-length", "bytes of a tensor's name", "a name of 2^64-1 bytes",
            gguf_string("w", MAX64))
    for name, says, value in (("escape", "\\x1b]52;c;ZXZpbA==\\x07", ESCAPES),
                              ("c1", "\\xc2\\x9b31m", "\u009b31m")):
        s.infos(f"bad-name-{name}", says, "a complaint about a hostile name shows it escaped",
                gguf_info(value, [4], F32, 96))


def other_byte_order(s):
    def big(sample, says, proves, *tensors, version=3, count=None):
        """Tensors are (name, elements, type, offset)."""
        data = struct.pack(">4sIQQ", b"GGUF", version, len(tensors) if count is None else count, 0)
        for name, elements, number, offset in tensors:
            data += struct.pack(">Q", len(name)) + name + struct.pack(">IQIQ", 1, elements, number, offset)
        s.add(f"{sample}.gguf", data + bytes(-len(data) % 32) + struct.pack(">8f", *range(1, 9)), says, proves)

    w = (b"w", 4, F32, 0)
    big("good-big-endian", '"dtype":"F32","shape":[4]', "data of the other byte order", w)
    big("bad-big-endian-version", "version", "a version of the other byte order", w, version=4)
    big("bad-big-endian-count", f"{1 << 62} tensors", "a count of the other byte order", w, count=1 << 62)
    big("bad-big-endian-beyond", "beyond the file", "data behind the end", (b"w", 9, F32, 0))
    big("bad-big-endian-far", "beyond the file", "data of exabytes", (b"w", 1 << 60, F32, 0))
    big("bad-big-endian-overlap", "overlap", "bytes that would be turned twice", w, (b"v", 4, F32, 0))
    big("bad-big-endian-type", "type 99", "a type that there is not", (b"w", 4, 99, 0))
    big("bad-big-endian-name", "\\x1b]52", "a complaint about a hostile name shows it escaped",
        (ESCAPES.encode(), 9, F32, 0))


def no_gguf(s):
    """What other programs keep beside their GGUF files, or made of them."""
    s.add("bad-gzip.gguf", gzip.compress(gguf([ones()]), mtime=0), "is a gzip file", "a compressed file")
    s.add("bad-state.gguf", b"ggsn" + struct.pack("<III", 9, 1, 0xFFFFFFFF), "known format",
          "a saved state, whose count of cells is multiplied")


def samples(add):
    s = Samples(add)
    for part in (good, bad_head, bad_metadata, bad_alignment, bad_tensor, bad_name, other_byte_order, no_gguf):
        part(s)
