/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * workers=auto: looks at how busy the workers are and asks the crew's policy
 * how many there should be.
 */
#ifndef SRC_FS_AUTOSCALE_H
#define SRC_FS_AUTOSCALE_H

#include "fs/state.h"

#define AUTOSCALE_INTERVAL_NS (UINT64_C(200) * 1000000)

int autoscale_new(struct fs *fs, struct autoscale **ret) MUST_CHECK;
void autoscale_free(struct autoscale *autoscale);

/* How many to begin with. */
unsigned autoscale_first(const struct fs_config *config);
/* False in the swap profile: there the number stays what it is. */
bool autoscale_is_possible(const struct fs *fs);
/* Off: the number stays as it is. Any thread. */
void autoscale_set(struct autoscale *autoscale, bool on);
bool autoscale_is_on(const struct autoscale *autoscale);
/* One sample and what follows from it; from the later thread alone. */
void autoscale_step(struct fs *fs);

#endif
