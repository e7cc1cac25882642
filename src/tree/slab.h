/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small private items of one size in a struct sparse, named by 32-bit indexes:
 * chunks of directories and their states.
 *
 * Items come from the lowest run of 256 that has room, so that the high runs
 * empty and are given back. The first item of each run holds its account;
 * therefore index 0 is no item. The caller locks.
 */
#ifndef SRC_TREE_SLAB_H
#define SRC_TREE_SLAB_H

#include "base/sparse.h"
#include <stdint.h>

#define SLAB_NONE 0u

struct slab {
	struct sparse memory;
	uint32_t item_bytes; /* at least 8 */
	uint32_t runs;       /* in use: the memory of more may be ready */
	uint32_t lowest;     /* no run below has room */
	uint64_t used;
};

int slab_init(struct slab *s, uint32_t item_bytes, uint32_t most_items,
	      struct budget *budget) MUST_CHECK;
void slab_fini(struct slab *s);
/* A zeroed item. -ENOSPC (budget), -ENOMEM (all in use). */
int slab_alloc(struct slab *s, enum budget_use use,
	       uint32_t *ret_ix) MUST_CHECK;
void slab_free(struct slab *s, uint32_t ix);

static inline void *slab_at(const struct slab *s, uint32_t ix)
{
	return s->memory.base + (size_t)ix * s->item_bytes;
}

#endif
