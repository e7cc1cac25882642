/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Texts that somebody else chose, names above all: for terminals, which must
 * not obey them, for shells, which must take them as one word, and for JSON,
 * which must be UTF-8.
 */
#ifndef SRC_FOLDCTL_FOREIGN_H
#define SRC_FOLDCTL_FOREIGN_H

#include "base/compiler.h"
#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Formatted; whatever in it is no character to be seen comes out as \x1b. */
void foreign_print(FILE *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
void foreign_vprint(FILE *out, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

/* @text as one word of a shell, bare if it can be. Longer than @cap: cut.
 * Returns @word. */
const char *foreign_word(const char *text, char *word, size_t cap);

/*
 * @text as it is when it is UTF-8; else each byte that is not ASCII becomes
 * U+0080 to U+00FF, as in what the control socket answers. To be given to
 * free().
 */
char *foreign_utf8(const char *text);
/* The same as a JSON string. */
json_t *foreign_json(const char *text);

#endif
