/* SPDX-License-Identifier: MIT */
/* Shelves: what was put under a key comes back, or nothing does. */
#include "config.h"

#include "../tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compare/cache/store.h"

static const char *const key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char *const other = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdee";
static char folder[64];

static struct tu_store open_store(void)
{
    struct tu_store store = {0};
    struct tu_error error = {0};
    if (!*folder) {
        strcpy(folder, "/tmp/store-XXXXXX");
        CHECK(mkdtemp(folder) != NULL);
    }
    CHECK(tu_store_open(&store, folder, &error) == 0);
    return store;
}

static void put(const struct tu_store *s, const char *under, const void *bytes, size_t length)
{
    struct tu_error error = {0};
    CHECK(tu_store_put(s, TU_STORE_PAIRS, under, bytes, length, &error) == 0);
}

/* Whether these bytes are what is under the key. */
static bool has(const struct tu_store *s, const char *under, const void *bytes, size_t length)
{
    size_t n = 0;
    char *got = tu_store_get(s, TU_STORE_PAIRS, under, &n);
    bool same = got && n == length && memcmp(got, bytes, length) == 0;
    free(got);
    return same;
}

static bool has_nothing(const struct tu_store *s, const char *under)
{
    size_t n;
    char *got = tu_store_get(s, TU_STORE_PAIRS, under, &n);
    free(got);
    return !got;
}

static void path_of(const char *under, char out[static 256])
{
    snprintf(out, 256, "%s/pairs/%.2s/%s", folder, under, under + 2);
}

TEST(what_is_put_comes_back)
{
    struct tu_store s = open_store();
    CHECK(has_nothing(&s, key));
    put(&s, key, "some\0bytes\n", 11);
    CHECK(has(&s, key, "some\0bytes\n", 11));
    CHECK(has_nothing(&s, other));
    put(&s, key, "others", 6);
    CHECK(has(&s, key, "others", 6));
    put(&s, other, "", 0);
    CHECK(has(&s, other, "", 0) && has(&s, key, "others", 6));
}

TEST(kinds_are_apart)
{
    struct tu_store s = open_store();
    size_t n;
    put(&s, key, "x", 1);
    CHECK(tu_store_get(&s, TU_STORE_FILES, key, &n) == NULL);
}

TEST(any_damage_is_noticed)
{
    struct tu_store s = open_store();
    char path[256], bytes[256];
    path_of(key, path);
    put(&s, key, "0123456789", 10);
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
        fclose(file);
    CHECK(length > 80);
    for (size_t i = 0; i < length; i++) {
        put(&s, key, "0123456789", 10);
        file = fopen(path, "r+");
        if (!file || fseek(file, (long)i, SEEK_SET) < 0 || fputc(bytes[i] ^ 1, file) == EOF ||
            fclose(file) != 0 || !has_nothing(&s, key)) {
            tap_fail(__FILE__, __LINE__, "byte %zu may be changed", i);
            return;
        }
    }
    for (size_t i = 0; i < length; i++) {
        put(&s, key, "0123456789", 10);
        CHECK(truncate(path, (off_t)i) == 0 && has_nothing(&s, key));
    }
    put(&s, key, "0123456789", 10);
    CHECK(truncate(path, (off_t)length + 1) == 0 && has_nothing(&s, key));
}

TEST(a_file_counts_under_its_own_key_alone)
{
    struct tu_store s = open_store();
    char from[256], to[256];
    put(&s, key, "x", 1);
    put(&s, other, "y", 1);
    path_of(key, from);
    path_of(other, to);
    CHECK(rename(from, to) == 0);
    CHECK(has_nothing(&s, key) && has_nothing(&s, other));
    put(&s, other, "y", 1);
    CHECK(has(&s, other, "y", 1));
}

TEST(what_is_no_file_is_nothing)
{
    struct tu_store s = open_store();
    struct tu_error error = {0};
    char path[256];
    path_of(key, path);
    unlink(path);
    CHECK(mkdir(path, 0700) == 0 && has_nothing(&s, key));
    CHECK_FAILS(tu_store_put(&s, TU_STORE_PAIRS, key, "x", 1, &error), error, path);
    CHECK(rmdir(path) == 0 && mkfifo(path, 0600) == 0 && has_nothing(&s, key));
    put(&s, key, "x", 1);
    CHECK(has(&s, key, "x", 1));
}

TEST(folders_that_others_may_write_to)
{
    struct tu_store s = open_store();
    struct tu_error error = {0};
    CHECK(chmod(folder, 0777) == 0);
    CHECK_FAILS(tu_store_open(&s, folder, &error), error, "others may write to it");
    CHECK(chmod(folder, 0700) == 0);
    open_store();
}

TEST(nothing_is_left)
{
    char command[256];
    snprintf(command, sizeof command, "test -z \"$(find %s -name '.new*')\" && rm -r %s", folder,
             folder);
    CHECK(system(command) == 0);
}
