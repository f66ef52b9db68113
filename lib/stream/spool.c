/* SPDX-License-Identifier: MIT */
/* Keeps bytes that can be read once in an unlinked temporary file, in the order in which they come.
 */
#include "config.h"

#include "stream/spool.h"

#include <errno.h>
#include <unistd.h>

#include "base/file.h"
#include "base/source.h"

int tu_spool_write(struct tu_spool *s, const void *bytes, size_t length, struct tu_error *error)
{
    if (!s->open && (s->fd = tu_temporary(error)) < 0)
        return -1;
    s->open = true;
    for (size_t done = 0; done < length;) {
        ssize_t n =
            pwrite(s->fd, (const char *)bytes + done, length - done, (off_t)(s->length + done));
        if (n < 0 && errno != EINTR)
            return tu_fail_errno(error, "temporary file");
        done += n > 0 ? (size_t)n : 0;
    }
    s->length += length;
    return 0;
}

int tu_spool_stream(struct tu_spool *s, struct tu_stream_reader *stream, uint64_t length,
                    struct tu_error *error)
{
    char buffer[64 * 1024];
    for (size_t n; length; length -= n) {
        n = length < sizeof buffer ? (size_t)length : sizeof buffer;
        if (tu_stream_read(stream, buffer, n, error) < 0 || tu_spool_write(s, buffer, n, error) < 0)
            return -1;
    }
    return 0;
}

int tu_spool_read(const struct tu_spool *s, uint64_t offset, void *bytes, size_t length,
                  struct tu_error *error)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = pread(s->fd, (char *)bytes + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR)
            return tu_fail_errno(error, "temporary file");
        if (n == 0)
            return tu_fail(error, TU_EIO, "temporary file: it has shrunk");
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

void tu_spool_close(struct tu_spool *s)
{
    if (s->open)
        close(s->fd);
    s->open = false;
}
