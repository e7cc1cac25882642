/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xattrs and ACLs as a file's user sees them. */
#include "base/page.h"
#include "tree/inside.h"
#include "tree/set.h"
#include "tree_rig.h"
#include "unit.h"
#include <stdio.h>
#include <sys/xattr.h>

static int set_x(struct tree_rig *rig, uint64_t node, const char *name,
		 const void *value, size_t n, int flags)
{
	return tree_setxattr(rig->tree, &rig->who, node, name, value, n, flags);
}

static int get_x(struct tree_rig *rig, uint64_t node, const char *name,
		 void *buf, size_t cap)
{
	size_t n = 0;
	int r = tree_getxattr(rig->tree, rig->who.stream, node, name, buf, cap,
			      &n);

	return r < 0 ? r : (int)n;
}

static void test_xattrs(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	char buf[64];
	size_t n;

	assert_int_equal(get_x(rig, f, "user.a", buf, 0), -ENODATA);
	assert_int_equal(set_x(rig, f, "user.a", "one", 3, XATTR_REPLACE),
			 -ENODATA);
	rig_age(rig, f);
	assert_int_equal(set_x(rig, f, "user.a", "one", 3, 0), 0);
	assert_string_equal(rig_moved(rig, f), "c");
	assert_int_equal(set_x(rig, f, "user.a", "two", 3, XATTR_CREATE),
			 -EEXIST);
	assert_int_equal(set_x(rig, f, "trusted.b", "", 0, XATTR_CREATE), 0);
	assert_int_equal(get_x(rig, f, "user.a", buf, 0), 3);
	assert_int_equal(get_x(rig, f, "user.a", buf, 2), -ERANGE);
	assert_int_equal(get_x(rig, f, "user.a", buf, 3), 3);
	assert_memory_equal(buf, "one", 3);
	assert_int_equal(tree_listxattr(rig->tree, rig->who.stream, f, buf,
					sizeof(buf), &n),
			 0);
	assert_int_equal(n, 17);
	assert_memory_equal(buf, "user.a\0trusted.b", 17);
	assert_int_equal(
		tree_listxattr(rig->tree, rig->who.stream, f, buf, 5, &n),
		-ERANGE);
	rig_check(rig);
	assert_int_equal(tree_rig_reattach(rig, false), 0);
	assert_int_equal(get_x(rig, f, "user.a", buf, 3), 3);
	assert_int_equal(tree_removexattr(rig->tree, &rig->who, f, "user.a"),
			 0);
	assert_int_equal(tree_removexattr(rig->tree, &rig->who, f, "user.a"),
			 -ENODATA);
	assert_int_equal(tree_removexattr(rig->tree, &rig->who, f, "trusted.b"),
			 0);
	assert_int_equal(table_used(rig->arena, TABLE_XATTRS), 0);
	assert_int_equal(set_x(rig, f, "os2.x", "", 0, 0), -ENOTSUP);
	assert_int_equal(set_x(rig, f, "user.", "", 0, 0), -ENOTSUP);
	assert_int_equal(get_x(rig, f, "system.other", buf, 0), -ENOTSUP);
}

static void test_large_xattrs(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	char *value = heap_zalloc(1, 65536 + 1);
	char name[32];
	int r = 0;
	int n = 0;

	for (size_t i = 0; i < 65536; i++)
		value[i] = (char)(i * 7 / 3);
	assert_int_equal(set_x(rig, f, "user.x", value, 65537, 0), -E2BIG);
	for (; r == 0; n++) {
		snprintf(name, sizeof(name), "user.%d", n);
		r = set_x(rig, f, name, value, 65536, 0);
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, 17);
	assert_int_equal(get_x(rig, f, "user.9", value, 65536), 65536);
	assert_int_equal(value[1000], (char)(7000 / 3));
	heap_free(value);
	/* All of it goes with the file. */
	assert_int_equal(tree_unlink(rig->tree, &rig->who, TREE_ROOT, "f"), 0);
	tree_forget(rig->tree, 0, f, 1);
	assert_int_equal(table_used(rig->arena, TABLE_XATTRS), 0);
	assert_int_equal(store_pages_held(rig->store), 0);
}

/* All names together are as long as a list of them may be, and no longer. */
static void test_many_names(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	char name[256];

	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "user.%0250d", i);
		assert_int_equal(set_x(rig, f, name, "", 0, 0), 0);
	}
	assert_int_equal(set_x(rig, f, "user.a", "", 0, 0), -ENOSPC);
	assert_int_equal(get_x(rig, f, "user.a", NULL, 0), -ENODATA);
	assert_int_equal(get_x(rig, f, name, NULL, 0), 0);
	/* One that is there takes no more room; one that goes makes some. */
	assert_int_equal(set_x(rig, f, name, "v", 1, 0), 0);
	assert_int_equal(tree_removexattr(rig->tree, &rig->who, f, name), 0);
	assert_int_equal(set_x(rig, f, "user.a", "", 0, 0), 0);
}

/* A capability does not outlive a write, not even root's. */
static void test_capability(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct stat attr = {.st_uid = 3};
	struct stat st;
	char buf[64];
	size_t n;

	assert_int_equal(set_x(rig, f, "user.a", "1", 1, 0), 0);
	assert_int_equal(set_x(rig, f, XATTR_NAME_CAPABILITY, "c", 1, 0), 0);
	assert_int_equal(get_x(rig, f, XATTR_NAME_CAPABILITY, buf, 9), 1);
	tree_wrote(rig->tree, &rig->who, f);
	assert_int_equal(get_x(rig, f, XATTR_NAME_CAPABILITY, buf, 9),
			 -ENODATA);
	assert_int_equal(tree_listxattr(rig->tree, rig->who.stream, f, buf,
					sizeof(buf), &n),
			 0);
	assert_int_equal(n, 7);
	assert_int_equal(set_x(rig, f, "user.b", "2", 1, 0), 0);
	assert_int_equal(get_x(rig, f, XATTR_NAME_CAPABILITY, buf, 9),
			 -ENODATA);
	assert_int_equal(set_x(rig, f, XATTR_NAME_CAPABILITY, "c", 1, 0), 0);
	assert_int_equal(
		tree_setattr(rig->tree, &rig->who, f, TREE_SET_UID, &attr, &st),
		0);
	assert_int_equal(get_x(rig, f, XATTR_NAME_CAPABILITY, buf, 9),
			 -ENODATA);
	assert_int_equal(get_x(rig, f, "user.a", buf, 9), 1);
}

/* --- ACLs on files --- */

/* user::rwx user:1000:rw- group::r-x mask::rwx other::--- */
static const unsigned char acl_named[] = {
	2,  0, 0, 0,                         /* version */
	1,  0, 7, 0, 0xff, 0xff, 0xff, 0xff, /* user:: */
	2,  0, 6, 0, 0xe8, 0x03, 0,    0,    /* user:1000: */
	4,  0, 5, 0, 0xff, 0xff, 0xff, 0xff, /* group:: */
	16, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, /* mask:: */
	32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* other:: */
};
/* user::rw- group::r-- other::r-- */
static const unsigned char acl_plain[] = {
	2,  0, 0, 0,                         /* version */
	1,  0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* user:: */
	4,  0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* group:: */
	32, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* other:: */
};

static void test_access_acl(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	unsigned char buf[64];

	assert_int_equal(
		set_x(rig, f, XATTR_NAME_ACL, acl_named, sizeof(acl_named), 0),
		0);
	assert_int_equal(rig_stat(rig, f).st_mode & 07777, 0770);
	assert_int_equal(get_x(rig, f, XATTR_NAME_ACL, buf, sizeof(buf)),
			 sizeof(acl_named));
	assert_memory_equal(buf, acl_named, sizeof(acl_named));
	/* chmod changes the mask, not the group's entry. */
	rig_set_mode(rig, f, 0640);
	assert_int_equal(get_x(rig, f, XATTR_NAME_ACL, buf, sizeof(buf)),
			 sizeof(acl_named));
	assert_int_equal(buf[4 + 2], 6);
	assert_int_equal(buf[4 + 16 + 2], 5);
	assert_int_equal(buf[4 + 24 + 2], 4);
	assert_int_equal(rig_stat(rig, f).st_mode & 07777, 0640);
	/* One that says no more than the mode is not kept. */
	assert_int_equal(
		set_x(rig, f, XATTR_NAME_ACL, acl_plain, sizeof(acl_plain), 0),
		0);
	assert_int_equal(get_x(rig, f, XATTR_NAME_ACL, buf, 0), -ENODATA);
	assert_int_equal(rig_stat(rig, f).st_mode & 07777, 0644);
	assert_int_equal(set_x(rig, f, XATTR_NAME_ACL, "x", 1, 0), -EINVAL);
	assert_int_equal(set_x(rig, f, XATTR_NAME_DEFAULT_ACL, acl_named,
			       sizeof(acl_named), 0),
			 -EACCES);
	assert_int_equal(
		tree_removexattr(rig->tree, &rig->who, f, XATTR_NAME_ACL), 0);
	rig_set_mode(rig, f, 02755);
	assert_int_equal(set_x(rig, f, XATTR_NAME_ACL, acl_plain,
			       sizeof(acl_plain), TREE_XATTR_KILL_SGID),
			 0);
	assert_int_equal(rig_stat(rig, f).st_mode & 07777, 0644);
}

static void test_default_acl(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t d = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	unsigned char buf[64];
	uint64_t node;

	assert_int_equal(set_x(rig, d, XATTR_NAME_DEFAULT_ACL, acl_named,
			       sizeof(acl_named), 0),
			 0);
	assert_int_equal(rig_stat(rig, d).st_mode & 07777, 0755);
	/* The umask does not count any more. */
	node = rig_make(rig, d, "f", S_IFREG | 0666);
	assert_int_equal(rig_stat(rig, node).st_mode & 07777, 0660);
	assert_int_equal(get_x(rig, node, XATTR_NAME_ACL, buf, sizeof(buf)),
			 sizeof(acl_named));
	assert_int_equal(buf[4 + 24 + 2], 6);
	assert_int_equal(get_x(rig, node, XATTR_NAME_DEFAULT_ACL, buf, 0),
			 -ENODATA);
	node = rig_make(rig, d, "e", S_IFDIR | 0777);
	assert_int_equal(
		get_x(rig, node, XATTR_NAME_DEFAULT_ACL, buf, sizeof(buf)),
		sizeof(acl_named));
	assert_memory_equal(buf, acl_named, sizeof(acl_named));
	node = rig_make(rig, d, "l", S_IFLNK);
	assert_int_equal(get_x(rig, node, XATTR_NAME_ACL, buf, 0), -ENODATA);
	rig_check(rig);
	assert_int_equal(tree_rig_reattach(rig, false), 0);
	rig_check(rig);
	/* An empty value takes it away; files are made by the umask again. */
	assert_int_equal(set_x(rig, d, XATTR_NAME_DEFAULT_ACL, "", 0, 0), 0);
	node = rig_make(rig, d, "g", S_IFREG | 0666);
	assert_int_equal(rig_stat(rig, node).st_mode & 07777, 0644);
}

/* A directory whose default ACL says no more than a mode. */
static void test_plain_default_acl(void **state)
{
	struct tree_rig *rig = *state;
	unsigned char buf[64];
	uint64_t node;

	assert_int_equal(set_x(rig, TREE_ROOT, XATTR_NAME_DEFAULT_ACL,
			       acl_plain, sizeof(acl_plain), 0),
			 0);
	node = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0777);
	assert_int_equal(rig_stat(rig, node).st_mode & 07777, 0644);
	assert_int_equal(get_x(rig, node, XATTR_NAME_ACL, buf, 0), -ENODATA);
	assert_int_equal(table_used(rig->arena, TABLE_XATTRS), 1);
}

/* --- races, forced --- */

struct intruder {
	struct tree_rig *rig;
	uint64_t node;
	const char *name;
	const void *value;
	size_t n;
};

/* Between the draft of a change and its publishing somebody else is quicker:
 * once. */
static void intrude(void *arg)
{
	struct intruder *in = arg;

	in->rig->tree->step = NULL;
	assert_int_equal(
		set_x(in->rig, in->node, in->name, in->value, in->n, 0), 0);
}

static void let_in(struct intruder *in)
{
	in->rig->tree->step_arg = in;
	in->rig->tree->step = intrude;
}

static void test_two_changes_at_once(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	struct intruder in = {rig, f, "user.b", "two", 3};
	char buf[8];

	assert_int_equal(set_x(rig, f, "user.c", "three", 5, 0), 0);
	/* A change of nothing frees nothing. */
	assert_int_equal(
		tree_removexattr(rig->tree, &rig->who, f, XATTR_NAME_ACL), 0);
	assert_int_equal(get_x(rig, f, "user.c", buf, 8), 5);
	let_in(&in);
	assert_int_equal(set_x(rig, f, "user.a", "one", 3, 0), 0);
	assert_int_equal(get_x(rig, f, "user.a", buf, 8), 3);
	assert_int_equal(get_x(rig, f, "user.b", buf, 8), 3);
	assert_int_equal(get_x(rig, f, "user.c", buf, 8), 5);
	/* What was drafted in vain is gone, and XATTR_CREATE looks again. */
	assert_int_equal(table_used(rig->arena, TABLE_XATTRS), 1);
	in.name = "user.d";
	let_in(&in);
	assert_int_equal(set_x(rig, f, "user.d", "four", 4, XATTR_CREATE),
			 -EEXIST);
	assert_int_equal(get_x(rig, f, "user.d", buf, 8), 3);
	assert_int_equal(table_used(rig->arena, TABLE_XATTRS), 1);
}

static void test_default_acl_comes_in_between(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t d = rig_make(rig, TREE_ROOT, "d", S_IFDIR | 0755);
	struct intruder in = {rig, d, XATTR_NAME_DEFAULT_ACL, acl_named,
			      sizeof(acl_named)};
	uint64_t inodes = table_used(rig->arena, TABLE_INODES);
	uint64_t node;

	let_in(&in);
	node = rig_make(rig, d, "f", S_IFREG | 0666);
	assert_int_equal(rig_stat(rig, node).st_mode & 07777, 0660);
	/* And one ACL for another. */
	in.value = acl_plain;
	in.n = sizeof(acl_plain);
	let_in(&in);
	node = rig_make(rig, d, "g", S_IFREG | 0666);
	assert_int_equal(rig_stat(rig, node).st_mode & 07777, 0644);
	assert_int_equal(get_x(rig, node, XATTR_NAME_ACL, NULL, 0), -ENODATA);
	assert_int_equal(table_used(rig->arena, TABLE_INODES), inodes + 2);
}

/* --- no room --- */

/* Bytes that do not shrink. */
static void set_noise(struct tree_rig *rig, uint64_t node, const char *name,
		      size_t n)
{
	char *value = heap_zalloc(1, n);
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		value[i] = (char)(x >> 24);
	}
	assert_int_equal(set_x(rig, node, name, value, n, 0), 0);
	heap_free(value);
}

/* The old set stays until there is a new one, and yet what is left of it finds
 * room; what is new does not. */
static void shrinks_when_full(struct tree_rig *rig, uint64_t f)
{
	char buf[8];

	assert_int_equal(set_x(rig, f, "user.new", "value", 5, 0), -ENOSPC);
	assert_int_equal(
		tree_removexattr(rig->tree, &rig->who, f, "user.small"), 0);
	assert_int_equal(budget_dips(), BUDGET_NOT_KEPT);
	rig_set_mode(rig, f, 0700);
	assert_int_equal(
		set_x(rig, f, XATTR_NAME_ACL, acl_plain, sizeof(acl_plain), 0),
		0);
	assert_int_equal(get_x(rig, f, XATTR_NAME_ACL, buf, 0), -ENODATA);
	assert_int_equal(get_x(rig, f, "user.1", buf, 0), 60000);
}

static void make_sets(struct tree_rig *rig, uint64_t f)
{
	assert_int_equal(
		set_x(rig, f, XATTR_NAME_ACL, acl_named, sizeof(acl_named), 0),
		0);
	set_noise(rig, f, "user.small", 500);
	/* More than spans that are there have room for. */
	set_noise(rig, f, "user.1", 60000);
	set_noise(rig, f, "user.2", 60000);
	set_noise(rig, f, "user.3", 60000);
}

static void test_full_budget(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);

	make_sets(rig, f);
	budget_set_limit(&rig->budget,
			 budget_used(&rig->budget) + BUDGET_RESERVE_BYTES);
	shrinks_when_full(rig, f);
	budget_set_limit(&rig->budget, 256 * MIB);
	rig_check(rig);
}

static void test_full_size(void **state)
{
	struct tree_rig *rig = *state;
	uint64_t f = rig_make(rig, TREE_ROOT, "f", S_IFREG | 0644);
	uint64_t before = store_limit(rig->store);

	make_sets(rig, f);
	store_set_limit(rig->store, store_pages_held(rig->store) * PAGE_BYTES);
	shrinks_when_full(rig, f);
	store_set_limit(rig->store, before);
	rig_check(rig);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, tree_rig_setup, tree_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_xattrs),
		TEST(test_large_xattrs),
		TEST(test_many_names),
		TEST(test_capability),
		TEST(test_access_acl),
		TEST(test_default_acl),
		TEST(test_plain_default_acl),
		TEST(test_two_changes_at_once),
		TEST(test_default_acl_comes_in_between),
		TEST(test_full_budget),
		TEST(test_full_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
