/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing: whole pages in batches, and the call that cuts a write into them.
 *
 * A batch is compressed and placed in the pool without any lock; then it is
 * published with one pass per group of 64 pages, and what it replaced is
 * freed. So a page of 4 KiB that is rewritten costs the file's lock, one group
 * lock and the pool's shard lock twice.
 */
#include "base/check.h"
#include "store/state.h"
#include <errno.h>
#include <string.h>

/* Slots for @n pages of one group from @page on, none of them lost; the
 * group's lock is held. NULL: they are still to be made. */
static _Atomic uint64_t *slots_to_write(struct store *store, struct file file,
					uint64_t page, unsigned n)
{
	unsigned have;
	_Atomic uint64_t *slots =
		map_slots(store->arena, file.body, page, &have);

	if (!slots || have < n || map_is_lost(slots))
		return NULL;
	return slots;
}

static unsigned count_holes(const _Atomic uint64_t *slots, unsigned n)
{
	unsigned holes = 0;

	for (unsigned i = 0; i < n; i++)
		holes += !entry_is_held(
			atomic_load_explicit(&slots[i], memory_order_relaxed));
	return holes;
}

/* Swap the entries of one group; its lock is held. Stops at the first hole
 * that the size limit has no room for. */
static unsigned swap_group(struct store *store, struct file file,
			   _Atomic uint64_t *slots, const struct fresh *fresh,
			   unsigned n, uint64_t *ret_old)
{
	unsigned holes = count_holes(slots, n), done;
	uint64_t room = holes ? store_charge(store, holes) : 0;
	uint64_t filled = 0;

	for (done = 0; done < n; done++) {
		uint64_t old = atomic_load_explicit(&slots[done],
						    memory_order_relaxed);

		if (!entry_is_held(old) && filled++ == room) {
			filled--;
			break;
		}
		/* Publishes the object; partner: the load under this lock, or
		 * after a crash the rebuild. */
		atomic_store_explicit(&slots[done],
				      entry_after(old, fresh[done].word),
				      memory_order_release);
		ret_old[done] = old;
	}
	debug_invariant(filled == room);
	if (filled)
		atomic_fetch_add_explicit(&file.body->pages, filled,
					  memory_order_relaxed);
	return done;
}

static int publish_group(struct store *store, struct file file, uint64_t page,
			 const struct fresh *fresh, unsigned n,
			 enum publish_how how, struct books *books,
			 unsigned *ret_done)
{
	struct lock *group = store_group_lock(store, file, page);
	uint64_t old[GROUP_PAGES];
	_Atomic uint64_t *slots;
	int err;

	debug_invariant(n <= GROUP_PAGES);
	lock_take(group);
	while (!(slots = slots_to_write(store, file, page, n))) {
		lock_drop(group);
		err = map_ensure(store->arena, file.body, page, n,
				 store_group_lock(store, file, 0));
		if (err) {
			store_count(store, books->row, COUNT_MEM_LIMIT_HIT, 1);
			return err;
		}
		lock_take(group);
	}
	*ret_done = swap_group(store, file, slots, fresh, n, old);
	/* With the entries, under one lock: page.c trusts nothing that is
	 * beyond the size it sees together with an entry. */
	if (how == PUBLISH_WRITE && *ret_done)
		body_grow(file.body, (page + *ret_done) << PAGE_SHIFT);
	lock_drop(group);
	for (unsigned i = 0; i < *ret_done; i++)
		books_gone(books, old[i]);
	if (*ret_done < n) {
		store_count(store, books->row, COUNT_SIZE_LIMIT_HIT, 1);
		return -ENOSPC;
	}
	return 0;
}

unsigned run_publish(struct store *store, struct file file, uint64_t first,
		     const struct fresh *fresh, unsigned n,
		     enum publish_how how, struct books *books, int *ret_err)
{
	unsigned done = 0;
	int err = 0;

	while (done < n && !err) {
		uint64_t page = first + done;
		unsigned in_group = GROUP_PAGES - page % GROUP_PAGES;
		unsigned step = n - done < in_group ? n - done : in_group;
		unsigned published = 0;

		err = publish_group(store, file, page, fresh + done, step, how,
				    books, &published);
		done += published;
	}
	if (err)
		*ret_err = err;
	return done;
}

/*
 * What will be replaced is read only for its header, and that is rarely in the
 * cache: have it fetched while the codec works. Entries may change meanwhile;
 * nothing but time depends on this. Small maps are left out: without a group
 * lock their only node may go while it is looked at.
 */
static void expect_old(struct store *store, struct file file, uint64_t first,
		       unsigned n)
{
	struct rwlock *lock = store_file_lock(store, file);
	unsigned have;
	uint64_t root;

	rwlock_read(lock);
	root = atomic_load_explicit(&file.body->root, memory_order_acquire);
	if (!root_is_node(root) || root_height(root) == 0)
		n = 0;
	for (uint64_t page = first; page < first + n; page += have) {
		_Atomic uint64_t *slots =
			map_slots(store->arena, file.body, page, &have);

		if (!slots)
			break;
		if (have > first + n - page)
			have = (unsigned)(first + n - page);
		fetch_expect(store, slots, have);
	}
	rwlock_read_end(lock);
}

/* A fill page, most likely: no codec works meanwhile. */
static bool looks_filled(const char *src, size_t n)
{
	const size_t word = sizeof(uint64_t);

	return memcmp(src, src + n / 2, word) == 0 &&
	       memcmp(src, src + n - word, word) == 0;
}

unsigned run_place(struct store *store, struct stream *stream, const char *src,
		   struct fresh *fresh, unsigned n)
{
	unsigned set = sets_enter(store->sets, stream->row);
	unsigned placed;

	for (unsigned i = 0; i < n; i++)
		fresh_squeeze(&fresh[i], stream, set,
			      src + (size_t)i * PAGE_BYTES, PAGE_BYTES,
			      stream->out[i]);
	placed = fresh_place(store, stream, fresh, n);
	sets_leave(store->sets, stream->row);
	return placed;
}

unsigned run_commit(struct store *store, struct stream *stream,
		    struct file file, uint64_t first, const struct fresh *fresh,
		    unsigned n, int *ret_err)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct books books;
	unsigned done = 0;
	int err;

	books_begin(&books, store, stream->row);
	rwlock_read(lock);
	err = page_trim_before(store, stream, file, first);
	if (!err)
		done = run_publish(store, file, first, fresh, n, PUBLISH_WRITE,
				   &books, &err);
	rwlock_read_end(lock);
	if (err)
		*ret_err = err;
	fresh_published(store, stream, fresh, done);
	fresh_unplace(store, stream, fresh + done, n - done);
	books_end(&books);
	store_count(store, stream->row, COUNT_PAGES_WRITTEN, done);
	return done;
}

unsigned run_write(struct store *store, struct stream *stream, struct file file,
		   uint64_t first, const char *src, unsigned n, int *ret_err)
{
	struct fresh fresh[STREAM_BATCH];
	unsigned placed;

	if (!looks_filled(src, (size_t)n << PAGE_SHIFT))
		expect_old(store, file, first, n);
	placed = run_place(store, stream, src, fresh, n);

	if (!placed) {
		*ret_err = -ENOSPC;
		return 0;
	}
	return run_commit(store, stream, file, first, fresh, placed, ret_err);
}

/* Write the first piece of @n bytes: a batch of whole pages, or part of one
 * page. 0: none, and why in @ret_err. */
static size_t write_piece(struct store *store, struct stream *stream,
			  struct file file, uint64_t offset, const char *src,
			  size_t n, int *ret_err)
{
	unsigned in_page = offset % PAGE_BYTES;
	struct edit edit = {.page = page_of(offset), .from = in_page};
	size_t pages = n / PAGE_BYTES;
	unsigned step;

	if (in_page == 0 && pages) {
		step = parts_write(store, stream, file, edit.page, src, pages);
		if (step)
			return (size_t)step << PAGE_SHIFT;
		if (pages > STREAM_BATCH)
			pages = STREAM_BATCH;
		return (size_t)run_write(store, stream, file, edit.page, src,
					 (unsigned)pages, ret_err)
		       << PAGE_SHIFT;
	}
	edit.to = n < PAGE_BYTES - in_page ? in_page + (unsigned)n : PAGE_BYTES;
	edit.src = src;
	*ret_err = page_write(store, stream, file, &edit);
	return *ret_err ? 0 : edit.to - edit.from;
}

int store_write(struct store *store, struct stream *stream, struct file file,
		uint64_t offset, const void *buf, size_t n, size_t *ret_n)
{
	const char *src = buf;
	size_t done = 0, step;
	int err = 0;

	if (n && offset >= (uint64_t)FILE_MAX_BYTES)
		return -EFBIG;
	if (n > (uint64_t)FILE_MAX_BYTES - offset)
		n = (uint64_t)FILE_MAX_BYTES - offset;
	for (; done < n; done += step) {
		step = write_piece(store, stream, file, offset + done,
				   src + done, n - done, &err);
		if (!step)
			break;
	}
	if (done < n && !done)
		return err;
	store_count(store, stream->row, COUNT_BYTES_WRITTEN, (int64_t)done);
	*ret_n = done;
	return 0;
}

int store_fill_body(struct store *store, struct stream *stream,
		    struct file file, const void *buf, size_t n)
{
	size_t done = 0;
	int err;

	while (n) {
		err = store_write(store, stream, file, done, buf, n, &done);
		if (!err && done == n)
			break;
		store_discard(store, stream->row, file);
		return err ? err : -ENOSPC;
	}
	return 0;
}
