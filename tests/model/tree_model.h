/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tree of names as simple as it can be: two arrays and loops over them.
 *
 * It says for each operation what must come of it and keeps the result.
 */
#ifndef TESTS_MODEL_TREE_MODEL_H
#define TESTS_MODEL_TREE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define MODEL_XATTRS 3

struct model_inode {
	uint64_t node; /* 0: this place is free */
	mode_t mode;
	uid_t uid;
	uint64_t lookups;
	size_t size; /* of a regular file: that many times @fill */
	char fill;
	char xattr[MODEL_XATTRS][40]; /* "": none */
};

struct model;

struct model *model_new(uint64_t root);
void model_free(struct model *m);

/* Any inode, any directory; @n chooses. Directories that were removed but are
 * still held are among them. */
struct model_inode *model_pick(struct model *m, unsigned n);
struct model_inode *model_pick_dir(struct model *m, unsigned n);
struct model_inode *model_find(struct model *m, struct model_inode *dir,
			       const char *name);
bool model_is_named(struct model *m, const struct model_inode *inode);
unsigned model_nlink(struct model *m, const struct model_inode *inode);
unsigned model_entries(struct model *m, const struct model_inode *dir);
unsigned model_inodes(struct model *m);
unsigned model_links(struct model *m);

/* What the operation must return; then, if that is 0, doing it. */
int model_may_make(struct model *m, struct model_inode *dir, const char *name);
void model_make(struct model *m, struct model_inode *dir, const char *name,
		uint64_t node, mode_t mode);
int model_may_link(struct model *m, struct model_inode *inode,
		   struct model_inode *dir, const char *name);
void model_link(struct model *m, struct model_inode *inode,
		struct model_inode *dir, const char *name);
int model_may_remove(struct model *m, struct model_inode *dir, const char *name,
		     bool is_rmdir);
void model_remove(struct model *m, struct model_inode *dir, const char *name);
int model_may_rename(struct model *m, struct model_inode *from,
		     const char *name, struct model_inode *to,
		     const char *new_name, unsigned flags);
void model_rename(struct model *m, struct model_inode *from, const char *name,
		  struct model_inode *to, const char *new_name, unsigned flags);
int model_may_setxattr(const struct model_inode *inode, unsigned which,
		       int flags);
void model_forget(struct model *m, struct model_inode *inode);
void model_attached(struct model *m, bool keep_nameless);

/* One reader of one directory: links that are there from start to finish must
 * be read exactly once, others at most once. Ends the test otherwise. */
void model_start_reading(struct model *m, struct model_inode *dir);
void model_was_read(struct model *m, struct model_inode *dir, const char *name,
		    uint64_t node);
void model_finish_reading(struct model *m, struct model_inode *dir);

void model_each_inode(struct model *m,
		      void (*visit)(void *arg, struct model_inode *inode),
		      void *arg);
void model_each_link(struct model *m,
		     void (*visit)(void *arg, struct model_inode *dir,
				   const char *name, struct model_inode *inode),
		     void *arg);

#endif
