/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extended attributes of inodes: one body holds all of an inode's, and a
 * change makes a new one.
 *
 * A change is optimistic, so that no codec runs under the write lock: look
 * (read lock), edit and store the new set (no lock), and publish it (write
 * lock) if the inode still has what was looked at, else begin again. Readers
 * decode under the read lock: the old record is freed by whoever replaced it
 * after the write lock, when no reader can still be at it.
 */
#include "tree/acl.h"
#include "tree/inside.h"
#include "tree/set.h"
#include <sys/xattr.h>

/* --- records --- */

int xattr_load(struct tree *t, struct stream *stream, uint64_t word,
	       struct xattr_set *set)
{
	uint32_t ix = xattr_word_ix(word);
	struct xattr_set loaded;
	size_t n;
	int r;

	*set = (struct xattr_set){0};
	if (ix == RECORD_NONE)
		return 0;
	loaded.n = atomic_load_explicit(&xattr_at(t, ix)->body.size,
					memory_order_acquire);
	if (loaded.n == 0 || loaded.n > XATTR_SET_MAX)
		return -EIO;
	loaded.buf = heap_alloc(loaded.n);
	if (!loaded.buf)
		return -ENOMEM;
	r = store_read(t->store, stream, xattr_file(t, ix), 0, loaded.buf,
		       loaded.n, &n);
	if (r == 0 && (n != loaded.n || !set_is_sane(&loaded)))
		r = -EIO;
	if (r < 0) {
		set_fini(&loaded);
		return r;
	}
	/* Dropped by its flag alone: see drop_capability_locked(). */
	if (!(xattr_word_flags(word) & XATTR_HAS_CAPABILITY))
		set_drop(&loaded, XATTR_NAME_CAPABILITY);
	*set = loaded;
	return 0;
}

int xattr_store(struct tree *t, struct stream *stream, uint32_t owner,
		const struct xattr_set *set, uint64_t *ret_word)
{
	struct xattr_record *record;
	uint32_t ix;
	int r;

	if (set->n == 0) {
		*ret_word = 0;
		return 0;
	}
	r = table_alloc(t->arena, TABLE_XATTRS, BUDGET_NORMAL, &ix);
	if (r < 0)
		return r == -ENOMEM ? -ENOSPC : r;
	record = xattr_at(t, ix);
	record->owner = owner;
	record->serial = tree_next_word(t, TREE_WORD_SERIAL);
	r = store_fill_body(t->store, stream, xattr_file(t, ix), set->buf,
			    set->n);
	if (r < 0) {
		store_discard(t->store, stream->row, xattr_file(t, ix));
		table_free(t->arena, TABLE_XATTRS, ix);
		return r;
	}
	*ret_word = ix | (uint64_t)set_flags(set) << 32;
	return 0;
}

void xattr_bury(struct tree *t, unsigned row, uint64_t word)
{
	uint32_t ix = xattr_word_ix(word);

	if (ix == RECORD_NONE || pin_takes_over(t, ix, true))
		return;
	store_discard(t->store, row, xattr_file(t, ix));
	table_free(t->arena, TABLE_XATTRS, ix);
}

/* --- one optimistic change --- */

struct seen {
	uint64_t word;
	uint64_t serial;
	mode_t mode;
	/* Of what it should become: the word is another one. Comparing words
	 * would not tell: the record we looked at may have been freed since and
	 * be the very one that we were given. */
	bool changed;
};

static struct seen see(const struct tree *t, uint32_t ix)
{
	struct seen seen = {
		.word = inode_xattr(inode_at(t, ix)),
		.mode = inode_mode(inode_at(t, ix)),
	};

	if (seen.word)
		seen.serial = xattr_at(t, xattr_word_ix(seen.word))->serial;
	return seen;
}

static bool is_same(const struct seen *a, const struct seen *b)
{
	return a->word == b->word && a->serial == b->serial &&
	       a->mode == b->mode;
}

/* The old set stays until the new one is published: with neither room nor a
 * reserve, nothing could be taken out of a set. */
static int store_draft(struct tree *t, const struct tree_caller *who,
		       uint32_t ix, const struct xattr_edit *e,
		       const struct xattr_set *set, uint64_t *ret_word)
{
	enum budget_depth before = budget_dips();
	int r;

	if (e->brings_none)
		budget_dip(BUDGET_INTO_RESERVE);
	r = xattr_store(t, who->stream, ix, set, ret_word);
	budget_dip(before);
	return r;
}

/* Look at @node and work out what it should become. */
static int draft(struct tree *t, const struct tree_caller *who, uint64_t node,
		 struct xattr_edit *e, struct seen *seen, struct seen *next)
{
	struct xattr_set set;
	uint32_t ix;
	int r;

	rwlock_read(&t->lock);
	r = inode_find(t, node, &ix);
	if (r == 0) {
		*seen = see(t, ix);
		r = xattr_load(t, who->stream, seen->word, &set);
	}
	rwlock_read_end(&t->lock);
	if (r < 0)
		return r;
	*next = *seen;
	e->brings_none = false;
	r = e->edit(e, &set, seen->mode, &next->mode);
	next->changed = r > 0;
	if (r > 0)
		r = store_draft(t, who, ix, e, &set, &next->word);
	set_fini(&set);
	return r;
}

static bool publish(struct tree *t, uint64_t node, struct xattr_edit *e,
		    const struct seen *seen, const struct seen *next)
{
	struct change change = {.op = e->op, .xattr_word = next->word};
	struct seen now;
	uint32_t ix;
	bool same = false;

	rwlock_write(&t->lock);
	if (inode_find(t, node, &ix) == 0) {
		now = see(t, ix);
		same = is_same(&now, seen);
	}
	if (same) {
		change.xattr_inode = next->changed ? ix : 0;
		change.mode_inode = next->mode != seen->mode ? ix : 0;
		change.mode = next->mode;
		change_commit(t, &change);
		if (e->done)
			e->done(e, t, ix);
		else
			inode_touch_ctime(t, ix, inode_now());
	}
	rwlock_write_end(&t->lock);
	return same;
}

/*
 * Somebody else was quicker: look again. Each round that fails is another
 * change that succeeded; a node that went away ends it with -ESTALE.
 */
int xattr_edit(struct tree *t, const struct tree_caller *who, uint64_t node,
	       struct xattr_edit *e)
{
	struct seen seen, next;
	int r;

	for (;;) {
		r = draft(t, who, node, e, &seen, &next);
		if (r < 0)
			return r;
		tree_step(t);
		if (publish(t, node, e, &seen, &next)) {
			if (next.changed)
				xattr_bury(t, row_of(who), seen.word);
			return 0;
		}
		if (next.changed)
			xattr_bury(t, row_of(who), next.word);
	}
}

/* --- names --- */

static bool has_prefix(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 && name[n] != '\0';
}

static bool is_acl(const char *name)
{
	return strcmp(name, XATTR_NAME_ACL) == 0 ||
	       strcmp(name, XATTR_NAME_DEFAULT_ACL) == 0;
}

static int check_xattr_name(const char *name)
{
	if (strnlen(name, TREE_NAME_MAX + 1) > TREE_NAME_MAX)
		return -ERANGE;
	if (is_acl(name) || has_prefix(name, "user.") ||
	    has_prefix(name, "trusted.") || has_prefix(name, "security."))
		return 0;
	return -ENOTSUP;
}

/* False when the word's flags already say that @name is not there. */
static bool may_have(uint64_t word, const char *name)
{
	uint32_t flags = xattr_word_flags(word);

	if (word == 0)
		return false;
	if (strcmp(name, XATTR_NAME_ACL) == 0)
		return flags & XATTR_HAS_ACL;
	if (strcmp(name, XATTR_NAME_DEFAULT_ACL) == 0)
		return flags & XATTR_HAS_DEFAULT_ACL;
	if (strcmp(name, XATTR_NAME_CAPABILITY) == 0)
		return flags & XATTR_HAS_CAPABILITY;
	return true;
}

/* --- reading --- */

int tree_getxattr(struct tree *t, struct stream *stream, uint64_t node,
		  const char *name, void *buf, size_t cap, size_t *ret_n)
{
	struct xattr_set set = {0};
	const char *value;
	uint32_t ix;
	size_t n;
	int r = check_xattr_name(name);

	if (r < 0)
		return r;
	rwlock_read(&t->lock);
	r = inode_find(t, node, &ix);
	if (r == 0 && !may_have(inode_xattr(inode_at(t, ix)), name))
		r = -ENODATA;
	if (r == 0)
		r = xattr_load(t, stream, inode_xattr(inode_at(t, ix)), &set);
	rwlock_read_end(&t->lock);
	if (r < 0)
		return r;
	value = set_get(&set, name, &n);
	if (!value) {
		r = -ENODATA;
	} else if (cap != 0 && n > cap) {
		r = -ERANGE;
	} else {
		if (cap != 0)
			memcpy(buf, value, n);
		*ret_n = n;
	}
	set_fini(&set);
	return r;
}

int tree_listxattr(struct tree *t, struct stream *stream, uint64_t node,
		   char *buf, size_t cap, size_t *ret_n)
{
	struct xattr_set set = {0};
	uint32_t ix;
	size_t n;
	int r;

	rwlock_read(&t->lock);
	r = inode_find(t, node, &ix);
	if (r == 0)
		r = xattr_load(t, stream, inode_xattr(inode_at(t, ix)), &set);
	rwlock_read_end(&t->lock);
	if (r < 0)
		return r;
	n = set_names(&set, buf, cap);
	set_fini(&set);
	if (cap != 0 && n > cap)
		return -ERANGE;
	*ret_n = n;
	return 0;
}

/* --- changing --- */

struct put {
	const char *name;
	const void *value;
	size_t n;
	int flags;
};

/* An access ACL speaks through the mode; one that says no more is not kept. */
static int edit_acl(struct xattr_edit *e, struct xattr_set *set, mode_t mode,
		    mode_t *ret_mode)
{
	const struct put *put = e->arg;
	bool access = strcmp(put->name, XATTR_NAME_ACL) == 0;
	bool none = true;
	int r = 0;

	if (put->n != 0)
		r = acl_check(put->value, put->n, &none);
	if (r < 0)
		return r;
	if (S_ISLNK(mode))
		return -ENOTSUP;
	if (!access && !S_ISDIR(mode))
		return none ? 0 : -EACCES;
	if (access && !none) {
		none = acl_to_mode(put->value, put->n, ret_mode);
		if (put->flags & TREE_XATTR_KILL_SGID)
			*ret_mode &= ~(mode_t)S_ISGID;
	}
	e->brings_none = none;
	if (none)
		return set_drop(set, put->name);
	r = set_put(set, put->name, put->value, put->n);
	return r < 0 ? r : 1;
}

static int edit_put(struct xattr_edit *e, struct xattr_set *set, mode_t mode,
		    mode_t *ret_mode)
{
	const struct put *put = e->arg;
	size_t old_n;
	bool there;
	int r;

	if (is_acl(put->name))
		return edit_acl(e, set, mode, ret_mode);
	there = set_get(set, put->name, &old_n) != NULL;
	if (there && put->flags & XATTR_CREATE)
		return -EEXIST;
	if (!there && put->flags & XATTR_REPLACE)
		return -ENODATA;
	r = set_put(set, put->name, put->value, put->n);
	return r < 0 ? r : 1;
}

static int edit_drop(struct xattr_edit *e, struct xattr_set *set,
		     mode_t mode UNUSED, mode_t *ret_mode UNUSED)
{
	const char *name = e->arg;

	e->brings_none = true;
	if (set_drop(set, name))
		return 1;
	/* An ACL that is not there is the same as none. */
	return is_acl(name) ? 0 : -ENODATA;
}

int tree_setxattr(struct tree *t, const struct tree_caller *who, uint64_t node,
		  const char *name, const void *value, size_t n, int flags)
{
	struct put put = {.name = name, .value = value, .n = n, .flags = flags};
	struct xattr_edit e = {.edit = edit_put, .op = who->op, .arg = &put};
	int r = check_xattr_name(name);

	if (r < 0)
		return r;
	if (flags & ~(XATTR_CREATE | XATTR_REPLACE | TREE_XATTR_KILL_SGID))
		return -EINVAL;
	if (n > TREE_XATTR_VALUE_MAX)
		return -E2BIG;
	return xattr_edit(t, who, node, &e);
}

int tree_removexattr(struct tree *t, const struct tree_caller *who,
		     uint64_t node, const char *name)
{
	/* The edit only reads it. */
	struct xattr_edit e = {.edit = edit_drop,
			       .op = who->op,
			       .arg = (void *)(uintptr_t)name};
	int r = check_xattr_name(name);

	if (r < 0)
		return r;
	return xattr_edit(t, who, node, &e);
}
