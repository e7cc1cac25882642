/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys and their values for people and for scripts. */
#include "foldctl/keys.h"
#include "unit.h"
#include <string.h>

static void keys_are_found_by_name(void **state UNUSED)
{
	assert_string_equal(key_find("size")->unit, "BYTES");
	assert_true(key_find("size")->settable);
	assert_false(key_find("pid")->settable);
	assert_null(key_find("sizes"));
	assert_null(key_find(""));
	assert_string_equal(key_near("sise"), "size");
	assert_null(key_near("a_word_like_no_key"));
}

static void numbers_have_their_unit(void **state UNUSED)
{
	static const struct {
		const char *key;
		json_int_t n;
		const char *text;
	} cases[] = {
		{"size", 3 << 19, "1.5 MiB"},
		{"pages_stored", 1, "1 page"},
		{"pages_stored", 2, "2 pages"},
		{"workers", 4, "4"},
		{"uptime", 0, "0s"},
		{"uptime", 59, "59s"},
		{"uptime", 61, "1min 1s"},
		{"uptime", 3600, "1h 0min"},
		{"uptime", 90000, "1d 1h"},
		{"key_of_a_newer_daemon", 5, "5"},
	};
	char text[KEY_VALUE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *value = json_integer(cases[i].n);

		assert_string_equal(key_value(cases[i].key, value, false, text),
				    cases[i].text);
		json_decref(value);
	}
}

static void exact_is_the_number(void **state UNUSED)
{
	json_t *value = json_integer(INT64_MAX);
	char text[KEY_VALUE_MAX];

	assert_string_equal(key_value("size", value, true, text),
			    "9223372036854775807");
	json_decref(value);
}

static void texts_tables_and_nothing(void **state UNUSED)
{
	json_t *value = json_pack("[{s:i}]", "slot", 1);
	char text[KEY_VALUE_MAX];

	assert_string_equal(key_value("slots", value, false, text), "1 row");
	json_decref(value);
	value = json_array();
	assert_string_equal(key_value("slots", value, true, text), "0 rows");
	json_decref(value);
	value = json_real(2.5);
	assert_string_equal(key_value("a_ratio", value, false, text), "2.500");
	json_decref(value);
	value = json_string("lz4:1");
	assert_string_equal(key_value("compress", value, false, text), "lz4:1");
	json_decref(value);
	assert_string_equal(key_value("size", NULL, false, text), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_found_by_name),
		cmocka_unit_test(numbers_have_their_unit),
		cmocka_unit_test(exact_is_the_number),
		cmocka_unit_test(texts_tables_and_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
