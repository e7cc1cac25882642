/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking ranges of a file away: truncate, punch, discard.
 *
 * What goes is unhooked under the file's write lock in a time that depends on
 * the map's height, and freed after it. A small range inside one or two groups
 * is cleared under the group locks instead, so that a swap device's discards
 * do not stop its readers.
 */
#include "store/state.h"
#include <errno.h>
#include <string.h>

static uint64_t size_of(const struct body *body)
{
	return atomic_load_explicit(&body->size, memory_order_acquire);
}

/* --- truncate --- */

int range_grow_held(struct store *store, struct stream *stream,
		    struct file file, uint64_t size)
{
	int err = 0;

	if (size <= size_of(file.body))
		return 0;
	err = page_trim(store, stream, file);
	if (!err)
		body_grow(file.body, size);
	return err;
}

/* True if it was done: the size was above @size. */
static bool shrink_file(struct store *store, unsigned row, struct file file,
			uint64_t size)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct map_taken taken;
	bool shrinks;

	rwlock_write(lock);
	shrinks = size <= size_of(file.body);
	if (shrinks) {
		/* Before the entries: a rebuild drops what is beyond. */
		atomic_store_explicit(&file.body->size, size,
				      memory_order_release);
		map_take(store->arena, file.body, pages_for(size), MAP_END,
			 &taken);
	}
	rwlock_write_end(lock);
	if (shrinks)
		books_free_taken(store, row, file.body, &taken);
	return shrinks;
}

int store_truncate(struct store *store, struct stream *stream, struct file file,
		   uint64_t size)
{
	struct rwlock *lock = store_file_lock(store, file);
	int err = 0;

	if (size > (uint64_t)FILE_MAX_BYTES)
		return -EFBIG;
	do {
		rwlock_read(lock);
		if (size > size_of(file.body)) {
			err = range_grow_held(store, stream, file, size);
			rwlock_read_end(lock);
			return err;
		}
		rwlock_read_end(lock);
	} while (!shrink_file(store, stream->row, file, size));

	/* No room for the shorter page is no failure: the bytes that stay are
	 * out of sight, and every growth comes by here again. */
	rwlock_read(lock);
	err = page_trim(store, stream, file);
	rwlock_read_end(lock);
	return err == -ENOSPC ? 0 : err;
}

void store_discard(struct store *store, unsigned row, struct file file)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct map_taken taken;

	owed_settle_body(store, row, file.body);
	rwlock_write(lock);
	atomic_store_explicit(&file.body->size, 0, memory_order_release);
	map_take(store->arena, file.body, 0, MAP_END, &taken);
	rwlock_write_end(lock);
	books_free_taken(store, row, file.body, &taken);
}

/* --- punch --- */

/* Cut [@first, @end) out of the map whatever its extent. */
static void take_pages(struct store *store, unsigned row, struct file file,
		       uint64_t first, uint64_t end)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct map_taken taken;

	rwlock_write(lock);
	map_take(store->arena, file.body, first, end, &taken);
	rwlock_write_end(lock);
	if (!owed_add(store->owed, file.body, &taken))
		books_free_taken(store, row, file.body, &taken);
}

static bool all_empty(const _Atomic uint64_t *slots, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (entry_kind(atomic_load_explicit(
			    &slots[i], memory_order_relaxed)) != ENTRY_EMPTY)
			return false;
	return true;
}

/* Make holes of the entries of one group; the old words in @ret_old. True if
 * the group has no entry any more. */
static bool clear_group(struct store *store, struct file file, uint64_t first,
			unsigned n, uint64_t *ret_old)
{
	struct lock *group = store_group_lock(store, file, first);
	uint64_t base = first & ~(uint64_t)(GROUP_PAGES - 1);
	_Atomic uint64_t *slots;
	bool empty = true;
	unsigned have = 0;

	memset(ret_old, 0, n * sizeof(*ret_old));
	lock_take(group);
	slots = map_slots(store->arena, file.body, first, &have);
	for (unsigned i = 0; slots && !map_is_lost(slots) && i < n && i < have;
	     i++) {
		ret_old[i] =
			atomic_load_explicit(&slots[i], memory_order_relaxed);
		/* The generation goes on: an edit may wait to see this slot
		 * unchanged. */
		if (entry_kind(ret_old[i]) != ENTRY_EMPTY)
			atomic_store_explicit(&slots[i],
					      entry_after(ret_old[i], 0),
					      memory_order_release);
	}
	slots = map_slots(store->arena, file.body, base, &have);
	if (slots)
		empty = all_empty(slots, have);
	lock_drop(group);
	return empty;
}

static void punch_group(struct store *store, unsigned row, struct file file,
			uint64_t first, unsigned n)
{
	struct rwlock *lock = store_file_lock(store, file);
	uint64_t old[GROUP_PAGES];
	struct books books;
	bool empty;

	rwlock_read(lock);
	empty = clear_group(store, file, first, n, old);
	rwlock_read_end(lock);
	books_begin(&books, store, row);
	for (unsigned i = 0; i < n; i++)
		books_gone(&books, old[i]);
	books_end(&books);
	atomic_fetch_sub_explicit(&file.body->pages, books.pages,
				  memory_order_relaxed);
	store_uncharge(store, books.pages);
	store_count(store, row, COUNT_PAGES_DISCARDED, (int64_t)books.pages);
	if (empty) {
		first &= ~(uint64_t)(GROUP_PAGES - 1);
		rwlock_write(lock);
		map_prune(store->arena, file.body, first, first + GROUP_PAGES);
		rwlock_write_end(lock);
	}
}

static void punch_pages(struct store *store, unsigned row, struct file file,
			uint64_t first, uint64_t end)
{
	if (end > first + GROUP_PAGES) {
		take_pages(store, row, file, first, end);
		return;
	}
	while (first < end) {
		uint64_t next = (first | (GROUP_PAGES - 1)) + 1;

		if (next > end)
			next = end;
		punch_group(store, row, file, first, (unsigned)(next - first));
		first = next;
	}
}

/* Zero [@offset, @end) inside one page; holes stay holes. */
static int zero_edge(struct store *store, struct stream *stream,
		     struct file file, uint64_t offset, uint64_t end)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct edit edit = {.page = page_of(offset),
			    .from = offset % PAGE_BYTES};
	int err;

	if (offset >= end)
		return 0;
	edit.to = edit.from + (unsigned)(end - offset);
	rwlock_read(lock);
	err = page_edit(store, stream, file, &edit);
	rwlock_read_end(lock);
	if (err != -EREMOTE)
		return err;
	spill_recall(store, stream, file, edit.page);
	edit.waits = true;
	rwlock_read(lock);
	err = page_edit(store, stream, file, &edit);
	rwlock_read_end(lock);
	return err;
}

int range_zero_edges(struct store *store, struct stream *stream,
		     struct file file, uint64_t offset, uint64_t end)
{
	uint64_t first = pages_for(offset) << PAGE_SHIFT;
	uint64_t last = page_of(end) << PAGE_SHIFT;
	int err;

	if (page_of(offset) == page_of(end))
		return zero_edge(store, stream, file, offset, end);
	err = zero_edge(store, stream, file, offset, first);
	if (err)
		return err;
	return zero_edge(store, stream, file, last, end);
}

int range_end(uint64_t offset, uint64_t n, uint64_t *ret_end)
{
	if (offset > (uint64_t)FILE_MAX_BYTES ||
	    n > (uint64_t)FILE_MAX_BYTES - offset)
		return -EFBIG;
	*ret_end = offset + n;
	return 0;
}

int store_punch(struct store *store, struct stream *stream, struct file file,
		uint64_t offset, uint64_t n)
{
	uint64_t end;

	/* A hole may reach beyond what a file can be: nothing is there. */
	if (range_end(offset, n, &end) != 0)
		end = (uint64_t)FILE_MAX_BYTES;
	if (offset >= end)
		return 0;
	/* Whole pages first: that makes room for what the edges need. */
	punch_pages(store, stream->row, file, pages_for(offset), page_of(end));
	return range_zero_edges(store, stream, file, offset, end);
}
