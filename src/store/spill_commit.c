/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a put: the entry names the extent if it is still what was
 * claimed, and otherwise nothing has happened.
 *
 * Of the claim there is a number, a page and a word. Files, nodes and objects
 * may all have gone meanwhile and others come in their place: everything is
 * looked up again, under the locks that any writer takes.
 */
#include "base/check.h"
#include "store/spill_state.h"

struct commit {
	struct store *store;
	const struct extent_owner *owner;
	struct extent extent;
	uint64_t claimed;
	int err;
	bool done;    /* the entry names the extent */
	uint64_t old; /* what it named before */
};

/* Older it may be; touched it is not if its mark is there. What is written anew
 * on disk has none: a reader of it is no reason to leave it where it is. */
static bool is_claimed(uint64_t now, uint64_t claimed)
{
	return entry_same(now, claimed) &&
	       (now & ENTRY_MARK) == (claimed & ENTRY_MARK);
}

/* There is no other claim on the page: a mark is of this one. */
static void unmark(_Atomic uint64_t *slot)
{
	uint64_t now = atomic_load_explicit(slot, memory_order_relaxed);

	if (now & ENTRY_MARK)
		atomic_store_explicit(slot, now & ~ENTRY_MARK,
				      memory_order_relaxed);
}

static void swap_locked(struct commit *commit, _Atomic uint64_t *slot)
{
	struct store *store = commit->store;
	uint64_t now = atomic_load_explicit(slot, memory_order_relaxed);
	uint64_t fresh = entry_make(ENTRY_SPILLED, commit->extent.value);

	if (commit->err || !is_claimed(now, commit->claimed)) {
		unmark(slot);
		return;
	}
	fresh = entry_after(now, fresh);
	if (entry_kind(now) == ENTRY_SPILLED)
		fresh |= now & ENTRY_AGE;
	/* First the sums: whoever takes it out again counts down. */
	store_count(store, TALLY_SHARED_ROW, SUM_SPILLED, 1);
	store_count(store, TALLY_SHARED_ROW, SUM_SPILLED_BYTES,
		    (int64_t)backing_extent_bytes(commit->extent));
	atomic_store_explicit(slot, fresh, memory_order_release);
	commit->old = now;
	commit->done = true;
}

static void commit_to(void *arg, struct file file)
{
	struct commit *commit = arg;
	struct store *store = commit->store;
	struct rwlock *lock = store_file_lock(store, file);
	struct lock *group = store_group_lock(store, file, commit->owner->page);
	_Atomic uint64_t *slot;
	unsigned n;

	spill_at(SPILL_COMMIT);
	rwlock_read(lock);
	lock_take(group);
	slot = map_slots(store->arena, file.body, commit->owner->page, &n);
	if (slot && !map_is_lost(slot))
		swap_locked(commit, slot);
	lock_drop(group);
	rwlock_read_end(lock);
}

static void count(struct spill *spill, const struct commit *commit)
{
	struct spill_result *result = &spill->result;
	int64_t before = spill->books.bytes;

	if (!commit->done) {
		result->failed += commit->err != 0;
		result->changed += commit->err == 0;
		return;
	}
	books_gone(&spill->books, commit->old);
	if (entry_kind(commit->old) == ENTRY_SPILLED) {
		result->cleaned++;
		return;
	}
	before = spill->books.bytes - before;
	result->pages++;
	result->bytes += (uint64_t)before;
	store_count(commit->store, TALLY_SHARED_ROW, COUNT_WRITTEN_BACK, 1);
	store_count(commit->store, TALLY_SHARED_ROW, COUNT_WRITTEN_BACK_BYTES,
		    before);
}

void spill_done(void *arg, struct extent extent,
		const struct extent_owner *owner, uint64_t cookie, int err)
{
	struct store *store = arg;
	struct spill *spill = store->spill;
	struct commit commit = {
		.store = store,
		.owner = owner,
		.extent = extent,
		.claimed = cookie,
		.err = err,
	};

	spill_at(SPILL_DONE);
	spill->files.with(spill->files.arg, owner->file, commit_to, &commit);
	flight_remove(&spill->flight, owner->file, owner->page);
	if (!commit.done && !err)
		backing_free(store->backing, extent);
	count(spill, &commit);
}

void spill_unclaim(struct store *store, struct file file, uint32_t page)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct lock *group = store_group_lock(store, file, page);
	_Atomic uint64_t *slot;
	unsigned n;

	rwlock_read(lock);
	lock_take(group);
	slot = map_slots(store->arena, file.body, page, &n);
	if (slot && !map_is_lost(slot))
		unmark(slot);
	lock_drop(group);
	rwlock_read_end(lock);
}
