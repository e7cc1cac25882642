/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes as a file's user sees them: modes, owners, times, sizes. */
#include "base/clock.h"
#include "base/page.h"
#include "tree/inside.h"
#include "tree_rig.h"
#include "unit.h"

static void test_times_of_setattr(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct stat attr = {
		.st_atim = {-5, 7}, .st_mtim = {1LL << 40, 0}, .st_size = 4};
	struct stat st;

	rig_age(rig, f);
	rig_set_mode(rig, f, 0600);
	assert_string_equal(rig_moved(rig, f), "c");
	assert_int_equal(tree_setattr(rig->tree, &rig->who, f, TREE_SET_ATIME,
				      &attr, &st),
			 0);
	assert_int_equal(st.st_atim.tv_sec, -5);
	assert_int_equal(st.st_atim.tv_nsec, 7);
	assert_string_equal(rig_moved(rig, f), "ac");
	assert_int_equal(tree_setattr(rig->tree, &rig->who, f, TREE_SET_MTIME,
				      &attr, &st),
			 0);
	/* Beyond 64 bits of nanoseconds: cut, not wrapped. */
	assert_true(st.st_mtim.tv_sec > 9000000000LL);
	assert_string_equal(rig_moved(rig, f), "mc");
	assert_int_equal(tree_setattr(rig->tree, &rig->who, f, TREE_SET_SIZE,
				      &attr, &st),
			 0);
	assert_int_equal(st.st_size, 4);
	assert_string_equal(rig_moved(rig, f), "mc");
	assert_int_equal(tree_setattr(rig->tree, &rig->who, f, TREE_SET_SIZE,
				      &attr, &st),
			 0);
	assert_string_equal(rig_moved(rig, f), "c");
	attr.st_ctim.tv_sec = 50;
	assert_int_equal(tree_setattr(rig->tree, &rig->who, f, TREE_SET_CTIME,
				      &attr, &st),
			 0);
	assert_int_equal(st.st_ctim.tv_sec, 50);
	rig_age(rig, f);
	assert_int_equal(tree_setattr(rig->tree, &rig->who, f, 0, &attr, &st),
			 0);
	assert_string_equal(rig_moved(rig, f), "");
	assert_int_equal(tree_setattr(rig->tree, &rig->who, TREE_ROOT,
				      TREE_SET_SIZE, &attr, &st),
			 -EISDIR);
}

static void test_times_of_names(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t d = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	struct tree_entry entry;
	uint64_t f;

	rig_age(rig, d);
	f = rig_make(rig, d, "f", S_IFREG | 0644);
	assert_string_equal(rig_moved(rig, d), "mc");
	rig_age(rig, f);
	assert_int_equal(tree_link(rig->tree, &rig->who, f, d, "g", &entry), 0);
	assert_string_equal(rig_moved(rig, d), "mc");
	assert_string_equal(rig_moved(rig, f), "c");
	assert_int_equal(tree_unlink(rig->tree, &rig->who, d, "g"), 0);
	assert_string_equal(rig_moved(rig, d), "mc");
	assert_string_equal(rig_moved(rig, f), "c");
	rig_find(rig, d, "f");
	assert_string_equal(rig_moved(rig, d), "");
	rig_make(rig, d, "e", S_IFDIR | 0755);
	rig_moved(rig, d);
	assert_int_equal(tree_rmdir(rig->tree, &rig->who, d, "e"), 0);
	assert_string_equal(rig_moved(rig, d), "mc");
}

/* Relatime: after a change once, then once a day. */
static void test_relatime(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct inode_record *inode = inode_at(rig->tree, node_ix(f));
	int64_t now = inode_now();

	rig_age(rig, f);
	tree_did_read(rig->tree, f);
	assert_string_equal(rig_moved(rig, f), "a");
	atomic_store(&inode->atime, now - 3600 * (int64_t)NS_PER_S);
	tree_did_read(rig->tree, f);
	assert_int_equal(atomic_load(&inode->atime),
			 now - 3600 * (int64_t)NS_PER_S);
	atomic_store(&inode->atime, now - 25 * 3600 * (int64_t)NS_PER_S);
	tree_did_read(rig->tree, f);
	assert_true(atomic_load(&inode->atime) >= now);
}

static void test_set_ids(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct tree_caller user = rig->who;
	struct stat attr = {.st_uid = 7, .st_gid = 8, .st_size = 9};
	struct stat st = rig_set_mode(rig, f, 06755);

	user.privileged = false;
	assert_int_equal(st.st_mode & 07777, 06755);
	tree_wrote(rig->tree, &rig->who, f);
	assert_int_equal(rig_stat(rig, f).st_mode & 07777, 06755);
	tree_wrote(rig->tree, &user, f);
	assert_int_equal(rig_stat(rig, f).st_mode & 07777, 0755);
	/* Set-gid without group execution is for locking and stays. */
	rig_set_mode(rig, f, 06745);
	tree_wrote(rig->tree, &user, f);
	assert_int_equal(rig_stat(rig, f).st_mode & 07777, 02745);
	/* A change of owner takes them from root too. */
	rig_set_mode(rig, f, 06755);
	assert_int_equal(tree_setattr(rig->tree, &rig->who, f,
				      TREE_SET_UID | TREE_SET_GID, &attr, &st),
			 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_gid, 8);
	rig_set_mode(rig, f, 06755);
	assert_int_equal(
		tree_setattr(rig->tree, &user, f, TREE_SET_SIZE, &attr, &st),
		0);
	assert_int_equal(st.st_mode & 07777, 0755);
	/* But not from directories. */
	rig_set_mode(rig, TREE_ROOT, 02755);
	assert_int_equal(tree_setattr(rig->tree, &user, TREE_ROOT, TREE_SET_GID,
				      &attr, &st),
			 0);
	assert_int_equal(st.st_mode & 07777, 02755);
}

static void test_set_gid_directory(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t d = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	struct stat attr = {.st_gid = 42};
	struct stat st;
	uint64_t node;

	assert_int_equal(
		tree_setattr(rig->tree, &rig->who, d, TREE_SET_GID, &attr, &st),
		0);
	rig_set_mode(rig, d, 02775);
	node = rig_make(rig, d, "f", S_IFREG | 0644);
	st = rig_stat(rig, node);
	assert_int_equal(st.st_gid, 42);
	assert_int_equal(st.st_mode & 07777, 0644);
	node = rig_make(rig, d, "e", S_IFDIR | 0755);
	st = rig_stat(rig, node);
	assert_int_equal(st.st_gid, 42);
	assert_int_equal(st.st_mode & 07777, 02755);
}

static void test_sizes_and_blocks(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct stat st;

	rig_write(rig, f, "hello", 5);
	st = rig_stat(rig, f);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_blocks, 8);
	assert_int_equal(st.st_blksize, 8192);
	assert_int_equal(rig_stat(rig, TREE_ROOT).st_size, 60);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, tree_rig_setup, tree_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_times_of_setattr),  TEST(test_times_of_names),
		TEST(test_relatime),          TEST(test_set_ids),
		TEST(test_set_gid_directory), TEST(test_sizes_and_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
