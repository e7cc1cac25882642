/* SPDX-License-Identifier: GPL-2.0-or-later */
/* readdir: cookies stay good whatever happens to the directory in between. */
#include "base/page.h"
#include "tree/inside.h"
#include "tree_rig.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

#define MOST 4096

/* What one or more readings gave. */
struct listing {
	unsigned n;
	unsigned most; /* entries that fit in this call */
	uint64_t cookie;
	uint64_t node[MOST];
	char name[MOST][32];
	struct stat attr[MOST];
};

static struct listing list;

static bool collect(void *arg UNUSED, const char *name, uint64_t cookie,
		    const struct tree_entry *entry)
{
	if (list.most == 0)
		return false;
	list.most--;
	assert_true(cookie > list.cookie);
	assert_true(list.n < MOST);
	snprintf(list.name[list.n], sizeof(list.name[0]), "%s", name);
	list.node[list.n] = entry->node;
	list.attr[list.n] = entry->attr;
	list.n++;
	list.cookie = cookie;
	return true;
}

/* Read at most @most entries more; gives how many came. */
static unsigned read_some(struct tree_rig *rig, uint64_t dir, unsigned most)
{
	unsigned before = list.n;

	list.most = most;
	assert_int_equal(
		tree_readdir(rig->tree, dir, list.cookie, false, collect, NULL),
		0);
	return list.n - before;
}

static void rewind_list(void)
{
	list.n = 0;
	list.cookie = 0;
}

static unsigned times_given(const char *name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < list.n; i++)
		n += strcmp(list.name[i], name) == 0;
	return n;
}

static uint64_t make(struct tree_rig *rig, uint64_t dir, int i)
{
	char name[32];

	snprintf(name, sizeof(name), "e%d", i);
	return rig_make(rig, dir, name, S_IFREG | 0644);
}

static void drop(struct tree_rig *rig, uint64_t dir, int i)
{
	char name[32];

	snprintf(name, sizeof(name), "e%d", i);
	assert_int_equal(tree_unlink(rig->tree, &rig->who, dir, name), 0);
}

static void test_dots_and_order(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	uint64_t file = make(rig, dir, 0);

	rewind_list();
	assert_int_equal(read_some(rig, dir, 100), 3);
	assert_string_equal(list.name[0], ".");
	assert_int_equal(list.node[0], dir);
	assert_string_equal(list.name[1], "..");
	assert_int_equal(list.node[1], TREE_ROOT);
	assert_string_equal(list.name[2], "e0");
	assert_int_equal(list.node[2], file);
	assert_int_equal(list.attr[2].st_mode & S_IFMT, S_IFREG);
	assert_int_equal(read_some(rig, dir, 100), 0);
	/* One at a time gives the same. */
	rewind_list();
	while (read_some(rig, dir, 1) == 1)
		;
	assert_int_equal(list.n, 3);
}

/* The common way of rm -rf: read some, remove them, go on. */
static void test_remove_what_was_read(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	unsigned from = 2;

	for (int i = 0; i < 1000; i++)
		make(rig, dir, i);
	rewind_list();
	while (read_some(rig, dir, 70) > 0) {
		for (; from < list.n; from++)
			assert_int_equal(tree_unlink(rig->tree, &rig->who, dir,
						     list.name[from]),
					 0);
		rig_check(rig);
	}
	assert_int_equal(list.n, 1002);
	assert_int_equal(dirs_entries(rig->tree, node_ix(dir)), 0);
}

/* Seeded churn while a reader goes through: what stays is given once. */
static void test_stable_under_change(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	bool there[2000] = {false};
	unsigned seed = 7;

	for (int i = 0; i < 600; i++) {
		make(rig, dir, i);
		there[i] = true;
	}
	rewind_list();
	while (read_some(rig, dir, 13) > 0) {
		for (int k = 0; k < 20; k++) {
			/* Multiples of 5 below 600 stay all the time. */
			int i = rand_r(&seed) % 2000;

			if (i < 600 && i % 5 == 0)
				continue;
			if (there[i])
				drop(rig, dir, i);
			else
				make(rig, dir, i);
			there[i] = !there[i];
		}
		if (list.n > 3000)
			break;
	}
	for (int i = 0; i < 600; i += 5) {
		char name[32];

		snprintf(name, sizeof(name), "e%d", i);
		assert_int_equal(times_given(name), 1);
	}
}

static void test_any_cookie_is_harmless(void **state)
{
	static const uint64_t cookies[] = {2,
					   3,
					   4,
					   62,
					   63,
					   64,
					   70,
					   5000,
					   INT64_MAX - 1,
					   INT64_MAX,
					   UINT64_MAX - 1,
					   UINT64_MAX};
	struct tree_rig *rig = *state;
	uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);

	for (int i = 0; i < 200; i++)
		make(rig, dir, i);
	for (int i = 50; i < 150; i++)
		drop(rig, dir, i);
	for (unsigned i = 0; i < ARRAY_SIZE(cookies); i++) {
		rewind_list();
		list.cookie = cookies[i];
		read_some(rig, dir, 300);
		if (cookies[i] == 2)
			assert_int_equal(list.n, 100);
		if (cookies[i] > 202)
			assert_int_equal(list.n, 0);
	}
}

/* Two readers far apart in one directory share its hint and do no harm. */
static void test_two_readers(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t cookie[2] = {0, 0};
	unsigned given[2] = {0, 0};

	for (int i = 0; i < 1500; i++)
		make(rig, TREE_ROOT, i);
	for (int round = 0; round < 400; round++) {
		int who = round % 2;

		rewind_list();
		list.cookie = cookie[who];
		given[who] += read_some(rig, TREE_ROOT, who ? 11 : 8);
		cookie[who] = list.cookie;
	}
	assert_int_equal(given[0], 1502);
	assert_int_equal(given[1], 1502);
}

static bool count_plus(void *arg, const char *name UNUSED,
		       uint64_t cookie UNUSED,
		       const struct tree_entry *entry UNUSED)
{
	return ++*(unsigned *)arg < 4;
}

/* The place where a reader stopped is done away with and used for another
 * directory: the reader must not follow it there. */
static void test_place_of_a_reader_goes(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	uint64_t other = rig_make(rig, TREE_ROOT, "o", S_IFDIR | 0755);

	for (int i = 0; i < 300; i++)
		make(rig, dir, i);
	rewind_list();
	read_some(rig, dir, 100);
	for (int i = 0; i < 200; i++)
		drop(rig, dir, i);
	for (int i = 0; i < 300; i++)
		make(rig, other, 1000 + i);
	assert_int_equal(read_some(rig, dir, 1000), 100);
	assert_string_equal(list.name[100], "e200");
	assert_string_equal(list.name[199], "e299");
}

/* Readdirplus counts lookups for what it gave, not for what did not fit. */
static void test_plus_counts_lookups(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t a = make(rig, TREE_ROOT, 0);
	uint64_t b = make(rig, TREE_ROOT, 1);
	unsigned n = 0;

	assert_int_equal(
		tree_readdir(rig->tree, TREE_ROOT, 0, true, count_plus, &n), 0);
	assert_int_equal(
		atomic_load(&inode_state(rig->tree, node_ix(a))->lookups), 2);
	assert_int_equal(
		atomic_load(&inode_state(rig->tree, node_ix(b))->lookups), 1);
	assert_int_equal(atomic_load(&inode_state(rig->tree, ROOT_IX)->lookups),
			 0);
}

static void test_removed_directory_is_empty(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	uint64_t file = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);

	assert_int_equal(tree_rmdir(rig->tree, &rig->who, TREE_ROOT, "d"), 0);
	rewind_list();
	assert_int_equal(read_some(rig, dir, 10), 0);
	assert_int_equal(tree_readdir(rig->tree, file, 0, false, collect, NULL),
			 -ENOTDIR);
}

/* Three entries must not cost a page. */
static void test_small_directories_are_cheap(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t before = budget_used(&rig->budget);
	uint64_t bytes;
	char name[32];

	for (int i = 0; i < 5000; i++) {
		uint64_t dir;

		snprintf(name, sizeof(name), "d%d", i);
		dir = rig_make(rig, TREE_ROOT, name, S_IFDIR | 0755);
		for (int k = 0; k < 3; k++)
			make(rig, dir, k);
	}
	bytes = (budget_used(&rig->budget) - before) / 5000;
	/* Four inodes with their names, and about 80 for the directory. */
	assert_in_range(bytes, 4 * 160, 4 * 236 + 100);
}

/* A directory that is empty costs nothing but its inode, and one that goes
 * takes all it had with it. */
static void test_empty_directories_cost_nothing(void **state)
{
	struct tree_rig *rig = *state;
	struct tree *t = rig->tree;
	uint64_t dir = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);

	for (int i = 0; i < 100; i++)
		make(rig, dir, i);
	assert_int_equal(t->dirs.used, 2);
	for (int i = 0; i < 100; i++)
		drop(rig, dir, i);
	assert_int_equal(t->dirs.used, 1);
	assert_int_equal(t->chunks[0].used, 0);
	/* What was prepared for an entry that then could not be made. */
	assert_int_equal(dirs_prepare(t, node_ix(dir), BUDGET_NORMAL), 0);
	assert_int_equal(tree_rmdir(t, &rig->who, TREE_ROOT, "d"), 0);
	tree_forget(t, 0, dir, 1);
	assert_int_equal(t->dirs.used, 0);
	assert_int_equal(t->chunks[1].used, 0);
}

/* The order is the same after everything derived was dropped. */
static void test_order_survives_attach(void **state)
{
	struct tree_rig *rig = *state;
	static struct listing before;
	uint64_t cookie;

	for (int i = 0; i < 500; i++)
		make(rig, TREE_ROOT, i);
	for (int i = 0; i < 500; i += 3)
		drop(rig, TREE_ROOT, i);
	rewind_list();
	read_some(rig, TREE_ROOT, 100);
	cookie = list.cookie;
	read_some(rig, TREE_ROOT, MOST);
	before = list;
	assert_int_equal(tree_rig_reattach(rig, false), 0);
	rig_check(rig);
	list.n = 100;
	list.cookie = cookie;
	read_some(rig, TREE_ROOT, MOST);
	assert_int_equal(list.n, before.n);
	for (unsigned i = 0; i < list.n; i++)
		assert_string_equal(list.name[i], before.name[i]);
	/* And what is new comes last. */
	make(rig, TREE_ROOT, 1000);
	assert_int_equal(read_some(rig, TREE_ROOT, 10), 1);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, tree_rig_setup, tree_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dots_and_order),
		TEST(test_remove_what_was_read),
		TEST(test_stable_under_change),
		TEST(test_any_cookie_is_harmless),
		TEST(test_two_readers),
		TEST(test_place_of_a_reader_goes),
		TEST(test_plus_counts_lookups),
		TEST(test_removed_directory_is_empty),
		TEST(test_small_directories_are_cheap),
		TEST(test_empty_directories_cost_nothing),
		TEST(test_order_survives_attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
