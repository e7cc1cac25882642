/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The check of all state: what is derived must say what the records say.
 *
 * It goes on after a fault, so that a report shows how far the damage goes.
 */
#include "tree/inside.h"
#include <inttypes.h>
#include <stdio.h>

/* What the names make of one inode. */
struct seen {
	uint32_t links;   /* names that mean it */
	uint32_t subdirs; /* directories in it */
	uint32_t entries; /* names in it */
};

struct check {
	struct tree *t;
	struct faults *faults;
	struct store_audit *audit;
	uint32_t end; /* of inodes */
	struct sparse table;
	struct seen *seen; /* by inode */
	uint64_t names, live, nameless, dying, xattrs;
};

static void check_parent(struct check *c, const struct name_record *name,
			 uint32_t link, uint32_t ix)
{
	struct tree *t = c->t;

	if (name->parent == RECORD_NONE || name->parent >= c->end ||
	    !inode_is_dir(t, name->parent)) {
		faults_add(c->faults, "name %#x is in inode %u, no directory",
			   link, name->parent);
		return;
	}
	if (names_find(t, name->parent, name->name, name->length) != link)
		faults_add(c->faults, "name %#x is not what its hash finds",
			   link);
	c->seen[name->parent].entries++;
	if (!inode_is_dir(t, ix))
		return;
	c->seen[name->parent].subdirs++;
	if (atomic_load(&inode_at(t, ix)->parent) != name->parent)
		faults_add(c->faults,
			   "directory %u is in %u, its .. is another", ix,
			   name->parent);
}

static void check_name(struct check *c, uint32_t link)
{
	const struct name_record *name = name_at(c->t, link);
	uint64_t node = name_node(name);
	uint32_t ix;

	c->names++;
	if (node == 0 || inode_find(c->t, node, &ix) < 0) {
		faults_add(c->faults,
			   "name %#x means node %#" PRIx64 ", that is none",
			   link, node);
		return;
	}
	c->seen[ix].links++;
	check_parent(c, name, link, ix);
}

static void check_names(struct check *c, uint32_t flag)
{
	enum arena_table table = flag ? TABLE_LONGNAMES : TABLE_NAMES;
	uint32_t end = table_end(c->t->arena, table);

	for (uint32_t ix = 1; ix < end; ix++)
		if (table_is_used(c->t->arena, table, ix))
			check_name(c, ix | flag);
}

static void check_is_rooted(struct check *c, uint32_t ix)
{
	uint32_t at = ix, steps = 0;

	while (at != ROOT_IX && at != RECORD_NONE && at < c->end &&
	       steps++ < c->end)
		at = atomic_load(&inode_at(c->t, at)->parent);
	if (at != ROOT_IX)
		faults_add(c->faults, "directory %u is in a circle", ix);
}

static void check_dir(struct check *c, uint32_t ix)
{
	const struct tree *t = c->t;
	const struct seen *seen = &c->seen[ix];
	uint32_t nlink = atomic_load(&inode_state(t, ix)->nlink);
	uint32_t wanted =
		ix == ROOT_IX || seen->links == 1 ? 2 + seen->subdirs : 0;
	uint64_t entries;

	if (seen->links > 1 || nlink != wanted)
		faults_add(c->faults, "directory %u: %u names, nlink %u not %u",
			   ix, seen->links, nlink, wanted);
	if (dirs_check(t, ix, &entries) < 0)
		faults_add(c->faults, "directory %u: positions are broken", ix);
	else if (entries != seen->entries || entries != dirs_entries(t, ix))
		faults_add(c->faults,
			   "directory %u: %" PRIu64 " positions, %u names", ix,
			   entries, seen->entries);
	if (nlink != 0)
		check_is_rooted(c, ix);
}

static void check_bodies(struct check *c, uint32_t ix)
{
	struct tree *t = c->t;
	uint64_t word = inode_xattr(inode_at(t, ix));
	uint32_t xattr = xattr_word_ix(word);
	char name[48];

	snprintf(name, sizeof(name), "inode %u", ix);
	store_audit_body(t->store, inode_file(t, ix), name, c->audit,
			 c->faults);
	if (word == 0)
		return;
	c->xattrs++;
	if (!table_is_used(t->arena, TABLE_XATTRS, xattr) ||
	    xattr_at(t, xattr)->owner != ix) {
		faults_add(c->faults, "inode %u: xattr record %u is not its",
			   ix, xattr);
		return;
	}
	snprintf(name, sizeof(name), "xattrs of inode %u", ix);
	store_audit_body(t->store, xattr_file(t, xattr), name, c->audit,
			 c->faults);
}

static void check_inode(struct check *c, uint32_t ix)
{
	const struct tree *t = c->t;
	uint32_t nlink = atomic_load(&inode_state(t, ix)->nlink);

	c->live++;
	c->nameless += nlink == 0;
	if (inode_is_dir(t, ix))
		check_dir(c, ix);
	else if (nlink != c->seen[ix].links)
		faults_add(c->faults, "inode %u: %u names, nlink %u", ix,
			   c->seen[ix].links, nlink);
	if (nlink == 0 && atomic_load(&inode_state(t, ix)->lookups) == 0)
		faults_add(c->faults,
			   "inode %u: no name, no lookup, still here", ix);
}

static bool is_pinned(struct tree *t, uint32_t ix)
{
	bool found = false;

	lock_take(&t->pins_lock);
	for (const struct pin *p = t->pins; p; p = p->next)
		found = found || (p->ix == ix && !p->is_xattr && p->dead);
	lock_drop(&t->pins_lock);
	return found;
}

static void check_inodes(struct check *c)
{
	struct tree *t = c->t;

	for (uint32_t ix = 1; ix < c->end; ix++) {
		if (!table_is_used(t->arena, TABLE_INODES, ix))
			continue;
		if (inode_mode(inode_at(t, ix)) != 0)
			check_inode(c, ix);
		/* It goes when the walk that is at it steps on. */
		else if (is_pinned(t, ix))
			c->dying++;
		else
			faults_add(c->faults, "inode %u is used and not alive",
				   ix);
		check_bodies(c, ix);
	}
}

static void check_counts(struct check *c)
{
	struct tree *t = c->t;
	const struct {
		const char *what;
		uint64_t reached, counted;
	} pairs[] = {
		{"inodes", c->live + c->dying, atomic_load(&t->inodes)},
		{"inodes without a name", c->nameless,
		 atomic_load(&t->nameless)},
		{"inodes on their way out", c->dying, atomic_load(&t->dying)},
		{"names in the hash", c->names, t->names.count},
		{"xattr records", c->xattrs,
		 table_used(t->arena, TABLE_XATTRS)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].reached != pairs[i].counted)
			faults_add(c->faults,
				   "%s: %" PRIu64 " are reached, %" PRIu64
				   " are counted",
				   pairs[i].what, pairs[i].reached,
				   pairs[i].counted);
}

/* For quiet moments: an inode in the making or being freed looks wrong. */
int tree_check(struct tree *t, struct store_audit *audit, struct faults *faults)
{
	struct check c = {.t = t, .audit = audit, .faults = faults};
	size_t bytes;
	int r;

	rwlock_write(&t->lock);
	c.end = table_end(t->arena, TABLE_INODES);
	bytes = c.end * sizeof(struct seen);
	r = sparse_init(&c.table, bytes, arena_budget(t->arena));
	if (!r) {
		r = sparse_grow(&c.table, bytes, BUDGET_RESERVE);
		c.seen = (struct seen *)(void *)c.table.base;
	}
	if (!r) {
		check_names(&c, 0);
		check_names(&c, NAME_IS_LONG);
		check_inodes(&c);
		check_counts(&c);
	}
	rwlock_write_end(&t->lock);
	if (c.seen)
		sparse_fini(&c.table);
	if (!r)
		store_audit_end(t->store, audit, faults);
	return r ? r : faults->found ? -EUCLEAN : 0;
}
