/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of src/tree share: private state and internal verbs.
 *
 * Only files of src/tree and their tests include this.
 *
 * `lock` guards every name, link count, directory and xattr word: read mode
 * for looking, write mode for changing. Times, modes and lookups are atomics
 * and may also change without it. An inode that has no name and no lookup is
 * taken out under the lock (inode_kill) and freed after it (inode_bury): a
 * huge file must not stop everyone.
 */
#ifndef SRC_TREE_INSIDE_H
#define SRC_TREE_INSIDE_H

#include "base/check.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/page.h"
#include "base/tally.h"
#include "tree/column.h"
#include "tree/records.h"
#include "tree/slab.h"
#include "tree/tree.h"
#include <errno.h>
#include <string.h>

#define ROOT_IX 1u
#define OPS_KEPT 64u
#define POSITION_FIRST 3u /* 1 and 2 are the cookies of "." and ".." */

/* Derived, one beside each inode record. */
struct inode_state {
	_Atomic uint64_t lookups; /* the kernel's, and pins of our own walks */
	_Atomic uint32_t nlink;   /* names; of a directory 2 + directories */
	uint32_t dir;             /* struct dir_state; SLAB_NONE: empty */
};

/* Derived, one beside each name record. */
struct name_state {
	uint32_t next; /* name in the same bucket */
	uint32_t hash;
	uint32_t chunk; /* of the directory; bit 31: a small one */
};

struct names {
	struct column state[2]; /* short, long */
	struct sparse buckets;  /* uint32_t: first name of each chain */
	uint32_t nr_buckets;
	uint64_t count;
	uint64_t seed;
	enum budget_use use; /* for more buckets: forced while attaching */
};

/* One walk of tree_each_body() at one body; on the walker's stack. */
struct pin {
	struct pin *next;
	uint32_t ix;
	bool is_xattr;
	bool dead; /* whoever unpins last frees it */
};

struct ops {
	struct lock lock; /* the arrays here; leaf */
	uint32_t record[OPS_KEPT];
	uint64_t number[OPS_KEPT]; /* 0: free or not to be replayed */
	uint64_t age[OPS_KEPT];
	uint64_t next_age;
};

struct tree {
	struct arena *arena;
	struct store *store;
	struct rwlock lock;
	struct names names;
	struct slab dirs;
	struct slab chunks[2]; /* large, small */
	struct ops ops;

	struct lock inodes_lock; /* growing of `states`; leaf */
	struct column states;    /* struct inode_state */
	_Atomic uint64_t inodes;
	_Atomic uint64_t nameless;
	_Atomic uint64_t dying;      /* killed or unborn, not buried yet */
	_Atomic uint64_t unnamed_ns; /* when one lost its last name */

	struct lock pins_lock; /* leaf */
	struct pin *pins;

	uint64_t dropped; /* records that attach could not make sense of */

	/* Test hook: called between the steps of a change, and with no lock
	 * held between a draft and its publishing; NULL normally. */
	void (*step)(void *arg);
	void *step_arg;
};

static inline void tree_step(struct tree *t)
{
	if (unlikely(t->step != NULL))
		t->step(t->step_arg);
}

static inline unsigned row_of(const struct tree_caller *who)
{
	return who->stream ? who->stream->row : TALLY_SHARED_ROW;
}

/* Private state of all kinds, empty; accepts half-built in _fini. */
int tree_start(struct arena *arena, struct store *store,
	       struct tree **ret_tree) MUST_CHECK;
uint64_t tree_next_word(struct tree *t, enum tree_word word);
uint64_t tree_nr_inodes(const struct tree *t);

/* --- inode.c --- */
static inline struct inode_record *inode_at(const struct tree *t, uint32_t ix)
{
	return table_at(t->arena, TABLE_INODES, ix);
}

static inline struct inode_state *inode_state(const struct tree *t, uint32_t ix)
{
	return column_at(&t->states, ix);
}

static inline uint32_t inode_mode(const struct inode_record *inode)
{
	return atomic_load_explicit(&inode->mode, memory_order_acquire);
}

static inline bool inode_is_device(mode_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

static inline bool inode_is_dir(const struct tree *t, uint32_t ix)
{
	return S_ISDIR(inode_mode(inode_at(t, ix)));
}

static inline struct file inode_file(const struct tree *t, uint32_t ix)
{
	return (struct file){.body = &inode_at(t, ix)->body, .ix = ix};
}

uint64_t inode_node(const struct tree *t, uint32_t ix);
/* -ESTALE: no such node, or no longer. */
int inode_find(const struct tree *t, uint64_t node,
	       uint32_t *ret_ix) MUST_CHECK;
/* The same for a directory that names can be made in: -ENOTDIR, -ENOENT (it
 * was removed). Under the lock. */
int dir_find(const struct tree *t, uint64_t node, uint32_t *ret_ix) MUST_CHECK;
int64_t inode_now(void);
/* True for the seven types of files there are. */
bool inode_type_is_known(mode_t mode);
/* A record that nobody finds yet: mode 0. Counts against nr_inodes. */
int inode_alloc(struct tree *t, uint32_t *ret_ix) MUST_CHECK;
/* Lookups are 0 and links gone: nobody finds it any more. Write lock. */
void inode_kill_locked(struct tree *t, uint32_t ix);
/* True, and killed, if nothing holds it. Write lock. */
bool inode_reap_locked(struct tree *t, uint32_t ix);
/* Free what a killed (or never published) inode has. No lock. */
void inode_bury(struct tree *t, unsigned row, uint32_t ix);
/* The same for one that nobody has found yet. */
void inode_bury_unborn(struct tree *t, unsigned row, uint32_t ix);
void inode_stat(const struct tree *t, uint32_t ix, struct stat *ret);
/* Fill @ret and count a lookup. */
void inode_entry(struct tree *t, uint32_t ix, struct tree_entry *ret);
void inode_touch_ctime(struct tree *t, uint32_t ix, int64_t now);
void inode_touch_changed(struct tree *t, uint32_t ix, int64_t now);
/* Link count changes that keep `nameless` right. Write lock. */
void inode_named_locked(struct tree *t, uint32_t ix);
void inode_unnamed_locked(struct tree *t, uint32_t ix);

/* --- names.c --- */
int names_init(struct names *n, struct arena *arena) MUST_CHECK;
void names_fini(struct names *n);
struct name_record *name_at(const struct tree *t, uint32_t ix);
struct name_state *name_state(const struct tree *t, uint32_t ix);
static inline uint64_t name_node(const struct name_record *name)
{
	return atomic_load_explicit(&name->node, memory_order_acquire);
}
static inline uint32_t node_ix(uint64_t node)
{
	return (uint32_t)node;
}
/* RECORD_NONE: no such name. */
uint32_t names_find(const struct tree *t, uint32_t parent, const char *name,
		    size_t n);
/* A filled record that means nothing yet and is in no hash. */
int name_alloc(struct tree *t, enum budget_use use, uint32_t parent,
	       const char *name, size_t n, uint32_t *ret_ix) MUST_CHECK;
void name_free(struct tree *t, uint32_t ix);
void names_insert(struct tree *t, uint32_t ix);
void names_remove(struct tree *t, uint32_t ix);
/* -EINVAL empty or has a slash, -ENAMETOOLONG; @ret_n its length. */
int name_check(const char *name, size_t *ret_n) MUST_CHECK;
/* The same for a name to be made: -EEXIST for dots. */
int name_check_new(const char *name, size_t *ret_n) MUST_CHECK;

/* --- dirs.c --- */
int dirs_init(struct tree *t) MUST_CHECK;
void dirs_fini(struct tree *t);
/* Room for one more entry in @dir; its position will be next_position. */
int dirs_prepare(struct tree *t, uint32_t dir, enum budget_use use) MUST_CHECK;
/* Name @name, whose position was prepared, is in @dir. Cannot fail. */
void dirs_insert(struct tree *t, uint32_t dir, uint32_t name);
void dirs_remove(struct tree *t, uint32_t dir, uint32_t name);
uint32_t dirs_entries(const struct tree *t, uint32_t dir);
/* After attach: names come in rising position. */
int dirs_append(struct tree *t, uint32_t dir, uint32_t name) MUST_CHECK;
/* Free the state of a directory without entries. */
void dirs_release(struct tree *t, uint32_t dir);

struct dir_cursor {
	uint32_t chunk;
	uint32_t slot;
};
/* To the first entry behind position @after. */
struct dir_cursor dirs_seek(const struct tree *t, uint32_t dir, uint64_t after);
/* The entry at the cursor or the next one, and past it; RECORD_NONE: end. */
uint32_t dirs_next(const struct tree *t, struct dir_cursor *at);
/* Remember where a reader stopped, for the next dirs_seek(). */
void dirs_leave(const struct tree *t, uint32_t dir, struct dir_cursor at);
/* 0 or -EUCLEAN; @ret_entries: what the chunks hold. */
int dirs_check(const struct tree *t, uint32_t dir,
	       uint64_t *ret_entries) MUST_CHECK;

/* --- make.c --- */
/* A name record for @name in @dir and room for it in hash and directory. */
int link_prepare(struct tree *t, enum budget_use use, uint32_t dir,
		 const char *name, size_t n, uint32_t *ret_name) MUST_CHECK;
/* After the commit: the name is found from now on. Cannot fail. */
void link_insert(struct tree *t, uint32_t dir, uint32_t name);
/* After the commit that took @name back: gone from hash and directory. */
void link_remove(struct tree *t, uint32_t dir, uint32_t name);

/* An inode in the making: only who makes it knows it. */
struct draft {
	uint32_t ix;
	mode_t mode;
	uint64_t acl_word; /* of the directory, as it was looked at */
	uint64_t acl_serial;
};
/* One for directory @parent, complete but for what the lock decides; -EEXIST
 * when @name (NULL: none) is there. No lock. */
int draft_make(struct tree *t, const struct tree_caller *who, uint64_t parent,
	       const char *name, size_t n, dev_t rdev, const char *target,
	       struct draft *d) MUST_CHECK;
/* The rest; -EAGAIN: @dir's default ACL is another one now. Write lock. */
int draft_settle_locked(struct tree *t, const struct tree_caller *who,
			uint32_t dir, struct draft *d) MUST_CHECK;

/* --- ops.c --- */
void ops_init(struct ops *ops);
void ops_fini(struct ops *ops);
int ops_make(struct tree *t) MUST_CHECK;
/* On attach: mark the records, finish what was under way, make what lacks. */
int ops_attach(struct tree *t) MUST_CHECK;
/* Do @change so that a crash leaves all of it or nothing. Write lock. */
void change_commit(struct tree *t, const struct change *change);

/* --- xattr.c --- */
struct xattr_set;
/* A change of xattrs together with others of the same inode. */
struct xattr_edit {
	/* Without lock: 1 when @set changed, 0 when it did not, or -errno. */
	int (*edit)(struct xattr_edit *e, struct xattr_set *set, mode_t mode,
		    mode_t *ret_mode);
	/* Under the write lock, after the commit. May be NULL. */
	void (*done)(struct xattr_edit *e, struct tree *t, uint32_t ix);
	uint64_t op;
	void *arg;
	/* Said by edit(): it brought in no new value, so that there must be room
	 * for what is left, also where there is none for data. */
	bool brings_none;
};
int xattr_edit(struct tree *t, const struct tree_caller *who, uint64_t node,
	       struct xattr_edit *e) MUST_CHECK;
/* What @word says is there, into @set. Under the lock. -EIO, -ENOMEM. */
int xattr_load(struct tree *t, struct stream *stream, uint64_t word,
	       struct xattr_set *set) MUST_CHECK;
/* A new record for @owner with @set; its word. 0 for an empty set. */
int xattr_store(struct tree *t, struct stream *stream, uint32_t owner,
		const struct xattr_set *set, uint64_t *ret_word) MUST_CHECK;
/* Free the record that @word named; nobody finds it any more. */
void xattr_bury(struct tree *t, unsigned row, uint64_t word);
static inline uint32_t xattr_word_ix(uint64_t word)
{
	return (uint32_t)word;
}
static inline uint32_t xattr_word_flags(uint64_t word)
{
	return (uint32_t)(word >> 32);
}
static inline uint64_t inode_xattr(const struct inode_record *inode)
{
	return atomic_load_explicit(&inode->xattr, memory_order_acquire);
}
static inline struct xattr_record *xattr_at(const struct tree *t, uint32_t ix)
{
	return table_at(t->arena, TABLE_XATTRS, ix);
}
static inline struct file xattr_file(const struct tree *t, uint32_t ix)
{
	return (struct file){.body = &xattr_at(t, ix)->body,
			     .ix = ix | UINT32_C(1) << 31};
}

/* --- each.c --- */
/* True: a walk has it pinned and will free it. */
bool pin_takes_over(struct tree *t, uint32_t ix, bool is_xattr);

#endif
