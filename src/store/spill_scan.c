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

struct scan {
	struct store *store;
	struct file file;
	const struct spill_scan *what;
	unsigned n;
	struct spot spot[WINDOW_PAGES];
};

/* The scan, a buffer for one extent, and one for a run if there is memory. */
#define OWN_BYTES BACKING_READ_BYTES
#define SCAN_BYTES ((sizeof(struct scan) + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1))

struct scan_memory {
	struct scan *scan;
	char *own, *run; /* NULL: no run */
	size_t n_bytes;
};

static int memory_up(struct store *store, struct scan_memory *m)
{
	struct budget *budget = arena_budget(store->arena);
	size_t least = SCAN_BYTES + OWN_BYTES;
	char *bytes;

	m->n_bytes = least + RUN_BYTES;
	if (budget_take(budget, m->n_bytes, BUDGET_RESERVE) < 0) {
		m->n_bytes = least;
		budget_force(budget, m->n_bytes);
	}
	bytes = heap_aligned(PAGE_BYTES, m->n_bytes);
	if (!bytes) {
		budget_give(budget, m->n_bytes);
		return -ENOMEM;
	}
	m->scan = (struct scan *)(void *)bytes;
	m->own = bytes + SCAN_BYTES;
	m->run = m->n_bytes > least ? bytes + least : NULL;
	return 0;
}

static void memory_down(struct store *store, struct scan_memory *m)
{
	heap_free(m->scan);
	budget_give(arena_budget(store->arena), m->n_bytes);
}

/* --- what is there --- */

/* Those of one group from @page on; the rwlock is held. */
static void look_at_group(struct scan *scan, uint64_t page, uint64_t end)
{
	struct store *store = scan->store;
	struct lock *group = store_group_lock(store, scan->file, page);
	unsigned have = 0;
	_Atomic uint64_t *slots;

	lock_take(group);
	slots = map_slots(store->arena, scan->file.body, page, &have);
	for (unsigned i = 0; slots && i < have && page + i < end; i++) {
		struct spot *spot = &scan->spot[scan->n];

		spot->word =
			atomic_load_explicit(&slots[i], memory_order_acquire);
		if (entry_kind(spot->word) != ENTRY_SPILLED || !store->backing)
			continue;
		spot->page = page + i;
		spot->ref =
			backing_ref(store->backing, entry_extent(spot->word));
		scan->n++;
	}
	lock_drop(group);
}

/* Fill a window; gives where the next one begins. */
static uint64_t look(struct scan *scan, uint64_t page, uint64_t end)
{
	struct rwlock *lock = store_file_lock(scan->store, scan->file);

	scan->n = 0;
	while (page < end && scan->n + GROUP_PAGES <= WINDOW_PAGES) {
		rwlock_read(lock);
		page = map_next(scan->store->arena, scan->file.body, page);
		if (page < end)
			look_at_group(scan, page, end);
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
static void give_up(struct scan *scan, const struct spot *spot)
{
	struct store *store = scan->store;
	struct fetched from = {.word = spot->word, .ref = spot->ref};
	struct books books;
	uint64_t old;

	if (!spill_swap(store, scan->file, spot->page, &from, entry_lost(),
			&old))
		return;
	store_count(store, TALLY_SHARED_ROW, SUM_LOST, 1);
	books_begin(&books, store, TALLY_SHARED_ROW);
	books_gone(&books, old);
	books_end(&books);
	atomic_fetch_sub_explicit(&scan->file.body->pages, books.pages,
				  memory_order_relaxed);
	store_uncharge(store, books.pages);
}

/* Its bytes are in @from, or -EIO is. -ENOSPC: there is no room for it. */
static int settle(struct scan *scan, const struct spot *spot, void *own,
		  struct fetched *from, struct spill_scanned *ret)
{
	int r = from->err ? from->err : 1;

	if (r > 0 && scan->what->how == SPILL_SCAN_FETCH &&
	    spill_return(scan->store, TALLY_SHARED_ROW, scan->file, spot->page,
			 from))
		r = -EAGAIN;
	/* No room, or it is not what it was: see what it is. */
	if (r == -EAGAIN)
		r = spill_bring(scan->store, TALLY_SHARED_ROW, scan->file,
				spot->page, own);
	if (r == -ENOSPC)
		return r;
	ret->pages += r > 0;
	if (r != -EIO)
		return 0;
	ret->unreadable++;
	if (scan->what->unreadable)
		scan->what->unreadable(scan->what->arg, scan->file, spot->page);
	if (scan->what->how == SPILL_SCAN_GIVE_UP)
		give_up(scan, spot);
	return 0;
}

/* @bytes: of a run, where its block begins; NULL: it has to be read. */
static int take(struct scan *scan, const struct spot *spot, char *bytes,
		void *own, struct spill_scanned *ret)
{
	struct fetched from = {
		.spilled = true, .word = spot->word, .ref = spot->ref};
	struct store *store = scan->store;
	struct extent_view view;
	int r = 0;

	if (bytes && !backing_verify(store->backing, &spot->ref, bytes, &view))
		spill_take_view(store, scan->file, spot->page, 0, &view, &from);
	else
		r = spill_load(store, scan->file, spot->page, own, &from);
	/* Gone meanwhile: that is nobody's loss, but it may be elsewhere. */
	if (r == -ESTALE)
		from.err = -EAGAIN;
	if (r == -ESTALE && scan->what->how != SPILL_SCAN_FETCH)
		return 0;
	return settle(scan, spot, own, &from, ret);
}

/* --- neighbours --- */

static uint64_t place_of(const struct scan *scan, unsigned i, size_t *ret_n)
{
	uint64_t offset;
	size_t skip;
	int fd;

	backing_where(scan->store->backing, &scan->spot[i].ref, &fd, &offset,
		      ret_n, &skip);
	return offset;
}

/* How many spots from @i on lie together, and from where to where. */
static unsigned run_of(const struct scan *scan, unsigned i, uint64_t *ret_from,
		       size_t *ret_n)
{
	size_t n;
	uint64_t from = place_of(scan, i, &n), end = from + n;
	unsigned j;

	for (j = i + 1; j < scan->n; j++) {
		uint64_t at = place_of(scan, j, &n);

		if (at > end + GAP_BYTES || at + n > from + RUN_BYTES)
			break;
		if (at + n > end)
			end = at + n;
	}
	*ret_from = from;
	*ret_n = end - from;
	return j - i;
}

static int take_window(struct scan *scan, const struct scan_memory *m,
		       struct spill_scanned *ret)
{
	struct backing *backing = scan->store->backing;
	unsigned in_run;

	qsort(scan->spot, scan->n, sizeof(scan->spot[0]), by_place);
	for (unsigned i = 0; i < scan->n; i += in_run) {
		uint64_t from;
		size_t n;
		bool have;

		in_run = run_of(scan, i, &from, &n);
		have = m->run && in_run > 1 &&
		       !backing_read_blocks(backing, from, m->run, n);
		for (unsigned j = i; j < i + in_run; j++) {
			uint64_t at = place_of(scan, j, &n);
			int r = take(scan, &scan->spot[j],
				     have ? m->run + (at - from) : NULL, m->own,
				     ret);

			if (r)
				return r;
		}
	}
	return 0;
}

int store_spill_scan(struct store *store, struct file file, uint64_t first,
		     uint64_t end, const struct spill_scan *what,
		     struct spill_scanned *ret)
{
	struct scan_memory m;
	int r = memory_up(store, &m);

	*ret = (struct spill_scanned){.pages = 0};
	if (r)
		return r;
	m.scan->store = store;
	m.scan->file = file;
	m.scan->what = what;
	while (!r && first < end) {
		first = look(m.scan, first, end);
		r = take_window(m.scan, &m, ret);
	}
	memory_down(store, &m);
	return r;
}

int store_fetch_body(struct store *store, struct file file, uint64_t first_page,
		     uint64_t end_page, uint64_t *ret_pages)
{
	const struct spill_scan what = {.how = SPILL_SCAN_FETCH};
	struct spill_scanned scanned;
	int r = store_spill_scan(store, file, first_page, end_page, &what,
				 &scanned);

	*ret_pages = scanned.pages;
	return !r && scanned.unreadable ? -EIO : r;
}
