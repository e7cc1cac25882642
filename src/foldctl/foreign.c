/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Escapes as libsmartcols has them, so that tables and sentences agree. */
#include "foldctl/foreign.h"
#include "foldctl/term.h"
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* A path, and a sentence about it. */
#define PRINT_MAX 8192

/* Bytes of the character at the front of @text that a terminal can show; 0:
 * there is none. */
static size_t visible(const char *text, size_t n)
{
	mbstate_t state = {0};
	wchar_t c;
	size_t length = mbrtowc(&c, text, n, &state);

	return length <= n && length > 0 && iswprint((wint_t)c) ? length : 0;
}

static void put_visible(FILE *out, const char *text, size_t n)
{
	while (n > 0) {
		size_t length = visible(text, n);

		if (length)
			fwrite(text, 1, length, out);
		else
			fprintf(out, "\\x%02x", (unsigned char)*text);
		length += length == 0;
		text += length;
		n -= length;
	}
}

void foreign_vprint(FILE *out, const char *fmt, va_list args)
{
	char text[PRINT_MAX];
	int n = vsnprintf(text, sizeof(text), fmt, args);

	if (n > 0)
		put_visible(out, text, strlen(text));
}

void foreign_print(FILE *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	foreign_vprint(out, fmt, args);
	va_end(args);
}

/* What no shell takes for anything else. */
static bool is_bare(const char *text)
{
	return *text && text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
					  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789/._-+,:=@%")] == '\0';
}

static bool is_all_visible(const char *text)
{
	size_t length, n = strlen(text);

	for (; n > 0; text += length, n -= length) {
		length = visible(text, n);
		if (!length)
			return false;
	}
	return true;
}

/* $'...' for what cannot be shown, and for what double quotes do not keep. */
static void quote_bytes(const char *text, FILE *out)
{
	fputs("$'", out);
	for (; *text; text++)
		if (*text == '\'' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if (*text < ' ' || *text > '~')
			fprintf(out, "\\%03o", (unsigned char)*text);
		else
			fputc(*text, out);
	fputc('\'', out);
}

const char *foreign_word(const char *text, char *word, size_t cap)
{
	FILE *out = fmemopen(word, cap, "w");

	*word = '\0';
	if (!out)
		die("out of memory");
	if (is_bare(text))
		fputs(text, out);
	else if (is_all_visible(text) && !strpbrk(text, "\"$`\\!"))
		fprintf(out, "\"%s\"", text);
	else
		quote_bytes(text, out);
	fclose(out);
	word[cap - 1] = '\0';
	return word;
}

static bool is_utf8(const char *text)
{
	json_t *string = json_string(text);

	json_decref(string);
	return string;
}

char *foreign_utf8(const char *text)
{
	char *made = malloc(2 * strlen(text) + 1), *at = made;

	if (!made)
		die("out of memory");
	if (is_utf8(text))
		return strcpy(made, text);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x80)
			*at++ = (char)(0xc0 | c >> 6);
		*at++ = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
	}
	*at = '\0';
	return made;
}

json_t *foreign_json(const char *text)
{
	char *utf8 = foreign_utf8(text);
	json_t *string = json_string(utf8);

	free(utf8);
	if (!string)
		die("out of memory");
	return string;
}
