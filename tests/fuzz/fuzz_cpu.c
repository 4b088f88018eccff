#include "collector.h"

FUZZ_COLLECTOR(cpu, {ROOT_PROC, "stat"});
