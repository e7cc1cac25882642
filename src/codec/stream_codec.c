/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compressing and decoding one page with a stream that the caller holds. */
#include "codec/stream.h"
#include "codec/stream_build.h"
#include <errno.h>
#include <string.h>

/*
 * The set's own context, else one of the same codec: levels share a format.
 * The second case is a store that entered its set just before the context of
 * a level two changes back was dropped.
 */
static struct stream_ctx *ctx_for(struct stream *stream,
				  const struct codec_params *params)
{
	struct stream_ctx *same_codec = NULL;

	for (unsigned i = 0; i < STREAM_CTXS; i++) {
		struct stream_ctx *ctx = &stream->ctx[i];

		if (!ctx->mem || ctx->params.id != params->id)
			continue;
		if (ctx->params.level == params->level)
			return ctx;
		same_codec = ctx;
	}
	return same_codec;
}

size_t stream_compress(struct stream *stream, unsigned set, const void *src,
		       size_t n, void *dst)
{
	size_t cap = n < 16 ? n - 1 : n - n / 16;
	struct codec_params params;
	struct stream_ctx *ctx;

	if (sets_params(stream->sets, set, &params) < 0 ||
	    params.id == CODEC_RAW || cap == 0)
		return 0;
	ctx = ctx_for(stream, &params);
	if (unlikely(!ctx)) {
		atomic_fetch_add_explicit(&stream->counts->unprepared, 1,
					  memory_order_relaxed);
		return 0;
	}
	return codec_ops(params.id)->compress(ctx->mem, ctx->params.level, src,
					      n, dst, cap);
}

int stream_decompress(struct stream *stream, unsigned set, const void *src,
		      size_t n, void *dst, size_t n_dst)
{
	struct codec_params params;

	if (sets_params(stream->sets, set, &params) < 0)
		return -EIO;
	return codec_ops(params.id)->decompress(stream->dec[params.id], src, n,
						dst, n_dst);
}

int stream_prepare_second(struct stream *stream,
			  const struct codec_params *params)
{
	struct stream_ctx *second = &stream->ctx[STREAM_SECOND], ctx;
	int r;

	if (!codec_params_valid(params))
		return -EINVAL;
	if (second->mem && codec_params_equal(&second->params, params))
		return 0;
	r = stream_ctx_make(stream, params, &ctx);
	if (r < 0)
		return r;
	stream_ctx_drop(stream, second);
	*second = ctx;
	return 0;
}

void stream_drop_second(struct stream *stream)
{
	stream_ctx_drop(stream, &stream->ctx[STREAM_SECOND]);
}
