/* SPDX-License-Identifier: MIT */
/* numpy's .npz: a zip archive of .npy members, stored or deflated; see tensor-format-npy(5).
 *
 * The directory at the end of the archive is what counts, but where a reader that goes by something
 * else would find other arrays, the archive is refused. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "bytes.h"
#include "npy-header.h"

#define SUFFIX       ".npy"
#define SUFFIX_BYTES 4u

/* What the records of an archive begin with. */
#define LOCAL_MARK   "PK\x03\x04"
#define ENTRY_MARK   "PK\x01\x02"
#define END_MARK     "PK\x05\x06"
#define END64_MARK   "PK\x06\x06"
#define LOCATOR_MARK "PK\x06\x07"
#define MARK_BYTES   4u

/* What unwrap makes of an archive with deflated arrays: this mark, then for each array the length
 * of its name (2 bytes), its size (8 bytes), the name and the array. */
#define PLAIN_MARK       "NPZplain"
#define PLAIN_MARK_BYTES 8u
#define PLAIN_HEAD_BYTES 10u

enum {
    LOCAL_BYTES = 30, /* of the records, without what is variable */
    ENTRY_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    COMMENT_MAX = UINT16_MAX,
    WIDE_FIELD = 1,          /* zip64: values of 64 bits */
    FLAG_ENCRYPTED = 0x2041, /* in any way, the directory included */
    FLAG_STREAMED = 0x0008,  /* checksum and sizes follow the data */
    FLAG_PATCH = 0x0020,
    REFUSED_FLAGS = FLAG_ENCRYPTED | FLAG_PATCH,
    STORED = 0,
    DEFLATED = 8,
    DEFLATE_RATIO_MAX = 1032, /* 258 bytes of 2 bits */
    PIECE = 128 * 1024,

    /* As we write them. */
    ALIGNMENT = 64,
    NEEDS = 20, /* of a reader that is needed */
    NEEDS_WIDE = 45,
    MADE_BY_UNIX = 3 << 8,
    FILE_MODE = 0600, /* as Python's */
    FLAG_UTF8 = 0x0800,
    FIRST_DAY = 1 << 5 | 1, /* 1980-01-01 */
    GAP_FIELD = 0xd935,
    GAP_BYTES = 6, /* its least */
};

struct directory {
    uint64_t offset, end, count;
};

/* A member, as the directory has it. */
struct member {
    size_t name; /* place in archive.names */
    size_t name_length;
    bool is_array;
    uint64_t local; /* place of its record in the file */
    uint64_t data;  /* of its bytes */
    uint64_t packed, size;
    uint32_t crc;
    uint16_t method, flags; /* those of REFUSED_FLAGS */
};

struct archive {
    struct tensor_reader *r;
    struct directory directory;
    struct member *members;
    size_t count, capacity;
    char *names;
    size_t names_length, names_capacity;
    size_t arrays;
    bool deflated; /* some array is */
};

#define FAIL_MEMBER(a, m, at, format, ...)                                                         \
    tensor_fail((a)->r, at, "member '%.*s': " format, SHOWN((m)->name_length),                     \
                (a)->names + (m)->name, __VA_ARGS__)

static bool has_mark(const uint8_t *bytes, const char *mark)
{
    return memcmp(bytes, mark, MARK_BYTES) == 0;
}

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    if (length < END_BYTES || !(has_mark(head, LOCAL_MARK) || has_mark(head, END_MARK)))
        return 0;
    if (has_mark(head, END_MARK)) /* an archive of nothing */
        return size == END_BYTES ? 8 * MARK_BYTES : 0;
    size_t end = length < LOCAL_BYTES ? SIZE_MAX : LOCAL_BYTES + (size_t)get_le(head + 26, 2);
    bool named = end <= length && end >= LOCAL_BYTES + SUFFIX_BYTES &&
                 memcmp(head + end - SUFFIX_BYTES, SUFFIX, SUFFIX_BYTES) == 0;
    return named ? 8 * (MARK_BYTES + SUFFIX_BYTES) : 8;
}

/* ---- The end of the archive ---- */

/* The first place that may be the end record is taken, and no other may follow. */
static int find_end(struct tensor_reader *r, uint64_t *out)
{
    size_t reach = END_BYTES + COMMENT_MAX;
    size_t length = r->size < reach ? (size_t)r->size : reach;
    uint64_t from = r->size - length;
    const uint8_t *bytes = tensor_peek(r, from, length);
    if (!bytes)
        return -1;
    for (size_t i = 0; i + END_BYTES <= length; i++) {
        size_t rest = length - i - END_BYTES;
        if (!has_mark(bytes + i, END_MARK) || get_le(bytes + i + 20, 2) != rest)
            continue;
        if (memmem(bytes + i + MARK_BYTES, length - i - MARK_BYTES, END_MARK, MARK_BYTES))
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
static int read_end64(struct tensor_reader *r, uint64_t locator, uint64_t at, struct directory *d)
{
    if (at > locator || locator - at < END64_BYTES)
        return tensor_fail(r, locator, "the zip64 end record lies nowhere");
    const uint8_t *bytes = tensor_peek(r, at, END64_BYTES);
    if (!bytes)
        return -1;
    if (!has_mark(bytes, END64_MARK) || get_le(bytes + 4, 8) != locator - at - 12)
        return tensor_fail(r, at, "the zip64 end record is broken");
    if (get_le(bytes + 16, 4) || get_le(bytes + 20, 4) ||
        get_le(bytes + 24, 8) != get_le(bytes + 32, 8))
        return fail_disks(r, at);
    struct directory wide = {.offset = get_le(bytes + 48, 8), .count = get_le(bytes + 32, 8)};
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

static int read_end(struct tensor_reader *r, uint64_t at, struct directory *d)
{
    const uint8_t *bytes = tensor_peek(r, at, END_BYTES);
    if (!bytes)
        return -1;
    if (get_le(bytes + 4, 2) || get_le(bytes + 6, 2) ||
        get_le(bytes + 8, 2) != get_le(bytes + 10, 2))
        return fail_disks(r, at);
    *d = (struct directory){get_le(bytes + 16, 4), get_le(bytes + 12, 4), get_le(bytes + 8, 2)};
    bytes = at < LOCATOR_BYTES ? NULL : tensor_peek(r, at - LOCATOR_BYTES, LOCATOR_BYTES);
    if (at >= LOCATOR_BYTES && !bytes)
        return -1;
    if (bytes && has_mark(bytes, LOCATOR_MARK)) {
        if (get_le(bytes + 4, 4) || get_le(bytes + 16, 4) > 1)
            return fail_disks(r, at - LOCATOR_BYTES);
        return read_end64(r, at - LOCATOR_BYTES, get_le(bytes + 8, 8), d);
    }
    if (d->offset > at || d->end != at - d->offset)
        return tensor_fail(r, at, "the zip directory does not end where its end record begins");
    d->end = at;
    return 0;
}

static int find_directory(struct tensor_reader *r, struct directory *d)
{
    uint64_t at = 0;
    if (find_end(r, &at) < 0 || read_end(r, at, d) < 0)
        return -1;
    if (d->count <= (d->end - d->offset) / ENTRY_BYTES)
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
static int keep_member(struct archive *a, struct member m, const uint8_t *name)
{
    struct member *members = grow(a->members, &a->capacity, a->count + 1, sizeof *members);
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
    a->arrays += m.is_array;
    a->deflated = a->deflated || (m.is_array && m.method == DEFLATED);
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
        if (get_le(extra + at, 2) == WIDE_FIELD) {
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

/* Whether ".." is a part of a name, as in names that unpack to elsewhere. */
static bool climbs(const char *name, size_t length)
{
    for (size_t at = 0, n; at <= length; at += n + 1) {
        for (n = 0; at + n < length && name[at + n] != '/' && name[at + n] != '\\';)
            n++;
        if (n == 2 && memcmp(name + at, "..", 2) == 0)
            return true;
    }
    return false;
}

static int check_member(struct archive *a, const struct member *m, uint64_t at)
{
    const char *name = a->names + m->name;
    if (memchr(name, '\0', m->name_length) || climbs(name, m->name_length))
        return FAIL_MEMBER(a, m, at, "%s", "its name has a NUL or ..");
    if (!m->is_array)
        return 0;
    if (m->flags & FLAG_ENCRYPTED)
        return FAIL_MEMBER(a, m, at, "%s", "it is encrypted");
    if (m->flags & FLAG_PATCH)
        return FAIL_MEMBER(a, m, at, "%s", "it is a patch of other data");
    if (m->method != STORED && m->method != DEFLATED)
        return FAIL_MEMBER(a, m, at, "it is compressed by method %u (0 and 8 are supported)",
                           m->method);
    if (m->method == STORED ? m->packed != m->size : m->size / DEFLATE_RATIO_MAX > m->packed)
        return FAIL_MEMBER(a, m, at, "%" PRIu64 " bytes cannot be %" PRIu64 " when unpacked",
                           m->packed, m->size);
    return 0;
}

/* The fields of an entry, of which all bytes are there. */
static struct member get_entry(const uint8_t *bytes)
{
    struct member m = {.name_length = (size_t)get_le(bytes + 28, 2),
                       .flags = (uint16_t)(get_le(bytes + 8, 2) & REFUSED_FLAGS),
                       .method = (uint16_t)get_le(bytes + 10, 2),
                       .crc = (uint32_t)get_le(bytes + 16, 4),
                       .packed = get_le(bytes + 20, 4),
                       .size = get_le(bytes + 24, 4),
                       .local = get_le(bytes + 42, 4)};
    const uint8_t *end = bytes + ENTRY_BYTES + m.name_length;
    m.is_array =
        m.name_length >= SUFFIX_BYTES && memcmp(end - SUFFIX_BYTES, SUFFIX, SUFFIX_BYTES) == 0;
    return m;
}

/* Reads the entry at *at and moves on to the next one. */
static int read_entry(struct archive *a, uint64_t *at)
{
    uint64_t begin = *at, left = a->directory.end - begin;
    const uint8_t *bytes = left < ENTRY_BYTES ? NULL : tensor_peek(a->r, begin, ENTRY_BYTES);
    if (!bytes || !has_mark(bytes, ENTRY_MARK))
        return tensor_fail(a->r, begin, "no entry of the zip directory stands where one should");
    size_t name = (size_t)get_le(bytes + 28, 2), extra = (size_t)get_le(bytes + 30, 2);
    size_t total = ENTRY_BYTES + name + extra + (size_t)get_le(bytes + 32, 2);
    if (total > left)
        return tensor_fail(a->r, begin, "an entry of the zip directory ends beyond it");
    bytes = tensor_peek(a->r, begin, total);
    if (!bytes)
        return -1;
    *at += total;
    if (get_le(bytes + 34, 2))
        return fail_disks(a->r, begin);
    struct member m = get_entry(bytes);
    bytes += ENTRY_BYTES;
    if (!widen(bytes + name, extra, (uint64_t *[]){&m.size, &m.packed, &m.local}, 3))
        return tensor_fail(a->r, begin, "an entry of the zip directory lacks its 64-bit values");
    if (keep_member(a, m, bytes) < 0)
        return -1;
    return check_member(a, &a->members[a->count - 1], begin);
}

static int read_directory(struct archive *a)
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
    if (a->arrays == 0 && a->count)
        return tensor_fail(a->r, at,
                           "no member of the zip archive is an array of numpy (" SUFFIX ")");
    return 0;
}

/* ---- The members ---- */

/* The fields of a record that was written before the sizes were known are 0. */
static bool is_same(uint64_t here, uint64_t there, unsigned flags)
{
    return here == there || (flags & FLAG_STREAMED && here == 0);
}

/* Whether the record before a member's bytes, but for its name, says what the directory says. */
static bool is_confirmed(const struct member *m, const uint8_t *bytes, const uint8_t *extra,
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
static int read_local(struct archive *a, struct member *m)
{
    uint64_t room = a->directory.offset, at = m->local;
    if (at > room || room - at < LOCAL_BYTES)
        return FAIL_MEMBER(a, m, at, "%s", "its place lies beyond the zip members");
    const uint8_t *bytes = tensor_peek(a->r, at, LOCAL_BYTES);
    if (!bytes)
        return -1;
    if (!has_mark(bytes, LOCAL_MARK))
        return FAIL_MEMBER(a, m, at, "%s", "no zip member begins at its place");
    size_t name = (size_t)get_le(bytes + 26, 2), extra = (size_t)get_le(bytes + 28, 2);
    m->data = at + LOCAL_BYTES + name + extra;
    if (m->data > room || m->packed > room - m->data)
        return FAIL_MEMBER(a, m, at, "its %" PRIu64 " bytes end beyond the zip members", m->packed);
    bytes = tensor_peek(a->r, at, LOCAL_BYTES + name + extra);
    if (!bytes)
        return -1;
    const uint8_t *text = bytes + LOCAL_BYTES;
    if (name != m->name_length || memcmp(text, a->names + m->name, name) != 0 ||
        !is_confirmed(m, bytes, text + name, extra))
        return FAIL_MEMBER(a, m, at, "%s",
                           "its zip headers disagree on name, method, sizes or checksum");
    return 0;
}

static int by_place(const void *x, const void *y)
{
    const struct member *a = x, *b = y;
    return (a->local > b->local) - (a->local < b->local);
}

/* Bytes of two members would be unpacked twice, which is what the worst bombs are made of. */
static int locate_members(struct archive *a)
{
    if (a->count)
        qsort(a->members, a->count, sizeof *a->members, by_place);
    uint64_t end = 0;
    for (size_t i = 0; i < a->count; i++) {
        struct member *m = &a->members[i];
        if (m->local < end)
            return FAIL_MEMBER(a, m, m->local, "its bytes overlap those of '%.*s'",
                               SHOWN(m[-1].name_length), a->names + m[-1].name);
        if (read_local(a, m) < 0)
            return -1;
        end = m->data + m->packed;
    }
    return 0;
}

static size_t array_name_length(const struct member *m)
{
    return m->name_length - SUFFIX_BYTES;
}

/* ---- Deflated members ---- */

/* The plain bytes of a member so far. */
struct output {
    uint64_t made;
    uint32_t crc;
};

static int put(struct archive *a, const struct member *m, struct output *o, const uint8_t *bytes,
               size_t length)
{
    if (length > m->size - o->made)
        return FAIL_MEMBER(a, m, m->data, "it unpacks to more than its stated %" PRIu64 " bytes",
                           m->size);
    o->made += length;
    o->crc = (uint32_t)crc32_z(o->crc, bytes, length);
    return tensor_unwrapped(a->r, bytes, length);
}

/* Unpacks one piece of a member; 1 if more are expected. */
static int inflate_piece(struct archive *a, const struct member *m, z_stream *z, struct output *o)
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

static int inflate_member(struct archive *a, const struct member *m, z_stream *z, struct output *o)
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

static int put_inflated(struct archive *a, const struct member *m, struct output *o)
{
    z_stream z = {0};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return FAIL_MEMBER(a, m, m->data, "%s", "out of memory");
    int result = inflate_member(a, m, &z, o);
    inflateEnd(&z);
    return result;
}

static int put_stored(struct archive *a, const struct member *m, struct output *o)
{
    while (o->made < m->size) {
        size_t n = m->size - o->made < PIECE ? (size_t)(m->size - o->made) : PIECE;
        const uint8_t *bytes = tensor_peek(a->r, m->data + o->made, n);
        if (!bytes || put(a, m, o, bytes, n) < 0)
            return -1;
    }
    return 0;
}

static int emit_member(struct archive *a, const struct member *m)
{
    struct output o = {0};
    uint8_t head[PLAIN_HEAD_BYTES];
    put_le(head, array_name_length(m), 2);
    put_le(head + 2, m->size, 8);
    if (tensor_unwrapped(a->r, head, sizeof head) < 0 ||
        tensor_unwrapped(a->r, a->names + m->name, array_name_length(m)) < 0 ||
        (m->method == STORED ? put_stored(a, m, &o) : put_inflated(a, m, &o)) < 0)
        return -1;
    if (o.made != m->size)
        return FAIL_MEMBER(a, m, m->data,
                           "it unpacks to %" PRIu64 " bytes, not its stated %" PRIu64, o.made,
                           m->size);
    if (o.crc != m->crc)
        return FAIL_MEMBER(a, m, m->data, "%s", "its checksum is wrong");
    return 0;
}

static int emit_members(struct archive *a)
{
    if (tensor_unwrapped(a->r, PLAIN_MARK, PLAIN_MARK_BYTES) < 0)
        return -1;
    for (size_t i = 0; i < a->count; i++)
        if (a->members[i].is_array && emit_member(a, &a->members[i]) < 0)
            return -1;
    return 1;
}

/* ---- The format ---- */

static void free_archive(struct archive *a)
{
    free(a->members);
    free(a->names);
}

static int unwrap(struct tensor_reader *r)
{
    struct archive a = {.r = r};
    int result = read_directory(&a);
    if (result == 0 && a.deflated)
        result = locate_members(&a) < 0 ? -1 : emit_members(&a);
    free_archive(&a);
    return result;
}

static int add_members(struct archive *a)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct member *m = &a->members[i];
        if (!m->is_array)
            continue;
        struct npy_array array = {a->names + m->name, array_name_length(m), m->data, m->size};
        if (npy_add(a->r, &array) < 0)
            return -1;
    }
    return 0;
}

static int read_archive(struct tensor_reader *r)
{
    struct archive a = {.r = r};
    int result = read_directory(&a);
    if (result == 0)
        result = locate_members(&a);
    if (result == 0)
        result = add_members(&a);
    free_archive(&a);
    return result;
}

static int read_plain(struct tensor_reader *r)
{
    char name[UINT16_MAX];
    for (uint64_t at = PLAIN_MARK_BYTES; at < r->size;) {
        const uint8_t *bytes = tensor_peek(r, at, PLAIN_HEAD_BYTES);
        if (!bytes)
            return -1;
        struct npy_array array = {name, (size_t)get_le(bytes, 2), 0, get_le(bytes + 2, 8)};
        at += PLAIN_HEAD_BYTES;
        bytes = tensor_peek(r, at, array.name_length);
        if (!bytes)
            return -1;
        memcpy(name, bytes, array.name_length);
        array.offset = at += array.name_length;
        if (array.size > r->size - at)
            return tensor_fail(r, at, "an array ends beyond the file");
        if (npy_add(r, &array) < 0)
            return -1;
        at += array.size;
    }
    return 0;
}

static int read_npz(struct tensor_reader *r)
{
    const uint8_t *bytes = r->size < PLAIN_MARK_BYTES ? NULL : tensor_peek(r, 0, PLAIN_MARK_BYTES);
    bool plain = bytes && memcmp(bytes, PLAIN_MARK, PLAIN_MARK_BYTES) == 0;
    return plain ? read_plain(r) : read_archive(r);
}

/* ---- Writing ---- */

/* A member as it is written: stored, without a data descriptor, which takes that its checksum is
 * put in when its bytes have gone by. */
struct written {
    uint64_t local; /* place of its record */
    uint64_t size;
    uint32_t crc;
    bool wide, ascii;
    uint8_t header[NPY_HEADER_MAX];
    size_t header_length;
};

static const char *refuse(const struct tensor_entry *entry)
{
    if (!npy_type_name(entry->dtype))
        return lacks_type(entry->dtype);
    if (entry->name_length > UINT16_MAX - SUFFIX_BYTES)
        return "has names of at most 65531 bytes";
    if (memchr(entry->name, '\0', entry->name_length) || climbs(entry->name, entry->name_length))
        return "has no names with a NUL or ..";
    return NULL;
}

static bool is_ascii(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] > 0x7f)
            return false;
    return true;
}

static struct written describe(const struct tensor_writer *w, size_t index)
{
    const struct tensor_entry *e = &w->tensors[index];
    struct written m = {.ascii = is_ascii(e->name, e->name_length)};
    m.local = index ? e[-1].offset + e[-1].nbytes : 0;
    m.header_length = npy_make_header(e, m.header);
    m.size = m.header_length + e->nbytes;
    m.wide = m.size >= UINT32_MAX;
    m.crc = (uint32_t)crc32_z(0, m.header, m.header_length);
    m.crc = (uint32_t)crc32_combine(m.crc, w->tensor_crc32[index], (z_off_t)e->nbytes);
    return m;
}

/* What both records of a member have in common, from the version that it takes to read it on. */
static void put_common(uint8_t *p, const struct written *m, size_t name_length, bool wide)
{
    uint64_t narrow = m->wide ? UINT32_MAX : m->size;
    put_le(p, wide ? NEEDS_WIDE : NEEDS, 2);
    put_le(p + 2, m->ascii ? 0 : FLAG_UTF8, 2);
    put_le(p + 4, STORED, 2);
    put_le(p + 6, 0, 2); /* midnight */
    put_le(p + 8, FIRST_DAY, 2);
    put_le(p + 10, m->crc, 4);
    put_le(p + 14, narrow, 4);
    put_le(p + 18, narrow, 4);
    put_le(p + 22, name_length, 2);
}

static int emit_name(struct tensor_writer *w, const struct tensor_entry *e)
{
    return tensor_emit(w, e->name, e->name_length) < 0 ? -1 : tensor_emit(w, SUFFIX, SUFFIX_BYTES);
}

/* The extra bytes of a record that make what follows begin at a multiple of ALIGNMENT; their kind
 * is that of Android's zipalign, which has the alignment in its first two bytes. */
static int emit_gap(struct tensor_writer *w, size_t gap)
{
    if (gap == 0)
        return 0;
    if (emit_le(w, GAP_FIELD, 2) < 0 || emit_le(w, gap - 4, 2) < 0 || emit_le(w, ALIGNMENT, 2) < 0)
        return -1;
    return emit_fill(w, 0, gap - GAP_BYTES);
}

static int write_prefix(struct tensor_writer *w, size_t index)
{
    const struct tensor_entry *e = &w->tensors[index];
    struct written m = describe(w, index);
    uint8_t local[LOCAL_BYTES] = LOCAL_MARK;
    size_t name = e->name_length + SUFFIX_BYTES, extra = m.wide ? 4 + 2 * 8 : 0;
    uint64_t end = w->prefix + LOCAL_BYTES + name + extra;
    size_t gap = (size_t)(round_up(end, ALIGNMENT) - end);
    if (gap && gap < GAP_BYTES)
        gap += ALIGNMENT;
    put_common(local + MARK_BYTES, &m, name, m.wide);
    put_le(local + 28, extra + gap, 2);
    if (tensor_emit(w, local, sizeof local) < 0 || emit_name(w, e) < 0)
        return -1;
    if (m.wide && (emit_le(w, WIDE_FIELD, 2) < 0 || emit_le(w, 2 * 8, 2) < 0 ||
                   emit_le(w, m.size, 8) < 0 || emit_le(w, m.size, 8) < 0))
        return -1;
    return emit_gap(w, gap) < 0 ? -1 : tensor_emit(w, m.header, m.header_length);
}

static int write_entry(struct tensor_writer *w, size_t index, uint64_t *directory_bytes)
{
    const struct tensor_entry *e = &w->tensors[index];
    struct written m = describe(w, index);
    uint8_t entry[ENTRY_BYTES] = ENTRY_MARK;
    bool far = m.local >= UINT32_MAX;
    size_t name = e->name_length + SUFFIX_BYTES, values = (m.wide ? 2 * 8 : 0) + (far ? 8 : 0);
    size_t extra = values ? 4 + values : 0;
    put_le(entry + 4, MADE_BY_UNIX | (m.wide || far ? NEEDS_WIDE : NEEDS), 2);
    put_common(entry + 6, &m, name, m.wide || far);
    put_le(entry + 30, extra, 2);
    put_le(entry + 38, (uint64_t)FILE_MODE << 16, 4);
    put_le(entry + 42, far ? UINT32_MAX : m.local, 4);
    *directory_bytes += ENTRY_BYTES + name + extra;
    if (tensor_emit(w, entry, sizeof entry) < 0 || emit_name(w, e) < 0)
        return -1;
    if (values && (emit_le(w, WIDE_FIELD, 2) < 0 || emit_le(w, values, 2) < 0))
        return -1;
    if (m.wide && (emit_le(w, m.size, 8) < 0 || emit_le(w, m.size, 8) < 0))
        return -1;
    return far ? emit_le(w, m.local, 8) : 0;
}

/* The second end record and its locator, where the first one cannot hold a value. */
static int write_end64(struct tensor_writer *w, const struct directory *d)
{
    uint8_t end[END64_BYTES + LOCATOR_BYTES] = END64_MARK, *locator = end + END64_BYTES;
    put_le(end + 4, END64_BYTES - 12, 8);
    put_le(end + 12, MADE_BY_UNIX | NEEDS_WIDE, 2);
    put_le(end + 14, NEEDS_WIDE, 2);
    put_le(end + 24, d->count, 8);
    put_le(end + 32, d->count, 8);
    put_le(end + 40, d->end - d->offset, 8);
    put_le(end + 48, d->offset, 8);
    memcpy(locator, LOCATOR_MARK, MARK_BYTES);
    put_le(locator + 8, d->end, 8);
    put_le(locator + 16, 1, 4);
    return tensor_emit(w, end, sizeof end);
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

static int write_tail(struct tensor_writer *w)
{
    struct directory d = {.offset = w->data_bytes, .count = w->count};
    uint64_t bytes = 0;
    uint8_t end[END_BYTES] = END_MARK;
    for (size_t i = 0; i < w->count; i++)
        if (write_entry(w, i, &bytes) < 0)
            return -1;
    d.end = d.offset + bytes;
    if ((d.count >= UINT16_MAX || d.offset >= UINT32_MAX || bytes >= UINT32_MAX) &&
        write_end64(w, &d) < 0)
        return -1;
    put_le(end + 8, at_most(d.count, UINT16_MAX), 2);
    put_le(end + 10, at_most(d.count, UINT16_MAX), 2);
    put_le(end + 12, at_most(bytes, UINT32_MAX), 4);
    put_le(end + 16, at_most(d.offset, UINT32_MAX), 4);
    return tensor_emit(w, end, sizeof end);
}

static int by_name(const void *x, const void *y)
{
    const struct tensor_entry *a = *(const struct tensor_entry *const *)x;
    const struct tensor_entry *b = *(const struct tensor_entry *const *)y;
    size_t least = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order = memcmp(a->name, b->name, least);
    return order ? order : (a->name_length > b->name_length) - (a->name_length < b->name_length);
}

/* numpy finds an array by NAME and by NAME.npy, so a name must not be that of another one's
 * member. */
static int check_names(struct tensor_writer *w, const struct tensor_entry **sorted)
{
    for (size_t i = 0; i < w->count; i++)
        sorted[i] = &w->tensors[i];
    if (w->count)
        qsort(sorted, w->count, sizeof *sorted, by_name);
    for (size_t i = 0; i < w->count; i++) {
        struct tensor_entry stem = *sorted[i], *key = &stem;
        if (stem.name_length <= SUFFIX_BYTES ||
            memcmp(stem.name + stem.name_length - SUFFIX_BYTES, SUFFIX, SUFFIX_BYTES) != 0)
            continue;
        stem.name_length -= SUFFIX_BYTES;
        if (bsearch(&key, sorted, w->count, sizeof *sorted, by_name))
            return tensor_write_fail(w, "tensor '%.*s' has the name of the file of tensor '%.*s'",
                                     SHOWN(sorted[i]->name_length), stem.name,
                                     SHOWN(stem.name_length), stem.name);
    }
    return 0;
}

static int write_head(struct tensor_writer *w)
{
    const struct tensor_entry **sorted = reallocarray(NULL, w->count + 1, sizeof *sorted);
    if (!sorted)
        return tensor_write_fail(w, "out of memory");
    int result = check_names(w, sorted);
    free(sorted);
    return result;
}

const struct tensor_format tensor_format_npz = {
    TENSOR_FORMAT_HEADER,
    .name = "npz",
    .about = "a zip archive of numpy arrays",
    .suffixes = ".npz",
    .tensor_alignment = 1, /* write_prefix aligns them, without gaps between members */
    .data_alignment = ALIGNMENT,
    .bid = bid,
    .unwrap = unwrap,
    .read = read_npz,
    .refuse = refuse,
    .write_head = write_head,
    .write_tail = write_tail,
    .write_prefix = write_prefix,
    .drops_metadata = true,
};
