/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Codecs behind one table of operations, after zram's zcomp.
 *
 * Parameters are immutable and shared; a context is the private, reused
 * working memory of one stream and is never shared. The caller brings all
 * memory: nothing here allocates. Layer 2: knows base and arena.
 */
#ifndef SRC_CODEC_CODEC_H
#define SRC_CODEC_CODEC_H

#include "base/compiler.h"
#include "base/page.h"
#include <stdbool.h>
#include <sys/types.h>

/* Kept in the arena: values never change their meaning. */
enum codec_id {
	CODEC_RAW = 0, /* stored as it is */
	CODEC_LZ4 = 1,
	CODEC_LZ4HC = 2,
	CODEC_ZSTD = 3,
	CODEC_NR
};

struct codec_params {
	enum codec_id id;
	int level; /* lz4: acceleration; lz4hc, zstd: level; raw: 0 */
};

/*
 * Compressing and decoding have separate working memory: a stream decodes
 * with every codec all its life but compresses with one or two.
 */
struct codec_ops {
	const char *name; /* as in compress=NAME[:LEVEL] */
	int level_min, level_max, level_default;
	/* Bytes of working memory for compressing at @level; 0: none. */
	size_t (*ctx_bytes)(int level);
	/* Prepare @mem (64-aligned, ctx_bytes() long). -ENOMEM. */
	int (*ctx_init)(void *mem, int level);
	/* The same for decoding; it serves every level. */
	size_t (*dec_bytes)(void);
	int (*dec_init)(void *mem);
	/*
	 * Compress @n bytes (1 to PAGE_BYTES) to at most @cap: bytes written,
	 * or 0 when they do not fit in @cap. Never allocates. @level is the
	 * one that @mem was prepared for.
	 */
	size_t (*compress)(void *mem, int level, const void *src, size_t n,
			   void *dst, size_t cap);
	/*
	 * Decode to exactly @n_dst bytes: 0, or -EIO when the input is not
	 * that. Safe on any input: never reads or writes out of bounds. What
	 * @dst holds after -EIO is undefined.
	 */
	int (*decompress)(void *mem, const void *src, size_t n, void *dst,
			  size_t n_dst);
};

/* Bytes the memory of both kinds must be aligned to. */
#define CODEC_ALIGN 64

/* NULL for an id that is not compiled in. */
const struct codec_ops *codec_ops(enum codec_id id);

/* True if @params names a codec that is here and a level in its range. */
bool codec_params_valid(const struct codec_params *params);
bool codec_params_equal(const struct codec_params *a,
			const struct codec_params *b);

/*
 * Parse "lz4", "lz4:4", "zstd:-3", "none" (which has no level). Of a
 * codec with negative levels 0 is the default. -ENOENT: no such codec;
 * -EINVAL: malformed level; -ERANGE: level out of the codec's range (then
 * @ret_params->id is set so that the caller can say the range).
 */
int codec_parse(const char *text, struct codec_params *ret_params) MUST_CHECK;
#define CODEC_TEXT_MAX 24
/* "lz4:1", "zstd:3", "none" */
const char *codec_format(const struct codec_params *params,
			 char text[CODEC_TEXT_MAX]);

#endif
