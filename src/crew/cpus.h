/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many CPUs the process may use: its affinity, and less if the CPU quota
 * of a cgroup above it says so (v2 cpu.max, v1 cpu.cfs_quota_us).
 */
#ifndef SRC_CREW_CPUS_H
#define SRC_CREW_CPUS_H

/* At least 1. Looks anew each time: both may change while we run. */
unsigned cpus_allowed(void);

/* The quota alone, rounded up to whole CPUs; 0: none set. @proc_cgroup is a
 * file like /proc/self/cgroup, @root where cgroup file systems are mounted. */
unsigned cpus_of_quota(const char *proc_cgroup, const char *root);

#endif
