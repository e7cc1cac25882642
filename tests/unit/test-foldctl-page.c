/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages for the terminal: what is cut, what is not let through, and bars. */
#include "foldctl/page.h"
#include "lib/unit.h"
#include <locale.h>
#include <stdlib.h>
#include <string.h>

/* What was put so far; gives the page up. */
static void assert_text(struct page *page, const char *text)
{
	char *got = strndup(page->text, page->n);

	assert_string_equal(got, text);
	free(got);
	free(page->text);
}

static struct page log_page(unsigned width, unsigned height)
{
	struct page page;

	page_init(&page, PAGE_LOG, width, height, false);
	return page;
}

static void test_cut_to_width_and_height(void **state UNUSED)
{
	struct page page = log_page(5, 2);

	page_put(&page, "%s", "1234567");
	page_put(&page, "8");
	page_newline(&page);
	page_put(&page, "ab");
	page_newline(&page);
	page_put(&page, "below");
	page_newline(&page);
	assert_text(&page, "12345\nab\n");
}

/* What a terminal would obey, and bytes that are no text. */
static void test_what_is_not_shown(void **state UNUSED)
{
	struct page page = log_page(40, 9);

	page_put(&page, "%s", "a\033[2Jb\nc\177d");
	assert_text(&page, "a?[2Jb?c?d");
	page = log_page(40, 9);
	page_put(&page, "%s", "\xff\xc3 \xc3");
	assert_text(&page, "?? ?");
}

/* Characters are counted as they are shown, and never cut in two. */
static void test_wide_characters(void **state UNUSED)
{
	struct page page = log_page(5, 9);

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		skip();
	page_put(&page, "%s", "äöü漢漢");
	assert_int_equal(page.column, 5);
	assert_text(&page, "äöü漢");
	page = log_page(4, 9);
	page_put(&page, "%s", "äöü漢x");
	assert_text(&page, "äöü");
	setlocale(LC_CTYPE, "C");
}

/* Lines of a screen are addressed; a full one is not cleared behind. */
static void test_screen(void **state UNUSED)
{
	struct page page;

	page_init(&page, PAGE_SCREEN, 4, 3, true);
	page_put(&page, "1234");
	page_newline(&page);
	page_color(&page, "1");
	page_put(&page, "x");
	page_color(&page, NULL);
	page_go_to(&page, 3);
	page_color(&page, "1");
	page_put(&page, "y");
	page_go_to(&page, 2);
	page_put(&page, "z");
	assert_text(&page, "\033[H1234\033[2H\033[1mx\033[0m\033[K\033[3H\033[K"
			   "\033[3Hz");
}

static void assert_bar(unsigned width, uint64_t a, uint64_t b, uint64_t whole,
		       const char *text)
{
	struct page page = log_page(80, 1);
	const struct page_part parts[] = {{a, '|', "1"}, {b, '+', "2"}};

	page_bar(&page, width, parts, 2, whole);
	assert_text(&page, text);
}

static void test_bars(void **state UNUSED)
{
	assert_bar(12, 5, 2, 10, "[|||||++   ]");
	assert_bar(12, 0, 0, 10, "[          ]");
	assert_bar(12, 9, 9, 10, "[|||||||||+]");
	assert_bar(12, UINT64_MAX / 2, UINT64_MAX / 4, UINT64_MAX,
		   "[|||||+++  ]");
	assert_bar(12, 5, 2, 0, "[          ]");
	assert_bar(12, 1, 0, 1000, "[          ]");
	assert_bar(2, 5, 5, 10, "[]");
	assert_bar(0, 5, 5, 10, "[]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_to_width_and_height),
		cmocka_unit_test(test_what_is_not_shown),
		cmocka_unit_test(test_wide_characters),
		cmocka_unit_test(test_screen),
		cmocka_unit_test(test_bars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
