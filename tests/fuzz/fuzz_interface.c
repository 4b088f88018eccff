#include "collector.h"

FUZZ_COLLECTOR(interface, {ROOT_PROC, "net/dev"}, {ROOT_SYS, "class/net/eth0/operstate"},
	       {ROOT_SYS, "class/net/eth0/speed"}, {ROOT_SYS, "class/net/eth0/mtu"});
