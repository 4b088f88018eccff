#include "collector.h"

FUZZ_COLLECTOR(softnet, {ROOT_PROC, "net/softnet_stat"}, {ROOT_SYS, "devices/system/cpu/online"});
