/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What foldctl top shows of two samples. */
#ifndef SRC_FOLDCTL_TOP_VIEW_H
#define SRC_FOLDCTL_TOP_VIEW_H

#include "foldctl/page.h"
#include "foldctl/sample.h"
#include <stdbool.h>

struct top_view {
	const struct mount *mount;
	const struct sample *from, *to;
	bool workers;        /* a row for each */
	const char *message; /* what the last key did; NULL: the keys */
};

/* Onto a fresh page, as much of it as there is room for. */
void top_view_put(const struct top_view *view, struct page *page);
/* The keys, instead of it. */
void top_view_put_help(struct page *page);

#endif
