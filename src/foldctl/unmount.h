/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes one mount away.
 *
 * A path is all that umount(2) takes, and what is on top there goes: so that
 * must be the mount that is meant, which is looked at right before.
 */
#ifndef SRC_FOLDCTL_UNMOUNT_H
#define SRC_FOLDCTL_UNMOUNT_H

#include "base/compiler.h"
#include "foldctl/mounts.h"
#include <stdbool.h>

/* Nothing covers @mount; else say so. An exit code. */
int unmount_check(const struct mount *mount) MUST_CHECK;
/* What is at the point of @mount; its owner's by fusermount3. -EBUSY it is in
 * use, -EPERM neither root nor the owner asks, -ECANCELED fusermount3 has said
 * why, -errno. */
int unmount(const struct mount *mount, bool lazy) MUST_CHECK;
/* End the connection of @mount, whose daemon is gone: what waits for it fails.
 * -EPERM, -errno. */
int unmount_abort(const struct mount *mount) MUST_CHECK;

#endif
