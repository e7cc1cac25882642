/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree: names, inodes, attributes, xattrs and ACLs.
 *
 * Layer 3, above the store (it keeps symlink targets and xattrs in bodies) and
 * below FUSE. Permissions are the kernel's business (default_permissions);
 * what POSIX makes the file system do (times, set-id bits, ACL inheritance,
 * link counts, sticky entries excepted) is done here.
 *
 * A node id is index | generation << 32; the root is 1. Ids the kernel holds
 * are counted by lookups: an inode goes when it has no name and no lookup.
 * The tree's rwlock guards all names; file contents and times of open files
 * are touched without it (tree_file()).
 *
 * Truth: inode, name and xattr records and one operation record for what takes
 * several words (rename, link counts). Derived: the name hash, directory
 * positions, link counts, lookups, free records: rebuilt by tree_attach().
 *
 * Every call that changes names takes @op: the request's number (0: none);
 * its outcome is kept in an operation record, so that a request that comes
 * again after a takeover is answered from there (tree_replay()).
 *
 * Errors besides each call's own: -ESTALE (no such node), -ENOENT, -ENOTDIR,
 * -EISDIR, -EEXIST, -ENAMETOOLONG, -ENOSPC (inodes, names or RAM), -EMLINK.
 */
#ifndef SRC_TREE_TREE_H
#define SRC_TREE_TREE_H

#include "store/store.h"
#include <sys/stat.h>

#define TREE_ROOT UINT64_C(1)
#define TREE_NAME_MAX 255
#define TREE_XATTR_VALUE_MAX 65536

struct tree;

struct tree_options {
	mode_t root_mode; /* permission bits of the root directory */
	uid_t root_uid;
	gid_t root_gid;
	uint64_t nr_inodes; /* 0: as many as the tables hold */
};

/* On an empty arena: makes the root. Needs @stream for nothing yet. */
int tree_new(struct arena *arena, struct store *store,
	     const struct tree_options *options,
	     struct tree **ret_tree) MUST_CHECK;
/* On an attached arena: finishes or undoes operations under way and rebuilds
 * tables, store and pool. Every inode that is named counts one lookup by
 * force; nameless ones are freed unless @keep_nameless. */
int tree_attach(struct arena *arena, struct store *store, bool keep_nameless,
		struct tree **ret_tree) MUST_CHECK;
void tree_free(struct tree *tree); /* private state only */

/* What the kernel wants to know of a node it did not know yet. */
struct tree_entry {
	uint64_t node;
	struct stat attr;
};

/* Who asks; for new inodes and attribute rules. */
struct tree_caller {
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool privileged; /* may keep set-id bits: root, CAP_FSETID */
	uint64_t op;     /* request number; 0: not to be replayed */
	struct stream *stream;
};

/* --- names --- */
int tree_lookup(struct tree *tree, uint64_t parent, const char *name,
		struct tree_entry *ret) MUST_CHECK; /* "." and ".." too */
/* The kernel forgets @n lookups; the inode goes with the last one if it has no
 * name. */
void tree_forget(struct tree *tree, unsigned row, uint64_t node, uint64_t n);

/*
 * Make a file of any type. @mode: type and permissions; @target: of a symlink;
 * umask applies unless the directory has a default ACL, which is inherited; a
 * set-gid directory gives its group (and, to directories, its bit). The entry
 * counts one lookup.
 */
int tree_make(struct tree *tree, const struct tree_caller *who, uint64_t parent,
	      const char *name, mode_t mode, dev_t rdev, const char *target,
	      struct tree_entry *ret) MUST_CHECK;
/* A file without a name (O_TMPFILE). */
int tree_make_nameless(struct tree *tree, const struct tree_caller *who,
		       uint64_t parent, mode_t mode,
		       struct tree_entry *ret) MUST_CHECK;
int tree_link(struct tree *tree, const struct tree_caller *who, uint64_t node,
	      uint64_t parent, const char *name,
	      struct tree_entry *ret) MUST_CHECK;
int tree_unlink(struct tree *tree, const struct tree_caller *who,
		uint64_t parent, const char *name) MUST_CHECK;
int tree_rmdir(struct tree *tree, const struct tree_caller *who,
	       uint64_t parent, const char *name) MUST_CHECK;
/* @flags: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT (the old name
 * means a new character device 0:0 then, of the caller's, which is made with
 * @who's stream); others -EINVAL. */
int tree_rename(struct tree *tree, const struct tree_caller *who,
		uint64_t parent, const char *name, uint64_t new_parent,
		const char *new_name, unsigned flags) MUST_CHECK;
/* The target, NUL-terminated, into @buf of @cap bytes. -EINVAL no symlink. */
int tree_readlink(struct tree *tree, struct stream *stream, uint64_t node,
		  char *buf, size_t cap) MUST_CHECK;

/*
 * Entries behind @cookie (0: the start; "." and ".." come first with cookies 1
 * and 2), each with the cookie to go on from. Stops when @emit returns false.
 * An entry that stays in the directory all the time is given exactly once.
 * @emit runs under the tree's lock: it must not call the tree. With
 * @want_attr the entry's attributes are filled in and, once emit returned true,
 * a lookup is counted (readdirplus) except for "." and "..".
 */
typedef bool tree_emit(void *arg, const char *name, uint64_t cookie,
		       const struct tree_entry *entry);
int tree_readdir(struct tree *tree, uint64_t node, uint64_t cookie,
		 bool want_attr, tree_emit *emit, void *arg) MUST_CHECK;

/* --- attributes --- */
int tree_getattr(struct tree *tree, uint64_t node, struct stat *ret) MUST_CHECK;

enum tree_set {
	TREE_SET_MODE = 1,
	TREE_SET_UID = 2,
	TREE_SET_GID = 4,
	TREE_SET_SIZE = 8,
	TREE_SET_ATIME = 16,
	TREE_SET_MTIME = 32,
	TREE_SET_ATIME_NOW = 64,
	TREE_SET_MTIME_NOW = 128,
	TREE_SET_CTIME = 256,
	TREE_SET_KILL_SUID = 512, /* drop set-id bits and capabilities */
};
int tree_setattr(struct tree *tree, const struct tree_caller *who,
		 uint64_t node, unsigned set, const struct stat *attr,
		 struct stat *ret) MUST_CHECK;

/* --- contents: no tree lock --- */

/* The contents of a node that the kernel holds; -ESTALE, -EISDIR, -EINVAL (not
 * a regular file). */
int tree_file(struct tree *tree, uint64_t node, struct file *ret) MUST_CHECK;
/* After a change of contents: mtime and ctime now; set-id bits go unless @who
 * is privileged, security.capability always, as on Linux. True: the former went. */
bool tree_wrote(struct tree *tree, const struct tree_caller *who,
		uint64_t node);
/* After a read: atime by the rule of relatime. */
void tree_did_read(struct tree *tree, uint64_t node);

/* --- xattrs: user., trusted., security., system.posix_acl_* --- */
/* @cap 0 asks for the size. -ENODATA, -ERANGE (does not fit in @cap). */
int tree_getxattr(struct tree *tree, struct stream *stream, uint64_t node,
		  const char *name, void *buf, size_t cap,
		  size_t *ret_n) MUST_CHECK;
/* Names, each NUL-terminated. */
int tree_listxattr(struct tree *tree, struct stream *stream, uint64_t node,
		   char *buf, size_t cap, size_t *ret_n) MUST_CHECK;
/* In flags of tree_setxattr(): the kernel asks to drop the set-gid bit with the
 * access ACL, for the caller is neither in the group nor privileged. */
#define TREE_XATTR_KILL_SGID 0x10000
/* @flags: XATTR_CREATE (-EEXIST), XATTR_REPLACE (-ENODATA). -ENOSPC when all of
 * an inode's would exceed 64 KiB names + 1 MiB values; -ENOTSUP other
 * namespaces; a POSIX ACL also sets the mode, as tmpfs does. */
int tree_setxattr(struct tree *tree, const struct tree_caller *who,
		  uint64_t node, const char *name, const void *value, size_t n,
		  int flags) MUST_CHECK;
int tree_removexattr(struct tree *tree, const struct tree_caller *who,
		     uint64_t node, const char *name) MUST_CHECK;

/* --- numbers and care --- */
struct tree_stats {
	uint64_t inodes, inodes_max; /* in use; the limit, nr_inodes */
	uint64_t names;
	uint64_t nameless; /* unlinked but held by the kernel */
};
void tree_stats(struct tree *tree, struct tree_stats *ret);
/*
 * True while inodes are on their way out: being freed now, or unlinked a
 * moment ago so that the kernel's FORGET may be about to come. Who got -ENOSPC
 * may wait for it.
 */
bool tree_expects_room(struct tree *tree);
int tree_set_nr_inodes(struct tree *tree, uint64_t nr_inodes) MUST_CHECK;

/* The reply of an operation that ran before: its errno in @ret_error and the
 * entry of those that have one. -ENOENT: it never ran. */
int tree_replay(struct tree *tree, uint64_t op, int *ret_error,
		struct tree_entry *ret_entry) MUST_CHECK;
/* The reply of @op has reached the kernel: its record is free again. */
void tree_op_done(struct tree *tree, uint64_t op);

/*
 * Call @visit for the body of every inode and xattr record, one after the
 * other, each held so that it cannot go under it, the tree's lock not held.
 * Stops when visit returns false. For compaction.
 */
void tree_each_body(struct tree *tree, unsigned row,
		    bool (*visit)(void *arg, struct file file), void *arg);
/* The same for the contents of regular files alone: for what goes to disk. What
 * the tree keeps for itself (xattrs, targets of links) is small and read under
 * the tree's lock, which must not wait for a disk. */
void tree_each_file(struct tree *tree, unsigned row,
		    bool (*visit)(void *arg, struct file file), void *arg);
/* The same for the one file with number @ix (struct file); false: there is no
 * regular file of that number (any more). */
bool tree_with_file(struct tree *tree, unsigned row, uint32_t ix,
		    void (*call)(void *arg, struct file file), void *arg);

/* One past the highest number that a file has or had. */
uint32_t tree_files_end(const struct tree *tree);

/*
 * Walk all state, the store's too: 0, or -EUCLEAN and what is wrong in @faults.
 * Nobody else may be in tree, store or pool; walks may stand at a body. Both
 * are zeroes at first. -ENOSPC, -ENOMEM: no room for the check's own table.
 */
int tree_check(struct tree *tree, struct store_audit *audit,
	       struct faults *faults) MUST_CHECK;
/* Nobody was served for so long: what is expected to happen within a time has
 * that much more of it. */
void tree_stood_still(struct tree *tree, uint64_t ns);

#endif
