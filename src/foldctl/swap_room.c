/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Room for what comes back.
 *
 * What was swapped out of a control group comes back into it: where its limit
 * leaves no room, swapoff does not fail, but programs of the group are killed.
 */
#include "foldctl/swap_room.h"
#include "base/size.h"
#include "foldctl/term.h"
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

/* The first number of a file, or what stands behind @word; "max" and what
 * cannot be read are @otherwise. */
static uint64_t read_value(const char *folder, const char *name,
			   const char *word, uint64_t otherwise)
{
	char path[PATH_MAX], line[256];
	size_t n = word ? strlen(word) : 0;
	uint64_t value = otherwise;
	FILE *f;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >=
	    (int)sizeof(path))
		return otherwise;
	f = fopen(path, "re");
	if (!f)
		return otherwise;
	while (fgets(line, sizeof(line), f))
		if ((!word || strncmp(line, word, n) == 0) &&
		    sscanf(line + n, "%" SCNu64, &value) == 1)
			break;
	fclose(f);
	return value;
}

/* Of the group and all below it; what is in other swaps cannot be told from
 * what is in ours. */
static bool measure(const char *folder, uint64_t most_bytes,
		    struct swap_room_group *group)
{
	bool v1 = read_value(folder, "memory.limit_in_bytes", NULL, 0) > 0;
	uint64_t limit, taken, files;

	if (v1) {
		group->swapped_bytes =
			read_value(folder, "memory.stat", "total_swap ", 0);
		limit = read_value(folder, "memory.limit_in_bytes", NULL,
				   UINT64_MAX);
		taken = read_value(folder, "memory.usage_in_bytes", NULL, 0);
		files = read_value(folder, "memory.stat",
				   "total_inactive_file ", 0);
	} else {
		group->swapped_bytes =
			read_value(folder, "memory.swap.current", NULL, 0);
		limit = read_value(folder, "memory.max", NULL, UINT64_MAX);
		taken = read_value(folder, "memory.current", NULL, 0);
		files = read_value(folder, "memory.stat", "inactive_file ", 0);
	}
	/* Pages of files give way; the numbers are not of one moment. */
	taken -= files < taken ? files : taken;
	if (group->swapped_bytes > most_bytes)
		group->swapped_bytes = most_bytes;
	group->room_bytes = limit > taken ? limit - taken : 0;
	return group->swapped_bytes > group->room_bytes;
}

bool swap_room_find(const char *root, uint64_t most_bytes,
		    struct swap_room_group *ret_group)
{
	char top[PATH_MAX];
	char *paths[] = {top, NULL};
	bool found = false;
	FTSENT *entry;
	FTS *tree;

	snprintf(top, sizeof(top), "%s", root);
	tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!tree)
		return false;
	while (!found && (entry = fts_read(tree)))
		if (entry->fts_info == FTS_D && entry->fts_level > 0) {
			struct swap_room_group group = {0};

			found = measure(entry->fts_path, most_bytes, &group);
			if (!found)
				continue;
			snprintf(group.name, sizeof(group.name), "%s",
				 entry->fts_path + strlen(root));
			*ret_group = group;
		}
	fts_close(tree);
	return found;
}

static bool machine_has_room(const struct swaps_line *swap, uint64_t held_bytes)
{
	char wanted_text[SIZE_TEXT_MAX], room_text[SIZE_TEXT_MAX];
	uint64_t room;

	if (swaps_room("/proc", swap, &room) < 0 ||
	    swap->used_bytes <= room + held_bytes)
		return true;
	say("%s are swapped out, and memory has room for %s",
	    size_format(swap->used_bytes, wanted_text),
	    size_format(room + held_bytes, room_text));
	return false;
}

static bool groups_have_room(const struct swaps_line *swap)
{
	static const char *const roots[] = {"/sys/fs/cgroup/memory",
					    "/sys/fs/cgroup"};
	char out[SIZE_TEXT_MAX], room[SIZE_TEXT_MAX];
	struct swap_room_group group;

	for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
		if (swap_room_find(roots[i], swap->used_bytes, &group)) {
			say("of the control group %s %s are swapped out, and "
			    "its limit has room for %s: programs in it would "
			    "be killed",
			    group.name, size_format(group.swapped_bytes, out),
			    size_format(group.room_bytes, room));
			return false;
		}
	return true;
}

bool swap_room_check(const struct swaps_line *swap, uint64_t held_bytes)
{
	return machine_has_room(swap, held_bytes) && groups_have_room(swap);
}
