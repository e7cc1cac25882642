/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names under which a mount shows its numbers and takes its knobs: extended
 * attributes of the hidden file FOLDFS_CONTROL_NAME in the root of the mount.
 *
 * Keys are listed by getfattr -d -m - MOUNT/.foldfs; FOLDFS_KEY_STATS is all
 * of them as one JSON object. The kind of a key (keys.def) says what its value
 * is: COUNTER, GAUGE: a decimal number; TEXT: a text; TABLE: a line for each
 * row, fields `name=value` with one blank between them (a list of objects in
 * JSON). Per-file keys are answered by name on any regular file and are never
 * listed, so that no copying tool carries them.
 */
#ifndef FOLDFS_KEYS_H
#define FOLDFS_KEYS_H

#define FOLDFS_CONTROL_NAME ".foldfs"
#define FOLDFS_KEY_PREFIX "user.foldfs."
#define FOLDFS_KEY_STATS "user.foldfs.stats"

#define FOLDFS_FILE_PREFIX "user.foldfs.file."
#define FOLDFS_FILE_LOGICAL "user.foldfs.file.logical"   /* bytes held */
#define FOLDFS_FILE_RESIDENT "user.foldfs.file.resident" /* bytes of RAM */
#define FOLDFS_FILE_SPILLED "user.foldfs.file.spilled" /* in the backing file */
#define FOLDFS_FILE_CODEC "user.foldfs.file.codec" /* "lz4=12 raw=1 fill=3" */
/* Pages held, by age: 0 just touched to 15 cold; none of an age is left out:
 * "0=12 3=4". */
#define FOLDFS_FILE_AGES "user.foldfs.file.ages"
/* All of the above in one JSON object: numbers as numbers, texts as texts. */
#define FOLDFS_FILE_STATS "user.foldfs.file.stats"
/*
 * To be set, by root, who mounted or who owns the file: "out" sends the file's
 * pages to the backing file, "in" brings them back; with pages behind it, as in
 * "out 0-99 200", only those. Answered when it is done. Read: spilled pages.
 */
#define FOLDFS_FILE_SPILL "user.foldfs.file.spill"
/*
 * The picture of the file: "pages=N cell=K" and, after a blank, two characters
 * for each K pages (a power of two; the last cell may have fewer), at most
 * FOLDFS_MAP_CELLS_MAX cells. The first is where most of the cell's pages
 * are, one of FOLDFS_MAP_TIERS: a hole only if nothing of the cell is held,
 * a fill page, compressed, raw, spilled, bad. The second is the average age of
 * those held, 0 to f.
 */
#define FOLDFS_FILE_MAP "user.foldfs.file.map"
#define FOLDFS_MAP_TIERS ".fcrsb"
#define FOLDFS_MAP_CELLS_MAX 2000

#endif
