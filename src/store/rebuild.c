/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After an attach: mark what bodies reach, and count it again.
 *
 * A word that cannot be (no such record, reached twice, no object there)
 * becomes a bad entry or a lost node: its pages read as EIO, never as zeroes or
 * as another file's bytes, until they are overwritten or cut off. What a crash
 * left between an entry and the size that commits it is no damage: entries
 * beyond the size go, but for the zero pages that an allocation may hold there.
 * Single-threaded.
 */
#include "base/check.h"
#include "store/state.h"
#include <errno.h>

struct rebuild {
	struct store *store;
	uint64_t end; /* pages below the size */
	uint64_t pages;
	int64_t same, huge, bytes, spilled, spilled_bytes, lost;
	bool damaged;
};

static void reset_sum(struct store *store, enum store_column sum)
{
	store_count(store, TALLY_SHARED_ROW, sum,
		    -(int64_t)tally_sum(&store->tally, sum));
}

void store_rebuild_begin(struct store *store)
{
	pool_scan_begin(store->pool);
	if (store->backing)
		backing_scan_begin(store->backing);
	atomic_store_explicit(&store->held, 0, memory_order_relaxed);
	reset_sum(store, SUM_SAME);
	reset_sum(store, SUM_HUGE);
	reset_sum(store, SUM_BYTES);
	reset_sum(store, SUM_SPILLED);
	reset_sum(store, SUM_SPILLED_BYTES);
	reset_sum(store, SUM_LOST);
}

void store_rebuild_end(struct store *store)
{
	table_scan_end(store->arena, TABLE_TWIGS);
	table_scan_end(store->arena, TABLE_LEAVES);
	table_scan_end(store->arena, TABLE_FILLS);
	pool_scan_end(store->pool);
	if (store->backing)
		backing_scan_end(store->backing);
}

static uint64_t bad(struct rebuild *r)
{
	r->damaged = true;
	return entry_lost();
}

static uint64_t keep_object(struct rebuild *r, uint64_t word)
{
	char scratch[POOL_OBJECT_MAX];
	struct handle h = entry_handle(word);
	struct pool *pool = r->store->pool;
	struct pool_view view;
	unsigned set;

	if (pool_mark(pool, h) != 0)
		return bad(r);
	/* Without a header it cannot be counted; readers see EIO, and it is
	 * freed as any other. */
	if (pool_read_begin(pool, h, scratch, &view) != 0) {
		r->damaged = true;
		return word;
	}
	set = tag_set(view.tag);
	r->bytes += view.bytes[0] + view.bytes[1];
	r->huge += set == SET_RAW;
	pool_read_end(pool, h, &view);
	sets_count(r->store->sets, TALLY_SHARED_ROW, set, 1);
	return word;
}

static uint64_t keep_extent(struct rebuild *r, uint64_t word)
{
	struct extent extent = entry_extent(word);
	struct backing *backing = r->store->backing;

	if (!backing || backing_mark(backing, extent) != 0)
		return bad(r);
	r->spilled++;
	r->spilled_bytes += (int64_t)backing_extent_bytes(extent);
	return word;
}

static uint64_t keep_fill_record(struct rebuild *r, uint64_t word)
{
	uint64_t ix = entry_payload(word);

	if (ix > UINT32_MAX ||
	    table_mark(r->store->arena, TABLE_FILLS, (uint32_t)ix))
		return bad(r);
	r->same++;
	return word;
}

/* What stays of the entry of @page. */
static uint64_t keep_entry(struct rebuild *r, uint64_t page, uint64_t word)
{
	bool beyond = page >= r->end;

	switch (entry_kind(word)) {
	case ENTRY_EMPTY:
		return word;
	case ENTRY_FILL:
		if (beyond && entry_fill_word(word))
			return 0;
		r->same++;
		break;
	case ENTRY_FILL_RECORD:
		if (beyond)
			return 0;
		word = keep_fill_record(r, word);
		break;
	case ENTRY_RAM:
		if (beyond)
			return 0;
		word = keep_object(r, word);
		break;
	case ENTRY_SPILLED:
		if (beyond)
			return 0;
		word = keep_extent(r, word);
		break;
	default:
		if (beyond)
			return 0;
		if (entry_kind(word) != ENTRY_BAD)
			word = bad(r);
	}
	r->pages += entry_is_held(word);
	r->lost += entry_counts_as_lost(word);
	return word & ~ENTRY_MARK;
}

static void keep_slot(struct rebuild *r, uint64_t page, _Atomic uint64_t *slot)
{
	uint64_t word = atomic_load_explicit(slot, memory_order_acquire);
	uint64_t kept = keep_entry(r, page, word);

	if (kept != word)
		atomic_store_explicit(slot, kept, memory_order_release);
}

/* Mark a node; false: it cannot be one, or somebody else's. */
static bool mark_node(struct rebuild *r, uint64_t ix, unsigned height)
{
	if (ix < NODE_BAD &&
	    table_mark(r->store->arena, node_table(height), (uint32_t)ix) == 0)
		return true;
	r->damaged = true;
	return false;
}

static void keep_subtree(struct rebuild *r, uint32_t ix, unsigned height,
			 uint64_t base)
{
	_Atomic uint64_t *words = node_at(r->store->arena, ix, height);

	for (unsigned i = 0; i < node_words(height); i++) {
		uint64_t child;

		if (height <= 1) {
			keep_slot(r, base + i, &words[i]);
			continue;
		}
		child = atomic_load_explicit(&words[i], memory_order_acquire);
		if (!child || child == NODE_BAD)
			continue;
		if (mark_node(r, child, height - 1))
			keep_subtree(r, (uint32_t)child, height - 1,
				     base + i * node_pages(height - 1));
		else
			atomic_store_explicit(&words[i], NODE_BAD,
					      memory_order_release);
	}
}

static void keep_root(struct rebuild *r, struct body *body)
{
	uint64_t root = atomic_load_explicit(&body->root, memory_order_acquire);
	unsigned height = root_height(root);
	uint32_t ix = root_ix(root);

	if (!root_is_node(root)) {
		keep_slot(r, 0, &body->root);
		return;
	}
	if (ix == NODE_BAD && height <= MAP_HEIGHT_MAX)
		return;
	if (height > MAP_HEIGHT_MAX) {
		r->damaged = true;
		height = MAP_HEIGHT_MAX;
	} else if (mark_node(r, ix, height)) {
		keep_subtree(r, ix, height, 0);
		return;
	}
	atomic_store_explicit(&body->root, root_of_node(NODE_BAD, height),
			      memory_order_release);
}

int store_rebuild_body(struct store *store, struct file file)
{
	struct rebuild r = {.store = store};
	uint64_t size =
		atomic_load_explicit(&file.body->size, memory_order_acquire);

	if (size > (uint64_t)FILE_MAX_BYTES) {
		size = (uint64_t)FILE_MAX_BYTES;
		atomic_store_explicit(&file.body->size, size,
				      memory_order_release);
		r.damaged = true;
	}
	r.end = pages_for(size);
	keep_root(&r, file.body);
	atomic_store_explicit(&file.body->pages, r.pages, memory_order_relaxed);
	atomic_fetch_add_explicit(&store->held, r.pages, memory_order_relaxed);
	store_count(store, TALLY_SHARED_ROW, SUM_SAME, r.same);
	store_count(store, TALLY_SHARED_ROW, SUM_HUGE, r.huge);
	store_count(store, TALLY_SHARED_ROW, SUM_BYTES, r.bytes);
	store_count(store, TALLY_SHARED_ROW, SUM_SPILLED, r.spilled);
	store_count(store, TALLY_SHARED_ROW, SUM_SPILLED_BYTES,
		    r.spilled_bytes);
	store_count(store, TALLY_SHARED_ROW, SUM_LOST, r.lost);
	return r.damaged ? -EUCLEAN : 0;
}
