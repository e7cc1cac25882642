/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ranges of a file: cut, punch, zero, allocate, seek.
 *
 * What goes is unhooked under the file's write lock in a time that depends on
 * the map's height, and freed after it. A small range inside one or two groups
 * is cleared under the group locks instead, so that a swap device's discards
 * do not stop its readers.
 */
#include "base/check.h"
#include "store/state.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

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
	return err;
}

/* The parts of [@offset, @end) that are no whole pages. */
static int zero_edges(struct store *store, struct stream *stream,
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

static int range_end(uint64_t offset, uint64_t n, uint64_t *ret_end)
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
	return zero_edges(store, stream, file, offset, end);
}

/* --- allocate, zero --- */

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
		err = zero_edges(store, stream, file, offset, end);
	return err;
}

/* --- seek --- */

/* The first page of [@page, end of its group) that is @data or not; MAP_END:
 * none. */
static uint64_t seek_group(struct store *store, struct file file, uint64_t page,
			   bool data)
{
	struct lock *group = store_group_lock(store, file, page);
	uint64_t found = MAP_END;
	unsigned have = 0;
	_Atomic uint64_t *slots;

	lock_take(group);
	slots = map_slots(store->arena, file.body, page, &have);
	for (unsigned i = 0; i < have && found == MAP_END; i++) {
		uint64_t word =
			atomic_load_explicit(&slots[i], memory_order_relaxed);

		if ((entry_kind(word) != ENTRY_EMPTY) == data)
			found = page + i;
	}
	/* A map that ends inside the group is followed by a hole. */
	if (!data && found == MAP_END && (page + have) % GROUP_PAGES)
		found = page + have;
	lock_drop(group);
	return found;
}

static uint64_t seek_page(struct store *store, struct file file, uint64_t page,
			  uint64_t end, bool data)
{
	while (page < end) {
		uint64_t next = map_next(store->arena, file.body, page), found;

		if (next > page && !data)
			return page;
		if (next >= end)
			return end;
		found = seek_group(store, file, next, data);
		if (found != MAP_END)
			return found;
		page = (next | (GROUP_PAGES - 1)) + 1;
	}
	return end;
}

int store_seek(struct store *store, struct file file, uint64_t offset,
	       int whence, uint64_t *ret_offset)
{
	struct rwlock *lock = store_file_lock(store, file);
	uint64_t size, at;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	rwlock_read(lock);
	size = size_of(file.body);
	if (offset >= size) {
		rwlock_read_end(lock);
		return -ENXIO;
	}
	at = seek_page(store, file, page_of(offset), pages_for(size),
		       whence == SEEK_DATA)
	     << PAGE_SHIFT;
	rwlock_read_end(lock);
	if (at < offset)
		at = offset;
	if (at >= size) {
		if (whence == SEEK_DATA)
			return -ENXIO;
		at = size;
	}
	*ret_offset = at;
	return 0;
}
