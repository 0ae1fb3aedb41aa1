/* no-work.c: an input, and nobody to handle what comes. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

static const struct pc_port in[] = {{"in", "*", 0, "anything"}};

PC_STAGE(.name = "wrong", .doc = "wrong on purpose", PC_INPUTS(in));
