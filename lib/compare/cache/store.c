/* SPDX-License-Identifier: MIT */
/* Keeps small files under digests, each whole and with a checksum. */
#include "config.h"

#include "compare/cache/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/install.h"
#include "model/plugin.h"
#include "base/source.h"

/* A file is MAGIC, a checksum, a newline, and the bytes.  None is larger than this. */
static const char magic[] = "tensorutils cache 1\n";
enum { MAGIC = sizeof magic - 1, DIGITS = 64, HEAD = MAGIC + DIGITS + 1, FILE_MAX = 256 << 20 };

static int make_folder(const char *path, struct tu_error *error)
{
    if (mkdir(path, 0700) == 0)
        return 0;
    return errno == EEXIST ? 0 : tu_fail_errno(error, "%s", path);
}

static int check_folder(const char *path, struct tu_error *error)
{
    struct stat st;
    if (make_folder(path, error) < 0)
        return -1;
    const char *why = tu_distrust(path);
    if (why)
        return tu_fail(error, TU_EINVALID, "%s: is no safe place for a cache: %s", path, why);
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return tu_fail(error, TU_EINVALID, "%s: is no folder", path);
    return 0;
}

int tu_store_open(struct tu_store *s, const char *folder, struct tu_error *error)
{
    static const char *const kinds[] = {TU_STORE_PAIRS, TU_STORE_FILES};
    s->folder = folder;
    if (check_folder(folder, error) < 0)
        return -1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char *path;
        if (asprintf(&path, "%s/%s", folder, kinds[i]) < 0)
            return tu_fail_memory(error);
        int result = check_folder(path, error);
        free(path);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* FOLDER/KIND/ab/cdef..., or with end the folder of it with that in place of the name. */
static char *path_of(const struct tu_store *s, const char *kind, const char *key, const char *end)
{
    char *path;
    int n = asprintf(&path, "%s/%s/%.2s%s", s->folder, kind, key, end ? end : "/");
    if (n < 0 || end)
        return n < 0 ? NULL : path;
    char *whole;
    n = asprintf(&whole, "%s%s", path, key + 2);
    free(path);
    return n < 0 ? NULL : whole;
}

/* The checksum covers the key, so that a file under another's name is damaged, too. */
static int sum(const char *key, const void *bytes, size_t length, char out[static TU_DIGEST_TEXT],
               struct tu_error *error)
{
    struct tu_digest *d = tu_digest_new(TU_SHA256, error);
    if (!d)
        return -1;
    tu_digest_add(d, key, strlen(key));
    tu_digest_add(d, bytes, length);
    tu_digest_take(d, out);
    tu_digest_free(d);
    return 0;
}

/* ---- Reading ---- */

/* The whole of a file, in memory to be freed; NULL where that fails, for whatever reason. */
static char *read_whole(const char *path, size_t *length)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    bool fits = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= HEAD &&
                st.st_size <= FILE_MAX;
    char *bytes = fits ? malloc((size_t)st.st_size) : NULL;
    *length = 0;
    for (ssize_t n = 1; bytes && n > 0 && *length < (size_t)st.st_size;) {
        n = read(fd, bytes + *length, (size_t)st.st_size - *length);
        *length += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    if (bytes && *length == (size_t)st.st_size)
        return bytes;
    free(bytes);
    return NULL;
}

char *tu_store_get(const struct tu_store *s, const char *kind, const char *key, size_t *length)
{
    char digest[TU_DIGEST_TEXT], *path = path_of(s, kind, key, NULL);
    struct tu_error ignored = {0};
    char *bytes = path ? read_whole(path, length) : NULL;
    free(path);
    if (!bytes)
        return NULL;
    *length -= HEAD;
    if (memcmp(bytes, magic, MAGIC) != 0 || bytes[HEAD - 1] != '\n' ||
        sum(key, bytes + HEAD, *length, digest, &ignored) < 0 ||
        memcmp(bytes + MAGIC, digest, DIGITS) != 0) {
        free(bytes);
        return NULL;
    }
    memmove(bytes, bytes + HEAD, *length);
    return bytes;
}

/* ---- Writing ---- */

static int write_file(int fd, const char *digest, const void *bytes, size_t length)
{
    bool failed = tu_write_fully(fd, magic, MAGIC) < 0 || tu_write_fully(fd, digest, DIGITS) < 0 ||
                  tu_write_fully(fd, "\n", 1) < 0 || tu_write_fully(fd, bytes, length) < 0;
    return close(fd) < 0 || failed ? -1 : 0;
}

/* Renaming is all at once for whoever reads; what a crash leaves half written has a wrong sum. */
static int replace(char *temporary, const char *path, const char *digest, const void *bytes,
                   size_t length, struct tu_error *error)
{
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return tu_fail_errno(error, "%s", temporary);
    if (write_file(fd, digest, bytes, length) == 0 && rename(temporary, path) == 0)
        return 0;
    int result = tu_fail_errno(error, "%s", path);
    unlink(temporary);
    return result;
}

int tu_store_put(const struct tu_store *s, const char *kind, const char *key, const void *bytes,
                 size_t length, struct tu_error *error)
{
    char digest[TU_DIGEST_TEXT];
    char *folder = path_of(s, kind, key, ""), *path = path_of(s, kind, key, NULL);
    char *temporary = path_of(s, kind, key, "/.new-XXXXXX");
    int result = folder && path && temporary ? 0 : tu_fail_memory(error);
    if (result == 0)
        result = sum(key, bytes, length, digest, error);
    if (result == 0)
        result = make_folder(folder, error);
    if (result == 0)
        result = replace(temporary, path, digest, bytes, length, error);
    free(folder);
    free(path);
    free(temporary);
    return result;
}
