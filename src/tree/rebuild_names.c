/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attach, the names: which of them make sense, which directories hang on the
 * root, and the order of their entries.
 */
#include "tree/rebuild.h"
#include <stdlib.h>

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

static size_t sift(struct rebuild *b, uint32_t flag)
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

size_t rebuild_sift_names(struct rebuild *b)
{
	return sift(b, 0) + sift(b, NAME_IS_LONG);
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

void rebuild_settle_dirs(struct rebuild *b)
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

static int take_all(struct rebuild *b, uint32_t flag)
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

int rebuild_take_names(struct rebuild *b)
{
	int r = take_all(b, 0);

	return r < 0 ? r : take_all(b, NAME_IS_LONG);
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

int rebuild_order_dirs(struct rebuild *b)
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
