/* loader/claim.h: which plugins were opened through one search path. Control thread. */
#ifndef LOADER_CLAIM_H
#define LOADER_CLAIM_H

#include "loader/loader.h"

/* What was opened under this key (a stage's name, or a file), with a new reference; or NULL. */
struct loader_plugin *claim_find(struct loader_claim *const *claims, const char *key);

/* Remember it, with a reference of its own. PC_OK; PC_WRONG: another file has claimed the stage's
 * name already; PC_NOMEM. */
int claim_add(struct loader_claim **claims, const char *key, struct loader_plugin *plugin,
              struct pc_error **err);

void claim_drop_all(struct loader_claim **claims);

#endif
