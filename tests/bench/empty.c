/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A FUSE daemon that does nothing: what the road to user space costs alone.
 *
 *	empty [-d] [-l] [-n THREADS] SIZE MOUNTPOINT
 *
 * MOUNTPOINT/file has SIZE bytes in plain memory; a read or a write copies, so
 * what is read back is right. By default its threads take requests from clones
 * of /dev/fuse as the workers of foldfs do: they look again for 20 us before they
 * sleep, and answer READ and WRITE straight from the request's bytes. With -l the
 * same answers go through fuse_session_loop_mt(). With -d the file is opened for
 * direct I/O, as one that becomes swap must be, and they look for 60 us, as ours
 * do then. Stays in the foreground until it is unmounted.
 */
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILE_NODE 2
#define PAGE_BYTES 4096
#define IO_BYTES (1u << 20)
#define HEAD_BYTES                                                             \
	(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
/* A WRITE's payload starts at a page; a reply's header is right before its. */
#define ROOM_BYTES (PAGE_BYTES + IO_BYTES)
#define BRIEF_NS 20000
#define FAULT_NS 60000
#define KEEP_SECONDS 1e9
#define MOST_THREADS 64

static char *data;
static size_t data_bytes;
static struct fuse_session *session;
static int64_t look_ns = BRIEF_NS;
static __thread int thread_fd = -1;

struct thread {
	pthread_t thread;
	int fd;
	char *in;
	char *out;
};

static struct stat attr_of(fuse_ino_t node)
{
	struct stat st = {.st_ino = node, .st_nlink = 1, .st_blksize = 4096};

	if (node == FILE_NODE) {
		st.st_mode = S_IFREG | 0600;
		st.st_size = (off_t)data_bytes;
		st.st_blocks = (blkcnt_t)(data_bytes / 512);
	} else {
		st.st_mode = S_IFDIR | 0700;
		st.st_nlink = 2;
	}
	return st;
}

/* How much of @n bytes at @at there is. */
static size_t within(uint64_t at, size_t n)
{
	if (at >= data_bytes)
		return 0;
	return n < data_bytes - at ? n : data_bytes - at;
}

static void empty_init(void *arg, struct fuse_conn_info *conn)
{
	(void)arg;
	conn->want = conn->capable &
		     (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
		      FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT);
	conn->max_write = IO_BYTES;
	conn->max_background = 256;
	conn->congestion_threshold = 192;
}

static void empty_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param param = {
		.ino = FILE_NODE,
		.attr = attr_of(FILE_NODE),
		.attr_timeout = KEEP_SECONDS,
		.entry_timeout = KEEP_SECONDS,
	};

	if (parent != FUSE_ROOT_ID || strcmp(name, "file") != 0)
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_entry(req, &param);
}

/* -d: said for each open, so the kernel has to ask. */
static void empty_open(fuse_req_t req, fuse_ino_t node,
		       struct fuse_file_info *fi)
{
	(void)node;
	fi->direct_io = 1;
	fuse_reply_open(req, fi);
}

static void empty_getattr(fuse_req_t req, fuse_ino_t node,
			  struct fuse_file_info *fi)
{
	struct stat st = attr_of(node);

	(void)fi;
	fuse_reply_attr(req, &st, KEEP_SECONDS);
}

/* The size stays what it is, and nobody asks for more than that. */
static void empty_setattr(fuse_req_t req, fuse_ino_t node, struct stat *attr,
			  int what, struct fuse_file_info *fi)
{
	(void)attr;
	(void)what;
	empty_getattr(req, node, fi);
}

static void empty_read(fuse_req_t req, fuse_ino_t node, size_t n, off_t at,
		       struct fuse_file_info *fi)
{
	(void)node;
	(void)fi;
	n = within((uint64_t)at, n);
	fuse_reply_buf(req, n ? data + at : NULL, n);
}

static void empty_write(fuse_req_t req, fuse_ino_t node, const char *from,
			size_t n, off_t at, struct fuse_file_info *fi)
{
	(void)node;
	(void)fi;
	if (within((uint64_t)at, n) < n) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	memcpy(data + at, from, n);
	fuse_reply_write(req, n);
}

static void empty_fallocate(fuse_req_t req, fuse_ino_t node, int mode, off_t at,
			    off_t n, struct fuse_file_info *fi)
{
	size_t have = within((uint64_t)at, (size_t)n);

	(void)node;
	(void)fi;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && have) {
		if ((size_t)at % PAGE_BYTES || have % PAGE_BYTES ||
		    madvise(data + at, have, MADV_DONTNEED) != 0)
			memset(data + at, 0, have);
	}
	fuse_reply_err(req, 0);
}

static void empty_readdir(fuse_req_t req, fuse_ino_t node, size_t size,
			  off_t off, struct fuse_file_info *fi)
{
	struct stat st = attr_of(FILE_NODE);
	char entry[128];
	size_t n = 0;

	(void)node;
	(void)fi;
	if (off == 0)
		n = fuse_add_direntry(req, entry, sizeof(entry), "file", &st,
				      1);
	fuse_reply_buf(req, entry, n <= size ? n : 0);
}

/* No request for what needs no answer: ENOSYS, and the kernel asks once. */
static struct fuse_lowlevel_ops ops = {
	.init = empty_init,
	.lookup = empty_lookup,
	.getattr = empty_getattr,
	.setattr = empty_setattr,
	.read = empty_read,
	.write = empty_write,
	.fallocate = empty_fallocate,
	.readdir = empty_readdir,
};

static ssize_t reply_writev(int fd, struct iovec *iov, int count, void *arg)
{
	(void)arg;
	return writev(thread_fd >= 0 ? thread_fd : fd, iov, count);
}

static ssize_t no_read(int fd, void *buf, size_t n, void *arg)
{
	(void)fd;
	(void)buf;
	(void)n;
	(void)arg;
	errno = ENOSYS;
	return -1;
}

static void send_reply(struct thread *t, char *payload, uint64_t unique,
		       size_t n, int error)
{
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + n),
		.error = -error,
		.unique = unique,
	};
	char *reply = payload - sizeof(head);

	memcpy(reply, &head, sizeof(head));
	/* Fails when the request was aborted: then nobody waits for it. */
	if (write(t->fd, reply, head.len) < 0)
		return;
}

static void serve_read(struct thread *t, const struct fuse_in_header *head)
{
	const struct fuse_read_in *in = (const void *)(head + 1);
	size_t n =
		within(in->offset, in->size < IO_BYTES ? in->size : IO_BYTES);

	memcpy(t->out, data + in->offset, n);
	send_reply(t, t->out, head->unique, n, 0);
}

static void serve_write(struct thread *t, const struct fuse_in_header *head)
{
	const struct fuse_write_in *in = (const void *)(head + 1);
	struct fuse_write_out out = {.size = in->size};

	if (within(in->offset, in->size) < in->size) {
		send_reply(t, t->out, head->unique, 0, ENOSPC);
		return;
	}
	memcpy(data + in->offset, in + 1, in->size);
	memcpy(t->out, &out, sizeof(out));
	send_reply(t, t->out, head->unique, sizeof(out), 0);
}

static void serve(struct thread *t, size_t n)
{
	struct fuse_in_header *head = (void *)t->in;
	struct fuse_buf buf = {.mem = t->in, .size = n};

	if (head->opcode == FUSE_READ)
		serve_read(t, head);
	else if (head->opcode == FUSE_WRITE)
		serve_write(t, head);
	else
		fuse_session_process_buf(session, &buf);
}

static ssize_t next_request(struct thread *t)
{
	ssize_t n;

	do
		n = read(t->fd, t->in, HEAD_BYTES + IO_BYTES);
	while (n < 0 && (errno == EINTR || errno == ENOENT));
	return n < 0 && errno == EAGAIN ? 0 : n;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static ssize_t wait_briefly(struct thread *t)
{
	int64_t end_ns = now_ns() + look_ns;
	ssize_t n;

	do {
		sched_yield();
		n = next_request(t);
	} while (n == 0 && now_ns() < end_ns);
	return n;
}

static void *loop(void *arg)
{
	struct thread *t = arg;
	struct pollfd wait = {.fd = t->fd, .events = POLLIN};
	ssize_t n;

	thread_fd = t->fd;
	for (;;) {
		n = next_request(t);
		if (n == 0)
			n = wait_briefly(t);
		if (n < 0)
			return NULL;
		if (n > 0)
			serve(t, (size_t)n);
		else
			poll(&wait, 1, -1);
	}
}

static int thread_start(struct thread *t)
{
	uint32_t original = (uint32_t)fuse_session_fd(session);
	char *room;

	t->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0 || ioctl(t->fd, FUSE_DEV_IOC_CLONE, &original) != 0)
		return -errno;
	room = mmap(NULL, 2 * ROOM_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (room == MAP_FAILED)
		return -errno;
	t->in = room + PAGE_BYTES - HEAD_BYTES;
	t->out = room + ROOM_BYTES + PAGE_BYTES;
	return -pthread_create(&t->thread, NULL, loop, t);
}

static int own_loop(unsigned count)
{
	static const struct fuse_custom_io io = {
		.writev = reply_writev,
		.read = no_read,
	};
	struct thread threads[MOST_THREADS];
	unsigned i;
	int r = fuse_session_custom_io(session, &io, fuse_session_fd(session));

	if (r)
		return r;
	for (i = 0; i < count; i++) {
		r = thread_start(&threads[i]);
		if (r)
			return r;
	}
	for (i = 0; i < count; i++)
		pthread_join(threads[i].thread, NULL);
	return 0;
}

static int their_loop(unsigned count)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r;

	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, count);
	fuse_loop_cfg_set_idle_threads(config, count);
	r = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	return r;
}

static int run(const char *mountpoint, bool libfuse, unsigned count)
{
	char program[] = "empty", minus_o[] = "-o";
	char options[] = "fsname=empty,subtype=empty,default_permissions";
	char *argv[] = {program, minus_o, options, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	int r;

	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	fuse_opt_free_args(&args);
	if (!session)
		return 1;
	if (fuse_session_mount(session, mountpoint) != 0)
		return 1;
	r = libfuse ? their_loop(count) : own_loop(count);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	if (r < 0)
		fprintf(stderr, "empty: %s\n", strerror(-r));
	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);
	bool libfuse = false;
	int c;

	while ((c = getopt(argc, argv, "dln:")) != -1) {
		if (c == 'd') {
			ops.open = empty_open;
			look_ns = FAULT_NS;
		} else if (c == 'l') {
			libfuse = true;
		} else if (c == 'n') {
			count = atol(optarg);
		} else {
			return 2;
		}
	}
	if (argc - optind != 2 || count < 1 || count > MOST_THREADS) {
		fprintf(stderr,
			"usage: empty [-d] [-l] [-n THREADS] SIZE DIR\n");
		return 2;
	}
	data_bytes = strtoull(argv[optind], NULL, 10);
	data = mmap(NULL, data_bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (data == MAP_FAILED) {
		perror("empty");
		return 1;
	}
	return run(argv[optind + 1], libfuse, (unsigned)count);
}
