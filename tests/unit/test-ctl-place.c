/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of where a control socket lives: its directory, its file, and who may
 * take the file away. */
#include "base/clock.h"
#include "ctl/place.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID 7
#define LONG_NS (3600 * NS_PER_S)

static char dir[64], path[PLACE_MAX];

static int set_up(void **state UNUSED)
{
	strcpy(dir, "/tmp/test-ctl-place-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%d.sock", dir, ID);
	return 0;
}

/* Fails when anything was left in it. */
static int tear_down(void **state UNUSED)
{
	return rmdir(dir);
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	return st;
}

static bool is_there(void)
{
	return access(path, F_OK) == 0;
}

static void leave(struct place *place)
{
	place_remove(place);
	place_close(place);
}

static void the_umask_does_not_matter(void **state UNUSED)
{
	char made[PLACE_MAX];
	mode_t before = umask(0777);
	struct place place;

	assert_int_equal(place_open(dir, ID, 0, &place), 0);
	/* Made in any case; as another's it is not good enough for root's. */
	assert_int_equal(place_dir(geteuid() ? geteuid() : 1, dir, made),
			 geteuid() ? 0 : -EPERM);
	umask(before);
	assert_int_equal(stat_of(path).st_mode, S_IFSOCK | 0666);
	assert_int_equal(stat_of(made).st_mode, S_IFDIR | 0700);
	assert_int_equal(rmdir(made), 0);
	leave(&place);
}

static void a_user_needs_a_runtime_directory(void **state UNUSED)
{
	char made[PLACE_MAX], longest[PLACE_MAX + 1];

	assert_int_equal(place_dir(1, NULL, made), -EDESTADDRREQ);
	assert_string_equal(made, "");
	assert_int_equal(place_dir(1, "relative", made), -EDESTADDRREQ);
	assert_int_equal(place_dir(1, "", made), -EDESTADDRREQ);
	assert_int_equal(place_dir(1, "/nonexistent", made), -ENOENT);
	assert_string_equal(made, "/nonexistent/foldfs");
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(place_dir(1, longest, made), -ENAMETOOLONG);
}

static void a_directory_must_be_the_users_alone(void **state UNUSED)
{
	uid_t me = geteuid() ? geteuid() : 1;
	char made[PLACE_MAX], sub[80];

	snprintf(sub, sizeof(sub), "%s/foldfs", dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(sub, me, me), 0);
	assert_int_equal(place_dir(me, dir, made), 0);
	assert_string_equal(made, sub);
	assert_int_equal(chmod(sub, 0770), 0);
	assert_int_equal(place_dir(me, dir, made), -EPERM);
	assert_int_equal(chmod(sub, 0702), 0);
	assert_int_equal(place_dir(me, dir, made), -EPERM);
	assert_int_equal(chmod(sub, 0700), 0);
	assert_int_equal(place_dir(me + 1, dir, made), -EPERM);
	assert_int_equal(rmdir(sub), 0);
	assert_int_equal(symlink("/tmp", sub), 0);
	assert_int_equal(place_dir(me, dir, made), -ENOTDIR);
	assert_int_equal(unlink(sub), 0);
}

static void a_stale_file_is_replaced(void **state UNUSED)
{
	struct place dead, place;

	/* Its daemon was killed: the file stays, nobody listens. */
	assert_int_equal(place_open(dir, ID, 0, &dead), 0);
	place_close(&dead);
	assert_true(is_there());
	assert_int_equal(place_open(dir, ID, 0, &place), 0);
	assert_int_equal(stat_of(path).st_mode, S_IFSOCK | 0666);
	leave(&place);
	assert_false(is_there());
}

static void only_its_own_file_is_removed(void **state UNUSED)
{
	struct place place;

	assert_int_equal(place_open(dir, ID, 0, &place), 0);
	place.ino++;
	place_remove(&place);
	assert_true(is_there());
	place.ino--;
	place.dev++;
	place_remove(&place);
	assert_true(is_there());
	place.dev--;
	leave(&place);
	assert_false(is_there());
}

static void one_that_answers_is_left_alone(void **state UNUSED)
{
	struct place first, second = {.fd = -77};

	assert_int_equal(place_open(dir, ID, 0, &first), 0);
	assert_int_equal(place_open(dir, ID, 1, &second), -EADDRINUSE);
	assert_int_equal(second.fd, -77);
	assert_true(is_there());
	leave(&first);
}

static void *leave_thread(void *arg)
{
	leave(arg);
	return NULL;
}

/* Its mount has gone and its number is another's already. */
static void one_that_is_leaving_is_waited_for(void **state UNUSED)
{
	struct place first, second;
	pthread_t thread;

	assert_int_equal(place_open(dir, ID, 0, &first), 0);
	assert_int_equal(pthread_create(&thread, NULL, leave_thread, &first),
			 0);
	assert_int_equal(place_open(dir, ID, LONG_NS, &second), 0);
	pthread_join(thread, NULL);
	assert_true(is_there());
	leave(&second);
}

static void a_file_of_another_kind_stays(void **state UNUSED)
{
	struct place place = {.fd = -77};

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(place_open(dir, ID, 0, &place), -EISDIR);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(place_open("/nonexistent", ID, 0, &place), -ENOENT);
	assert_int_equal(place.fd, -77);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_umask_does_not_matter),
		CASE(a_user_needs_a_runtime_directory),
		CASE(a_directory_must_be_the_users_alone),
		CASE(a_stale_file_is_replaced),
		CASE(only_its_own_file_is_removed),
		CASE(one_that_answers_is_left_alone),
		CASE(one_that_is_leaving_is_waited_for),
		CASE(a_file_of_another_kind_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
