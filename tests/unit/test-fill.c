/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the fill page test: against a plain loop, at every length. */
#include "base/page.h"
#include "codec/fill.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The definition: byte i equals byte i % 8. */
static bool is_fill(const unsigned char *page, size_t n)
{
	for (size_t i = 8; i < n; i++)
		if (page[i] != page[i % 8])
			return false;
	return true;
}

static void test_fill_found_and_written_back(void **state)
{
	static const uint64_t words[] = {0, UINT64_MAX, 1,
					 UINT64_C(0x0123456789abcdef),
					 UINT64_C(0xff00000000000000)};
	unsigned char page[PAGE_BYTES + 1], back[PAGE_BYTES + 1];

	(void)state;
	for (unsigned w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
		for (size_t n = 1; n <= PAGE_BYTES; n++) {
			uint64_t word;

			page[n] = 0x5a;
			fill_write(page, n, words[w]);
			assert_int_equal(page[n], 0x5a);
			assert_true(fill_test(page, n, &word));
			back[n] = 0xa5;
			fill_write(back, n, word);
			assert_int_equal(back[n], 0xa5);
			assert_memory_equal(page, back, n);
			if (n >= 8)
				assert_true(word == words[w]);
		}
	}
}

/* One byte changed anywhere: no fill, and the word is left alone. */
static void test_fill_refused_for_one_byte(void **state)
{
	unsigned char page[PAGE_BYTES];

	(void)state;
	for (size_t n = 9; n <= PAGE_BYTES; n += n < 64 ? 1 : 61) {
		for (size_t i = 0; i < n; i += n < 64 ? 1 : 7) {
			uint64_t word = 77;
			bool expected;

			fill_write(page, n, UINT64_C(0x1122334455667788));
			page[i] ^= 0x10;
			expected = is_fill(page, n);
			assert_int_equal(fill_test(page, n, &word), expected);
			if (!expected)
				assert_int_equal(word, 77);
		}
	}
}

/* Periods that are no divisor of 8 look alike at the ends. */
static void test_fill_refuses_other_periods(void **state)
{
	unsigned char page[PAGE_BYTES];
	uint64_t word;

	(void)state;
	for (unsigned period = 1; period <= 64; period++) {
		for (size_t i = 0; i < PAGE_BYTES; i++)
			page[i] = (unsigned char)(i % period);
		assert_int_equal(fill_test(page, PAGE_BYTES, &word),
				 period == 1 || period == 2 || period == 4 ||
					 period == 8);
	}
}

/* Of a page's last few bytes any are one word, cut. */
static void test_fill_up_to_8_bytes_always(void **state)
{
	const char *text = "abcdefgh";
	char back[8];

	(void)state;
	for (size_t n = 0; n <= 8; n++) {
		uint64_t word;

		assert_true(fill_test(text, n, &word));
		fill_write(back, n, word);
		assert_memory_equal(text, back, n);
	}
}

static void test_fill_works_unaligned(void **state)
{
	char room[PAGE_BYTES + 16];

	(void)state;
	for (unsigned shift = 0; shift < 8; shift++) {
		uint64_t word;

		memset(room, 7, sizeof(room));
		assert_true(fill_test(room + shift, PAGE_BYTES, &word));
		assert_true(word == UINT64_C(0x0707070707070707));
		room[shift + PAGE_BYTES - 1] = 8;
		assert_false(fill_test(room + shift, PAGE_BYTES, &word));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill_found_and_written_back),
		cmocka_unit_test(test_fill_refused_for_one_byte),
		cmocka_unit_test(test_fill_refuses_other_periods),
		cmocka_unit_test(test_fill_up_to_8_bytes_always),
		cmocka_unit_test(test_fill_works_unaligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
