/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs of 256 items: find the lowest with room, give back the highest. */
#include "tree/slab.h"
#include "base/check.h"
#include <errno.h>
#include <string.h>

#define RUN_SHIFT 8
#define RUN_ITEMS (1u << RUN_SHIFT)

/* In the first item of a run; items in it are 1 to 255. */
struct run {
	uint16_t used;
	uint16_t freed; /* first of the chain of freed items */
	uint16_t fresh; /* items never used start here; 0 means 1 */
};

static struct run *run_at(const struct slab *s, uint32_t run)
{
	return slab_at(s, run << RUN_SHIFT);
}

static size_t runs_bytes(const struct slab *s, uint32_t runs)
{
	return ((size_t)runs << RUN_SHIFT) * s->item_bytes;
}

int slab_init(struct slab *s, uint32_t item_bytes, uint32_t most_items,
	      struct budget *budget)
{
	*s = (struct slab){.item_bytes = item_bytes};
	return sparse_init(&s->memory, (size_t)item_bytes * most_items, budget);
}

void slab_fini(struct slab *s)
{
	sparse_fini(&s->memory);
}

static bool run_has_room(const struct run *run)
{
	return run->used < RUN_ITEMS - 1;
}

static uint32_t take_from(struct slab *s, uint32_t run)
{
	struct run *account = run_at(s, run);
	uint32_t ix = run << RUN_SHIFT;

	if (account->freed) {
		ix += account->freed;
		memcpy(&account->freed, slab_at(s, ix), sizeof(uint16_t));
	} else {
		account->fresh += account->fresh == 0;
		ix += account->fresh++;
	}
	account->used++;
	s->used++;
	memset(slab_at(s, ix), 0, s->item_bytes);
	return ix;
}

int slab_alloc(struct slab *s, enum budget_use use, uint32_t *ret_ix)
{
	int r;

	while (s->lowest < s->runs && !run_has_room(run_at(s, s->lowest)))
		s->lowest++;
	if (s->lowest == s->runs) {
		r = sparse_grow(&s->memory, runs_bytes(s, s->runs + 1), use);
		if (r < 0)
			return r;
		memset(run_at(s, s->runs), 0, sizeof(struct run));
		s->runs++;
	}
	*ret_ix = take_from(s, s->lowest);
	return 0;
}

void slab_free(struct slab *s, uint32_t ix)
{
	uint32_t run = ix >> RUN_SHIFT;
	struct run *account = run_at(s, run);

	debug_invariant(ix % RUN_ITEMS != 0 && run < s->runs);
	debug_invariant(account->used > 0);
	memcpy(slab_at(s, ix), &account->freed, sizeof(uint16_t));
	account->freed = (uint16_t)(ix % RUN_ITEMS);
	account->used--;
	s->used--;
	if (run < s->lowest)
		s->lowest = run;
	if (account->used != 0 || run + 1 != s->runs)
		return;
	while (s->runs > 0 && run_at(s, s->runs - 1)->used == 0)
		s->runs--;
	if (s->lowest > s->runs)
		s->lowest = s->runs;
	/* One run more stays ready, or a lone item would go up and down. */
	sparse_shrink(&s->memory, runs_bytes(s, s->runs + 1));
}
