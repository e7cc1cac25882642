/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Size classes, handles and headers: arithmetic for every value there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pool/class.h"
#include "pool/handle.h"

static void test_every_length_fits_its_class(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= POOL_OBJECT_MAX; n++) {
		unsigned class = class_of(n);

		assert_in_range(class, 0, CLASS_NR - 1);
		assert_true(class_slot_bytes(class) >= n + HEADER_BYTES);
		/* And no smaller class would do. */
		if (class > 0)
			assert_true(class_slot_bytes(class - 1) <
				    n + HEADER_BYTES);
	}
}

static void test_slots_fit_their_span(void **state)
{
	(void)state;
	for (unsigned c = 0; c < CLASS_NR; c++) {
		assert_int_equal(class_slot_bytes(c) % HANDLE_UNIT_BYTES, 0);
		assert_in_range(class_slots(c), 1, CLASS_SLOTS_MAX);
		assert_true(class_slots(c) * class_slot_bytes(c) <= SPAN_BYTES);
	}
	assert_int_equal(class_slots(CLASS_NR - 1), 63);
}

static void test_handle_round_trip(void **state)
{
	const uint64_t pool_bytes = UINT64_C(1) << 40;
	uint64_t offset = 1;

	(void)state;
	for (uint64_t at = 0; at < pool_bytes;
	     at += (pool_bytes / 999) & ~15ul) {
		struct handle h = handle_make(at);

		assert_false(handle_is_none(h));
		assert_true(h.value < UINT64_C(1) << HANDLE_BITS);
		assert_int_equal(handle_offset(h, pool_bytes, &offset), 0);
		assert_int_equal(offset, at);
	}
}

static void test_foreign_handle_is_eio(void **state)
{
	const uint64_t values[] = {0, 65537, 65538, UINT64_C(1) << 40,
				   UINT64_MAX};
	uint64_t offset = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		assert_int_equal(
			handle_offset((struct handle){values[i]}, MIB, &offset),
			-EIO);
	assert_int_equal(offset, 7);
	assert_int_equal(handle_offset((struct handle){65536}, MIB, &offset),
			 0);
}

static void test_header_round_trip(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= POOL_OBJECT_MAX; n += 5) {
		uint64_t header = header_make(n * 48ul, n, (uint16_t)(n * 77));

		assert_true(header_is_valid(header, n * 48ul, n + 8));
		assert_int_equal(header_length(header), n);
		assert_int_equal(header_tag(header), (uint16_t)(n * 77));
		/* One byte less of slot, and the length is a lie. */
		assert_false(header_is_valid(header, n * 48ul, n + 7));
	}
}

static void test_header_notices_every_bit(void **state)
{
	const uint64_t offset = 123 * 1408;
	uint64_t header = header_make(offset, 1400, 0xbeef);

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++)
		assert_false(header_is_valid(header ^ UINT64_C(1) << bit,
					     offset, CLASS_MAX_BYTES));
	/* Right, but at another place. */
	for (unsigned bit = 4; bit < 40; bit++)
		assert_false(header_is_valid(
			header, offset ^ UINT64_C(1) << bit, CLASS_MAX_BYTES));
	assert_false(header_is_valid(0, 0, CLASS_MAX_BYTES));
	assert_false(header_is_valid(UINT64_MAX, 0, CLASS_MAX_BYTES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_fits_its_class),
		cmocka_unit_test(test_slots_fit_their_span),
		cmocka_unit_test(test_handle_round_trip),
		cmocka_unit_test(test_foreign_handle_is_eio),
		cmocka_unit_test(test_header_round_trip),
		cmocka_unit_test(test_header_notices_every_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
