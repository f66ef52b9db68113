/* SPDX-License-Identifier: MIT */
/* MessagePack: where objects end in bytes that are still arriving, and trees there and back. */
#include "config.h"

#include "tree/msgpack.h"

#include <malloc.h>

#include "../tap.h"

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1
#define TEXT(literal)  literal, sizeof(literal) - 1

/* Scans bytes that come one by one, with one scan for all, as a reader does. */
static int scan_slowly(const uint8_t *bytes, size_t length, size_t *end)
{
    struct tu_scan scan = {0};
    int found = 0;
    for (size_t have = 0; have <= length && found == 0; have++) {
        /* a copy of just these bytes, so that a sanitizer sees every step beyond */
        uint8_t *copy = malloc(have ? have : 1);
        memcpy(copy, bytes, have);
        found = tu_scan_object(&scan, copy, have);
        free(copy);
    }
    *end = scan.position;
    return found;
}

static int scan_at_once(const uint8_t *bytes, size_t length, size_t *end)
{
    struct tu_scan scan = {0};
    int found = tu_scan_object(&scan, bytes, length);
    *end = scan.position;
    return found;
}

/* One of every form that MessagePack has, but extensions. */
static const struct {
    const char *bytes;
    size_t length;
} forms[] = {
#define FORM(literal) {literal, sizeof literal - 1}
    FORM("\x00"),
    FORM("\x7f"),
    FORM("\xe0"),
    FORM("\xff"),
    FORM("\xc0"),
    FORM("\xc2"),
    FORM("\xc3"),
    FORM("\xcc\xff"),
    FORM("\xcd\xff\xff"),
    FORM("\xce\xff\xff\xff\xff"),
    FORM("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
    FORM("\xd0\x80"),
    FORM("\xd1\x80\x00"),
    FORM("\xd2\x80\x00\x00\x00"),
    FORM("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
    FORM("\xca\x3f\x80\x00\x00"),
    FORM("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"),
    FORM("\xa0"),
    FORM("\xa3"
         "abc"),
    FORM("\xd9\x02"
         "ab"),
    FORM("\xda\x00\x02"
         "ab"),
    FORM("\xdb\x00\x00\x00\x02"
         "ab"),
    FORM("\xc4\x00"),
    FORM("\xc4\x02"
         "ab"),
    FORM("\xc5\x00\x02"
         "ab"),
    FORM("\xc6\x00\x00\x00\x02"
         "ab"),
    FORM("\x90"),
    FORM("\x92\x01\x92\x02\x03"),
    FORM("\xdc\x00\x02\x01\xa1"
         "a"),
    FORM("\xdd\x00\x00\x00\x02\x01\x90"),
    FORM("\x80"),
    FORM("\x82\xa1"
         "a\x01\xa1"
         "b\x81\xa1"
         "c\x92\x01\xc0"),
    FORM("\xde\x00\x01\xa1"
         "a\x01"),
    FORM("\xdf\x00\x00\x00\x01\xa1"
         "a\x01"),
};

TEST(every_form_ends_where_it_ends)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        uint8_t bytes[64];
        size_t end, length = forms[i].length;
        memcpy(bytes, forms[i].bytes, length);
        memset(bytes + length, 0x93, sizeof bytes - length); /* what follows does not matter */
        bool good = scan_at_once(bytes, length, &end) == 1 && end == length &&
                    scan_at_once(bytes, sizeof bytes, &end) == 1 && end == length &&
                    scan_slowly(bytes, sizeof bytes, &end) == 1 && end == length;
        if (!good)
            tap_fail(__FILE__, __LINE__, "form %zu (%02x)", i, bytes[0]);
    }
}

TEST(every_prefix_needs_more)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const uint8_t *bytes = (const uint8_t *)forms[i].bytes;
        for (size_t length = 0; length < forms[i].length; length++) {
            size_t end;
            if (scan_at_once(bytes, length, &end) != 0 || scan_slowly(bytes, length, &end) != 0)
                tap_fail(__FILE__, __LINE__, "form %zu cut at %zu", i, length);
        }
    }
}

TEST(what_is_no_object_is_refused_at_once)
{
    size_t end;
    CHECK(scan_at_once(BYTES("\xc1"), &end) == -1);                  /* never used */
    CHECK(scan_at_once(BYTES("\x81\xa1k\xc1"), &end) == -1);
    for (unsigned byte = 0xd4; byte <= 0xd8; byte++) { /* fixext */
        uint8_t bytes[] = {(uint8_t)byte, 0, 0};
        CHECK(scan_at_once(bytes, sizeof bytes, &end) == -1);
    }
    for (unsigned byte = 0xc7; byte <= 0xc9; byte++) { /* ext */
        uint8_t bytes[] = {0x91, (uint8_t)byte, 0, 0};
        CHECK(scan_at_once(bytes, sizeof bytes, &end) == -1);
    }
}

TEST(depth_has_a_limit)
{
    uint8_t bytes[TU_VALUE_DEPTH + 1];
    size_t end;
    memset(bytes, 0x91, sizeof bytes);
    bytes[TU_VALUE_DEPTH] = 0;
    CHECK(scan_at_once(bytes, sizeof bytes, &end) == 1 && end == sizeof bytes);
    bytes[TU_VALUE_DEPTH] = 0x91;
    CHECK(scan_at_once(bytes, sizeof bytes, &end) == -1);
    bytes[TU_VALUE_DEPTH] = 0x80; /* empty: it is not gone into */
    CHECK(scan_at_once(bytes, sizeof bytes, &end) == 1);
}

/* Memory that is in use. */
static size_t in_use(void)
{
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}

TEST(claims_take_no_memory)
{
    static const char *const claims[] = {"\xdf\xff\xff\xff\xff", "\xdd\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff",
                                         "\xc6\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        size_t before = in_use(), end;
        CHECK(scan_at_once((const uint8_t *)claims[i], 5, &end) == 0);
        CHECK(in_use() <= before + 4096);
    }
    /* maps that claim 2^32 - 1 pairs, in one another: 2^33 objects a level do not overflow */
    uint8_t bytes[6 * TU_VALUE_DEPTH];
    for (size_t i = 0; i < TU_VALUE_DEPTH; i++)
        memcpy(bytes + 5 * i, "\xdf\xff\xff\xff\xff", 5);
    size_t end;
    CHECK(scan_at_once(bytes, 5 * TU_VALUE_DEPTH, &end) == 0);
}

/* ---- Trees ---- */

static int unpack(const char *bytes, size_t length, struct tu_arena *arena, struct tensor_value *out,
                  struct tu_error *error)
{
    struct tu_scan scan = {0};
    if (tu_scan_object(&scan, (const uint8_t *)bytes, length) != 1)
        return tu_fail(error, TU_EINVALID, "no whole object");
    return tu_unpack((const uint8_t *)bytes, scan.position, arena, out, error);
}

TEST(a_record_with_everything)
{
    static const char bytes[] = "\x8d\xa1n\xc0\xa1t\xc3\xa1"
                                "f\xc2\xa1p\x07\xa1"
                                "u\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1"
                                "i\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xa1"
                                "m\xff\xa1"
                                "4\xca\x3f\xc0\x00\x00\xa1"
                                "8\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa1s\xa2hi\xa1"
                                "b\xc4\x01\xff\xa1"
                                "a\x92\x01\xa1x\xa1"
                                "o\x81\xa1k\x90";
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tensor_value v;
    uint64_t n;
    double x;
    if (CHECK(unpack(bytes, sizeof bytes - 1, &arena, &v, &error) == 0)) {
        CHECK(v.type == TENSOR_MAP && v.map.count == 13);
        CHECK(tu_value_get(&v, "n")->type == TENSOR_NULL);
        CHECK(tu_value_get(&v, "t")->type == TENSOR_BOOLEAN && tu_value_get(&v, "t")->boolean);
        CHECK(tu_value_get(&v, "f")->type == TENSOR_BOOLEAN && !tu_value_get(&v, "f")->boolean);
        CHECK(tu_value_uint(tu_value_get(&v, "p"), &n) && n == 7);
        CHECK(tu_value_uint(tu_value_get(&v, "u"), &n) && n == UINT64_MAX);
        CHECK(!tu_value_uint(tu_value_get(&v, "i"), &n));
        CHECK(tu_value_get(&v, "i")->sint == INT64_MIN && tu_value_get(&v, "m")->sint == -1);
        CHECK(tu_value_number(tu_value_get(&v, "4"), &x) && x == 1.5);
        CHECK(tu_value_get(&v, "4")->type == TENSOR_FLOAT32 && tu_value_get(&v, "8")->type == TENSOR_FLOAT64);
        CHECK(tu_value_equals(tu_value_get(&v, "s"), "hi"));
        CHECK(tu_value_get(&v, "b")->type == TENSOR_STRING && tu_value_get(&v, "b")->string.length == 1);
        CHECK(tu_value_get(&v, "a")->array.count == 2 && tu_value_get(&v, "absent") == NULL);
        CHECK(tu_value_get(tu_value_get(&v, "o"), "k")->type == TENSOR_ARRAY);
        CHECK(tu_value_get(tu_value_get(&v, "a"), "k") == NULL);
    }
    tu_arena_free(&arena);
}

TEST(a_tree_packs_to_the_bytes_it_came_from)
{
    /* in the shortest forms, which the writer uses */
    static const char bytes[] = "\x86\xa1n\xc0\xa1p\x07\xa1"
                                "8\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xa1s\xa2hi\xa1"
                                "b\xc4\x01\xff\xa1"
                                "a\x92\x01\x81\xa1x\xca\x3f\xc0\x00\x00";
    struct tu_arena arena = {0};
    struct tu_error error = {0};
    struct tensor_value v;
    char *packed = NULL;
    size_t length = 0;
    CHECK(unpack(bytes, sizeof bytes - 1, &arena, &v, &error) == 0);
    CHECK(tu_pack(&v, &packed, &length, &error) == 0);
    CHECK(length == sizeof bytes - 1 && memcmp(packed, bytes, length) == 0);
    free(packed);
    tu_arena_free(&arena);
}

TEST(records_that_are_refused)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *why;
    } cases[] = {
        {TEXT("\x92\x01\x02"), "no map"},
        {TEXT("\xa4kind"), "no map"},
        {TEXT("\x07"), "no map"},
        {TEXT("\x81\x01\x02"), "no string"},
        {TEXT("\x82\xa1k\x01\xa1k\x02"), "twice"},
        {TEXT("\x81\xa1o\x82\xa1k\x01\xa1k\x02"), "twice"},
        {TEXT("\x81\xa1o\x81\x01\x02"), "no string"},
        {TEXT("\x81\xa1o\x91\x81\xc0\x02"), "no string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tu_arena arena = {0};
        struct tu_error error = {0};
        struct tensor_value v;
        CHECK_FAILS(unpack(cases[i].bytes, cases[i].length, &arena, &v, &error), error,
                    cases[i].why);
        tu_arena_free(&arena);
    }
}

TEST(random_bytes_never_hurt)
{
    uint64_t state = 3;
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[48];
        size_t length = tap_random(&state) % sizeof bytes, slow, fast;
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)(tap_random(&state) >> 24);
        if (length)
            bytes[0] = (uint8_t)(0x80 | (bytes[0] & 0x83));
        int found = scan_at_once(bytes, length, &fast);
        if (round % 16 == 0 &&
            !CHECK(scan_slowly(bytes, length, &slow) == found && (found < 0 || slow == fast)))
            return;
        if (found != 1)
            continue;
        struct tu_arena arena = {0};
        struct tu_error error = {0};
        struct tensor_value v;
        int result = tu_unpack(bytes, fast, &arena, &v, &error);
        bool good = result == 0 || (result == -1 && error.text[0]);
        tu_arena_free(&arena);
        if (!CHECK(good))
            return;
    }
}
