/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names under which a mount shows its numbers and takes its knobs: extended
 * attributes of the hidden file FOLDFS_CONTROL_NAME in the root of the mount.
 *
 * Keys are listed by getfattr -d -m - MOUNT/.foldfs; FOLDFS_KEY_STATS is all
 * of them as one JSON object. Per-file keys are answered by name on any
 * regular file and are never listed, so that no copying tool carries them.
 */
#ifndef FOLDFS_KEYS_H
#define FOLDFS_KEYS_H

#define FOLDFS_CONTROL_NAME ".foldfs"
#define FOLDFS_KEY_PREFIX "user.foldfs."
#define FOLDFS_KEY_STATS "user.foldfs.stats"

#define FOLDFS_FILE_PREFIX "user.foldfs.file."
#define FOLDFS_FILE_LOGICAL "user.foldfs.file.logical"   /* bytes held */
#define FOLDFS_FILE_RESIDENT "user.foldfs.file.resident" /* bytes of RAM */
#define FOLDFS_FILE_CODEC "user.foldfs.file.codec" /* "lz4=12 raw=1 fill=3" */

#endif
