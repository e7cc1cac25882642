/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One write for a whole page, so that a terminal never shows half of one; and
 * no clearing before it, so that nothing flickers: each line overwrites the
 * last and clears only what is behind its end.
 */
#include "foldctl/page.h"
#include "foldctl/term.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define PUT_MAX 8192

static void append(struct page *page, const char *text, size_t n)
{
	if (page->n + n > page->cap) {
		size_t cap = 2 * page->cap + n + 4096;
		char *bigger = realloc(page->text, cap);

		if (!bigger)
			die("out of memory");
		page->text = bigger;
		page->cap = cap;
	}
	memcpy(page->text + page->n, text, n);
	page->n += n;
}

static void append_text(struct page *page, const char *text)
{
	append(page, text, strlen(text));
}

void page_init(struct page *page, enum page_kind kind, unsigned width,
	       unsigned height, bool color)
{
	*page = (struct page){
		.kind = kind,
		.width = width,
		.height = height,
		.color = color,
	};
	if (kind == PAGE_SCREEN)
		append_text(page, "\033[H");
}

/* One character of @columns columns, or none if it does not fit. */
static void put_character(struct page *page, const char *text, size_t n,
			  unsigned columns)
{
	if (page->row >= page->height || columns > page->width - page->column) {
		page->column = page->width;
		return;
	}
	append(page, text, n);
	page->column += columns;
}

static void put_text(struct page *page, const char *text, size_t n)
{
	mbstate_t state = {0};

	while (n > 0) {
		wchar_t c;
		size_t length = mbrtowc(&c, text, n, &state);
		int columns = length <= n && length ? wcwidth(c) : -1;

		if (columns >= 0) {
			put_character(page, text, length, (unsigned)columns);
		} else {
			put_character(page, "?", 1, 1);
			state = (mbstate_t){0};
			if (length > n || length == 0)
				length = 1;
		}
		text += length;
		n -= length;
	}
}

void page_put(struct page *page, const char *fmt, ...)
{
	char text[PUT_MAX];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n > 0)
		put_text(page, text,
			 (size_t)n < sizeof(text) ? (size_t)n
						  : sizeof(text) - 1);
}

void page_color(struct page *page, const char *sgr)
{
	if (!page->color || page->row >= page->height)
		return;
	append_text(page, "\033[");
	append_text(page, sgr ? sgr : "0");
	append_text(page, "m");
}

/* A cursor behind the last column still stands on it: clearing from there
 * would take the last character. */
static void clear_rest(struct page *page)
{
	if (page->kind == PAGE_SCREEN && page->column < page->width)
		append_text(page, "\033[K");
}

static void begin_line(struct page *page, unsigned row)
{
	char text[32];

	page->row = row;
	page->column = 0;
	if (page->kind != PAGE_SCREEN || row >= page->height)
		return;
	snprintf(text, sizeof(text), "\033[%uH", row + 1);
	append_text(page, text);
}

void page_newline(struct page *page)
{
	if (page->row < page->height) {
		clear_rest(page);
		if (page->kind == PAGE_LOG)
			append_text(page, "\n");
	}
	begin_line(page, page->row + 1);
}

void page_go_to(struct page *page, unsigned row)
{
	while (page->row < row)
		page_newline(page);
	begin_line(page, row);
}

int page_print(struct page *page)
{
	if (page->kind == PAGE_SCREEN && page->row < page->height) {
		page_newline(page);
		if (page->row < page->height)
			append_text(page, "\033[J");
	}
	fwrite(page->text, 1, page->n, stdout);
	free(page->text);
	*page = (struct page){0};
	return term_flush();
}

/* How many of @cells the first @amount of @whole take. */
static unsigned cells_of(uint64_t amount, uint64_t whole, unsigned cells)
{
	if (whole == 0)
		return 0;
	if (amount >= whole)
		return cells;
	return (unsigned)((double)amount / (double)whole * cells + 0.5);
}

void page_bar(struct page *page, unsigned width, const struct page_part *parts,
	      unsigned n, uint64_t whole)
{
	unsigned cells = width > 2 ? width - 2 : 0, at = 0;
	uint64_t amount = 0;

	page_put(page, "[");
	for (unsigned i = 0; i < n; i++) {
		amount += parts[i].amount;
		page_color(page, parts[i].color);
		for (; at < cells_of(amount, whole, cells); at++)
			page_put(page, "%c", parts[i].letter);
		page_color(page, NULL);
	}
	page_put(page, "%*s]", (int)(cells - at), "");
}
