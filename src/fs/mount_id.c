/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the kernel's list of mounts, and what it says of a descriptor. */
#include "fs/mount_id.h"
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A mount point of PATH_MAX bytes, all escaped, and the rest of its line. */
#define LINE_MAX_BYTES (5 * PATH_MAX)

static bool is_octal(const char *s)
{
	for (unsigned i = 0; i < 3; i++)
		if (s[i] < '0' || s[i] > '7')
			return false;
	return true;
}

/* Blanks and the like stand as \040 in the list. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (*text == '\\' && is_octal(text + 1)) {
			*to++ = (char)((text[1] - '0') << 6 |
				       (text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* 36 35 0:98 /root /mnt/point options [fields] - type source options.
 * True for what is mounted there; @ret_ours: of our type, with this minor. */
static bool is_at(char *line, const char *mountpoint, bool *ret_ours,
		  unsigned *ret_id)
{
	static const char type[] = " - fuse.foldfs ";
	bool right_type = strstr(line, type) != NULL;
	char *field[5], *save = NULL;
	unsigned id;

	for (unsigned i = 0; i < 5; i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return false;
	}
	unescape(field[4]);
	if (strcmp(field[4], mountpoint) != 0 ||
	    sscanf(field[2], "%*u:%u", &id) != 1)
		return false;
	*ret_ours = right_type;
	*ret_id = id;
	return true;
}

int mount_id_by_connection(const char *info, unsigned *ret_id)
{
	FILE *f = fopen(info, "re");
	char line[256];
	int r = -ENODATA;

	if (!f)
		return -errno;
	while (r && fgets(line, sizeof(line), f))
		if (sscanf(line, "fuse_connection: %u", ret_id) == 1)
			r = 0;
	fclose(f);
	return r;
}

int mount_id(const char *list, const char *mountpoint, unsigned *ret_id)
{
	FILE *f = fopen(list, "re");
	char line[LINE_MAX_BYTES];
	unsigned id;
	bool ours;
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (is_at(line, mountpoint, &ours, &id) && ours) {
			*ret_id = id;
			r = 0;
		}
	fclose(f);
	return r;
}

bool mount_is_covered(const char *list, const char *mountpoint, unsigned id)
{
	FILE *f = fopen(list, "re");
	char line[LINE_MAX_BYTES];
	bool seen = false, covered = false, ours;
	unsigned other;

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (!is_at(line, mountpoint, &ours, &other))
			continue;
		covered = !ours || other != id;
		seen |= !covered;
	}
	fclose(f);
	return seen && covered;
}
