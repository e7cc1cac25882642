/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that go: unlink and rmdir.
 *
 * They need no memory, so they work at a full budget. What an inode without
 * name and lookup holds is freed after the lock.
 */
#include "tree/inside.h"

static int find_victim(struct tree *t, uint64_t parent, const char *name,
		       size_t n, uint32_t *ret_dir, uint32_t *ret_link)
{
	uint32_t dir, link;
	int r = dir_find(t, parent, &dir);

	if (r < 0)
		return r;
	link = names_find(t, dir, name, n);
	if (link == RECORD_NONE)
		return -ENOENT;
	*ret_dir = dir;
	*ret_link = link;
	return 0;
}

static void take_back(struct tree *t, const struct tree_caller *who,
		      uint32_t dir, uint32_t link, uint32_t ix)
{
	struct change change = {.op = who->op};
	int64_t now = inode_now();

	change.link[0].name = link;
	change_commit(t, &change);
	link_remove(t, dir, link);
	inode_unnamed_locked(t, ix);
	inode_touch_ctime(t, ix, now);
	inode_touch_changed(t, dir, now);
}

static int unlink_locked(struct tree *t, const struct tree_caller *who,
			 uint64_t parent, const char *name, size_t n,
			 uint32_t *ret_dead)
{
	uint32_t dir, link, ix;
	int r = find_victim(t, parent, name, n, &dir, &link);

	if (r < 0)
		return r;
	ix = node_ix(name_node(name_at(t, link)));
	if (inode_is_dir(t, ix))
		return -EISDIR;
	take_back(t, who, dir, link, ix);
	*ret_dead = inode_reap_locked(t, ix) ? ix : RECORD_NONE;
	return 0;
}

static int rmdir_locked(struct tree *t, const struct tree_caller *who,
			uint64_t parent, const char *name, size_t n,
			uint32_t *ret_dead)
{
	uint32_t dir, link, ix;
	int r = find_victim(t, parent, name, n, &dir, &link);

	if (r < 0)
		return r;
	ix = node_ix(name_node(name_at(t, link)));
	if (!inode_is_dir(t, ix))
		return -ENOTDIR;
	if (dirs_entries(t, ix) != 0)
		return -ENOTEMPTY;
	take_back(t, who, dir, link, ix);
	atomic_fetch_sub(&inode_state(t, dir)->nlink, 1);
	*ret_dead = inode_reap_locked(t, ix) ? ix : RECORD_NONE;
	return 0;
}

static int remove_name(struct tree *t, const struct tree_caller *who,
		       uint64_t parent, const char *name,
		       int (*how)(struct tree *t, const struct tree_caller *who,
				  uint64_t parent, const char *name, size_t n,
				  uint32_t *ret_dead))
{
	uint32_t dead = RECORD_NONE;
	size_t n;
	int r = name_check(name, &n);

	if (r < 0)
		return r;
	rwlock_write(&t->lock);
	r = how(t, who, parent, name, n, &dead);
	rwlock_write_end(&t->lock);
	if (dead != RECORD_NONE)
		inode_bury(t, row_of(who), dead);
	return r;
}

int tree_unlink(struct tree *t, const struct tree_caller *who, uint64_t parent,
		const char *name)
{
	return remove_name(t, who, parent, name, unlink_locked);
}

int tree_rmdir(struct tree *t, const struct tree_caller *who, uint64_t parent,
	       const char *name)
{
	return remove_name(t, who, parent, name, rmdir_locked);
}
