/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests about directories. Cookies are the tree's, so there is nothing to
 * open, and the kernel is told so once.
 */
#include "fs/ops.h"
#include "fs/reply.h"
#include <errno.h>

/* One reply under way. */
struct listing {
	fuse_req_t req;
	char *buf;
	size_t cap, used;
	bool plus;
};

void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	(void)fi;
	reply_result(req, -ENOSYS);
}

static bool emit(void *arg, const char *name, uint64_t cookie,
		 const struct tree_entry *entry)
{
	struct listing *l = arg;
	struct fuse_entry_param param;
	char *at = l->buf + l->used;
	size_t room = l->cap - l->used;
	size_t n;

	if (l->plus) {
		param = reply_param(entry);
		n = fuse_add_direntry_plus(l->req, at, room, name, &param,
					   (off_t)cookie);
	} else {
		n = fuse_add_direntry(l->req, at, room, name, &entry->attr,
				      (off_t)cookie);
	}
	if (n > room)
		return false;
	l->used += n;
	return true;
}

static void list(fuse_req_t req, fuse_ino_t node, size_t size, off_t cookie,
		 bool plus)
{
	struct tree *tree = op_fs(req)->engine.tree;
	struct listing l = {
		.req = req,
		.buf = worker_now->out,
		.cap = size < IO_MAX_BYTES ? size : IO_MAX_BYTES,
		.plus = plus,
	};
	int r;

	if (node == CONTROL_NODE) {
		reply_result(req, -ENOTDIR);
		return;
	}
	r = tree_readdir(tree, node, (uint64_t)cookie, plus, emit, &l);
	if (r) {
		reply_result(req, r);
		return;
	}
	op_did_read(op_fs(req), node);
	fuse_reply_buf(req, l.buf, l.used);
}

void op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t cookie,
		struct fuse_file_info *fi)
{
	(void)fi;
	list(req, node, size, cookie, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t cookie,
		    struct fuse_file_info *fi)
{
	(void)fi;
	list(req, node, size, cookie, true);
}
