/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tree's tests share: a whole stack below a tree, that can lose its
 * derived state at any time, or be copied as a crash would leave it.
 */
#ifndef TESTS_LIB_TREE_RIG_H
#define TESTS_LIB_TREE_RIG_H

#include "tree/tree.h"

struct tree_rig {
	struct budget budget;
	struct arena *arena;
	struct pool *pool;
	struct sets *sets;
	struct streams *streams;
	struct store *store;
	struct tree *tree;
	struct tree_caller who; /* root, with the stream of slot 0 */
	/* Not 0: the limit while tree_attach() runs. */
	uint64_t attach_limit_bytes;
};

/* 0 or what failed; then nothing is left. @limit_bytes: of the budget. */
int tree_rig_new(struct tree_rig *rig, uint64_t limit_bytes,
		 uint64_t nr_inodes);
void tree_rig_free(struct tree_rig *rig);

/* Everything private goes; the arena is attached anew. */
int tree_rig_reattach(struct tree_rig *rig, bool keep_nameless);

/* Copies of the memfds as they are now: what a process that was killed here
 * leaves behind. Callable with any lock held. */
struct tree_rig_fds {
	int meta;
	int pool;
};
struct tree_rig_fds tree_rig_snapshot(const struct tree_rig *rig);
void tree_rig_fds_close(struct tree_rig_fds fds);
/* A second stack on them, which changes them. */
int tree_rig_attach(struct tree_rig_fds fds, struct tree_rig *copy,
		    bool keep_nameless);
/* All three: a second stack on a copy. */
int tree_rig_copy(const struct tree_rig *rig, struct tree_rig *copy,
		  bool keep_nameless);

/* A stream for another thread: slot @slot, let go of at once, for no one else
 * takes a slot that it was not given. */
struct stream *tree_rig_stream(struct tree_rig *rig, unsigned slot);

/* --- short forms; they end the test when they fail --- */

/* Make a file of @mode (a type and permissions); gives its node. */
uint64_t rig_make(struct tree_rig *rig, uint64_t parent, const char *name,
		  mode_t mode);
/* The node that @name means, its lookup forgotten; 0 when there is none. */
uint64_t rig_find(struct tree_rig *rig, uint64_t parent, const char *name);
struct stat rig_stat(struct tree_rig *rig, uint64_t node);
void rig_write(struct tree_rig *rig, uint64_t node, const void *data, size_t n);
/* Attributes after the change. */
struct stat rig_set_mode(struct tree_rig *rig, uint64_t node, mode_t mode);
/* Make all times old; which have moved since, as letters of "amc", and again. */
void rig_age(struct tree_rig *rig, uint64_t node);
const char *rig_moved(struct tree_rig *rig, uint64_t node);
/* tree_check() says all is well. */
void rig_check(struct tree_rig *rig);

/* For cmocka, one at a time: a rig of 256 MiB in @state; and its end, when all
 * must be well and nothing of the budget be in use. */
int tree_rig_setup(void **state);
int tree_rig_teardown(void **state);

#endif
