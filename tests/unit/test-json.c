/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the JSON writer: commas, escapes, and running out of memory. */
#include "base/heap.h"
#include "ctl/json.h"
#include "unit.h"
#include <errno.h>
#include <string.h>

static void is_text(struct json *j, const char *want)
{
	char *text;
	size_t n;

	assert_int_equal(json_take(j, &text, &n), 0);
	assert_string_equal(text, want);
	assert_int_equal(n, strlen(want));
	heap_free(text);
}

static void commas_stand_between_and_nowhere_else(void **state UNUSED)
{
	struct json j;

	json_init(&j);
	json_object_begin(&j, NULL);
	json_number(&j, "a", 1);
	json_list_begin(&j, "b");
	json_list_end(&j);
	json_list_begin(&j, "c");
	json_number(&j, NULL, 0);
	json_object_begin(&j, NULL);
	json_object_end(&j);
	json_string(&j, NULL, "x");
	json_list_end(&j);
	json_string(&j, "d", NULL);
	json_object_end(&j);
	is_text(&j, "{\"a\":1,\"b\":[],\"c\":[0,{},\"x\"],\"d\":null}");
}

static void the_largest_number_is_exact(void **state UNUSED)
{
	struct json j;

	json_init(&j);
	json_number(&j, NULL, UINT64_MAX);
	is_text(&j, "18446744073709551615");
}

static void numbers_as_text_and_truths(void **state UNUSED)
{
	struct json j;

	json_init(&j);
	json_object_begin(&j, NULL);
	json_digits(&j, "a", "3.4");
	json_bool(&j, "b", true);
	json_bool(&j, "c", false);
	json_object_end(&j);
	is_text(&j, "{\"a\":3.4,\"b\":true,\"c\":false}");
}

static void bytes_that_json_forbids_are_escaped(void **state UNUSED)
{
	struct json j;

	json_init(&j);
	json_string(&j, NULL, "\"\\/\n\t\x01\x1f ~\x7f\xc3\xa4");
	is_text(&j, "\"\\\"\\\\/\\u000a\\u0009\\u0001\\u001f ~\\u007f"
		    "\\u00c3\\u00a4\"");
}

static void a_long_text_grows_the_buffer(void **state UNUSED)
{
	static char value[100001];
	struct json j;
	char *text;
	size_t n;

	memset(value, 'v', sizeof(value) - 1);
	json_init(&j);
	json_string(&j, NULL, value);
	assert_int_equal(json_take(&j, &text, &n), 0);
	assert_int_equal(n, sizeof(value) + 1);
	assert_memory_equal(text + 1, value, sizeof(value) - 1);
	heap_free(text);
}

/* Each allocation on the way fails once: the writer says so and leaks none. */
static void no_memory_is_told_at_the_end(void **state UNUSED)
{
	static char value[20000];
	struct json j;
	char *text = NULL;
	size_t n;
	int r = 0;

	memset(value, 'v', sizeof(value) - 1);
	for (unsigned nth = 1;; nth++) {
		heap_fail_nth(nth);
		json_init(&j);
		json_object_begin(&j, NULL);
		json_string(&j, "k", value);
		json_object_end(&j);
		r = json_take(&j, &text, &n);
		if (!heap_fault_hit())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(text);
		assert_true(nth < 100);
	}
	heap_fail_nth(0);
	assert_int_equal(r, 0);
	assert_int_equal(n, sizeof(value) - 1 + strlen("{\"k\":\"\"}"));
	heap_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_stand_between_and_nowhere_else),
		cmocka_unit_test(the_largest_number_is_exact),
		cmocka_unit_test(numbers_as_text_and_truths),
		cmocka_unit_test(bytes_that_json_forbids_are_escaped),
		cmocka_unit_test(a_long_text_grows_the_buffer),
		cmocka_unit_test(no_memory_is_told_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
