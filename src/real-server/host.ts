// What the host of a real server needs besides its FTP daemon: with NAT the default route to the
// pair, with DR and TUN an address that is the VIP and stays silent about it, and with TUN the end
// of the tunnel. Pure. Sources: ip-sysctl.rst (arp_ignore, arp_announce, rp_filter),
// systemd.network(5), systemd.netdev(5), nft(8).
import { type Address, type Family, familyOf } from '../units/address.ts';
import type { Section } from './section.ts';

/** What holds the VIPs of DR, and the ends of the tunnels of TUN: each family has its own type. */
const VIP_DEVICE = 'tandem-vip';
const TUNNEL_DEVICE: Readonly<Record<Family, string>> = { 4: 'tandem-tun', 6: 'tandem-tun6' };
/** Of the path between router and server, in bytes. */
const PATH_MTU = 1_500;
/** An IP header without options, in bytes, and TCP's. */
const HEADER: Readonly<Record<Family, number>> = { 4: 20, 6: 40 };
const TCP_HEADER = 20;
const NETWORKD = '/etc/systemd/network';

/** The lab's servers get their route by these, too. */
export function gatewayCommands(gateway: Address): string[] {
  return [`ip route replace default via ${gateway}`];
}

/** NAT: answers must come back through the pair. `lan`: its name in the config. */
export function natSections(gateway: Address, lan: string): Section[] {
  return [
    {
      kind: 'commands',
      file: null,
      about: 'the default route goes to the pair, until the next boot.',
      lines: gatewayCommands(gateway),
    },
    {
      kind: 'networkd',
      file: `${NETWORKD}/INTERFACE.network.d/tandem.conf`,
      about: `the same for good. INTERFACE.network is the file of the interface on LAN "${lan}"; no other may name a gateway. That of the other family is a further line Gateway=.`,
      lines: ['[Network]', `Gateway=${gateway}`],
    },
  ];
}

/** DR: the packet comes as the client sent it, so the server has the VIP, and claims it nowhere. */
export function drSections(vip: Address): Section[] {
  const family = familyOf(vip);
  return [
    ...(family === 4 ? [silentVip(VIP_DEVICE, [])] : []),
    {
      kind: 'commands',
      file: null,
      about: 'the VIP, until the next boot. The default route is the LAN’s own router, not the pair.',
      lines: [
        ...(family === 4 ? ['sysctl --system'] : []),
        `ip link add ${VIP_DEVICE} type dummy`,
        `ip link set ${VIP_DEVICE} up`,
        `ip address replace ${host(vip)} dev ${VIP_DEVICE}`,
      ],
    },
    {
      kind: 'networkd',
      file: `${NETWORKD}/${VIP_DEVICE}.netdev`,
      about: 'the same for good, with the next file; one device holds all VIPs.',
      lines: ['[NetDev]', `Name=${VIP_DEVICE}`, 'Kind=dummy'],
    },
    vipNetwork(VIP_DEVICE, vip),
  ];
}

/** TUN: the packet comes inside another one, from a router that may be far away. */
export function tunSections(vip: Address, server: Address): Section[] {
  const family = familyOf(vip);
  const device = TUNNEL_DEVICE[family];
  const [type, mode, any] = family === 4 ? ['ipip', 'ipip', '0.0.0.0'] : ['ip6tnl', 'ip6ip6', '::'];
  const kind = family === 4 ? ['Kind=ipip'] : ['Kind=ip6tnl'];
  return [
    ...(family === 4 ? [silentVip(device, [`net.ipv4.conf.${device}.rp_filter = 2`])] : []),
    {
      kind: 'commands',
      file: null,
      about: 'tunnel and VIP, until the next boot. The default route is the server’s own, not the pair.',
      lines: [
        `ip link add ${device} type ${type} mode ${mode} local ${server} remote ${any}`,
        ...(family === 4 ? ['sysctl --system'] : []),
        `ip link set ${device} up`,
        `ip address replace ${host(vip)} dev ${device}`,
      ],
    },
    {
      kind: 'networkd',
      file: `${NETWORKD}/${device}.netdev`,
      about: 'the same for good, with the next file; one tunnel is the end for both routers and all VIPs.',
      lines: [
        '[NetDev]',
        `Name=${device}`,
        ...kind,
        '',
        '[Tunnel]',
        ...(family === 4 ? [] : ['Mode=ip6ip6']),
        `Local=${server}`,
        'Remote=any',
        'Independent=yes',
      ],
    },
    vipNetwork(device, vip),
    segmentClamp(vip),
  ];
}

/**
 * Clients take their segments' size from the server's SYN+ACK, and that does not pass the router:
 * so the server itself leaves room for the outer header. In active mode it is the server's SYN. nft
 * never makes the size larger.
 */
function segmentClamp(vip: Address): Section {
  const family = familyOf(vip);
  const bytes = PATH_MTU - HEADER[family] - HEADER[family] - TCP_HEADER;
  return {
    kind: 'nftables',
    file: '/etc/nftables.conf',
    about: `clients leave room for the outer header on a path of ${PATH_MTU} bytes; take off what yours has less. It is added; what the file has stays.`,
    lines: [
      'table inet tandem_mss {',
      '  chain output {',
      '    type filter hook output priority mangle; policy accept;',
      `    ${family === 4 ? 'ip' : 'ip6'} saddr ${vip} tcp flags & (syn | rst) == syn tcp option maxseg size set ${bytes}`,
      '  }',
      '}',
    ],
  };
}

/**
 * IPv4 only: for IPv6 the kernel answers for the addresses of the interface asked on, and so never
 * for one of another device. rp_filter: the client's packets come out of the tunnel, and their
 * answers go elsewhere; of `all` and the device's own the larger counts, so 2 (loose) does always.
 */
function silentVip(device: string, more: readonly string[]): Section {
  return {
    kind: 'sysctl',
    file: `/etc/sysctl.d/50-${device}.conf`,
    about: 'before the server has the VIP: it neither answers ARP for it nor asks in its name.',
    lines: ['net.ipv4.conf.all.arp_ignore = 1', 'net.ipv4.conf.all.arp_announce = 2', ...more],
  };
}

function vipNetwork(device: string, vip: Address): Section {
  return {
    kind: 'networkd',
    file: `${NETWORKD}/${device}.network`,
    about: 'the VIP; a further one is a further line Address=.',
    lines: ['[Match]', `Name=${device}`, '', '[Network]', 'LinkLocalAddressing=no', `Address=${host(vip)}`],
  };
}

function host(address: Address): string {
  return `${address}/${familyOf(address) === 4 ? 32 : 128}`;
}
