/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page of text on its way to the terminal: cut to a width and a height, with
 * colours or without, written at once.
 *
 * What is put is counted in columns as the terminal shows it; what it must not
 * see (control characters in the names of files) becomes a question mark.
 */
#ifndef SRC_FOLDCTL_PAGE_H
#define SRC_FOLDCTL_PAGE_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_ENDLESS UINT32_MAX

enum page_kind {
	PAGE_SCREEN, /* takes the place of what the terminal shows */
	PAGE_LOG,    /* follows what was printed before */
};

struct page {
	enum page_kind kind;
	unsigned width, height; /* PAGE_ENDLESS: not cut */
	bool color;
	unsigned row, column; /* where the next character goes */
	char *text;
	size_t n, cap;
};

void page_init(struct page *page, enum page_kind kind, unsigned width,
	       unsigned height, bool color);
void page_put(struct page *page, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* SGR parameters ("1;32") from here on, NULL for none. */
void page_color(struct page *page, const char *sgr);
/* The rest of the line is empty. */
void page_newline(struct page *page);
/* To the beginning of line @row; lines that are passed over are empty. */
void page_go_to(struct page *page, unsigned row);

/* Write it to standard output and give it up. As term_flush(). */
int page_print(struct page *page);

/* A part of a bar: how much, and what it is painted with. */
struct page_part {
	uint64_t amount;
	char letter;
	const char *color;
};

/* "[||||++    ]": @width columns with the brackets, @whole being full. */
void page_bar(struct page *page, unsigned width, const struct page_part *parts,
	      unsigned n, uint64_t whole);

#endif
