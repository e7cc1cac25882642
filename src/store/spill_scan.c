/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All pages of a file that are on disk, one after the other as they lie there:
 * to bring them back, to see whether they can be read, to give up those that
 * cannot.
 *
 * A window of the file is looked at under its locks; what of it is on disk is
 * read without, neighbours in one go. What cannot be had that way is read by
 * itself, and that alone decides what it is.
 */
#include "base/heap.h"
#include "store/state.h"
#include <errno.h>
#include <stdlib.h>

/* Pages of a window, and bytes that are read in one go. */
#define WINDOW_PAGES 1024u
#define RUN_BYTES (256u << 10)
/* What is read in vain between two that are wanted costs less than a read. */
#define GAP_BYTES (32u << 10)

struct spot {
	uint64_t page, word;
	struct extent_ref ref;
};

/* Its bytes are followed by a buffer for one extent and one for a run. */
struct spill_reader {
	struct store *store;
	struct file file;
	const struct spill_scan *what;
	size_t n_bytes;      /* all of it */
	char *own, *run;     /* NULL: there was no memory for runs */
	uint64_t run_offset; /* what is in it */
	size_t run_bytes;
	unsigned n;
	struct spot spot[WINDOW_PAGES];
};

#define READER_BYTES                                                           \
	((sizeof(struct spill_reader) + PAGE_BYTES - 1) &                      \
	 ~(size_t)(PAGE_BYTES - 1))
#define LEAST_BYTES (READER_BYTES + BACKING_READ_BYTES)

int spill_reader_new(struct store *store, struct spill_reader **ret)
{
	struct budget *budget = arena_budget(store->arena);
	size_t n_bytes = LEAST_BYTES + RUN_BYTES;
	struct spill_reader *reader;

	/* Slowly is better than not at all. */
	if (budget_take(budget, n_bytes, BUDGET_RESERVE) < 0) {
		n_bytes = LEAST_BYTES;
		budget_force(budget, n_bytes);
	}
	reader = heap_aligned(PAGE_BYTES, n_bytes);
	if (!reader) {
		budget_give(budget, n_bytes);
		return -ENOMEM;
	}
	reader->store = store;
	reader->n_bytes = n_bytes;
	reader->own = (char *)reader + READER_BYTES;
	reader->run =
		n_bytes > LEAST_BYTES ? reader->own + BACKING_READ_BYTES : NULL;
	reader->run_offset = 0;
	reader->run_bytes = 0;
	*ret = reader;
	return 0;
}

void spill_reader_free(struct spill_reader *reader)
{
	struct budget *budget;
	size_t n_bytes;

	if (!reader)
		return;
	budget = arena_budget(reader->store->arena);
	n_bytes = reader->n_bytes;
	heap_free(reader);
	heap_purge();
	budget_give(budget, n_bytes);
}

/* --- what is there --- */

/* Those of one group from @page on; the rwlock is held. */
static void look_at_group(struct spill_reader *reader, uint64_t page,
			  uint64_t end)
{
	struct store *store = reader->store;
	struct lock *group = store_group_lock(store, reader->file, page);
	unsigned have = 0;
	_Atomic uint64_t *slots;

	lock_take(group);
	slots = map_slots(store->arena, reader->file.body, page, &have);
	for (unsigned i = 0; slots && i < have && page + i < end; i++) {
		struct spot *spot = &reader->spot[reader->n];

		spot->word =
			atomic_load_explicit(&slots[i], memory_order_acquire);
		if (entry_kind(spot->word) != ENTRY_SPILLED || !store->backing)
			continue;
		spot->page = page + i;
		spot->ref =
			backing_ref(store->backing, entry_extent(spot->word));
		reader->n++;
	}
	lock_drop(group);
}

/* Fill a window; gives where the next one begins. */
static uint64_t look(struct spill_reader *reader, uint64_t page, uint64_t end)
{
	struct rwlock *lock = store_file_lock(reader->store, reader->file);

	reader->n = 0;
	while (page < end && reader->n + GROUP_PAGES <= WINDOW_PAGES) {
		rwlock_read(lock);
		page = map_next(reader->store->arena, reader->file.body, page);
		if (page < end)
			look_at_group(reader, page, end);
		rwlock_read_end(lock);
		if (page >= end)
			return end;
		page = (page | (GROUP_PAGES - 1)) + 1;
	}
	return page;
}

static int by_place(const void *a, const void *b)
{
	uint64_t x = ((const struct spot *)a)->ref.extent.value;
	uint64_t y = ((const struct spot *)b)->ref.extent.value;

	return x < y ? -1 : x > y;
}

/* --- one page --- */

/* No longer there for anybody; but for who writes it anew. */
static void give_up(struct spill_reader *reader, const struct spot *spot)
{
	struct store *store = reader->store;
	struct fetched from = {.word = spot->word, .ref = spot->ref};
	struct books books;
	uint64_t old;

	if (!spill_swap(store, reader->file, spot->page, &from, entry_lost(),
			&old))
		return;
	store_count(store, TALLY_SHARED_ROW, SUM_LOST, 1);
	books_begin(&books, store, TALLY_SHARED_ROW);
	books_gone(&books, old);
	books_end(&books);
	atomic_fetch_sub_explicit(&reader->file.body->pages, books.pages,
				  memory_order_relaxed);
	store_uncharge(store, books.pages);
}

/* Its bytes are in @from, or -EIO is. -ENOSPC: there is no room for it. */
static int settle(struct spill_reader *reader, const struct spot *spot,
		  struct fetched *from, struct spill_scanned *ret)
{
	int r = from->err ? from->err : 1;

	if (r > 0 && reader->what->how == SPILL_SCAN_FETCH &&
	    spill_return(reader->store, TALLY_SHARED_ROW, reader->file,
			 spot->page, from))
		r = -EAGAIN;
	/* No room, or it is not what it was: see what it is. */
	if (r == -EAGAIN)
		r = spill_bring(reader->store, TALLY_SHARED_ROW, reader->file,
				spot->page, reader->own);
	if (r == -ENOSPC)
		return r;
	ret->pages += r > 0;
	if (r != -EIO)
		return 0;
	ret->unreadable++;
	if (reader->what->unreadable)
		reader->what->unreadable(reader->what->arg, reader->file,
					 spot->page);
	if (reader->what->how == SPILL_SCAN_GIVE_UP)
		give_up(reader, spot);
	return 0;
}

/* @bytes: of a run, where its extent begins; NULL: it has to be read. */
static int take(struct spill_reader *reader, const struct spot *spot,
		char *bytes, struct spill_scanned *ret)
{
	struct fetched from = {
		.spilled = true, .word = spot->word, .ref = spot->ref};
	struct store *store = reader->store;
	struct extent_view view;
	int r = 0;

	if (bytes && backing_is_in(store->backing, &spot->ref, bytes, &view))
		spill_take_view(store, reader->file, spot->page, 0, &view,
				&from);
	else
		r = spill_load(store, reader->file, spot->page, reader->own,
			       &from);
	/* Gone meanwhile: that is nobody's loss, but it may be elsewhere. */
	if (r == -ESTALE)
		from.err = -EAGAIN;
	if (r == -ESTALE && reader->what->how != SPILL_SCAN_FETCH)
		return 0;
	return settle(reader, spot, &from, ret);
}

/* --- neighbours --- */

static uint64_t place_of(const struct spill_reader *reader, unsigned i,
			 size_t *ret_n)
{
	uint64_t offset;
	size_t skip;
	int fd;

	backing_where(reader->store->backing, &reader->spot[i].ref, &fd,
		      &offset, ret_n, &skip);
	return offset;
}

/* Of the bytes from spot @i on, how many hold those that lie together. */
static size_t run_of(const struct spill_reader *reader, unsigned i)
{
	size_t n;
	uint64_t from = place_of(reader, i, &n), end = from + n;

	for (unsigned j = i + 1; j < reader->n; j++) {
		uint64_t at = place_of(reader, j, &n);

		if (at > end + GAP_BYTES || at + n > from + RUN_BYTES)
			break;
		if (at + n > end)
			end = at + n;
	}
	return end - from;
}

static bool is_in_run(const struct spill_reader *reader, uint64_t at, size_t n)
{
	return at >= reader->run_offset &&
	       at + n <= reader->run_offset + reader->run_bytes;
}

/* How much to read at @at, where @wanted bytes are wanted by this file: if the
 * last run ended here, the next files will want what follows. */
static size_t ahead_of(const struct spill_reader *reader, uint64_t at,
		       size_t wanted)
{
	uint64_t before = reader->run_offset + reader->run_bytes;
	uint64_t rest = BACKING_SEGMENT_BYTES - at % BACKING_SEGMENT_BYTES;
	size_t n = wanted;

	/* Neighbours share a block. */
	if (reader->run_bytes && at + PAGE_BYTES >= before &&
	    at <= before + GAP_BYTES && n < 2 * reader->run_bytes)
		n = 2 * reader->run_bytes;
	if (n > RUN_BYTES)
		n = RUN_BYTES;
	if (n > rest && rest >= wanted)
		n = rest;
	return n;
}

/* Have spot @i in the run, if it is worth it. */
static void read_run(struct spill_reader *reader, unsigned i)
{
	struct backing *backing = reader->store->backing;
	size_t n, wanted, ahead;
	uint64_t at = place_of(reader, i, &n);

	if (!reader->run || is_in_run(reader, at, n))
		return;
	wanted = run_of(reader, i);
	ahead = ahead_of(reader, at, wanted);
	reader->run_offset = at;
	reader->run_bytes = 0;
	if (!backing_read_blocks(backing, at, reader->run, ahead))
		reader->run_bytes = ahead;
	else if (wanted < ahead &&
		 !backing_read_blocks(backing, at, reader->run, wanted))
		reader->run_bytes = wanted;
}

static int take_window(struct spill_reader *reader, struct spill_scanned *ret)
{
	qsort(reader->spot, reader->n, sizeof(reader->spot[0]), by_place);
	for (unsigned i = 0; i < reader->n; i++) {
		struct extent extent = reader->spot[i].ref.extent;
		uint64_t at = backing_extent_offset(extent);
		char *bytes = NULL;
		int r;

		read_run(reader, i);
		if (is_in_run(reader, at, backing_extent_bytes(extent)))
			bytes = reader->run + (at - reader->run_offset);
		r = take(reader, &reader->spot[i], bytes, ret);
		if (r)
			return r;
	}
	return 0;
}

int store_spill_scan(struct spill_reader *reader, struct file file,
		     uint64_t first, uint64_t end,
		     const struct spill_scan *what, struct spill_scanned *ret)
{
	int r = 0;

	*ret = (struct spill_scanned){.pages = 0};
	reader->file = file;
	reader->what = what;
	while (!r && first < end) {
		first = look(reader, first, end);
		r = take_window(reader, ret);
	}
	return r;
}

int store_fetch_body(struct store *store, struct file file, uint64_t first_page,
		     uint64_t end_page, uint64_t *ret_pages)
{
	const struct spill_scan what = {.how = SPILL_SCAN_FETCH};
	struct spill_reader *reader;
	struct spill_scanned scanned;
	int r;

	*ret_pages = 0;
	r = spill_reader_new(store, &reader);
	if (r)
		return r;
	r = store_spill_scan(reader, file, first_page, end_page, &what,
			     &scanned);
	spill_reader_free(reader);
	*ret_pages = scanned.pages;
	return !r && scanned.unreadable ? -EIO : r;
}
