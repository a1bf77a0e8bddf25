// Interfaces, own addresses, VIPs that somebody else put in, the private interface, other
// firewalls. Pure. Whether a firewall drops what is ours is not read from its rules but from what
// is lost; they only name who it may be (src/firewall/suspects.ts).
import { interfaceOf, nodeView, ownAddresses } from '../config/node.ts';
import type { Config, LanConfig } from '../config/schema.ts';
import { owns } from '../feed/owns.ts';
import { droppers } from '../firewall/suspects.ts';
import { addressOf, familyOf } from '../units/address.ts';
import type { HostFacts, SeenInterface } from './host-facts.ts';
import { type HostFinding, unseen, wellFound } from './host-finding.ts';
import { namesOf } from './lan-names.ts';

export function interfaceFindings(facts: HostFacts, config: Config): HostFinding[] {
  const { interfaces, isRoot } = facts;
  if (!interfaces.ok) return [unseen('interfaces', 'the interfaces', interfaces.problem, isRoot)];
  const found = [
    ...Object.entries(config.lans).flatMap(([lan, spec]) => lanFindings(facts, interfaces.value, lan, spec)),
    ...staticVips(facts, interfaces.value, config),
    ...privateLink(interfaces.value),
  ];
  return found.length > 0 ? found : [wellFound('addresses', 'interfaces and own addresses are there')];
}

function lanFindings(facts: HostFacts, all: readonly SeenInterface[], lan: string, spec: LanConfig): HostFinding[] {
  const [name] = namesOf(facts, spec);
  if (name === undefined) return [];
  const there = all.find(one => one.name === name);
  if (there === undefined) {
    const sentence = `LAN ${lan}: this host has no interface ${interfaceOf(spec, facts.node)}`;
    return [{ id: `interface:${lan}`, severity: 'problem', sentence, fix: 'ip -brief link', covers: [`(${name})`] }];
  }
  if (!there.isUp) {
    const sentence = `LAN ${lan}: interface ${name} is switched off`;
    return [{ id: `interface:${lan}`, severity: 'problem', sentence, fix: `ip link set dev ${name} up` }];
  }
  const carrier: HostFinding = {
    id: `interface:${lan}`,
    severity: 'problem',
    sentence: `LAN ${lan}: interface ${name} has no carrier: cable, switch port, or the virtual machine's network`,
    fix: null,
    covers: [`interface ${name} has no carrier`],
  };
  const arp: HostFinding = {
    id: `arp:${name}`,
    severity: 'problem',
    sentence: `interface ${name} answers no ARP, so nobody finds the addresses there`,
    fix: `ip link set dev ${name} arp on`,
  };
  const lost = ownAddresses(spec, facts.node).filter(own => !there.addresses.includes(addressOf(own)));
  return [
    ...(there.hasCarrier ? [] : [carrier]),
    ...(there.answersArp || spec.vips.length + spec.gateways.length === 0 ? [] : [arp]),
    ...lost.map((own): HostFinding => {
      const sentence = `LAN ${lan}: this router's own address ${own} is not on ${name}; put it into the network configuration, too`;
      const covers = [`own address ${addressOf(own)} `];
      return { id: `address:${addressOf(own)}`, severity: 'problem', sentence, fix: addAddress(own, name), covers };
    }),
  ];
}

function addAddress(cidr: string, name: string): string {
  return `ip address add ${cidr} dev ${name}`;
}

/** vipd's addresses end with the lease; one without an end is the host's, and would never go. */
function staticVips({ pulse }: HostFacts, all: readonly SeenInterface[], config: Config): HostFinding[] {
  if (pulse.ok && owns(pulse.value)) return [];
  const ours = Object.values(config.lans).flatMap(({ vips, gateways }) => [...vips, ...gateways]);
  return all.flatMap(({ name, networks }) =>
    networks
      .filter(({ cidr, forever }) => forever && ours.includes(addressOf(cidr)))
      .map(({ cidr }): HostFinding => {
        const sentence = `${addressOf(cidr)} is on ${name} for ever: it belongs to the pair, and this host's network configuration must not have it`;
        const fix = `ip address del ${cidr} dev ${name}`;
        return { id: `static-vip:${addressOf(cidr)}`, severity: 'problem', sentence, fix };
      }),
  );
}

/** The kernel reports connections there in the clear (src/sync/kernel/private-link.ts). */
const PRIVATE_END = 'tandem-sync';

function privateLink(all: readonly SeenInterface[]): HostFinding[] {
  return all
    .filter(({ name, master }) => name.startsWith(PRIVATE_END) && master !== '')
    .map(({ name, master }): HostFinding => {
      const sentence = `${name} is part of ${master}: what the kernel says of connections there leaves this router in the clear`;
      return { id: `private-link:${name}`, severity: 'problem', sentence, fix: `ip link set dev ${name} nomaster` };
    });
}

interface Lost {
  readonly id: string;
  readonly what: string;
  /** An nft match of what must come in. */
  readonly accept: string;
  readonly family: 'ip' | 'ip6';
  readonly covers: readonly string[];
}

export function firewallFindings(facts: HostFacts, config: Config): HostFinding[] {
  const { rules, isRoot, legacyTables } = facts;
  const legacy: HostFinding[] =
    legacyTables.length === 0
      ? []
      : [
          {
            id: 'iptables-legacy',
            severity: 'notice',
            sentence: `iptables-legacy has tables (${legacyTables.join(', ')}), which nft does not show: what drops there is not named here`,
            fix: 'iptables-legacy-save',
          },
        ];
  const lost = lostOnes(facts, config);
  if (!rules.ok) return [unseen('firewall', 'the rules of other firewalls', rules.problem, isRoot), ...legacy];
  const found = lost.map(one => lossFinding(one, rules.value));
  const able = [...new Set((['ip', 'ip6'] as const).flatMap(family => droppers(rules.value, ['input'], family)))];
  const idle: HostFinding = {
    id: 'firewall',
    severity: 'notice',
    sentence: `${able.map(name => `"${name}"`).join(', ')} can drop what comes in; what must pass is in docs/operating/install.md`,
    fix: null,
  };
  return [...found, ...(able.length > 0 && found.length === 0 ? [idle] : []), ...legacy];
}

/** What should be heard and is not. */
function lostOnes({ pulse, director, node }: HostFacts, config: Config): Lost[] {
  if (!pulse.ok) return [];
  const { links } = nodeView(config, node);
  const silent = pulse.value.links.filter(({ up, problem }) => !up && problem === null);
  const heartbeats = links
    .filter(({ lan }) => silent.some(one => one.lan === lan))
    .map(
      ({ lan, interface: name, remote }): Lost => ({
        ...fromPeer(remote, `udp dport ${config.heartbeat.port}`),
        id: `heartbeat:${lan}`,
        what: `no heartbeat of ${pulse.value.peerNode} is heard on ${lan} (${name})`,
        covers: [`heartbeat link ${lan} (`],
      }),
    );
  const unlinked = director.ok && director.value.sync.phase !== 'off' ? director.value.sync.links : [];
  const streams = links
    .filter(({ lan }) => !silent.some(one => one.lan === lan))
    .filter(({ lan }) => unlinked.some(one => one.lan === lan && !one.connected))
    .map(
      ({ lan, remote }): Lost => ({
        ...fromPeer(remote, `tcp dport ${config.sync.port}`),
        id: `sync-link:${lan}`,
        what: `the connection sync has no link on ${lan}, where heartbeats are heard`,
        covers: [],
      }),
    );
  const blind = pulse.value.blindProbes.map((address): Lost => {
    const family = address.includes(':') ? 'ip6' : 'ip';
    const accept =
      family === 'ip' ? 'icmp type { echo-request, echo-reply }' : 'icmpv6 type { echo-request, echo-reply }';
    return {
      id: `probe:${address}`,
      what: `probes of ${address} are not answered, though the peer serves it`,
      accept,
      family,
      covers: [`probes of ${address} are blind`],
    };
  });
  return [...heartbeats, ...streams, ...blind];
}

function fromPeer(remote: Parameters<typeof familyOf>[0], match: string): Pick<Lost, 'accept' | 'family'> {
  const family = familyOf(remote) === 6 ? 'ip6' : 'ip';
  return { accept: `${family} saddr ${remote} ${match}`, family };
}

function lossFinding({ id, what, accept, family, covers }: Lost, rules: string): HostFinding {
  const names = droppers(rules, ['prerouting', 'input'], family);
  const [first] = names;
  if (first === undefined) {
    const sentence = `${what}, and no firewall here looks like it: is the peer down, its firewall, or the LAN?`;
    return { id, severity: 'warning', sentence, fix: 'tandem doctor   # on the other router', covers };
  }
  const sentence = `${what}, and another firewall here can drop it: ${names.map(name => `"${name}"`).join(', ')}; write the rule into its own files, too`;
  const chain = first.replace(' (policy drop)', '');
  return { id, severity: 'problem', sentence, fix: `nft insert rule ${chain} ${accept} accept`, covers };
}
