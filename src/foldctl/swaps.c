/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads /proc/swaps and /proc/meminfo. */
#include "foldctl/swaps.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The name may go on with how the kernel writes " (deleted)". */
static bool is_line_of(const char *line, const char *device)
{
	size_t n = strlen(device);

	return strncmp(line, device, n) == 0 &&
	       (line[n] == ' ' || line[n] == '\t' || line[n] == '\\');
}

int swaps_find(const char *proc, const char *device,
	       struct swaps_line *ret_line)
{
	char path[PATH_MAX], line[PATH_MAX];
	struct swaps_line found = {0};
	int r = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "%s/swaps", proc);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (r == -ENOENT && fgets(line, sizeof(line), f))
		if (is_line_of(line, device))
			r = sscanf(line, "%*s %*s %" SCNu64 " %" SCNu64 " %d",
				   &found.size_bytes, &found.used_bytes,
				   &found.priority) == 3
				    ? 0
				    : -EPROTO;
	fclose(f);
	if (r < 0)
		return r;
	found.size_bytes <<= 10;
	found.used_bytes <<= 10;
	*ret_line = found;
	return 0;
}

int swaps_room(const char *proc, const struct swaps_line *but,
	       uint64_t *ret_bytes)
{
	uint64_t available = 0, swap = 0;
	uint64_t ours = but->size_bytes - but->used_bytes;
	char path[PATH_MAX], line[128];
	int found = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/meminfo", proc);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		found += sscanf(line, "MemAvailable: %" SCNu64, &available);
		found += sscanf(line, "SwapFree: %" SCNu64, &swap);
	}
	fclose(f);
	if (found != 2)
		return -EPROTO;
	swap <<= 10;
	*ret_bytes = (available << 10) + (swap > ours ? swap - ours : 0);
	return 0;
}
