/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of finding a mount's number in the kernel's list. */
#include "fs/mount_id.h"
#include "unit.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char list[] = "/tmp/test-fs-mount-id-XXXXXX";

static int make_list(void **state UNUSED)
{
	int fd = mkstemp(list);

	return fd < 0 ? -1 : close(fd);
}

static int remove_list(void **state UNUSED)
{
	return unlink(list);
}

static void has(const char *text)
{
	FILE *f = fopen(list, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void is(const char *mountpoint, unsigned want)
{
	unsigned id = 0;

	assert_int_equal(mount_id(list, mountpoint, &id), 0);
	assert_int_equal(id, want);
}

static void is_none(const char *mountpoint)
{
	unsigned id = 77;

	assert_int_equal(mount_id(list, mountpoint, &id), -ENOENT);
	assert_int_equal(id, 77);
}

#define LINE(minor, point, type)                                               \
	"36 35 0:" minor " / " point " rw,nosuid shared:1 master:2 - " type    \
	" source rw,user_id=0\n"

static void it_is_found_by_its_mount_point(void **state UNUSED)
{
	has(LINE("24", "/", "ext4") LINE("41", "/mnt", "fuse.foldfs")
		    LINE("1048575", "/mnt/b", "fuse.foldfs")
			    LINE("43", "/mn", "fuse.sshfs"));
	is("/mnt", 41);
	is("/mnt/b", 1048575);
	is_none("/mn");
	is_none("/");
	is_none("/mnt/");
	is_none("/mnt/c");
}

static void the_last_of_several_counts(void **state UNUSED)
{
	has(LINE("41", "/mnt", "fuse.foldfs") LINE("42", "/mnt", "fuse.foldfs")
		    LINE("43", "/mnt", "tmpfs"));
	is("/mnt", 42);
}

static void blanks_and_the_like_are_escaped(void **state UNUSED)
{
	has(LINE("41", "/a\\040b\\134\\011\\012c", "fuse.foldfs")
		    LINE("42", "/a\\04", "fuse.foldfs")
			    LINE("43", "/\\303\\244", "fuse.foldfs"));
	is("/a b\\\t\nc", 41);
	is("/a\\04", 42);
	is("/\xc3\xa4", 43);
}

static void the_longest_mount_point_fits(void **state UNUSED)
{
	static char text[6 * PATH_MAX], point[PATH_MAX];
	char *to = text + sprintf(text, "36 35 0:44 / ");

	for (unsigned i = 0; i < PATH_MAX - 1; i++) {
		point[i] = i % 2 ? ' ' : '/';
		to = stpcpy(to, i % 2 ? "\\040" : "/");
	}
	strcpy(to, " rw - fuse.foldfs source rw\n");
	has(text);
	is(point, 44);
}

static void nonsense_is_passed_over(void **state UNUSED)
{
	has("\n \n36\n36 35 0:41 / /mnt\n36 35 x / /mnt rw - fuse.foldfs s rw\n"
	    "36 35 0:42 / /mnt rw - fuse.foldfs");
	is_none("/mnt");
	has("");
	is_none("/mnt");
	unlink(list);
	assert_int_equal(mount_id(list, "/mnt", &(unsigned){0}), -ENOENT);
	has("");
}

static void what_lies_over_it_is_seen(void **state UNUSED)
{
	has(LINE("24", "/", "ext4") LINE("41", "/mnt", "fuse.foldfs"));
	assert_false(mount_is_covered(list, "/mnt", 41));
	assert_false(mount_is_covered(list, "/mnt", 42));
	has(LINE("41", "/mnt", "fuse.foldfs") LINE("50", "/mnt", "tmpfs"));
	assert_true(mount_is_covered(list, "/mnt", 41));
	has(LINE("41", "/mnt", "fuse.foldfs")
		    LINE("43", "/mnt", "fuse.foldfs"));
	assert_true(mount_is_covered(list, "/mnt", 41));
	assert_false(mount_is_covered(list, "/mnt", 43));
	has(LINE("41", "/mnt", "fuse.foldfs") LINE("50", "/mnt/a", "tmpfs"));
	assert_false(mount_is_covered(list, "/mnt", 41));
	has("");
	assert_false(mount_is_covered(list, "/mnt", 41));
}

static void a_connection_has_its_own(void **state UNUSED)
{
	unsigned id = 77;

	has("pos:\t0\nflags:\t02104002\nmnt_id:\t119\nino:\t90\n");
	assert_int_equal(mount_id_by_connection(list, &id), -ENODATA);
	has("pos:\t0\nfuse_connection:\tx\nmy_fuse_connection:\t4\n");
	assert_int_equal(mount_id_by_connection(list, &id), -ENODATA);
	assert_int_equal(id, 77);
	has("pos:\t0\nino:\t90\nfuse_connection:\t1048575\nx:\t1\n");
	assert_int_equal(mount_id_by_connection(list, &id), 0);
	assert_int_equal(id, 1048575);
	assert_int_equal(mount_id_by_connection("/proc/self/fdinfo/none", &id),
			 -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_found_by_its_mount_point),
		cmocka_unit_test(the_last_of_several_counts),
		cmocka_unit_test(blanks_and_the_like_are_escaped),
		cmocka_unit_test(the_longest_mount_point_fits),
		cmocka_unit_test(what_lies_over_it_is_seen),
		cmocka_unit_test(nonsense_is_passed_over),
		cmocka_unit_test(a_connection_has_its_own),
	};

	return cmocka_run_group_tests(tests, make_list, remove_list);
}
