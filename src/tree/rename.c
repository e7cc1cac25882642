/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rename, with its two flags: the stores are one change, done or not.
 *
 * Replacing and exchanging change what existing name records mean and make
 * none; only a new name needs a record, and takes it from the reserve: moving
 * things about must work at a full budget.
 */
#include "tree/inside.h"
#include <stdio.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE 2u
#endif

/* One end of the rename: a name in a directory and what it means. */
struct end {
	uint32_t dir;
	const char *name;
	size_t n;
	uint32_t link; /* RECORD_NONE: no such name yet */
	uint64_t node;
	uint32_t ix;
	bool is_dir;
};

static int end_find(struct tree *t, uint64_t parent, struct end *e)
{
	int r = dir_find(t, parent, &e->dir);

	if (r < 0)
		return r;
	e->link = names_find(t, e->dir, e->name, e->n);
	if (e->link == RECORD_NONE)
		return 0;
	e->node = name_node(name_at(t, e->link));
	e->ix = node_ix(e->node);
	e->is_dir = inode_is_dir(t, e->ix);
	return 0;
}

/* Whether directory @dir is @above or below it. */
static bool is_below(const struct tree *t, uint32_t dir, uint32_t above)
{
	while (dir != above && dir != ROOT_IX)
		dir = atomic_load_explicit(&inode_at(t, dir)->parent,
					   memory_order_relaxed);
	return dir == above;
}

static int check_ends(const struct tree *t, const struct end *from,
		      const struct end *to, unsigned flags)
{
	if (from->link == RECORD_NONE)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && to->link != RECORD_NONE)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE && to->link == RECORD_NONE)
		return -ENOENT;
	if (from->is_dir && is_below(t, to->dir, from->ix))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE)
		return to->is_dir && is_below(t, from->dir, to->ix) ? -EINVAL
								    : 0;
	if (to->link == RECORD_NONE || to->ix == from->ix)
		return 0;
	if (from->is_dir && !to->is_dir)
		return -ENOTDIR;
	if (!from->is_dir && to->is_dir)
		return -EISDIR;
	if (to->is_dir && dirs_entries(t, to->ix) != 0)
		return -ENOTEMPTY;
	return 0;
}

/* Directory @what, which was in @from, is in @to: ".." and link counts. */
static void plan_move(struct change *c, unsigned i, const struct end *what,
		      uint32_t to)
{
	if (!what->is_dir)
		return;
	c->move[i].dir = what->ix;
	c->move[i].parent = to;
}

static void count_move(struct tree *t, const struct end *what, uint32_t to)
{
	if (!what->is_dir)
		return;
	atomic_fetch_sub(&inode_state(t, what->dir)->nlink, 1);
	atomic_fetch_add(&inode_state(t, to)->nlink, 1);
}

static void touch_ends(struct tree *t, const struct end *from,
		       const struct end *to)
{
	int64_t now = inode_now();

	inode_touch_changed(t, from->dir, now);
	inode_touch_changed(t, to->dir, now);
	inode_touch_ctime(t, from->ix, now);
	if (to->link != RECORD_NONE)
		inode_touch_ctime(t, to->ix, now);
}

static void exchange(struct tree *t, uint64_t op, const struct end *a,
		     const struct end *b)
{
	struct change c = {.op = op};

	c.link[0].name = a->link;
	c.link[0].node = b->node;
	c.link[1].name = b->link;
	c.link[1].node = a->node;
	plan_move(&c, 0, a, b->dir);
	plan_move(&c, 1, b, a->dir);
	change_commit(t, &c);
	count_move(t, a, b->dir);
	count_move(t, b, a->dir);
	touch_ends(t, a, b);
}

/* The old name's record goes; the new one's begins to mean the source. */
static uint32_t replace(struct tree *t, uint64_t op, const struct end *from,
			const struct end *to)
{
	struct change c = {.op = op};

	c.link[0].name = to->link;
	c.link[0].node = from->node;
	c.link[1].name = from->link;
	plan_move(&c, 0, from, to->dir);
	change_commit(t, &c);
	link_remove(t, from->dir, from->link);
	count_move(t, from, to->dir);
	if (to->is_dir)
		atomic_fetch_sub(&inode_state(t, to->dir)->nlink, 1);
	inode_unnamed_locked(t, to->ix);
	touch_ends(t, from, to);
	return inode_reap_locked(t, to->ix) ? to->ix : RECORD_NONE;
}

static int move(struct tree *t, uint64_t op, const struct end *from,
		struct end *to)
{
	struct change c = {.op = op};
	uint32_t link;
	int r = link_prepare(t, BUDGET_RESERVE, to->dir, to->name, to->n,
			     &link);

	if (r < 0)
		return r;
	c.link[0].name = link;
	c.link[0].node = from->node;
	c.link[1].name = from->link;
	plan_move(&c, 0, from, to->dir);
	change_commit(t, &c);
	/* In this order: what was prepared must not go with the last entry. */
	link_insert(t, to->dir, link);
	link_remove(t, from->dir, from->link);
	count_move(t, from, to->dir);
	touch_ends(t, from, to);
	return 0;
}

static int rename_locked(struct tree *t, uint64_t op, uint64_t parent,
			 uint64_t new_parent, struct end *from, struct end *to,
			 unsigned flags, uint32_t *ret_dead)
{
	int r = end_find(t, parent, from);

	if (r == 0)
		r = end_find(t, new_parent, to);
	if (r == 0)
		r = check_ends(t, from, to, flags);
	if (r < 0)
		return r;
	/* Two names of one file: POSIX has nothing happen. */
	if (to->link != RECORD_NONE && to->ix == from->ix)
		return 0;
	if (flags & RENAME_EXCHANGE)
		exchange(t, op, from, to);
	else if (to->link != RECORD_NONE)
		*ret_dead = replace(t, op, from, to);
	else
		r = move(t, op, from, to);
	return r;
}

int tree_rename(struct tree *t, const struct tree_caller *who, uint64_t parent,
		const char *name, uint64_t new_parent, const char *new_name,
		unsigned flags)
{
	struct end from = {.name = name};
	struct end to = {.name = new_name};
	uint32_t dead = RECORD_NONE;
	int r = name_check(name, &from.n);

	if (r == 0)
		r = name_check_new(new_name, &to.n);
	if (r < 0)
		return r;
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	rwlock_write(&t->lock);
	r = rename_locked(t, who->op, parent, new_parent, &from, &to, flags,
			  &dead);
	rwlock_write_end(&t->lock);
	if (dead != RECORD_NONE)
		inode_bury(t, row_of(who), dead);
	return r;
}
