/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keys.def and values.def as data: what each key is called, says and takes. */
#include "base/check.h"
#include "ctl/ctl.h"

#define CTL_ACCESS_READ CTL_READ
#define CTL_ACCESS_SET CTL_SET

static const char *const values[CTL_NR] = {
#define VALUE(id, text) [CTL_##id] = text,
#include "foldfs/values.def"
#undef VALUE
};

static const struct ctl_key_info key_table[CTL_NR] = {
#define KEY(id, kind, unit, access, sentence)                                  \
	[CTL_##id] = {#id, CTL_KIND_##kind, CTL_UNIT_##unit,                   \
		      CTL_ACCESS_##access, sentence},
#include "foldfs/keys.def"
#undef KEY
};

const char *ctl_key_values(enum ctl_key key)
{
	invariant((unsigned)key < CTL_NR);
	return values[key];
}

const struct ctl_key_info *ctl_key_info(enum ctl_key key)
{
	invariant((unsigned)key < CTL_NR);
	return &key_table[key];
}
