/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The check of all state: what is derived must say what the records say. */
#include "tree/inside.h"
#include <stdarg.h>
#include <stdio.h>

struct check {
	struct tree *t;
	char *why;
	size_t why_bytes;
	uint32_t end;      /* of inodes */
	uint32_t *links;   /* by inode: names that mean it */
	uint32_t *subdirs; /* by inode: directories in it */
	uint32_t *entries; /* by inode: names in it */
	uint64_t names;
};

static int wrong(struct check *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int wrong(struct check *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(c->why, c->why_bytes, fmt, args);
	va_end(args);
	return -EUCLEAN;
}

static int check_name(struct check *c, uint32_t link)
{
	const struct tree *t = c->t;
	const struct name_record *name = name_at(t, link);
	uint64_t node = name_node(name);
	uint32_t ix;

	if (inode_find(t, node, &ix) < 0)
		return wrong(c, "name %#x means node %#llx that is none", link,
			     (unsigned long long)node);
	if (name->parent == RECORD_NONE || name->parent >= c->end ||
	    !inode_is_dir(t, name->parent))
		return wrong(c, "name %#x is in %u, no directory", link,
			     name->parent);
	if (names_find(t, name->parent, name->name, name->length) != link)
		return wrong(c, "name %#x is not what its hash finds", link);
	c->names++;
	c->links[ix]++;
	c->entries[name->parent]++;
	if (!inode_is_dir(t, ix))
		return 0;
	c->subdirs[name->parent]++;
	if (atomic_load(&inode_at(t, ix)->parent) != name->parent)
		return wrong(c, "directory %u is in %u, its .. is another", ix,
			     name->parent);
	return 0;
}

static int check_names(struct check *c, uint32_t flag)
{
	enum arena_table table = flag ? TABLE_LONGNAMES : TABLE_NAMES;
	uint32_t end = table_end(c->t->arena, table);
	int r = 0;

	for (uint32_t ix = 1; ix < end && r == 0; ix++) {
		if (!table_is_used(c->t->arena, table, ix))
			continue;
		if (name_node(name_at(c->t, ix | flag)) == 0)
			return wrong(c, "name %#x means nothing", ix | flag);
		r = check_name(c, ix | flag);
	}
	return r;
}

static int check_dir(struct check *c, uint32_t ix)
{
	const struct tree *t = c->t;
	uint32_t nlink = atomic_load(&inode_state(t, ix)->nlink);
	uint32_t wanted =
		ix == ROOT_IX || c->links[ix] == 1 ? 2 + c->subdirs[ix] : 0;
	uint64_t entries;
	uint32_t at = ix;
	uint32_t steps = 0;

	if (c->links[ix] > 1 || nlink != wanted)
		return wrong(c, "directory %u: %u names, nlink %u not %u", ix,
			     c->links[ix], nlink, wanted);
	if (dirs_check(t, ix, &entries) < 0)
		return wrong(c, "directory %u: positions are broken", ix);
	if (entries != c->entries[ix] || entries != dirs_entries(t, ix))
		return wrong(c, "directory %u: %llu positions, %u names", ix,
			     (unsigned long long)entries, c->entries[ix]);
	while (nlink != 0 && at != ROOT_IX && steps++ < c->end)
		at = atomic_load(&inode_at(t, at)->parent);
	if (steps >= c->end)
		return wrong(c, "directory %u is in a circle", ix);
	return 0;
}

static int check_xattr(struct check *c, uint32_t ix)
{
	const struct tree *t = c->t;
	uint64_t word = inode_xattr(inode_at(t, ix));
	uint32_t xattr = xattr_word_ix(word);

	if (word == 0)
		return 0;
	if (!table_is_used(t->arena, TABLE_XATTRS, xattr) ||
	    xattr_at(t, xattr)->owner != ix)
		return wrong(c, "inode %u: xattr record %u is not its", ix,
			     xattr);
	if (store_check_body(t->store, xattr_file(t, xattr)) < 0)
		return wrong(c, "inode %u: body of xattrs is broken", ix);
	return 0;
}

static int check_inode(struct check *c, uint32_t ix)
{
	const struct tree *t = c->t;
	uint32_t nlink = atomic_load(&inode_state(t, ix)->nlink);
	int r;

	if (inode_is_dir(t, ix)) {
		r = check_dir(c, ix);
		if (r < 0)
			return r;
	} else if (nlink != c->links[ix]) {
		return wrong(c, "inode %u: %u names, nlink %u", ix,
			     c->links[ix], nlink);
	}
	if (nlink == 0 && atomic_load(&inode_state(t, ix)->lookups) == 0)
		return wrong(c, "inode %u: no name, no lookup, still here", ix);
	if (store_check_body(t->store, inode_file(t, ix)) < 0)
		return wrong(c, "inode %u: body is broken", ix);
	return check_xattr(c, ix);
}

static int check_inodes(struct check *c)
{
	struct tree *t = c->t;
	uint64_t live = 0;
	uint64_t nameless = 0;
	uint64_t xattrs = 0;
	int r = 0;

	for (uint32_t ix = 1; ix < c->end && r == 0; ix++) {
		if (!table_is_used(t->arena, TABLE_INODES, ix))
			continue;
		if (inode_mode(inode_at(t, ix)) == 0)
			return wrong(c, "inode %u is used and not alive", ix);
		r = check_inode(c, ix);
		live++;
		nameless += atomic_load(&inode_state(t, ix)->nlink) == 0;
		xattrs += inode_xattr(inode_at(t, ix)) != 0;
	}
	if (r < 0)
		return r;
	if (live != atomic_load(&t->inodes) ||
	    nameless != atomic_load(&t->nameless))
		return wrong(c,
			     "inodes: %llu live, %llu nameless, counts say "
			     "%llu, %llu",
			     (unsigned long long)live,
			     (unsigned long long)nameless,
			     (unsigned long long)atomic_load(&t->inodes),
			     (unsigned long long)atomic_load(&t->nameless));
	if (xattrs != table_used(t->arena, TABLE_XATTRS))
		return wrong(
			c, "xattr records: %llu reached, %llu in use",
			(unsigned long long)xattrs,
			(unsigned long long)table_used(t->arena, TABLE_XATTRS));
	return 0;
}

static int check_all(struct check *c)
{
	struct tree *t = c->t;
	int r = check_names(c, 0);

	if (r == 0)
		r = check_names(c, NAME_IS_LONG);
	if (r == 0 && c->names != t->names.count)
		r = wrong(c, "names: %llu records, %llu in the hash",
			  (unsigned long long)c->names,
			  (unsigned long long)t->names.count);
	if (r == 0)
		r = check_inodes(c);
	return r;
}

/* For quiet moments: an inode in the making or being freed looks wrong. */
int tree_check(struct tree *t, char *why, size_t why_bytes)
{
	struct check c = {.t = t, .why = why, .why_bytes = why_bytes};
	int r = -ENOMEM;

	rwlock_write(&t->lock);
	c.end = table_end(t->arena, TABLE_INODES);
	c.links = heap_zalloc(c.end, sizeof(uint32_t));
	c.subdirs = heap_zalloc(c.end, sizeof(uint32_t));
	c.entries = heap_zalloc(c.end, sizeof(uint32_t));
	if (c.links && c.subdirs && c.entries)
		r = check_all(&c);
	rwlock_write_end(&t->lock);
	heap_free(c.links);
	heap_free(c.subdirs);
	heap_free(c.entries);
	return r;
}
