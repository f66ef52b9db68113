/* SPDX-License-Identifier: MIT */
/* Quotas of control groups, in folders that look like /proc and /sys. */
#include "config.h"

#include "base/processors.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tap.h"

static char root[64];

static void begin(void)
{
    const char *folder = getenv("TMPDIR");
    snprintf(root, sizeof root, "%.40s/cpus-XXXXXX", folder && *folder ? folder : "/tmp");
    if (!mkdtemp(root))
        abort();
}

/* Writes a file under root, and the folders on the way to it. */
static void write_file(const char *path, const char *text)
{
    char whole[PATH_MAX];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = whole + strlen(root); (slash = strchr(slash + 1, '/')); *slash = '/') {
        *slash = '\0';
        if (mkdir(whole, 0700) < 0 && errno != EEXIST)
            abort();
    }
    FILE *file = fopen(whole, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

static unsigned end(void)
{
    char command[PATH_MAX];
    unsigned quota = tu_cgroup_quota(root);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command) != 0)
        abort();
    return quota;
}

static const char unified[] =
    "22 1 254:1 / / rw shared:1 - ext4 /dev/vda rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(nothing_known_is_no_bound)
{
    begin();
    CHECK_UINT(end(), 0);
}

TEST(version_2_in_its_own_group)
{
    begin();
    write_file("/proc/self/mountinfo", unified);
    write_file("/proc/self/cgroup", "0::/user.slice/job\n");
    write_file("/sys/fs/cgroup/user.slice/job/cpu.max", "300000 100000\n");
    write_file("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
    CHECK_UINT(end(), 3);
}

TEST(version_2_in_a_parent)
{
    begin();
    write_file("/proc/self/mountinfo", unified);
    write_file("/proc/self/cgroup", "0::/a/b/c\n");
    write_file("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
    write_file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    write_file("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
    CHECK_UINT(end(), 2);
}

TEST(version_2_of_a_container)
{
    begin();
    write_file("/proc/self/mountinfo", unified);
    write_file("/proc/self/cgroup", "0::/\n");
    write_file("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    CHECK_UINT(end(), 1);
}

TEST(a_group_beside_has_no_say)
{
    begin();
    write_file("/proc/self/mountinfo", unified);
    write_file("/proc/self/cgroup", "0::/a/job\n");
    write_file("/sys/fs/cgroup/a/job/cpu.max", "max 100000\n");
    write_file("/sys/fs/cgroup/a/other/cpu.max", "100000 100000\n");
    CHECK_UINT(end(), 0);
}

static const char old[] =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "32 31 0:29 %s /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

static void write_old_mounts(const char *seen)
{
    char text[sizeof old + 64];
    snprintf(text, sizeof text, old, seen);
    write_file("/proc/self/mountinfo", text);
}

TEST(version_1)
{
    begin();
    write_old_mounts("/");
    write_file("/proc/self/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/batch/job\n0::/batch/job\n");
    write_file("/sys/fs/cgroup/cpu,cpuacct/batch/job/cpu.cfs_quota_us", "-1\n");
    write_file("/sys/fs/cgroup/cpu,cpuacct/batch/job/cpu.cfs_period_us", "100000\n");
    write_file("/sys/fs/cgroup/cpu,cpuacct/batch/cpu.cfs_quota_us", "250000\n");
    write_file("/sys/fs/cgroup/cpu,cpuacct/batch/cpu.cfs_period_us", "50000\n");
    CHECK_UINT(end(), 5);
}

TEST(version_1_of_a_container_that_sees_its_own_group_alone)
{
    begin();
    write_old_mounts("/docker/0123");
    write_file("/proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n0::/\n");
    write_file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
    write_file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    CHECK_UINT(end(), 2);
}

TEST(nonsense_is_no_bound)
{
    begin();
    write_file("/proc/self/mountinfo", "\n - \n1 2 3\n30 22 0:26 / /sys - cgroup2\n");
    write_file("/proc/self/cgroup", "0\n0:\n\n0::/x\n");
    write_file("/sys/cpu.max", "100000 100000\n");
    CHECK_UINT(end(), 0);
    begin();
    write_file("/proc/self/mountinfo", unified);
    write_file("/proc/self/cgroup", "0::/../x\n");
    write_file("/sys/fs/cgroup/cpu.max", "0 0\n");
    CHECK_UINT(end(), 0);
}

TEST(threads_are_those_the_process_may_use)
{
    unsigned n = tu_available_threads();
    CHECK(n >= 1 && (long)n <= sysconf(_SC_NPROCESSORS_CONF));
}

TEST(the_affinity_mask_bounds_them)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) < 0) {
        tap_skip("no affinity mask of the usual size");
        return;
    }
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK_UINT(tu_available_threads(), 1);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}
