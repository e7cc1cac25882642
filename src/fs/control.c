/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hidden file: its attributes, and the keys on it. */
#include "fs/control.h"
#include "base/heap.h"
#include "foldfs/keys.h"
#include "fs/later.h"
#include "fs/reply.h"
#include "fs/spill_knobs.h"
#include <errno.h>
#include <string.h>

void control_entry(const struct fs *fs, struct tree_entry *ret)
{
	*ret = (struct tree_entry){
		.node = CONTROL_NODE,
		.attr =
			{
				.st_ino = CONTROL_NODE,
				.st_mode = S_IFREG | 0644,
				.st_nlink = 1,
				.st_uid = fs->owner,
				.st_blksize = 4096,
				.st_atim = fs->started,
				.st_mtim = fs->started,
				.st_ctim = fs->started,
			},
	};
}

void control_getxattr(fuse_req_t req, const char *name, size_t size)
{
	struct fs *fs = fuse_req_userdata(req);
	size_t cap = size < IO_MAX_BYTES ? size : IO_MAX_BYTES;
	size_t n = 0;
	int r = ctl_get(&fs->ctl, name, worker_now->out, cap, &n);

	reply_xattr(req, r, worker_now->out, n, size);
}

void control_listxattr(fuse_req_t req, size_t size)
{
	struct fs *fs = fuse_req_userdata(req);
	size_t cap = size < IO_MAX_BYTES ? size : IO_MAX_BYTES;
	size_t n = 0;
	int r = ctl_list(&fs->ctl, worker_now->out, cap, &n);

	reply_xattr(req, r, worker_now->out, n, size);
}

struct change {
	struct later_job job;
	bool slow;
	size_t n;
	char *name; /* in `text`, behind the value */
	char text[];
};

static void change(struct fs *fs, struct later_job *job)
{
	struct change *c = container_of(job, struct change, job);

	int r = ctl_set(&fs->ctl, c->name, c->text, c->n);

	if (c->slow)
		spiller_release(fs->spiller, SPILL_ORDER_MOUNT);
	reply_result(job->req, r);
}

/* What may take minutes is done apart from the rest, and one at a time. */
static bool is_slow(const char *name)
{
	enum ctl_key key;

	return ctl_find(name + sizeof(FOLDFS_KEY_PREFIX) - 1, &key) == 0 &&
	       spill_knob_is_slow(key);
}

/* Whoever may write the file by its mode may not turn the knobs by that
 * alone: capabilities over files are none over the mount. */
bool control_may_change(const struct fs *fs, uid_t uid)
{
	return uid == 0 || uid == fs->owner;
}

void control_setxattr(fuse_req_t req, const char *name, const char *value,
		      size_t n)
{
	struct fs *fs = fuse_req_userdata(req);
	size_t name_n = strlen(name) + 1;
	struct change *c;

	if (!control_may_change(fs, fuse_req_ctx(req)->uid)) {
		reply_result(req, -EPERM);
		return;
	}
	/* Nothing but keys is ever kept here: no ACL, no label. */
	if (strncmp(name, FOLDFS_KEY_PREFIX, sizeof(FOLDFS_KEY_PREFIX) - 1)) {
		reply_result(req, -EPERM);
		return;
	}
	if (n > CTL_TEXT_MAX) {
		reply_result(req, -EINVAL);
		return;
	}
	c = heap_alloc(sizeof(*c) + n + name_n);
	if (!c) {
		reply_result(req, -ENOMEM);
		return;
	}
	memcpy(c->text, value, n);
	c->n = n;
	c->name = c->text + n;
	memcpy(c->name, name, name_n);
	c->job.run = change;
	c->slow = is_slow(name);
	if (c->slow && spiller_claim(fs->spiller, SPILL_ORDER_MOUNT) != 0) {
		heap_free(c);
		reply_result(req, -EBUSY);
		return;
	}
	later_add(c->slow ? fs->slow : fs->later, req, &c->job);
}
