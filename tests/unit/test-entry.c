/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries and tags: no field disturbs another, and every value comes back. */
#include "lib/content.h"
#include "lib/unit.h"
#include "store/entry.h"

static const uint64_t payload_max = (UINT64_C(1) << ENTRY_PAYLOAD_BITS) - 1;

static void test_kind_and_payload_come_back(void **state UNUSED)
{
	static const uint64_t payloads[] = {0, 1, UINT32_MAX, 1ULL << 39};

	for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
		uint64_t word = entry_make(ENTRY_RAM, payloads[i]);

		assert_int_equal(entry_kind(word), ENTRY_RAM);
		assert_int_equal(entry_payload(word), payloads[i]);
		assert_int_equal(entry_handle(word).value, payloads[i]);
	}
	assert_int_equal(entry_payload(entry_make(ENTRY_NODE, payload_max)),
			 payload_max);
	/* What fresh records and bodies read as. */
	assert_int_equal(entry_kind(0), ENTRY_EMPTY);
}

static void test_each_change_is_a_generation(void **state UNUSED)
{
	uint64_t same = entry_make(ENTRY_RAM, payload_max);
	uint64_t word = 0, first = entry_after(0, same);

	for (unsigned i = 0; i < 0xffff; i++) {
		uint64_t next = entry_after(word, same);

		assert_false(entry_same(word, next));
		assert_int_equal(entry_kind(next), ENTRY_RAM);
		assert_int_equal(entry_payload(next), payload_max);
		word = next;
	}
	/* It wraps, and only then does a word come again. */
	assert_true(
		entry_same(entry_after(entry_after(word, same), same), first));
}

static void test_ages_and_marks_are_soft(void **state UNUSED)
{
	uint64_t word = entry_after(0, entry_make(ENTRY_RAM, 5));
	uint64_t old = word | ENTRY_AGE_MAX << ENTRY_AGE_SHIFT | ENTRY_MARK;

	assert_true(entry_same(word, old));
	assert_int_equal(old & ~ENTRY_SOFT, word);
	assert_int_equal(entry_kind(old), ENTRY_RAM);
	/* A successor is young and unclaimed. */
	assert_int_equal(entry_after(old, word) & ENTRY_SOFT, 0);
}

static void test_what_is_held(void **state UNUSED)
{
	assert_true(entry_is_held(entry_make(ENTRY_FILL, 0)));
	assert_true(entry_is_held(entry_make(ENTRY_FILL_RECORD, 1)));
	assert_true(entry_is_held(entry_make(ENTRY_RAM, 1)));
	assert_false(entry_is_held(entry_make(ENTRY_BAD, 0)));
	assert_false(entry_is_held(entry_after(7, 0)));
}

static void check_fill(uint64_t word, bool fits)
{
	assert_int_equal(fill_fits_entry(word), fits);
	if (fits)
		assert_true(entry_fill_word(entry_of_fill(word)) == word);
}

static void test_fill_words(void **state UNUSED)
{
	struct content random = {1};

	check_fill(0, true);
	check_fill(UINT64_C(0x7fffffffff), true);
	check_fill(UINT64_C(0x8000000000), false);
	check_fill(UINT64_MAX, true);
	check_fill(UINT64_C(0x5a5a5a5a5a5a5a5a), true);
	check_fill(UINT64_C(0x5a5a5a5a5a5a5a5b), false);
	check_fill(UINT64_C(0x0000000100000001), true);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t word = content_random(&random);

		check_fill(word & UINT64_C(0x7fffffffff), true);
		check_fill((word >> 32) * UINT64_C(0x100000001), true);
		if (fill_fits_entry(word))
			check_fill(word, true);
	}
}

static void test_tags(void **state UNUSED)
{
	for (unsigned set = 0; set < SETS_MAX; set++)
		for (unsigned n = TAG_UNIT; n <= PAGE_BYTES; n += TAG_UNIT) {
			uint16_t tag = tag_make(set, n);

			assert_int_equal(tag_set(tag), set);
			assert_int_equal(tag_length(tag), n);
		}
	assert_int_equal(length_in_units(0), 0);
	assert_int_equal(length_in_units(1), 8);
	assert_int_equal(length_in_units(200), 200);
	assert_int_equal(length_in_units(PAGE_BYTES - 1), PAGE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kind_and_payload_come_back),
		cmocka_unit_test(test_each_change_is_a_generation),
		cmocka_unit_test(test_ages_and_marks_are_soft),
		cmocka_unit_test(test_what_is_held),
		cmocka_unit_test(test_fill_words),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
