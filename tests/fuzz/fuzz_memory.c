#include "collector.h"

FUZZ_COLLECTOR(memory, {ROOT_PROC, "meminfo"}, {ROOT_PROC, "vmstat"});
