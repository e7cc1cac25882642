/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests of pages on disk begin with: a store with a backing file, and of
 * its first file a copy of every byte.
 */
#ifndef TESTS_LIB_WORLD_H
#define TESTS_LIB_WORLD_H

#include "content.h"
#include "store_rig.h"

struct world {
	struct store_rig rig;
	struct content random;
	unsigned char *model; /* what file 0 is to hold */
	unsigned char *buf;   /* as much room, for what is read */
};

/* File 0 is written, @pages of them, each as @make fills its PAGE_BYTES in.
 * @spill_bytes: the cap of the backing file, 0 none. */
struct world *world_new(unsigned pages, uint64_t seed,
			void (*make)(struct content *random, unsigned page,
				     unsigned char *bytes),
			uint64_t spill_bytes);
/* All is looked at once more. */
void world_free(struct world *w);

struct store_stats world_stats(const struct world *w);

#endif
