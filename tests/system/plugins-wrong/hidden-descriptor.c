/* hidden-descriptor.c: the descriptor is not exported. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

static const struct pc_stage_desc pc_stage_v1 = {.name = "wrong"};

const void *f(void);
const void *f(void)
{
	return &pc_stage_v1;
}
