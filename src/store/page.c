/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing a part of one page: copy out, decode, patch, compress, and swap
 * the entry only if it is still what was copied; else look again.
 *
 * The file's rwlock is held throughout, so no node and no generation can start
 * over meanwhile. The group lock is held twice for a moment, never over a
 * codec. Bytes beyond the file's size are taken for zeroes: a crash between
 * entry and size, or a cut without room for a new object, leaves some.
 *
 * A page on disk is brought back first with no lock held. Only where there is
 * no room for that, and for the page that a file ends in, is the disk waited
 * for under the rwlock.
 */
#include "base/check.h"
#include "codec/fill.h"
#include "store/state.h"
#include <errno.h>
#include <string.h>

/* The page as it was when its lock was held. */
struct seen {
	uint64_t word;
	unsigned limit; /* where the file ends in it */
	unsigned keep;  /* stored bytes below that */
	struct fetched content;
};

static uint64_t slot_word(struct store *store, struct file file, uint64_t page)
{
	unsigned n;
	_Atomic uint64_t *slots = map_slots(store->arena, file.body, page, &n);

	return slots ? atomic_load_explicit(slots, memory_order_acquire) : 0;
}

static void look_once(struct store *store, struct stream *stream,
		      struct file file, uint64_t page, struct seen *seen)
{
	struct lock *group = store_group_lock(store, file, page);
	uint64_t start = page << PAGE_SHIFT, size;

	lock_take(group);
	seen->word = slot_word(store, file, page);
	size = atomic_load_explicit(&file.body->size, memory_order_acquire);
	fetch(store, seen->word, stream->scratch, stream->out[0], NULL,
	      &seen->content);
	lock_drop(group);
	seen->limit = size <= start ? 0 : PAGE_BYTES;
	if (size > start && size - start < PAGE_BYTES)
		seen->limit = (unsigned)(size - start);
}

/* True if @edit leaves nothing of what there is. */
static bool covers(const struct edit *edit, const struct seen *seen)
{
	return edit->src && edit->from == 0 && edit->to >= seen->limit;
}

/* -EREMOTE: the page is on disk, and @edit does not wait for it. */
static int look(struct store *store, struct stream *stream, struct file file,
		const struct edit *edit, struct seen *seen)
{
	struct fetched *content = &seen->content;
	int err;

	do {
		err = 0;
		look_once(store, stream, file, edit->page, seen);
		if (!content->spilled || covers(edit, seen))
			break;
		if (!edit->waits)
			return -EREMOTE;
		err = spill_load(store, file, edit->page, spill_buffer(stream),
				 content);
	} while (err);
	seen->keep =
		seen->limit < content->length ? seen->limit : content->length;
	return 0;
}

/*
 * The page with the edit done, in stream->page, and how much of it has to be
 * stored. -EIO: what must be kept cannot be read.
 */
static int patch(struct store *store, struct stream *stream,
		 const struct seen *seen, const struct edit *edit,
		 unsigned *ret_length)
{
	unsigned length = seen->keep > edit->to ? seen->keep : edit->to;
	/* What is lost may be as long as the file lets it be. */
	unsigned used = seen->content.err ? seen->limit : seen->keep;
	int err;

	if (edit->from > 0 || edit->to < used) {
		err = fetch_decode(store, stream, &seen->content, stream->page);
		if (err)
			return err;
		memset(stream->page + seen->keep, 0, PAGE_BYTES - seen->keep);
	} else {
		memset(stream->page, 0, PAGE_BYTES);
	}
	if (edit->src) {
		memcpy(stream->page + edit->from, edit->src,
		       edit->to - edit->from);
	} else {
		memset(stream->page + edit->from, 0, edit->to - edit->from);
		length = edit->to >= seen->keep && edit->from < seen->keep
				 ? edit->from
				 : seen->keep;
	}
	length = length_in_units(length);
	*ret_length = length ? length : TAG_UNIT;
	return 0;
}

/* True when swapping would change nothing: zeroing what is zero already. */
static bool is_idle(const struct seen *seen, const struct edit *edit)
{
	return !edit->src && !seen->content.err &&
	       edit->from >= seen->content.length;
}

static int swap_locked(struct store *store, struct file file,
		       const struct edit *edit, const struct seen *seen,
		       uint64_t word)
{
	unsigned n;
	_Atomic uint64_t *slot =
		map_slots(store->arena, file.body, edit->page, &n);
	bool hole = !entry_is_held(seen->word);
	uint64_t now;

	if (!slot || map_is_lost(slot))
		return -ENOENT;
	now = atomic_load_explicit(slot, memory_order_relaxed);
	if (!entry_same(now, seen->word))
		return -EAGAIN;
	if (hole && !store_charge(store, 1))
		return -ENOSPC;
	/* Publishes the object; partner: the load under this lock, or after a
	 * crash the rebuild. */
	atomic_store_explicit(slot, entry_after(now, word),
			      memory_order_release);
	if (hole)
		atomic_fetch_add_explicit(&file.body->pages, 1,
					  memory_order_relaxed);
	if (edit->src)
		body_grow(file.body, (edit->page << PAGE_SHIFT) + edit->to);
	return 0;
}

/* -EAGAIN: the entry is not what was seen any more. */
static int swap(struct store *store, unsigned row, struct file file,
		const struct edit *edit, const struct seen *seen, uint64_t word)
{
	struct lock *group = store_group_lock(store, file, edit->page);
	int err;

	for (;;) {
		lock_take(group);
		err = swap_locked(store, file, edit, seen, word);
		lock_drop(group);
		if (err == -ENOSPC)
			store_count(store, row, COUNT_SIZE_LIMIT_HIT, 1);
		if (err != -ENOENT)
			return err;
		err = map_ensure(store->arena, file.body, edit->page, 1,
				 store_group_lock(store, file, 0));
		if (err) {
			store_count(store, row, COUNT_MEM_LIMIT_HIT, 1);
			return err;
		}
	}
}

/* Store stream->page in place of what was seen. */
static int replace(struct store *store, struct stream *stream, struct file file,
		   const struct edit *edit, const struct seen *seen,
		   unsigned length)
{
	struct books books;
	struct fresh fresh;
	unsigned set = sets_enter(store->sets, stream->row);
	unsigned placed;
	int err;

	fresh_squeeze(&fresh, stream, set, stream->page, length,
		      stream->out[0]);
	placed = fresh_place(store, stream, &fresh, 1);
	sets_leave(store->sets, stream->row);
	if (!placed)
		return -ENOSPC;
	err = swap(store, stream->row, file, edit, seen, fresh.word);
	if (err) {
		fresh_unplace(store, stream, &fresh, 1);
		return err;
	}
	fresh_published(store, stream, &fresh, 1);
	books_begin(&books, store, stream->row);
	books_gone(&books, seen->word);
	books_end(&books);
	return 0;
}

int page_edit(struct store *store, struct stream *stream, struct file file,
	      const struct edit *edit)
{
	struct seen seen;
	unsigned length;
	int err;

	for (;;) {
		err = look(store, stream, file, edit, &seen);
		if (err)
			return err;
		if (is_idle(&seen, edit))
			return 0;
		err = patch(store, stream, &seen, edit, &length);
		if (err)
			return err;
		err = replace(store, stream, file, edit, &seen, length);
		if (err != -EAGAIN)
			return err;
		store_count(store, stream->row, COUNT_RETRIES, 1);
	}
}

int page_write(struct store *store, struct stream *stream, struct file file,
	       const struct edit *edit)
{
	struct rwlock *lock = store_file_lock(store, file);
	int err;

	rwlock_read(lock);
	err = page_trim_before(store, stream, file, edit->page);
	if (!err)
		err = page_edit(store, stream, file, edit);
	rwlock_read_end(lock);
	if (err == -EREMOTE) {
		struct edit waits = *edit;

		spill_recall(store, stream, file, edit->page);
		waits.waits = true;
		return page_write(store, stream, file, &waits);
	}
	if (!err)
		store_count(store, stream->row, COUNT_PAGES_WRITTEN, 1);
	return err;
}

static bool is_zero(const char *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* True if the page holds no byte beyond @keep that is not padding. */
static bool is_trim(struct store *store, struct stream *stream,
		    const struct seen *seen)
{
	unsigned length = seen->content.length;

	if (!entry_is_held(seen->word) || !length || length == seen->keep)
		return true;
	if (seen->content.err ||
	    fetch_decode(store, stream, &seen->content, stream->page))
		return true;
	return length == length_in_units(seen->keep) &&
	       is_zero(stream->page + seen->keep, length - seen->keep);
}

int page_trim(struct store *store, struct stream *stream, struct file file)
{
	struct edit edit = {.to = PAGE_BYTES, .waits = true};
	struct seen seen;
	uint64_t size;
	int err;

	do {
		size = atomic_load_explicit(&file.body->size,
					    memory_order_acquire);
		if (size % PAGE_BYTES == 0)
			return 0;
		edit.page = page_of(size);
		edit.from = size % PAGE_BYTES;
		err = look(store, stream, file, &edit, &seen);
		if (err)
			return err;
		if (is_trim(store, stream, &seen))
			return 0;
		memset(stream->page + seen.keep, 0, PAGE_BYTES - seen.keep);
		err = replace(store, stream, file, &edit, &seen,
			      seen.keep ? length_in_units(seen.keep)
					: TAG_UNIT);
	} while (err == -EAGAIN);
	return err;
}

int page_trim_before(struct store *store, struct stream *stream,
		     struct file file, uint64_t first)
{
	uint64_t size =
		atomic_load_explicit(&file.body->size, memory_order_acquire);

	if (likely(size % PAGE_BYTES == 0 || first <= page_of(size)))
		return 0;
	return page_trim(store, stream, file);
}
