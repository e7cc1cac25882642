/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cleaning: what still lives in a thin segment is written anew, so that the
 * segment empties.
 *
 * An extent lives if the entry of the owner in its header names it. Then no put
 * of its page is under way. A reader who meets the old place after it has gone
 * looks at the entry again.
 */
#include "store/spill_state.h"
#include <errno.h>

struct clean {
	struct store *store;
	struct extent extent;
	const struct extent_view *view;
	unsigned put;
};

static uint64_t word_of(struct store *store, struct file file, uint64_t page)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct lock *group = store_group_lock(store, file, page);
	uint64_t word = 0;
	_Atomic uint64_t *slot;
	unsigned n;

	rwlock_read(lock);
	lock_take(group);
	slot = map_slots(store->arena, file.body, page, &n);
	if (slot)
		word = atomic_load_explicit(slot, memory_order_relaxed);
	lock_drop(group);
	rwlock_read_end(lock);
	return word;
}

static void clean_page(void *arg, struct file file)
{
	struct clean *clean = arg;
	const struct extent_view *view = clean->view;
	uint64_t word = word_of(clean->store, file, view->owner.page);

	if (entry_kind(word) != ENTRY_SPILLED ||
	    entry_payload(word) != clean->extent.value ||
	    entry_generation(word) != view->owner.generation)
		return;
	if (spill_put(clean->store, file, view->owner.page, view->tag,
		      view->data, view->n_bytes, word & ~ENTRY_SOFT) == 0)
		clean->put++;
}

static void clean_extent(void *arg, struct extent extent,
			 const struct extent_view *view)
{
	struct clean *clean = arg;
	struct spill *spill = clean->store->spill;

	if (spill->result.err || view->owner.page == UINT32_MAX)
		return;
	clean->extent = extent;
	clean->view = view;
	spill->files.with(spill->files.arg, view->owner.file, clean_page,
			  clean);
}

/* -EIO: nothing was put, for what is left cannot be read. */
static int clean_segment(struct store *store, uint32_t segment)
{
	struct spill *spill = store->spill;
	struct clean clean = {.store = store};
	uint64_t put_bytes = spill->put_bytes;
	int r = backing_segment_visit(store->backing, segment, clean_extent,
				      &clean);

	if (r == -ENOMEM)
		return r;
	/* The budget is for what leaves RAM. */
	spill->put_bytes = put_bytes;
	/* Till then the segment is as thin as it was. */
	spill_settle(store);
	if (spill->result.err)
		return spill->result.err;
	/* Half a segment that can be read is worth as much; what cannot be
	 * stays with its owners, who will be told. */
	return clean.put ? 0 : r ? r : -ENODATA;
}

bool store_spill_clean(struct store *store, unsigned percent)
{
	uint32_t segment;
	int r = -EIO;

	/* One that cannot be read is not chosen a second time. */
	while (r == -EIO && !store->spill->result.err &&
	       backing_thin(store->backing, percent, &segment))
		r = clean_segment(store, segment);
	return r == 0;
}
