/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zstd with static contexts: all its memory is ours, so it cannot allocate.
 *
 * Frames are made as small as the format allows: no magic number, no content
 * size (the store knows it), no checksum, no dictionary id. That is 2 bytes
 * of frame header instead of 9 on objects of some hundred bytes. Contexts are
 * sized by the level's parameters for one page, not for a large file.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include "codec/ops.h"
#include <errno.h>
#include <zstd.h>

#define ZSTD_LEVEL_MIN (-7)
#define ZSTD_LEVEL_MAX 19
#define ZSTD_LEVEL_DEFAULT 3

static ZSTD_compressionParameters page_params(int level)
{
	return ZSTD_getCParams(level, PAGE_BYTES, 0);
}

static size_t zstd_ctx_bytes(int level)
{
	return ZSTD_estimateCCtxSize_usingCParams(page_params(level));
}

/*
 * The parameters are set one by one: with a plain level zstd would size its
 * tables for an input of unknown length, which does not fit in here.
 */
static int zstd_ctx_init(void *mem, int level)
{
	ZSTD_compressionParameters p = page_params(level);
	ZSTD_CCtx *ctx = ZSTD_initStaticCCtx(mem, zstd_ctx_bytes(level));
	const struct {
		ZSTD_cParameter name;
		int value;
	} settings[] = {
		{ZSTD_c_format, ZSTD_f_zstd1_magicless},
		{ZSTD_c_contentSizeFlag, 0},
		{ZSTD_c_checksumFlag, 0},
		{ZSTD_c_dictIDFlag, 0},
		{ZSTD_c_windowLog, (int)p.windowLog},
		{ZSTD_c_hashLog, (int)p.hashLog},
		{ZSTD_c_chainLog, (int)p.chainLog},
		{ZSTD_c_searchLog, (int)p.searchLog},
		{ZSTD_c_minMatch, (int)p.minMatch},
		{ZSTD_c_targetLength, (int)p.targetLength},
		{ZSTD_c_strategy, (int)p.strategy},
	};

	if (!ctx)
		return -ENOMEM;
	for (unsigned i = 0; i < ARRAY_SIZE(settings); i++) {
		size_t r = ZSTD_CCtx_setParameter(ctx, settings[i].name,
						  settings[i].value);

		if (ZSTD_isError(r))
			return -ENOMEM;
	}
	return 0;
}

static size_t zstd_dec_bytes(void)
{
	return ZSTD_estimateDCtxSize();
}

static int zstd_dec_init(void *mem)
{
	ZSTD_DCtx *ctx = ZSTD_initStaticDCtx(mem, zstd_dec_bytes());

	if (!ctx || ZSTD_isError(ZSTD_DCtx_setParameter(
			    ctx, ZSTD_d_format, ZSTD_f_zstd1_magicless)))
		return -ENOMEM;
	return 0;
}

static size_t zstd_compress(void *mem, int level UNUSED, const void *src,
			    size_t n, void *dst, size_t cap)
{
	size_t r = ZSTD_compress2(mem, dst, cap, src, n);

	return ZSTD_isError(r) ? 0 : r;
}

static int zstd_decompress(void *mem, const void *src, size_t n, void *dst,
			   size_t n_dst)
{
	return ZSTD_decompressDCtx(mem, dst, n_dst, src, n) == n_dst ? 0 : -EIO;
}

const struct codec_ops codec_zstd_ops = {
	.name = "zstd",
	.level_min = ZSTD_LEVEL_MIN,
	.level_max = ZSTD_LEVEL_MAX,
	.level_default = ZSTD_LEVEL_DEFAULT,
	.ctx_bytes = zstd_ctx_bytes,
	.ctx_init = zstd_ctx_init,
	.dec_bytes = zstd_dec_bytes,
	.dec_init = zstd_dec_init,
	.compress = zstd_compress,
	.decompress = zstd_decompress,
};
