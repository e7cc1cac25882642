/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values beside records: growing by steps, giving the top ones back. */
#include "tree/column.h"
#include "base/check.h"
#include "base/heap.h"
#include <errno.h>
#include <string.h>

#define STEP_SHIFT 12

static size_t steps_bytes(const struct column *c, uint32_t steps)
{
	return ((size_t)steps << STEP_SHIFT) * c->value_bytes;
}

int column_init(struct column *c, uint32_t value_bytes, uint32_t capacity,
		struct budget *budget)
{
	uint32_t most = (capacity >> STEP_SHIFT) + 1;
	int r;

	*c = (struct column){.value_bytes = value_bytes, .most = most};
	c->used = heap_zalloc(most, sizeof(*c->used));
	if (!c->used)
		return -ENOMEM;
	r = sparse_init(&c->memory, steps_bytes(c, most), budget);
	if (r < 0) {
		heap_free(c->used);
		c->used = NULL;
	}
	return r;
}

void column_fini(struct column *c)
{
	sparse_fini(&c->memory);
	heap_free(c->used);
	c->used = NULL;
}

int column_take(struct column *c, uint32_t ix, enum budget_use use)
{
	uint32_t step = ix >> STEP_SHIFT;
	int r;

	invariant(step < c->most);
	r = sparse_grow(&c->memory, ((size_t)ix + 1) * c->value_bytes, use);
	if (r < 0)
		return r;
	if (step >= c->steps)
		c->steps = step + 1;
	c->used[step]++;
	memset(column_at(c, ix), 0, c->value_bytes);
	return 0;
}

void column_give(struct column *c, uint32_t ix)
{
	uint32_t step = ix >> STEP_SHIFT;

	debug_invariant(c->used[step] > 0);
	c->used[step]--;
	if (c->used[step] != 0 || step + 1 != c->steps)
		return;
	while (c->steps > 0 && c->used[c->steps - 1] == 0)
		c->steps--;
	/* One step more stays ready against going up and down at an edge. */
	sparse_shrink(&c->memory, steps_bytes(c, c->steps + 1));
}
