/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walking over all bodies while the tree goes on changing, and coming back to
 * one file by its number.
 *
 * A walk pins the one body it is at. Whoever would free a pinned body leaves
 * that to the walk: it sets `dead`, and the last pin on the body frees it. A
 * pin is made under the tree's read lock, when truth still reaches the body;
 * freeing begins after a write lock, so no pin comes after the look at them.
 */
#include "tree/inside.h"

bool pin_takes_over(struct tree *t, uint32_t ix, bool is_xattr)
{
	bool taken = false;

	lock_take(&t->pins_lock);
	for (struct pin *p = t->pins; p; p = p->next) {
		if (p->ix != ix || p->is_xattr != is_xattr)
			continue;
		p->dead = true;
		taken = true;
	}
	lock_drop(&t->pins_lock);
	return taken;
}

static void pin(struct tree *t, struct pin *p, uint32_t ix, bool is_xattr)
{
	*p = (struct pin){.ix = ix, .is_xattr = is_xattr};
	lock_take(&t->pins_lock);
	p->next = t->pins;
	t->pins = p;
	lock_drop(&t->pins_lock);
}

/* Of two that unpin a dead body at once exactly one finds no other pin, and
 * only that one may free it. */
static void unpin(struct tree *t, unsigned row, struct pin *p)
{
	bool last = true;

	lock_take(&t->pins_lock);
	for (struct pin **at = &t->pins; *at;) {
		if (*at == p) {
			*at = p->next;
			continue;
		}
		if ((*at)->ix == p->ix && (*at)->is_xattr == p->is_xattr)
			last = false;
		at = &(*at)->next;
	}
	lock_drop(&t->pins_lock);
	if (!p->dead || !last)
		return;
	if (p->is_xattr)
		xattr_bury(t, row, p->ix);
	else
		inode_bury(t, row, p->ix);
}

/* Pin inode @ix's own body, or its xattrs' one, if there is such. */
static bool pin_one(struct tree *t, uint32_t ix, bool is_xattr, struct pin *p,
		    struct file *ret)
{
	uint32_t xattr = RECORD_NONE;
	bool live;

	rwlock_read(&t->lock);
	live = inode_mode(inode_at(t, ix)) != 0;
	if (live && is_xattr)
		xattr = xattr_word_ix(inode_xattr(inode_at(t, ix)));
	if (live && is_xattr && xattr == RECORD_NONE)
		live = false;
	if (live)
		pin(t, p, is_xattr ? xattr : ix, is_xattr);
	rwlock_read_end(&t->lock);
	if (live)
		*ret = is_xattr ? xattr_file(t, xattr) : inode_file(t, ix);
	return live;
}

void tree_each_body(struct tree *t, unsigned row,
		    bool (*visit)(void *arg, struct file file), void *arg)
{
	struct file file;
	struct pin p;

	for (uint32_t ix = 1; ix < table_end(t->arena, TABLE_INODES); ix++)
		for (unsigned is_xattr = 0; is_xattr < 2; is_xattr++) {
			bool go_on;

			if (!table_is_used(t->arena, TABLE_INODES, ix) ||
			    !pin_one(t, ix, is_xattr, &p, &file))
				break;
			go_on = visit(arg, file);
			unpin(t, row, &p);
			if (!go_on)
				return;
		}
}

/* As pin_one(), for regular files alone. */
static bool pin_regular(struct tree *t, uint32_t ix, struct pin *p,
			struct file *ret)
{
	bool live;

	if (!table_is_used(t->arena, TABLE_INODES, ix))
		return false;
	rwlock_read(&t->lock);
	live = S_ISREG(inode_mode(inode_at(t, ix)));
	if (live)
		pin(t, p, ix, false);
	rwlock_read_end(&t->lock);
	if (live)
		*ret = inode_file(t, ix);
	return live;
}

void tree_each_file(struct tree *t, unsigned row,
		    bool (*visit)(void *arg, struct file file), void *arg)
{
	struct file file;
	struct pin p;
	bool go_on = true;

	for (uint32_t ix = 1; go_on && ix < table_end(t->arena, TABLE_INODES);
	     ix++) {
		if (!pin_regular(t, ix, &p, &file))
			continue;
		go_on = visit(arg, file);
		unpin(t, row, &p);
	}
}

bool tree_with_file(struct tree *t, unsigned row, uint32_t ix,
		    void (*call)(void *arg, struct file file), void *arg)
{
	struct file file;
	struct pin p;

	if (!pin_regular(t, ix, &p, &file))
		return false;
	call(arg, file);
	unpin(t, row, &p);
	return true;
}

uint32_t tree_files_end(const struct tree *t)
{
	return table_end(t->arena, TABLE_INODES);
}
