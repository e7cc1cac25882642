/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attach: from the records alone to a tree that works.
 *
 * What does not make sense is dropped and counted, never followed: the arena
 * may come from a life that ended anywhere. In order: finish the operation
 * under way; see which inodes there are; which directories hang on the root;
 * take every name whose ends are both good; drop inodes without a name; mark
 * records and bodies; put the names of each directory in order of position.
 */
#include "tree/rebuild.h"

/* --- inodes --- */

static int find_inodes(struct rebuild *b)
{
	struct tree *t = b->t;
	int r = 0;

	for (uint32_t ix = 1; ix < b->end && r == 0; ix++) {
		const struct inode_record *inode = inode_at(t, ix);

		if (!inode_type_is_known(inode_mode(inode)))
			continue;
		b->seen[ix] = SEEN_LIVE;
		if (S_ISDIR(inode_mode(inode)))
			b->seen[ix] |= SEEN_DIR;
		r = column_take(&t->states, ix, BUDGET_FORCED);
	}
	if (b->end <= ROOT_IX || !(b->seen[ROOT_IX] & SEEN_DIR))
		return -EUCLEAN;
	b->seen[ROOT_IX] |= SEEN_NAMED | SEEN_SAFE;
	return r;
}

/* --- bodies --- */

static int take_xattr(struct rebuild *b, uint32_t ix)
{
	struct tree *t = b->t;
	struct inode_record *inode = inode_at(t, ix);
	uint32_t xattr = xattr_word_ix(inode_xattr(inode));

	if (inode_xattr(inode) == 0)
		return 0;
	if (xattr == RECORD_NONE ||
	    xattr >= table_end(t->arena, TABLE_XATTRS) ||
	    xattr_at(t, xattr)->owner != ix ||
	    table_mark(t->arena, TABLE_XATTRS, xattr) < 0) {
		atomic_store_explicit(&inode->xattr, 0, memory_order_release);
		t->dropped++;
		return 0;
	}
	return store_rebuild_body(t->store, xattr_file(t, xattr));
}

/* A damaged page is the store's business (EIO to its reader): count it. */
static int take_inode(struct rebuild *b, uint32_t ix)
{
	struct tree *t = b->t;
	int r = table_mark(t->arena, TABLE_INODES, ix);
	int r2;

	if (r < 0)
		return r;
	atomic_fetch_add(&t->inodes, 1);
	atomic_store(&inode_state(t, ix)->lookups, 1);
	if (atomic_load(&inode_state(t, ix)->nlink) == 0)
		atomic_fetch_add(&t->nameless, 1);
	r = store_rebuild_body(t->store, inode_file(t, ix));
	r2 = take_xattr(b, ix);
	t->dropped += (r == -EUCLEAN) + (r2 == -EUCLEAN);
	if (r == 0 || r == -EUCLEAN)
		r = r2;
	return r == -EUCLEAN ? 0 : r;
}

static bool inode_stays(const struct rebuild *b, uint32_t ix, bool keep)
{
	if (!(b->seen[ix] & SEEN_LIVE))
		return false;
	return keep || atomic_load(&inode_state(b->t, ix)->nlink) != 0;
}

static int take_inodes(struct rebuild *b, bool keep_nameless)
{
	struct tree *t = b->t;
	int r = 0;

	store_rebuild_begin(t->store);
	for (uint32_t ix = 1; ix < b->end && r == 0; ix++) {
		if (inode_stays(b, ix, keep_nameless)) {
			r = take_inode(b, ix);
		} else if (b->seen[ix] & SEEN_LIVE) {
			atomic_store_explicit(&inode_at(t, ix)->mode, 0,
					      memory_order_release);
			column_give(&t->states, ix);
		}
	}
	if (r < 0)
		return r;
	table_scan_end(t->arena, TABLE_INODES);
	table_scan_end(t->arena, TABLE_NAMES);
	table_scan_end(t->arena, TABLE_LONGNAMES);
	table_scan_end(t->arena, TABLE_XATTRS);
	store_rebuild_end(t->store);
	return 0;
}

/* --- all of it --- */

/* Words that must never fall behind what records have. */
static void raise_words(struct rebuild *b)
{
	_Atomic uint64_t *serial =
		arena_word(b->t->arena, ARENA_WORD_TREE + TREE_WORD_SERIAL);

	for (uint32_t ix = 1; ix < table_end(b->t->arena, TABLE_XATTRS); ix++)
		if (atomic_load(serial) < xattr_at(b->t, ix)->serial)
			atomic_store(serial, xattr_at(b->t, ix)->serial);
}

static int rebuild(struct rebuild *b, bool keep_nameless)
{
	struct tree *t = b->t;
	size_t n;
	int r = ops_attach(t);

	if (r < 0)
		return r;
	/* Not charged: gone before the first request. */
	b->end = table_end(t->arena, TABLE_INODES);
	b->seen = heap_zalloc(b->end, 1);
	if (!b->seen)
		return -ENOMEM;
	r = find_inodes(b);
	if (r < 0)
		return r;
	n = rebuild_sift_names(b);
	b->places = heap_zalloc(n + 1, sizeof(*b->places));
	if (!b->places)
		return -ENOMEM;
	rebuild_settle_dirs(b);
	raise_words(b);
	atomic_store(&inode_state(t, ROOT_IX)->nlink, 2);
	r = rebuild_take_names(b);
	if (r == 0)
		r = rebuild_order_dirs(b);
	if (r == 0)
		r = take_inodes(b, keep_nameless);
	return r;
}

int tree_attach(struct arena *arena, struct store *store, bool keep_nameless,
		struct tree **ret_tree)
{
	struct rebuild b = {0};
	int r;

	r = tree_start(arena, store, &b.t);
	if (r < 0)
		return r;
	/* What derives from data that is there must fit, even if the limit was
	 * lowered below it: attach asks no budget. */
	b.t->names.use = BUDGET_FORCED;
	if (tree_nr_inodes(b.t) == 0)
		r = tree_set_nr_inodes(b.t, 0);
	if (r == 0)
		r = rebuild(&b, keep_nameless);
	b.t->names.use = BUDGET_NORMAL;
	heap_free(b.seen);
	heap_free(b.places);
	if (r < 0) {
		tree_free(b.t);
		return r;
	}
	*ret_tree = b.t;
	return 0;
}
