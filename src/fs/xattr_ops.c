/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests about extended attributes: the tree's, the hidden file's, and the
 * keys that tell about one file, which are answered by name and never listed.
 */
#include "foldfs/keys.h"
#include "fs/control.h"
#include "fs/file_keys.h"
#include "fs/ops.h"
#include "fs/reply.h"
#include "fs/room.h"
#include "fs/spill_knobs.h"
#include <errno.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/xattr.h>

/* Names that are ours: nobody stores anything under them. */
static bool is_ours(const char *name)
{
	return strncmp(name, FOLDFS_KEY_PREFIX,
		       sizeof(FOLDFS_KEY_PREFIX) - 1) == 0;
}

static void get_file_key(fuse_req_t req, fuse_ino_t node, const char *name,
			 size_t size)
{
	char *text = worker_now->out;
	int r = file_key(op_fs(req), node, name, text);
	size_t n = r ? 0 : strlen(text);

	if (!r && size != 0 && n > size)
		r = -ERANGE;
	reply_xattr(req, r, text, n, size);
}

void op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
	struct fs *fs = op_fs(req);
	size_t cap = size < IO_MAX_BYTES ? size : IO_MAX_BYTES;
	struct stream *stream;
	size_t n = 0;
	int r;

	if (node == CONTROL_NODE) {
		control_getxattr(req, name, size);
		return;
	}
	if (is_ours(name)) {
		get_file_key(req, node, name, size);
		return;
	}
	stream = op_stream(fs);
	if (!stream) {
		reply_result(req, -EIO);
		return;
	}
	r = tree_getxattr(fs->engine.tree, stream, node, name, worker_now->out,
			  cap, &n);
	stream_put(fs->engine.streams, stream);
	reply_xattr(req, r, worker_now->out, n, size);
}

/* What only root may see goes from the @n bytes of names; what stays. */
static size_t drop_trusted(char *names, size_t n)
{
	size_t kept = 0, length;

	for (size_t at = 0; at < n; at += length) {
		length = strlen(names + at) + 1;
		if (strncmp(names + at, XATTR_TRUSTED_PREFIX,
			    XATTR_TRUSTED_PREFIX_LEN) == 0)
			continue;
		memmove(names + kept, names + at, length);
		kept += length;
	}
	return kept;
}

/* All names are fetched even for their size alone: only what the caller may
 * see counts. */
void op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
	struct fs *fs = op_fs(req);
	char *names = worker_now->out;
	struct stream *stream;
	size_t n = 0;
	int r;

	if (node == CONTROL_NODE) {
		control_listxattr(req, size);
		return;
	}
	stream = op_stream(fs);
	if (!stream) {
		reply_result(req, -EIO);
		return;
	}
	r = tree_listxattr(fs->engine.tree, stream, node, names, IO_MAX_BYTES,
			   &n);
	stream_put(fs->engine.streams, stream);
	if (!r && fuse_req_ctx(req)->uid != 0)
		n = drop_trusted(names, n);
	if (!r && size != 0 && n > size)
		r = -ERANGE;
	reply_xattr(req, r, names, n, size);
}

/* A change of one attribute; value NULL: removal. */
struct xattr_change {
	fuse_ino_t node;
	const char *name;
	const char *value;
	size_t n;
	int flags;
};

static int change_once(struct fs *fs, struct tree_caller *who,
		       const struct xattr_change *c)
{
	struct tree *tree = fs->engine.tree;
	int r;

	who->stream = op_stream(fs);
	if (!who->stream)
		return -EIO;
	if (c->value)
		r = tree_setxattr(tree, who, c->node, c->name, c->value, c->n,
				  c->flags);
	else
		r = tree_removexattr(tree, who, c->node, c->name);
	stream_put(fs->engine.streams, who->stream);
	return r;
}

/* An ACL set by somebody outside the group ends set-gid, as chmod would. The
 * kernel holds the file's inode locked meanwhile and asks for the mode after. */
static int drop_sgid(struct fs *fs, struct tree_caller *who, fuse_ino_t node)
{
	struct tree *tree = fs->engine.tree;
	struct stat attr;
	int r = tree_getattr(tree, node, &attr);

	if (r || !(attr.st_mode & S_ISGID))
		return r;
	attr.st_mode &= ~(mode_t)S_ISGID;
	/* The mode is also in the ACL. */
	who->stream = op_stream(fs);
	if (!who->stream)
		return -EIO;
	r = tree_setattr(tree, who, node, TREE_SET_MODE, &attr, &attr);
	stream_put(fs->engine.streams, who->stream);
	return r;
}

/* The kernel says so of default ACLs as well, which leave the mode alone. */
static bool ends_sgid(const struct xattr_change *c)
{
	return worker_now->flags & REQUEST_KILL_SGID &&
	       strcmp(c->name, XATTR_NAME_POSIX_ACL_ACCESS) == 0;
}

static void change(fuse_req_t req, const struct xattr_change *c)
{
	struct fs *fs = op_fs(req);
	struct tree_caller who = op_caller(req);
	struct room room = {0};
	int r = -EPERM;

	if (c->node != CONTROL_NODE && !is_ours(c->name)) {
		r = change_once(fs, &who, c);
		while (room_try_again(fs, r, &room))
			r = change_once(fs, &who, c);
		if (!r && ends_sgid(c))
			r = drop_sgid(fs, &who, c->node);
	}
	reply_result(req, r);
}

void op_setxattr(fuse_req_t req, fuse_ino_t node, const char *name,
		 const char *value, size_t n, int flags)
{
	struct xattr_change c = {
		.node = node,
		.name = name,
		.value = value,
		.n = n,
		.flags = flags,
	};

	if (node == CONTROL_NODE)
		control_setxattr(req, name, value, n);
	else if (strcmp(name, FOLDFS_FILE_SPILL) == 0)
		spill_file_request(req, node, value, n);
	else
		change(req, &c);
}

void op_removexattr(fuse_req_t req, fuse_ino_t node, const char *name)
{
	struct xattr_change c = {.node = node, .name = name};

	change(req, &c);
}
