/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree without memory: every heap call failed in turn, and every budget
 * from too little to enough. What fails changes nothing; what is there can
 * always be read and deleted.
 */
#include "base/heap.h"
#include "base/page.h"
#include "fault.h"
#include "tree/inside.h"
#include "tree/set.h"
#include "tree_rig.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

/* user::rwx user:1000:rw- group::r-x mask::rwx other::--- */
static const unsigned char acl_named[] = {
	2,  0, 0, 0,                         /* version */
	1,  0, 7, 0, 0xff, 0xff, 0xff, 0xff, /* user:: */
	2,  0, 6, 0, 0xe8, 0x03, 0,    0,    /* user:1000: */
	4,  0, 5, 0, 0xff, 0xff, 0xff, 0xff, /* group:: */
	16, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, /* mask:: */
	32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* other:: */
};

/* --- heap calls --- */

static int attempt_new(void *arg UNUSED)
{
	struct tree_rig rig;
	int r = tree_rig_new(&rig, 64 * MIB, 0);

	if (r == 0)
		tree_rig_free(&rig);
	assert_int_equal(budget_used(&rig.budget), 0);
	return r;
}

static void test_new(void **state UNUSED)
{
	assert_true(fault_each_alloc(attempt_new, NULL) > 10);
}

static void fill(struct tree_rig *rig)
{
	char name[16];

	for (int i = 0; i < 10; i++) {
		uint64_t node;

		snprintf(name, sizeof(name), "f%d", i);
		node = rig_make(rig, TREE_ROOT, name, S_IFREG | 0644);
		assert_int_equal(tree_setxattr(rig->tree, &rig->who, node,
					       "user.a", name, 2, 0),
				 0);
	}
}

static void look_and_free(struct tree_rig *rig)
{
	rig_check(rig);
	assert_int_not_equal(rig_find(rig, TREE_ROOT, "f5"), 0);
	tree_rig_free(rig);
}

/* The last attempt meets no fault and finds everything there. */
static void test_attach(void **state UNUSED)
{
	struct tree_rig rig;

	assert_int_equal(tree_rig_new(&rig, 64 * MIB, 0), 0);
	fill(&rig);
	for (unsigned n = 1;; n++) {
		struct tree_rig copy;
		bool hit;
		int r;

		heap_fail_nth(n);
		r = tree_rig_copy(&rig, &copy, false);
		hit = heap_fault_hit();
		heap_fail_nth(0);
		if (r < 0)
			assert_int_equal(r, -ENOMEM);
		else
			look_and_free(&copy);
		if (!hit) {
			assert_int_equal(r, 0);
			assert_true(n > 10);
			break;
		}
	}
	tree_rig_free(&rig);
}

struct scene {
	struct tree_rig rig;
	uint64_t dir;  /* with a default ACL */
	uint64_t file; /* with xattrs and an ACL */
	unsigned made;
};

static void scene_start(struct scene *s)
{
	assert_int_equal(tree_rig_new(&s->rig, 64 * MIB, 0), 0);
	s->dir = rig_make(&s->rig, TREE_ROOT, "d", S_IFDIR | 0755);
	s->file = rig_make(&s->rig, TREE_ROOT, "f", S_IFREG | 0644);
	s->made = 0;
	assert_int_equal(tree_setxattr(s->rig.tree, &s->rig.who, s->dir,
				       XATTR_NAME_DEFAULT_ACL, acl_named,
				       sizeof(acl_named), 0),
			 0);
	assert_int_equal(tree_setxattr(s->rig.tree, &s->rig.who, s->file,
				       XATTR_NAME_ACL, acl_named,
				       sizeof(acl_named), 0),
			 0);
}

static void scene_end(struct scene *s)
{
	rig_check(&s->rig);
	tree_rig_free(&s->rig);
}

static int attempt_setxattr(void *arg)
{
	struct scene *s = arg;

	return tree_setxattr(s->rig.tree, &s->rig.who, s->file, "user.a",
			     "value", 5, 0);
}

static int attempt_chmod(void *arg)
{
	struct scene *s = arg;
	struct stat attr = {.st_mode = 0600};
	struct stat st;

	return tree_setattr(s->rig.tree, &s->rig.who, s->file, TREE_SET_MODE,
			    &attr, &st);
}

static int attempt_inherit(void *arg)
{
	struct scene *s = arg;
	struct tree_entry entry;
	char name[16];

	snprintf(name, sizeof(name), "n%u", s->made++);
	return tree_make(s->rig.tree, &s->rig.who, s->dir, name, S_IFDIR | 0755,
			 0, NULL, &entry);
}

static int attempt_get(void *arg)
{
	struct scene *s = arg;
	size_t n;

	return tree_getxattr(s->rig.tree, s->rig.who.stream, s->file,
			     XATTR_NAME_ACL, NULL, 0, &n);
}

static void test_xattrs(void **state UNUSED)
{
	static int (*const attempts[])(void *arg) = {
		attempt_setxattr, attempt_chmod, attempt_inherit, attempt_get};
	struct scene s;

	scene_start(&s);
	for (unsigned i = 0; i < ARRAY_SIZE(attempts); i++) {
		uint64_t xattrs = table_used(s.rig.arena, TABLE_XATTRS);

		assert_true(fault_each_alloc(attempts[i], &s) >= 1);
		rig_check(&s.rig);
		/* One more at most: what failed left nothing behind. */
		assert_true(table_used(s.rig.arena, TABLE_XATTRS) <=
			    xattrs + 1);
	}
	assert_int_equal(rig_stat(&s.rig, s.dir).st_nlink, 3);
	scene_end(&s);
}

/* Names, links, attributes and the check need no heap at all. */
static void test_names_need_no_heap(void **state UNUSED)
{
	struct tree_rig rig;
	struct tree_entry entry;
	uint64_t calls, node;

	assert_int_equal(tree_rig_new(&rig, 64 * MIB, 0), 0);
	calls = heap_calls();
	node = rig_make(&rig, TREE_ROOT, "a", S_IFREG | 0644);
	rig_make(&rig, TREE_ROOT, "d", S_IFDIR | 0755);
	assert_int_equal(
		tree_link(rig.tree, &rig.who, node, TREE_ROOT, "b", &entry), 0);
	assert_int_equal(tree_rename(rig.tree, &rig.who, TREE_ROOT, "a",
				     TREE_ROOT, "c", 0),
			 0);
	assert_int_equal(tree_unlink(rig.tree, &rig.who, TREE_ROOT, "b"), 0);
	assert_int_equal(tree_rmdir(rig.tree, &rig.who, TREE_ROOT, "d"), 0);
	assert_int_equal(tree_unlink(rig.tree, &rig.who, TREE_ROOT, "c"), 0);
	tree_forget(rig.tree, 0, node, 2);
	rig_check(&rig);
	assert_int_equal(heap_calls(), calls);
	tree_rig_free(&rig);
}

/* --- the budget --- */

static int ok_or_full(int r)
{
	if (r != 0 && r != -ENOSPC)
		fail_msg("neither 0 nor ENOSPC: %s", strerror(-r));
	return r;
}

/* A little of everything that takes memory; how much of it went well. */
static unsigned use_all(struct scene *s)
{
	struct tree_rig *rig = &s->rig;
	struct tree_entry entry;
	unsigned good = 0;
	char name[300];

	for (unsigned i = 0; i < 1500; i++) {
		uint64_t dir = i % 3 ? TREE_ROOT : s->dir;
		mode_t mode = i % 7 ? S_IFREG | 0644 : S_IFDIR | 0755;

		/* Every fifth needs a long record. */
		memset(name, 'n', 100);
		snprintf(name + (i % 5 ? 2 : 100), 20, "%u", i);
		good += ok_or_full(tree_make(rig->tree, &rig->who, dir, name,
					     i % 11 ? mode : S_IFLNK | 0777, 0,
					     "target", &entry)) == 0;
	}
	snprintf(name, sizeof(name), "link");
	good += ok_or_full(tree_link(rig->tree, &rig->who, s->file, TREE_ROOT,
				     name, &entry)) == 0;
	good += ok_or_full(tree_setxattr(rig->tree, &rig->who, s->file,
					 "user.a", "b", 1, 0)) == 0;
	return good;
}

struct sweep {
	struct tree_rig *rig;
	uint64_t dir;
	bool found;
	bool is_dir;
	char name[TREE_NAME_MAX + 1];
	uint64_t node;
};

static bool first_entry(void *arg, const char *name, uint64_t cookie,
			const struct tree_entry *entry)
{
	struct sweep *sweep = arg;

	if (cookie <= 2)
		return true;
	snprintf(sweep->name, sizeof(sweep->name), "%s", name);
	sweep->node = entry->node;
	sweep->is_dir = S_ISDIR(entry->attr.st_mode);
	sweep->found = true;
	return false;
}

/* rm -rf of what is in @dir: must work at any budget. */
static void empty_dir(struct tree_rig *rig, uint64_t dir)
{
	for (;;) {
		struct sweep sweep = {.rig = rig, .dir = dir};

		assert_int_equal(tree_readdir(rig->tree, dir, 0, false,
					      first_entry, &sweep),
				 0);
		if (!sweep.found)
			return;
		if (sweep.is_dir) {
			empty_dir(rig, sweep.node);
			assert_int_equal(tree_rmdir(rig->tree, &rig->who, dir,
						    sweep.name),
					 0);
		} else {
			assert_int_equal(tree_unlink(rig->tree, &rig->who, dir,
						     sweep.name),
					 0);
		}
		tree_forget(rig->tree, 0, sweep.node, 9);
	}
}

static void test_budgets(void **state UNUSED)
{
	unsigned best = 0;
	bool refused = false;

	for (uint64_t more = 0; more < 3 * MIB; more += 300 * KIB + 4321) {
		struct scene s;
		unsigned good;

		scene_start(&s);
		budget_set_limit(&s.rig.budget, budget_used(&s.rig.budget) +
							BUDGET_RESERVE_BYTES +
							more);
		good = use_all(&s);
		rig_check(&s.rig);
		refused |= good < 1502;
		if (good > best)
			best = good;
		/* Not one byte over, and everything can go. */
		assert_true(budget_used(&s.rig.budget) <=
			    budget_limit(&s.rig.budget));
		empty_dir(&s.rig, TREE_ROOT);
		rig_check(&s.rig);
		assert_int_equal(table_used(s.rig.arena, TABLE_INODES), 1);
		assert_int_equal(store_pages_held(s.rig.store), 0);
		tree_rig_free(&s.rig);
	}
	assert_true(refused);
	assert_int_equal(best, 1502);
}

/* Attach takes by force what is there: a full arena can be attached. */
static void test_attach_when_full(void **state UNUSED)
{
	struct scene s;

	scene_start(&s);
	budget_set_limit(&s.rig.budget, budget_used(&s.rig.budget) +
						BUDGET_RESERVE_BYTES +
						500 * KIB);
	use_all(&s);
	/* The limit may even have been lowered below what is there. */
	s.rig.attach_limit_bytes = 700 * KIB;
	assert_int_equal(tree_rig_reattach(&s.rig, false), 0);
	s.rig.attach_limit_bytes = 0;
	assert_true(budget_used(&s.rig.budget) > 700 * KIB);
	rig_check(&s.rig);
	assert_int_equal(s.rig.tree->dropped, 0);
	empty_dir(&s.rig, TREE_ROOT);
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_xattrs),
		cmocka_unit_test(test_names_need_no_heap),
		cmocka_unit_test(test_budgets),
		cmocka_unit_test(test_attach_when_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
