/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about names: looking up, making, linking, renaming, removing. */
#include "fs/control.h"
#include "fs/ops.h"
#include "fs/reply.h"
#include "fs/room.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

/* The kernel may remember for long that there is nothing: who makes the name
 * goes through the same kernel. */
static void reply_no_entry(fuse_req_t req)
{
	struct fuse_entry_param none = {.entry_timeout = KEEP_SECONDS};

	fuse_reply_entry(req, &none);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = op_fs(req);
	struct tree_entry entry;
	int r;

	if (op_is_control(parent, name)) {
		control_entry(fs, &entry);
		reply_entry(req, 0, &entry);
		return;
	}
	r = tree_lookup(fs->engine.tree, parent, name, &entry);
	if (r == -ENOENT)
		reply_no_entry(req);
	else
		reply_entry(req, r, &entry);
}

/* Row of the shared threads: the worker holds no stream here, and the row of
 * a slot belongs to who holds the slot's stream. */
static void forget(struct fs *fs, fuse_ino_t node, uint64_t n)
{
	if (node != CONTROL_NODE)
		tree_forget(fs->engine.tree, TALLY_SHARED_ROW, node, n);
}

void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t n)
{
	forget(op_fs(req), node, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *all)
{
	for (size_t i = 0; i < n; i++)
		forget(op_fs(req), all[i].ino, all[i].nlookup);
	fuse_reply_none(req);
}

/* What the tree needs to know of a file to be made. */
struct making {
	fuse_ino_t parent;
	const char *name; /* NULL: a file without a name */
	mode_t mode;
	dev_t rdev;
	const char *target;
};

static int make_once(struct fs *fs, struct tree_caller *who,
		     const struct making *m, struct tree_entry *ret)
{
	struct tree *tree = fs->engine.tree;
	int r;

	who->stream = op_stream(fs);
	if (!who->stream)
		return -EIO;
	if (m->name)
		r = tree_make(tree, who, m->parent, m->name, m->mode, m->rdev,
			      m->target, ret);
	else
		r = tree_make_nameless(tree, who, m->parent, m->mode, ret);
	stream_put(fs->engine.streams, who->stream);
	return r;
}

static int make(fuse_req_t req, const struct making *m, struct tree_entry *ret)
{
	struct fs *fs = op_fs(req);
	struct tree_caller who = op_caller(req);
	struct room room = {0};
	int r;

	if (m->name && op_is_control(m->parent, m->name))
		return -EPERM;
	r = make_once(fs, &who, m, ret);
	while (room_try_again(fs, r, &room))
		r = make_once(fs, &who, m, ret);
	return r;
}

static void make_and_reply(fuse_req_t req, const struct making *m)
{
	struct tree_entry entry;
	int r = make(req, m, &entry);

	reply_entry(req, r, &entry);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev)
{
	struct making m = {
		.parent = parent, .name = name, .mode = mode, .rdev = rdev};

	make_and_reply(req, &m);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct making m = {
		.parent = parent,
		.name = name,
		.mode = S_IFDIR | (mode & ~(mode_t)S_IFMT),
	};

	make_and_reply(req, &m);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name)
{
	struct making m = {
		.parent = parent,
		.name = name,
		.mode = S_IFLNK | 0777,
		.target = target,
	};

	make_and_reply(req, &m);
}

/* Somebody else's create came first: then this is an open of that file. */
static int open_existing(fuse_req_t req, const struct making *m, int flags,
			 struct tree_entry *ret)
{
	struct fs *fs = op_fs(req);
	struct tree_caller who = op_caller(req);
	struct stat empty = {0};
	int r = tree_lookup(fs->engine.tree, m->parent, m->name, ret);

	if (r || !(flags & O_TRUNC) || !S_ISREG(ret->attr.st_mode))
		return r;
	who.stream = op_stream(fs);
	if (!who.stream)
		return -EIO;
	r = tree_setattr(fs->engine.tree, &who, ret->node,
			 TREE_SET_SIZE |
				 (who.privileged ? 0 : TREE_SET_KILL_SUID),
			 &empty, &ret->attr);
	stream_put(fs->engine.streams, who.stream);
	if (r)
		forget(fs, ret->node, 1);
	return r;
}

/*
 * Where there is nothing to open, neither is there here: told so once, the
 * kernel sends MKNOD and opens by itself, and no RELEASE follows. (It leaves
 * that out only after an OPEN was declined, which a mount that is being filled
 * may never see.)
 */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct fs *fs = op_fs(req);
	bool nameless = worker_now->flags & REQUEST_NAMELESS;
	struct making m = {
		.parent = parent,
		.name = nameless ? NULL : name,
		.mode = S_IFREG | (mode & ~(mode_t)S_IFMT),
	};
	struct fuse_entry_param param;
	struct tree_entry entry;
	int r;

	if (!nameless && fs->config->cache != FS_CACHE_NONE) {
		reply_result(req, -ENOSYS);
		return;
	}
	r = make(req, &m, &entry);
	if (r == -EEXIST && !nameless && !(fi->flags & O_EXCL))
		r = open_existing(req, &m, fi->flags, &entry);
	if (r) {
		reply_result(req, r);
		return;
	}
	param = reply_param(&entry);
	op_open_flags(fs, fi);
	if (fuse_reply_create(req, &param, fi) < 0)
		forget(fs, entry.node, 1);
}

void op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent,
	     const char *name)
{
	struct tree_caller who = op_caller(req);
	struct tree_entry entry;
	int r = -EPERM;

	if (node != CONTROL_NODE && !op_is_control(parent, name)) {
		struct fs *fs = op_fs(req);
		struct room room = {0};

		r = tree_link(fs->engine.tree, &who, node, parent, name,
			      &entry);
		while (room_try_again(fs, r, &room))
			r = tree_link(fs->engine.tree, &who, node, parent, name,
				      &entry);
	}
	reply_entry(req, r, &entry);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct tree_caller who = op_caller(req);
	int r = -EPERM;

	if (!op_is_control(parent, name))
		r = tree_unlink(op_fs(req)->engine.tree, &who, parent, name);
	reply_result(req, r);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct tree_caller who = op_caller(req);
	int r = -ENOTDIR;

	if (!op_is_control(parent, name))
		r = tree_rmdir(op_fs(req)->engine.tree, &who, parent, name);
	reply_result(req, r);
}

/* A rename: from where, to where. */
struct moving {
	fuse_ino_t parent;
	const char *name;
	fuse_ino_t new_parent;
	const char *new_name;
	unsigned flags;
};

static int move_once(struct fs *fs, struct tree_caller *who,
		     const struct moving *m)
{
	int r;

	/* A whiteout is a new file, which inherits what its directory gives. */
	if (m->flags & RENAME_WHITEOUT) {
		who->stream = op_stream(fs);
		if (!who->stream)
			return -EIO;
	}
	r = tree_rename(fs->engine.tree, who, m->parent, m->name, m->new_parent,
			m->new_name, m->flags);
	if (who->stream)
		stream_put(fs->engine.streams, who->stream);
	return r;
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
	struct fs *fs = op_fs(req);
	struct tree_caller who = op_caller(req);
	struct moving m = {parent, name, new_parent, new_name, flags};
	struct room room = {0};
	int r = -EPERM;

	if (!op_is_control(parent, name) &&
	    !op_is_control(new_parent, new_name)) {
		r = move_once(fs, &who, &m);
		while (room_try_again(fs, r, &room))
			r = move_once(fs, &who, &m);
	}
	reply_result(req, r);
}

void op_readlink(fuse_req_t req, fuse_ino_t node)
{
	struct fs *fs = op_fs(req);
	char target[PATH_MAX + 1];
	struct stream *stream;
	int r;

	if (node == CONTROL_NODE) {
		reply_result(req, -EINVAL);
		return;
	}
	stream = op_stream(fs);
	if (!stream) {
		reply_result(req, -EIO);
		return;
	}
	r = tree_readlink(fs->engine.tree, stream, node, target,
			  sizeof(target));
	stream_put(fs->engine.streams, stream);
	if (r)
		reply_result(req, r);
	else
		fuse_reply_readlink(req, target);
}
