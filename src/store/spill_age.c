/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ages: the clock hand that makes entries older, and how much is how old.
 */
#include "store/state.h"

static void count_age(struct store *store, uint64_t word,
		      struct store_ages *ages)
{
	size_t n_bytes;
	uint16_t tag;

	if (survey_object(store, word, &n_bytes, &tag) != 0)
		return;
	if (tag_set(tag) == SET_RAW)
		ages->raw_bytes[entry_age(word)] += n_bytes;
	else
		ages->bytes[entry_age(word)] += n_bytes;
}

/* The rwlock is held. */
static void age_group(struct store *store, struct file file, uint64_t page,
		      bool tick, struct store_ages *ages)
{
	struct lock *group = store_group_lock(store, file, page);
	unsigned have = 0;
	_Atomic uint64_t *slots;

	lock_take(group);
	slots = map_slots(store->arena, file.body, page, &have);
	for (unsigned i = 0; slots && !map_is_lost(slots) && i < have; i++) {
		uint64_t word =
			atomic_load_explicit(&slots[i], memory_order_acquire);

		if (!entry_is_held(word))
			continue;
		if (tick) {
			word = entry_older(word);
			atomic_store_explicit(&slots[i], word,
					      memory_order_relaxed);
		}
		/* Those beyond cannot go to disk. */
		if (entry_kind(word) == ENTRY_RAM && page + i < UINT32_MAX)
			count_age(store, word, ages);
	}
	lock_drop(group);
}

void store_age_body(struct store *store, struct file file, bool tick,
		    struct store_ages *ages)
{
	struct rwlock *lock = store_file_lock(store, file);
	uint64_t page = 0;

	/* Let go after every group: a cut must not wait for the whole walk. */
	for (;;) {
		rwlock_read(lock);
		page = map_next(store->arena, file.body, page);
		if (page != MAP_END)
			age_group(store, file, page, tick, ages);
		rwlock_read_end(lock);
		if (page == MAP_END)
			return;
		page = (page | (GROUP_PAGES - 1)) + 1;
	}
}
