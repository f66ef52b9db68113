/* SPDX-License-Identifier: MIT */
/* numpy's .npz: a zip archive of .npy members, stored or deflated; see tensor-format-npy(5). */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include <zlib.h>

#include "bytes.h"
#include "npy-header.h"

enum {
    END_BYTES = 22,
    END64_LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    COMMENT_MAX = 65535,
    FLAG_ENCRYPTED = 1,
    STORED = 0,
    DEFLATED = 8,
    DEFLATE_RATIO_MAX = 1032, /* no deflate stream makes more of its bytes */
    PIECE = 256 * 1024,
};

static const uint8_t end_mark[4] = {'P', 'K', 5, 6};
static const uint8_t end64_mark[4] = {'P', 'K', 6, 6};
static const uint8_t locator_mark[4] = {'P', 'K', 6, 7};
static const uint8_t entry_mark[4] = {'P', 'K', 1, 2};
static const uint8_t local_mark[4] = {'P', 'K', 3, 4};
/* What unwrap makes of an archive with deflated members: this mark, then for each array the length
 * of its name (2 bytes), the name, its size (8 bytes) and the array. */
static const uint8_t plain_mark[8] = {'N', 'P', 'Z', 'p', 'l', 'a', 'i', 'n'};

static const char npy_suffix[] = ".npy";

struct directory {
    uint64_t offset, size, count;
};

/* One member of the archive. */
struct member {
    char name[1024];
    size_t name_length; /* without ".npy" */
    bool is_array;
    unsigned method;
    uint32_t crc;
    uint64_t stored, size,
        header;    /* bytes in the archive, plain bytes, place of the local header */
    uint64_t data; /* place of the bytes */
};

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    (void)size;
    bool zip = length >= 4 && (memcmp(head, local_mark, 4) == 0 || memcmp(head, end_mark, 4) == 0);
    return zip ? 32 : 0;
}

/* ---- The directory ---- */

static int find_end(struct tensor_reader *r, uint64_t *at)
{
    uint64_t reach = END_BYTES + COMMENT_MAX;
    uint64_t from = r->size > reach ? r->size - reach : 0;
    size_t length = (size_t)(r->size - from);
    if (length < END_BYTES)
        return tensor_fail(r, 0, "a zip archive has at least %d bytes", END_BYTES);
    const uint8_t *bytes = tensor_peek(r, from, length);
    if (!bytes)
        return -1;
    for (size_t i = length - END_BYTES + 1; i-- > 0;) {
        if (memcmp(bytes + i, end_mark, 4) == 0 &&
            get_le(bytes + i + 20, 2) == length - i - END_BYTES) {
            *at = from + i;
            return 0;
        }
    }
    return tensor_fail(r, r->size, "the zip archive has no end record (is it truncated?)");
}

/* Larger archives have a second end record, to which a locator before the first one points. */
static int read_end64(struct tensor_reader *r, uint64_t end, struct directory *d)
{
    if (end < END64_LOCATOR_BYTES)
        return 0;
    const uint8_t *locator = tensor_peek(r, end - END64_LOCATOR_BYTES, END64_LOCATOR_BYTES);
    if (!locator)
        return -1;
    if (memcmp(locator, locator_mark, 4) != 0)
        return 0;
    uint64_t at = get_le(locator + 8, 8);
    if (at > end || end - at < END64_BYTES)
        return tensor_fail(r, end - END64_LOCATOR_BYTES, "the zip64 end record lies nowhere");
    const uint8_t *bytes = tensor_peek(r, at, END64_BYTES);
    if (!bytes)
        return -1;
    if (memcmp(bytes, end64_mark, 4) != 0)
        return tensor_fail(r, at, "no zip64 end record stands where one should");
    *d = (struct directory){get_le(bytes + 48, 8), get_le(bytes + 40, 8), get_le(bytes + 32, 8)};
    return 0;
}

static int read_directory(struct tensor_reader *r, struct directory *d)
{
    uint64_t end = 0;
    if (find_end(r, &end) < 0)
        return -1;
    const uint8_t *bytes = tensor_peek(r, end, END_BYTES);
    if (!bytes)
        return -1;
    if (get_le(bytes + 4, 2) != 0 || get_le(bytes + 6, 2) != 0)
        return tensor_fail(r, end + 4, "a zip archive of several disks");
    *d = (struct directory){get_le(bytes + 16, 4), get_le(bytes + 12, 4), get_le(bytes + 10, 2)};
    if (read_end64(r, end, d) < 0)
        return -1;
    if (d->offset > end || d->size > end - d->offset || d->count > d->size / ENTRY_BYTES)
        return tensor_fail(r, end, "the zip directory does not lie before its end record");
    return 0;
}

/* ---- Members ---- */

/* Sizes that 32 bits do not hold stand in the zip64 field, in this order, if at all. */
static int read_wide_sizes(struct tensor_reader *r, struct member *m, uint64_t at, uint64_t extra,
                           uint64_t length)
{
    uint64_t *const wide[] = {&m->size, &m->stored, &m->header};
    const uint8_t *bytes = length ? tensor_peek(r, extra, (size_t)length) : NULL;
    if (length && !bytes)
        return -1;
    for (uint64_t i = 0; i + 4 <= length;) {
        uint64_t n = get_le(bytes + i + 2, 2);
        if (n > length - i - 4)
            break;
        uint64_t place = i + 4, left = n;
        for (size_t k = 0; get_le(bytes + i, 2) == 1 && k < 3; k++) {
            if (*wide[k] != UINT32_MAX || left < 8)
                continue;
            *wide[k] = get_le(bytes + place, 8);
            place += 8;
            left -= 8;
        }
        i += 4 + n;
    }
    return m->size == UINT32_MAX || m->stored == UINT32_MAX || m->header == UINT32_MAX
               ? tensor_fail(r, at, "a member of the zip archive lacks its 64-bit sizes")
               : 0;
}

/* Where the bytes of a member lie is known from its local header alone. */
static int locate(struct tensor_reader *r, struct member *m)
{
    if (m->header > r->size || r->size - m->header < LOCAL_BYTES)
        return tensor_fail(r, m->header, "a member of the zip archive lies beyond its end");
    const uint8_t *bytes = tensor_peek(r, m->header, LOCAL_BYTES);
    if (!bytes)
        return -1;
    if (memcmp(bytes, local_mark, 4) != 0)
        return tensor_fail(r, m->header, "no local header of a member of the zip archive");
    if (get_le(bytes + 8, 2) != m->method)
        return tensor_fail(r, m->header, "the headers of a zip member disagree");
    m->data = m->header + LOCAL_BYTES + get_le(bytes + 26, 2) + get_le(bytes + 28, 2);
    if (m->data > r->size || m->stored > r->size - m->data)
        return tensor_fail(r, m->header, "member '%.*s' ends beyond the zip archive",
                           SHOWN(m->name_length), m->name);
    return 0;
}

static int check_member(struct tensor_reader *r, const struct member *m, unsigned flags,
                        uint64_t at)
{
    if (flags & FLAG_ENCRYPTED)
        return tensor_fail(r, at, "member '%.*s' is encrypted", SHOWN(m->name_length), m->name);
    if (m->method != STORED && m->method != DEFLATED)
        return tensor_fail(r, at, "member '%.*s' is compressed by method %u (0 and 8 are known)",
                           SHOWN(m->name_length), m->name, m->method);
    if (m->method == STORED ? m->stored != m->size : m->size / DEFLATE_RATIO_MAX > m->stored)
        return tensor_fail(r, at, "%" PRIu64 " bytes of member '%.*s' cannot be %" PRIu64,
                           m->stored, SHOWN(m->name_length), m->name, m->size);
    return 0;
}

/* Reads the entry at a place of the directory and moves on to the next. */
static int read_member(struct tensor_reader *r, const struct directory *d, uint64_t *at,
                       struct member *m)
{
    uint64_t left = d->offset + d->size - *at;
    const uint8_t *bytes = left < ENTRY_BYTES ? NULL : tensor_peek(r, *at, ENTRY_BYTES);
    if (!bytes || memcmp(bytes, entry_mark, 4) != 0)
        return tensor_fail(r, *at, "the zip directory is broken");
    uint64_t name = get_le(bytes + 28, 2), extra = get_le(bytes + 30, 2);
    uint64_t comment = get_le(bytes + 32, 2), total = ENTRY_BYTES + name + extra + comment;
    unsigned flags = (unsigned)get_le(bytes + 8, 2);
    *m = (struct member){.method = (unsigned)get_le(bytes + 10, 2),
                         .crc = (uint32_t)get_le(bytes + 16, 4),
                         .stored = get_le(bytes + 20, 4),
                         .size = get_le(bytes + 24, 4),
                         .header = get_le(bytes + 42, 4)};
    if (total > left || name >= sizeof m->name)
        return tensor_fail(r, *at, "the zip directory is broken");
    const char *text = tensor_peek(r, *at + ENTRY_BYTES, (size_t)name);
    if (!text)
        return -1;
    memcpy(m->name, text, (size_t)name);
    size_t suffix = sizeof npy_suffix - 1;
    m->is_array = name > suffix && memcmp(m->name + name - suffix, npy_suffix, suffix) == 0;
    m->name_length = (size_t)name - (m->is_array ? suffix : 0);
    if (read_wide_sizes(r, m, *at, *at + ENTRY_BYTES + name, extra) < 0)
        return -1;
    if (m->is_array && (check_member(r, m, flags, *at) < 0 || locate(r, m) < 0))
        return -1;
    *at += total;
    return 0;
}

static int add_array(struct tensor_reader *r, const char *name, size_t name_length, uint64_t at,
                     uint64_t size)
{
    struct npy_header h;
    if (npy_read_header(r, at, at + size, &h) < 0)
        return -1;
    struct tensor_entry entry = {.name = name,
                                 .name_length = name_length,
                                 .dtype = h.dtype,
                                 .rank = h.rank,
                                 .shape = h.shape,
                                 .offset = at + h.length,
                                 .nbytes = size - h.length};
    return tensor_add(r, &entry);
}

/* ---- Deflated members ---- */

static int inflate_pieces(struct tensor_reader *r, const struct member *m, z_stream *z)
{
    uint8_t out[PIECE / 4];
    uint64_t at = m->data, left = m->stored, made = 0;
    uint32_t crc = 0;
    int state = Z_OK;
    while (state == Z_OK) {
        size_t n = left < PIECE ? (size_t)left : PIECE;
        if (z->avail_in == 0 && n) {
            const void *bytes = tensor_peek(r, at, n);
            if (!bytes)
                return -1;
            z->next_in = (Bytef *)bytes;
            z->avail_in = (uInt)n;
            at += n;
            left -= n;
        }
        z->next_out = out;
        z->avail_out = sizeof out;
        state = inflate(z, Z_NO_FLUSH);
        size_t got = sizeof out - z->avail_out;
        made += got;
        crc = (uint32_t)crc32_z(crc, out, got);
        if (made > m->size)
            break;
        if (tensor_unwrapped(r, out, got) < 0)
            return -1;
    }
    if (state != Z_STREAM_END || made != m->size || crc != m->crc)
        return tensor_fail(r, m->data, "member '%.*s': bad deflate stream, size or checksum",
                           SHOWN(m->name_length), m->name);
    return 0;
}

static int emit_inflated(struct tensor_reader *r, const struct member *m)
{
    z_stream z = {0};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return tensor_fail(r, m->data, "out of memory");
    int result = inflate_pieces(r, m, &z);
    inflateEnd(&z);
    return result;
}

static int emit_stored(struct tensor_reader *r, const struct member *m)
{
    for (uint64_t done = 0; done < m->stored;) {
        size_t n = m->stored - done < PIECE ? (size_t)(m->stored - done) : PIECE;
        const void *bytes = tensor_peek(r, m->data + done, n);
        if (!bytes || tensor_unwrapped(r, bytes, n) < 0)
            return -1;
        done += n;
    }
    return 0;
}

static int emit_member(struct tensor_reader *r, const struct member *m)
{
    uint8_t length[2], size[8];
    put_le(length, m->name_length, 2);
    put_le(size, m->size, 8);
    if (tensor_unwrapped(r, length, 2) < 0 || tensor_unwrapped(r, m->name, m->name_length) < 0 ||
        tensor_unwrapped(r, size, 8) < 0)
        return -1;
    return m->method == STORED ? emit_stored(r, m) : emit_inflated(r, m);
}

/* ---- The format ---- */

static bool is_plain(struct tensor_reader *r)
{
    const uint8_t *bytes =
        r->size < sizeof plain_mark ? NULL : tensor_peek(r, 0, sizeof plain_mark);
    return bytes && memcmp(bytes, plain_mark, sizeof plain_mark) == 0;
}

/* Goes over the arrays of the archive. */
static int each_member(struct tensor_reader *r,
                       int (*each)(struct tensor_reader *, const struct member *))
{
    struct directory d = {0};
    struct member m;
    if (read_directory(r, &d) < 0)
        return -1;
    for (uint64_t i = 0, at = d.offset; i < d.count; i++)
        if (read_member(r, &d, &at, &m) < 0 || (m.is_array && each(r, &m) < 0))
            return -1;
    return 0;
}

/* An archive that has a deflated array is made plain. */
static int unwrap(struct tensor_reader *r)
{
    struct directory d = {0};
    struct member m;
    bool deflated = false;
    uint64_t stored = 0;
    if (read_directory(r, &d) < 0)
        return -1;
    for (uint64_t i = 0, at = d.offset; i < d.count; i++) {
        if (read_member(r, &d, &at, &m) < 0)
            return -1;
        deflated |= m.is_array && m.method == DEFLATED;
        stored += m.is_array ? m.stored : 0;
        if (stored > r->size) /* a small archive could expand to any size that way */
            return tensor_fail(r, m.header, "members of the zip archive share their bytes");
    }
    if (!deflated)
        return 0;
    if (tensor_unwrapped(r, plain_mark, sizeof plain_mark) < 0 || each_member(r, emit_member) < 0)
        return -1;
    return 1;
}

static int add_stored(struct tensor_reader *r, const struct member *m)
{
    return add_array(r, m->name, m->name_length, m->data, m->size);
}

static int read_plain(struct tensor_reader *r)
{
    char name[sizeof((struct member *)0)->name];
    for (uint64_t at = sizeof plain_mark; at < r->size;) {
        const uint8_t *bytes = tensor_peek(r, at, 2);
        size_t length = bytes ? (size_t)get_le(bytes, 2) : 0;
        if (!bytes || length > sizeof name || !(bytes = tensor_peek(r, at + 2, length + 8)))
            return -1;
        memcpy(name, bytes, length);
        uint64_t size = get_le(bytes + length, 8);
        at += 2 + length + 8;
        if (size > r->size - at || add_array(r, name, length, at, size) < 0)
            return -1;
        at += size;
    }
    return 0;
}

static int read_npz(struct tensor_reader *r)
{
    return is_plain(r) ? read_plain(r) : each_member(r, add_stored);
}

const struct tensor_format tensor_format_npz = {
    TENSOR_FORMAT_HEADER, .name = "npz", .about = "a zip archive of numpy arrays",
    .suffixes = ".npz",   .bid = bid,    .unwrap = unwrap,
    .read = read_npz,
};
