/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Choosing what goes to disk: claim under the locks, put without them.
 *
 * A claim is the mark in the entry and a copy of the object's bytes. Nothing
 * that the claim saw is used again after the locks but that word.
 */
#include "store/spill_state.h"
#include <errno.h>
#include <string.h>

/* Copy out the object of @word if its age is enough for what it is; the group
 * lock is held. */
static bool copy_claim(struct store *store, uint64_t word, char *out,
		       struct claim *claim)
{
	struct spill *spill = store->spill;
	struct handle h = entry_handle(word);
	struct pool_view view;
	unsigned min_age;
	bool wanted;

	if (pool_read_begin(store->pool, h, spill->bytes[SPILL_BATCH], &view))
		return false;
	claim->tag = view.tag;
	claim->n_bytes = (uint32_t)(view.bytes[0] + view.bytes[1]);
	min_age = tag_set(view.tag) == SET_RAW ? spill->pick.raw_min_age
					       : spill->pick.min_age;
	wanted =
		entry_age(word) >= min_age && claim->n_bytes <= POOL_OBJECT_MAX;
	if (wanted) {
		memcpy(out, view.piece[0], view.bytes[0]);
		if (view.bytes[1])
			memcpy(out + view.bytes[0], view.piece[1],
			       view.bytes[1]);
	}
	pool_read_end(store->pool, h, &view);
	return wanted;
}

static bool may_be_wanted(const struct spill *spill, struct file file,
			  uint64_t page, uint64_t word)
{
	unsigned age = entry_age(word);

	return entry_kind(word) == ENTRY_RAM &&
	       (age >= spill->pick.min_age || age >= spill->pick.raw_min_age) &&
	       !flight_has(&spill->flight, file.ix, (uint32_t)page);
}

/* Claim from @page up to @end, at most the rest of a group; gives where to go
 * on. The rwlock is held. */
static uint64_t claim_group(struct store *store, struct file file,
			    uint64_t page, uint64_t end)
{
	struct spill *spill = store->spill;
	struct lock *group = store_group_lock(store, file, page);
	uint64_t next = (page | (GROUP_PAGES - 1)) + 1, bytes = 0;
	unsigned have = 0;
	_Atomic uint64_t *slots;

	spill->n_claims = 0;
	lock_take(group);
	slots = map_slots(store->arena, file.body, page, &have);
	for (unsigned i = 0; slots && i < have && page + i < end; i++) {
		struct claim *claim = &spill->claim[spill->n_claims];
		uint64_t word =
			atomic_load_explicit(&slots[i], memory_order_acquire);

		if (!may_be_wanted(spill, file, page + i, word) ||
		    !copy_claim(store, word, spill->bytes[spill->n_claims],
				claim))
			continue;
		bytes += claim->n_bytes;
		if (spill->put_bytes + bytes > spill->pick.budget_bytes) {
			spill->spent = true;
			break;
		}
		claim->page = (uint32_t)(page + i);
		claim->word = word | ENTRY_MARK;
		atomic_store_explicit(&slots[i], claim->word,
				      memory_order_relaxed);
		if (++spill->n_claims == SPILL_BATCH) {
			next = page + i + 1;
			break;
		}
	}
	lock_drop(group);
	return next;
}

static int put_claims(struct store *store, struct file file)
{
	struct spill *spill = store->spill;
	int err = 0;

	for (unsigned i = 0; i < spill->n_claims; i++) {
		const struct claim *claim = &spill->claim[i];

		if (!err)
			err = spill_put(store, file, claim->page, claim->tag,
					spill->bytes[i], claim->n_bytes,
					claim->word);
		if (err)
			spill_unclaim(store, file, claim->page);
	}
	return err;
}

bool store_spill_body(struct store *store, struct file file)
{
	struct spill *spill = store->spill;
	struct rwlock *lock = store_file_lock(store, file);
	uint64_t page = spill->pick.first_page, end = spill->pick.end_page;

	if (end > UINT32_MAX)
		end = UINT32_MAX;
	while (!spill->spent && !spill->result.err) {
		rwlock_read(lock);
		page = map_next(store->arena, file.body, page);
		if (page < end)
			page = claim_group(store, file, page, end);
		else
			spill->n_claims = 0;
		rwlock_read_end(lock);
		if (spill->n_claims)
			spill_at(SPILL_CLAIMED);
		if (put_claims(store, file))
			return false;
		spill_reap(store, false);
		if (page >= end)
			return true;
	}
	return false;
}
