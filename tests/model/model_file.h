/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One file of the store's model: plain bytes, and which pages are held.
 *
 * All offsets but the size are inside of the window that is modelled.
 */
#ifndef TESTS_MODEL_MODEL_FILE_H
#define TESTS_MODEL_MODEL_FILE_H

#include "base/page.h"
#include <stdbool.h>

#define WINDOW_PAGES 300u
#define WINDOW_BYTES (WINDOW_PAGES * (uint64_t)PAGE_BYTES)

/* Bytes of a file are modelled from @base on; before it all is hole. */
struct model_file {
	uint64_t base, size;
	unsigned char *bytes;
	bool held[WINDOW_PAGES];
};

void model_hold(struct model_file *f, uint64_t from, uint64_t to);
void model_grow(struct model_file *f, uint64_t to);
void model_write(struct model_file *f, uint64_t from, const void *src,
		 uint64_t n);
void model_punch(struct model_file *f, uint64_t from, uint64_t to);
void model_truncate(struct model_file *f, uint64_t size);
/* Pages of [@from, @to) that are not held. */
uint64_t model_holes(const struct model_file *f, uint64_t from, uint64_t to);
/* The next byte that is data or not; the end of the file if there is none. */
uint64_t model_seek(const struct model_file *f, uint64_t from, bool data);
/* What copying @n bytes does, hole by hole and page by page. */
void model_copy(struct model_file *from, uint64_t at, struct model_file *to,
		uint64_t to_at, uint64_t n);
/* All of @from, bytes as well. */
void model_copy_file(struct model_file *to, const struct model_file *from);

#endif
