/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACL arithmetic and the set of xattrs: the pure parts. */
#include "base/compiler.h"
#include "base/heap.h"
#include "tree/acl.h"
#include "tree/records.h"
#include "tree/set.h"
#include "unit.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define U 0x01
#define NU 0x02
#define G 0x04
#define NG 0x08
#define M 0x10
#define O 0x20

struct bytes {
	unsigned char at[256];
	size_t n;
};

static void add16(struct bytes *b, unsigned v)
{
	b->at[b->n++] = v & 255;
	b->at[b->n++] = v >> 8 & 255;
}

static void add32(struct bytes *b, unsigned v)
{
	add16(b, v & 0xffff);
	add16(b, v >> 16);
}

/* Pairs of tag and permissions up to a tag of 0; named ones get id 1000. */
static struct bytes acl(const unsigned *pairs)
{
	struct bytes b = {.n = 0};

	add32(&b, 2);
	for (; pairs[0]; pairs += 2) {
		add16(&b, pairs[0]);
		add16(&b, pairs[1]);
		add32(&b, pairs[0] & (NU | NG) ? 1000 : 0xffffffff);
	}
	return b;
}

#define ACL(...) acl((const unsigned[]){__VA_ARGS__, 0, 0})

static int check(struct bytes b)
{
	bool empty = false;
	int r = acl_check(b.at, b.n, &empty);

	return r == 0 && empty ? 1 : r;
}

static void test_check(void **state UNUSED)
{
	struct bytes b;

	assert_int_equal(check(ACL(U, 7, G, 5, O, 0)), 0);
	assert_int_equal(
		check(ACL(U, 7, NU, 6, NU, 4, G, 5, NG, 1, M, 7, O, 0)), 0);
	assert_int_equal(check(ACL(U, 7, G, 5, M, 1, O, 0)), 0);
	assert_int_equal(check(ACL(0, 0)), 1);
	assert_int_equal(check(ACL(G, 5, U, 7, O, 0)), -EINVAL);
	assert_int_equal(check(ACL(U, 7, G, 5)), -EINVAL);
	assert_int_equal(check(ACL(U, 7, G, 8, O, 0)), -EINVAL);
	assert_int_equal(check(ACL(U, 7, NU, 6, G, 5, O, 0)), -EINVAL);
	assert_int_equal(check(ACL(U, 7, U, 7, G, 5, O, 0)), -EINVAL);
	assert_int_equal(check(ACL(U, 7, G, 5, O, 0, O, 0)), -EINVAL);
	assert_int_equal(check(ACL(U, 7, G, 5, 0x40, 0, O, 0)), -EINVAL);
	assert_int_equal(check(ACL(U, 7, G | NU, 5, O, 0)), -EINVAL);
	b = ACL(U, 7, G, 5, O, 0);
	b.n--;
	assert_int_equal(check(b), -EINVAL);
	b.n = 3;
	assert_int_equal(check(b), -EINVAL);
	b = ACL(U, 7, G, 5, O, 0);
	b.at[0] = 1;
	assert_int_equal(check(b), -EOPNOTSUPP);
	b = ACL(U, 7, NU, 6, G, 5, M, 7, O, 0);
	memset(&b.at[4 + 8 + 4], 0xff, 4);
	assert_int_equal(check(b), -EINVAL);
}

static void test_to_mode(void **state UNUSED)
{
	struct bytes b = ACL(U, 6, G, 4, O, 1);
	mode_t mode = S_IFREG | S_ISUID | 0777;

	assert_true(acl_to_mode(b.at, b.n, &mode));
	assert_int_equal(mode, S_IFREG | S_ISUID | 0641);
	/* The group bits of the mode are the mask. */
	b = ACL(U, 6, NU, 7, G, 4, M, 3, O, 1);
	assert_false(acl_to_mode(b.at, b.n, &mode));
	assert_int_equal(mode, S_IFREG | S_ISUID | 0631);
}

static void test_chmod(void **state UNUSED)
{
	struct bytes b = ACL(U, 6, NU, 7, G, 4, M, 3, O, 1);
	struct bytes wanted = ACL(U, 7, NU, 7, G, 4, M, 5, O, 0);

	acl_chmod(b.at, b.n, 0750);
	assert_memory_equal(b.at, wanted.at, wanted.n);
	b = ACL(U, 6, G, 4, O, 1);
	wanted = ACL(U, 7, G, 5, O, 2);
	acl_chmod(b.at, b.n, 0752);
	assert_memory_equal(b.at, wanted.at, wanted.n);
}

/* As posix_acl_create_masq() has it. */
static void test_inherit(void **state UNUSED)
{
	struct bytes b = ACL(U, 7, NU, 6, G, 7, M, 7, O, 5);
	struct bytes wanted = ACL(U, 6, NU, 6, G, 7, M, 4, O, 0);
	mode_t mode = S_IFREG | 0640;

	assert_false(acl_inherit(b.at, b.n, &mode));
	assert_memory_equal(b.at, wanted.at, wanted.n);
	assert_int_equal(mode, S_IFREG | 0640);
	b = ACL(U, 7, G, 5, O, 1);
	mode = S_IFREG | S_ISGID | 0666;
	assert_true(acl_inherit(b.at, b.n, &mode));
	assert_int_equal(mode, S_IFREG | S_ISGID | 0640);
}

static void put(struct xattr_set *set, const char *name, const char *value)
{
	assert_int_equal(set_put(set, name, value, strlen(value)), 0);
	assert_true(set_is_sane(set));
}

static void assert_value(struct xattr_set *set, const char *name,
			 const char *value)
{
	size_t n = 0;
	char *got = set_get(set, name, &n);

	assert_non_null(got);
	assert_int_equal(n, strlen(value));
	assert_memory_equal(got, value, n);
}

static void test_set(void **state UNUSED)
{
	struct xattr_set set = {0};
	char names[64];
	size_t n;

	put(&set, "user.a", "one");
	put(&set, "user.bb", "");
	put(&set, "user.c", "three");
	put(&set, "user.a", "another one");
	assert_value(&set, "user.a", "another one");
	assert_value(&set, "user.bb", "");
	assert_value(&set, "user.c", "three");
	assert_null(set_get(&set, "user.b", &n));
	assert_int_equal(set_names(&set, NULL, 0), 7 + 8 + 7);
	assert_int_equal(set_names(&set, names, sizeof(names)), 22);
	assert_memory_equal(names, "user.bb\0user.c\0user.a\0", 22);
	assert_true(set_drop(&set, "user.c"));
	assert_false(set_drop(&set, "user.c"));
	assert_value(&set, "user.a", "another one");
	assert_int_equal(set_flags(&set), 0);
	put(&set, XATTR_NAME_CAPABILITY, "x");
	put(&set, XATTR_NAME_DEFAULT_ACL, "x");
	assert_int_equal(set_flags(&set),
			 XATTR_HAS_CAPABILITY | XATTR_HAS_DEFAULT_ACL);
	set_fini(&set);
}

static void test_set_limits(void **state UNUSED)
{
	struct xattr_set set = {0};
	char *value = heap_zalloc(1, 65536);
	char name[] = "user.00";
	int r = 0;
	int n;

	for (n = 0; n < 99 && r == 0; n++) {
		name[5] = (char)('0' + n / 10);
		name[6] = (char)('0' + n % 10);
		r = set_put(&set, name, value, 65536);
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, 17);
	assert_true(set_is_sane(&set));
	heap_free(value);
	set_fini(&set);
}

/* Damaged bytes are found out; nothing is read outside. */
static void test_set_sanity(void **state UNUSED)
{
	struct xattr_set set = {0};
	size_t n;

	put(&set, "user.a", "one");
	put(&set, "user.b", "two");
	n = set.n;
	for (size_t cut = 1; cut < n; cut++) {
		struct xattr_set part = {.buf = heap_alloc(cut), .n = cut};

		memcpy(part.buf, set.buf, cut);
		assert_int_equal(set_is_sane(&part), cut == n / 2);
		set_fini(&part);
	}
	set.buf[4] = 0x7f;
	assert_false(set_is_sane(&set));
	set_fini(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_to_mode),
		cmocka_unit_test(test_chmod),
		cmocka_unit_test(test_inherit),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_limits),
		cmocka_unit_test(test_set_sanity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
