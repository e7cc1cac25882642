/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a sweep, and what stands between store and backing.
 */
#include "store/spill.h"
#include "base/check.h"
#include "base/heap.h"
#include "store/spill_state.h"
#include <errno.h>
#include <string.h>

void (*_Atomic spill_hook)(enum spill_window window);

void spill_at(enum spill_window window)
{
	void (*hook)(enum spill_window) =
		atomic_load_explicit(&spill_hook, memory_order_relaxed);

	if (unlikely(hook))
		hook(window);
}

/* A set lives as long as a segment has an extent of it: what decodes them must
 * not go while nothing in RAM is of it. */
static void hold(void *arg, unsigned kind)
{
	struct store *store = arg;

	sets_count(store->sets, TALLY_SHARED_ROW, kind, 1);
}

static void drop(void *arg, unsigned kind)
{
	struct store *store = arg;

	sets_count(store->sets, TALLY_SHARED_ROW, kind, -1);
}

_Static_assert(SETS_MAX <= BACKING_KINDS, "a set's number is a kind");

const struct backing_ops store_backing_ops = {hold, drop, spill_done};

void store_use_backing(struct store *store, struct backing *backing)
{
	store->backing = backing;
}

int store_spill_prepare(struct store *store)
{
	struct spill *spill;

	if (store->spill)
		return 0;
	spill = heap_alloc(sizeof(*spill));
	if (!spill)
		return -ENOMEM;
	/* Written, so that what is charged is there. */
	memset(spill, 0, sizeof(*spill));
	/* Also beyond the limit: a file is taken just then. */
	budget_force(arena_budget(store->arena), sizeof(*spill));
	store->spill = spill;
	return 0;
}

void spill_fini(struct store *store)
{
	if (!store->spill)
		return;
	invariant(store->spill->flight.n == 0);
	heap_free(store->spill);
	budget_give(arena_budget(store->arena), sizeof(struct spill));
}

void store_set_promote(struct store *store, unsigned ticks)
{
	atomic_store_explicit(&store->promote_ticks, ticks,
			      memory_order_relaxed);
}

uint64_t store_spill_reads(const struct store *store)
{
	/* All of them are counted there. */
	return atomic_load_explicit(
		&store->tally.row[TALLY_SHARED_ROW].column[COUNT_SPILL_READS],
		memory_order_relaxed);
}

/* --- a sweep --- */

int store_spill_begin(struct store *store, const struct spill_pick *pick,
		      const struct spill_files *files)
{
	struct spill *spill = store->spill;

	if (!spill || !backing_is_open(store->backing))
		return -ENODEV;
	if (atomic_exchange_explicit(&spill->busy, true, memory_order_acquire))
		return -EAGAIN;
	spill->pick = *pick;
	spill->batch = pick->batch && pick->batch < FLIGHT_MOST ? pick->batch
								: FLIGHT_MOST;
	spill->files = *files;
	spill->result = (struct spill_result){.pages = 0};
	spill->put_bytes = 0;
	spill->spent = false;
	return 0;
}

void store_spill_end(struct store *store, struct spill_result *ret_result)
{
	struct spill *spill = store->spill;

	spill_settle(store);
	*ret_result = spill->result;
	/* Partner: the exchange in begin. */
	atomic_store_explicit(&spill->busy, false, memory_order_release);
}

unsigned spill_reap(struct store *store, bool wait)
{
	struct spill *spill = store->spill;
	unsigned left;

	books_begin(&spill->books, store, TALLY_SHARED_ROW);
	left = backing_reap(store->backing, wait);
	books_end(&spill->books);
	return left;
}

void spill_settle(struct store *store)
{
	backing_flush(store->backing);
	while (spill_reap(store, true))
		;
	invariant(store->spill->flight.n == 0);
}

int spill_put(struct store *store, struct file file, uint32_t page,
	      uint16_t tag, const void *bytes, size_t n_bytes, uint64_t word)
{
	struct spill *spill = store->spill;
	/* The generation that the entry will have with this extent. */
	struct extent_owner owner = {
		.file = file.ix,
		.page = page,
		.generation = (uint16_t)(entry_generation(word) + 1),
	};
	struct extent extent;
	int err;

	if (spill->flight.n >= spill->batch)
		spill_settle(store);
	while ((err = backing_put(store->backing, &owner, tag, tag_set(tag),
				  bytes, n_bytes, word, &extent)) == -EAGAIN)
		spill_reap(store, true);
	if (err) {
		spill->result.err = err;
		return err;
	}
	flight_add(&spill->flight, file.ix, page);
	spill->put_bytes += n_bytes;
	spill_at(SPILL_PUT);
	return 0;
}
