/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a misspelt word was meant to be, and when nobody can know. */
#include "base/compiler.h"
#include "base/near.h"
#include "unit.h"

static const char *guess(const char *word)
{
	static const char *const words[] = {"list", "stat", "set", "workers",
					    "collect-info"};
	struct near near;

	near_init(&near, word);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		near_try(&near, words[i]);
	return near.best;
}

static void slips_are_understood(void **state UNUSED)
{
	assert_string_equal(guess("ilst"), "list");
	assert_string_equal(guess("lst"), "list");
	assert_string_equal(guess("sta"), "stat");
	assert_string_equal(guess("LIST"), "list");
	assert_string_equal(guess("wrokrs"), "workers");
	assert_string_equal(guess("collectinfo"), "collect-info");
}

static void other_words_are_not(void **state UNUSED)
{
	assert_null(guess(""));
	assert_null(guess("x"));
	assert_null(guess("blob"));
	assert_null(guess("work"));
	assert_null(guess("a-word-that-is-much-longer-than-any-name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slips_are_understood),
		cmocka_unit_test(other_words_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
