/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree's records in the arena: what is truth about names and inodes.
 *
 * Only indexes and plain words; every word that publishes something is atomic
 * and stored last, with release. Whoever adds a field keeps zero meaning
 * "nothing", for a free record is all zeroes.
 */
#ifndef SRC_TREE_RECORDS_H
#define SRC_TREE_RECORDS_H

#include "arena/arena.h"
#include "store/store.h"
#include <assert.h>
#include <stddef.h>

/* Flags of an inode. */
#define INODE_LINKABLE 1u /* made without a name: link may give it one */

/*
 * An inode is one when its mode is not 0: the mode is stored last when it is
 * made and cleared first when it goes.
 */
struct inode_record {
	_Atomic uint32_t mode;
	_Atomic uint32_t generation; /* upper half of the node id */
	_Atomic uint32_t uid;
	_Atomic uint32_t gid;
	_Atomic uint32_t parent; /* of a directory: what ".." is */
	_Atomic uint32_t flags;
	_Atomic uint64_t xattr; /* record index | enum xattr_flag << 32 */
	_Atomic int64_t atime;  /* times: nanoseconds since 1970 */
	_Atomic int64_t mtime;
	_Atomic int64_t ctime;
	int64_t btime;
	union {
		_Atomic uint64_t next_position; /* directory: never used yet */
		uint64_t rdev;                  /* device */
	};
	struct body body;
};
static_assert(sizeof(struct inode_record) == 96, "TABLE_INODES");

/* What an inode's xattr word says, so that asking for what is absent costs
 * nothing. */
enum xattr_flag {
	XATTR_HAS_ACL = 1,
	XATTR_HAS_DEFAULT_ACL = 2,
	XATTR_HAS_CAPABILITY = 4,
};

/*
 * One link: @name in directory @parent means @node. The record is a link when
 * node is not 0; that word alone publishes it, takes it back, or makes the
 * name mean something else.
 */
struct name_record {
	_Atomic uint64_t node;
	uint64_t position; /* readdir's cookie: rises in a directory */
	uint32_t parent;
	uint8_t length;
	char name[];
};
#define NAME_SHORT_MAX (64 - offsetof(struct name_record, name))
static_assert(NAME_SHORT_MAX >= 36, "TABLE_NAMES");
static_assert(offsetof(struct name_record, name) + 255 <= 320,
	      "TABLE_LONGNAMES");

/* In an index of a name this bit tells TABLE_LONGNAMES from TABLE_NAMES. */
#define NAME_IS_LONG (UINT32_C(1) << 31)

/* All xattrs of one inode, serialised (set.h) in one body. */
struct xattr_record {
	struct body body;
	uint64_t serial; /* never the same twice: tells a reused record */
	uint32_t owner;
	uint32_t spare[7];
};
static_assert(sizeof(struct xattr_record) == 64, "TABLE_XATTRS");

/*
 * The stores that one operation consists of: a redo log of fixed size. A
 * member whose index is 0 is not there. Doing it twice is the same as once.
 */
struct change {
	uint64_t op;    /* the request's number; 0: nobody asks again */
	uint64_t entry; /* the node in the reply; 0: no entry */
	struct {
		uint64_t node;
		uint32_t name;
		uint32_t spare;
	} link[2];
	struct {
		uint32_t dir;
		uint32_t parent;
	} move[2];
	uint64_t xattr_word;
	uint32_t xattr_inode;
	uint32_t mode_inode;
	uint32_t mode;
	uint32_t spare;
};

enum op_state {
	OP_FREE = 1,   /* 0 is a record that nobody has made yet */
	OP_ACTIVE = 2, /* the change is complete here; attach does it again */
	OP_DONE = 3    /* kept to answer the request if it comes again */
};

struct op_record {
	_Atomic uint32_t state;
	uint32_t spare;
	uint64_t age; /* rises with each use: the oldest is reused first */
	struct change change;
};
static_assert(sizeof(struct op_record) <= 128, "TABLE_OPS");

/* Words of the superblock that the tree owns, from ARENA_WORD_TREE. */
enum tree_word {
	TREE_WORD_GENERATION, /* the last one given to an inode */
	TREE_WORD_SERIAL,     /* the last one given to an xattr record */
	TREE_WORD_NR_INODES,  /* the limit */
};

#endif
