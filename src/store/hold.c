/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holding ranges of a file without bytes for them: allocate and zero.
 *
 * Room in the size limit is taken and map nodes are made for the whole range
 * before the first entry changes, so that there is nothing to undo but what
 * nobody has seen.
 */
#include "base/check.h"
#include "store/state.h"
#include <errno.h>

static void visit_held(void *arg, uint64_t page UNUSED, uint64_t word)
{
	uint64_t *held = arg;

	*held += entry_is_held(word);
}

static uint64_t count_held(struct store *store, struct file file,
			   uint64_t first, uint64_t end)
{
	uint64_t held = 0;
	struct walk walk = {.entry = visit_held, .arg = &held};

	walk_pages(store, file, first, end, &walk);
	return held;
}

/* Give up to @room holes of one group a zero page each; how many there were.
 * The slots are there. */
static unsigned fill_holes(struct store *store, struct file file, uint64_t page,
			   unsigned n, uint64_t room)
{
	struct lock *group = store_group_lock(store, file, page);
	unsigned have = 0, filled = 0;
	_Atomic uint64_t *slots;

	lock_take(group);
	slots = map_slots(store->arena, file.body, page, &have);
	invariant(slots && have >= n && !map_is_lost(slots));
	for (unsigned i = 0; i < n && filled < room; i++) {
		uint64_t old =
			atomic_load_explicit(&slots[i], memory_order_relaxed);

		if (entry_kind(old) != ENTRY_EMPTY)
			continue;
		atomic_store_explicit(&slots[i],
				      entry_after(old, entry_of_fill(0)),
				      memory_order_release);
		filled++;
	}
	lock_drop(group);
	return filled;
}

/* Nodes for all of [@first, @end); lost ones become their own, too. */
static int ensure_pages(struct store *store, struct file file, uint64_t first,
			uint64_t end)
{
	struct lock *zero = store_group_lock(store, file, 0);
	int err;

	/* The last first: the root grows once. */
	err = map_ensure(store->arena, file.body, end - 1, 1, zero);
	while (!err && first < end) {
		uint64_t next = (first | (GROUP_PAGES - 1)) + 1;

		if (next > end)
			next = end;
		err = map_ensure(store->arena, file.body, first,
				 (unsigned)(next - first), zero);
		first = next;
	}
	return err;
}

/* All or nothing: room is taken and nodes are made before any entry is. Holes
 * that a punch makes meanwhile may stay: as if it had come after us. The
 * rwlock is held for reading. */
static int hold_pages(struct store *store, unsigned row, struct file file,
		      uint64_t first, uint64_t end)
{
	uint64_t wanted = end - first - count_held(store, file, first, end);
	uint64_t room = wanted ? store_charge(store, wanted) : 0, filled = 0;
	int err = 0;

	if (room < wanted) {
		store_count(store, row, COUNT_SIZE_LIMIT_HIT, 1);
		err = -ENOSPC;
	} else {
		err = ensure_pages(store, file, first, end);
		if (err)
			store_count(store, row, COUNT_MEM_LIMIT_HIT, 1);
	}
	while (!err && first < end) {
		uint64_t next = (first | (GROUP_PAGES - 1)) + 1;

		if (next > end)
			next = end;
		filled += fill_holes(store, file, first,
				     (unsigned)(next - first), room - filled);
		first = next;
	}
	atomic_fetch_add_explicit(&file.body->pages, filled,
				  memory_order_relaxed);
	store_count(store, row, SUM_SAME, (int64_t)filled);
	store_uncharge(store, room - filled);
	return err;
}

int store_allocate(struct store *store, struct stream *stream, struct file file,
		   uint64_t offset, uint64_t n, bool keep_size)
{
	struct rwlock *lock = store_file_lock(store, file);
	uint64_t end;
	int err = range_end(offset, n, &end);

	if (err || !n)
		return err;
	rwlock_read(lock);
	err = hold_pages(store, stream->row, file, page_of(offset),
			 pages_for(end));
	if (!err && !keep_size)
		err = range_grow_held(store, stream, file, end);
	rwlock_read_end(lock);
	if (err == -ENOSPC) {
		rwlock_write(lock);
		map_prune(store->arena, file.body, page_of(offset),
			  pages_for(end));
		rwlock_write_end(lock);
	}
	return err;
}

/* Zero pages in place of whatever is there. */
static int zero_pages(struct store *store, unsigned row, struct file file,
		      uint64_t first, uint64_t end)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct fresh fresh[STREAM_BATCH];
	struct books books;
	unsigned done = 1;
	int err = 0;

	for (unsigned i = 0; i < STREAM_BATCH; i++)
		fresh[i].word = entry_of_fill(0);
	for (; first < end && done; first += done) {
		unsigned n = end - first < STREAM_BATCH
				     ? (unsigned)(end - first)
				     : STREAM_BATCH;

		books_begin(&books, store, row);
		rwlock_read(lock);
		done = run_publish(store, file, first, fresh, n, PUBLISH_KEEP,
				   &books, &err);
		rwlock_read_end(lock);
		store_count(store, row, SUM_SAME, done);
		books_end(&books);
	}
	return first < end ? err : 0;
}

int store_zero(struct store *store, struct stream *stream, struct file file,
	       uint64_t offset, uint64_t n, bool keep_size)
{
	uint64_t end;
	int err = range_end(offset, n, &end);

	if (err || !n)
		return err;
	err = store_allocate(store, stream, file, offset, n, keep_size);
	if (!err)
		err = zero_pages(store, stream->row, file, pages_for(offset),
				 page_of(end));
	if (!err)
		err = range_zero_edges(store, stream, file, offset, end);
	return err;
}
