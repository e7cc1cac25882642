/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Growing and walking the map of a body.
 *
 * Whatever becomes visible does so by one release store or exchange of a word
 * in the arena, after everything below it is complete; its partner is the
 * acquire load of the walk. What a crash leaves behind in between is a record
 * that nobody reaches, which the rebuild finds free.
 */
#include "store/map.h"
#include "base/check.h"
#include <errno.h>
#include <string.h>

/* What lost subtrees are read as. Never stored to: see map_is_lost(). */
static _Atomic uint64_t lost_slots[GROUP_PAGES];

bool map_is_lost(const _Atomic uint64_t *slots)
{
	return slots >= lost_slots && slots < lost_slots + GROUP_PAGES;
}

static _Atomic uint64_t *lost_slots_from(unsigned first)
{
	/* The same value by everyone and every time: no order needed. */
	for (unsigned i = first; i < GROUP_PAGES; i++)
		atomic_store_explicit(&lost_slots[i], ENTRY_BAD,
				      memory_order_relaxed);
	return &lost_slots[first];
}

static uint64_t root_pages(uint64_t root)
{
	return root_is_node(root) ? node_pages(root_height(root)) : 1;
}

static unsigned child_index(uint64_t page, unsigned height)
{
	return (page >> (GROUP_SHIFT * (height - 1))) & (GROUP_PAGES - 1);
}

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

_Atomic uint64_t *map_slots(const struct arena *arena, struct body *body,
			    uint64_t page, unsigned *ret_n)
{
	uint64_t root = load(&body->root);
	uint32_t ix = root_ix(root);
	unsigned height = root_height(root), first;

	if (page >= root_pages(root))
		return NULL;
	if (!root_is_node(root)) {
		*ret_n = 1;
		return &body->root;
	}
	for (; height > 1 && ix && ix != NODE_BAD; height--)
		ix = (uint32_t)load(
			&node_at(arena, ix, height)[child_index(page, height)]);
	if (!ix)
		return NULL;
	first = page & (node_words(height) - 1);
	*ret_n = node_words(height) - first;
	if (unlikely(ix == NODE_BAD))
		return lost_slots_from(first);
	return &node_at(arena, ix, height)[first];
}

/* --- growing --- */

static int node_new(struct arena *arena, unsigned height, uint32_t *ret_ix)
{
	return table_alloc(arena, node_table(height), BUDGET_NORMAL, ret_ix);
}

/* A node that says of everything below it that it is lost. */
static int node_new_lost(struct arena *arena, unsigned height, uint32_t *ret_ix)
{
	_Atomic uint64_t *words;
	int err = node_new(arena, height, ret_ix);

	if (err)
		return err;
	words = node_at(arena, *ret_ix, height);
	for (unsigned i = 0; i < node_words(height); i++)
		atomic_store_explicit(&words[i],
				      height > 1 ? NODE_BAD : ENTRY_BAD,
				      memory_order_relaxed);
	return 0;
}

static unsigned height_for(uint64_t page)
{
	unsigned height = 0;

	while (page >= node_pages(height))
		height++;
	return height;
}

/* Copy what @root holds into a new node one size larger or more. */
static int node_of_small_root(struct arena *arena, uint64_t root,
			      unsigned height, uint32_t *ret_ix)
{
	_Atomic uint64_t *words, *old;
	int err = node_new(arena, height, ret_ix);

	if (err)
		return err;
	words = node_at(arena, *ret_ix, height);
	if (!root_is_node(root)) {
		atomic_store_explicit(&words[0], root, memory_order_relaxed);
		return 0;
	}
	old = node_at(arena, root_ix(root), 0);
	for (unsigned i = 0; i < TWIG_PAGES; i++)
		atomic_store_explicit(
			&words[i],
			atomic_load_explicit(&old[i], memory_order_relaxed),
			memory_order_relaxed);
	return 0;
}

/*
 * The node that becomes the lowest child 0 when @root grows to @height; 0 when
 * the root holds nothing at all. @ret_height: its own.
 */
static int grow_lowest(struct arena *arena, uint64_t root, unsigned height,
		       uint32_t *ret_ix, unsigned *ret_height)
{
	if (root_is_node(root) &&
	    (root_height(root) > 0 || root_ix(root) == NODE_BAD)) {
		*ret_ix = root_ix(root);
		*ret_height = root_height(root) ? root_height(root) : 1;
		return 0;
	}
	/* A generation is kept: someone may wait to see it unchanged. */
	*ret_height = root == 0 ? height : height > 0;
	if (root == 0)
		return node_new(arena, height, ret_ix);
	return node_of_small_root(arena, root, *ret_height, ret_ix);
}

/* Free what grow_to() built on top of @keep before it ran out of room. */
static void undo_growth(struct arena *arena, uint32_t ix, unsigned height,
			uint32_t keep)
{
	while (ix != keep && ix) {
		uint32_t below = 0;

		if (height > 1)
			below = (uint32_t)load(node_at(arena, ix, height));
		table_free(arena, node_table(height), ix);
		ix = below;
		height--;
	}
}

static int grow_to(struct arena *arena, struct body *body, uint64_t root,
		   unsigned height)
{
	uint32_t ix, above, keep = root_is_node(root) ? root_ix(root) : 0;
	unsigned now;
	int err = grow_lowest(arena, root, height, &ix, &now);

	if (err)
		return err;
	if (keep && root_height(root) == 0 && keep != NODE_BAD)
		keep = 0;
	for (; now < height; now++) {
		err = node_new(arena, now + 1, &above);
		if (err) {
			undo_growth(arena, ix, now, keep);
			return err;
		}
		atomic_store_explicit(node_at(arena, above, now + 1), ix,
				      memory_order_relaxed);
		ix = above;
	}
	atomic_store_explicit(&body->root, root_of_node(ix, height),
			      memory_order_release);
	/* Nobody is in a twig without the lock that our caller holds. */
	if (root_is_node(root) && root_height(root) == 0 &&
	    root_ix(root) != NODE_BAD)
		table_free(arena, TABLE_TWIGS, root_ix(root));
	return 0;
}

static int ensure_root(struct arena *arena, struct body *body, uint64_t last,
		       struct lock *zero)
{
	uint64_t root;
	uint32_t ix;
	int err = 0;

	lock_take(zero);
	root = load(&body->root);
	if (last >= root_pages(root)) {
		err = grow_to(arena, body, root, height_for(last));
	} else if (root_is_node(root) && root_ix(root) == NODE_BAD) {
		err = node_new_lost(arena, root_height(root), &ix);
		if (!err)
			atomic_store_explicit(
				&body->root,
				root_of_node(ix, root_height(root)),
				memory_order_release);
	}
	lock_drop(zero);
	return err;
}

/* Put a node of @height where @child is nothing or lost; who comes second
 * uses what the first one made. */
static int ensure_child(struct arena *arena, _Atomic uint64_t *child,
			unsigned height, uint32_t *ret_ix)
{
	uint64_t seen = load(child);
	uint32_t ix;
	int err;

	while (seen == 0 || seen == NODE_BAD) {
		err = seen ? node_new_lost(arena, height, &ix)
			   : node_new(arena, height, &ix);
		if (err)
			return err;
		if (atomic_compare_exchange_strong_explicit(
			    child, &seen, ix, memory_order_acq_rel,
			    memory_order_acquire))
			seen = ix;
		else
			table_free(arena, node_table(height), ix);
	}
	*ret_ix = (uint32_t)seen;
	return 0;
}

int map_ensure(struct arena *arena, struct body *body, uint64_t first,
	       unsigned n, struct lock *zero)
{
	uint64_t root = load(&body->root);
	uint64_t last = first + n - 1;
	unsigned height;
	uint32_t ix;
	int err;

	debug_invariant(first >> GROUP_SHIFT == last >> GROUP_SHIFT);
	while (last >= root_pages(root) ||
	       (root_is_node(root) && root_ix(root) == NODE_BAD)) {
		err = ensure_root(arena, body, last, zero);
		if (err)
			return err;
		root = load(&body->root);
	}
	ix = root_ix(root);
	for (height = root_height(root); height > 1; height--) {
		_Atomic uint64_t *words = node_at(arena, ix, height);

		err = ensure_child(arena, &words[child_index(first, height)],
				   height - 1, &ix);
		if (err)
			return err;
	}
	return 0;
}

/* --- walking --- */

/* Step @page to where the next child of this node starts, or to its end. */
static uint64_t skip_children(const _Atomic uint64_t *words, unsigned height,
			      uint64_t page)
{
	uint64_t step = node_pages(height - 1);
	unsigned i = child_index(page, height);

	page &= ~(step - 1);
	do {
		page += step;
		i++;
	} while (i < GROUP_PAGES && !load(&words[i]));
	return page;
}

uint64_t map_next(const struct arena *arena, const struct body *body,
		  uint64_t page)
{
	uint64_t root = load(&body->root);
	uint32_t ix;

	if (root == 0)
		return MAP_END;
	if (!root_is_node(root) || root_height(root) <= 1)
		return page < root_pages(root) ? page : MAP_END;
again:
	if (page >= root_pages(root))
		return MAP_END;
	ix = root_ix(root);
	for (unsigned height = root_height(root); height > 1 && ix != NODE_BAD;
	     height--) {
		const _Atomic uint64_t *words = node_at(arena, ix, height);

		ix = (uint32_t)load(&words[child_index(page, height)]);
		if (!ix) {
			page = skip_children(words, height, page);
			goto again;
		}
	}
	return page;
}
