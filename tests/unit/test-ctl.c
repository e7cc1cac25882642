/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the keys: what can be read, set and listed, and with which errno. */
#include "base/heap.h"
#include "ctl/ctl.h"
#include "foldfs/keys.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What stands behind the keys in these tests. */
struct owner {
	uint64_t limit;
	const char *codec;
	const char *rows;
	int set_result;
	unsigned sets;
	enum ctl_key set_key;
	char set_value[CTL_TEXT_MAX + 1];
};

static int collect(void *arg, struct ctl_values *ret_values)
{
	struct owner *owner = arg;

	ret_values->number[CTL_mem_limit] = owner->limit;
	ret_values->number[CTL_pid] = 4711;
	if (owner->codec) {
		ret_values->text[CTL_compress] = heap_strdup(owner->codec);
		if (!ret_values->text[CTL_compress])
			return -ENOMEM;
	}
	ret_values->text[CTL_version] = heap_strdup("1.2 \"x\"");
	if (!ret_values->text[CTL_version])
		return -ENOMEM;
	ret_values->text[CTL_sets] = heap_strdup(owner->rows);
	return ret_values->text[CTL_sets] ? 0 : -ENOMEM;
}

static int set(void *arg, enum ctl_key key, const char *value)
{
	struct owner *owner = arg;

	owner->sets++;
	owner->set_key = key;
	strcpy(owner->set_value, value);
	return owner->set_result;
}

static const struct ctl_ops ops = {.collect = collect, .set = set};

static struct owner owner;
static const struct ctl ctl = {.ops = &ops, .arg = &owner};

static int fresh_owner(void **state UNUSED)
{
	owner = (struct owner){
		.limit = 1048576, .codec = "lz4:1", .rows = "set=1\nset=2\n"};
	return 0;
}

static void key_is(const char *name, const char *want)
{
	char buf[256];
	size_t n = 0, asked = 0;

	assert_int_equal(ctl_get(&ctl, name, NULL, 0, &asked), 0);
	assert_int_equal(ctl_get(&ctl, name, buf, sizeof(buf), &n), 0);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(buf, want, n);
	assert_true(asked >= n);
}

static void numbers_and_texts_are_read_by_name(void **state UNUSED)
{
	key_is("user.foldfs.mem_limit", "1048576");
	key_is("user.foldfs.pid", "4711");
	key_is("user.foldfs.compress", "lz4:1");
	key_is("user.foldfs.sets", "set=1\nset=2\n");
	owner.limit = UINT64_MAX;
	key_is("user.foldfs.mem_limit", "18446744073709551615");
	owner.limit = 0;
	key_is("user.foldfs.mem_limit", "0");
	owner.codec = NULL;
	key_is("user.foldfs.compress", "");
}

/* Asked for first and read after: what grew in between must still fit. */
static void a_value_may_grow_after_its_size_was_asked(void **state UNUSED)
{
	char buf[32], rows[4096];
	size_t asked = 0, n;

	owner.limit = 9;
	assert_int_equal(
		ctl_get(&ctl, "user.foldfs.mem_limit", NULL, 0, &asked), 0);
	owner.limit = UINT64_MAX;
	assert_true(asked <= sizeof(buf));
	assert_int_equal(ctl_get(&ctl, "user.foldfs.mem_limit", buf, asked, &n),
			 0);
	assert_int_equal(n, 20);
	/* A table, by rows. */
	owner.rows = "set=1\n";
	assert_int_equal(ctl_get(&ctl, "user.foldfs.sets", NULL, 0, &asked), 0);
	assert_true(asked <= sizeof(rows));
	owner.rows = "set=1 codec=lz4:1 objects=12345678 current=0\n"
		     "set=2 codec=zstd:3 objects=12345678 current=1\n";
	assert_int_equal(ctl_get(&ctl, "user.foldfs.sets", rows, asked, &n), 0);
	assert_int_equal(n, strlen(owner.rows));
}

static void what_is_no_key_is_enodata(void **state UNUSED)
{
	static const char *const names[] = {
		"user.foldfs.",       "user.foldfs.nosuch",
		"user.foldfs",        "mem_limit",
		"user.mem_limit",     "user.foldfs.mem_limit2",
		"user.foldfs.mem_li", "trusted.foldfs.mem_limit",
	};
	char buf[64];
	size_t n = 77;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(ctl_get(&ctl, names[i], buf, sizeof(buf), &n),
				 -ENODATA);
		assert_int_equal(ctl_set(&ctl, names[i], "1", 1), -ENODATA);
	}
	assert_int_equal(n, 77);
	assert_int_equal(owner.sets, 0);
}

static void a_buffer_too_small_is_erange(void **state UNUSED)
{
	char buf[64];
	size_t n = 77;

	assert_int_equal(ctl_get(&ctl, "user.foldfs.mem_limit", buf, 6, &n),
			 -ERANGE);
	assert_int_equal(ctl_get(&ctl, "user.foldfs.compress", buf, 4, &n),
			 -ERANGE);
	assert_int_equal(ctl_get(&ctl, FOLDFS_KEY_STATS, buf, 64, &n), -ERANGE);
	assert_int_equal(ctl_list(&ctl, buf, sizeof(buf), &n), -ERANGE);
	assert_int_equal(n, 77);
	assert_int_equal(ctl_get(&ctl, "user.foldfs.mem_limit", buf, 7, &n), 0);
	assert_int_equal(n, 7);
}

static void setting_trims_and_goes_to_the_owner(void **state UNUSED)
{
	assert_int_equal(ctl_set(&ctl, "user.foldfs.mem_limit", " 1G\n", 4), 0);
	assert_int_equal(owner.set_key, CTL_mem_limit);
	assert_string_equal(owner.set_value, "1G");
	assert_int_equal(ctl_set(&ctl, "user.foldfs.compress", "zstd:3\0", 7),
			 0);
	assert_int_equal(owner.set_key, CTL_compress);
	assert_string_equal(owner.set_value, "zstd:3");
	owner.set_result = -EBUSY;
	assert_int_equal(ctl_set(&ctl, "user.foldfs.workers", "=0", 2), -EBUSY);
	assert_int_equal(owner.sets, 3);
}

static void what_cannot_be_set_is_refused(void **state UNUSED)
{
	static char big[CTL_TEXT_MAX + 1];

	memset(big, '1', sizeof(big));
	assert_int_equal(ctl_set(&ctl, "user.foldfs.pid", "1", 1), -EPERM);
	assert_int_equal(ctl_set(&ctl, FOLDFS_KEY_STATS, "1", 1), -EPERM);
	assert_int_equal(ctl_set(&ctl, "user.foldfs.size", "", 0), -EINVAL);
	assert_int_equal(ctl_set(&ctl, "user.foldfs.size", " \n", 2), -EINVAL);
	assert_int_equal(ctl_set(&ctl, "user.foldfs.size", "1\0002", 3),
			 -EINVAL);
	assert_int_equal(ctl_set(&ctl, "user.foldfs.size", big, sizeof(big)),
			 -EINVAL);
	assert_int_equal(owner.sets, 0);
	assert_int_equal(
		ctl_set(&ctl, "user.foldfs.size", big, sizeof(big) - 1), 0);
}

static void the_list_has_every_key_once(void **state UNUSED)
{
	static char buf[65536];
	size_t asked, n, at = 0;
	unsigned names = 0;

	assert_int_equal(ctl_list(&ctl, NULL, 0, &asked), 0);
	assert_int_equal(ctl_list(&ctl, buf, asked, &n), 0);
	assert_int_equal(n, asked);
	for (; at < n; at += strlen(buf + at) + 1, names++) {
		char value[8192];
		size_t got;

		assert_int_equal(
			ctl_get(&ctl, buf + at, value, sizeof(value), &got), 0);
		for (size_t other = 0; other < at;
		     other += strlen(buf + other) + 1)
			assert_string_not_equal(buf + other, buf + at);
	}
	assert_int_equal(at, n);
	assert_int_equal(names, CTL_NR + 1);
}

static void the_json_has_every_key_with_its_value(void **state UNUSED)
{
	char *text;
	size_t n;

	assert_int_equal(ctl_json(&ctl, &text, &n), 0);
	assert_int_equal(n, strlen(text));
	assert_ptr_equal(strstr(text, "{\"schema\":2,"), text);
	assert_int_equal(text[n - 1], '}');
	for (unsigned i = 0; i < CTL_NR; i++) {
		char quoted[64];

		snprintf(quoted, sizeof(quoted),
			 "\"%s\":", ctl_key_info(i)->name);
		assert_non_null(strstr(text, quoted));
	}
	assert_non_null(strstr(text, "\"mem_limit\":1048576,"));
	assert_non_null(strstr(text, "\"compress\":\"lz4:1\","));
	assert_non_null(strstr(text, "\"slots\":[],"));
	assert_non_null(strstr(text, "\"version\":\"1.2 \\\"x\\\"\""));
	assert_non_null(strstr(text, "\"sets\":[{\"set\":1},{\"set\":2}],"));
	heap_free(text);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state UNUSED)
{
	static char buf[65536];
	size_t n;
	int r;

	for (unsigned nth = 1;; nth++) {
		heap_fail_nth(nth);
		r = ctl_get(&ctl, FOLDFS_KEY_STATS, buf, sizeof(buf), &n);
		if (!heap_fault_hit())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_true(nth < 100);
	}
	heap_fail_nth(0);
	assert_int_equal(r, 0);
}

static void every_key_has_a_sentence(void **state UNUSED)
{
	for (unsigned i = 0; i < CTL_NR; i++) {
		const struct ctl_key_info *info = ctl_key_info(i);

		assert_true(strlen(info->sentence) >= 5);
		/* "user.foldfs." and the name must fit an xattr's name. */
		assert_true(strlen(info->name) < 200);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, fresh_owner)
	const struct CMUnitTest tests[] = {
		TEST(numbers_and_texts_are_read_by_name),
		TEST(a_value_may_grow_after_its_size_was_asked),
		TEST(what_is_no_key_is_enodata),
		TEST(a_buffer_too_small_is_erange),
		TEST(setting_trims_and_goes_to_the_owner),
		TEST(what_cannot_be_set_is_refused),
		TEST(the_list_has_every_key_once),
		TEST(the_json_has_every_key_with_its_value),
		TEST(no_memory_is_an_error_and_leaks_nothing),
		TEST(every_key_has_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
