/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes from text and to text, in whole numbers only: no rounding of floats,
 * no locale.
 */
#include "base/size.h"
#include "base/page.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

__extension__ typedef unsigned __int128 wide;

static const char units[] = "KMGTPE";

/* A number as digits: (whole + part / scale). */
struct number {
	uint64_t whole;
	uint64_t part;
	uint64_t scale;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits after the point that no byte can depend on are read and dropped. */
static const char *parse_part(const char *p, struct number *n)
{
	for (; is_digit(*p); p++)
		if (n->scale < UINT64_C(1000000000000000000)) {
			n->part = n->part * 10 + (uint64_t)(*p - '0');
			n->scale *= 10;
		}
	return p;
}

static int parse_number(const char *p, struct number *ret_n,
			const char **ret_rest)
{
	struct number n = {.scale = 1};
	const char *start = p;

	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(n.whole, 10, &n.whole) ||
		    __builtin_add_overflow(n.whole, (uint64_t)(*p - '0'),
					   &n.whole))
			return -ERANGE;
	if (p == start)
		return -EINVAL;
	if (*p == '.') {
		if (!is_digit(p[1]))
			return -EINVAL;
		p = parse_part(p + 1, &n);
	}
	*ret_n = n;
	*ret_rest = p;
	return 0;
}

/* The factor a suffix stands for; 0 when it is none. */
static uint64_t unit_of(const char *p)
{
	const char *unit;
	uint64_t base, factor = 1;

	if (*p == '\0' || strcasecmp(p, "b") == 0)
		return 1;
	/* Letters only: & ~0x20 makes a capital of a small letter. */
	unit = strchr(units, *p & ~0x20);
	if (!unit || *unit == '\0')
		return 0;
	if (p[1] == '\0' || strcasecmp(p + 1, "ib") == 0)
		base = 1024;
	else if (strcasecmp(p + 1, "b") == 0)
		base = 1000;
	else
		return 0;
	for (long i = unit - units; i >= 0; i--)
		factor *= base;
	return factor;
}

int size_parse(const char *text, uint64_t whole, uint64_t *ret_bytes)
{
	struct number n;
	uint64_t factor, divisor = 1;
	wide sum;
	int r;

	r = parse_number(text, &n, &text);
	if (r < 0)
		return r;
	while (*text == ' ')
		text++;
	if (strcmp(text, "%") == 0 && whole != 0) {
		factor = whole;
		divisor = 100;
	} else {
		factor = unit_of(text);
		if (factor == 0)
			return -EINVAL;
	}
	sum = (wide)n.whole * factor + (wide)n.part * factor / n.scale;
	sum /= divisor;
	if (sum > UINT64_MAX)
		return -ERANGE;
	*ret_bytes = (uint64_t)sum;
	return 0;
}

const char *size_format(uint64_t bytes, char text[SIZE_TEXT_MAX])
{
	unsigned shift = 0;
	uint64_t tenths;

	if (bytes < 1024) {
		snprintf(text, SIZE_TEXT_MAX, "%u B", (unsigned)bytes);
		return text;
	}
	/* The next unit also when rounding would show 1024.0 of this one. */
	do {
		shift += 10;
		tenths = (uint64_t)(((wide)bytes * 10 +
				     (UINT64_C(1) << (shift - 1))) >>
				    shift);
	} while (tenths >= 10240);
	snprintf(text, SIZE_TEXT_MAX, "%llu.%llu %ciB",
		 (unsigned long long)(tenths / 10),
		 (unsigned long long)(tenths % 10), units[shift / 10 - 1]);
	return text;
}
