/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A store with a backing file and one file of known bytes. */
#include "world.h"
#include "base/check.h"
#include <stdlib.h>

struct world *world_new(unsigned pages, uint64_t seed,
			void (*make)(struct content *random, unsigned page,
				     unsigned char *bytes),
			uint64_t spill_bytes)
{
	struct store_rig_options options = {
		.pool_kind = RIG_SPAN,
		.spill = true,
		.spill_bytes = spill_bytes,
	};
	size_t n_bytes = pages * (size_t)PAGE_BYTES;
	struct world *w = calloc(1, sizeof(*w));

	invariant(w);
	w->random.state = seed;
	w->model = malloc(n_bytes);
	w->buf = malloc(n_bytes);
	invariant(w->model && w->buf);
	for (unsigned i = 0; i < pages; i++)
		make(&w->random, i, w->model + i * (size_t)PAGE_BYTES);
	store_rig_up(&w->rig, &options);
	store_rig_write(&w->rig, 0, 0, w->model, n_bytes);
	return w;
}

void world_free(struct world *w)
{
	store_rig_check(&w->rig);
	store_rig_down(&w->rig);
	free(w->model);
	free(w->buf);
	free(w);
}

struct store_stats world_stats(const struct world *w)
{
	struct store_stats stats;

	store_stats(w->rig.store, &stats);
	return stats;
}
