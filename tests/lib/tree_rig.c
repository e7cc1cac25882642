/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stack below a tree, made, attached again and copied. */
#include "tree_rig.h"
#include "base/page.h"
#include "codec/stream.h"
#include "pool/span.h"
#include "tree/inside.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define POOL_BYTES (64 * MIB)

struct stream *tree_rig_stream(struct tree_rig *rig, unsigned slot)
{
	struct stream *stream;

	if (stream_up(rig->streams, slot) < 0)
		return NULL;
	stream = stream_get(rig->streams, slot);
	if (stream)
		stream_put(rig->streams, stream);
	return stream;
}

static void take_down(struct tree_rig *rig)
{
	tree_free(rig->tree);
	if (rig->store)
		store_free(rig->store);
	if (rig->streams)
		streams_free(rig->streams);
	if (rig->sets)
		sets_free(rig->sets);
	pool_free_all(rig->pool);
	rig->tree = NULL;
	rig->store = NULL;
	rig->streams = NULL;
	rig->sets = NULL;
	rig->pool = NULL;
}

/* All between the arena and the tree. */
static int build(struct tree_rig *rig)
{
	static const struct codec_params lz4 = {CODEC_LZ4, 1};
	int r = span_pool_new(rig->arena, &rig->pool);

	if (r == 0)
		r = sets_new(rig->arena, &rig->sets);
	if (r == 0)
		r = streams_new(rig->sets, &rig->streams);
	if (r == 0)
		r = streams_prepare(rig->streams, &lz4);
	if (r == 0)
		r = sets_use(rig->sets, &lz4);
	if (r == 0)
		r = store_new(rig->arena, rig->pool, rig->sets, 1 * GIB,
			      &rig->store);
	if (r < 0)
		return r;
	rig->who.stream = tree_rig_stream(rig, 0);
	return rig->who.stream ? 0 : -ENOMEM;
}

int tree_rig_new(struct tree_rig *rig, uint64_t limit_bytes, uint64_t nr_inodes)
{
	struct tree_options options = {
		.root_mode = 0755,
		.nr_inodes = nr_inodes,
	};
	int r;

	memset(rig, 0, sizeof(*rig));
	rig->who.umask = 022;
	rig->who.privileged = true;
	budget_init(&rig->budget, limit_bytes);
	r = arena_new(POOL_BYTES, &rig->budget, &rig->arena);
	if (r == 0)
		r = build(rig);
	if (r == 0)
		r = tree_new(rig->arena, rig->store, &options, &rig->tree);
	if (r < 0)
		tree_rig_free(rig);
	return r;
}

void tree_rig_free(struct tree_rig *rig)
{
	take_down(rig);
	arena_free(rig->arena);
	rig->arena = NULL;
}

static int attach(struct tree_rig *rig, int meta, int pool, bool keep_nameless)
{
	uint64_t limit = budget_limit(&rig->budget);
	int r = arena_attach(meta, pool, &rig->budget, &rig->arena);

	if (r == 0)
		r = build(rig);
	if (r < 0)
		return r;
	if (rig->attach_limit_bytes)
		budget_set_limit(&rig->budget, rig->attach_limit_bytes);
	r = tree_attach(rig->arena, rig->store, keep_nameless, &rig->tree);
	budget_set_limit(&rig->budget, limit);
	return r;
}

int tree_rig_reattach(struct tree_rig *rig, bool keep_nameless)
{
	int meta = dup(arena_meta_fd(rig->arena));
	int pool = dup(arena_pool_fd(rig->arena));
	int r;

	take_down(rig);
	arena_free(rig->arena);
	rig->arena = NULL;
	r = attach(rig, meta, pool, keep_nameless);
	close(meta);
	close(pool);
	return r;
}

/* A memfd with what @fd holds; holes stay holes. */
static int copy_fd(int fd)
{
	static char buf[64 * 1024];
	off_t size = lseek(fd, 0, SEEK_END);
	off_t at = lseek(fd, 0, SEEK_DATA);
	int copy = memfd_create("copy", MFD_CLOEXEC);

	if (copy < 0 || ftruncate(copy, size) < 0)
		abort();
	while (at >= 0 && at < size) {
		off_t end = lseek(fd, at, SEEK_HOLE);

		while (at < end) {
			size_t most = (size_t)(end - at);
			ssize_t n = pread(
				fd, buf,
				most < sizeof(buf) ? most : sizeof(buf), at);

			if (n <= 0 || pwrite(copy, buf, (size_t)n, at) != n)
				abort();
			at += n;
		}
		at = lseek(fd, at, SEEK_DATA);
	}
	return copy;
}

struct tree_rig_fds tree_rig_snapshot(const struct tree_rig *rig)
{
	return (struct tree_rig_fds){
		.meta = copy_fd(arena_meta_fd(rig->arena)),
		.pool = copy_fd(arena_pool_fd(rig->arena)),
	};
}

void tree_rig_fds_close(struct tree_rig_fds fds)
{
	close(fds.meta);
	close(fds.pool);
}

int tree_rig_attach(struct tree_rig_fds fds, struct tree_rig *copy,
		    bool keep_nameless)
{
	int r;

	memset(copy, 0, sizeof(*copy));
	copy->who.umask = 022;
	copy->who.privileged = true;
	budget_init(&copy->budget, 1 * GIB);
	r = attach(copy, fds.meta, fds.pool, keep_nameless);
	if (r < 0)
		tree_rig_free(copy);
	return r;
}

int tree_rig_copy(const struct tree_rig *rig, struct tree_rig *copy,
		  bool keep_nameless)
{
	struct tree_rig_fds fds = tree_rig_snapshot(rig);
	int r = tree_rig_attach(fds, copy, keep_nameless);

	tree_rig_fds_close(fds);
	return r;
}

uint64_t rig_make(struct tree_rig *rig, uint64_t parent, const char *name,
		  mode_t mode)
{
	struct tree_entry entry;
	const char *target = S_ISLNK(mode) ? "target" : NULL;

	assert_int_equal(tree_make(rig->tree, &rig->who, parent, name, mode, 0,
				   target, &entry),
			 0);
	return entry.node;
}

uint64_t rig_find(struct tree_rig *rig, uint64_t parent, const char *name)
{
	struct tree_entry entry;
	int r = tree_lookup(rig->tree, parent, name, &entry);

	if (r == -ENOENT)
		return 0;
	assert_int_equal(r, 0);
	tree_forget(rig->tree, 0, entry.node, 1);
	return entry.node;
}

struct stat rig_stat(struct tree_rig *rig, uint64_t node)
{
	struct stat st;

	assert_int_equal(tree_getattr(rig->tree, node, &st), 0);
	return st;
}

void rig_write(struct tree_rig *rig, uint64_t node, const void *data, size_t n)
{
	struct file file;
	size_t done;

	assert_int_equal(tree_file(rig->tree, node, &file), 0);
	assert_int_equal(store_write(rig->store, rig->who.stream, file, 0, data,
				     n, &done),
			 0);
	assert_int_equal(done, n);
	tree_wrote(rig->tree, &rig->who, node);
}

void rig_check(struct tree_rig *rig)
{
	struct store_audit audit = {0};
	struct faults faults = {0};
	int r = tree_check(rig->tree, &audit, &faults);

	if (r < 0)
		fail_msg("tree_check: %s",
			 faults.found ? faults.text[0] : strerror(-r));
	assert_int_equal(pool_check(rig->pool), 0);
}

struct stat rig_set_mode(struct tree_rig *rig, uint64_t node, mode_t mode)
{
	struct stat attr = {.st_mode = mode};
	struct stat st;

	assert_int_equal(tree_setattr(rig->tree, &rig->who, node, TREE_SET_MODE,
				      &attr, &st),
			 0);
	return st;
}

void rig_age(struct tree_rig *rig, uint64_t node)
{
	struct inode_record *inode = inode_at(rig->tree, node_ix(node));

	atomic_store(&inode->atime, 1000);
	atomic_store(&inode->mtime, 1000);
	atomic_store(&inode->ctime, 1000);
}

const char *rig_moved(struct tree_rig *rig, uint64_t node)
{
	struct inode_record *inode = inode_at(rig->tree, node_ix(node));
	static char text[4];
	char *at = text;

	if (atomic_load(&inode->atime) != 1000)
		*at++ = 'a';
	if (atomic_load(&inode->mtime) != 1000)
		*at++ = 'm';
	if (atomic_load(&inode->ctime) != 1000)
		*at++ = 'c';
	*at = '\0';
	rig_age(rig, node);
	return text;
}

/* --- cmocka's --- */

int tree_rig_setup(void **state)
{
	static struct tree_rig rig;

	assert_int_equal(tree_rig_new(&rig, 256 * MIB, 0), 0);
	*state = &rig;
	return 0;
}

int tree_rig_teardown(void **state)
{
	struct tree_rig *rig = *state;

	rig_check(rig);
	tree_rig_free(rig);
	assert_int_equal(budget_used(&rig->budget), 0);
	return 0;
}
