/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's list of swaps, and what memory there is beside them. */
#ifndef SRC_FOLDCTL_SWAPS_H
#define SRC_FOLDCTL_SWAPS_H

#include "base/compiler.h"
#include <stdint.h>

struct swaps_line {
	uint64_t size_bytes, used_bytes;
	int priority;
};

/* The line of @device in @proc/swaps. -ENOENT: it is none, -errno. */
int swaps_find(const char *proc, const char *device,
	       struct swaps_line *ret_line) MUST_CHECK;

/* What programs could take now, without @but: free memory, what the kernel
 * would give up, and what is free of other swaps. -errno. */
int swaps_room(const char *proc, const struct swaps_line *but,
	       uint64_t *ret_bytes) MUST_CHECK;

#endif
