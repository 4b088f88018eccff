/*
 * /proc/net/snmp: the metrics of group "tcpip.snmp". The words after the file's name in `source`
 * are the key by which the columns are bound: section, field.
 */
#ifndef STROBE_COLLECTORS_TCPIP_METRICS_SNMP_H
#define STROBE_COLLECTORS_TCPIP_METRICS_SNMP_H

#include "base/metric.h"

#define SNMP_FILE "/proc/net/snmp "
#define C(n, key, text)                                                                            \
	{                                                                                          \
		n, "count", 1, 1, SNMP_FILE key, text, SEM_COUNTER, 0, 0                           \
	}
#define L(n, key, text)                                                                            \
	{                                                                                          \
		n, "1", 1, 1, SNMP_FILE key, text, SEM_INSTANT, 0, 0                               \
	}

static const struct metric snmp_metrics[] = {
	C("network.ip.inreceives", "Ip InReceives",
	  "IPv4 packets received, also those with errors."),
	C("network.ip.inhdrerrors", "Ip InHdrErrors",
	  "Packets dropped for a bad IPv4 header: checksum, version, TTL."),
	C("network.ip.inaddrerrors", "Ip InAddrErrors",
	  "Packets dropped because their destination is not valid here."),
	C("network.ip.forwdatagrams", "Ip ForwDatagrams", "Packets forwarded to another host."),
	C("network.ip.inunknownprotos", "Ip InUnknownProtos",
	  "Packets dropped because nothing handles their protocol."),
	C("network.ip.indiscards", "Ip InDiscards",
	  "Good packets dropped on receipt, for want of memory for example."),
	C("network.ip.indelivers", "Ip InDelivers", "Packets handed to a protocol of this host."),
	C("network.ip.outrequests", "Ip OutRequests",
	  "Packets that protocols of this host asked to send."),
	C("network.ip.outdiscards", "Ip OutDiscards",
	  "Good packets dropped before sending, for want of buffers for example."),
	C("network.ip.outnoroutes", "Ip OutNoRoutes",
	  "Packets dropped because no route leads to their destination."),
	C("network.ip.reasmtimeout", "Ip ReasmTimeout",
	  "Fragment queues given up because a fragment did not arrive in time."),
	C("network.ip.reasmreqds", "Ip ReasmReqds", "Fragments received that need reassembly."),
	C("network.ip.reasmoks", "Ip ReasmOKs", "Packets reassembled."),
	C("network.ip.reasmfails", "Ip ReasmFails", "Reassemblies that failed."),
	C("network.ip.fragoks", "Ip FragOKs", "Packets fragmented for sending."),
	C("network.ip.fragfails", "Ip FragFails",
	  "Packets dropped because they needed fragmentation and forbade it."),
	C("network.ip.fragcreates", "Ip FragCreates", "Fragments made for sending."),
	C("network.icmp.inmsgs", "Icmp InMsgs", "ICMP messages received."),
	C("network.icmp.inerrors", "Icmp InErrors", "ICMP messages received with an error."),
	C("network.icmp.incsumerrors", "Icmp InCsumErrors",
	  "ICMP messages received with a wrong checksum."),
	C("network.icmp.indestunreachs", "Icmp InDestUnreachs",
	  "Destination unreachable received."),
	C("network.icmp.intimeexcds", "Icmp InTimeExcds",
	  "Time exceeded received: a TTL ran out on the way."),
	C("network.icmp.inredirects", "Icmp InRedirects", "Redirects received."),
	C("network.icmp.inechos", "Icmp InEchos", "Echo requests (pings) received."),
	C("network.icmp.inechoreps", "Icmp InEchoReps", "Echo replies received."),
	C("network.icmp.outmsgs", "Icmp OutMsgs", "ICMP messages sent."),
	C("network.icmp.outerrors", "Icmp OutErrors",
	  "ICMP messages not sent for an error on this host."),
	C("network.icmp.outratelimitglobal", "Icmp OutRateLimitGlobal",
	  "ICMP messages held back by the host-wide rate limit."),
	C("network.icmp.outratelimithost", "Icmp OutRateLimitHost",
	  "ICMP messages held back by the rate limit of one destination."),
	C("network.icmp.outdestunreachs", "Icmp OutDestUnreachs", "Destination unreachable sent."),
	C("network.icmp.outtimeexcds", "Icmp OutTimeExcds", "Time exceeded sent."),
	C("network.icmp.outredirects", "Icmp OutRedirects", "Redirects sent."),
	C("network.icmp.outechos", "Icmp OutEchos", "Echo requests (pings) sent by the kernel."),
	C("network.icmp.outechoreps", "Icmp OutEchoReps", "Echo replies sent."),
	C("network.tcp.activeopens", "Tcp ActiveOpens", "Connections this host began."),
	C("network.tcp.passiveopens", "Tcp PassiveOpens", "Connections this host accepted."),
	C("network.tcp.attemptfails", "Tcp AttemptFails",
	  "Handshakes that failed, in either direction."),
	C("network.tcp.estabresets", "Tcp EstabResets", "Open connections that ended in a reset."),
	L("network.tcp.currestab", "Tcp CurrEstab",
	  "Connections open now (established or close-wait)."),
	C("network.tcp.insegs", "Tcp InSegs", "Segments received, also those with errors."),
	C("network.tcp.outsegs", "Tcp OutSegs",
	  "Segments sent, without those that carry only retransmitted data."),
	C("network.tcp.retranssegs", "Tcp RetransSegs", "Segments sent again."),
	C("network.tcp.inerrs", "Tcp InErrs", "Segments received with an error."),
	C("network.tcp.outrsts", "Tcp OutRsts", "Resets sent."),
	C("network.tcp.incsumerrors", "Tcp InCsumErrors",
	  "Segments received with a wrong checksum."),
	C("network.udp.indatagrams", "Udp InDatagrams", "UDP datagrams delivered to sockets."),
	C("network.udp.noports", "Udp NoPorts", "UDP datagrams for a port where nothing listens."),
	C("network.udp.inerrors", "Udp InErrors",
	  "UDP datagrams not delivered for any other reason: buffers, checksums."),
	C("network.udp.outdatagrams", "Udp OutDatagrams", "UDP datagrams sent."),
	C("network.udp.recvbuferrors", "Udp RcvbufErrors",
	  "UDP datagrams dropped because the socket's receive buffer was full."),
	C("network.udp.sndbuferrors", "Udp SndbufErrors",
	  "UDP datagrams not sent because the send buffer was full."),
	C("network.udp.incsumerrors", "Udp InCsumErrors",
	  "UDP datagrams received with a wrong checksum."),
	C("network.udp.ignoredmulti", "Udp IgnoredMulti",
	  "Multicast datagrams that no socket wanted."),
	C("network.udp.memerrors", "Udp MemErrors",
	  "UDP datagrams dropped because the protocol's memory limit was reached."),
};

#undef C
#undef L

#endif
