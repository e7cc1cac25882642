/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The key by which one file's pages go out or come back.
 *
 * The kernel holds the file as long as it has no answer, so its node stays what
 * it is.
 */
#include "base/heap.h"
#include "fs/control.h"
#include "fs/later.h"
#include "fs/ops.h"
#include "fs/reply.h"
#include "fs/spill_knobs.h"
#include <errno.h>
#include <string.h>

#define TEXT_MAX 2048u

struct job {
	struct later_job job;
	struct file file;
	struct spill_order order;
};

static int carry_out(struct spiller *spiller, const struct job *j)
{
	int r = 0;

	for (unsigned i = 0; !r && i < j->order.n; i++)
		r = spiller_move(spiller, j->file, j->order.out,
				 j->order.range[i].first_page,
				 j->order.range[i].end_page);
	return r;
}

static void run(struct fs *fs, struct later_job *job)
{
	struct job *j = container_of(job, struct job, job);
	int r = carry_out(fs->spiller, j);

	spiller_release(fs->spiller, SPILL_ORDER_FILE);
	reply_result(job->req, r);
}

/* Root, who mounted, and the file's owner. */
static int check_right(fuse_req_t req, fuse_ino_t node)
{
	struct fs *fs = op_fs(req);
	uid_t uid = fuse_req_ctx(req)->uid;
	struct stat st;
	int r;

	if (control_may_change(fs, uid))
		return 0;
	r = tree_getattr(fs->engine.tree, node, &st);
	if (!r && st.st_uid != uid)
		r = -EPERM;
	return r;
}

/* Without white space at its end. */
static int parse(const char *value, size_t n, struct spill_order *ret)
{
	char text[TEXT_MAX + 1];

	while (n > 0 && strchr(" \n", value[n - 1]))
		n--;
	if (n > TEXT_MAX)
		return -ERANGE;
	memcpy(text, value, n);
	text[n] = '\0';
	return strlen(text) == n ? spill_order(text, ret) : -EINVAL;
}

static int prepare(fuse_req_t req, fuse_ino_t node, const char *value, size_t n,
		   struct job *j)
{
	struct fs *fs = op_fs(req);
	int r = check_right(req, node);

	if (!r)
		r = tree_file(fs->engine.tree, node, &j->file);
	if (!r)
		r = parse(value, n, &j->order);
	if (!r)
		r = spiller_claim(fs->spiller, SPILL_ORDER_FILE);
	return r;
}

void spill_file_request(fuse_req_t req, fuse_ino_t node, const char *value,
			size_t n)
{
	struct job *j = heap_zalloc(1, sizeof(*j));
	int r = j ? prepare(req, node, value, n, j) : -ENOMEM;

	if (r) {
		heap_free(j);
		reply_result(req, r);
		return;
	}
	j->job.run = run;
	later_add(op_fs(req)->slow, req, &j->job);
}
