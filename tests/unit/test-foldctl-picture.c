/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures of files: what is no picture, and the same in fewer cells. */
#include "foldctl/picture.h"
#include "lib/unit.h"
#include <errno.h>
#include <string.h>

static void test_parse(void **state UNUSED)
{
	struct picture p;

	assert_int_equal(picture_parse("pages=5 cell=2 c0rf.0", &p), 0);
	assert_int_equal(p.pages, 5);
	assert_int_equal(p.cell_pages, 2);
	assert_int_equal(p.n, 3);
	assert_string_equal(p.tier, "cr.");
	assert_string_equal(p.age, "0f0");
	assert_int_equal(picture_parse("pages=0 cell=1 ", &p), 0);
	assert_int_equal(p.n, 0);
}

static void test_nonsense_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"",
		"pages=5",
		"pages=5 cell=0 c0",
		"pages=x cell=1 c0",
		"pages=5 cell=1 c",
		"pages=5 cell=1 z0",
		"pages=5 cell=1 cg",
		"pages=5 cell=1 c0 c0",
	};
	char text[2 * FOLDFS_MAP_CELLS_MAX + 40] = "pages=9999 cell=1 ";
	struct picture p;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(picture_parse(texts[i], &p), -EPROTO);
	for (unsigned i = 0; i < FOLDFS_MAP_CELLS_MAX; i++)
		strcat(text, "c0");
	assert_int_equal(picture_parse(text, &p), 0);
	strcat(text, "c0");
	assert_int_equal(picture_parse(text, &p), -EPROTO);
}

static void assert_shrinks(const char *text, unsigned most, const char *tiers,
			   const char *ages, uint64_t cell_pages)
{
	struct picture p;

	assert_int_equal(picture_parse(text, &p), 0);
	picture_shrink(&p, most);
	assert_string_equal(p.tier, tiers);
	assert_string_equal(p.age, ages);
	assert_int_equal(p.n, strlen(tiers));
	assert_int_equal(p.cell_pages, cell_pages);
}

static void test_shrink(void **state UNUSED)
{
	assert_shrinks("pages=4 cell=1 c0c2r4.0", 4, "ccr.", "0240", 1);
	assert_shrinks("pages=4 cell=1 c0c2r4.0", 3, "cr", "14", 2);
	assert_shrinks("pages=4 cell=1 c0c2r4.0", 1, "c", "2", 4);
	/* A hole gives way to anything; five do not fit two pairs. */
	assert_shrinks("pages=10 cell=2 .0.0b0.0f8", 2, "bf", "08", 8);
	assert_shrinks("pages=4 cell=1 .0.0.0.0", 1, ".", "0", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_nonsense_is_refused),
		cmocka_unit_test(test_shrink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
