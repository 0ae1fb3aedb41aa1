/* size-large.c: the descriptor says it is longer than it is. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

__attribute__((visibility("default"))) extern const uint32_t pc_stage_v1[50];
const uint32_t pc_stage_v1[50] = {PC_STAGE_MAGIC, PC_ABI_MAJOR, 10000};
