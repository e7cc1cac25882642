/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reserved ranges: charged before they can be touched, given back whole. */
#include "base/page.h"
#include "base/sparse.h"
#include "unit.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STEP ((uint64_t)SPARSE_STEP_BYTES)

static struct budget budget;
static struct sparse sparse;
static int ends[2];

static int up(void **state UNUSED)
{
	budget_init(&budget, 4 * MIB);
	return pipe(ends) < 0 ? -1 : sparse_init(&sparse, 64 * GIB, &budget);
}

static int down(void **state UNUSED)
{
	sparse_fini(&sparse);
	close(ends[0]);
	close(ends[1]);
	return budget_used(&budget) == 0 ? 0 : -1;
}

/* Whether the byte at @p can be read: the kernel tries for us. */
static bool readable(const char *p)
{
	char c;

	if (syscall(SYS_write, ends[1], p, 1) != 1)
		return false;
	return read(ends[0], &c, 1) == 1;
}

static void test_grow_charges(void **state UNUSED)
{
	assert_int_equal(budget_used(&budget), 0);
	assert_false(readable(sparse.base));
	assert_int_equal(sparse_grow(&sparse, 1, BUDGET_NORMAL), 0);
	assert_int_equal(budget_used(&budget), STEP);
	assert_int_equal(sparse.ready_bytes, STEP);
	assert_true(readable(sparse.base + STEP - 1));
	assert_false(readable(sparse.base + STEP));
	assert_int_equal(sparse.base[STEP - 1], 0);
	/* Enough is enough; more comes without moving what is there. */
	sparse.base[7] = 'x';
	assert_int_equal(sparse_grow(&sparse, STEP, BUDGET_NORMAL), 0);
	assert_int_equal(budget_used(&budget), STEP);
	assert_int_equal(sparse_grow(&sparse, 5 * STEP - 9, BUDGET_NORMAL), 0);
	assert_int_equal(budget_used(&budget), 5 * STEP);
	assert_int_equal(sparse.base[7], 'x');
	memset(sparse.base, 1, 5 * STEP);
}

static void test_refused(void **state UNUSED)
{
	assert_int_equal(sparse_grow(&sparse, 2 * STEP, BUDGET_NORMAL), 0);
	assert_int_equal(sparse_grow(&sparse, 5 * MIB, BUDGET_NORMAL), -ENOSPC);
	assert_int_equal(sparse_grow(&sparse, 64 * GIB + 1, BUDGET_FORCED),
			 -ENOMEM);
	assert_int_equal(sparse.ready_bytes, 2 * STEP);
	assert_int_equal(budget_used(&budget), 2 * STEP);
	/* The reserve is for those who ask for it. */
	assert_int_equal(sparse_grow(&sparse, 4 * MIB, BUDGET_NORMAL), -ENOSPC);
	assert_int_equal(sparse_grow(&sparse, 4 * MIB, BUDGET_RESERVE), 0);
	assert_int_equal(sparse_grow(&sparse, 5 * MIB, BUDGET_FORCED), 0);
	assert_int_equal(budget_used(&budget), 5 * MIB);
}

static void check_shrunk(void)
{
	unsigned char resident[2];

	sparse_shrink(&sparse, STEP + 1);
	assert_int_equal(sparse.ready_bytes, 2 * STEP);
	assert_int_equal(budget_used(&budget), 2 * STEP);
	assert_int_equal(sparse.base[2 * STEP - 1], 1);
	assert_false(readable(sparse.base + 2 * STEP));
	assert_int_equal(
		mincore(sparse.base + 2 * STEP, 2 * PAGE_BYTES, resident), 0);
	assert_int_equal(resident[0] & 1, 0);
	assert_int_equal(sparse_grow(&sparse, 4 * STEP, BUDGET_NORMAL), 0);
	assert_int_equal(sparse.base[2 * STEP], 0);
	assert_int_equal(sparse.base[4 * STEP - 1], 0);
}

static void test_shrink_gives_back(void **state UNUSED)
{
	assert_int_equal(sparse_grow(&sparse, 4 * STEP, BUDGET_NORMAL), 0);
	memset(sparse.base, 1, 4 * STEP);
	sparse_shrink(&sparse, 4 * STEP);
	sparse_shrink(&sparse, 9 * STEP);
	assert_int_equal(budget_used(&budget), 4 * STEP);
	check_shrunk();
}

/* Serving swap, all memory is locked: it must come back all the same. */
static void test_shrink_locked(void **state UNUSED)
{
	assert_int_equal(sparse_grow(&sparse, 4 * STEP, BUDGET_NORMAL), 0);
	memset(sparse.base, 1, 4 * STEP);
	if (mlock(sparse.base, 4 * STEP) < 0)
		skip();
	check_shrunk();
}

static void test_init_refused(void **state UNUSED)
{
	struct sparse s = {0};

	assert_int_equal(sparse_init(&s, UINT64_C(1) << 62, &budget), -ENOMEM);
	assert_int_equal(sparse_init(&s, SIZE_MAX, &budget), -ENOMEM);
	assert_null(s.base);
	sparse_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_grow_charges, up, down),
		cmocka_unit_test_setup_teardown(test_refused, up, down),
		cmocka_unit_test_setup_teardown(test_shrink_gives_back, up,
						down),
		cmocka_unit_test_setup_teardown(test_shrink_locked, up, down),
		cmocka_unit_test_setup_teardown(test_init_refused, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
