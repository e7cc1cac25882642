/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may become a backing file, what is refused in which words, and that a
 * refusal changes nothing. */
#include "backing_rig.h"
#include "base/compiler.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static struct budget budget;
static struct arena *arena;
static struct backing *backing;
static char dir[200];
static char why[512];

static void no_kind(void *arg UNUSED, unsigned kind UNUSED)
{
}

static void no_done(void *arg UNUSED, struct extent extent UNUSED,
		    const struct extent_owner *owner UNUSED,
		    uint64_t cookie UNUSED, int err UNUSED)
{
}

static const struct backing_ops ops = {no_kind, no_kind, no_done};

static int setup(void **state UNUSED)
{
	snprintf(dir, sizeof(dir), "%s/foldfs-open-XXXXXX", rig_dir());
	assert_non_null(mkdtemp(dir));
	budget_init(&budget, GIB);
	assert_int_equal(arena_new(MIB, &budget, &arena), 0);
	assert_int_equal(backing_new(arena, &ops, NULL, &backing), 0);
	return 0;
}

static int teardown(void **state UNUSED)
{
	char command[300];

	backing_free_all(backing);
	arena_free(arena);
	assert_int_equal(budget_used(&budget), 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static const char *in_dir(const char *name)
{
	static char path[2][512];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void make_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int try_open(struct backing *b, const char *path, bool force)
{
	struct backing_config config = {.path = path, .force = force};
	uint64_t before = budget_used(&budget);
	int r = backing_open(b, &config, why, sizeof(why));

	if (r < 0) {
		assert_false(backing_is_open(b));
		assert_int_equal(budget_used(&budget), before);
		/* A sentence that names the path. */
		assert_int_equal(strncmp(why, path, strlen(path)), 0);
		assert_true(strlen(why) > strlen(path) + 5);
	}
	return r;
}

static void assert_refused(const char *path, int err)
{
	assert_int_equal(try_open(backing, path, false), err);
}

static void test_types(void **state UNUSED)
{
	assert_refused(dir, -EISDIR);
	assert_refused("/dev/null", -EINVAL);
	assert_refused(in_dir("no/such/dir"), -ENOENT);
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_refused(in_dir("fifo"), -EINVAL);
	assert_int_equal(symlink(in_dir("target"), in_dir("link")), 0);
	assert_refused(in_dir("link"), -ELOOP);
	assert_int_equal(access(in_dir("target"), F_OK), -1);
	make_file(in_dir("named"), "", 0600);
	assert_int_equal(link(in_dir("named"), in_dir("twice")), 0);
	assert_refused(in_dir("named"), -EMLINK);
}

static void test_too_small(void **state UNUSED)
{
	struct backing_config config = {
		.path = in_dir("small"),
		.most_bytes = BACKING_SEGMENT_BYTES - 1,
	};

	assert_int_equal(backing_open(backing, &config, why, sizeof(why)),
			 -EINVAL);
	/* What it made it took away again. */
	assert_int_equal(access(config.path, F_OK), -1);
}

static void test_foreign(void **state UNUSED)
{
	const char *path = in_dir("foreign");
	struct stat st;
	char text[8];
	int fd;

	make_file(path, "letters", 0644);
	assert_refused(path, -EEXIST);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 7);
	assert_memory_equal(text, "letters", 7);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	close(fd);
	assert_int_equal(try_open(backing, path, true), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(backing_close(backing), 0);
}

static void test_new_file(void **state UNUSED)
{
	const char *path = in_dir("new");
	struct backing_stats stats;
	struct stat st;

	assert_int_equal(try_open(backing, path, false), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	backing_stats(backing, &stats);
	assert_int_equal(stats.state, BACKING_ACTIVE);
	assert_string_equal(backing_state_name(stats.state), "active");
	assert_int_equal(backing_close(backing), 0);
	backing_stats(backing, &stats);
	assert_int_equal(stats.state, BACKING_NONE);
	/* Empty now, so it can be had again. */
	assert_int_equal(try_open(backing, path, false), 0);
	assert_int_equal(backing_close(backing), 0);
	assert_int_equal(backing_close(backing), 0);
}

/* One that a mount left behind is emptied; one that is in use is not. */
static void test_ours(void **state UNUSED)
{
	const char *path = in_dir("ours");
	struct extent_owner owner = {0};
	struct extent extent;
	struct backing *other;
	struct stat st;

	assert_int_equal(backing_new(arena, &ops, NULL, &other), 0);
	assert_int_equal(try_open(backing, path, false), 0);
	assert_int_equal(try_open(other, path, false), -EBUSY);
	assert_int_equal(try_open(other, path, true), -EBUSY);
	assert_int_equal(backing_put(backing, &owner, 0, 0, "x", 1, 0, &extent),
			 0);
	backing_flush(backing);
	while (backing_reap(backing, true))
		;
	backing_free_all(backing);
	backing = other;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, BACKING_SEGMENT_BYTES);
	backing_scan_begin(backing);
	backing_scan_end(backing);
	assert_int_equal(try_open(backing, path, false), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, BLOCK_BYTES);
	backing_abandon(backing);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 0);
}

/* Without a cipher it is refused, never written in clear. */
static void test_encrypted(void **state UNUSED)
{
	struct backing_config config = {.path = in_dir("new"), .encrypt = true};
	struct backing_stats stats;
	enum crypt_cipher cipher;

	if (crypt_choose(&cipher) < 0) {
		assert_int_equal(
			backing_open(backing, &config, why, sizeof(why)),
			-EOPNOTSUPP);
		assert_non_null(strstr(why, "libsodium"));
		assert_int_equal(access(config.path, F_OK), -1);
		return;
	}
	assert_int_equal(backing_open(backing, &config, why, sizeof(why)), 0);
	backing_stats(backing, &stats);
	assert_true(stats.encrypted);
	assert_int_equal(backing_close(backing), 0);
}

static void test_no_file(void **state UNUSED)
{
	struct extent_owner owner = {0};
	struct extent extent;

	assert_int_equal(backing_put(backing, &owner, 0, 0, "x", 1, 0, &extent),
			 -ENODEV);
	assert_int_equal(backing_reap(backing, true), 0);
	backing_flush(backing);
	backing_abandon(backing);
	assert_int_equal(backing_fd(backing), -1);
}

static void test_open_again_is_checked(void **state UNUSED)
{
	int fd;

	make_file(in_dir("other"), "letters", 0600);
	fd = open(in_dir("other"), O_RDWR);
	assert_int_equal(backing_open_again(backing, fd), -EIO);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(backing_open_again(backing, fd), -EINVAL);
	assert_false(backing_is_open(backing));
	close(fd);
}

/* --- mounts --- */

static int check(const char *path)
{
	return path_check(path, in_dir("mountinfo"));
}

static void test_mounts(void **state UNUSED)
{
	char text[2000], path[300];

	snprintf(text, sizeof(text),
		 "20 1 0:1 / / rw - ext4 /dev/a rw\n"
		 "21 20 0:2 / %s/fold rw,nosuid shared:1 - fuse.foldfs x rw\n"
		 "22 20 0:3 / %s/a\\040b rw - fuse.foldfs x rw\n"
		 "23 20 0:4 / %s/over rw - fuse.foldfs x rw\n"
		 "24 23 0:5 / %s/over rw - tmpfs x rw\n"
		 "25 20 0:6 / %s/other rw - fuse.sshfs x rw\n",
		 dir, dir, dir, dir, dir);
	make_file(in_dir("mountinfo"), text, 0600);
	assert_int_equal(mkdir(in_dir("sub"), 0700), 0);
	assert_int_equal(symlink("../fold/deep", in_dir("sub/rel")), 0);
	assert_int_equal(symlink(in_dir("fold"), in_dir("abs")), 0);
	assert_int_equal(symlink("loop", in_dir("loop")), 0);

	assert_int_equal(check(in_dir("fold/file")), -EXDEV);
	assert_int_equal(check(in_dir("fold/d/e/file")), -EXDEV);
	assert_int_equal(check(in_dir("fold")), -EXDEV);
	assert_int_equal(check(in_dir("a b/file")), -EXDEV);
	assert_int_equal(check(in_dir("./sub/..//fold/file")), -EXDEV);
	assert_int_equal(check(in_dir("sub/rel/file")), -EXDEV);
	assert_int_equal(check(in_dir("abs/file")), -EXDEV);
	assert_int_equal(check(in_dir("loop/file")), -ELOOP);
	assert_int_equal(check(in_dir("folder/file")), -ENOENT);
	assert_int_equal(check(in_dir("sub/file")), 0);
	assert_int_equal(check(in_dir("sub/../file")), 0);
	/* The last link is not followed: open() refuses it. */
	assert_int_equal(check(in_dir("abs")), 0);

	assert_int_equal(mkdir(in_dir("over"), 0700), 0);
	assert_int_equal(mkdir(in_dir("other"), 0700), 0);
	assert_int_equal(check(in_dir("over/file")), 0);
	assert_int_equal(check(in_dir("other/file")), 0);

	assert_non_null(getcwd(path, sizeof(path)));
	assert_int_equal(chdir(in_dir("sub")), 0);
	assert_int_equal(check("file"), 0);
	assert_int_equal(check("../fold/file"), -EXDEV);
	assert_int_equal(check("rel/file"), -EXDEV);
	assert_int_equal(chdir(path), 0);
	assert_int_equal(path_check("/x", in_dir("none")), -ENOENT);
}

static void make_disk(const char *number, const char *file, const char *below)
{
	char path[128];

	snprintf(path, sizeof(path), "sys/%s", number);
	mkdir(in_dir(path), 0700);
	if (file) {
		snprintf(path, sizeof(path), "sys/%s/loop", number);
		mkdir(in_dir(path), 0700);
		snprintf(path, sizeof(path), "sys/%s/loop/backing_file",
			 number);
		make_file(in_dir(path), file, 0600);
	}
	if (below) {
		snprintf(path, sizeof(path), "sys/%s/slaves", number);
		mkdir(in_dir(path), 0700);
		snprintf(path, sizeof(path), "sys/%s/slaves/x", number);
		mkdir(in_dir(path), 0700);
		snprintf(path, sizeof(path), "sys/%s/slaves/x/dev", number);
		make_file(in_dir(path), below, 0600);
	}
}

static int check_disk(unsigned minor)
{
	char sysfs[300];

	snprintf(sysfs, sizeof(sysfs), "%s", in_dir("sys"));
	return path_check_device(makedev(7, minor), sysfs, in_dir("mountinfo"));
}

/* Disks that are files, or made of such. */
static void test_disks(void **state UNUSED)
{
	char text[700], file[300];

	snprintf(text, sizeof(text),
		 "20 1 0:1 / / rw - ext4 /dev/a rw\n"
		 "21 20 0:2 / %s/fold rw - fuse.foldfs x rw\n"
		 "22 20 7:6 / /else rw - fuse.foldfs x rw\n",
		 dir);
	make_file(in_dir("mountinfo"), text, 0600);
	mkdir(in_dir("sys"), 0700);
	snprintf(file, sizeof(file), "%s/fold/image\n", dir);
	make_disk("7:0", file, NULL);
	make_disk("7:0/part", NULL, NULL);
	assert_int_equal(symlink("7:0/part", in_dir("sys/7:1")), 0);
	make_disk("7:2", NULL, "7:1\n");
	make_disk("7:3", "/some/where (deleted)\n", NULL);
	snprintf(file, sizeof(file), "%s/mountinfo\n", dir);
	make_disk("7:4", file, "7:4\n");
	assert_int_equal(check_disk(0), -EXDEV);
	assert_int_equal(check_disk(1), -EXDEV);
	assert_int_equal(check_disk(2), -EXDEV);
	assert_int_equal(check_disk(3), 0);
	assert_int_equal(check_disk(4), 0);
	assert_int_equal(check_disk(5), 0);
	/* A mount that the path did not show. */
	assert_int_equal(check_disk(6), -EXDEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_small, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_encrypted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_again_is_checked,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_mounts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
