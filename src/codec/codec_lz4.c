/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lz4 and lz4hc: one format, two compressors.
 *
 * Both use the extState entry points: the tables are cleared for each page
 * (16 KiB, 256 KiB for hc), which measured faster on 4 KiB pages than the
 * streaming calls that avoid it (lz4: 6.0 against 8.2 us a page; hc: equal).
 * hc stops at 9: from 10 on liblz4 calls malloc() for each page, which the
 * store path must never do (test_codec_never_allocates fails on it).
 */
#include "codec/ops.h"
#include <errno.h>
#include <lz4.h>
#include <lz4hc.h>

#define LZ4_ACCEL_MAX 64
#define LZ4HC_LEVEL_MAX 9
#define LZ4HC_LEVEL_DEFAULT 9

static size_t lz4_ctx_bytes(int level UNUSED)
{
	return (size_t)LZ4_sizeofState();
}

static size_t lz4hc_ctx_bytes(int level UNUSED)
{
	return (size_t)LZ4_sizeofStateHC();
}

static int lz4_ctx_init(void *mem UNUSED, int level UNUSED)
{
	return 0;
}

static size_t lz4_dec_bytes(void)
{
	return 0;
}

static int lz4_dec_init(void *mem UNUSED)
{
	return 0;
}

static size_t lz4_compress(void *mem, int level, const void *src, size_t n,
			   void *dst, size_t cap)
{
	int r = LZ4_compress_fast_extState(mem, src, dst, (int)n, (int)cap,
					   level);

	return r > 0 ? (size_t)r : 0;
}

static size_t lz4hc_compress(void *mem, int level, const void *src, size_t n,
			     void *dst, size_t cap)
{
	int r = LZ4_compress_HC_extStateHC(mem, src, dst, (int)n, (int)cap,
					   level);

	return r > 0 ? (size_t)r : 0;
}

static int lz4_decompress(void *mem UNUSED, const void *src, size_t n,
			  void *dst, size_t n_dst)
{
	int r = LZ4_decompress_safe(src, dst, (int)n, (int)n_dst);

	return r >= 0 && (size_t)r == n_dst ? 0 : -EIO;
}

const struct codec_ops codec_lz4_ops = {
	.name = "lz4",
	.level_min = 1,
	.level_max = LZ4_ACCEL_MAX,
	.level_default = 1,
	.ctx_bytes = lz4_ctx_bytes,
	.ctx_init = lz4_ctx_init,
	.dec_bytes = lz4_dec_bytes,
	.dec_init = lz4_dec_init,
	.compress = lz4_compress,
	.decompress = lz4_decompress,
};

const struct codec_ops codec_lz4hc_ops = {
	.name = "lz4hc",
	.level_min = 1,
	.level_max = LZ4HC_LEVEL_MAX,
	.level_default = LZ4HC_LEVEL_DEFAULT,
	.ctx_bytes = lz4hc_ctx_bytes,
	.ctx_init = lz4_ctx_init,
	.dec_bytes = lz4_dec_bytes,
	.dec_init = lz4_dec_init,
	.compress = lz4hc_compress,
	.decompress = lz4_decompress,
};
