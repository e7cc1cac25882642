/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names: made, found, read in order, removed; the hash grows and shrinks. */
#include "base/page.h"
#include "tree/inside.h"
#include "tree_rig.h"
#include "unit.h"
#include <stdio.h>

static void test_make_find_remove(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t node = rig_make(rig, TREE_ROOT, "a", S_IFREG | 0666);
	struct tree_entry entry;
	struct stat st = rig_stat(rig, node);

	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(rig_find(rig, TREE_ROOT, "a"), node);
	assert_int_equal(rig_find(rig, TREE_ROOT, "b"), 0);
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "a",
				   S_IFDIR | 0755, 0, NULL, &entry),
			 -EEXIST);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "a"), 0);
	assert_int_equal(rig_find(rig, TREE_ROOT, "a"), 0);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "a"),
			 -ENOENT);
	/* Held by the lookup of its making, and gone with it. */
	assert_int_equal(rig_stat(rig, node).st_nlink, 0);
	rig_check(rig);
	tree_forget(rig->tree, 0, node, 1);
	assert_int_equal(tree_getattr(rig->tree, node, &st), -ESTALE);
}

static void test_refused_names(void **state)
{
	struct tree_rig *rig = *state;
	char name[TREE_NAME_MAX + 2];
	struct tree_entry entry;
	uint64_t file = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);

	memset(name, 'x', sizeof(name));
	name[TREE_NAME_MAX + 1] = '\0';
	assert_int_equal(tree_lookup(rig->tree, TREE_ROOT, name, &entry),
			 -ENAMETOOLONG);
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "a/b",
				   S_IFREG, 0, NULL, &entry),
			 -EINVAL);
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "", S_IFREG,
				   0, NULL, &entry),
			 -EINVAL);
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "..",
				   S_IFREG, 0, NULL, &entry),
			 -EEXIST);
	assert_int_equal(tree_rename(rig->tree, &rig->who, TREE_ROOT, "f",
				     TREE_ROOT, ".", 0),
			 -EEXIST);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "."),
			 -ENOENT);
	assert_int_equal(tree_lookup(rig->tree, file, "x", &entry), -ENOTDIR);
	assert_int_equal(
		tree_lookup(rig->tree, file + (UINT64_C(1) << 32), "x", &entry),
		-ESTALE);
	assert_int_equal(tree_lookup(rig->tree, 77, "x", &entry), -ESTALE);
}

/* Lengths around where a name needs the long record. */
static void test_all_lengths(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t node[TREE_NAME_MAX + 1];
	char name[TREE_NAME_MAX + 1] = "";

	for (size_t n = 1; n <= TREE_NAME_MAX; n++) {
		name[n - 1] = 'y';
		node[n] = rig_make(rig, TREE_ROOT, name, S_IFREG | 0600);
	}
	rig_check(rig);
	for (size_t n = TREE_NAME_MAX; n >= 1; n--) {
		assert_int_equal(rig_find(rig, TREE_ROOT, name), node[n]);
		assert_int_equal(
			tree_unlink(rig->tree, &rig->who, TREE_ROOT, name), 0);
		name[n - 1] = '\0';
	}
}

/* Many names: the hash grows by buckets, and all memory comes back. */
static void test_many(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	uint64_t before = budget_used(&rig->budget);
	uint32_t buckets = rig->tree->names.nr_buckets;
	char name[32];

	for (int i = 0; i < 20000; i++) {
		uint64_t node;

		snprintf(name, sizeof(name), "file-%d", i);
		node = rig_make(rig, dir, name, S_IFREG | 0644);
		tree_forget(rig->tree, 0, node, 1);
	}
	assert_true(rig->tree->names.nr_buckets > 15000);
	assert_int_equal(rig_stat(rig, dir).st_size, 20 * 20002);
	rig_check(rig);
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "file-%d", i * 7 % 20000);
		assert_true(rig_find(rig, dir, name) != 0);
		assert_int_equal(tree_unlink(rig->tree, &rig->who, dir, name),
				 0);
	}
	assert_int_equal(rig->tree->names.nr_buckets, buckets);
	assert_true(budget_used(&rig->budget) < before + MIB);
}

/* What 100,000 files of 200 bytes may cost is 640 bytes each; the tree's part
 * of it: record, name, state, hash and position. */
static void test_cost_of_a_file(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t before = budget_used(&rig->budget);
	uint64_t bytes;
	char name[32];

	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		rig_make(rig, TREE_ROOT, name, S_IFREG | 0644);
	}
	bytes = (budget_used(&rig->budget) - before) / 20000;
	assert_in_range(bytes, 160, 236);
}

static void test_churn_does_not_grow(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t used = 0;

	rig_make(rig, TREE_ROOT, "stays", S_IFREG | 0644);
	for (int i = 0; i < 20000; i++) {
		uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
		uint64_t file = rig_make(rig, dir, "f", S_IFREG | 0644);

		assert_int_equal(tree_unlink(rig->tree, &rig->who, dir, "f"),
				 0);
		assert_int_equal(
			tree_rmdir(rig->tree, &rig->who, TREE_ROOT, "d"), 0);
		tree_forget(rig->tree, 0, file, 1);
		tree_forget(rig->tree, 0, dir, 1);
		if (i == 1000)
			used = budget_used(&rig->budget);
	}
	assert_int_equal(budget_used(&rig->budget), used);
}

static void test_nr_inodes(void **state)
{
	struct tree_rig *rig = *state;
	struct tree_entry entry;
	struct tree_stats stats;
	uint64_t a;

	assert_int_equal(tree_set_nr_inodes(rig->tree, 3), 0);
	a = rig_make(rig, TREE_ROOT, "a", S_IFREG | 0644);
	rig_make(rig, TREE_ROOT, "b", S_IFREG | 0644);
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "c",
				   S_IFREG, 0, NULL, &entry),
			 -ENOSPC);
	/* Unlinked but held still counts. */
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "a"), 0);
	tree_stats(rig->tree, &stats);
	assert_int_equal(stats.inodes, 3);
	assert_int_equal(stats.nameless, 1);
	assert_int_equal(stats.names, 1);
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "c",
				   S_IFREG, 0, NULL, &entry),
			 -ENOSPC);
	tree_forget(rig->tree, 0, a, 1);
	rig_make(rig, TREE_ROOT, "c", S_IFREG | 0644);
	assert_int_equal(tree_set_nr_inodes(rig->tree, 0), 0);
	rig_make(rig, TREE_ROOT, "d", S_IFREG | 0644);
}

static void test_links(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	uint64_t file = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct tree_entry entry;

	assert_int_equal(
		tree_link(rig->tree, &rig->who, file, dir, "g", &entry), 0);
	assert_int_equal(entry.node, file);
	assert_int_equal(entry.attr.st_nlink, 2);
	assert_int_equal(
		tree_link(rig->tree, &rig->who, file, dir, "g", &entry),
		-EEXIST);
	assert_int_equal(
		tree_link(rig->tree, &rig->who, dir, TREE_ROOT, "e", &entry),
		-EPERM);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "f"), 0);
	assert_int_equal(rig_stat(rig, file).st_nlink, 1);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, dir, "g"), 0);
	/* A name once given up cannot be had again. */
	assert_int_equal(
		tree_link(rig->tree, &rig->who, file, TREE_ROOT, "h", &entry),
		-ENOENT);
	tree_forget(rig->tree, 0, file, 2);
	assert_int_equal(
		tree_link(rig->tree, &rig->who, file, TREE_ROOT, "h", &entry),
		-ESTALE);
}

static void test_nameless_file_gets_a_name(void **state)
{
	struct tree_rig *rig = *state;
	struct tree_entry made, linked;

	assert_int_equal(tree_make_nameless(rig->tree, &rig->who, TREE_ROOT,
					    S_IFREG | 0600, &made),
			 0);
	assert_int_equal(made.attr.st_nlink, 0);
	rig_check(rig);
	assert_int_equal(tree_link(rig->tree, &rig->who, made.node, TREE_ROOT,
				   "n", &linked),
			 0);
	assert_int_equal(linked.attr.st_nlink, 1);
	tree_forget(rig->tree, 0, made.node, 2);
	assert_int_equal(rig_find(rig, TREE_ROOT, "n"), made.node);
	assert_int_equal(tree_make_nameless(rig->tree, &rig->who, TREE_ROOT,
					    S_IFREG | 0600, &made),
			 0);
	tree_forget(rig->tree, 0, made.node, 1);
	assert_int_equal(tree_getattr(rig->tree, made.node, &made.attr),
			 -ESTALE);
}

static void test_directories(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = rig_make(rig, TREE_ROOT, "a", S_IFDIR | 0755);
	uint64_t b = rig_make(rig, a, "b", S_IFDIR | 0755);
	struct tree_entry entry;

	assert_int_equal(rig_stat(rig, TREE_ROOT).st_nlink, 3);
	assert_int_equal(rig_stat(rig, a).st_nlink, 3);
	assert_int_equal(rig_find(rig, b, ".."), a);
	assert_int_equal(rig_find(rig, b, "."), b);
	assert_int_equal(rig_find(rig, TREE_ROOT, ".."), TREE_ROOT);
	assert_int_equal(tree_rmdir(rig->tree, &rig->who, TREE_ROOT, "a"),
			 -ENOTEMPTY);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "a"),
			 -EISDIR);
	assert_int_equal(tree_rmdir(rig->tree, &rig->who, a, "b"), 0);
	assert_int_equal(rig_stat(rig, a).st_nlink, 2);
	assert_int_equal(rig_stat(rig, b).st_nlink, 0);
	/* Removed, held, and nothing can be made in it. */
	assert_int_equal(tree_make(rig->tree, &rig->who, b, "x", S_IFREG, 0,
				   NULL, &entry),
			 -ENOENT);
	rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	assert_int_equal(tree_rmdir(rig->tree, &rig->who, TREE_ROOT, "f"),
			 -ENOTDIR);
}

static void test_symlinks(void **state)
{
	struct tree_rig *rig = *state;
	char target[PAGE_BYTES + 1];
	char buf[PAGE_BYTES];
	struct tree_entry entry;

	memset(target, 't', sizeof(target));
	target[PAGE_BYTES - 1] = '\0';
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "l",
				   S_IFLNK, 0, target, &entry),
			 0);
	assert_int_equal(entry.attr.st_mode, S_IFLNK | 0777);
	assert_int_equal(entry.attr.st_size, PAGE_BYTES - 1);
	assert_int_equal(tree_readlink(rig->tree, rig->who.stream, entry.node,
				       buf, sizeof(buf)),
			 0);
	assert_string_equal(buf, target);
	assert_int_equal(tree_readlink(rig->tree, rig->who.stream, TREE_ROOT,
				       buf, sizeof(buf)),
			 -EINVAL);
	target[PAGE_BYTES - 1] = 't';
	target[PAGE_BYTES] = '\0';
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "m",
				   S_IFLNK, 0, target, &entry),
			 -ENAMETOOLONG);
}

static void test_device(void **state)
{
	struct tree_rig *rig = *state;
	struct tree_entry entry;
	struct file file;

	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "c",
				   S_IFCHR | 0600, 0x103, NULL, &entry),
			 0);
	assert_int_equal(entry.attr.st_rdev, 0x103);
	assert_int_equal(tree_file(rig->tree, entry.node, &file), -EINVAL);
	assert_int_equal(tree_file(rig->tree, TREE_ROOT, &file), -EISDIR);
	assert_int_equal(tree_make(rig->tree, &rig->who, TREE_ROOT, "x", 0644,
				   0, NULL, &entry),
			 -EINVAL);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, tree_rig_setup, tree_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_make_find_remove),
		TEST(test_refused_names),
		TEST(test_all_lengths),
		TEST(test_many),
		TEST(test_cost_of_a_file),
		TEST(test_churn_does_not_grow),
		TEST(test_nr_inodes),
		TEST(test_links),
		TEST(test_nameless_file_gets_a_name),
		TEST(test_directories),
		TEST(test_symlinks),
		TEST(test_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
