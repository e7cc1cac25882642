/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model of a tree: arrays of inodes and links, walked from end to end. */
#include "tree_model.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define INODES 4096
#define LINKS 8192

struct model_link {
	struct model_inode *dir; /* NULL: this place is free */
	struct model_inode *inode;
	char name[256];
	bool stayed; /* since the reader started */
	unsigned read;
};

struct model {
	struct model_inode inode[INODES];
	struct model_link link[LINKS];
	unsigned inodes_end;
	unsigned links_end;
};

struct model *model_new(uint64_t root)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->inode[0].node = root;
	m->inode[0].mode = S_IFDIR | 0755;
	m->inodes_end = 1;
	return m;
}

void model_free(struct model *m)
{
	free(m);
}

/* --- looking --- */

struct model_inode *model_pick(struct model *m, unsigned n)
{
	for (n %= m->inodes_end;; n = (n + 1) % m->inodes_end)
		if (m->inode[n].node)
			return &m->inode[n];
}

struct model_inode *model_pick_dir(struct model *m, unsigned n)
{
	for (n %= m->inodes_end;; n = (n + 1) % m->inodes_end)
		if (m->inode[n].node && S_ISDIR(m->inode[n].mode))
			return &m->inode[n];
}

static struct model_link *find_link(struct model *m, struct model_inode *dir,
				    const char *name)
{
	for (unsigned i = 0; i < m->links_end; i++)
		if (m->link[i].dir == dir && strcmp(m->link[i].name, name) == 0)
			return &m->link[i];
	return NULL;
}

struct model_inode *model_find(struct model *m, struct model_inode *dir,
			       const char *name)
{
	struct model_link *link = find_link(m, dir, name);

	return link ? link->inode : NULL;
}

static unsigned names_of(struct model *m, const struct model_inode *inode)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->links_end; i++)
		n += m->link[i].dir && m->link[i].inode == inode;
	return n;
}

bool model_is_named(struct model *m, const struct model_inode *inode)
{
	return inode == &m->inode[0] || names_of(m, inode) != 0;
}

unsigned model_nlink(struct model *m, const struct model_inode *inode)
{
	unsigned n = 2;

	if (!S_ISDIR(inode->mode))
		return names_of(m, inode);
	if (!model_is_named(m, inode))
		return 0;
	for (unsigned i = 0; i < m->links_end; i++)
		n += m->link[i].dir == inode && S_ISDIR(m->link[i].inode->mode);
	return n;
}

unsigned model_entries(struct model *m, const struct model_inode *dir)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->links_end; i++)
		n += m->link[i].dir == dir;
	return n;
}

unsigned model_inodes(struct model *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->inodes_end; i++)
		n += m->inode[i].node != 0;
	return n;
}

unsigned model_links(struct model *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->links_end; i++)
		n += m->link[i].dir != NULL;
	return n;
}

static bool is_below(struct model *m, struct model_inode *dir,
		     const struct model_inode *above)
{
	while (dir != above && dir != &m->inode[0]) {
		struct model_inode *up = NULL;

		for (unsigned i = 0; i < m->links_end && !up; i++)
			if (m->link[i].dir && m->link[i].inode == dir)
				up = m->link[i].dir;
		if (!up)
			return false;
		dir = up;
	}
	return dir == above;
}

/* --- changing --- */

static struct model_link *add_link(struct model *m, struct model_inode *dir,
				   const char *name, struct model_inode *inode)
{
	struct model_link *link = NULL;

	for (unsigned i = 0; i < m->links_end && !link; i++)
		if (!m->link[i].dir)
			link = &m->link[i];
	if (!link) {
		assert_true(m->links_end < LINKS);
		link = &m->link[m->links_end++];
	}
	*link = (struct model_link){.dir = dir, .inode = inode};
	snprintf(link->name, sizeof(link->name), "%s", name);
	return link;
}

static void maybe_gone(struct model *m, struct model_inode *inode)
{
	if (inode->lookups == 0 && !model_is_named(m, inode))
		*inode = (struct model_inode){0};
}

static void drop_link(struct model *m, struct model_link *link)
{
	struct model_inode *inode = link->inode;

	link->dir = NULL;
	maybe_gone(m, inode);
}

int model_may_make(struct model *m, struct model_inode *dir, const char *name)
{
	if (!model_is_named(m, dir))
		return -ENOENT;
	return find_link(m, dir, name) ? -EEXIST : 0;
}

void model_make(struct model *m, struct model_inode *dir, const char *name,
		uint64_t node, mode_t mode)
{
	struct model_inode *inode = NULL;

	for (unsigned i = 1; i < m->inodes_end && !inode; i++)
		if (!m->inode[i].node)
			inode = &m->inode[i];
	if (!inode) {
		assert_true(m->inodes_end < INODES);
		inode = &m->inode[m->inodes_end++];
	}
	*inode = (struct model_inode){.node = node, .mode = mode, .lookups = 1};
	add_link(m, dir, name, inode);
}

int model_may_link(struct model *m, struct model_inode *inode,
		   struct model_inode *dir, const char *name)
{
	int r = model_may_make(m, dir, name);

	if (r < 0)
		return r;
	if (S_ISDIR(inode->mode))
		return -EPERM;
	return model_is_named(m, inode) ? 0 : -ENOENT;
}

void model_link(struct model *m, struct model_inode *inode,
		struct model_inode *dir, const char *name)
{
	add_link(m, dir, name, inode);
	inode->lookups++;
}

int model_may_remove(struct model *m, struct model_inode *dir, const char *name,
		     bool is_rmdir)
{
	struct model_inode *inode = model_find(m, dir, name);

	if (!model_is_named(m, dir) || !inode)
		return -ENOENT;
	if (!is_rmdir)
		return S_ISDIR(inode->mode) ? -EISDIR : 0;
	if (!S_ISDIR(inode->mode))
		return -ENOTDIR;
	return model_entries(m, inode) ? -ENOTEMPTY : 0;
}

void model_remove(struct model *m, struct model_inode *dir, const char *name)
{
	drop_link(m, find_link(m, dir, name));
}

static int may_replace(struct model *m, struct model_inode *a,
		       struct model_inode *b)
{
	if (a == b)
		return 0;
	if (S_ISDIR(a->mode) && !S_ISDIR(b->mode))
		return -ENOTDIR;
	if (!S_ISDIR(a->mode) && S_ISDIR(b->mode))
		return -EISDIR;
	return S_ISDIR(b->mode) && model_entries(m, b) ? -ENOTEMPTY : 0;
}

int model_may_rename(struct model *m, struct model_inode *from,
		     const char *name, struct model_inode *to,
		     const char *new_name, unsigned flags)
{
	struct model_inode *a = model_find(m, from, name);
	struct model_inode *b = model_find(m, to, new_name);

	if (flags & RENAME_EXCHANGE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	if (!model_is_named(m, from) || !model_is_named(m, to) || !a)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && b)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE && !b)
		return -ENOENT;
	if (S_ISDIR(a->mode) && is_below(m, to, a))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE)
		return S_ISDIR(b->mode) && is_below(m, from, b) ? -EINVAL : 0;
	return b ? may_replace(m, a, b) : 0;
}

void model_rename(struct model *m, struct model_inode *from, const char *name,
		  struct model_inode *to, const char *new_name, unsigned flags)
{
	struct model_link *a = find_link(m, from, name);
	struct model_link *b = find_link(m, to, new_name);
	struct model_inode *inode = a->inode;

	if (b && a->inode == b->inode)
		return;
	/* The place in the directory may or may not be a new one. */
	a->stayed = false;
	if (b)
		b->stayed = false;
	if (flags & RENAME_EXCHANGE) {
		a->inode = b->inode;
		b->inode = inode;
		return;
	}
	if (b)
		drop_link(m, b);
	a->dir = NULL;
	add_link(m, to, new_name, inode);
}

int model_may_setxattr(const struct model_inode *inode, unsigned which,
		       int flags)
{
	bool there = inode->xattr[which][0] != '\0';

	if (there && flags & XATTR_CREATE)
		return -EEXIST;
	return !there && flags & XATTR_REPLACE ? -ENODATA : 0;
}

void model_forget(struct model *m, struct model_inode *inode)
{
	inode->lookups = 0;
	maybe_gone(m, inode);
}

void model_attached(struct model *m, bool keep_nameless)
{
	for (unsigned i = 0; i < m->inodes_end; i++) {
		struct model_inode *inode = &m->inode[i];

		if (!inode->node)
			continue;
		if (!keep_nameless && !model_is_named(m, inode))
			*inode = (struct model_inode){0};
		else
			inode->lookups = 1;
	}
}

/* --- a reader --- */

void model_start_reading(struct model *m, struct model_inode *dir)
{
	for (unsigned i = 0; i < m->links_end; i++) {
		m->link[i].stayed = m->link[i].dir == dir;
		m->link[i].read = 0;
	}
}

void model_was_read(struct model *m, struct model_inode *dir, const char *name,
		    uint64_t node)
{
	struct model_link *link = find_link(m, dir, name);

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	assert_non_null(link);
	assert_int_equal(link->inode->node, node);
	link->read++;
}

void model_finish_reading(struct model *m, struct model_inode *dir)
{
	for (unsigned i = 0; i < m->links_end; i++)
		if (m->link[i].dir == dir && m->link[i].stayed)
			assert_int_equal(m->link[i].read, 1);
}

/* --- all of it --- */

void model_each_inode(struct model *m,
		      void (*visit)(void *arg, struct model_inode *inode),
		      void *arg)
{
	for (unsigned i = 0; i < m->inodes_end; i++)
		if (m->inode[i].node)
			visit(arg, &m->inode[i]);
}

void model_each_link(struct model *m,
		     void (*visit)(void *arg, struct model_inode *dir,
				   const char *name, struct model_inode *inode),
		     void *arg)
{
	for (unsigned i = 0; i < m->links_end; i++)
		if (m->link[i].dir)
			visit(arg, m->link[i].dir, m->link[i].name,
			      m->link[i].inode);
}
