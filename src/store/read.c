/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading: up to a batch of pages of one group is looked up under one pass of
 * the locks, then decoded straight into the caller's buffer: a few pages from
 * copies made under the locks, more from where they lie, pinned.
 */
#include "store/state.h"
#include <errno.h>
#include <string.h>

/* One pass: part of a group, cut at the ends to the bytes asked for. */
struct pass {
	uint64_t offset;
	size_t n;
	char *dst;
	uint64_t first;
	unsigned pages;
	bool pinned;
	struct fetched page[STREAM_BATCH];
};

/* From so many pages on a pin costs less than the copies. */
#define PIN_LEAST 4u

/* Offsets of page @i's bytes in the caller's buffer and in the page. */
static char *pass_target(const struct pass *pass, unsigned i,
			 unsigned *ret_from, unsigned *ret_n)
{
	uint64_t start = (pass->first + i) << PAGE_SHIFT;
	uint64_t from = start > pass->offset ? start : pass->offset;
	uint64_t to = pass->offset + pass->n;

	if (to > start + PAGE_BYTES)
		to = start + PAGE_BYTES;
	*ret_from = (unsigned)(from - start);
	*ret_n = (unsigned)(to - from);
	return pass->dst + (from - pass->offset);
}

/* A read makes the page young and lets go of claims; lost pages have no slot
 * of their own to say so in. */
static void touch(_Atomic uint64_t *slot, uint64_t word)
{
	uint64_t touched = entry_touched(word);

	if (touched != word && entry_is_held(word))
		atomic_store_explicit(slot, touched, memory_order_relaxed);
}

/* The group lock is held. */
static void look_at(struct store *store, struct stream *stream,
		    struct pass *pass, unsigned i, uint64_t word)
{
	unsigned from, n;
	char *dst = pass_target(pass, i, &from, &n);

	if (!pass->pinned) {
		fetch(store, word, stream->scratch, stream->out[i],
		      n == PAGE_BYTES ? dst : NULL, &pass->page[i]);
		return;
	}
	if (entry_kind(word) == ENTRY_RAM)
		pin_object(store, stream->slot, entry_handle(word));
	fetch(store, word, stream->scratch, NULL, NULL, &pass->page[i]);
}

static void look_up(struct store *store, struct stream *stream,
		    struct file file, struct pass *pass)
{
	struct rwlock *lock = store_file_lock(store, file);
	struct lock *group = store_group_lock(store, file, pass->first);
	_Atomic uint64_t *slots;
	unsigned have = 0;

	rwlock_read(lock);
	lock_take(group);
	pass->pinned = store->in_place && pass->pages >= PIN_LEAST;
	if (pass->pinned)
		pin_begin(store, stream->slot);
	slots = map_slots(store->arena, file.body, pass->first, &have);
	/* Waiting for one header after the other took a tenth of a read. */
	if (slots && pass->pages > 1)
		fetch_expect(store, slots,
			     have < pass->pages ? have : pass->pages);
	for (unsigned i = 0; i < pass->pages; i++) {
		uint64_t word = 0;

		if (slots && i < have) {
			word = atomic_load_explicit(&slots[i],
						    memory_order_acquire);
			touch(&slots[i], word);
		}
		look_at(store, stream, pass, i, word);
	}
	lock_drop(group);
	rwlock_read_end(lock);
}

static int decode_one(struct store *store, struct stream *stream,
		      const struct pass *pass, unsigned i)
{
	unsigned from, n;
	char *dst = pass_target(pass, i, &from, &n);
	char *page = n == PAGE_BYTES ? dst : stream->page;
	int err = fetch_decode(store, stream, &pass->page[i], page);

	if (!err && page != dst)
		memcpy(dst, page + from, n);
	return err;
}

/* Those on disk, in the file's order. */
static int decode_spilled(struct store *store, struct stream *stream,
			  struct file file, struct pass *pass,
			  const struct store_ahead *ahead)
{
	struct spill_run run = {.n = 0};

	for (unsigned i = 0; i < pass->pages; i++) {
		struct fetched *content = &pass->page[i];
		uint64_t page = pass->first + i;
		int err = 0;

		if (!content->spilled)
			continue;
		if (!spill_load_ahead(store, file, page, ahead, content))
			err = spill_load_run(store, stream, file, page, content,
					     pass->pages - i, &run);
		if (!err)
			err = decode_one(store, stream, pass, i);
		if (err)
			return err;
		spill_promote(store, stream->row, file, page, content);
	}
	return 0;
}

/* Those in RAM, up to the first that fails; lets go of the pin. */
static int decode_held(struct store *store, struct stream *stream,
		       struct pass *pass, bool *ret_spilled)
{
	int err = 0;

	if (pass->pinned)
		pins_at_window();
	for (unsigned i = 0; i < pass->pages && !err; i++) {
		if (pass->page[i].spilled)
			*ret_spilled = true;
		else
			err = decode_one(store, stream, pass, i);
	}
	if (pass->pinned)
		pin_end(store, stream->slot);
	return err;
}

/* -ESTALE: a page went from where it was; all is to be looked at again. */
static int decode_all(struct store *store, struct stream *stream,
		      struct file file, struct pass *pass,
		      const struct store_ahead *ahead)
{
	bool spilled = false;
	/* First, for reads from the disk go into out[] as well. */
	int err = decode_held(store, stream, pass, &spilled);

	if (err || !spilled)
		return err;
	return decode_spilled(store, stream, file, pass, ahead);
}

/* As much as one pass can take of @n bytes at @offset. */
static void pass_plan(struct pass *pass, uint64_t offset, char *dst, size_t n)
{
	uint64_t first = page_of(offset);
	uint64_t end = (first | (GROUP_PAGES - 1)) + 1;

	if (end - first > STREAM_BATCH)
		end = first + STREAM_BATCH;
	if (n > (end << PAGE_SHIFT) - offset)
		n = (end << PAGE_SHIFT) - offset;
	pass->offset = offset;
	pass->n = n;
	pass->dst = dst;
	pass->first = first;
	pass->pages = (unsigned)(page_of(offset + n - 1) - first + 1);
}

int read_range(struct store *store, struct stream *stream, struct file file,
	       uint64_t offset, char *dst, size_t n,
	       const struct store_ahead *ahead)
{
	struct pass pass;
	size_t done;
	int err;

	for (done = 0; done < n; done += pass.n) {
		pass_plan(&pass, offset + done, dst + done, n - done);
		do {
			look_up(store, stream, file, &pass);
			err = decode_all(store, stream, file, &pass, ahead);
		} while (err == -ESTALE);
		if (err)
			return err;
		store_count(store, stream->row, COUNT_PAGES_READ, pass.pages);
	}
	return 0;
}

int store_read_ahead(struct store *store, struct stream *stream,
		     struct file file, uint64_t offset, void *buf, size_t n,
		     const struct store_ahead *ahead, size_t *ret_n)
{
	uint64_t size =
		atomic_load_explicit(&file.body->size, memory_order_acquire);
	int err = 0;

	if (offset >= size)
		n = 0;
	else if (n > size - offset)
		n = size - offset;
	if (ahead || !parts_read(store, stream, file, offset, buf, n, &err))
		err = read_range(store, stream, file, offset, buf, n, ahead);
	if (err)
		return err;
	store_count(store, stream->row, COUNT_BYTES_READ, (int64_t)n);
	*ret_n = n;
	return 0;
}

int store_read(struct store *store, struct stream *stream, struct file file,
	       uint64_t offset, void *buf, size_t n, size_t *ret_n)
{
	return store_read_ahead(store, stream, file, offset, buf, n, NULL,
				ret_n);
}
