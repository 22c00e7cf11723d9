/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a program asks of the file system, written down call by call, and what may be on the card if the power is cut
 * at any of them.
 *
 * The calls (open, write, pwrite, ftruncate, fsync, rename, unlink, mkdir ...) are interposed: the definitions here
 * stand before those of the C library, for our code and for SQLite alike. Only what happens below one directory is
 * recorded.
 *
 * The model, at the layer of files:
 * - fsync and fdatasync of a file make all that was written to it before durable; fsync of a directory all that was
 *   made, renamed and removed in it before. Nothing else makes anything durable, so this is stricter than ext4.
 * - What is not durable may be on the card or not, each sector of 512 or 4096 bytes by itself, and the size of a file
 *   by itself; a hole reads as zeroes. A sector is old or new, never a mixture.
 * - What was done in a directory is kept or lost from some point on, in its order, each directory by itself.
 * - Mapped memory (the -shm) is not recorded: an image has the file empty, or old garbage in it, or not at all.
 * - fsync is honest. A card that lies about it is not in this model; nor are sectors that go bad.
 *
 * FAT and exFAT (recorder_image.fat) keep less in order, and forget nothing of what stood in a cluster before:
 * - What is not durable in a directory is there or not, each name by itself: they stand in different sectors.
 * - A size that is there without its bytes shows zeroes, noise, or what another file held there.
 * - syncfs writes everything and flushes nothing: what came before it is durable with the next fsync of anything.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begin: what happens below that directory is recorded from now on. It must be empty. */
void recorder_begin(const char *root);

/* No more is recorded. What was is kept until recorder_clear(). */
void recorder_end(void);
void recorder_clear(void);

/* From now on fsync and fdatasync do nothing: for images, which need not outlive the test. */
void recorder_forget_syncs(bool forget);

/* How many operations there are. A cut at n is one between the n-th and the one after it. */
size_t recorder_count(void);

/* What is recorded as the next operation: a number of the caller's own, which costs the card nothing. */
void recorder_mark(uint64_t number);

/* The newest mark before a cut; 0 if there is none. */
uint64_t recorder_marked(size_t cut);

struct recorder_image {
    size_t cut;
    bool reordered;      // false: all before the cut is on the card, and nothing after it
    bool fat;            // as a stick, not as a card with ext4
    size_t sector_size;  // 512 or 4096
    uint64_t seed;       // of what is kept and lost
};

/* What is on the card then, as files below `root`, which exists and is empty. Aborts if that cannot be written. */
void recorder_build(const struct recorder_image *image, const char *root);

/* The next pseudo-random number of a seed (splitmix64). */
uint64_t recorder_random(uint64_t *seed);
