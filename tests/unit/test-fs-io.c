/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of READ and WRITE as they come from the kernel. */
#include "base/heap.h"
#include "base/page.h"
#include "fs_rig.h"
#include "unit.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static struct fs_rig rig;
static char data[128 << 10];

static int up(void **state)
{
	(void)state;
	fs_rig_config(&rig);
	fs_rig_up(&rig);
	fs_rig_init(&rig, FS_RIG_ALL);
	return 0;
}

static int down(void **state)
{
	(void)state;
	fs_rig_down(&rig);
	return 0;
}

/* Bytes that lz4 shrinks by half, different for each seed. */
static void fill(char *at, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		at[i] = i % 64 < 32 ? (char)(seed >> 24) : 'x';
	}
}

static uint64_t key(enum ctl_key k)
{
	struct ctl_values v = {0};
	uint64_t n;

	assert_int_equal(rig.fs->ctl.ops->collect(rig.fs, &v), 0);
	n = v.number[k];
	ctl_values_fini(&v);
	return n;
}

static void what_is_written_is_read(void **state)
{
	uint64_t node = fs_rig_create(&rig, "f", 0644);

	(void)state;
	fill(data, sizeof(data), 1);
	assert_int_equal(fs_rig_write(&rig, node, 0, data, sizeof(data), 0),
			 sizeof(data));
	assert_int_equal(fs_rig_read(&rig, node, 0, sizeof(data)),
			 sizeof(data));
	assert_memory_equal(fs_rig_data(&rig), data, sizeof(data));
	assert_int_equal(fs_rig_read(&rig, node, 5000, 100), 100);
	assert_memory_equal(fs_rig_data(&rig), data + 5000, 100);
}

static void reading_ends_at_the_end(void **state)
{
	uint64_t node = fs_rig_create(&rig, "f", 0644);

	(void)state;
	assert_int_equal(fs_rig_read(&rig, node, 0, 4096), 0);
	assert_int_equal(fs_rig_write(&rig, node, 4000, "0123456789", 10, 0),
			 10);
	assert_int_equal(fs_rig_read(&rig, node, 4005, 4096), 5);
	assert_memory_equal(fs_rig_data(&rig), "56789", 5);
	assert_int_equal(fs_rig_read(&rig, node, 4010, 4096), 0);
}

static void requests_are_counted(void **state)
{
	uint64_t node = fs_rig_create(&rig, "f", 0644);

	(void)state;
	fs_rig_write(&rig, node, 0, data, 5000, 0);
	fs_rig_read(&rig, node, 0, 4000);
	fs_rig_read(&rig, node + 100, 0, 4000);
	fs_rig_write(&rig, node + 100, 0, data, 10, 0);
	assert_int_equal(key(CTL_num_reads), 2);
	assert_int_equal(key(CTL_num_writes), 2);
	assert_int_equal(key(CTL_failed_reads), 1);
	assert_int_equal(key(CTL_failed_writes), 1);
	assert_int_equal(key(CTL_bytes_read), 4000);
	assert_int_equal(key(CTL_bytes_written), 5000);
	/* INIT, MKNOD and these. */
	assert_int_equal(key(CTL_num_requests), 6);
}

static void unknown_nodes_are_stale(void **state)
{
	(void)state;
	assert_int_equal(fs_rig_read(&rig, 77, 0, 10), -ESTALE);
	assert_int_equal(fs_rig_write(&rig, 77, 0, "x", 1, 0), -ESTALE);
	assert_int_equal(fs_rig_read(&rig, TREE_ROOT, 0, 10), -EISDIR);
}

static void hidden_file_is_empty_and_kept(void **state)
{
	(void)state;
	assert_int_equal(fs_rig_read(&rig, CONTROL_NODE, 0, 10), 0);
	assert_int_equal(fs_rig_write(&rig, CONTROL_NODE, 0, "x", 1, 0),
			 -EPERM);
}

/* A request that says more than came with it. */
static void short_requests_are_refused(void **state)
{
	struct fuse_write_in in = {.size = 100};
	uint64_t node = fs_rig_create(&rig, "f", 0644);

	(void)state;
	assert_int_equal(
		fs_rig_ask(&rig, FUSE_WRITE, node, &in, sizeof(in), data, 99),
		-EINVAL);
	assert_int_equal(fs_rig_ask(&rig, FUSE_WRITE, node, &in, 8, NULL, 0),
			 -EINVAL);
	assert_int_equal(fs_rig_ask(&rig, FUSE_READ, node, &in, 8, NULL, 0),
			 -EINVAL);
}

static void full_means_short_then_enospc(void **state)
{
	uint64_t node = fs_rig_create(&rig, "f", 0644);
	int r;

	(void)state;
	fill(data, sizeof(data), 2);
	store_set_limit(rig.fs->engine.store, 4 * PAGE_BYTES);
	r = fs_rig_write(&rig, node, 0, data, sizeof(data), 0);
	assert_int_equal(r, 4 * PAGE_BYTES);
	assert_int_equal(fs_rig_write(&rig, node, 1 << 20, data, 4096, 0),
			 -ENOSPC);
	assert_int_equal(fs_rig_read(&rig, node, 0, 1 << 16), r);
	assert_memory_equal(fs_rig_data(&rig), data, (size_t)r);
}

/* The kernel takes a short answer to what it writes back for success. */
static void writeback_is_told_all_or_nothing(void **state)
{
	uint64_t node = fs_rig_create(&rig, "f", 0644);

	(void)state;
	fill(data, sizeof(data), 3);
	store_set_limit(rig.fs->engine.store, 4 * PAGE_BYTES);
	assert_int_equal(fs_rig_write(&rig, node, 0, data, sizeof(data),
				      FUSE_WRITE_CACHE),
			 -ENOSPC);
}

static void set_mode(uint64_t node, uint32_t mode)
{
	struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = mode};

	assert_int_equal(
		fs_rig_ask(&rig, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0),
		0);
}

static void set_group(uint64_t node, uint32_t gid)
{
	struct fuse_setattr_in in = {.valid = FATTR_GID, .gid = gid};

	assert_int_equal(
		fs_rig_ask(&rig, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0),
		0);
}

static void writing_drops_setid_when_told(void **state)
{
	uint64_t node = fs_rig_create(&rig, "f", 06755);

	(void)state;
	rig.uid = 1000;
	assert_int_equal(fs_rig_write(&rig, node, 0, "x", 1, 0), 1);
	assert_int_equal(fs_rig_mode(&rig, node), 06755);
	assert_int_equal(
		fs_rig_write(&rig, node, 0, "x", 1, FUSE_WRITE_KILL_SUIDGID),
		1);
	assert_int_equal(fs_rig_mode(&rig, node), 0755);
	/* Without group execution it is no set-gid program: the writer's own
	 * group's stays, another's goes. */
	set_group(node, 1000);
	set_mode(node, 02745);
	assert_int_equal(
		fs_rig_write(&rig, node, 0, "x", 1, FUSE_WRITE_KILL_SUIDGID),
		1);
	assert_int_equal(fs_rig_mode(&rig, node), 02745);
	rig.uid = 0;
	set_group(node, 7);
	set_mode(node, 02745);
	rig.uid = 1000;
	assert_int_equal(
		fs_rig_write(&rig, node, 0, "x", 1, FUSE_WRITE_KILL_SUIDGID),
		1);
	assert_int_equal(fs_rig_mode(&rig, node), 0745);
}

/* In whatever cache mode: the kernel may have been told nothing of it. */
static void direct_writer_makes_kernel_forget_mode(void **state)
{
	struct fuse_write_in in = {.size = 1,
				   .write_flags = FUSE_WRITE_KILL_SUIDGID};
	struct fuse_in_header head = {.len = sizeof(head) + sizeof(in) + 1,
				      .opcode = FUSE_WRITE};
	struct fuse_out_header *out = &rig.reply.head;
	struct fuse_notify_inval_inode_out *note = fs_rig_data(&rig);
	uint64_t node = fs_rig_create(&rig, "f", 04755);

	(void)state;
	rig.config.cache = FS_CACHE_NONE;
	head.nodeid = node;
	head.unique = 99;
	memcpy(rig.w->in, &head, sizeof(head));
	memcpy(rig.w->in + sizeof(head), &in, sizeof(in));
	loop_serve(rig.w, head.len);
	assert_int_equal(fs_rig_wait_reply(&rig), FUSE_NOTIFY_INVAL_INODE);
	assert_int_equal(out->unique, 0);
	assert_int_equal(note->ino, node);
	assert_true(note->off < 0);
	assert_int_equal(fs_rig_wait_reply(&rig), 0);
	assert_int_equal(out->unique, 99);
}

/* In writeback mode the kernel keeps the times of what it writes back. */
static void written_back_pages_leave_the_times(void **state)
{
	struct fuse_setattr_in in = {.valid = FATTR_MTIME, .mtime = 12345};
	uint64_t node = fs_rig_create(&rig, "f", 0644);
	struct stat st;

	(void)state;
	assert_int_equal(
		fs_rig_ask(&rig, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0),
		0);
	rig.config.cache = FS_CACHE_WRITEBACK;
	assert_int_equal(fs_rig_write(&rig, node, 0, "x", 1, FUSE_WRITE_CACHE),
			 1);
	assert_int_equal(tree_getattr(rig.fs->engine.tree, node, &st), 0);
	assert_int_equal(st.st_mtime, 12345);
	rig.config.cache = FS_CACHE_THROUGH;
	assert_int_equal(fs_rig_write(&rig, node, 0, "x", 1, FUSE_WRITE_CACHE),
			 1);
	assert_int_equal(tree_getattr(rig.fs->engine.tree, node, &st), 0);
	assert_true(st.st_mtime > 12345);
}

static void no_heap_call_after_warm_up(void **state)
{
	uint64_t node = fs_rig_create(&rig, "f", 0644);
	uint64_t before;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		before = heap_calls();
		for (uint32_t i = 0; i < 200; i++) {
			fill(data, 4096, i + round);
			assert_int_equal(fs_rig_write(&rig, node,
						      (uint64_t)i * 4096, data,
						      4096, 0),
					 4096);
			assert_int_equal(fs_rig_read(&rig, node,
						     (uint64_t)i * 4096, 4096),
					 4096);
		}
	}
	assert_int_equal(heap_calls(), before);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		CASE(what_is_written_is_read),
		CASE(reading_ends_at_the_end),
		CASE(requests_are_counted),
		CASE(unknown_nodes_are_stale),
		CASE(hidden_file_is_empty_and_kept),
		CASE(short_requests_are_refused),
		CASE(full_means_short_then_enospc),
		CASE(writeback_is_told_all_or_nothing),
		CASE(writing_drops_setid_when_told),
		CASE(direct_writer_makes_kernel_forget_mode),
		CASE(written_back_pages_leave_the_times),
		CASE(no_heap_call_after_warm_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
