/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * New files of any type, and new names for files that are there.
 *
 * All that costs time (a symlink's target, inherited ACLs) is made before the
 * write lock is taken, in a record that nobody finds; if the directory's
 * default ACL has changed meanwhile, it is made again.
 */
#include "tree/acl.h"
#include "tree/inside.h"
#include "tree/set.h"

/* Links that one file may have: far from where 32 bits wrap. */
#define LINK_MOST (1u << 30)

/* --- names in general --- */

int link_prepare(struct tree *t, enum budget_use use, uint32_t dir,
		 const char *name, size_t n, uint32_t *ret_name)
{
	uint32_t ix;
	int r = name_alloc(t, use, dir, name, n, &ix);

	if (r < 0)
		return r;
	r = dirs_prepare(t, dir, use);
	if (r < 0) {
		name_free(t, ix);
		return r;
	}
	name_at(t, ix)->position = atomic_load_explicit(
		&inode_at(t, dir)->next_position, memory_order_relaxed);
	*ret_name = ix;
	return 0;
}

void link_insert(struct tree *t, uint32_t dir, uint32_t name)
{
	names_insert(t, name);
	dirs_insert(t, dir, name);
	atomic_store_explicit(&inode_at(t, dir)->next_position,
			      name_at(t, name)->position + 1,
			      memory_order_relaxed);
}

void link_remove(struct tree *t, uint32_t dir, uint32_t name)
{
	names_remove(t, name);
	dirs_remove(t, dir, name);
	name_free(t, name);
}

/* --- an inode in the making --- */

static uint64_t default_acl_of(const struct tree *t, uint32_t dir,
			       uint64_t *ret_serial)
{
	uint64_t word = inode_xattr(inode_at(t, dir));

	*ret_serial = 0;
	if (!(xattr_word_flags(word) & XATTR_HAS_DEFAULT_ACL))
		return 0;
	*ret_serial = xattr_at(t, xattr_word_ix(word))->serial;
	return word;
}

/* What the directory's set @from gives a new file: ACLs in @to, its mode. */
static int inherit_acls(const struct xattr_set *from, struct draft *d,
			struct xattr_set *to)
{
	bool none = true;
	char *acl;
	size_t n;
	int r;

	acl = set_get(from, XATTR_NAME_DEFAULT_ACL, &n);
	if (!acl || acl_check(acl, n, &none) < 0 || none)
		return -EIO;
	r = 0;
	if (S_ISDIR(d->mode))
		r = set_put(to, XATTR_NAME_DEFAULT_ACL, acl, n);
	if (r == 0 && !acl_inherit(acl, n, &d->mode))
		r = set_put(to, XATTR_NAME_ACL, acl, n);
	return r;
}

/*
 * Look at the directory: may @name (NULL: none) be made, what does it give?
 * @ret_set is its set of xattrs if it has a default ACL.
 */
static int look_at_parent(struct tree *t, const struct tree_caller *who,
			  uint64_t parent, const char *name, size_t n,
			  struct draft *d, struct xattr_set *ret_set)
{
	uint32_t dir;
	int r;

	*ret_set = (struct xattr_set){0};
	rwlock_read(&t->lock);
	r = dir_find(t, parent, &dir);
	if (r == 0 && name && names_find(t, dir, name, n) != RECORD_NONE)
		r = -EEXIST;
	if (r == 0) {
		d->acl_word = default_acl_of(t, dir, &d->acl_serial);
		/* A symlink has no permissions of its own. */
		if (d->acl_word && !S_ISLNK(d->mode))
			r = xattr_load(t, who->stream, d->acl_word, ret_set);
	}
	rwlock_read_end(&t->lock);
	return r;
}

static int fill_target(struct tree *t, const struct tree_caller *who,
		       uint32_t ix, const char *target)
{
	size_t n = strnlen(target, PAGE_BYTES);

	if (n == 0)
		return -ENOENT;
	if (n >= PAGE_BYTES)
		return -ENAMETOOLONG;
	return store_fill_body(t->store, who->stream, inode_file(t, ix), target,
			       n);
}

static int fill_draft(struct tree *t, const struct tree_caller *who,
		      const struct xattr_set *from, dev_t rdev,
		      const char *target, struct draft *d)
{
	struct inode_record *inode = inode_at(t, d->ix);
	struct xattr_set set = {0};
	uint64_t word = 0;
	int r = 0;

	if (from->n != 0)
		r = inherit_acls(from, d, &set);
	else if (!S_ISLNK(d->mode))
		d->mode &= ~(who->umask & 0777);
	if (r == 0)
		r = xattr_store(t, who->stream, d->ix, &set, &word);
	set_fini(&set);
	if (r < 0)
		return r;
	atomic_store_explicit(&inode->xattr, word, memory_order_release);
	if (inode_is_device(d->mode))
		inode->rdev = rdev;
	atomic_store_explicit(&inode->uid, who->uid, memory_order_relaxed);
	if (S_ISLNK(d->mode))
		r = fill_target(t, who, d->ix, target);
	return r;
}

int draft_make(struct tree *t, const struct tree_caller *who, uint64_t parent,
	       const char *name, size_t n, dev_t rdev, const char *target,
	       struct draft *d)
{
	struct xattr_set from;
	int r = look_at_parent(t, who, parent, name, n, d, &from);

	if (r == 0) {
		r = inode_alloc(t, &d->ix);
		if (r == 0) {
			r = fill_draft(t, who, &from, rdev, target, d);
			if (r < 0)
				inode_bury_unborn(t, row_of(who), d->ix);
		}
	}
	set_fini(&from);
	return r;
}

/* The group and, for directories, the set-gid bit of a set-gid directory. */
static void inherit_group(struct tree *t, const struct tree_caller *who,
			  uint32_t dir, struct draft *d)
{
	const struct inode_record *parent = inode_at(t, dir);
	gid_t gid = who->gid;

	if (inode_mode(parent) & S_ISGID) {
		gid = atomic_load_explicit(&parent->gid, memory_order_relaxed);
		if (S_ISDIR(d->mode))
			d->mode |= S_ISGID;
	}
	atomic_store_explicit(&inode_at(t, d->ix)->gid, gid,
			      memory_order_relaxed);
}

static bool parent_is_as_seen(const struct tree *t, uint32_t dir,
			      const struct draft *d)
{
	uint64_t serial;

	return default_acl_of(t, dir, &serial) == d->acl_word &&
	       serial == d->acl_serial;
}

int draft_settle_locked(struct tree *t, const struct tree_caller *who,
			uint32_t dir, struct draft *d)
{
	if (!parent_is_as_seen(t, dir, d))
		return -EAGAIN;
	inherit_group(t, who, dir, d);
	return 0;
}

static void start_links(struct tree *t, uint32_t dir, struct draft *d)
{
	struct inode_state *state = inode_state(t, d->ix);

	if (!S_ISDIR(d->mode)) {
		atomic_store(&state->nlink, 1);
		return;
	}
	atomic_store(&state->nlink, 2);
	atomic_fetch_add(&inode_state(t, dir)->nlink, 1);
}

/* -EAGAIN: the directory's default ACL is another one now. */
static int publish_locked(struct tree *t, const struct tree_caller *who,
			  uint64_t parent, const char *name, size_t n,
			  struct draft *d, struct tree_entry *ret)
{
	struct change change = {.op = who->op, .mode_inode = d->ix};
	uint32_t dir, link;
	int r = dir_find(t, parent, &dir);

	if (r < 0)
		return r;
	if (names_find(t, dir, name, n) != RECORD_NONE)
		return -EEXIST;
	r = draft_settle_locked(t, who, dir, d);
	if (r == 0)
		r = link_prepare(t, BUDGET_NORMAL, dir, name, n, &link);
	if (r < 0)
		return r;
	if (S_ISDIR(d->mode))
		atomic_store_explicit(&inode_at(t, d->ix)->parent, dir,
				      memory_order_relaxed);
	change.entry = inode_node(t, d->ix);
	change.mode = d->mode;
	change.link[0].name = link;
	change.link[0].node = change.entry;
	change_commit(t, &change);
	link_insert(t, dir, link);
	start_links(t, dir, d);
	inode_touch_changed(t, dir, inode_now());
	inode_entry(t, d->ix, ret);
	return 0;
}

/* Without a name: it has no link, only the lookup in the reply. */
static int publish_nameless_locked(struct tree *t,
				   const struct tree_caller *who,
				   uint64_t parent, struct draft *d,
				   struct tree_entry *ret)
{
	struct change change = {.op = who->op, .mode_inode = d->ix};
	uint32_t dir;
	int r = dir_find(t, parent, &dir);

	if (r == 0)
		r = draft_settle_locked(t, who, dir, d);
	if (r < 0)
		return r;
	atomic_store_explicit(&inode_at(t, d->ix)->flags, INODE_LINKABLE,
			      memory_order_relaxed);
	change.entry = inode_node(t, d->ix);
	change.mode = d->mode;
	change_commit(t, &change);
	atomic_fetch_add(&t->nameless, 1);
	inode_entry(t, d->ix, ret);
	return 0;
}

int tree_make(struct tree *t, const struct tree_caller *who, uint64_t parent,
	      const char *name, mode_t mode, dev_t rdev, const char *target,
	      struct tree_entry *ret)
{
	struct draft d;
	size_t n;
	int r = name_check_new(name, &n);

	if (r < 0)
		return r;
	if (!inode_type_is_known(mode) || (S_ISLNK(mode) && !target))
		return -EINVAL;
	do {
		d.mode = S_ISLNK(mode) ? S_IFLNK | 0777
				       : mode & (S_IFMT | 07777);
		r = draft_make(t, who, parent, name, n, rdev, target, &d);
		if (r < 0)
			return r;
		tree_step(t);
		rwlock_write(&t->lock);
		r = publish_locked(t, who, parent, name, n, &d, ret);
		rwlock_write_end(&t->lock);
		if (r < 0)
			inode_bury_unborn(t, row_of(who), d.ix);
	} while (r == -EAGAIN);
	return r;
}

int tree_make_nameless(struct tree *t, const struct tree_caller *who,
		       uint64_t parent, mode_t mode, struct tree_entry *ret)
{
	struct draft d;
	int r;

	if (!S_ISREG(mode))
		return -EINVAL;
	do {
		d.mode = mode & (S_IFMT | 07777);
		r = draft_make(t, who, parent, NULL, 0, 0, NULL, &d);
		if (r < 0)
			return r;
		tree_step(t);
		rwlock_write(&t->lock);
		r = publish_nameless_locked(t, who, parent, &d, ret);
		rwlock_write_end(&t->lock);
		if (r < 0)
			inode_bury_unborn(t, row_of(who), d.ix);
	} while (r == -EAGAIN);
	return r;
}

/* --- another name --- */

static int may_be_linked(const struct tree *t, uint32_t ix)
{
	uint32_t nlink = atomic_load(&inode_state(t, ix)->nlink);
	uint32_t flags = atomic_load_explicit(&inode_at(t, ix)->flags,
					      memory_order_relaxed);

	if (inode_is_dir(t, ix))
		return -EPERM;
	if (nlink == 0 && !(flags & INODE_LINKABLE))
		return -ENOENT;
	return nlink >= LINK_MOST ? -EMLINK : 0;
}

static int link_locked(struct tree *t, const struct tree_caller *who,
		       uint64_t node, uint64_t parent, const char *name,
		       size_t n, struct tree_entry *ret)
{
	struct change change = {.op = who->op, .entry = node};
	int64_t now = inode_now();
	uint32_t dir, ix, link;
	int r = dir_find(t, parent, &dir);

	if (r == 0)
		r = inode_find(t, node, &ix);
	if (r == 0 && names_find(t, dir, name, n) != RECORD_NONE)
		r = -EEXIST;
	if (r == 0)
		r = may_be_linked(t, ix);
	if (r == 0)
		r = link_prepare(t, BUDGET_NORMAL, dir, name, n, &link);
	if (r < 0)
		return r;
	change.link[0].name = link;
	change.link[0].node = node;
	change_commit(t, &change);
	link_insert(t, dir, link);
	inode_named_locked(t, ix);
	inode_touch_ctime(t, ix, now);
	inode_touch_changed(t, dir, now);
	inode_entry(t, ix, ret);
	return 0;
}

int tree_link(struct tree *t, const struct tree_caller *who, uint64_t node,
	      uint64_t parent, const char *name, struct tree_entry *ret)
{
	size_t n;
	int r = name_check_new(name, &n);

	if (r < 0)
		return r;
	rwlock_write(&t->lock);
	r = link_locked(t, who, node, parent, name, n, ret);
	rwlock_write_end(&t->lock);
	return r;
}
