/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of tables: rows as text, the same rows as JSON, no room for them. */
#include "base/heap.h"
#include "ctl/rows.h"
#include "unit.h"
#include <errno.h>
#include <string.h>

static char *json_of(const char *text)
{
	struct json j;
	char *out;
	size_t n;

	json_init(&j);
	rows_json(&j, NULL, text);
	assert_int_equal(json_take(&j, &out, &n), 0);
	return out;
}

static void json_is(const char *text, const char *want)
{
	char *got = json_of(text);

	assert_string_equal(got, want);
	heap_free(got);
}

static void rows_are_lines_of_fields(void **state UNUSED)
{
	struct rows rows;
	char *text;

	rows_init(&rows);
	rows_next(&rows);
	rows_number(&rows, "slot", 0);
	rows_word(&rows, "state", "running");
	rows_next(&rows);
	rows_number(&rows, "slot", UINT64_MAX);
	rows_tenths(&rows, "us", 34);
	rows_tenths(&rows, "less", 7);
	assert_int_equal(rows_take(&rows, &text), 0);
	assert_string_equal(text,
			    "slot=0 state=running\n"
			    "slot=18446744073709551615 us=3.4 less=0.7\n");
	json_is(text, "[{\"slot\":0,\"state\":\"running\"},"
		      "{\"slot\":18446744073709551615,\"us\":3.4,"
		      "\"less\":0.7}]");
	heap_free(text);
}

static void no_row_is_an_empty_list(void **state UNUSED)
{
	struct rows rows;
	char *text;

	rows_init(&rows);
	assert_int_equal(rows_take(&rows, &text), 0);
	assert_string_equal(text, "");
	heap_free(text);
	json_is("", "[]");
	json_is(NULL, "[]");
}

static void only_numbers_are_numbers(void **state UNUSED)
{
	json_is("a=0 b=01 c=1.5 d=1. e=.5 f=-1 g=lz4:1 h=1e5 i=1.2.3\n",
		"[{\"a\":0,\"b\":\"01\",\"c\":1.5,\"d\":\"1.\",\"e\":\".5\","
		"\"f\":\"-1\",\"g\":\"lz4:1\",\"h\":\"1e5\",\"i\":\"1.2.3\"}]");
	json_is("a=123456789012345678901\n",
		"[{\"a\":\"123456789012345678901\"}]");
	/* A value may have the sign that ends a name. */
	json_is("a=x=y\n", "[{\"a\":\"x=y\"}]");
}

/* Nothing that a value says can make another field or row. */
static void values_cannot_break_out(void **state UNUSED)
{
	struct rows rows;
	char *text;

	rows_init(&rows);
	rows_next(&rows);
	rows_word(&rows, "a", "x y=1\nz=2\t\x7f");
	rows_word(&rows, "b", "");
	assert_int_equal(rows_take(&rows, &text), 0);
	assert_string_equal(text, "a=x_y=1_z=2__ b=-\n");
	heap_free(text);
}

static int big_table(char **ret_text)
{
	struct rows rows;

	rows_init(&rows);
	for (unsigned i = 0; i < 2000; i++) {
		rows_next(&rows);
		rows_number(&rows, "row", i);
		rows_word(&rows, "word", "abcdefghijklmnopqrstuvwxyz");
	}
	return rows_take(&rows, ret_text);
}

static void a_large_table_is_whole(void **state UNUSED)
{
	char *text;

	assert_int_equal(big_table(&text), 0);
	assert_true(strlen(text) > 65536);
	assert_string_equal(strstr(text, "row=1999"),
			    "row=1999 word=abcdefghijklmnopqrstuvwxyz\n");
	heap_free(text);
}

static void no_memory_is_told_at_the_end(void **state UNUSED)
{
	char *text = NULL;
	int r = 0;

	for (unsigned nth = 1;; nth++) {
		heap_fail_nth(nth);
		r = big_table(&text);
		if (!heap_fault_hit())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(text);
		assert_true(nth < 100);
	}
	heap_fail_nth(0);
	assert_int_equal(r, 0);
	heap_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_lines_of_fields),
		cmocka_unit_test(no_row_is_an_empty_list),
		cmocka_unit_test(only_numbers_are_numbers),
		cmocka_unit_test(values_cannot_break_out),
		cmocka_unit_test(a_large_table_is_whole),
		cmocka_unit_test(no_memory_is_told_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
