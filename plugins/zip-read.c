/* SPDX-License-Identifier: MIT */
/* The reader of zip archives: the directory at the end, the records before members, their bytes. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "zip-read.h"

enum {
    COMMENT_MAX = UINT16_MAX,
    FLAG_ENCRYPTED = 0x2041, /* in any way, the directory included */
    FLAG_STREAMED = 0x0008,  /* checksum and sizes follow the data */
    FLAG_PATCH = 0x0020,
    REFUSED_FLAGS = FLAG_ENCRYPTED | FLAG_PATCH,
    DEFLATE_RATIO_MAX = 1032, /* 258 bytes of 2 bits */
    PIECE = 128 * 1024,
};

#define FAIL_MEMBER(a, m, at, format, ...)                                                         \
    tensor_fail((a)->r, at, "member '%.*s': " format, SHOWN((m)->name_length),                     \
                (a)->names + (m)->name, __VA_ARGS__)

/* ---- The end of the archive ---- */

/* The first place that may be the end record is taken, and no other may follow. */
static int find_end(struct tensor_reader *r, uint64_t *out)
{
    size_t reach = ZIP_END_BYTES + COMMENT_MAX;
    size_t length = r->size < reach ? (size_t)r->size : reach;
    uint64_t from = r->size - length;
    const uint8_t *bytes = tensor_peek(r, from, length);
    if (!bytes)
        return -1;
    for (size_t i = 0; i + ZIP_END_BYTES <= length; i++) {
        size_t rest = length - i - ZIP_END_BYTES;
        if (!zip_has_mark(bytes + i, ZIP_END_MARK) || get_le(bytes + i + 20, 2) != rest)
            continue;
        if (memmem(bytes + i + ZIP_MARK_BYTES, length - i - ZIP_MARK_BYTES, ZIP_END_MARK,
                   ZIP_MARK_BYTES))
            return tensor_fail(r, from + i, "the zip archive has two end records");
        *out = from + i;
        return 0;
    }
    return tensor_fail(r, r->size, "the zip archive has no end record (is it truncated?)");
}

static int fail_disks(struct tensor_reader *r, uint64_t at)
{
    return tensor_fail(r, at, "the zip archive is one part of several");
}

/* A value of the end record: its 64-bit twin counts, and both must agree. */
static bool agrees(uint64_t narrow, uint64_t most, uint64_t wide)
{
    return narrow == most || narrow == wide;
}

/* Archives of many bytes or members have a second end record, which a locator before the first one
 * points to. */
static int read_end64(struct tensor_reader *r, uint64_t locator, uint64_t at,
                      struct zip_directory *d)
{
    if (at > locator || locator - at < ZIP_END64_BYTES)
        return tensor_fail(r, locator, "the zip64 end record lies nowhere");
    const uint8_t *bytes = tensor_peek(r, at, ZIP_END64_BYTES);
    if (!bytes)
        return -1;
    if (!zip_has_mark(bytes, ZIP_END64_MARK) || get_le(bytes + 4, 8) != locator - at - 12)
        return tensor_fail(r, at, "the zip64 end record is broken");
    if (get_le(bytes + 16, 4) || get_le(bytes + 20, 4) ||
        get_le(bytes + 24, 8) != get_le(bytes + 32, 8))
        return fail_disks(r, at);
    struct zip_directory wide = {.offset = get_le(bytes + 48, 8), .count = get_le(bytes + 32, 8)};
    wide.end = at;
    uint64_t size = get_le(bytes + 40, 8);
    if (wide.offset > at || size != at - wide.offset)
        return tensor_fail(r, at, "the zip directory does not end where its end record begins");
    if (!agrees(d->count, UINT16_MAX, wide.count) || !agrees(d->offset, UINT32_MAX, wide.offset) ||
        !agrees(d->end, UINT32_MAX, size))
        return tensor_fail(r, at, "the end records of the zip archive disagree");
    *d = wide;
    return 0;
}

static int read_end(struct tensor_reader *r, uint64_t at, struct zip_directory *d)
{
    const uint8_t *bytes = tensor_peek(r, at, ZIP_END_BYTES);
    if (!bytes)
        return -1;
    if (get_le(bytes + 4, 2) || get_le(bytes + 6, 2) ||
        get_le(bytes + 8, 2) != get_le(bytes + 10, 2))
        return fail_disks(r, at);
    *d = (struct zip_directory){get_le(bytes + 16, 4), get_le(bytes + 12, 4), get_le(bytes + 8, 2)};
    bytes =
        at < ZIP_LOCATOR_BYTES ? NULL : tensor_peek(r, at - ZIP_LOCATOR_BYTES, ZIP_LOCATOR_BYTES);
    if (at >= ZIP_LOCATOR_BYTES && !bytes)
        return -1;
    if (bytes && zip_has_mark(bytes, ZIP_LOCATOR_MARK)) {
        if (get_le(bytes + 4, 4) || get_le(bytes + 16, 4) > 1)
            return fail_disks(r, at - ZIP_LOCATOR_BYTES);
        return read_end64(r, at - ZIP_LOCATOR_BYTES, get_le(bytes + 8, 8), d);
    }
    if (d->offset > at || d->end != at - d->offset)
        return tensor_fail(r, at, "the zip directory does not end where its end record begins");
    d->end = at;
    return 0;
}

static int find_directory(struct tensor_reader *r, struct zip_directory *d)
{
    uint64_t at = 0;
    if (find_end(r, &at) < 0 || read_end(r, at, d) < 0)
        return -1;
    if (d->count <= (d->end - d->offset) / ZIP_ENTRY_BYTES)
        return 0;
    return tensor_fail(r, at, "%" PRIu64 " members cannot fit a zip directory of %" PRIu64 " bytes",
                       d->count, d->end - d->offset);
}

/* ---- The directory ---- */

static void *grow(void *items, size_t *capacity, size_t need, size_t item)
{
    if (need <= *capacity)
        return items;
    size_t larger = 2 * need < 64 ? 64 : 2 * need;
    void *moved = reallocarray(items, larger, item);
    if (moved)
        *capacity = larger;
    return moved;
}

/* Appends a member; more memory is taken only for what the file has shown. */
static int keep_member(struct zip_archive *a, struct zip_member m, const uint8_t *name)
{
    struct zip_member *members = grow(a->members, &a->capacity, a->count + 1, sizeof *members);
    if (members)
        a->members = members;
    char *names = grow(a->names, &a->names_capacity, a->names_length + m.name_length + 1, 1);
    if (names)
        a->names = names;
    if (!members || !names)
        return tensor_fail(a->r, m.local, "out of memory");
    m.name = a->names_length;
    memcpy(a->names + m.name, name, m.name_length);
    a->names_length += m.name_length;
    a->members[a->count++] = m;
    a->wanted += m.wanted;
    a->deflated = a->deflated || (m.wanted && m.method == ZIP_DEFLATED);
    return 0;
}

/* Replaces values that 32 bits do not hold: they stand in a field of the extra bytes, in the order
 * of values.  False if they do not. */
static bool widen(const uint8_t *extra, size_t length, uint64_t *const *values, size_t count)
{
    const uint8_t *field = NULL;
    size_t left = 0;
    for (size_t at = 0; at + 4 <= length && !field;) {
        size_t n = (size_t)get_le(extra + at + 2, 2);
        if (n > length - at - 4)
            return false;
        if (get_le(extra + at, 2) == ZIP_WIDE_FIELD) {
            field = extra + at + 4;
            left = n;
        }
        at += 4 + n;
    }
    for (size_t i = 0; i < count; i++) {
        if (*values[i] != UINT32_MAX)
            continue;
        if (left < 8)
            return false;
        *values[i] = get_le(field, 8);
        field += 8;
        left -= 8;
    }
    return true;
}

bool zip_climbs(const char *name, size_t length)
{
    for (size_t at = 0, n; at <= length; at += n + 1) {
        for (n = 0; at + n < length && name[at + n] != '/' && name[at + n] != '\\';)
            n++;
        if (n == 2 && memcmp(name + at, "..", 2) == 0)
            return true;
    }
    return false;
}

static int check_member(struct zip_archive *a, const struct zip_member *m, uint64_t at)
{
    const char *name = a->names + m->name;
    if (memchr(name, '\0', m->name_length) || zip_climbs(name, m->name_length))
        return FAIL_MEMBER(a, m, at, "%s", "its name has a NUL or ..");
    if (!m->wanted)
        return 0;
    if (m->flags & FLAG_ENCRYPTED)
        return FAIL_MEMBER(a, m, at, "%s", "it is encrypted");
    if (m->flags & FLAG_PATCH)
        return FAIL_MEMBER(a, m, at, "%s", "it is a patch of other data");
    if (m->method != ZIP_STORED && m->method != ZIP_DEFLATED)
        return FAIL_MEMBER(a, m, at, "it is compressed by method %u (0 and 8 are supported)",
                           m->method);
    if (m->method == ZIP_STORED ? m->packed != m->size : m->size / DEFLATE_RATIO_MAX > m->packed)
        return FAIL_MEMBER(a, m, at, "%" PRIu64 " bytes cannot be %" PRIu64 " when unpacked",
                           m->packed, m->size);
    return 0;
}

/* The fields of an entry, of which all bytes are there. */
static struct zip_member get_entry(const struct zip_archive *a, const uint8_t *bytes)
{
    size_t suffix = strlen(a->suffix);
    struct zip_member m = {.name_length = (size_t)get_le(bytes + 28, 2),
                           .flags = (uint16_t)(get_le(bytes + 8, 2) & REFUSED_FLAGS),
                           .method = (uint16_t)get_le(bytes + 10, 2),
                           .crc = (uint32_t)get_le(bytes + 16, 4),
                           .packed = get_le(bytes + 20, 4),
                           .size = get_le(bytes + 24, 4),
                           .local = get_le(bytes + 42, 4)};
    const uint8_t *end = bytes + ZIP_ENTRY_BYTES + m.name_length;
    m.wanted = m.name_length >= suffix && memcmp(end - suffix, a->suffix, suffix) == 0;
    return m;
}

/* Reads the entry at *at and moves on to the next one. */
static int read_entry(struct zip_archive *a, uint64_t *at)
{
    uint64_t begin = *at, left = a->directory.end - begin;
    const uint8_t *bytes =
        left < ZIP_ENTRY_BYTES ? NULL : tensor_peek(a->r, begin, ZIP_ENTRY_BYTES);
    if (!bytes || !zip_has_mark(bytes, ZIP_ENTRY_MARK))
        return tensor_fail(a->r, begin, "no entry of the zip directory stands where one should");
    size_t name = (size_t)get_le(bytes + 28, 2), extra = (size_t)get_le(bytes + 30, 2);
    size_t total = ZIP_ENTRY_BYTES + name + extra + (size_t)get_le(bytes + 32, 2);
    if (total > left)
        return tensor_fail(a->r, begin, "an entry of the zip directory ends beyond it");
    bytes = tensor_peek(a->r, begin, total);
    if (!bytes)
        return -1;
    *at += total;
    if (get_le(bytes + 34, 2))
        return fail_disks(a->r, begin);
    struct zip_member m = get_entry(a, bytes);
    bytes += ZIP_ENTRY_BYTES;
    if (!widen(bytes + name, extra, (uint64_t *[]){&m.size, &m.packed, &m.local}, 3))
        return tensor_fail(a->r, begin, "an entry of the zip directory lacks its 64-bit values");
    if (keep_member(a, m, bytes) < 0)
        return -1;
    return check_member(a, &a->members[a->count - 1], begin);
}

int zip_read_directory(struct zip_archive *a)
{
    if (find_directory(a->r, &a->directory) < 0)
        return -1;
    uint64_t at = a->directory.offset;
    for (uint64_t i = 0; i < a->directory.count; i++)
        if (read_entry(a, &at) < 0)
            return -1;
    if (at != a->directory.end)
        return tensor_fail(a->r, at, "the zip directory has more than its %" PRIu64 " members",
                           a->directory.count);
    return 0;
}

/* ---- The members ---- */

/* The fields of a record that was written before the sizes were known are 0. */
static bool is_same(uint64_t here, uint64_t there, unsigned flags)
{
    return here == there || (flags & FLAG_STREAMED && here == 0);
}

/* Whether the record before a member's bytes, but for its name, says what the directory says. */
static bool is_confirmed(const struct zip_member *m, const uint8_t *bytes, const uint8_t *extra,
                         size_t extra_length)
{
    unsigned flags = (unsigned)get_le(bytes + 6, 2);
    uint64_t packed = get_le(bytes + 18, 4), size = get_le(bytes + 22, 4);
    return widen(extra, extra_length, (uint64_t *[]){&size, &packed}, 2) &&
           (flags & REFUSED_FLAGS) == m->flags && get_le(bytes + 8, 2) == m->method &&
           is_same(get_le(bytes + 14, 4), m->crc, flags) && is_same(packed, m->packed, flags) &&
           is_same(size, m->size, flags);
}

/* Reads the record before a member's bytes: it alone tells where they begin. */
static int read_local(struct zip_archive *a, struct zip_member *m)
{
    uint64_t room = a->directory.offset, at = m->local;
    if (at > room || room - at < ZIP_LOCAL_BYTES)
        return FAIL_MEMBER(a, m, at, "%s", "its place lies beyond the zip members");
    const uint8_t *bytes = tensor_peek(a->r, at, ZIP_LOCAL_BYTES);
    if (!bytes)
        return -1;
    if (!zip_has_mark(bytes, ZIP_LOCAL_MARK))
        return FAIL_MEMBER(a, m, at, "%s", "no zip member begins at its place");
    size_t name = (size_t)get_le(bytes + 26, 2), extra = (size_t)get_le(bytes + 28, 2);
    m->data = at + ZIP_LOCAL_BYTES + name + extra;
    if (m->data > room || m->packed > room - m->data)
        return FAIL_MEMBER(a, m, at, "its %" PRIu64 " bytes end beyond the zip members", m->packed);
    bytes = tensor_peek(a->r, at, ZIP_LOCAL_BYTES + name + extra);
    if (!bytes)
        return -1;
    const uint8_t *text = bytes + ZIP_LOCAL_BYTES;
    if (name != m->name_length || memcmp(text, a->names + m->name, name) != 0 ||
        !is_confirmed(m, bytes, text + name, extra))
        return FAIL_MEMBER(a, m, at, "%s",
                           "its zip headers disagree on name, method, sizes or checksum");
    return 0;
}

static int by_place(const void *x, const void *y)
{
    const struct zip_member *a = x, *b = y;
    return (a->local > b->local) - (a->local < b->local);
}

/* Bytes of two members would be unpacked twice, which is what the worst bombs are made of. */
int zip_locate_members(struct zip_archive *a)
{
    if (a->count)
        qsort(a->members, a->count, sizeof *a->members, by_place);
    uint64_t end = 0;
    for (size_t i = 0; i < a->count; i++) {
        struct zip_member *m = &a->members[i];
        if (m->local < end)
            return FAIL_MEMBER(a, m, m->local, "its bytes overlap those of '%.*s'",
                               SHOWN(m[-1].name_length), a->names + m[-1].name);
        if (read_local(a, m) < 0)
            return -1;
        end = m->data + m->packed;
    }
    return 0;
}

/* ---- Deflated members ---- */

/* The plain bytes of a member so far. */
struct output {
    uint64_t made;
    uint32_t crc;
};

static int put(struct zip_archive *a, const struct zip_member *m, struct output *o,
               const uint8_t *bytes, size_t length)
{
    if (length > m->size - o->made)
        return FAIL_MEMBER(a, m, m->data, "it unpacks to more than its stated %" PRIu64 " bytes",
                           m->size);
    o->made += length;
    o->crc = (uint32_t)crc32_z(o->crc, bytes, length);
    return tensor_unwrapped(a->r, bytes, length);
}

/* Unpacks one piece of a member; 1 if more are expected. */
static int inflate_piece(struct zip_archive *a, const struct zip_member *m, z_stream *z,
                         struct output *o)
{
    uint8_t bytes[PIECE];
    int state;
    do {
        z->next_out = bytes;
        z->avail_out = sizeof bytes;
        state = inflate(z, Z_NO_FLUSH);
        if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
            return FAIL_MEMBER(a, m, m->data, "bad deflate stream (%s)",
                               z->msg ? z->msg : "out of memory");
        if (put(a, m, o, bytes, sizeof bytes - z->avail_out) < 0)
            return -1;
    } while (state == Z_OK && (z->avail_in || z->avail_out == 0));
    return state != Z_STREAM_END;
}

static int inflate_member(struct zip_archive *a, const struct zip_member *m, z_stream *z,
                          struct output *o)
{
    uint64_t done = 0;
    int more = 1;
    while (more > 0 && done < m->packed) {
        size_t n = m->packed - done < PIECE ? (size_t)(m->packed - done) : PIECE;
        const uint8_t *bytes = tensor_peek(a->r, m->data + done, n);
        if (!bytes)
            return -1;
        z->next_in = (Bytef *)bytes;
        z->avail_in = (uInt)n;
        more = inflate_piece(a, m, z, o);
        done += n;
    }
    if (more > 0)
        return FAIL_MEMBER(a, m, m->data, "%s", "its deflate stream breaks off");
    if (more == 0 && (done < m->packed || z->avail_in))
        return FAIL_MEMBER(a, m, m->data, "%s", "its deflate stream ends before its bytes do");
    return more;
}

static int put_inflated(struct zip_archive *a, const struct zip_member *m, struct output *o)
{
    z_stream z = {0};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return FAIL_MEMBER(a, m, m->data, "%s", "out of memory");
    int result = inflate_member(a, m, &z, o);
    inflateEnd(&z);
    return result;
}

static int put_stored(struct zip_archive *a, const struct zip_member *m, struct output *o)
{
    while (o->made < m->size) {
        size_t n = m->size - o->made < PIECE ? (size_t)(m->size - o->made) : PIECE;
        const uint8_t *bytes = tensor_peek(a->r, m->data + o->made, n);
        if (!bytes || put(a, m, o, bytes, n) < 0)
            return -1;
    }
    return 0;
}

int zip_unpack(struct zip_archive *a, const struct zip_member *m)
{
    struct output o = {0};
    if ((m->method == ZIP_STORED ? put_stored(a, m, &o) : put_inflated(a, m, &o)) < 0)
        return -1;
    if (o.made != m->size)
        return FAIL_MEMBER(a, m, m->data,
                           "it unpacks to %" PRIu64 " bytes, not its stated %" PRIu64, o.made,
                           m->size);
    if (o.crc != m->crc)
        return FAIL_MEMBER(a, m, m->data, "%s", "its checksum is wrong");
    return 0;
}

void zip_free(struct zip_archive *a)
{
    free(a->members);
    free(a->names);
}
