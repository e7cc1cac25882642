/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs by affinity and cgroup quota.
 *
 * A quota anywhere between our cgroup and the root binds us, so each level is
 * looked at and the smallest counts. Inside a container the path may name a
 * place that is mounted elsewhere: levels that are not there are passed over,
 * and the mount's own root is always among those looked at.
 */
#include "crew/cpus.h"
#include "base/compiler.h"
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned cpus_of_affinity(void)
{
	unsigned n = 0;

	/* The kernel refuses a set smaller than its own: double it. */
	for (size_t cpus = 1024; cpus <= 65536; cpus *= 2) {
		cpu_set_t *set = CPU_ALLOC(cpus);
		size_t bytes = CPU_ALLOC_SIZE(cpus);

		if (!set)
			return 0;
		if (sched_getaffinity(0, bytes, set) == 0)
			n = (unsigned)CPU_COUNT_S(bytes, set);
		CPU_FREE(set);
		if (n > 0)
			break;
	}
	return n;
}

static bool read_line(char *text, size_t room, const char *path)
{
	FILE *f = fopen(path, "re");
	bool there;

	if (!f)
		return false;
	there = fgets(text, (int)room, f) != NULL;
	fclose(f);
	return there;
}

/* Whole CPUs, rounded up; 0: not a limit. */
static unsigned quota_cpus(long long quota, long long period)
{
	long long n;

	if (quota <= 0 || period <= 0)
		return 0;
	n = quota / period + (quota % period != 0);
	return n < INT_MAX ? (unsigned)n : INT_MAX;
}

/* "max 100000" or "150000 100000" */
static unsigned quota_v2(const char *dir)
{
	char path[PATH_MAX], line[64];
	long long quota, period;

	if (snprintf(path, sizeof(path), "%s/cpu.max", dir) >=
		    (int)sizeof(path) ||
	    !read_line(line, sizeof(line), path) ||
	    sscanf(line, "%lld %lld", &quota, &period) != 2)
		return 0;
	return quota_cpus(quota, period);
}

static long long read_number(const char *dir, const char *file)
{
	char path[PATH_MAX], line[64];

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >=
		    (int)sizeof(path) ||
	    !read_line(line, sizeof(line), path))
		return 0;
	return strtoll(line, NULL, 10);
}

static unsigned quota_v1(const char *dir)
{
	return quota_cpus(read_number(dir, "cpu.cfs_quota_us"),
			  read_number(dir, "cpu.cfs_period_us"));
}

static unsigned smaller(unsigned a, unsigned b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* From @mount/@group up to @mount itself. */
static unsigned smallest_on_path(const char *mount, const char *group,
				 unsigned (*quota)(const char *dir))
{
	char dir[PATH_MAX];
	size_t top = strlen(mount);
	unsigned n = 0;

	if (snprintf(dir, sizeof(dir), "%s%s", mount, group) >=
	    (int)sizeof(dir))
		return quota(mount);
	for (;;) {
		char *slash;

		n = smaller(n, quota(dir));
		slash = strrchr(dir + top, '/');
		if (!slash)
			return n;
		*slash = '\0';
	}
}

/* True if @list, separated by commas, has @name. */
static bool list_has(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	}
	return false;
}

/* One line: "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1). */
static unsigned quota_of_line(char *line, const char *root)
{
	char mount[PATH_MAX];
	char *controllers, *group;

	line[strcspn(line, "\n")] = '\0';
	controllers = strchr(line, ':');
	group = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!group)
		return 0;
	*controllers++ = '\0';
	*group++ = '\0';
	if (*controllers == '\0' && strcmp(line, "0") == 0)
		return smallest_on_path(root, group, quota_v2);
	if (!list_has(controllers, "cpu"))
		return 0;
	if (snprintf(mount, sizeof(mount), "%s/%s", root, controllers) >=
	    (int)sizeof(mount))
		return 0;
	return smallest_on_path(mount, group, quota_v1);
}

unsigned cpus_of_quota(const char *proc_cgroup, const char *root)
{
	char line[PATH_MAX + 64];
	FILE *f = fopen(proc_cgroup, "re");
	unsigned n = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		n = smaller(n, quota_of_line(line, root));
	fclose(f);
	return n;
}

unsigned cpus_allowed(void)
{
	unsigned n =
		smaller(cpus_of_affinity(),
			cpus_of_quota("/proc/self/cgroup", "/sys/fs/cgroup"));

	return n > 0 ? n : 1;
}
