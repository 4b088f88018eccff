/*
 * /proc/net/snmp6: the metrics of group "tcpip.snmp6". The word after the file's name in `source`
 * is the key of the line.
 */
#ifndef STROBE_COLLECTORS_TCPIP_METRICS_SNMP6_H
#define STROBE_COLLECTORS_TCPIP_METRICS_SNMP6_H

#include "base/metric.h"

#define SNMP6_FILE "/proc/net/snmp6 "
#define C(n, key, text)                                                                            \
	{                                                                                          \
		n, "count", 1, 1, SNMP6_FILE key, text, SEM_COUNTER, 0, 0                          \
	}

static const struct metric snmp6_metrics[] = {
	C("network.ip6.inreceives", "Ip6InReceives",
	  "IPv6 packets received, also those with errors."),
	C("network.ip6.inhdrerrors", "Ip6InHdrErrors",
	  "IPv6 packets dropped for a bad header or a hop limit that ran out."),
	C("network.ip6.intoobigerrors", "Ip6InTooBigErrors",
	  "IPv6 packets not forwarded because they exceed the next link's MTU."),
	C("network.ip6.innoroutes", "Ip6InNoRoutes",
	  "IPv6 packets dropped because no route leads on."),
	C("network.ip6.inaddrerrors", "Ip6InAddrErrors",
	  "IPv6 packets dropped because their destination is not valid here."),
	C("network.ip6.inunknownprotos", "Ip6InUnknownProtos",
	  "IPv6 packets dropped because nothing handles their protocol."),
	C("network.ip6.intruncatedpkts", "Ip6InTruncatedPkts",
	  "IPv6 packets shorter than their header says."),
	C("network.ip6.indiscards", "Ip6InDiscards",
	  "Good IPv6 packets dropped on receipt, for want of memory for example."),
	C("network.ip6.indelivers", "Ip6InDelivers",
	  "IPv6 packets handed to a protocol of this host."),
	C("network.ip6.outforwdatagrams", "Ip6OutForwDatagrams", "IPv6 packets forwarded."),
	C("network.ip6.outrequests", "Ip6OutRequests",
	  "IPv6 packets that protocols of this host asked to send."),
	C("network.ip6.outdiscards", "Ip6OutDiscards", "Good IPv6 packets dropped before sending."),
	C("network.ip6.outnoroutes", "Ip6OutNoRoutes",
	  "IPv6 packets dropped because no route leads to their destination."),
	C("network.ip6.reasmtimeout", "Ip6ReasmTimeout",
	  "IPv6 reassemblies given up because a fragment did not arrive in time."),
	C("network.ip6.reasmreqds", "Ip6ReasmReqds", "IPv6 fragments received."),
	C("network.ip6.reasmoks", "Ip6ReasmOKs", "IPv6 packets reassembled."),
	C("network.ip6.reasmfails", "Ip6ReasmFails", "IPv6 reassemblies that failed."),
	C("network.ip6.fragoks", "Ip6FragOKs", "IPv6 packets fragmented for sending."),
	C("network.ip6.fragfails", "Ip6FragFails", "IPv6 packets that could not be fragmented."),
	C("network.ip6.fragcreates", "Ip6FragCreates", "IPv6 fragments made for sending."),
	C("network.ip6.inmcastpkts", "Ip6InMcastPkts", "IPv6 multicast packets received."),
	C("network.ip6.outmcastpkts", "Ip6OutMcastPkts", "IPv6 multicast packets sent."),
	C("network.ip6.inoctets", "Ip6InOctets", "Bytes of IPv6 received."),
	C("network.ip6.outoctets", "Ip6OutOctets", "Bytes of IPv6 sent."),
	C("network.ip6.incepkts", "Ip6InCEPkts",
	  "IPv6 packets received that a router marked for congestion (ECN CE)."),
	C("network.icmp6.inmsgs", "Icmp6InMsgs", "ICMPv6 messages received."),
	C("network.icmp6.inerrors", "Icmp6InErrors", "ICMPv6 messages received with an error."),
	C("network.icmp6.incsumerrors", "Icmp6InCsumErrors",
	  "ICMPv6 messages received with a wrong checksum."),
	C("network.icmp6.indestunreachs", "Icmp6InDestUnreachs",
	  "ICMPv6 destination unreachable received."),
	C("network.icmp6.inpkttoobigs", "Icmp6InPktTooBigs",
	  "ICMPv6 packet too big received: the path MTU is smaller."),
	C("network.icmp6.inechos", "Icmp6InEchos", "ICMPv6 echo requests (pings) received."),
	C("network.icmp6.inechoreplies", "Icmp6InEchoReplies", "ICMPv6 echo replies received."),
	C("network.icmp6.outmsgs", "Icmp6OutMsgs", "ICMPv6 messages sent."),
	C("network.icmp6.outerrors", "Icmp6OutErrors",
	  "ICMPv6 messages not sent for an error on this host."),
	C("network.icmp6.outdestunreachs", "Icmp6OutDestUnreachs",
	  "ICMPv6 destination unreachable sent."),
	C("network.udp6.indatagrams", "Udp6InDatagrams",
	  "UDP datagrams over IPv6 delivered to sockets."),
	C("network.udp6.noports", "Udp6NoPorts",
	  "UDP datagrams over IPv6 for a port where nothing listens."),
	C("network.udp6.inerrors", "Udp6InErrors",
	  "UDP datagrams over IPv6 not delivered for any other reason."),
	C("network.udp6.outdatagrams", "Udp6OutDatagrams", "UDP datagrams over IPv6 sent."),
	C("network.udp6.rcvbuferrors", "Udp6RcvbufErrors",
	  "UDP datagrams over IPv6 dropped because the receive buffer was full."),
	C("network.udp6.sndbuferrors", "Udp6SndbufErrors",
	  "UDP datagrams over IPv6 not sent because the send buffer was full."),
	C("network.udp6.incsumerrors", "Udp6InCsumErrors",
	  "UDP datagrams over IPv6 received with a wrong checksum."),
	C("network.udp6.ignoredmulti", "Udp6IgnoredMulti",
	  "IPv6 multicast datagrams that no socket wanted."),
	C("network.udp6.memerrors", "Udp6MemErrors",
	  "UDP datagrams over IPv6 dropped at the protocol's memory limit."),
};

#undef C

#endif
