/* SPDX-License-Identifier: MIT */
/* numpy's .npz: a zip archive of .npy members, stored or deflated; see tensor-format-npy(5). */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "bytes.h"
#include "npy-order.h"
#include "zip-read.h"

#define SUFFIX       ".npy"
#define SUFFIX_BYTES 4u

/* What unwrap makes of an archive with deflated or foreign arrays: this mark, then for each array
 * the length of its name (2 bytes), its size (8 bytes), the name and the array. */
#define PLAIN_MARK       "NPZplain"
#define PLAIN_MARK_BYTES 8u
#define PLAIN_HEAD_BYTES 10u

/* As we write them. */
enum {
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

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    if (length < ZIP_END_BYTES ||
        !(zip_has_mark(head, ZIP_LOCAL_MARK) || zip_has_mark(head, ZIP_END_MARK)))
        return 0;
    if (zip_has_mark(head, ZIP_END_MARK)) /* an archive of nothing */
        return size == ZIP_END_BYTES ? 8 * ZIP_MARK_BYTES : 0;
    size_t end =
        length < ZIP_LOCAL_BYTES ? SIZE_MAX : ZIP_LOCAL_BYTES + (size_t)get_le(head + 26, 2);
    bool named = end <= length && end >= ZIP_LOCAL_BYTES + SUFFIX_BYTES &&
                 memcmp(head + end - SUFFIX_BYTES, SUFFIX, SUFFIX_BYTES) == 0;
    return named ? 8 * (ZIP_MARK_BYTES + SUFFIX_BYTES) : 8;
}

/* ---- Arrays ---- */

/* An archive without an array is none of numpy's, unless it is empty. */
static int find_arrays(struct zip_archive *a)
{
    if (zip_read_directory(a) < 0)
        return -1;
    return a->wanted || a->count == 0
               ? 0
               : tensor_fail(a->r, a->directory.end,
                             "no member of the zip archive is an array of numpy (" SUFFIX ")");
}

static size_t array_name_length(const struct zip_member *m)
{
    return m->name_length - SUFFIX_BYTES;
}

static int emit_head(struct tensor_reader *r, const struct npy_array *array, uint64_t size)
{
    uint8_t head[PLAIN_HEAD_BYTES];
    put_le(head, array->name_length, 2);
    put_le(head + 2, size, 8);
    return tensor_unwrapped(r, head, sizeof head) < 0
               ? -1
               : tensor_unwrapped(r, array->name, array->name_length);
}

static struct npy_array member_array(const struct zip_archive *a, const struct zip_member *m)
{
    return (struct npy_array){a->names + m->name, array_name_length(m), m->data, m->size, true};
}

static int emit_members(struct zip_archive *a)
{
    if (tensor_unwrapped(a->r, PLAIN_MARK, PLAIN_MARK_BYTES) < 0)
        return -1;
    for (size_t i = 0; i < a->count; i++) {
        const struct zip_member *m = &a->members[i];
        const struct npy_array array = member_array(a, m);
        if (m->wanted && (emit_head(a->r, &array, m->size) < 0 || zip_unpack(a, m) < 0))
            return -1;
    }
    return 0;
}

/* Whether an array lies in the archive as it is, but not as the core reads it. */
static int find_foreign(struct zip_archive *a)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct npy_array array = member_array(a, &a->members[i]);
        struct npy_plain plain;
        if (!a->members[i].wanted)
            continue;
        if (npy_plan(a->r, &array, &plain) < 0)
            return -1;
        if (plain.foreign)
            return 1;
    }
    return 0;
}

/* ---- The plain form ---- */

/* What was found of the arrays. */
struct tally {
    size_t seen, foreign, left_out;
};

static bool is_plain(struct tensor_reader *r)
{
    const uint8_t *bytes = r->size < PLAIN_MARK_BYTES ? NULL : tensor_peek(r, 0, PLAIN_MARK_BYTES);
    return bytes && memcmp(bytes, PLAIN_MARK, PLAIN_MARK_BYTES) == 0;
}

/* Calls visit for every array of it, until one call is not 0. */
static int walk_plain(struct tensor_reader *r,
                      int (*visit)(struct tensor_reader *r, const struct npy_array *array,
                                   struct tally *tally),
                      struct tally *tally)
{
    char name[UINT16_MAX];
    int result = 0;
    for (uint64_t at = PLAIN_MARK_BYTES; at < r->size && result == 0;) {
        const uint8_t *bytes = tensor_peek(r, at, PLAIN_HEAD_BYTES);
        if (!bytes)
            return -1;
        struct npy_array array = {name, (size_t)get_le(bytes, 2), 0, get_le(bytes + 2, 8), true};
        at += PLAIN_HEAD_BYTES;
        bytes = tensor_peek(r, at, array.name_length);
        if (!bytes)
            return -1;
        memcpy(name, bytes, array.name_length);
        array.offset = at += array.name_length;
        if (array.size > r->size - at)
            return tensor_fail(r, at, "an array ends beyond the file");
        result = visit(r, &array, tally);
        at += array.size;
    }
    return result;
}

static int count_foreign(struct tensor_reader *r, const struct npy_array *array, struct tally *t)
{
    struct npy_plain plain;
    if (npy_plan(r, array, &plain) < 0)
        return -1;
    t->foreign += plain.foreign;
    return 0;
}

static int emit_plain(struct tensor_reader *r, const struct npy_array *array, struct tally *t)
{
    struct npy_plain plain;
    t->seen++;
    if (npy_plan(r, array, &plain) < 0 || emit_head(r, array, plain.size) < 0)
        return -1;
    return npy_emit(r, array, &plain);
}

static int order_plain(struct tensor_reader *r)
{
    struct tally t = {0};
    if (walk_plain(r, count_foreign, &t) < 0)
        return -1;
    if (!t.foreign)
        return 0;
    if (tensor_unwrapped(r, PLAIN_MARK, PLAIN_MARK_BYTES) < 0)
        return -1;
    return walk_plain(r, emit_plain, &t) < 0 ? -1 : 1;
}

/* ---- The format ---- */

/* What is deflated can be put in order only when it is plain. */
static int unwrap(struct tensor_reader *r)
{
    struct zip_archive a = {.r = r, .suffix = SUFFIX};
    if (is_plain(r))
        return order_plain(r);
    int result = find_arrays(&a);
    if (result == 0)
        result = zip_locate_members(&a);
    if (result == 0)
        result = a.deflated ? 1 : find_foreign(&a);
    if (result > 0)
        result = emit_members(&a) < 0 ? -1 : 2;
    zip_free(&a);
    return result;
}

/* Adds an array, and counts those that hold no numbers. */
static int add(struct tensor_reader *r, const struct npy_array *array, struct tally *t)
{
    int found = npy_add(r, array);
    t->seen++;
    t->left_out += found == 0;
    return found < 0 ? -1 : 0;
}

static int add_members(struct zip_archive *a, struct tally *t)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct npy_array array = member_array(a, &a->members[i]);
        if (a->members[i].wanted && add(a->r, &array, t) < 0)
            return -1;
    }
    return 0;
}

static int read_archive(struct tensor_reader *r, struct tally *t)
{
    struct zip_archive a = {.r = r, .suffix = SUFFIX};
    int result = find_arrays(&a);
    if (result == 0)
        result = zip_locate_members(&a);
    if (result == 0)
        result = add_members(&a, t);
    zip_free(&a);
    return result;
}

static int read_npz(struct tensor_reader *r)
{
    struct tally t = {0};
    int result = is_plain(r) ? walk_plain(r, add, &t) : read_archive(r, &t);
    if (result < 0 || !t.left_out)
        return result;
    if (t.left_out == t.seen)
        return tensor_fail(r, 0, "none of its %zu arrays holds numbers", t.seen);
    tensor_warn(r, "%zu of its %zu arrays hold no numbers and are left out", t.left_out, t.seen);
    return 0;
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
    if (memchr(entry->name, '\0', entry->name_length) ||
        zip_climbs(entry->name, entry->name_length))
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
    put_le(p + 4, ZIP_STORED, 2);
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
    uint8_t local[ZIP_LOCAL_BYTES] = ZIP_LOCAL_MARK;
    size_t name = e->name_length + SUFFIX_BYTES, extra = m.wide ? 4 + 2 * 8 : 0;
    uint64_t end = w->prefix + ZIP_LOCAL_BYTES + name + extra;
    size_t gap = (size_t)(round_up(end, ALIGNMENT) - end);
    if (gap && gap < GAP_BYTES)
        gap += ALIGNMENT;
    put_common(local + ZIP_MARK_BYTES, &m, name, m.wide);
    put_le(local + 28, extra + gap, 2);
    if (tensor_emit(w, local, sizeof local) < 0 || emit_name(w, e) < 0)
        return -1;
    if (m.wide && (emit_le(w, ZIP_WIDE_FIELD, 2) < 0 || emit_le(w, 2 * 8, 2) < 0 ||
                   emit_le(w, m.size, 8) < 0 || emit_le(w, m.size, 8) < 0))
        return -1;
    return emit_gap(w, gap) < 0 ? -1 : tensor_emit(w, m.header, m.header_length);
}

static int write_entry(struct tensor_writer *w, size_t index, uint64_t *directory_bytes)
{
    const struct tensor_entry *e = &w->tensors[index];
    struct written m = describe(w, index);
    uint8_t entry[ZIP_ENTRY_BYTES] = ZIP_ENTRY_MARK;
    bool far = m.local >= UINT32_MAX;
    size_t name = e->name_length + SUFFIX_BYTES, values = (m.wide ? 2 * 8 : 0) + (far ? 8 : 0);
    size_t extra = values ? 4 + values : 0;
    put_le(entry + 4, MADE_BY_UNIX | (m.wide || far ? NEEDS_WIDE : NEEDS), 2);
    put_common(entry + 6, &m, name, m.wide || far);
    put_le(entry + 30, extra, 2);
    put_le(entry + 38, (uint64_t)FILE_MODE << 16, 4);
    put_le(entry + 42, far ? UINT32_MAX : m.local, 4);
    *directory_bytes += ZIP_ENTRY_BYTES + name + extra;
    if (tensor_emit(w, entry, sizeof entry) < 0 || emit_name(w, e) < 0)
        return -1;
    if (values && (emit_le(w, ZIP_WIDE_FIELD, 2) < 0 || emit_le(w, values, 2) < 0))
        return -1;
    if (m.wide && (emit_le(w, m.size, 8) < 0 || emit_le(w, m.size, 8) < 0))
        return -1;
    return far ? emit_le(w, m.local, 8) : 0;
}

/* The second end record and its locator, where the first one cannot hold a value. */
static int write_end64(struct tensor_writer *w, const struct zip_directory *d)
{
    uint8_t end[ZIP_END64_BYTES + ZIP_LOCATOR_BYTES] = ZIP_END64_MARK,
                                  *locator = end + ZIP_END64_BYTES;
    put_le(end + 4, ZIP_END64_BYTES - 12, 8);
    put_le(end + 12, MADE_BY_UNIX | NEEDS_WIDE, 2);
    put_le(end + 14, NEEDS_WIDE, 2);
    put_le(end + 24, d->count, 8);
    put_le(end + 32, d->count, 8);
    put_le(end + 40, d->end - d->offset, 8);
    put_le(end + 48, d->offset, 8);
    memcpy(locator, ZIP_LOCATOR_MARK, ZIP_MARK_BYTES);
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
    struct zip_directory d = {.offset = w->data_bytes, .count = w->count};
    uint64_t bytes = 0;
    uint8_t end[ZIP_END_BYTES] = ZIP_END_MARK;
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
