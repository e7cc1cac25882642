/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the workers' loop: no request is lost while workers come and go,
 * and a change of the crew that is asked for through a worker is answered;
 * what the kernel says at the end of a connection is no error; and buffers for
 * swap are in RAM ahead of requests.
 */
#include "base/check.h"
#include "base/page.h"
#include "base/resident.h"
#include "foldfs/keys.h"
#include "fs_rig.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fs_rig rig;

static void up(unsigned threads, enum fs_cache cache)
{
	struct fuse_init_in init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
	};

	fs_rig_config(&rig);
	rig.threads = threads;
	rig.config.workers = threads;
	rig.config.cache = cache;
	fs_rig_up(&rig);
	fs_rig_send(&rig, FUSE_INIT, 0, &init, sizeof(init));
	assert_int_equal(fs_rig_wait_reply(&rig), 0);
}

static void ask_attr(void)
{
	struct fuse_getattr_in in = {0};

	fs_rig_send(&rig, FUSE_GETATTR, TREE_ROOT, &in, sizeof(in));
	assert_int_equal(fs_rig_wait_reply(&rig), 0);
	assert_int_equal(rig.reply.head.unique, rig.unique);
}

static _Atomic bool over;

static void *change_crew(void *arg)
{
	unsigned seed = 1;

	(void)arg;
	while (!atomic_load(&over)) {
		seed = seed * 1664525u + 1013904223u;
		invariant(crew_set(rig.fs->crew, 1 + (seed >> 16) % 4) == 0);
	}
	return NULL;
}

/* Each request wakes one sleeper; it may be one that is just leaving. */
static void none_is_lost_while_workers_come_and_go(void **state)
{
	pthread_t thread;

	(void)state;
	up(2, FS_CACHE_THROUGH);
	atomic_store(&over, false);
	assert_int_equal(pthread_create(&thread, NULL, change_crew, NULL), 0);
	for (unsigned i = 0; i < 3000; i++)
		ask_attr();
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	fs_rig_down(&rig);
}

static void set_workers(const char *value)
{
	static const char name[] = FOLDFS_KEY_PREFIX "workers";
	struct {
		uint32_t size, flags;
		char tail[64];
	} in = {.size = (uint32_t)strlen(value)};

	memcpy(in.tail, name, sizeof(name));
	memcpy(in.tail + sizeof(name), value, strlen(value));
	fs_rig_send(&rig, FUSE_SETXATTR, CONTROL_NODE, &in, sizeof(in));
}

/* The one worker that takes the request is the one that must go on. */
static void crew_is_changed_from_within(void **state)
{
	(void)state;
	up(1, FS_CACHE_THROUGH);
	set_workers("+3");
	assert_int_equal(fs_rig_wait_reply(&rig), 0);
	assert_int_equal(crew_count(rig.fs->crew), 4);
	set_workers("=1");
	assert_int_equal(fs_rig_wait_reply(&rig), 0);
	assert_int_equal(crew_count(rig.fs->crew), 1);
	set_workers("-1");
	assert_int_equal(fs_rig_wait_reply(&rig), -EBUSY);
	set_workers("many");
	assert_int_equal(fs_rig_wait_reply(&rig), -EINVAL);
	set_workers("65");
	assert_int_equal(fs_rig_wait_reply(&rig), -ERANGE);
	ask_attr();
	fs_rig_down(&rig);
}

/* What a slot holds is charged while it holds it, and what stays of it (less
 * than half a MiB) once: coming again costs no more than the first time. */
static void workers_are_charged(void **state)
{
	struct budget *budget;
	uint64_t one, once;

	(void)state;
	up(1, FS_CACHE_THROUGH);
	budget = &rig.fs->engine.budget;
	streams_set_retire(rig.fs->engine.streams, RETIRE_EAGER, 0);
	one = budget_used(budget);
	assert_int_equal(crew_set(rig.fs->crew, 3), 0);
	assert_true(budget_used(budget) >= one + 2 * MIB);
	assert_int_equal(crew_set(rig.fs->crew, 1), 0);
	once = budget_used(budget);
	assert_in_range(once, one + 1, one + MIB);
	assert_int_equal(crew_set(rig.fs->crew, 3), 0);
	assert_int_equal(crew_set(rig.fs->crew, 1), 0);
	assert_int_equal(budget_used(budget), once);
	fs_rig_down(&rig);
}

/* What read() fails with, everywhere; 0: it does what it does. */
static _Atomic int read_error;

ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);

ssize_t __wrap_read(int fd, void *to, size_t n)
{
	int error = atomic_load(&read_error);

	if (!error)
		return __real_read(fd, to, n);
	errno = error;
	return -1;
}

/* What the worker leaves behind when its read fails so. */
static int loop_ends_with(int error)
{
	eventfd_t said;
	int left;

	up(1, FS_CACHE_THROUGH);
	assert_int_equal(eventfd_read(rig.fs->ready_fd, &said), 0);
	atomic_store(&read_error, error);
	/* It may sleep. */
	assert_int_equal(send(rig.kernel_fd, "", 1, 0), 1);
	assert_int_equal(eventfd_read(rig.fs->ready_fd, &said), 0);
	atomic_store(&read_error, 0);
	left = atomic_load(&rig.fs->error);
	fs_rig_down(&rig);
	return left;
}

/* ECONNABORTED: a request was on its way when the connection ended. */
static void the_end_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(loop_ends_with(ENODEV), 0);
	assert_int_equal(loop_ends_with(ECONNABORTED), 0);
	assert_int_equal(loop_ends_with(EIO), -EIO);
}

/* Nothing is locked here, as with forgo=memlock. */
static void buffers_for_swap_are_there(void **state)
{
	(void)state;
	fs_rig_config(&rig);
	rig.config.profile = FS_PROFILE_SWAP;
	fs_rig_up(&rig);
	/* All of it, unless the machine is short of memory itself. */
	assert_true(resident_bytes(rig.w->out, IO_MAX_BYTES) >
		    IO_MAX_BYTES / 2);
	fs_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_is_lost_while_workers_come_and_go),
		cmocka_unit_test(crew_is_changed_from_within),
		cmocka_unit_test(workers_are_charged),
		cmocka_unit_test(the_end_is_no_error),
		cmocka_unit_test(buffers_for_swap_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
