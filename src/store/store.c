/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Life of a store, its stripes of locks and the size limit.
 */
#include "store/store.h"
#include "base/check.h"
#include "base/heap.h"
#include "store/state.h"
#include <errno.h>

int store_new(struct arena *arena, struct pool *pool, struct sets *sets,
	      uint64_t limit_bytes, struct store **ret_store)
{
	struct store *store = heap_zaligned(64, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->arena = arena;
	store->pool = pool;
	store->sets = sets;
	store_set_promote(store, ENTRY_AGAIN_TICKS);
	store_set_limit(store, limit_bytes);
	for (unsigned i = 0; i < STRIPES; i++) {
		lock_init(&store->group[i].lock, LOCK_PAGES);
		rwlock_init(&store->file[i].lock, LOCK_FILE);
	}
	store->in_place = pool->ops->caps & POOL_STAYS;
	pins_init(store);
	*ret_store = store;
	return 0;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	owed_free(store->owed);
	for (unsigned i = 0; i < STRIPES; i++) {
		lock_fini(&store->group[i].lock);
		rwlock_fini(&store->file[i].lock);
	}
	pins_fini(store);
	spill_fini(store);
	heap_free(store);
}

void store_share(struct store *store, struct share *share)
{
	_Static_assert(STREAMS_MAX <= SHARE_MAX, "a place for each stream");
	store->share = share;
}

/* Fibonacci hashing: neighbours in file or page go far apart. */
static unsigned stripe_of(uint64_t key)
{
	return (unsigned)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 56) &
	       (STRIPES - 1);
}

struct rwlock *store_file_lock(struct store *store, struct file file)
{
	return &store->file[stripe_of(file.ix)].lock;
}

struct lock *store_group_lock(struct store *store, struct file file,
			      uint64_t page)
{
	uint64_t key = (page >> GROUP_SHIFT) + ((uint64_t)file.ix << 40);

	return &store->group[stripe_of(key)].lock;
}

uint64_t store_limit(const struct store *store)
{
	return atomic_load_explicit(&store->limit_bytes, memory_order_relaxed);
}

void store_set_limit(struct store *store, uint64_t limit_bytes)
{
	atomic_store_explicit(&store->limit_bytes, limit_bytes,
			      memory_order_relaxed);
}

uint64_t store_pages_held(const struct store *store)
{
	return atomic_load_explicit(&store->held, memory_order_relaxed);
}

uint64_t store_charge(struct store *store, uint64_t n)
{
	uint64_t limit = store_limit(store) >> PAGE_SHIFT;
	uint64_t held = store_pages_held(store), granted;

	do {
		granted = held < limit ? limit - held : 0;
		if (granted > n || budget_dips() == BUDGET_INTO_RESERVE)
			granted = n;
		if (!granted)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(
		&store->held, &held, held + granted, memory_order_relaxed,
		memory_order_relaxed));
	return granted;
}

void store_uncharge(struct store *store, uint64_t n)
{
	uint64_t before;

	if (!n)
		return;
	before = atomic_fetch_sub_explicit(&store->held, n,
					   memory_order_relaxed);
	debug_invariant(before >= n);
	(void)before;
}

void body_grow(struct body *body, uint64_t end)
{
	uint64_t size = atomic_load_explicit(&body->size, memory_order_relaxed);

	while (size < end &&
	       !atomic_compare_exchange_weak_explicit(&body->size, &size, end,
						      memory_order_release,
						      memory_order_relaxed))
		;
}
