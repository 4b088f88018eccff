#include "collector.h"

FUZZ_COLLECTOR(disk, {ROOT_PROC, "diskstats"}, {ROOT_PROC, "partitions"},
	       {ROOT_SYS, "block/vda/size"}, {ROOT_SYS, "block/vda/removable"},
	       {ROOT_SYS, "block/vda/queue/rotational"});
