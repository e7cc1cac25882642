/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether memory can take what is swapped out, before swapoff tries. */
#ifndef SRC_FOLDCTL_SWAP_ROOM_H
#define SRC_FOLDCTL_SWAP_ROOM_H

#include "foldctl/swaps.h"
#include <stdbool.h>

/*
 * Whether the machine has room for what is used of @swap, when @held_bytes come
 * free with it, and each control group for what is swapped out of it; else say
 * where there is none.
 */
bool swap_room_check(const struct swaps_line *swap, uint64_t held_bytes);

/* A control group that swapoff would push above its limit. */
struct swap_room_group {
	char name[256];
	uint64_t swapped_bytes, room_bytes;
};
/*
 * The first there is below @root, a hierarchy of version 1 (of the memory
 * controller) or 2, when at most @most_bytes come back. False: none, or it
 * cannot be told.
 */
bool swap_room_find(const char *root, uint64_t most_bytes,
		    struct swap_room_group *ret_group) MUST_CHECK;

#endif
