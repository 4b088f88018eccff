#include "collector.h"

FUZZ_COLLECTOR(tcpip, {ROOT_PROC, "net/snmp"}, {ROOT_PROC, "net/netstat"},
	       {ROOT_PROC, "net/snmp6"});
