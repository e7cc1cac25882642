/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operation records: several words changed as one, and replies kept.
 *
 * A change is written whole into its record, the record is made ACTIVE with
 * one store, and then the stores are done; attach does those of an ACTIVE
 * record again. The tree's write lock is held from ACTIVE to DONE, so at most
 * one record is ever ACTIVE. A DONE record answers its request if that comes
 * again; it is free when the reply has reached the kernel, and the oldest is
 * reused when none is free.
 */
#include "tree/inside.h"

void ops_init(struct ops *ops)
{
	lock_init(&ops->lock, LOCK_LEAF);
	ops->next_age = 1;
}

void ops_fini(struct ops *ops)
{
	lock_fini(&ops->lock);
}

static struct op_record *op_at(const struct tree *t, uint32_t ix)
{
	return table_at(t->arena, TABLE_OPS, ix);
}

static void op_set(struct op_record *op, enum op_state state)
{
	atomic_store_explicit(&op->state, state, memory_order_release);
}

int ops_make(struct tree *t)
{
	for (unsigned i = 0; i < OPS_KEPT; i++) {
		uint32_t *ix = &t->ops.record[i];
		int r;

		if (*ix != RECORD_NONE)
			continue;
		r = table_alloc(t->arena, TABLE_OPS, BUDGET_FORCED, ix);
		if (r < 0)
			return r;
		op_set(op_at(t, *ix), OP_FREE);
	}
	return 0;
}

/* --- the stores --- */

static void store_link(struct tree *t, uint32_t name, uint64_t node)
{
	if (name == RECORD_NONE)
		return;
	atomic_store_explicit(&name_at(t, name)->node, node,
			      memory_order_release);
	tree_step(t);
}

static void store_parent(struct tree *t, uint32_t dir, uint32_t parent)
{
	if (dir == RECORD_NONE)
		return;
	atomic_store_explicit(&inode_at(t, dir)->parent, parent,
			      memory_order_release);
	tree_step(t);
}

/* An inode is whole before a name means it: xattrs, mode, then links. */
static void apply(struct tree *t, const struct change *c)
{
	if (c->xattr_inode != RECORD_NONE) {
		atomic_store_explicit(&inode_at(t, c->xattr_inode)->xattr,
				      c->xattr_word, memory_order_release);
		tree_step(t);
	}
	if (c->mode_inode != RECORD_NONE) {
		atomic_store_explicit(&inode_at(t, c->mode_inode)->mode,
				      c->mode, memory_order_release);
		tree_step(t);
	}
	store_link(t, c->link[0].name, c->link[0].node);
	store_link(t, c->link[1].name, c->link[1].node);
	store_parent(t, c->move[0].dir, c->move[0].parent);
	store_parent(t, c->move[1].dir, c->move[1].parent);
}

/* A slot nobody waits for, else the oldest. */
static unsigned choose_slot(struct ops *ops)
{
	unsigned best = 0;

	for (unsigned i = 1; i < OPS_KEPT && ops->number[best] != 0; i++)
		if (ops->number[i] == 0 || ops->age[i] < ops->age[best])
			best = i;
	return best;
}

void change_commit(struct tree *t, const struct change *change)
{
	struct ops *ops = &t->ops;
	struct op_record *op;
	unsigned i;

	lock_take(&ops->lock);
	i = choose_slot(ops);
	op = op_at(t, ops->record[i]);
	op_set(op, OP_FREE);
	ops->number[i] = change->op;
	ops->age[i] = ops->next_age++;
	lock_drop(&ops->lock);
	/* From here on the record is ours: tree_op_done() of its new number
	 * cannot come before its reply was sent. */
	op->age = ops->age[i];
	op->change = *change;
	tree_step(t);
	op_set(op, OP_ACTIVE);
	tree_step(t);
	apply(t, change);
	op_set(op, change->op ? OP_DONE : OP_FREE);
	tree_step(t);
}

void tree_op_done(struct tree *t, uint64_t number)
{
	struct ops *ops = &t->ops;

	if (number == 0)
		return;
	lock_take(&ops->lock);
	for (unsigned i = 0; i < OPS_KEPT; i++) {
		if (ops->number[i] != number)
			continue;
		op_set(op_at(t, ops->record[i]), OP_FREE);
		ops->number[i] = 0;
	}
	lock_drop(&ops->lock);
}

static bool find_done(struct tree *t, uint64_t number, uint64_t *ret_node)
{
	struct ops *ops = &t->ops;
	bool found = false;

	lock_take(&ops->lock);
	for (unsigned i = 0; i < OPS_KEPT && !found; i++) {
		if (ops->number[i] != number)
			continue;
		*ret_node = op_at(t, ops->record[i])->change.entry;
		found = true;
	}
	lock_drop(&ops->lock);
	return found;
}

int tree_replay(struct tree *t, uint64_t number, int *ret_error,
		struct tree_entry *ret_entry)
{
	uint64_t node;
	uint32_t ix;
	int r = 0;

	/* Only what succeeded is kept: what failed changed nothing and may
	 * simply run again. */
	if (number == 0 || !find_done(t, number, &node))
		return -ENOENT;
	if (node != 0) {
		rwlock_read(&t->lock);
		r = inode_find(t, node, &ix);
		if (r == 0)
			inode_entry(t, ix, ret_entry);
		rwlock_read_end(&t->lock);
	}
	*ret_error = r;
	return 0;
}

/* --- attach --- */

static bool name_is_possible(struct tree *t, uint32_t ix)
{
	enum arena_table table =
		ix & NAME_IS_LONG ? TABLE_LONGNAMES : TABLE_NAMES;

	return (ix & ~NAME_IS_LONG) < table_end(t->arena, table);
}

/* Indexes of a record that may be damaged: nothing outside the tables. */
static bool change_is_possible(struct tree *t, const struct change *c)
{
	uint32_t end = table_end(t->arena, TABLE_INODES);

	return name_is_possible(t, c->link[0].name) &&
	       name_is_possible(t, c->link[1].name) && c->move[0].dir < end &&
	       c->move[1].dir < end && c->xattr_inode < end &&
	       c->mode_inode < end;
}

static void adopt(struct tree *t, unsigned slot, uint32_t ix)
{
	struct op_record *op = op_at(t, ix);
	struct ops *ops = &t->ops;
	uint32_t state = atomic_load_explicit(&op->state, memory_order_acquire);

	ops->record[slot] = ix;
	if (state == OP_ACTIVE && change_is_possible(t, &op->change)) {
		apply(t, &op->change);
		state = OP_DONE;
	}
	if (state != OP_DONE || op->change.op == 0) {
		op_set(op, OP_FREE);
		return;
	}
	op_set(op, OP_DONE);
	ops->number[slot] = op->change.op;
	ops->age[slot] = op->age;
	if (op->age >= ops->next_age)
		ops->next_age = op->age + 1;
}

int ops_attach(struct tree *t)
{
	uint32_t end = table_end(t->arena, TABLE_OPS);
	unsigned n = 0;

	for (uint32_t ix = 1; ix < end && n < OPS_KEPT; ix++) {
		uint32_t state = atomic_load_explicit(&op_at(t, ix)->state,
						      memory_order_acquire);

		if (state < OP_FREE || state > OP_DONE)
			continue;
		if (table_mark(t->arena, TABLE_OPS, ix) == 0)
			adopt(t, n++, ix);
	}
	table_scan_end(t->arena, TABLE_OPS);
	return ops_make(t);
}
