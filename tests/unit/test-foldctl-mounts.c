/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding our mounts in the kernel's list, and the one that a path is in. */
#include "foldctl/mounts.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char mountinfo[] =
	"21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
	"22 21 0:5 / /proc rw - proc proc rw\n"
	"30 21 0:41 / /mnt rw,nosuid - fuse.foldfs cache "
	"rw,user_id=0,group_id=0,default_permissions,allow_other\n"
	"31 30 0:42 / /mnt/inner rw - tmpfs tmpfs rw\n"
	"32 31 0:43 / /mnt/inner/ours rw - fuse.foldfs cache "
	"rw,user_id=1000,group_id=1000\n"
	"33 21 0:44 / /home/with\\040blank rw - fuse.foldfs a\\040b "
	"rw,user_id=7,group_id=0\n"
	"34 21 0:45 / /mntx rw - fuse.sshfs host: rw,user_id=0,group_id=0\n"
	"35 21 0:41 /sub /bound rw - fuse.foldfs cache "
	"rw,user_id=0,group_id=0\n"
	"36 21 0:46 / /covered rw - fuse.foldfs low rw,user_id=0,group_id=0\n"
	"37 36 0:47 / /covered rw - fuse.foldfs high rw,user_id=0,group_id=0\n"
	"38 21 0:48 / /hidden rw - fuse.foldfs hid rw,user_id=0,group_id=0\n"
	"39 38 0:49 / /hidden rw - tmpfs tmpfs rw\n";

static int setup(void **state)
{
	static struct mounts mounts;
	char path[] = "/tmp/foldctl-mounts-XXXXXX";
	int fd = mkstemp(path);
	ssize_t n = (ssize_t)strlen(mountinfo);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, mountinfo, (size_t)n), n);
	close(fd);
	assert_int_equal(mounts_read(&mounts, path), 0);
	unlink(path);
	*state = &mounts;
	return 0;
}

static int teardown(void **state)
{
	mounts_fini(*state);
	return 0;
}

static void ours_are_listed_in_order(void **state)
{
	static const unsigned ids[] = {41, 43, 44, 41, 46, 47, 48};
	const struct mounts *m = *state;

	assert_int_equal(m->n, ARRAY_SIZE(ids));
	for (unsigned i = 0; i < m->n; i++) {
		assert_int_equal(m->list[i].id, ids[i]);
		assert_int_equal(m->list[i].again, i == 3);
	}
	assert_string_equal(m->list[0].point, "/mnt");
	assert_string_equal(m->list[0].source, "cache");
	assert_non_null(strstr(m->list[0].options, "nosuid"));
	assert_int_equal(m->list[0].owner, 0);
	assert_int_equal(m->list[1].owner, 1000);
}

static void escapes_are_undone(void **state)
{
	const struct mounts *m = *state;

	assert_string_equal(m->list[2].point, "/home/with blank");
	assert_string_equal(m->list[2].source, "a b");
	assert_int_equal(m->list[2].owner, 7);
}

static void a_path_is_in_the_deepest_mount(void **state)
{
	static const struct {
		const char *path;
		unsigned id; /* 0: none of ours */
	} cases[] = {
		{"/mnt", 41},
		{"/mnt/", 41},
		{"/mnt/file", 41},
		{"/mnt/innermost", 41},
		{"/mnt/inner", 0},
		{"/mnt/inner/file", 0},
		{"/mnt/inner/ours/file", 43},
		{"/home/with blank/x", 44},
		{"/bound/x", 41},
		{"/covered", 47},
		{"/hidden/x", 0},
		{"/mntx", 0},
		{"/mn", 0},
		{"/", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct mount *m = mounts_of_path(*state, cases[i].path);

		if ((m ? m->id : 0) != cases[i].id)
			fail_msg("%s: %u", cases[i].path, m ? m->id : 0);
	}
}

static void names_are_ids_or_sources(void **state)
{
	unsigned n;

	assert_int_equal(mounts_of_name(*state, "44", &n)->id, 44);
	assert_int_equal(n, 1);
	assert_int_equal(mounts_of_name(*state, "a b", &n)->id, 44);
	assert_int_equal(mounts_of_name(*state, "41", &n)->id, 41);
	/* Bound to another place is the same mount. */
	assert_int_equal(n, 1);
	assert_int_equal(mounts_of_name(*state, "cache", &n)->id, 41);
	assert_int_equal(n, 2);
	assert_null(mounts_of_name(*state, "45", &n));
	assert_int_equal(n, 0);
	assert_null(mounts_of_name(*state, "", &n));
	assert_null(mounts_of_name(*state, "41x", &n));
	assert_null(mounts_of_name(*state, "host:", &n));
}

static void no_list_is_an_error(void **state UNUSED)
{
	struct mounts m = {.n = 77};

	assert_int_equal(mounts_read(&m, "/no/such/file"), -ENOENT);
	assert_int_equal(m.n, 77);
}

static void paths_are_made_normal(void **state UNUSED)
{
	static const struct {
		const char *from, *path, *normal;
	} cases[] = {
		{"/a/b", "c", "/a/b/c"},
		{"/a/b", "/c", "/c"},
		{"/a/b", ".", "/a/b"},
		{"/a/b", "", "/a/b"},
		{"/a/b", "..", "/a"},
		{"/a/b", "../../../..", "/"},
		{"/a/b", "../c/./d//e/", "/a/c/d/e"},
		{"/", "x", "/x"},
		{"/", ".", "/"},
		{"/", "///x///y/..", "/x"},
		{"/a", "...", "/a/..."},
		{"/a", ".x/..y", "/a/.x/..y"},
	};
	char path[32];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(path_normal(cases[i].from, cases[i].path, path,
					     sizeof(path)),
				 0);
		assert_string_equal(path, cases[i].normal);
	}
}

static void a_path_fits_or_is_refused(void **state UNUSED)
{
	char path[8];

	assert_int_equal(path_normal("/", "123456", path, 8), 0);
	assert_string_equal(path, "/123456");
	assert_int_equal(path_normal("/", "1234567", path, 8), -ENAMETOOLONG);
	assert_int_equal(path_normal("/", "1/2/3/45", path, 8), -ENAMETOOLONG);
	assert_int_equal(path_normal("/123456", "..", path, 8), 0);
	assert_string_equal(path, "/");
	assert_int_equal(path_normal("/", "", path, 1), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours_are_listed_in_order),
		cmocka_unit_test(escapes_are_undone),
		cmocka_unit_test(a_path_is_in_the_deepest_mount),
		cmocka_unit_test(names_are_ids_or_sources),
		cmocka_unit_test(no_list_is_an_error),
		cmocka_unit_test(paths_are_made_normal),
		cmocka_unit_test(a_path_fits_or_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
