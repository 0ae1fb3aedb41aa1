/* nothing.c: a stage without anything. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

PC_STAGE(.name = "wrong", .doc = "wrong on purpose");
