/* SPDX-License-Identifier: MIT */
/* The index of one file, as a format of this test reports it: what is checked, sorted, found, read.
 */
#include "config.h"

#include "model/model.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"

#include "../tap.h"

enum { SIZE = 1000, ENTRIES_MAX = 40 };

/* What the format is to report. */
static struct {
    struct tensor_entry entries[ENTRIES_MAX];
    size_t count;
    unsigned depth; /* of arrays in the metadata */
    int unwraps;    /* what unwrap gives, after it emitted a plain form of this many bytes */
    size_t plain;
    int (*read)(struct tensor_reader *); /* NULL: nothing more */
} said;
static struct tu_error error;
static struct tu_model model;

static int read_entries(struct tensor_reader *r)
{
    for (unsigned i = 0; i < said.depth; i++)
        if (tensor_value_open(r, i ? NULL : "deep", i ? 0 : 4, TENSOR_ARRAY, TENSOR_NULL) < 0)
            return -1;
    for (unsigned i = 0; i < said.depth; i++)
        if (tensor_value_close(r) < 0)
            return -1;
    for (size_t i = 0; i < said.count; i++)
        if (tensor_add(r, &said.entries[i]) < 0)
            return -1;
    return said.read ? said.read(r) : 0;
}

static int unwrap(struct tensor_reader *r)
{
    uint8_t byte = 0x5a;
    for (size_t i = 0; i < said.plain; i++)
        if (tensor_unwrapped(r, &byte, 1) < 0)
            return -1;
    return said.unwraps;
}

static unsigned bid(const uint8_t *head, size_t length, uint64_t size)
{
    return size == SIZE && length == SIZE && head[1] == 1 ? 8 : 0;
}

static const struct tensor_format plain_format = {TENSOR_FORMAT_HEADER, .name = "test",
                                                  .suffixes = ".one .two", .bid = bid,
                                                  .read = read_entries};
static const struct tensor_format wrapped_format = {TENSOR_FORMAT_HEADER, .name = "wrapped",
                                                    .suffixes = ".w",     .bid = bid,
                                                    .unwrap = unwrap,     .read = read_entries};

/* A file whose byte i is i modulo 251. */
static int file_of(size_t size)
{
    uint8_t bytes[SIZE];
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i % 251);
    int fd = tu_temporary(&error);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        abort();
    return fd;
}

static int open_as(const struct tensor_format *format)
{
    static const struct tu_model_options options = {0};
    error = (struct tu_error){0};
    return tu_model_open_as(&model, file_of(SIZE), "file", format, &options, &error);
}

static void forget(void)
{
    memset(&said, 0, sizeof said);
}

/* A U8 vector. */
static struct tensor_entry *add(const char *name, uint64_t offset, uint64_t nbytes)
{
    static uint64_t shapes[ENTRIES_MAX];
    struct tensor_entry *e = &said.entries[said.count];
    shapes[said.count] = nbytes;
    *e = (struct tensor_entry){.name = name,
                               .name_length = strlen(name),
                               .dtype = TENSOR_U8,
                               .rank = 1,
                               .shape = &shapes[said.count],
                               .offset = offset,
                               .nbytes = nbytes};
    said.count++;
    return e;
}

static void opens(void)
{
    if (open_as(&plain_format) < 0)
        tap_fail(__FILE__, __LINE__, "%s", error.text);
    else
        tu_model_close(&model);
    forget();
}

static void is_refused(const char *why)
{
    int result = open_as(&plain_format);
    CHECK_FAILS(result, error, why);
    CHECK(error.code == TU_EINVALID);
    if (result == 0)
        tu_model_close(&model);
    forget();
}

/* ---- What is checked ---- */

TEST(bytes_lie_in_the_file)
{
    add("w", SIZE - 5, 5);
    opens();
    add("w", SIZE - 5, 6);
    is_refused("file: tensor 'w' at byte 995: its 6 bytes end beyond the file (1000 bytes)");
    add("w", SIZE, 0);
    opens();
    add("w", SIZE + 1, 0);
    is_refused("end beyond the file");
    add("w", UINT64_MAX - 2, 5);
    is_refused("end beyond the file");
    add("w", 0, SIZE);
    opens();
    add("w", 0, SIZE + 1);
    is_refused("end beyond the file");
}

TEST(bytes_do_not_overlap)
{
    add("b", 10, 10);
    add("a", 0, 10);
    opens();
    add("b", 9, 10);
    add("a", 0, 10);
    is_refused("tensor 'b' at byte 9: its bytes overlap those of 'a'");
    add("a", 0, 10);
    add("b", 0, 10);
    is_refused("overlap");
    add("a", 0, 30);
    add("b", 30, 5);
    add("c", 34, 1);
    is_refused("its bytes overlap those of 'b'");
    add("a", 0, 30);
    add("b", 10, 0);
    add("c", 29, 1);
    is_refused("its bytes overlap those of 'a'");
    /* empty ones lie anywhere */
    add("a", 0, 10);
    add("e", 5, 0);
    add("f", 10, 0);
    add("b", 10, 10);
    add("g", 0, 0);
    opens();
}

TEST(names)
{
    char *longest = malloc(TENSOR_MAX_NAME + 2);
    memset(longest, 'n', TENSOR_MAX_NAME + 1);
    longest[TENSOR_MAX_NAME + 1] = '\0';
    add(longest, 0, 1)->name_length = TENSOR_MAX_NAME;
    opens();
    add(longest, 0, 1);
    is_refused("its name has 65537 bytes (at most 65536)");
    free(longest);
    add("", 0, 1);
    is_refused("its name is empty");
    add("abc", 0, 1)->name_length = 4;
    is_refused("its name holds a NUL");
    add("\xff", 0, 1);
    is_refused("its name is no UTF-8");
    add("a", 0, 1);
    add("b", 1, 1);
    add("a", 2, 1);
    is_refused("its name occurs twice in the file");
    add("ab", 0, 1);
    add("a", 1, 1);
    add("abc", 2, 1);
    opens();
}

TEST(shapes_and_types)
{
    static uint64_t ones[TENSOR_MAX_RANK + 1];
    for (size_t i = 0; i <= TENSOR_MAX_RANK; i++)
        ones[i] = 1;
    struct tensor_entry *e = add("w", 0, 1);
    e->shape = ones;
    e->rank = TENSOR_MAX_RANK;
    opens();
    e = add("w", 0, 1);
    e->shape = ones;
    e->rank = TENSOR_MAX_RANK + 1;
    is_refused("it has more than 16 dimensions");
    add("w", 0, 1)->rank = 0;
    opens();
    add("w", 0, 2)->rank = 0;
    is_refused("it has 2 bytes, its type U8 and shape need 1");
    add("w", 0, 8)->dtype = TENSOR_F32;
    is_refused("it has 8 bytes, its type F32 and shape need 32");
    add("w", 0, 8)->dtype = 9999;
    is_refused("unknown element type 9999");
    add("w", 0, 8)->packing = 7;
    is_refused("unknown packing 7");
}

static int fail_without_a_reason(struct tensor_reader *r)
{
    (void)r;
    return -1;
}

static int fail_at_byte(struct tensor_reader *r)
{
    return tensor_fail(r, 12, "no %s", "sense");
}

static int peek_beyond(struct tensor_reader *r)
{
    const uint8_t *all = tensor_peek(r, 0, SIZE);
    if (!all || all[1] != 1 || all[252] != 1)
        return tensor_fail(r, 0, "these are not its bytes");
    return tensor_peek(r, 1, SIZE) ? 0 : -1;
}

static int warn_twice(struct tensor_reader *r)
{
    tensor_warn(r, "one %d", 1);
    tensor_warn(r, "two\n");
    return 0;
}

static int leave_open(struct tensor_reader *r)
{
    return tensor_value_open(r, "a", 1, TENSOR_MAP, TENSOR_NULL);
}

static int add_twice(struct tensor_reader *r)
{
    struct tensor_value v = {.type = TENSOR_UINT8, .uint = 7};
    return tensor_value_add(r, "key", 3, &v) < 0 ? -1 : tensor_value_add(r, "key", 3, &v);
}

TEST(what_a_format_says)
{
    said.read = fail_without_a_reason;
    is_refused("file: its test plugin failed without a reason");
    said.read = fail_at_byte;
    is_refused("file: byte 12: no sense");
    said.read = peek_beyond;
    is_refused("truncated (1000 more bytes needed, the file ends at 1000)");
    said.read = leave_open;
    is_refused("file: metadata: ");
    said.read = add_twice;
    is_refused("key");
    said.read = warn_twice;
    if (!CHECK(open_as(&plain_format) == 0 && model.warning_count == 2))
        return;
    CHECK_STRING(model.warnings[0], "one 1");
    CHECK_STRING(model.warnings[1], "two\\x0a");
    tu_model_close(&model);
    forget();
}

TEST(metadata_31_deep_but_not_32_with_its_map)
{
    said.depth = 30;
    opens();
    said.depth = 31;
    is_refused("nested deeper than 31");
}

/* ---- The order ---- */

TEST(tensors_are_sorted_by_place_and_found_by_name)
{
    static const char *const names[] = {"b", "a", "aa", "c", "ab", "B", "a.b", "z"};
    static const uint64_t offsets[] = {70, 20, 30, 0, 60, 10, 50, 40};
    for (size_t i = 0; i < 8; i++)
        add(names[i], offsets[i], 10 - i);
    add("empty", 20, 0);
    if (!CHECK(open_as(&plain_format) == 0 && model.count == 9))
        return;
    /* an empty one stands before the one that it shares its place with */
    static const char *const order[] = {"c", "B", "empty", "a", "aa", "z", "a.b", "ab", "b"};
    static const char *const sorted[] = {"B", "a", "a.b", "aa", "ab", "b", "c", "empty", "z"};
    for (size_t i = 0; i < 9; i++) {
        CHECK_STRING(model.tensors[i].name, order[i]);
        CHECK_STRING(model.by_name[i]->name, sorted[i]);
        CHECK(tu_model_find(&model, sorted[i], strlen(sorted[i])) == model.by_name[i]);
    }
    CHECK(!tu_model_find(&model, "a", 0) && !tu_model_find(&model, "abc", 3) &&
          !tu_model_find(&model, "A", 1));
    const struct tu_tensor *ab = tu_model_find(&model, "abc", 2);
    CHECK(ab && strcmp(ab->name, "ab") == 0);
    tu_model_close(&model);
    forget();
    CHECK(open_as(&plain_format) == 0 && model.count == 0 && !tu_model_find(&model, "a", 1));
    tu_model_close(&model);
    CHECK(tu_compare_names("a", 1, "ab", 2) < 0 && tu_compare_names("ab", 2, "a", 1) > 0);
    CHECK(tu_compare_names("ab", 2, "ab", 2) == 0 && tu_compare_names("b", 1, "ab", 2) > 0);
    CHECK(tu_compare_names("\xc3", 1, "z", 1) > 0);
}

/* ---- Reading ---- */

static int add_in_pieces(struct tensor_reader *r)
{
    static const struct tu_extent extents[] = {{100, 4}, {90, 0}, {200, 6}};
    if (tu_reader_extents(r, extents, 3) < 0 || tensor_add(r, add("p", 300, 10)) < 0)
        return -1;
    return tensor_add(r, add("q", 400, 3)); /* which lies in one */
}

TEST(a_tensor_in_pieces)
{
    said.read = add_in_pieces;
    if (!CHECK(open_as(&plain_format) == 0 && model.count == 2))
        return;
    const struct tu_tensor *p = tu_model_find(&model, "p", 1), *q = tu_model_find(&model, "q", 1);
    CHECK(p->extent_count == 3 && q->extent_count == 1);
    uint8_t got[12], want[10];
    for (size_t i = 0; i < 10; i++)
        want[i] = (uint8_t)(i < 4 ? 100 + i : 200 + i - 4);
    for (uint64_t from = 0; from < 10; from++)
        for (size_t n = 1; n <= 10 - from; n++) {
            memset(got, 0, sizeof got);
            CHECK(tu_model_read(&model, p, from, got, n, &error) == 0 &&
                  memcmp(got, want + from, n) == 0 && got[n] == 0);
        }
    CHECK(tu_model_read(&model, p, 10, got, 0, &error) == 0);
    CHECK_FAILS(tu_model_read(&model, p, 9, got, 2, &error), error,
                "file: tensor 'p': read beyond its end");
    error = (struct tu_error){0};
    CHECK_FAILS(tu_model_read(&model, q, 3, got, 1, &error), error, "read beyond its end");
    error = (struct tu_error){0};
    CHECK(tu_model_read(&model, q, 1, got, 2, &error) == 0 && got[0] == 401 % 251);
    /* it shrinks in the last piece */
    if (ftruncate(model.source.fd, 202) != 0)
        abort();
    CHECK(tu_model_read(&model, p, 0, got, 6, &error) == 0);
    CHECK_FAILS(tu_model_read(&model, p, 0, got, 7, &error), error,
                "file: byte 202: the file became shorter");
    CHECK(error.code == TU_EIO);
    tu_model_close(&model);
    forget();
}

/* ---- A plain form in the place of a compressed one ---- */

TEST(a_file_that_was_compressed)
{
    uint8_t got[5];
    said.unwraps = 1;
    said.plain = 20;
    add("w", 15, 5);
    if (!CHECK(open_as(&wrapped_format) == 0))
        return;
    CHECK(model.source.size == 20 &&
          tu_model_read(&model, &model.tensors[0], 0, got, 5, &error) == 0 && got[4] == 0x5a);
    tu_model_close(&model);
    said.entries[0].offset = 16;
    CHECK_FAILS(open_as(&wrapped_format), error, "end beyond the file (20 bytes)");
    said.plain = 0;
    CHECK_FAILS(open_as(&wrapped_format), error, "nothing came out of its compression");
    /* plain as it is */
    said.unwraps = 0;
    said.entries[0].offset = 900;
    CHECK(open_as(&wrapped_format) == 0 && model.source.size == SIZE);
    tu_model_close(&model);
    said.unwraps = -1;
    said.plain = 3;
    CHECK(open_as(&wrapped_format) == -1);
    forget();
}

/* An error, and no loop without an end. */
TEST(a_plain_form_that_finds_no_room)
{
    static const struct tu_model_options options = {0};
    struct rlimit was, none = {.rlim_cur = 10};
    getrlimit(RLIMIT_FSIZE, &was);
    none.rlim_max = was.rlim_max;
    int fd = file_of(SIZE);
    said.unwraps = 1;
    said.plain = 20;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
    error = (struct tu_error){0};
    int result = tu_model_open_as(&model, fd, "file", &wrapped_format, &options, &error);
    setrlimit(RLIMIT_FSIZE, &was);
    CHECK_FAILS(result, error, "file: temporary file: File too large");
    CHECK(error.code == TU_EIO);
    forget();
}

TEST(no_descriptor_is_lost)
{
    int before = dup(0), after;
    close(before);
    add("w", 0, 1);
    opens();
    add("w", SIZE, 1);
    is_refused("beyond");
    said.unwraps = 1;
    CHECK(open_as(&wrapped_format) == -1);
    said.unwraps = -1;
    said.plain = 3;
    CHECK(open_as(&wrapped_format) == -1);
    said.unwraps = 1;
    CHECK(open_as(&wrapped_format) == 0);
    tu_model_close(&model);
    forget();
    after = dup(0);
    close(after);
    CHECK(before == after);
}

/* ---- Which format it is ---- */

static unsigned bid_more(const uint8_t *head, size_t length, uint64_t size)
{
    (void)head;
    (void)size;
    return length ? 9 : 0;
}

static unsigned bid_nothing(const uint8_t *head, size_t length, uint64_t size)
{
    (void)head;
    (void)length;
    (void)size;
    return 0;
}

static const struct tensor_format first = {TENSOR_FORMAT_HEADER, .name = "first",
                                           .suffixes = ".first", .bid = bid_more};
static const struct tensor_format last = {TENSOR_FORMAT_HEADER, .name = "last", .suffixes = ".two",
                                          .bid = bid_more};
static const struct tensor_format never = {TENSOR_FORMAT_HEADER, .name = "a", .suffixes = "",
                                           .bid = bid_nothing};
static struct tu_plugin items[] = {{.path = "refused", .refused = "for a test"},
                                   {.format = &never},
                                   {.format = &plain_format},
                                   {.format = &last},
                                   {.format = &first}};

TEST(the_highest_bid_wins)
{
    struct tu_plugins plugins = {.items = items, .count = 3};
    uint8_t head[SIZE] = {0, 1};
    CHECK(tu_plugins_detect(&plugins, head, SIZE, SIZE) == &plain_format);
    CHECK(!tu_plugins_detect(&plugins, head, SIZE - 1, SIZE) &&
          !tu_plugins_detect(&plugins, head, SIZE, SIZE + 1));
    plugins.count = 4;
    CHECK(tu_plugins_detect(&plugins, head, SIZE, SIZE) == &last);
    plugins.count = 5;
    CHECK(tu_plugins_detect(&plugins, head, SIZE, SIZE) == &first &&
          !tu_plugins_detect(&plugins, head, 0, 0));
}

TEST(formats_by_name_and_suffix)
{
    struct tu_plugins plugins = {.items = items, .count = 5};
    CHECK(tu_plugins_by_name(&plugins, "last") == &last && !tu_plugins_by_name(&plugins, "las"));
    CHECK(tu_plugins_by_suffix(&plugins, "x.two") == &plain_format &&
          tu_plugins_by_suffix(&plugins, "x.one") == &plain_format);
    CHECK(tu_plugins_by_suffix(&plugins, "two.first") == &first &&
          !tu_plugins_by_suffix(&plugins, "x.two.gz"));
    /* a suffix alone is no name of a file, and a blank is no suffix */
    CHECK(!tu_plugins_by_suffix(&plugins, ".two") &&
          !tu_plugins_by_suffix(&plugins, "a.one .two."));
    CHECK(!tu_plugins_by_suffix(&plugins, "a ") && !tu_plugins_by_suffix(&plugins, ""));
}

TEST(a_file_of_whatever_format)
{
    static const struct tu_model_options options = {0};
    struct tu_plugins plugins = {.items = items, .count = 3};
    error = (struct tu_error){0};
    CHECK(tu_model_open(&model, file_of(SIZE), "file", &plugins, &options, &error) == 0 &&
          model.format == &plain_format);
    tu_model_close(&model);
    CHECK_FAILS(tu_model_open(&model, file_of(SIZE - 1), "file", &plugins, &options, &error), error,
                "file: is of no known format");
    error = (struct tu_error){0};
    CHECK_FAILS(tu_model_open(&model, file_of(0), "file", &plugins, &options, &error), error,
                "file: is empty");
    error = (struct tu_error){0};
    CHECK_FAILS(tu_model_open(&model, open(".", O_RDONLY), ".", &plugins, &options, &error), error,
                "is a directory");
    error = (struct tu_error){0};
    CHECK_FAILS(
        tu_model_open(&model, open("/dev/null", O_RDONLY), "null", &plugins, &options, &error),
        error, "is not a regular file");
}
