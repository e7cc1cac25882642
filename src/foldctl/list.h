/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The columns of foldctl list, which foldctl explain explains as well. */
#ifndef SRC_FOLDCTL_LIST_H
#define SRC_FOLDCTL_LIST_H

#include "foldctl/table.h"

/* With .name NULL behind the last. */
extern const struct table_column list_columns[];

#endif
