/* SPDX-License-Identifier: MIT */
/* How many processors this process may use. */
#ifndef TU_PROCESSORS_H
#define TU_PROCESSORS_H

/* Those of its affinity mask, which its cpuset bounds, and no more than its cgroups' quotas; at
 * least 1. */
unsigned tu_available_threads(void);

/* The smallest quota of the control groups of the process, of either version, that it is in by
 * itself or through a parent: in processors, rounded, at least 1; 0 if there is none.  root goes
 * before the paths of /proc and of the mounts: "" but in tests. */
unsigned tu_cgroup_quota(const char *root);

#endif
