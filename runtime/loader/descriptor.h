/* loader/descriptor.h: from the descriptor in a plugin to one that the runtime can trust.
 *
 * descriptor_head_check() looks at the 16 frozen bytes, wherever they were read from.
 * descriptor_copy() makes the normalised copy that loader.h promises: sized to this host's
 * structs, rows copied with the plugin's row size, all strings copied, so that nothing in it but
 * the callbacks points into the plugin. descriptor_rules() then says whether what it says can be
 * true. Control thread. */
#ifndef LOADER_DESCRIPTOR_H
#define LOADER_DESCRIPTOR_H

#include "base/arena.h"
#include "base/error.h"

#include <pcrun/stage.h>

/* The frozen bytes of struct pc_stage_desc. */
struct descriptor_head {
	uint32_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t size;
	uint32_t required;
};

/* Each: PC_OK; PC_WRONG with the cause, `file` being the plugin's name for messages; PC_NOMEM. */
int descriptor_head_check(const struct descriptor_head *head, const char *file,
                          struct pc_error **err);
/* `theirs` may be garbage from the frozen bytes on. The copy lives in the arena. */
int descriptor_copy(struct arena *arena, const void *theirs, const char *file,
                    struct pc_stage_desc **ret, struct pc_error **err);
int descriptor_rules(const struct pc_stage_desc *desc, const char *file, struct pc_error **err);

#endif
