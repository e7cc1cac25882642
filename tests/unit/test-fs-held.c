/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of replies that wait: when, in what order, and that none is lost. */
#include "base/page.h"
#include "fs_rig.h"
#include "unit.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define NOW UINT64_C(1000000000)
#define LIMIT (24u << 20)

static struct fs_rig rig;
static char noise[128 << 10];

static void up(enum fs_profile profile, unsigned threads)
{
	fs_rig_config(&rig);
	rig.config.profile = profile;
	rig.config.cache = FS_CACHE_NONE;
	rig.config.mem_limit_bytes = LIMIT;
	rig.threads = threads;
	fs_rig_up(&rig);
	if (!threads)
		fs_rig_init(&rig, FS_RIG_ALL);
}

/* The replies that are there now: how many, and the last one. */
static unsigned replies(void)
{
	struct pollfd pfd = {.fd = rig.kernel_fd, .events = POLLIN};
	unsigned n = 0;

	while (poll(&pfd, 1, 0) == 1) {
		fs_rig_wait_reply(&rig);
		n++;
	}
	return n;
}

static void each_goes_when_it_is_due(void **state)
{
	struct fuse_write_out *out = fs_rig_data(&rig);

	(void)state;
	up(FS_PROFILE_SWAP, 0);
	assert_int_equal(held_wait_ms(rig.w, NOW), -1);
	held_add(rig.w, 2, NOW, 0, 4096);
	held_add(rig.w, 4, NOW, -ENOSPC, 0);
	/* Due earlier, but behind one that waits for longer. */
	held_add(rig.w, 6, NOW, 0, 8192);
	held_send_due(rig.w, NOW + HELD_SLOW_NS - 1);
	assert_int_equal(replies(), 0);
	/* Never too short: it would look, sleep for 0 ms, and look again. */
	assert_int_equal(held_wait_ms(rig.w, NOW), HELD_SLOW_NS / 1000000 + 1);
	assert_int_equal(held_wait_ms(rig.w, NOW + HELD_SLOW_NS), 0);

	held_send_due(rig.w, NOW + HELD_SLOW_NS);
	assert_int_equal(replies(), 1);
	assert_int_equal(rig.reply.head.unique, 2);
	assert_int_equal(rig.reply.head.error, 0);
	assert_int_equal(out->size, 4096);

	held_send_due(rig.w, NOW + HELD_FAILED_NS - 1);
	assert_int_equal(replies(), 0);
	held_send_due(rig.w, NOW + HELD_FAILED_NS);
	assert_int_equal(replies(), 2);
	assert_int_equal(rig.reply.head.unique, 6);
	assert_int_equal(out->size, 8192);
	assert_int_equal(held_wait_ms(rig.w, NOW), -1);
	fs_rig_down(&rig);
}

static void none_is_lost_when_there_are_too_many(void **state)
{
	uint64_t unique = 0;

	(void)state;
	up(FS_PROFILE_SWAP, 0);
	for (unsigned i = 0; i < HELD_MOST + 3; i++)
		held_add(rig.w, unique += 2, NOW, -ENOSPC, 0);
	assert_int_equal(replies(), 3);
	assert_int_equal(rig.reply.head.unique, 6);
	assert_int_equal(rig.reply.head.error, -ENOSPC);
	held_send_all(rig.w);
	assert_int_equal(replies(), HELD_MOST);
	assert_int_equal(rig.reply.head.unique, unique);
	fs_rig_down(&rig);
}

/* Noise until nothing fits: what was taken, and how many replies had waited
 * before the first that failed. */
static uint64_t fill(uint64_t node, unsigned *ret_slowed)
{
	uint64_t at = 0;
	int n;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)rand();
	rig.held = 0;
	while ((n = fs_rig_write(&rig, node, at, noise, PAGE_BYTES, 0)) > 0) {
		at += PAGE_BYTES;
		*ret_slowed = rig.held;
		noise[at % PAGE_BYTES]++;
	}
	assert_int_equal(n, -ENOSPC);
	return at;
}

static unsigned fill_one(enum fs_profile profile)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = LIMIT * 2};
	unsigned slowed = 0, before;
	uint64_t node, taken;

	up(profile, 0);
	node = fs_rig_create(&rig, "swap", 0600);
	assert_int_equal(
		fs_rig_ask(&rig, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0),
		0);
	taken = fill(node, &slowed);
	assert_true(taken > LIMIT / 4);
	/* Slowed at the end of it, not from the start. */
	assert_true(slowed < taken / PAGE_BYTES / 2);
	before = rig.held;
	assert_int_equal(before - slowed, profile == FS_PROFILE_SWAP ? 1 : 0);
	/* No read waits. */
	assert_int_equal(fs_rig_read(&rig, node, 0, PAGE_BYTES), PAGE_BYTES);
	assert_int_equal(rig.held, before);
	fs_rig_down(&rig);
	return slowed;
}

static void writes_slow_down_and_then_fail(void **state)
{
	(void)state;
	assert_true(fill_one(FS_PROFILE_SWAP) > 0);
	assert_int_equal(fill_one(FS_PROFILE_DIRECTORY), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_goes_when_it_is_due),
		cmocka_unit_test(none_is_lost_when_there_are_too_many),
		cmocka_unit_test(writes_slow_down_and_then_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
