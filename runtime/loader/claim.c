/* loader/claim.c: the list of claim.h. A graph has tens of different plugins, so a list is enough. */
#include "loader/claim.h"

#include "base/error.h"
#include "loader/held.h"

#include <stdlib.h>
#include <string.h>

struct loader_claim {
	struct loader_claim *next;
	struct loader_plugin *plugin;
	char key[];
};

struct loader_plugin *claim_find(struct loader_claim *const *claims, const char *key)
{
	for (struct loader_claim *c = *claims; c; c = c->next)
		if (strcmp(c->key, key) == 0)
			return held_ref(c->plugin);
	return NULL;
}

int claim_add(struct loader_claim **claims, const char *key, struct loader_plugin *plugin,
              struct pc_error **err)
{
	struct loader_claim *claim;

	for (struct loader_claim *c = *claims; c; c = c->next)
		if (c->plugin != plugin &&
		    strcmp(c->plugin->desc->name, plugin->desc->name) == 0)
			return error_set(
				err, PC_WRONG,
				"duplicate stage name '%s': both %s and %s are called so",
				plugin->desc->name, c->plugin->file, plugin->file);
	claim = malloc(sizeof(*claim) + strlen(key) + 1);
	if (!claim)
		return error_set(err, PC_NOMEM, "no memory to load %s", plugin->file);
	strcpy(claim->key, key);
	claim->plugin = held_ref(plugin);
	claim->next = *claims;
	*claims = claim;
	return PC_OK;
}

void claim_drop_all(struct loader_claim **claims)
{
	struct loader_claim *next;

	for (struct loader_claim *c = *claims; c; c = next) {
		next = c->next;
		loader_close(c->plugin);
		free(c);
	}
	*claims = NULL;
}
