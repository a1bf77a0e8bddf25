// What /proc/net/ip_vs says of services and real servers, without what moves by itself: a text to
// compare, so that a change by others is noticed without starting ipvsadm twice a second. Pure.
// Source: ip_vs_info_seq_show in net/netfilter/ipvs/ip_vs_ctl.c.

/**
 * "  -> C633640B:0000      Masq    1      0          0": address, method and weight, then active
 * and inactive connections.
 */
const SERVER = /^(\s+-> \S+\s+\S+\s+-?\d+)\s+\d+\s+\d+\s*$/;

/**
 * The same text means the same services, servers, methods and weights; '' when there is no IPVS.
 */
export function tableSignature(text: string): string {
  return text
    .split('\n')
    .map(line => SERVER.exec(line)?.[1] ?? line)
    .join('\n');
}
