/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pins: objects that are decoded where they lie, without a copy.
 *
 * A large read names them under the group lock, where it found them in their
 * entries, and decodes them without any lock. Whoever frees took them out of
 * the entries after that, under the same group lock or the file's write lock,
 * so he sees them named, and waits until they no longer are: a batch's decoding
 * at most, whatever the reader does next. He looks at all pins, but most times
 * there are none.
 */
#include "base/check.h"
#include "store/state.h"

void (*_Atomic pins_hook)(void);

void pins_init(struct store *store)
{
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		lock_init(&store->pin[i].lock, LOCK_PINS);
		cond_init(&store->pin[i].ended);
	}
}

void pins_fini(struct store *store)
{
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		cond_fini(&store->pin[i].ended);
		lock_fini(&store->pin[i].lock);
	}
}

void pin_begin(struct store *store, unsigned slot)
{
	unsigned end =
		atomic_load_explicit(&store->pins_end, memory_order_relaxed);

	debug_invariant(slot < STREAMS_MAX);
	while (unlikely(end <= slot) &&
	       !atomic_compare_exchange_weak_explicit(
		       &store->pins_end, &end, slot + 1, memory_order_relaxed,
		       memory_order_relaxed))
		;
}

void pin_object(struct store *store, unsigned slot, struct handle h)
{
	struct pin *pin = &store->pin[slot];
	unsigned n = atomic_load_explicit(&pin->n, memory_order_relaxed);

	debug_invariant(n < STREAM_BATCH);
	/* Release: who sees this name where an older one was has the decoding
	 * of that behind him. */
	atomic_store_explicit(&pin->handle[n], h.value, memory_order_release);
	atomic_store_explicit(&pin->n, n + 1, memory_order_release);
}

void pin_end(struct store *store, unsigned slot)
{
	struct pin *pin = &store->pin[slot];

	/* One order with wait_for(): it sees this, or is seen. */
	atomic_store(&pin->n, 0);
	if (likely(!atomic_load(&pin->waiting)))
		return;
	lock_take(&pin->lock);
	cond_broadcast(&pin->ended);
	lock_drop(&pin->lock);
}

static bool names_any(struct pin *pin, const struct handle *h, unsigned n)
{
	unsigned named = atomic_load(&pin->n);

	for (unsigned i = 0; i < named; i++) {
		uint64_t value = atomic_load_explicit(&pin->handle[i],
						      memory_order_acquire);

		for (unsigned k = 0; k < n; k++)
			if (h[k].value == value)
				return true;
	}
	return false;
}

static void wait_for(struct pin *pin, const struct handle *h, unsigned n)
{
	lock_take(&pin->lock);
	atomic_fetch_add(&pin->waiting, 1);
	while (names_any(pin, h, n))
		cond_wait(&pin->ended, &pin->lock);
	atomic_fetch_sub(&pin->waiting, 1);
	lock_drop(&pin->lock);
}

void pins_wait(struct store *store, const struct handle *h, unsigned n)
{
	unsigned end =
		atomic_load_explicit(&store->pins_end, memory_order_relaxed);

	for (unsigned i = 0; i < end; i++)
		if (unlikely(names_any(&store->pin[i], h, n)))
			wait_for(&store->pin[i], h, n);
}
