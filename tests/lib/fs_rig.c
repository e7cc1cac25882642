/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole file system without a mount: the test is the kernel. */
#include "fs_rig.h"
#include "base/check.h"
#include "base/heap.h"
#include "base/page.h"
#include "fs/autoscale.h"
#include "fs/knobs.h"
#include "fs/latency.h"
#include "fs/later.h"
#include "fs/ops.h"
#include "fs/pause.h"
#include "fs/reply.h"
#include "fs/spiller.h"
#include "fs/tidy.h"
#include "fs/worker.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

void fs_rig_config(struct fs_rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	rig->config = (struct fs_config){
		.mountpoint = "/nowhere",
		.source = "rig",
		.size_bytes = 256 * MIB,
		.mem_limit_bytes = 256 * MIB,
		.mode = 01777,
		.compress = {.id = CODEC_LZ4, .level = 1},
		.workers = 1,
		.cache = FS_CACHE_THROUGH,
		.kernel_options = "",
	};
}

static void open_session(struct fs_rig *rig)
{
	static const struct fuse_custom_io io = {
		.writev = reply_writev,
		.read = reply_no_read,
	};
	char program[] = "rig";
	char *argv[] = {program, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fs *fs = rig->fs;
	int fds[2];

	invariant(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) ==
		  0);
	rig->kernel_fd = fds[0];
	rig->daemon_fd = fds[1];
	fs->se = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), fs);
	fuse_opt_free_args(&args);
	invariant(fs->se);
	/* The session closes what it is given. */
	fs->fuse_fd = dup(fds[1]);
	invariant(fuse_session_custom_io(fs->se, &io, fs->fuse_fd) == 0);
}

#define STEPS_BY_HAND 3

static void slot_up(struct fs_rig *rig)
{
	struct worker *w = &rig->fs->worker[0];

	/* Charge, stream and buffers; the descriptor is the socket. */
	for (unsigned i = 0; i < STEPS_BY_HAND; i++)
		invariant(worker_crew.steps[i].up(rig->fs, 0) == 0);
	w->fd = rig->daemon_fd;
	rig->w = w;
	worker_now = w;
}

void fs_rig_up(struct fs_rig *rig)
{
	struct fs *fs = heap_zalloc(1, sizeof(*fs));

	invariant(fs);
	rig->fs = fs;
	fs->config = &rig->config;
	fs->ctl = (struct ctl){.ops = &knobs_ops, .arg = fs};
	fs->ready_fd = eventfd(0, EFD_CLOEXEC);
	fs->tally = heap_aligned(64, sizeof(*fs->tally));
	invariant(fs->tally);
	memset(fs->tally, 0, sizeof(*fs->tally));
	fs->latency = heap_zalloc(1, sizeof(*fs->latency));
	invariant(fs->latency);
	workers_init(fs);
	invariant(pause_new(&fs->pause) == 0);
	invariant(engine_init(&fs->engine, &rig->config) == 0);
	open_session(rig);
	invariant(crew_new(&worker_crew, fs, &fs->crew) == 0);
	invariant(autoscale_new(fs, &fs->autoscale) == 0);
	invariant(tidy_start(fs, &fs->tidy) == 0);
	invariant(spiller_start(fs, &fs->spiller) == 0);
	invariant(later_start(fs, LATER_QUICK, &fs->later) == 0);
	if (rig->threads)
		invariant(crew_set(fs->crew, rig->threads) == 0);
	else
		slot_up(rig);
}

void fs_rig_down(struct fs_rig *rig)
{
	struct fs *fs = rig->fs;

	spiller_cancel(fs->spiller);
	later_stop(fs->later);
	crew_stop(fs->crew);
	worker_now = NULL;
	if (!rig->threads)
		for (unsigned i = STEPS_BY_HAND; i-- > 0;)
			worker_crew.steps[i].down(fs, 0);
	spiller_stop(fs->spiller);
	tidy_stop(fs->tidy);
	workers_fini(fs);
	fuse_session_destroy(fs->se);
	crew_free(fs->crew);
	autoscale_free(fs->autoscale);
	engine_fini(&fs->engine);
	pause_free(fs->pause);
	heap_free(fs->latency);
	heap_free(fs->tally);
	close(fs->ready_fd);
	close(rig->kernel_fd);
	close(rig->daemon_fd);
	heap_free(fs);
}

int fs_rig_wait_reply(struct fs_rig *rig)
{
	struct pollfd pfd = {.fd = rig->kernel_fd, .events = POLLIN};
	ssize_t n;

	while (poll(&pfd, 1, -1) < 0)
		invariant(errno == EINTR);
	n = recv(rig->kernel_fd, rig->reply.bytes, sizeof(rig->reply), 0);
	invariant(n >= (ssize_t)sizeof(rig->reply.head));
	invariant(rig->reply.head.len == (uint32_t)n);
	return rig->reply.head.error;
}

static void fill_head(struct fs_rig *rig, struct fuse_in_header *head,
		      uint32_t opcode, uint64_t node, size_t n)
{
	*head = (struct fuse_in_header){
		.len = (uint32_t)(sizeof(*head) + n),
		.opcode = opcode,
		.unique = rig->unique += 2,
		.nodeid = node,
		.uid = rig->uid,
		.gid = rig->uid,
	};
}

void fs_rig_send(struct fs_rig *rig, uint32_t opcode, uint64_t node,
		 const void *body, size_t body_n)
{
	char bytes[512];
	struct fuse_in_header head;

	invariant(sizeof(head) + body_n <= sizeof(bytes));
	fill_head(rig, &head, opcode, node, body_n);
	memcpy(bytes, &head, sizeof(head));
	if (body_n)
		memcpy(bytes + sizeof(head), body, body_n);
	invariant(send(rig->kernel_fd, bytes, head.len, 0) ==
		  (ssize_t)head.len);
}

int fs_rig_ask(struct fs_rig *rig, uint32_t opcode, uint64_t node,
	       const void *body, size_t body_n, const void *tail, size_t tail_n)
{
	struct fuse_in_header head;
	char *at = rig->w->in + sizeof(head);

	fill_head(rig, &head, opcode, node, body_n + tail_n);
	memcpy(rig->w->in, &head, sizeof(head));
	if (body_n)
		memcpy(at, body, body_n);
	if (tail_n)
		memcpy(at + body_n, tail, tail_n);
	loop_serve(rig->w, head.len);
	rig->held += rig->w->held->n;
	held_send_all(rig->w);
	/* A notification of a new mode may go before it. */
	do
		fs_rig_wait_reply(rig);
	while (rig->reply.head.unique == 0);
	invariant(rig->reply.head.unique == rig->unique);
	return rig->reply.head.error;
}

void fs_rig_init(struct fs_rig *rig, uint64_t flags)
{
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 128u << 10,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
	};

	invariant(fs_rig_ask(rig, FUSE_INIT, 0, &in, sizeof(in), NULL, 0) == 0);
}

uint64_t fs_rig_create(struct fs_rig *rig, const char *name, uint32_t mode)
{
	struct fuse_mknod_in in = {.mode = S_IFREG | mode};
	struct fuse_entry_out *out = fs_rig_data(rig);

	invariant(fs_rig_ask(rig, FUSE_MKNOD, TREE_ROOT, &in, sizeof(in), name,
			     strlen(name) + 1) == 0);
	return out->nodeid;
}

int fs_rig_write(struct fs_rig *rig, uint64_t node, uint64_t offset,
		 const void *data, uint32_t n, uint32_t write_flags)
{
	struct fuse_write_in in = {
		.offset = offset, .size = n, .write_flags = write_flags};
	struct fuse_write_out *out = fs_rig_data(rig);
	int r = fs_rig_ask(rig, FUSE_WRITE, node, &in, sizeof(in), data, n);

	return r ? r : (int)out->size;
}

int fs_rig_read(struct fs_rig *rig, uint64_t node, uint64_t offset, uint32_t n)
{
	struct fuse_read_in in = {.offset = offset, .size = n};
	int r = fs_rig_ask(rig, FUSE_READ, node, &in, sizeof(in), NULL, 0);

	return r ? r : (int)fs_rig_data_n(rig);
}

uint32_t fs_rig_mode(struct fs_rig *rig, uint64_t node)
{
	struct fuse_getattr_in in = {0};
	struct fuse_attr_out *out = fs_rig_data(rig);

	invariant(fs_rig_ask(rig, FUSE_GETATTR, node, &in, sizeof(in), NULL,
			     0) == 0);
	return out->attr.mode & 07777;
}
