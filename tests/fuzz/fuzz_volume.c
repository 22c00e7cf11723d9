// SPDX-License-Identifier: MIT
// link: ms_outlet
// share: 3
//
// The first bytes of whatever is plugged in; its last ones serve as those of a FAT and of FSInfo.

#include "app/outlet/volume.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t entries[VOLUME_ENTRY_SIZE] = {}, info[VOLUME_INFO_SIZE] = {};
    struct volume volume, again;

    volume_look(data, size, &volume);
    volume_look(data, size, &again);
    assert(volume.kind == again.kind && volume.dirty == again.dirty && volume.fat_bits == again.fat_bits);
    assert(volume.kind <= VOLUME_TABLE && memchr(volume.id, '\0', sizeof(volume.id)) && volume_kind_name(volume.kind));
    assert((volume.kind == VOLUME_FAT) == (volume.fat_bits != 0));
    assert(!*volume.id || volume.kind == VOLUME_FAT || volume.kind == VOLUME_EXFAT);
    assert((uint64_t) volume.cluster_count * volume.cluster_size <= volume.size_bytes);
    assert(volume.fat_offset <= volume.size_bytes && volume.info_offset <= volume.size_bytes);

    memcpy(entries, data + (size > sizeof(entries) ? size - sizeof(entries) : 0), MIN(size, sizeof(entries)));
    volume_look_at_fat(&volume, entries);
    assert(volume.dirty || !again.dirty);
    memcpy(info, data + (size > sizeof(info) ? size - sizeof(info) : 0), MIN(size, sizeof(info)));
    volume_look_at_info(&volume, info);
    assert(volume.free_bytes <= volume.size_bytes && (volume.free_known || volume.free_bytes == 0));
    return 0;
}
