/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two files of attach share: what is known while the tree is rebuilt. */
#ifndef SRC_TREE_REBUILD_H
#define SRC_TREE_REBUILD_H

#include "tree/inside.h"

/* What we know of an inode while we rebuild. */
enum seen {
	SEEN_LIVE = 1,
	SEEN_DIR = 2,
	SEEN_NAMED = 4,   /* a directory that has taken its one name */
	SEEN_WALKING = 8, /* on the path that is being followed */
	SEEN_LOST = 16,   /* a directory that does not reach the root */
	SEEN_SAFE = 32    /* one that does */
};

struct place {
	uint64_t position;
	uint32_t dir;
	uint32_t name;
};

struct rebuild {
	struct tree *t;
	uint8_t *seen;
	uint32_t end; /* of inodes */
	struct place *places;
	size_t nr_places;
};

/* Count the names that make sense, drop the others; each directory takes its
 * one name, and ".." follows it. */
size_t rebuild_sift_names(struct rebuild *b);
/* Find out which directories hang on the root. */
void rebuild_settle_dirs(struct rebuild *b);
/* Hash and mark the names whose directory does; then put them in order. */
int rebuild_take_names(struct rebuild *b) MUST_CHECK;
int rebuild_order_dirs(struct rebuild *b) MUST_CHECK;

#endif
