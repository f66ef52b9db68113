# SPDX-License-Identifier: MIT
"""APR samples; see make-samples."""
import struct
import zlib

from formats import Tensor, apr, apr_entry, apr_raw, ones

MAX64 = (1 << 64) - 1
ESCAPES = "\x1b]52;c;ZXZpbA==\x07"  # writes to the clipboard of a terminal that obeys it
F32, U8 = 0, 7  # type codes


def crc_of_header(front, back):
    return struct.pack("<I", zlib.crc32(front + back))


def with_place(field, place):
    """A file whose header has this place."""
    data = apr([ones()])
    at = {"metadata": 12, "index": 24, "data": 32}[field]
    front = data[:at] + struct.pack("<Q", place) + data[at + 8:40]
    return front + crc_of_header(front, data[44:64]) + data[44:]


def wrapped(flags, body):
    """A file that is compressed behind its header: the header's own file, with other flags."""
    front = body[:6] + struct.pack("<H", flags) + body[8:40]
    return front + crc_of_header(front, body[44:64]) + body[44:64]


def lz4_literals(data):
    """A raw LZ4 block that has literals alone."""
    if len(data) < 15:
        return bytes([len(data) << 4]) + data
    rest = len(data) - 15
    return bytes([0xF0]) + b"\xff" * (rest // 255) + bytes([rest % 255]) + data


def lz4(data, size=None):
    return struct.pack("<I", len(data) if size is None else size) + lz4_literals(data)


def zstd(data):
    """A zstd frame of one raw block."""
    header = b"\x28\xb5\x2f\xfd" + b"\xa0" + struct.pack("<I", len(data))
    return header + (len(data) << 3 | 1).to_bytes(3, "little") + data


class Samples:
    def __init__(self, add):
        self.add = add

    def file(self, sample, says, proves, tensors=None, metadata=None, **said):
        self.add(f"{sample}.apr", apr([ones()] if tensors is None else tensors, metadata, **said), says,
                 proves)

    def entries(self, sample, says, proves, *entries, data=bytes(64), count=None):
        """A file with this index."""
        self.add(f"{sample}.apr", apr_raw(b"{}", b"".join(entries), data,
                                          len(entries) if count is None else count), says, proves)


def good(s):
    s.file("good-plain", '"name":"w","dtype":"F32","shape":[4],"nbytes":16', "a plain file")
    s.file("good-no-tensors", "", "a file of no tensors", [])
    s.file("good-scalar", '"shape":[]', "no dimensions are one element", [ones(shape=())])
    s.file("good-dim-0", '"elements":0', "an empty tensor shares its place with the next",
           [ones("e", shape=(0,)), ones()])
    s.file("good-metadata-list", "", "tensors that only the metadata lists are none", [],
           metadata=b'{"tensors":[{"name":"w","dtype":"F32","shape":[4],"offset":0,"size":16}]}')
    s.file("good-minor", '"name":"w"', "version 2.7", minor=7)
    s.file("good-metadata-twice", '"name":"w"', "of two equal keys of metadata the last counts",
           metadata=b'{"rms_norm_eps":null,"rms_norm_eps":1e-5}')
    s.add("good-wrong-footer.apr", apr([ones()])[:-4] + b"\xde\xad\xbe\xef", '"name":"w"',
          "no reader looks at the checksum of the whole file")
    s.file("good-no-footer", "footer", "a file without its last checksum is read with a warning",
           footer=False)
    s.file("good-data-order", '"name":"a"', "the data in another order than the index",
           [ones("b"), ones("a")])
    s.file("good-flag-alone", '"name":"w"', "a flag of compression on a file that is plain", flags=0x0401)
    s.file("good-code-2", '"dtype":"BF16"', "type code 2 with two bytes an element is BF16",
           [Tensor("w", "BF16", [4], bytes(8), code=2)])
    s.file("good-code-2-q4", '"dtype":"Q4_0"', "type code 2 with 18 bytes for 32 elements is Q4_0",
           [Tensor("w", "Q4_0", [32], bytes(18), code=2)])
    s.file("good-code-8", '"dtype":"APR_Q4"', "type code 8 is the old q4",
           [Tensor("w", "APR_Q4", [33], bytes(36), code=8)])
    s.file("good-code-9", '"dtype":"APR_Q8"', "type code 9 is the old q8",
           [Tensor("w", "APR_Q8", [33], bytes(37), code=9)])
    s.file("good-rows", '"nbytes":432', "rows that are padded to whole blocks",
           [Tensor("w", "Q4_K", [3, 100], bytes(432))])
    s.file("good-flat", '"nbytes":288,"packing":"flat"', "blocks that run over the rows",
           [Tensor("w", "Q4_K", [3, 100], bytes(288))])
    s.file("good-escapes", "\\u001B]52;c;ZXZpbA==", "a name that would command a terminal is escaped",
           [ones(ESCAPES)])


def bad_head(s):
    plain = apr([ones()])
    s.add("bad-short.apr", plain[:63], "at least 64", "shorter than its header")
    s.add("bad-magic.apr", b"APS\0" + plain[4:], "known format", "a magic that is none")
    s.file("bad-crc", "checksum", "a header with a wrong checksum", crc=0x12345678)
    s.file("bad-version", "version 3", "version 3", major=3)
    s.file("bad-version-1", "version 1", "version 1 under the magic of version 2", major=1)
    s.add("bad-header-shift.apr", plain[:8] + bytes(4) + plain[8:60] + plain[64:], "checksum",
          "a header with the places of another version")
    s.file("bad-column-major", "column-major", "tensors in the other order", flags=0x0C00)
    for field, place, says in (("metadata", MAX64, "metadata"), ("metadata", 0, "metadata"),
                               ("index", MAX64, "index"), ("index", 64, "metadata"), ("index", 3, "metadata"),
                               ("data", MAX64, "data begins"), ("data", 70, "index")):
        s.add(f"bad-{field}-at-{place}.apr", with_place(field, place), says, f"{field} at byte {place}")
    s.file("bad-metadata-length", "metadata", "metadata of 2^32-1 bytes", metadata_bytes=0xFFFFFFFF)
    s.file("bad-metadata-json", "JSON", "metadata that is no JSON", metadata=b'{"a":')
    s.file("bad-metadata-array", "not an object", "metadata that is an array", metadata=b"[]")
    s.file("bad-metadata-more", "JSON", "something behind the metadata", metadata=b"{}{}")
    s.file("bad-metadata-deep", "deep", "metadata nested 100,000 deep",
           metadata=b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}")


def bad_index(s):
    w = apr_entry("w", F32, [4], 0, 16)
    s.entries("bad-count-max", "4294967295 tensors", "more tensors than the index can hold", w, count=0xFFFFFFFF)
    s.entries("bad-count-2", "not sorted", "one more tensor than there is", w, count=2)
    s.entries("bad-name-length", "behind the index", "a name of 65535 bytes",
              struct.pack("<H", 65535) + b"w" * 30)
    s.entries("bad-rank-255", "behind the index", "255 dimensions, and room for one",
              struct.pack("<H", 1) + b"w\0\xff" + bytes(24))
    for name, says, proves, entry in (
            ("rank-17", "dimensions", "17 dimensions", apr_entry("w", F32, [1] * 16 + [4], 0, 16)),
            ("code-99", "type code 99", "a type that there is not", apr_entry("w", 99, [4], 0, 16)),
            ("shape-wraps", "are not those of type code 0", "2^32 x 2^32 is not 0", apr_entry("w", F32, [1 << 32, 1 << 32], 0, 0)),
            ("shape-max", "overflow", "a dimension of 2^64-1", apr_entry("w", U8, [MAX64], 0, MAX64)),
            ("size", "24 bytes", "a size that is not that of type and shape",
             apr_entry("w", F32, [4], 0, 24)),
            ("size-max", f"{MAX64} bytes", "a size of 2^64-1", apr_entry("w", U8, [4], 0, MAX64)),
            ("offset-beyond", "beyond the file", "a place behind the end",
             apr_entry("w", F32, [4], 4096, 16)),
            ("offset-wrap", f"its offset {MAX64 - 7} is too large", "a place at the end of all numbers",
             apr_entry("w", F32, [4], MAX64 - 7, 16)),
            ("name-empty", "empty", "a name of no characters", apr_entry("", F32, [4], 0, 16)),
            ("name-nul", "NUL", "a name with a NUL", apr_entry("a\0b", F32, [4], 0, 16)),
            ("name-utf8", "UTF-8", "a name that is no UTF-8", apr_entry(b"\xff\xfe", F32, [4], 0, 16)),
            ("name-escape", "\\x1b]52", "a complaint about a hostile name shows it escaped",
             apr_entry(ESCAPES, 99, [4], 0, 16))):
        s.entries(f"bad-{name}", says, proves, entry)
    for name, says, proves, a, b in (
            ("overlap", "overlap", "two tensors on the same bytes", ("a", 0), ("b", 8)),
            ("name-twice", "occurs twice", "one name for two tensors", ("w", 0), ("w", 64)),
            ("unsorted", "not sorted", "an index that is not sorted", ("b", 0), ("a", 64))):
        s.entries(f"bad-{name}", says, proves, apr_entry(a[0], F32, [4], a[1], 16),
                  apr_entry(b[0], F32, [4], b[1], 16), data=bytes(128))


def unsupported(s):
    s.file("unsupported-encrypted", "encrypted", "an encrypted file", flags=0x0404)
    for magic in (b"APRN", b"APR1", b"APR2"):
        s.add(f"unsupported-{magic.decode()}.apr", magic + bytes(96), magic.decode(),
              "a relative is told by name")
    s.add("unsupported-tsp.apr", b"APR\0" + struct.pack("<II", 1, 0x54535000) + bytes(64),
          "aprender-tsp", "a model of another program with the same magic")


def compressed(s):
    plain = apr([ones()])
    body = plain[64:]
    for name, flags, packed, garbage in (("lz4", 0x0401, lz4(body), "cannot expand"),
                                         ("zstd", 0x0402, zstd(body), "bad zstd frame")):
        head = wrapped(flags, plain)
        s.add(f"good-{name}.apr", head + packed, '"name":"w"', "a compressed file")
        s.add(f"bad-{name}-cut.apr", head + packed[:-40], "breaks off", "a compressed file that breaks off")
        s.add(f"bad-{name}-nothing.apr", head, "the file ends at 64", "a compressed file with nothing in it")
        s.add(f"bad-{name}-garbage.apr", head + b"\xff" * 64, garbage,
              "garbage where compressed bytes should be")
    head = wrapped(0x0401, plain)
    s.add("bad-lz4-size-4g.apr", head + lz4(body, 0xFFFFFFFF), "cannot expand to 4294967295", "a stated size of 4 GiB")
    s.add("bad-lz4-size-less.apr", head + lz4(body, len(body) - 1), "more than its stated size", "more bytes than the stated size")
    s.add("bad-lz4-size-more.apr", head + lz4(body, len(body) + 1), "less than its stated size", "fewer bytes than the stated size")
    s.add("bad-lz4-back.apr", head + struct.pack("<I", 64) + b"\x10w\x02\x00", "reaches back",
          "a match that reaches back beyond the start")
    s.add("bad-lz4-back-0.apr", head + struct.pack("<I", 64) + b"\x1fw\x00\x00" + b"\xff" * 9 + b"\0",
          "bad LZ4 block", "a match of itself")
    bomb = b"\x1f\0\1\0" + b"\xff" * 4000 + b"\0"
    s.add("bad-lz4-bomb.apr", head + struct.pack("<I", 4000 * 255 + 20) + bomb, "breaks off",
          "a megabyte of zeros from 4 KB is no model")


def samples(add):
    s = Samples(add)
    for part in (good, bad_head, bad_index, unsupported, compressed):
        part(s)
