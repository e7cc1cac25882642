/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is found of swap in lists of the kernel's that are made up, and what
 * swap on tells its daemon. */
#include "foldctl/loop.h"
#include "foldctl/swap_on.h"
#include "foldctl/swap_room.h"
#include "foldctl/swap_state.h"
#include "made-up-rig.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static int begin_with_swap(void **state)
{
	if (begin(state))
		return -1;
	put("sys/block/sda/size", "1\n");
	put("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
			  "/dev/sda2                               partition"
			  "\t1000\t\t1000\t\t-2\n"
			  "/dev/loop12                             partition"
			  "\t65532\t\t4\t\t100\n"
			  "/dev/loop1                              partition"
			  "\t1024\t\t8\t\t7\n");
	return 0;
}

/* --- what there is --- */

static struct mount list[] = {
	{.id = 40, .point = "/mnt", .source = "a", .options = ""},
	{.id = 41, .point = SWAP_POINT, .source = "swap", .options = ""},
	{.id = 42, .point = SWAP_POINT, .source = "swap", .options = ""},
};
static const struct mounts all = {.list = list, .n = ARRAY_SIZE(list)};
static const struct mounts without = {.list = list, .n = 1};

/* The daemon of one mount answers as it is told to, the others are none. */
struct daemon {
	unsigned id;
	int answer;
};

static int listens(const struct mount *mount, void *arg)
{
	const struct daemon *daemon = arg;

	return mount->id == daemon->id ? daemon->answer : -ENOENT;
}

static struct swap_state look(const struct mounts *mounts, unsigned id,
			      int answer)
{
	struct daemon daemon = {id, answer};
	struct swap_state state;

	assert_int_equal(
		swap_look_in(mounts, proc, sys, listens, &daemon, &state), 0);
	return state;
}

static void ids_of_files(void **state UNUSED)
{
	unsigned id = 7;

	assert_true(swap_file_id("/run/foldfs/swap/foldfs-swap.42", &id));
	assert_int_equal(id, 42);
	assert_true(swap_file_id("/foldfs-swap.0", &id));
	assert_int_equal(id, 0);
	assert_true(swap_file_id("/foldfs-swap.9 (deleted)", &id));
	assert_int_equal(id, 9);
	assert_false(swap_file_id("/foldfs-swap.", &id));
	assert_false(swap_file_id("/foldfs-swap.-1", &id));
	assert_false(swap_file_id("/foldfs-swap.4x", &id));
	assert_false(swap_file_id("/foldfs-swap.99999999999", &id));
	assert_false(swap_file_id("/foldfs-swap.42/file", &id));
	assert_false(swap_file_id("foldfs-swap.42", &id));
	assert_false(swap_file_id("/file", &id));
	assert_int_equal(id, 9);
}

static void nothing_is_there(void **state UNUSED)
{
	struct swap_state s;

	put("sys/block/loop3/loop/backing_file", "/var/image\n");
	s = look(&without, 0, 0);
	assert_false(swap_is_any(&s));
	assert_false(s.on);
}

static void a_mount_alone(void **state UNUSED)
{
	struct swap_state s = look(&all, 0, 0);

	assert_true(s.mounted);
	assert_false(s.looped);
	/* The one that covers the other. */
	assert_int_equal(s.mount.id, 42);
}

static void a_device_leads_to_its_mount(void **state UNUSED)
{
	struct swap_state s;

	put("sys/block/loop12/loop/backing_file",
	    SWAP_POINT "/foldfs-swap.41\n");
	s = look(&all, 0, 0);
	assert_true(s.mounted && s.looped && s.on);
	assert_int_equal(s.mount.id, 41);
	assert_int_equal(s.loop, 12);
	assert_string_equal(s.backing, SWAP_POINT "/foldfs-swap.41");
	assert_int_equal(s.swap.size_bytes, UINT64_C(65532) << 10);
	assert_int_equal(s.swap.used_bytes, 4096);
	assert_int_equal(s.swap.priority, 100);
}

static void a_device_without_swap(void **state UNUSED)
{
	struct swap_state s;

	put("sys/block/loop2/loop/backing_file",
	    SWAP_POINT "/foldfs-swap.41\n");
	s = look(&all, 0, 0);
	assert_true(s.mounted && s.looped);
	assert_false(s.on);
}

/* Its daemon was told to end, and waits. */
static void a_mount_out_of_view(void **state UNUSED)
{
	struct swap_state s;

	put("sys/block/loop12/loop/backing_file", "/foldfs-swap.77\n");
	s = look(&without, 77, 0);
	assert_true(s.looped && s.on);
	assert_false(s.mounted);
	assert_int_equal(s.mount.id, 77);
	/* It is stuck. */
	s = look(&without, 77, -ETIMEDOUT);
	assert_true(s.looped);
	/* It was killed after. */
	s = look(&without, 77, -ECONNREFUSED);
	assert_true(s.looped);
}

static void of_a_container(void **state UNUSED)
{
	struct swap_state s;

	put("sys/block/loop12/loop/backing_file",
	    SWAP_POINT "/foldfs-swap.77\n");
	s = look(&without, 0, 0);
	assert_false(swap_is_any(&s));
	/* A socket of that number is left of something else. */
	s = look(&without, 77, -ECONNREFUSED);
	assert_false(swap_is_any(&s));
	put("sys/block/loop12/loop/backing_file", "/foldfs-swap.77\n");
	s = look(&without, 0, 0);
	assert_false(swap_is_any(&s));
}

/* --- the lists --- */

static void lines_of_swaps(void **state UNUSED)
{
	struct swaps_line line;

	assert_int_equal(swaps_find(proc, "/dev/loop1", &line), 0);
	assert_int_equal(line.size_bytes, MIB);
	assert_int_equal(line.used_bytes, 8192);
	assert_int_equal(line.priority, 7);
	assert_int_equal(swaps_find(proc, "/dev/sda2", &line), 0);
	assert_int_equal(line.priority, -2);
	assert_int_equal(swaps_find(proc, "/dev/loop", &line), -ENOENT);
	put("proc/swaps", "/dev/loop1\\040(deleted) partition\t4\t0\t5\n");
	assert_int_equal(swaps_find(proc, "/dev/loop1", &line), 0);
	put("proc/swaps", "/dev/loop1 partition\n");
	assert_int_equal(swaps_find(proc, "/dev/loop1", &line), -EPROTO);
}

static void room_of_the_machine(void **state UNUSED)
{
	struct swaps_line ours = {10 * MIB, 4 * MIB, 0};
	uint64_t bytes;

	put("proc/meminfo", "MemTotal: 99999 kB\nMemAvailable:  1024 kB\n"
			    "SwapTotal: 9 kB\nSwapFree:  8192 kB\n");
	assert_int_equal(swaps_room(proc, &ours, &bytes), 0);
	assert_int_equal(bytes, 3 * MIB);
	/* The lists are not of one moment. */
	ours.used_bytes = 0;
	assert_int_equal(swaps_room(proc, &ours, &bytes), 0);
	assert_int_equal(bytes, MIB);
	put("proc/meminfo", "MemTotal: 99999 kB\n");
	assert_int_equal(swaps_room(proc, &ours, &bytes), -EPROTO);
}

static void room_of_groups_v1(void **state UNUSED)
{
	struct swap_room_group group;
	char root[128];

	snprintf(root, sizeof(root), "%s/memory", sys);
	put("sys/memory/memory.stat", "total_swap 9999999\n");
	put("sys/memory/a/memory.limit_in_bytes", "1000000\n");
	put("sys/memory/a/memory.usage_in_bytes", "900000\n");
	put("sys/memory/a/memory.stat",
	    "swap 1\ntotal_inactive_file 100000\ntotal_swap 150000\n");
	assert_false(swap_room_find(root, GIB, &group));
	put("sys/memory/a/b/memory.limit_in_bytes", "50000\n");
	put("sys/memory/a/b/memory.usage_in_bytes", "40000\n");
	put("sys/memory/a/b/memory.stat", "total_swap 10001\n");
	assert_true(swap_room_find(root, GIB, &group));
	assert_string_equal(group.name, "/a/b");
	assert_int_equal(group.swapped_bytes, 10001);
	assert_int_equal(group.room_bytes, 10000);
}

static void room_of_groups_v2(void **state UNUSED)
{
	struct swap_room_group group;
	char root[128];

	snprintf(root, sizeof(root), "%s/unified", sys);
	put("sys/unified/free/memory.max", "max\n");
	put("sys/unified/free/memory.current", "900000\n");
	put("sys/unified/free/memory.swap.current", "900000\n");
	assert_false(swap_room_find(root, GIB, &group));
	put("sys/unified/tight/memory.max", "900000\n");
	put("sys/unified/tight/memory.current", "900000\n");
	put("sys/unified/tight/memory.stat", "anon 1\ninactive_file 5\n");
	put("sys/unified/tight/memory.swap.current", "5\n");
	assert_false(swap_room_find(root, GIB, &group));
	put("sys/unified/tight/memory.swap.current", "6\n");
	assert_true(swap_room_find(root, GIB, &group));
	assert_string_equal(group.name, "/tight");
	/* Most of it is in another swap. */
	assert_false(swap_room_find(root, 5, &group));
	assert_false(swap_room_find("/nowhere", GIB, &group));
}

/* --- what is asked for --- */

static void defaults_are_zrams(void **state UNUSED)
{
	struct swap_request r = {0};

	swap_request_settle(&r, 6 * GIB + 123);
	assert_int_equal(r.size_bytes, 3 * GIB);
	assert_int_equal(r.limit_bytes, 3 * GIB + 192 * MIB + 32 * MIB);
	r = (struct swap_request){0};
	swap_request_settle(&r, 64 * GIB);
	assert_int_equal(r.size_bytes, 4 * GIB);
	r = (struct swap_request){.size_bytes = 9 * MIB + 1,
				  .limit_bytes = 5 * MIB};
	swap_request_settle(&r, 64 * GIB);
	assert_int_equal(r.size_bytes, 9 * MIB);
	assert_int_equal(r.limit_bytes, 5 * MIB);
}

static void options_for_foldfs(void **state UNUSED)
{
	struct swap_request r = {.size_bytes = MIB, .limit_bytes = 2 * MIB};
	char text[256];

	assert_int_equal(swap_request_format(&r, text, sizeof(text)), 0);
	assert_string_equal(text, "profile=swap,size=1048576,mem_limit=2097152,"
				  "mode=0700");
	r.compress = "zstd:1";
	r.spill = "/a,b\\c";
	r.forgo = "oom";
	assert_int_equal(swap_request_format(&r, text, sizeof(text)), 0);
	assert_string_equal(strstr(text, "mode"),
			    "mode=0700,compress=zstd:1,spill=/a\\,b\\\\c,"
			    "forgo=oom");
	for (size_t cap = 1; cap <= strlen(text); cap++)
		assert_int_equal(swap_request_format(&r, text, cap),
				 -ENAMETOOLONG);
}

static void numbers_of_a_device(void **state UNUSED)
{
	put("sys/block/loop5/loop/dio", "1\n");
	put("sys/block/loop5/queue/discard_max_bytes", "0\n");
	assert_true(loop_has_direct_io(sys, 5));
	assert_false(loop_can_discard(sys, 5));
	assert_false(loop_has_direct_io(sys, 6));
	put("sys/block/loop5/queue/discard_max_bytes", "4294966784\n");
	assert_true(loop_can_discard(sys, 5));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_with_swap, end)
	const struct CMUnitTest tests[] = {
		TEST(ids_of_files),          TEST(nothing_is_there),
		TEST(a_mount_alone),         TEST(a_device_leads_to_its_mount),
		TEST(a_device_without_swap), TEST(a_mount_out_of_view),
		TEST(of_a_container),        TEST(lines_of_swaps),
		TEST(room_of_the_machine),   TEST(room_of_groups_v1),
		TEST(room_of_groups_v2),     TEST(defaults_are_zrams),
		TEST(options_for_foldfs),    TEST(numbers_of_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
