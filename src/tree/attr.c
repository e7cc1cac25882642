/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attributes: what POSIX and Linux make a file system do about modes, owners
 * and times, beyond storing them.
 *
 * Times and modes are atomics: the content path (tree_wrote, tree_did_read)
 * changes them without the tree's lock.
 */
#include "base/clock.h"
#include "tree/acl.h"
#include "tree/inside.h"
#include "tree/set.h"

#define RELATIME_NS (INT64_C(24) * 3600 * (int64_t)NS_PER_S)

int tree_getattr(struct tree *t, uint64_t node, struct stat *ret)
{
	uint32_t ix;
	int r;

	rwlock_read(&t->lock);
	r = inode_find(t, node, &ix);
	if (r == 0)
		inode_stat(t, ix, ret);
	rwlock_read_end(&t->lock);
	return r;
}

/* Nanoseconds in 64 bits reach from 1678 to 2262: what is beyond is cut. */
static int64_t to_ns(struct timespec ts)
{
	int64_t most = INT64_MAX / (int64_t)NS_PER_S - 1;

	if (ts.tv_sec > most)
		return INT64_MAX;
	if (ts.tv_sec < -most)
		return INT64_MIN;
	return ts.tv_sec * (int64_t)NS_PER_S + ts.tv_nsec;
}

/*
 * The set-id bits that go when somebody writes or the owner changes. Set-gid
 * without group execution is a mark of old for locking: it stays when @in_group
 * (or a privileged one) does it. Of groups we know a caller's first one only;
 * for the others the bit goes, which is the safe side.
 */
static mode_t without_set_ids(mode_t mode, bool in_group)
{
	if (S_ISDIR(mode))
		return mode;
	mode &= ~(mode_t)S_ISUID;
	return mode & S_IXGRP || !in_group ? mode & ~(mode_t)S_ISGID : mode;
}

static bool is_in_group(const struct tree_caller *who,
			const struct inode_record *inode)
{
	return who->privileged ||
	       who->gid ==
		       atomic_load_explicit(&inode->gid, memory_order_relaxed);
}

struct setattr {
	const struct tree_caller *who;
	unsigned set;
	const struct stat *attr;
	bool size_changed;
	bool in_group;
};

#define SET_OWNER (TREE_SET_UID | TREE_SET_GID)

static bool kills_set_ids(const struct setattr *a)
{
	if (a->set & TREE_SET_MODE)
		return false;
	if (a->set & (SET_OWNER | TREE_SET_KILL_SUID))
		return true;
	return a->set & TREE_SET_SIZE && !a->who->privileged;
}

static bool kills_capability(const struct setattr *a)
{
	return a->set & (SET_OWNER | TREE_SET_SIZE | TREE_SET_KILL_SUID);
}

static mode_t mode_after(const struct setattr *a, mode_t mode)
{
	if (a->set & TREE_SET_MODE)
		mode = (mode & S_IFMT) | (a->attr->st_mode & 07777);
	return kills_set_ids(a) ? without_set_ids(mode, a->in_group) : mode;
}

static void set_times(const struct setattr *a, struct inode_record *inode)
{
	int64_t now = inode_now();

	if (a->set & TREE_SET_ATIME_NOW)
		atomic_store_explicit(&inode->atime, now, memory_order_relaxed);
	else if (a->set & TREE_SET_ATIME)
		atomic_store_explicit(&inode->atime, to_ns(a->attr->st_atim),
				      memory_order_relaxed);
	if (a->set & TREE_SET_MTIME && !(a->set & TREE_SET_MTIME_NOW))
		atomic_store_explicit(&inode->mtime, to_ns(a->attr->st_mtim),
				      memory_order_relaxed);
	else if (a->set & TREE_SET_MTIME_NOW || a->size_changed)
		atomic_store_explicit(&inode->mtime, now, memory_order_relaxed);
	if (a->set & TREE_SET_CTIME)
		now = to_ns(a->attr->st_ctim);
	atomic_store_explicit(&inode->ctime, now, memory_order_relaxed);
}

static void set_rest(const struct setattr *a, struct inode_record *inode)
{
	if (a->set & TREE_SET_UID)
		atomic_store_explicit(&inode->uid, a->attr->st_uid,
				      memory_order_relaxed);
	if (a->set & TREE_SET_GID)
		atomic_store_explicit(&inode->gid, a->attr->st_gid,
				      memory_order_relaxed);
	set_times(a, inode);
}

static int edit_attr(struct xattr_edit *e, struct xattr_set *set, mode_t mode,
		     mode_t *ret_mode)
{
	const struct setattr *a = e->arg;
	int changed = 0;
	bool none;
	char *acl;
	size_t n;

	*ret_mode = mode_after(a, mode);
	acl = set_get(set, XATTR_NAME_ACL, &n);
	if (a->set & TREE_SET_MODE && acl) {
		if (acl_check(acl, n, &none) < 0 || none)
			return -EIO;
		acl_chmod(acl, n, *ret_mode);
		changed = 1;
	}
	e->brings_none = true;
	if (kills_capability(a) && set_drop(set, XATTR_NAME_CAPABILITY))
		changed = 1;
	return changed;
}

static void done_attr(struct xattr_edit *e, struct tree *t, uint32_t ix)
{
	set_rest(e->arg, inode_at(t, ix));
}

/*
 * Without memory and without a codec, for it must not fail: a capability whose
 * flag is gone is not there any more, and the next change of the set leaves it
 * out.
 */
static void drop_capability_locked(struct tree *t, uint32_t ix)
{
	uint64_t word = inode_xattr(inode_at(t, ix));
	struct change change = {.xattr_inode = ix};

	if (!(xattr_word_flags(word) & XATTR_HAS_CAPABILITY))
		return;
	change.xattr_word = word & ~((uint64_t)XATTR_HAS_CAPABILITY << 32);
	change_commit(t, &change);
}

/* True when done; false when the ACL has to change too. */
static bool set_plain_locked(struct tree *t, const struct setattr *a,
			     uint32_t ix)
{
	struct inode_record *inode = inode_at(t, ix);

	if (a->set & TREE_SET_MODE &&
	    xattr_word_flags(inode_xattr(inode)) & XATTR_HAS_ACL)
		return false;
	if (kills_capability(a))
		drop_capability_locked(t, ix);
	atomic_store_explicit(&inode->mode, mode_after(a, inode_mode(inode)),
			      memory_order_release);
	set_rest(a, inode);
	return true;
}

static int set_size(struct tree *t, const struct tree_caller *who,
		    uint64_t node, off_t size, bool *ret_changed)
{
	struct file file;
	uint64_t before;
	int r = tree_file(t, node, &file);

	if (r == 0 && size < 0)
		r = -EINVAL;
	if (r < 0)
		return r;
	before = atomic_load_explicit(&file.body->size, memory_order_relaxed);
	r = store_truncate(t->store, who->stream, file, (uint64_t)size);
	if (r == 0)
		*ret_changed = before != (uint64_t)size;
	return r;
}

int tree_setattr(struct tree *t, const struct tree_caller *who, uint64_t node,
		 unsigned set, const struct stat *attr, struct stat *ret)
{
	struct setattr a = {.who = who, .set = set, .attr = attr};
	struct xattr_edit e = {.edit = edit_attr, .done = done_attr, .arg = &a};
	bool done = set == 0;
	uint32_t ix;
	int r = 0;

	if (set & TREE_SET_SIZE)
		r = set_size(t, who, node, attr->st_size, &a.size_changed);
	if (r == 0 && !done) {
		rwlock_write(&t->lock);
		r = inode_find(t, node, &ix);
		if (r == 0) {
			a.in_group = is_in_group(who, inode_at(t, ix));
			done = set_plain_locked(t, &a, ix);
		}
		rwlock_write_end(&t->lock);
	}
	if (r == 0 && !done)
		r = xattr_edit(t, who, node, &e);
	return r < 0 ? r : tree_getattr(t, node, ret);
}

/* --- contents: without the tree's lock --- */

int tree_file(struct tree *t, uint64_t node, struct file *ret)
{
	mode_t mode;
	uint32_t ix;
	int r = inode_find(t, node, &ix);

	if (r < 0)
		return r;
	mode = inode_mode(inode_at(t, ix));
	if (S_ISDIR(mode))
		return -EISDIR;
	if (!S_ISREG(mode))
		return -EINVAL;
	*ret = inode_file(t, ix);
	return 0;
}

static bool drop_set_ids(struct inode_record *inode, bool in_group)
{
	uint32_t mode = inode_mode(inode);

	/* 0: the inode has gone meanwhile and must not come back. */
	while (mode != 0 && without_set_ids(mode, in_group) != mode)
		if (atomic_compare_exchange_weak(
			    &inode->mode, &mode,
			    without_set_ids(mode, in_group)))
			return true;
	return false;
}

bool tree_wrote(struct tree *t, const struct tree_caller *who, uint64_t node)
{
	struct inode_record *inode;
	bool dropped = false;
	uint32_t ix;

	if (inode_find(t, node, &ix) < 0)
		return false;
	inode = inode_at(t, ix);
	inode_touch_changed(t, ix, inode_now());
	if (!who->privileged)
		dropped = drop_set_ids(inode, is_in_group(who, inode));
	if (!(xattr_word_flags(inode_xattr(inode)) & XATTR_HAS_CAPABILITY))
		return dropped;
	rwlock_write(&t->lock);
	if (inode_find(t, node, &ix) == 0)
		drop_capability_locked(t, ix);
	rwlock_write_end(&t->lock);
	return dropped;
}

void tree_did_read(struct tree *t, uint64_t node)
{
	struct inode_record *inode;
	int64_t atime, now;
	uint32_t ix;

	if (inode_find(t, node, &ix) < 0)
		return;
	inode = inode_at(t, ix);
	atime = atomic_load_explicit(&inode->atime, memory_order_relaxed);
	now = inode_now();
	if (atime > atomic_load_explicit(&inode->mtime, memory_order_relaxed) &&
	    atime > atomic_load_explicit(&inode->ctime, memory_order_relaxed) &&
	    now - atime < RELATIME_NS)
		return;
	atomic_store_explicit(&inode->atime, now, memory_order_relaxed);
}
