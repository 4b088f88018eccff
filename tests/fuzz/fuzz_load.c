#include "collector.h"

FUZZ_COLLECTOR(load, {ROOT_PROC, "loadavg"});
