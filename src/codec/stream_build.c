/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory of one stream: its heap arena, buffers and contexts. */
#include "codec/stream_build.h"
#include "base/heap.h"
#include "base/page.h"
#include "base/resident.h"
#include <errno.h>

/* A stream and its buffers are one block. */
struct block {
	struct stream stream;
	/* What few pages need comes first, and the rest may go. */
	char page[PAGE_BYTES] CACHE_ALIGNED;
	char scratch[STREAM_SLOT_BYTES] CACHE_ALIGNED;
	char out[STREAM_BATCH][STREAM_SLOT_BYTES] CACHE_ALIGNED;
} CACHE_ALIGNED;
_Static_assert(STREAM_SLOT_BYTES % CODEC_ALIGN == 0, "each slot is aligned");

/* Zeroed. The arena is entered. */
static void *take(struct stream_counts *counts, size_t n)
{
	void *mem = heap_aligned(CODEC_ALIGN, n);

	if (!mem)
		return NULL;
	atomic_fetch_add_explicit(&counts->held_bytes, n, memory_order_relaxed);
	return mem;
}

static void give(struct stream_counts *counts, void *mem, size_t n)
{
	if (!mem)
		return;
	heap_free(mem);
	atomic_fetch_sub_explicit(&counts->held_bytes, n, memory_order_relaxed);
}

static int ctx_make(struct stream *stream, const struct codec_params *params,
		    struct stream_ctx *ret_ctx)
{
	const struct codec_ops *ops = codec_ops(params->id);
	struct stream_ctx ctx = {.params = *params};

	ctx.bytes = ops->ctx_bytes(params->level);
	if (ctx.bytes > 0) {
		ctx.mem = take(stream->counts, ctx.bytes);
		if (!ctx.mem)
			return -ENOMEM;
		if (ops->ctx_init(ctx.mem, params->level) < 0) {
			give(stream->counts, ctx.mem, ctx.bytes);
			return -ENOMEM;
		}
	}
	*ret_ctx = ctx;
	return 0;
}

static void ctx_drop(struct stream *stream, struct stream_ctx *ctx)
{
	give(stream->counts, ctx->mem, ctx->bytes);
	*ctx = (struct stream_ctx){.mem = NULL};
}

int stream_ctx_make(struct stream *stream, const struct codec_params *params,
		    struct stream_ctx *ret_ctx)
{
	int r;

	heap_arena_enter(stream->arena);
	r = ctx_make(stream, params, ret_ctx);
	heap_arena_leave();
	return r;
}

void stream_ctx_drop(struct stream *stream, struct stream_ctx *ctx)
{
	ctx_drop(stream, ctx);
}

static int make_dec(struct stream *stream)
{
	for (unsigned i = 0; i < CODEC_NR; i++) {
		const struct codec_ops *ops = codec_ops((enum codec_id)i);
		size_t n = ops ? ops->dec_bytes() : 0;

		if (n == 0)
			continue;
		stream->dec[i] = take(stream->counts, n);
		if (!stream->dec[i] || ops->dec_init(stream->dec[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int make_ctxs(struct stream *stream, const struct stream_plan *plan)
{
	int r;

	for (unsigned i = 0; i < STREAM_SHARED; i++) {
		r = ctx_make(stream, &plan->shared[i], &stream->ctx[i]);
		if (r < 0)
			return r;
	}
	return ctx_make(stream, &plan->next, &stream->spare);
}

static struct stream *make_block(struct stream_counts *counts)
{
	struct block *block = take(counts, sizeof(*block));

	if (!block)
		return NULL;
	block->stream.counts = counts;
	for (unsigned i = 0; i < STREAM_BATCH; i++)
		block->stream.out[i] = block->out[i];
	block->stream.page = block->page;
	block->stream.scratch = block->scratch;
	return &block->stream;
}

/* Takes what is half built as well. */
static void unmake(struct stream *stream)
{
	struct stream_counts *counts = stream->counts;

	for (unsigned i = 0; i < STREAM_CTXS; i++)
		ctx_drop(stream, &stream->ctx[i]);
	ctx_drop(stream, &stream->spare);
	for (unsigned i = 0; i < CODEC_NR; i++)
		if (stream->dec[i])
			give(counts, stream->dec[i],
			     codec_ops((enum codec_id)i)->dec_bytes());
	give(counts, container_of(stream, struct block, stream),
	     sizeof(struct block));
}

int stream_build(struct sets *sets, unsigned slot,
		 const struct stream_plan *plan, struct stream_counts *counts,
		 struct stream **ret_stream)
{
	struct stream *stream;
	unsigned arena;
	int r;

	r = heap_arena_new(&arena);
	if (r < 0)
		return r;
	heap_arena_enter(arena);
	stream = make_block(counts);
	r = stream ? make_dec(stream) : -ENOMEM;
	if (r == 0)
		r = make_ctxs(stream, plan);
	if (r < 0 && stream)
		unmake(stream);
	heap_arena_leave();
	if (r < 0)
		return r;
	stream->arena = arena;
	stream->sets = sets;
	stream->slot = slot;
	stream->row = slot;
	*ret_stream = stream;
	return 0;
}

void stream_rest(struct stream *stream)
{
	struct block *block = container_of(stream, struct block, stream);
	size_t from = (size_t)(block->out[1] - (char *)block);
	/* What the kernel keeps is counted as before. */
	bool gone UNUSED;

	from = (from + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
	gone = resident_drop((char *)block + from, sizeof(*block) - from);
}

void stream_destroy(struct stream *stream)
{
	unmake(stream);
}

size_t stream_bytes(const struct codec_params *params)
{
	size_t n = sizeof(struct block);

	for (unsigned i = 0; i < CODEC_NR; i++)
		if (codec_ops((enum codec_id)i))
			n += codec_ops((enum codec_id)i)->dec_bytes();
	return n + codec_ops(params->id)->ctx_bytes(params->level);
}
