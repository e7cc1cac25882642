/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking: one name, a directory's entries, a symlink's target. */
#include "tree/inside.h"

static int lookup_special(struct tree *t, uint32_t dir, const char *name,
			  uint32_t *ret_ix)
{
	if (strcmp(name, ".") == 0)
		*ret_ix = dir;
	else if (strcmp(name, "..") == 0)
		*ret_ix = atomic_load_explicit(&inode_at(t, dir)->parent,
					       memory_order_relaxed);
	else
		return -ENOENT;
	return 0;
}

int tree_lookup(struct tree *t, uint64_t parent, const char *name,
		struct tree_entry *ret)
{
	uint32_t dir, link, ix;
	size_t n;
	int r = name_check(name, &n);

	if (r < 0)
		return r;
	rwlock_read(&t->lock);
	r = dir_find(t, parent, &dir);
	if (r == 0) {
		link = names_find(t, dir, name, n);
		if (link == RECORD_NONE)
			r = lookup_special(t, dir, name, &ix);
		else
			ix = node_ix(name_node(name_at(t, link)));
	}
	if (r == 0)
		inode_entry(t, ix, ret);
	rwlock_read_end(&t->lock);
	return r;
}

struct reading {
	struct tree *tree;
	bool want_attr;
	tree_emit *emit;
	void *arg;
};

/* False when the reader's buffer is full. */
static bool give(const struct reading *to, const char *name, uint64_t cookie,
		 uint32_t ix, bool counts)
{
	struct tree *t = to->tree;
	struct tree_entry entry = {.node = inode_node(t, ix)};

	if (to->want_attr) {
		inode_stat(t, ix, &entry.attr);
	} else {
		entry.attr.st_ino = ix;
		entry.attr.st_mode = inode_mode(inode_at(t, ix));
	}
	if (!to->emit(to->arg, name, cookie, &entry))
		return false;
	if (counts && to->want_attr)
		atomic_fetch_add(&inode_state(t, ix)->lookups, 1);
	return true;
}

static bool give_dots(const struct reading *to, uint32_t dir, uint64_t cookie)
{
	uint32_t parent = atomic_load_explicit(&inode_at(to->tree, dir)->parent,
					       memory_order_relaxed);

	if (cookie < 1 && !give(to, ".", 1, dir, false))
		return false;
	return cookie >= 2 || give(to, "..", 2, parent, false);
}

static void give_entries(const struct reading *to, uint32_t dir,
			 uint64_t cookie)
{
	struct dir_cursor at = dirs_seek(to->tree, dir, cookie);
	struct dir_cursor before = at;
	char text[TREE_NAME_MAX + 1];
	uint32_t link;

	while ((link = dirs_next(to->tree, &at)) != RECORD_NONE) {
		const struct name_record *name = name_at(to->tree, link);

		memcpy(text, name->name, name->length);
		text[name->length] = '\0';
		if (!give(to, text, name->position, node_ix(name_node(name)),
			  true))
			break;
		before = at;
	}
	dirs_leave(to->tree, dir, before);
}

int tree_readdir(struct tree *t, uint64_t node, uint64_t cookie, bool want_attr,
		 tree_emit *emit, void *arg)
{
	struct reading to = {t, want_attr, emit, arg};
	uint32_t dir;
	int r;

	rwlock_read(&t->lock);
	r = inode_find(t, node, &dir);
	if (r == 0 && !inode_is_dir(t, dir))
		r = -ENOTDIR;
	/* A directory that was removed reads as empty, without dots. */
	if (r == 0 && atomic_load(&inode_state(t, dir)->nlink) != 0 &&
	    give_dots(&to, dir, cookie))
		give_entries(&to, dir, cookie);
	rwlock_read_end(&t->lock);
	return r;
}

int tree_readlink(struct tree *t, struct stream *stream, uint64_t node,
		  char *buf, size_t cap)
{
	char target[PAGE_BYTES];
	uint32_t ix;
	size_t n;
	int r;

	/* The lock keeps the target of a link that goes; it never changes. */
	rwlock_read(&t->lock);
	r = inode_find(t, node, &ix);
	if (r == 0 && !S_ISLNK(inode_mode(inode_at(t, ix))))
		r = -EINVAL;
	if (r == 0)
		r = store_read(t->store, stream, inode_file(t, ix), 0, target,
			       sizeof(target), &n);
	rwlock_read_end(&t->lock);
	if (r < 0)
		return r;
	if (n + 1 > cap)
		return -ERANGE;
	memcpy(buf, target, n);
	buf[n] = '\0';
	return 0;
}
