/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests about attributes, and what df shows. */
#include "base/page.h"
#include "fs/control.h"
#include "fs/ops.h"
#include "fs/reply.h"
#include "fs/room.h"
#include <errno.h>
#include <linux/xattr.h>

void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct fs *fs = op_fs(req);
	struct tree_entry entry;
	int r = 0;

	(void)fi;
	if (node == CONTROL_NODE)
		control_entry(fs, &entry);
	else
		r = tree_getattr(fs->engine.tree, node, &entry.attr);
	reply_attr(req, r, &entry.attr);
}

static unsigned tree_set(int to_set)
{
	static const struct {
		int fuse;
		unsigned tree;
	} map[] = {
		{FUSE_SET_ATTR_MODE, TREE_SET_MODE},
		{FUSE_SET_ATTR_UID, TREE_SET_UID},
		{FUSE_SET_ATTR_GID, TREE_SET_GID},
		{FUSE_SET_ATTR_SIZE, TREE_SET_SIZE},
		{FUSE_SET_ATTR_ATIME, TREE_SET_ATIME},
		{FUSE_SET_ATTR_MTIME, TREE_SET_MTIME},
		{FUSE_SET_ATTR_ATIME_NOW, TREE_SET_ATIME_NOW},
		{FUSE_SET_ATTR_MTIME_NOW, TREE_SET_MTIME_NOW},
		{FUSE_SET_ATTR_CTIME, TREE_SET_CTIME},
	};
	unsigned set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (to_set & map[i].fuse)
			set |= map[i].tree;
	return set;
}

static bool has_capability(struct fs *fs, fuse_ino_t node)
{
	struct stream *stream = op_stream(fs);
	size_t n;
	int r;

	if (!stream)
		return false;
	r = tree_getxattr(fs->engine.tree, stream, node, XATTR_NAME_CAPS, NULL,
			  0, &n);
	stream_put(fs->engine.streams, stream);
	return r == 0;
}

/*
 * Set-id bits go when the request says so (chown; truncate by whom may not
 * keep them), and when it sets nothing at all, or only ctime. That is a chown()
 * to whom it belongs to, or what is left of the kernel's wish to drop them
 * before a write, after it has left them to us; the reply is how the kernel
 * learns the mode, so it must not wait for the WRITE. Root's writes lose
 * nothing but a capability, and the kernel asks only where there is one.
 */
static bool kills_priv(fuse_req_t req, fuse_ino_t node, int to_set)
{
	if (worker_now->flags & REQUEST_KILL_PRIV)
		return true;
	if (to_set & ~FUSE_SET_ATTR_CTIME)
		return false;
	return to_set || fuse_req_ctx(req)->uid != 0 ||
	       !has_capability(op_fs(req), node);
}

/*
 * A chown() that changes nothing comes without any check of rights, and looks
 * like what comes before a write: it must not take the set-id bits of files
 * that are not the caller's. If it is a write, that will take them.
 */
static bool is_strangers(fuse_req_t req, fuse_ino_t node, int to_set)
{
	uid_t uid = fuse_req_ctx(req)->uid;
	struct stat st;

	if (to_set & ~FUSE_SET_ATTR_CTIME || uid == 0 ||
	    tree_getattr(op_fs(req)->engine.tree, node, &st))
		return false;
	return uid != st.st_uid && !S_ISDIR(st.st_mode) &&
	       st.st_mode & (S_ISUID | S_ISGID);
}

static int set_once(fuse_req_t req, fuse_ino_t node, unsigned set,
		    const struct stat *attr, struct stat *ret)
{
	struct fs *fs = op_fs(req);
	struct tree_caller who = op_caller(req);
	int r;

	who.stream = op_stream(fs);
	if (!who.stream)
		return -EIO;
	r = tree_setattr(fs->engine.tree, &who, node, set, attr, ret);
	stream_put(fs->engine.streams, who.stream);
	return r;
}

void op_setattr(fuse_req_t req, fuse_ino_t node, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	unsigned set = tree_set(to_set);
	struct room room = {0};
	struct stat now;
	int r;

	(void)fi;
	if (node == CONTROL_NODE) {
		reply_result(req, -EPERM);
		return;
	}
	/* ftruncate() and O_TRUNC stamp a file whose size stays, too, and the
	 * kernel leaves that to us. A truncate() to the same size, which looks
	 * no different from here, does not on tmpfs: make can live with that. */
	if (set & TREE_SET_SIZE && !(set & TREE_SET_MTIME))
		set |= TREE_SET_MTIME_NOW;
	if (is_strangers(req, node, to_set))
		set = 0;
	else if (kills_priv(req, node, to_set))
		set |= TREE_SET_KILL_SUID;
	r = set_once(req, node, set, attr, &now);
	while (room_try_again(op_fs(req), r, &room))
		r = set_once(req, node, set, attr, &now);
	reply_attr(req, r, &now);
}

/*
 * Blocks are pages as they are written. Free is what the size limit leaves;
 * available is what fits for certain, even if nothing can be compressed: the
 * RAM that is left, or the size limit if that is less.
 */
void op_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct engine *e = &op_fs(req)->engine;
	struct tree_stats stats;
	struct statvfs vfs = {
		.f_bsize = PAGE_BYTES,
		.f_frsize = PAGE_BYTES,
		.f_namemax = TREE_NAME_MAX,
	};
	uint64_t held = store_pages_held(e->store);
	uint64_t room = page_of(budget_room(&e->budget));

	(void)node;
	vfs.f_blocks = page_of(store_limit(e->store));
	vfs.f_bfree = vfs.f_blocks > held ? vfs.f_blocks - held : 0;
	vfs.f_bavail = vfs.f_bfree < room ? vfs.f_bfree : room;
	tree_stats(e->tree, &stats);
	vfs.f_files = stats.inodes_max;
	if (stats.inodes_max > stats.inodes)
		vfs.f_ffree = stats.inodes_max - stats.inodes;
	fuse_reply_statfs(req, &vfs);
}
