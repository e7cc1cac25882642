/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rename, with its three flags: the stores are one change, done or not.
 *
 * Replacing and exchanging change what existing name records mean and make
 * none; only a new name needs a record, and takes it from the reserve: moving
 * things about must work at a full budget. A whiteout takes over the old
 * name's record; it is a new file, and what it needs is no reserve.
 */
#include "tree/inside.h"
#include <stdio.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE 2u
#define RENAME_WHITEOUT 4u
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

/* @link begins to mean the source, the old name nothing or @white. */
static void plan_link(struct tree *t, struct change *c, const struct end *from,
		      uint32_t link, const struct draft *white)
{
	c->link[0].name = link;
	c->link[0].node = from->node;
	c->link[1].name = from->link;
	if (!white)
		return;
	c->link[1].node = inode_node(t, white->ix);
	c->mode_inode = white->ix;
	c->mode = white->mode;
}

/* What becomes of the old name, after the commit. */
static void leave(struct tree *t, const struct end *from,
		  const struct draft *white)
{
	if (white)
		atomic_store(&inode_state(t, white->ix)->nlink, 1);
	else
		link_remove(t, from->dir, from->link);
}

/* The old name's record goes; the new one's begins to mean the source. */
static uint32_t replace(struct tree *t, uint64_t op, const struct end *from,
			const struct end *to, const struct draft *white)
{
	struct change c = {.op = op};

	plan_link(t, &c, from, to->link, white);
	plan_move(&c, 0, from, to->dir);
	change_commit(t, &c);
	leave(t, from, white);
	count_move(t, from, to->dir);
	if (to->is_dir)
		atomic_fetch_sub(&inode_state(t, to->dir)->nlink, 1);
	inode_unnamed_locked(t, to->ix);
	touch_ends(t, from, to);
	return inode_reap_locked(t, to->ix) ? to->ix : RECORD_NONE;
}

static int move(struct tree *t, uint64_t op, const struct end *from,
		struct end *to, const struct draft *white)
{
	struct change c = {.op = op};
	uint32_t link;
	int r = link_prepare(t, BUDGET_RESERVE, to->dir, to->name, to->n,
			     &link);

	if (r < 0)
		return r;
	plan_link(t, &c, from, link, white);
	plan_move(&c, 0, from, to->dir);
	change_commit(t, &c);
	/* In this order: what was prepared must not go with the last entry. */
	link_insert(t, to->dir, link);
	leave(t, from, white);
	count_move(t, from, to->dir);
	touch_ends(t, from, to);
	return 0;
}

/* What one call is about. */
struct renaming {
	uint64_t parent;
	uint64_t new_parent;
	struct end from;
	struct end to;
	unsigned flags;
	struct draft *white; /* NULL: none, or none any more */
	uint32_t dead;       /* RECORD_NONE: nobody died */
};

static int rename_locked(struct tree *t, const struct tree_caller *who,
			 struct renaming *a)
{
	struct end *from = &a->from;
	struct end *to = &a->to;
	int r = end_find(t, a->parent, from);

	if (r == 0)
		r = end_find(t, a->new_parent, to);
	if (r == 0)
		r = check_ends(t, from, to, a->flags);
	if (r == 0 && a->white)
		r = draft_settle_locked(t, who, from->dir, a->white);
	if (r < 0)
		return r;
	/* Two names of one file: POSIX has nothing happen. */
	if (to->link != RECORD_NONE && to->ix == from->ix)
		return 0;
	if (a->flags & RENAME_EXCHANGE)
		exchange(t, who->op, from, to);
	else if (to->link != RECORD_NONE)
		a->dead = replace(t, who->op, from, to, a->white);
	else
		r = move(t, who->op, from, to, a->white);
	/* It is in the old name's place now: not for us to bury any more. */
	if (r == 0)
		a->white = NULL;
	return r;
}

static int rename_once(struct tree *t, const struct tree_caller *who,
		       struct renaming *a)
{
	struct draft white = {.mode = S_IFCHR};
	int r;

	a->white = NULL;
	if (a->flags & RENAME_WHITEOUT) {
		r = draft_make(t, who, a->parent, NULL, 0, 0, NULL, &white);
		if (r < 0)
			return r;
		a->white = &white;
		tree_step(t);
	}
	rwlock_write(&t->lock);
	r = rename_locked(t, who, a);
	rwlock_write_end(&t->lock);
	if (a->white)
		inode_bury_unborn(t, row_of(who), white.ix);
	return r;
}

int tree_rename(struct tree *t, const struct tree_caller *who, uint64_t parent,
		const char *name, uint64_t new_parent, const char *new_name,
		unsigned flags)
{
	struct renaming a = {.parent = parent,
			     .new_parent = new_parent,
			     .flags = flags,
			     .dead = RECORD_NONE};
	int r = name_check(name, &a.from.n);

	if (r == 0)
		r = name_check_new(new_name, &a.to.n);
	if (r < 0)
		return r;
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) ||
	    (flags & RENAME_EXCHANGE && flags != RENAME_EXCHANGE))
		return -EINVAL;
	do {
		a.from = (struct end){.name = name, .n = a.from.n};
		a.to = (struct end){.name = new_name, .n = a.to.n};
		r = rename_once(t, who, &a);
	} while (r == -EAGAIN);
	if (a.dead != RECORD_NONE)
		inode_bury(t, row_of(who), a.dead);
	return r;
}
