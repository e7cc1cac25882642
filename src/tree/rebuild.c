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
#include "tree/inside.h"
#include <stdlib.h>

/* What we know of an inode while we rebuild. */
enum seen {
	SEEN_LIVE = 1,
	SEEN_DIR = 2,
	SEEN_NAMED = 4,   /* a directory that has taken its one name */
	SEEN_WALKING = 8, /* on the path that is being followed */
	SEEN_LOST = 16,   /* a directory that does not reach the root */
	SEEN_SAFE = 32    /* one that does */
};

struct place {
	uint64_t position;
	uint32_t dir;
	uint32_t name;
};

struct rebuild {
	struct tree *t;
	uint8_t *seen;
	uint32_t end; /* of inodes */
	struct place *places;
	size_t nr_places;
};

/* --- inodes --- */

static bool inode_makes_sense(const struct inode_record *inode)
{
	switch (inode_mode(inode) & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

static int find_inodes(struct rebuild *b)
{
	struct tree *t = b->t;
	int r = 0;

	for (uint32_t ix = 1; ix < b->end && r == 0; ix++) {
		const struct inode_record *inode = inode_at(t, ix);

		if (!inode_makes_sense(inode))
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

/* --- names --- */

static uint32_t names_end(const struct tree *t, uint32_t flag)
{
	return table_end(t->arena, flag ? TABLE_LONGNAMES : TABLE_NAMES);
}

static size_t name_room(uint32_t flag)
{
	return flag ? TREE_NAME_MAX : NAME_SHORT_MAX;
}

/* A link between two inodes that are there. */
static bool name_makes_sense(const struct rebuild *b, uint32_t link)
{
	const struct name_record *name = name_at(b->t, link);
	uint64_t node = name_node(name);

	if (node_ix(node) == ROOT_IX || node_ix(node) >= b->end ||
	    !(b->seen[node_ix(node)] & SEEN_LIVE) ||
	    inode_node(b->t, node_ix(node)) != node)
		return false;
	if (name->parent >= b->end || !(b->seen[name->parent] & SEEN_DIR))
		return false;
	if (name->length == 0 || name->length > name_room(link & NAME_IS_LONG))
		return false;
	return name->position >= POSITION_FIRST &&
	       name->position < (uint64_t)INT64_MAX &&
	       !memchr(name->name, '/', name->length) &&
	       !memchr(name->name, '\0', name->length);
}

static void drop_name(struct rebuild *b, uint32_t link)
{
	atomic_store_explicit(&name_at(b->t, link)->node, 0,
			      memory_order_release);
	b->t->dropped++;
}

/* A directory has one name, and that name says where ".." leads. */
static bool claim_dir(struct rebuild *b, uint32_t link)
{
	const struct name_record *name = name_at(b->t, link);
	uint32_t ix = node_ix(name_node(name));

	if (!(b->seen[ix] & SEEN_DIR))
		return true;
	if (b->seen[ix] & SEEN_NAMED)
		return false;
	b->seen[ix] |= SEEN_NAMED;
	atomic_store_explicit(&inode_at(b->t, ix)->parent, name->parent,
			      memory_order_relaxed);
	return true;
}

static size_t sift_names(struct rebuild *b, uint32_t flag)
{
	size_t n = 0;

	for (uint32_t ix = 1; ix < names_end(b->t, flag); ix++) {
		uint32_t link = ix | flag;

		if (name_node(name_at(b->t, link)) == 0)
			continue;
		if (name_makes_sense(b, link) && claim_dir(b, link))
			n++;
		else
			drop_name(b, link);
	}
	return n;
}

/* --- which directories hang on the root --- */

/* Follow ".." from @ix until something is known, then say it of the path. */
static void settle_path(struct rebuild *b, uint32_t ix)
{
	uint32_t at = ix;
	uint8_t verdict;

	while (!(b->seen[at] & (SEEN_SAFE | SEEN_LOST | SEEN_WALKING))) {
		b->seen[at] |= SEEN_WALKING;
		if (!(b->seen[at] & SEEN_NAMED))
			break;
		at = atomic_load_explicit(&inode_at(b->t, at)->parent,
					  memory_order_relaxed);
	}
	/* A nameless end and a circle are equally lost. */
	verdict = b->seen[at] & SEEN_SAFE ? SEEN_SAFE : SEEN_LOST;
	for (at = ix; b->seen[at] & SEEN_WALKING;) {
		b->seen[at] &= (uint8_t)~SEEN_WALKING;
		b->seen[at] |= verdict;
		if (!(b->seen[at] & SEEN_NAMED))
			break;
		at = atomic_load_explicit(&inode_at(b->t, at)->parent,
					  memory_order_relaxed);
	}
}

static void settle_dirs(struct rebuild *b)
{
	for (uint32_t ix = 1; ix < b->end; ix++)
		if (b->seen[ix] & SEEN_DIR)
			settle_path(b, ix);
}

/* --- taking the names --- */

static void count_link(struct rebuild *b, const struct name_record *name)
{
	struct tree *t = b->t;
	uint32_t ix = node_ix(name_node(name));

	if (b->seen[ix] & SEEN_DIR) {
		/* Added: what is in it may have been counted before. */
		atomic_fetch_add(&inode_state(t, ix)->nlink, 2);
		atomic_fetch_add(&inode_state(t, name->parent)->nlink, 1);
	} else {
		atomic_fetch_add(&inode_state(t, ix)->nlink, 1);
	}
}

static int take_name(struct rebuild *b, uint32_t link)
{
	struct tree *t = b->t;
	const struct name_record *name = name_at(t, link);
	uint32_t ix = link & ~NAME_IS_LONG;
	int r = column_take(&t->names.state[link >> 31], ix, BUDGET_FORCED);

	if (r < 0)
		return r;
	names_insert(t, link);
	b->places[b->nr_places++] = (struct place){
		.position = name->position,
		.dir = name->parent,
		.name = link,
	};
	return table_mark(t->arena,
			  link & NAME_IS_LONG ? TABLE_LONGNAMES : TABLE_NAMES,
			  ix);
}

static bool name_is_good(const struct rebuild *b, uint32_t link)
{
	const struct name_record *name = name_at(b->t, link);

	return b->seen[name->parent] & SEEN_SAFE &&
	       names_find(b->t, name->parent, name->name, name->length) ==
		       RECORD_NONE;
}

static int take_names(struct rebuild *b, uint32_t flag)
{
	int r = 0;

	for (uint32_t ix = 1; ix < names_end(b->t, flag) && r == 0; ix++) {
		uint32_t link = ix | flag;

		if (name_node(name_at(b->t, link)) == 0)
			continue;
		if (name_is_good(b, link))
			r = take_name(b, link);
		else
			drop_name(b, link);
	}
	return r;
}

static int by_place(const void *a, const void *b)
{
	const struct place *x = a;
	const struct place *y = b;

	if (x->dir != y->dir)
		return x->dir < y->dir ? -1 : 1;
	if (x->position != y->position)
		return x->position < y->position ? -1 : 1;
	return 0;
}

/* Two names at one position cannot both be given by readdir: the later one
 * moves to the directory's end. */
static void part_twins(struct rebuild *b, const struct place *prev,
		       struct place *p)
{
	struct inode_record *dir = inode_at(b->t, p->dir);

	if (!prev || prev->dir != p->dir || prev->position != p->position)
		return;
	p->position = atomic_fetch_add(&dir->next_position, 1);
	name_at(b->t, p->name)->position = p->position;
	b->t->dropped++;
}

static void raise_next_positions(struct rebuild *b)
{
	for (size_t i = 0; i < b->nr_places; i++) {
		struct inode_record *dir = inode_at(b->t, b->places[i].dir);

		if (atomic_load(&dir->next_position) <= b->places[i].position)
			atomic_store(&dir->next_position,
				     b->places[i].position + 1);
	}
}

static int order_dirs(struct rebuild *b)
{
	struct place *p = b->places;
	uint64_t dropped = b->t->dropped;
	int r = 0;

	raise_next_positions(b);
	qsort(p, b->nr_places, sizeof(*p), by_place);
	for (size_t i = 1; i < b->nr_places; i++)
		part_twins(b, &p[i - 1], &p[i]);
	if (b->t->dropped != dropped)
		qsort(p, b->nr_places, sizeof(*p), by_place);
	for (size_t i = 0; i < b->nr_places && r == 0; i++) {
		count_link(b, name_at(b->t, p[i].name));
		r = dirs_append(b->t, p[i].dir, p[i].name);
	}
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
	n = sift_names(b, 0) + sift_names(b, NAME_IS_LONG);
	b->places = heap_zalloc(n + 1, sizeof(*b->places));
	if (!b->places)
		return -ENOMEM;
	settle_dirs(b);
	raise_words(b);
	atomic_store(&inode_state(t, ROOT_IX)->nlink, 2);
	r = take_names(b, 0);
	if (r == 0)
		r = take_names(b, NAME_IS_LONG);
	if (r == 0)
		r = order_dirs(b);
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
