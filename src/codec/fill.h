/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The test for a fill page: one 64-bit word repeated. Pure. */
#ifndef SRC_CODEC_FILL_H
#define SRC_CODEC_FILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * True if all @n bytes of @page are one 64-bit word repeated (the last one
 * may be cut when @n is no multiple of 8); the word, in memory order, in
 * @ret_word. Fast on pages that are not: looks at the ends first. Up to 8
 * bytes always are one word; what they leave of it is zero.
 */
bool fill_test(const void *page, size_t n, uint64_t *ret_word);
void fill_write(void *page, size_t n, uint64_t word);

#endif
