/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The codec that leaves bytes as they are: "none". */
#include "codec/ops.h"
#include <errno.h>
#include <string.h>

static size_t raw_ctx_bytes(int level UNUSED)
{
	return 0;
}

static int raw_ctx_init(void *mem UNUSED, int level UNUSED)
{
	return 0;
}

static size_t raw_dec_bytes(void)
{
	return 0;
}

static int raw_dec_init(void *mem UNUSED)
{
	return 0;
}

/* Nothing gets smaller here, so nothing "fits": the caller stores it raw. */
static size_t raw_compress(void *mem UNUSED, int level UNUSED,
			   const void *src UNUSED, size_t n UNUSED,
			   void *dst UNUSED, size_t cap UNUSED)
{
	return 0;
}

static int raw_decompress(void *mem UNUSED, const void *src, size_t n,
			  void *dst, size_t n_dst)
{
	if (n != n_dst)
		return -EIO;
	memcpy(dst, src, n);
	return 0;
}

const struct codec_ops codec_raw_ops = {
	.name = "none",
	.ctx_bytes = raw_ctx_bytes,
	.ctx_init = raw_ctx_init,
	.dec_bytes = raw_dec_bytes,
	.dec_init = raw_dec_init,
	.compress = raw_compress,
	.decompress = raw_decompress,
};
