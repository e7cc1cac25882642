/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store's calls do to plain bytes. */
#include "model_file.h"
#include <string.h>

void model_hold(struct model_file *f, uint64_t from, uint64_t to)
{
	for (uint64_t p = page_of(from); p < pages_for(to); p++)
		f->held[p] = true;
}

void model_grow(struct model_file *f, uint64_t to)
{
	if (f->size < f->base + to)
		f->size = f->base + to;
}

void model_write(struct model_file *f, uint64_t from, const void *src,
		 uint64_t n)
{
	if (!n)
		return;
	memcpy(f->bytes + from, src, n);
	model_hold(f, from, from + n);
	model_grow(f, from + n);
}

void model_punch(struct model_file *f, uint64_t from, uint64_t to)
{
	memset(f->bytes + from, 0, to - from);
	for (uint64_t p = pages_for(from); p < page_of(to); p++)
		f->held[p] = false;
}

void model_truncate(struct model_file *f, uint64_t size)
{
	uint64_t in_window = size > f->base ? size - f->base : 0;

	if (size <= f->size) {
		memset(f->bytes + in_window, 0, WINDOW_BYTES - in_window);
		for (uint64_t p = pages_for(in_window); p < WINDOW_PAGES; p++)
			f->held[p] = false;
	}
	f->size = size;
}

void model_copy_file(struct model_file *to, const struct model_file *from)
{
	unsigned char *bytes = to->bytes;

	*to = *from;
	to->bytes = bytes;
	memcpy(bytes, from->bytes, WINDOW_BYTES);
}

uint64_t model_holes(const struct model_file *f, uint64_t from, uint64_t to)
{
	uint64_t holes = 0;

	for (uint64_t p = page_of(from); p < pages_for(to); p++)
		holes += !f->held[p];
	return holes;
}

uint64_t model_seek(const struct model_file *f, uint64_t from, bool data)
{
	uint64_t end = f->size - f->base;

	for (uint64_t p = page_of(from); p < pages_for(end); p++)
		if (f->held[p] == data)
			return p << PAGE_SHIFT > from ? p << PAGE_SHIFT : from;
	return end;
}

void model_copy(struct model_file *from, uint64_t at, struct model_file *to,
		uint64_t to_at, uint64_t n)
{
	uint64_t end = at + n;

	while (at < end) {
		uint64_t data = model_seek(from, at, true), step;

		if (data > at) {
			step = (data < end ? data : end) - at;
			model_punch(to, to_at, to_at + step);
			model_grow(to, to_at + step);
		} else {
			step = PAGE_BYTES - at % PAGE_BYTES;
			if (step > end - at)
				step = end - at;
			model_write(to, to_at, from->bytes + at, step);
		}
		at += step;
		to_at += step;
	}
}
