/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a read will need of the disk: listed before it, for somebody who reads
 * that without waiting, and found again when the read is carried out.
 *
 * In between anything may happen to the pages. A read that does not find what
 * it needs has to go to the disk by itself.
 */
#include "store/state.h"

struct plan {
	struct backing_blocks *blocks;
	unsigned n, most;
};

static void plan_one(struct store *store, uint64_t word, struct plan *plan)
{
	struct extent_ref ref = backing_ref(store->backing, entry_extent(word));

	if (plan->n && backing_blocks_grow(store->backing, &ref,
					   &plan->blocks[plan->n - 1]))
		return;
	if (plan->n < plan->most)
		plan->blocks[plan->n++] =
			backing_blocks_of(store->backing, &ref);
}

/* Pages from @page on, up to @end and the end of their group. */
static void plan_group(struct store *store, struct file file, uint64_t page,
		       uint64_t end, struct plan *plan)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct lock *group = store_group_lock(store, file, page);
	unsigned have = 0;
	_Atomic uint64_t *slots;

	rwlock_read(lock);
	lock_take(group);
	slots = map_slots(store->arena, file.body, page, &have);
	for (unsigned i = 0; slots && i < have && page + i < end; i++) {
		uint64_t word =
			atomic_load_explicit(&slots[i], memory_order_relaxed);

		if (entry_kind(word) == ENTRY_SPILLED)
			plan_one(store, word, plan);
	}
	lock_drop(group);
	rwlock_read_end(lock);
}

unsigned store_plan_read(struct store *store, struct file file, uint64_t offset,
			 size_t n, struct backing_blocks *blocks, unsigned most)
{
	uint64_t size =
		atomic_load_explicit(&file.body->size, memory_order_acquire);
	struct plan plan = {.blocks = blocks, .most = most};
	uint64_t page = page_of(offset), end;

	if (!store->backing || offset >= size || n == 0)
		return 0;
	if (n > size - offset)
		n = size - offset;
	end = page_of(offset + n - 1) + 1;
	for (; page < end; page = (page | (GROUP_PAGES - 1)) + 1)
		plan_group(store, file, page, end, &plan);
	return plan.n;
}

bool ahead_find(struct store *store, const struct store_ahead *ahead,
		const struct extent_ref *ref, struct extent_view *ret_view)
{
	for (unsigned i = 0; ahead && i < ahead->n; i++)
		if (backing_find(store->backing, ref, &ahead->blocks[i],
				 ret_view))
			return true;
	return false;
}
