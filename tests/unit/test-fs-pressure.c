/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flags of threads, and what is found of a machine, from files made up. */
#include "base/page.h"
#include "fs/pressure.h"
#include "fs/selfcheck.h"
#include "made-up-rig.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As the kernel writes it: flags are the 9th field. */
#define STAT(name, flags) "7 (" name ") S 1 7 7 0 -1 " flags " 1 0 0 0 5 6\n"

static void every_thread_is_looked_at(void **state UNUSED)
{
	unsigned threads = 77;

	assert_int_equal(pressure_count_unflagged(proc, &threads), -ENOENT);
	assert_int_equal(threads, 77);
	put("proc/task/7/stat", STAT("foldfs", "5768256"));
	put("proc/task/8/stat", STAT("foldfs/0", "1572928"));
	assert_int_equal(pressure_count_unflagged(proc, &threads), 0);
	assert_int_equal(threads, 2);
	/* None, and one of the two alone. */
	put("proc/task/9/stat", STAT("foldfs/1", "4194368"));
	put("proc/task/10/stat", STAT("late", "524352"));
	put("proc/task/11/stat", STAT("late", "1048640"));
	assert_int_equal(pressure_count_unflagged(proc, &threads), 3);
	assert_int_equal(threads, 5);
}

/* What a thread is called is anybody's choice. */
static void a_name_is_not_taken_for_fields(void **state UNUSED)
{
	unsigned threads;

	put("proc/task/7/stat", STAT("a) S 1 1 1 1 1 1572864 (b", "64"));
	put("proc/task/8/stat", STAT("a b c ) d", "1572864"));
	put("proc/task/9/stat", "");
	assert_int_equal(pressure_count_unflagged(proc, &threads), 2);
}

static void numbers_of_the_status(void **state UNUSED)
{
	put("proc/status", "Name:\tx\nVmLck:\t   12 kB\nVmSwapped:\t 1 kB\n"
			   "VmSwap:\t   4 kB\n");
	assert_int_equal(pressure_status_kib(proc, "VmLck"), 12);
	assert_int_equal(pressure_status_kib(proc, "VmSwap"), 4);
	assert_int_equal(pressure_status_kib(proc, "VmRSS"), 0);
}

/* --- the machine --- */

static char said[2048];

static void take(void *arg UNUSED, enum finding finding, const char *line)
{
	assert_null(strchr(line, '\n'));
	strcat(said, finding == FINDING_ERROR ? "E:" : "W:");
	strcat(said, line);
	strcat(said, "\n");
}

static struct fs_config config;

static unsigned look(enum fs_profile profile)
{
	struct selfcheck check = {
		.config = &config, .proc = proc, .sys = sys, .say = take};

	config = (struct fs_config){.mountpoint = "/mnt/swap",
				    .mem_limit_bytes = GIB,
				    .profile = profile};
	said[0] = '\0';
	selfcheck(&check);
	return check.errors;
}

static void found(const char *line)
{
	if (!strstr(said, line))
		fail_msg("not found: \"%s\" in \"%s\"", line, said);
}

static void nothing_readable_is_no_finding(void **state UNUSED)
{
	assert_int_equal(look(FS_PROFILE_SWAP), 0);
	assert_string_equal(said, "");
}

static void a_cgroup_too_small(void **state UNUSED)
{
	put("proc/self/cgroup", "0::/a/b\n");
	put("sys/fs/cgroup/a/memory.max", "1140850687\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 1);
	found("E:the memory cgroup of the daemon allows 1.1 GiB");
	/* The program itself is what a directory has room for yet. */
	assert_int_equal(look(FS_PROFILE_DIRECTORY), 0);
	assert_string_equal(said, "");
	put("sys/fs/cgroup/a/memory.max", "1140850688\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 0);
	put("sys/fs/cgroup/a/memory.max", "1073741823\n");
	assert_int_equal(look(FS_PROFILE_DIRECTORY), 0);
	found("W:the memory cgroup");
	/* Version 1. */
	put("proc/self/cgroup", "4:memory:/c\n");
	put("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "4096\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 1);
	found("allows 4.0 KiB");
}

static void strict_overcommit(void **state UNUSED)
{
	put("proc/meminfo", "MemTotal: 8388608 kB\nCommitLimit: 2097152 kB\n"
			    "Committed_AS: 1048577 kB\n");
	put("proc/sys/vm/overcommit_memory", "1\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 0);
	put("proc/sys/vm/overcommit_memory", "2\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 1);
	found("E:vm.overcommit_memory is 2");
	assert_int_equal(look(FS_PROFILE_DIRECTORY), 0);
	found("W:vm.overcommit_memory is 2");
	put("proc/meminfo", "MemTotal: 8388608 kB\nCommitLimit: 2097152 kB\n"
			    "Committed_AS: 1048576 kB\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 0);
}

static void more_than_the_machine_has(void **state UNUSED)
{
	put("proc/meminfo", "MemTotal: 1153433 kB\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 1);
	found("E:mem_limit is 1.0 GiB of the machine's 1.1 GiB");
	assert_int_equal(look(FS_PROFILE_DIRECTORY), 0);
	assert_string_equal(said, "");
	put("proc/meminfo", "MemTotal: 1258291 kB\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 0);
}

static void swap_that_is_there_already(void **state UNUSED)
{
	put("proc/swaps", "Filename Type Size Used Priority\n"
			  "/dev/sda2 partition 1 0 -2\n"
			  "/dev/loop3 partition 1 0 -3\n");
	put("sys/block/loop3/loop/backing_file", "/mnt/swapped/file\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 0);
	put("sys/block/loop3/loop/backing_file", "/mnt/swap/file\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 1);
	found("E:/dev/loop3 swaps on /mnt/swap/file");
}

static void what_is_merely_bad(void **state UNUSED)
{
	put("sys/module/zswap/parameters/enabled", "N\n");
	put("proc/sys/fs/fuse/max_request_timeout", "0\n");
	put("proc/sys/vm/min_free_kbytes", "65536\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 0);
	assert_string_equal(said, "");
	put("sys/module/zswap/parameters/enabled", "Y\n");
	put("proc/sys/fs/fuse/max_request_timeout", "60\n");
	put("proc/sys/vm/min_free_kbytes", "65535\n");
	assert_int_equal(look(FS_PROFILE_SWAP), 0);
	found("W:zswap is on");
	found("W:/proc/sys/fs/fuse/max_request_timeout is 60");
	found("W:vm.min_free_kbytes is 65535");
	assert_int_equal(look(FS_PROFILE_DIRECTORY), 0);
	assert_string_equal(said, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_thread_is_looked_at),
		TEST(a_name_is_not_taken_for_fields),
		TEST(numbers_of_the_status),
		TEST(nothing_readable_is_no_finding),
		TEST(a_cgroup_too_small),
		TEST(strict_overcommit),
		TEST(more_than_the_machine_has),
		TEST(swap_that_is_there_already),
		TEST(what_is_merely_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
