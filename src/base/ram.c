/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much RAM there is for us: the machine's, or less where a cgroup says so.
 *
 * Files that are missing are no error: other cgroup version, no cgroups, or a
 * container that shows only its own part of the tree. Then what can be seen
 * counts.
 */
#include "base/size.h"
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A limit file's number; UINT64_MAX for "max", nonsense or no file. */
static uint64_t read_limit(const char *path)
{
	uint64_t limit = UINT64_MAX;
	FILE *f = fopen(path, "re");

	if (!f)
		return UINT64_MAX;
	if (fscanf(f, "%" SCNu64, &limit) != 1)
		limit = UINT64_MAX;
	fclose(f);
	return limit;
}

/* The least limit on the way from @group up to the hierarchy's root. */
static uint64_t walk_up(const char *root, const char *sub, char *group,
			const char *file)
{
	uint64_t least = UINT64_MAX;
	char path[PATH_MAX];
	char *slash;

	for (;;) {
		int n = snprintf(path, sizeof(path), "%s%s%s/%s", root, sub,
				 group, file);
		uint64_t limit = UINT64_MAX;

		if (n > 0 && n < (int)sizeof(path))
			limit = read_limit(path);
		if (limit < least)
			least = limit;
		slash = strrchr(group, '/');
		if (!slash)
			return least;
		*slash = '\0';
	}
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',') &&
		    (p[n] == ',' || p[n] == '\0'))
			return true;
	return false;
}

/* One line ID:CONTROLLERS:PATH; version 2 is the one without controllers. */
static uint64_t limit_of_line(char *line, const char *root)
{
	char *controllers = strchr(line, ':');
	char *group = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!group)
		return UINT64_MAX;
	*group++ = '\0';
	controllers++;
	group[strcspn(group, "\n")] = '\0';
	if (*controllers == '\0')
		return walk_up(root, "", group, "memory.max");
	if (has_word(controllers, "memory"))
		return walk_up(root, "/memory", group, "memory.limit_in_bytes");
	return UINT64_MAX;
}

uint64_t size_of_cgroup(const char *cgroup_file, const char *root)
{
	uint64_t least = UINT64_MAX;
	FILE *f = fopen(cgroup_file, "re");
	char line[PATH_MAX];

	if (!f)
		return least;
	while (fgets(line, sizeof(line), f)) {
		uint64_t limit = limit_of_line(line, root);

		if (limit < least)
			least = limit;
	}
	fclose(f);
	return least;
}

uint64_t size_of_ram(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long bytes = sysconf(_SC_PAGESIZE);
	uint64_t ram = UINT64_MAX, limit;

	if (pages > 0 && bytes > 0)
		ram = (uint64_t)pages * (uint64_t)bytes;
	limit = size_of_cgroup("/proc/self/cgroup", "/sys/fs/cgroup");
	return limit < ram ? limit : ram;
}
