/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replies: which descriptor they leave by, and the few shapes they have. */
#include "fs/reply.h"
#include "fs/ring.h"
#include "fs/trace.h"
#include "fs/wire.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

_Thread_local struct worker *worker_now;

ssize_t reply_writev(int fd, struct iovec *iov, int count, void *arg)
{
	struct fs *fs = arg;
	struct fuse_out_header *head = iov[0].iov_base;
	ssize_t n;
	bool init;

	if (worker_now)
		fd = worker_now->fd;
	init = wire_patch_reply(fs, iov, count);
	if (fs->config->debug)
		trace_reply(head->unique, head->error, head->len);
	if (worker_now && worker_now->entry && head->unique) {
		ring_reply(worker_now->entry, iov, count);
		return head->len;
	}
	n = writev(fd, iov, count);
	if (init && n > 0 && head->error == 0)
		wire_init_done(fs);
	return n;
}

ssize_t reply_no_read(int fd, void *buf, size_t n, void *arg)
{
	(void)fd;
	(void)buf;
	(void)n;
	(void)arg;
	errno = ENOSYS;
	return -1;
}

/* In one piece: a vector costs the kernel as much as copying a page. */
static void send_reply(struct worker *w, void *reply, size_t n)
{
	struct fuse_out_header *head = reply;

	head->len = (uint32_t)n;
	if (w->fs->config->debug)
		trace_reply(head->unique, head->error, head->len);
	if (w->entry) {
		ring_reply(w->entry, &(struct iovec){reply, n}, 1);
		return;
	}
	/* Fails when the request was aborted: then nobody waits for it. */
	if (write(w->fd, reply, n) < 0)
		return;
}

void reply_error(struct worker *w, uint64_t unique, int error)
{
	struct fuse_out_header head = {.unique = unique, .error = error};

	send_reply(w, &head, sizeof(head));
}

void reply_out(struct worker *w, uint64_t unique, size_t n)
{
	struct fuse_out_header head = {.unique = unique};
	char *reply = w->out - sizeof(head);

	memcpy(reply, &head, sizeof(head));
	send_reply(w, reply, sizeof(head) + n);
}

void reply_written(struct worker *w, uint64_t unique, size_t n)
{
	struct {
		struct fuse_out_header head;
		struct fuse_write_out out;
	} reply = {.head.unique = unique, .out.size = (uint32_t)n};

	send_reply(w, &reply, sizeof(reply));
}

void reply_result(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}

struct fuse_entry_param reply_param(const struct tree_entry *entry)
{
	struct fuse_entry_param param = {
		.ino = entry->node,
		.generation = entry->node >> 32,
		.attr = entry->attr,
		.attr_timeout = KEEP_SECONDS,
		.entry_timeout = KEEP_SECONDS,
	};

	return param;
}

void reply_entry(fuse_req_t req, int r, const struct tree_entry *entry)
{
	struct fs *fs = fuse_req_userdata(req);
	struct fuse_entry_param param;

	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	param = reply_param(entry);
	if (fuse_reply_entry(req, &param) < 0 && entry->node != CONTROL_NODE)
		tree_forget(fs->engine.tree, worker_now->slot, entry->node, 1);
}

void reply_attr(fuse_req_t req, int r, const struct stat *attr)
{
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, attr, KEEP_SECONDS);
}

void reply_xattr(fuse_req_t req, int r, const void *buf, size_t n, size_t size)
{
	if (r)
		fuse_reply_err(req, -r);
	else if (size == 0)
		fuse_reply_xattr(req, n);
	else
		fuse_reply_buf(req, buf, n);
}
