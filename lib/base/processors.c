/* SPDX-License-Identifier: MIT */
/* Which processors the process may use, and what it may use of them. */
#include "config.h"

#include "base/processors.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Control groups ---- */

/* The two kinds of hierarchy that may bound the processors' time. */
static const struct hierarchy {
    const char *type;       /* of its mount */
    const char *controller; /* "": all of them in one */
} hierarchies[] = {{"cgroup2", ""}, {"cgroup", "cpu"}};

/* Whether a word is in a list with commas; an empty word, whether the list is empty. */
static bool lists(const char *list, const char *word)
{
    size_t length = strlen(word);
    if (length == 0)
        return *list == '\0';
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

static FILE *open_under(const char *root, const char *path)
{
    char whole[PATH_MAX];
    int length = snprintf(whole, sizeof whole, "%s%s", root, path);
    return length < (int)sizeof whole ? fopen(whole, "re") : NULL;
}

/* Gives the lines of a file to a function until it says that it found what it looks for. */
static bool find_line(const char *root, const char *path,
                      bool (*found)(char *line, const struct hierarchy *h, char *out),
                      const struct hierarchy *h, char *out)
{
    FILE *file = open_under(root, path);
    char *line = NULL;
    size_t size = 0;
    bool result = false;
    while (file && !result && getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        result = found(line, h, out);
    }
    free(line);
    if (file)
        fclose(file);
    return result;
}

/* Of /proc/self/cgroup, "ID:CONTROLLERS:PATH". */
static bool is_membership(char *line, const struct hierarchy *h, char *out)
{
    strsep(&line, ":");
    const char *controllers = strsep(&line, ":");
    if (!line || !lists(controllers, h->controller) || strlen(line) >= PATH_MAX)
        return false;
    strcpy(out, line);
    return true;
}

/* Where a hierarchy is mounted, and which of its groups is seen there: "POINT\0GROUP".  Of
 * /proc/self/mountinfo, "ID PARENT DEVICE GROUP POINT OPTIONS [TAG]... - TYPE SOURCE OPTIONS". */
static bool is_mount(char *line, const struct hierarchy *h, char *out)
{
    char *rest = strstr(line, " - "), group[PATH_MAX], point[PATH_MAX];
    if (!rest || sscanf(line, "%*s %*s %*s %4095s %4095s", group, point) != 2)
        return false;
    rest += strlen(" - ");
    const char *type = strsep(&rest, " ");
    strsep(&rest, " ");
    if (strcmp(type, h->type) != 0 || !rest || (*h->controller && !lists(rest, h->controller)))
        return false;
    strcpy(out, point);
    strcpy(out + strlen(out) + 1, group);
    return true;
}

/* The numbers of a file, one or two; the count, 0 where it says that there is no bound. */
static int read_numbers(const char *folder, const char *name, double *a, double *b)
{
    FILE *file = open_under(folder, name);
    int fields = file ? fscanf(file, "%lf %lf", a, b) : 0;
    if (file)
        fclose(file);
    return fields < 0 ? 0 : fields;
}

/* What one group grants. */
static double granted(const char *folder, const struct hierarchy *h)
{
    double quota = 0, period = 0;
    if (*h->controller) {
        read_numbers(folder, "/cpu.cfs_quota_us", &quota, &period);
        read_numbers(folder, "/cpu.cfs_period_us", &period, &period);
    } else {
        read_numbers(folder, "/cpu.max", &quota, &period);
    }
    return quota > 0 && period > 0 ? quota / period : INFINITY;
}

/* The least that the group of the process and those above it grant. */
static double least_granted(const char *root, const struct hierarchy *h)
{
    char own[PATH_MAX], mount[2 * PATH_MAX], folder[3 * PATH_MAX];
    if (!find_line(root, "/proc/self/cgroup", is_membership, h, own) ||
        !find_line(root, "/proc/self/mountinfo", is_mount, h, mount))
        return INFINITY;
    const char *seen = mount + strlen(mount) + 1, *below = own;
    size_t length = strcmp(seen, "/") == 0 ? 0 : strlen(seen);
    if (strncmp(own, seen, length) == 0 && (own[length] == '/' || own[length] == '\0'))
        below += length;
    else
        below = ""; /* outside of what is mounted, as in some containers: what is seen is all */
    size_t base = (size_t)snprintf(folder, sizeof folder, "%s%s", root, mount);
    snprintf(folder + base, sizeof folder - base, "%s", below);
    double least = granted(folder, h);
    for (char *slash; (slash = strrchr(folder + base, '/'));
         least = fmin(least, granted(folder, h)))
        *slash = '\0';
    return least;
}

unsigned tu_cgroup_quota(const char *root)
{
    double least = INFINITY;
    for (size_t i = 0; i < sizeof hierarchies / sizeof *hierarchies; i++)
        least = fmin(least, least_granted(root, &hierarchies[i]));
    if (!(least < UINT_MAX))
        return 0;
    return least < 1 ? 1 : (unsigned)(least + 0.5);
}

/* ---- All bounds ---- */

/* The processors of the affinity mask, however many the system has. */
static unsigned count_affinity(void)
{
    for (size_t cpus = CPU_SETSIZE; cpus < (size_t)CPU_SETSIZE << 8; cpus *= 2) {
        size_t size = CPU_ALLOC_SIZE(cpus);
        cpu_set_t *set = CPU_ALLOC(cpus);
        int count = set && sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return (unsigned)count;
    }
    return 1;
}

unsigned tu_available_threads(void)
{
    unsigned cpus = count_affinity(), quota = tu_cgroup_quota("");
    return quota && quota < cpus ? quota : cpus;
}
