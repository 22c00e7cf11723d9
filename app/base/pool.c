/* SPDX-License-Identifier: MIT */
#include "app/base/pool.h"

#include "app/base/macros.h"

#include <stdalign.h>
#include <string.h>

#define CHUNK_SIZE 4096

struct chunk {
    struct chunk *next;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

struct pool {
    struct chunk *newest;
    bool failed;
};

struct pool *pool_new(void)
{
    return calloc(1, sizeof(struct pool));
}

void pool_free(struct pool *pool)
{
    if (!pool) {
        return;
    }
    for (struct chunk *chunk = pool->newest; chunk;) {
        struct chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    free(pool);
}

void *pool_take(struct pool *pool, size_t size)
{
    size_t rounded = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct chunk *chunk = pool->newest;
    void *piece;

    if (!chunk || chunk->size - chunk->used < rounded) {
        size_t chunk_size = MAX(rounded, (size_t) CHUNK_SIZE);

        chunk = calloc(1, sizeof(*chunk) + chunk_size);
        if (!chunk) {
            pool->failed = true;
            return NULL;
        }
        chunk->size = chunk_size;
        chunk->next = pool->newest;
        pool->newest = chunk;
    }

    piece = chunk->bytes + chunk->used;
    chunk->used += rounded;
    return piece;
}

char *pool_string(struct pool *pool, const char *string)
{
    size_t size = strlen(string) + 1;
    char *copy = pool_take(pool, size);

    return copy ? memcpy(copy, string, size) : NULL;
}

bool pool_failed(const struct pool *pool)
{
    return pool->failed;
}
