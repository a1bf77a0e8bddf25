// What `tandem init` asks for, and the config that comes of the answers. Every question is an
// option of the same name, too. Pure.
import { stringify } from 'yaml';
import { parseAddress, parseCidr } from '../units/address.ts';

export type Answers = Readonly<Record<string, string>>;

export interface Question {
  /** As an option: --vip. */
  readonly name: string;
  readonly ask: string;
  readonly example: string;
  /** Taken when nothing is said; undefined: there must be an answer; '': may be left out. */
  readonly fallback?: string;
  /** Whether it is of interest after these answers. */
  readonly isAsked?: (answers: Answers) => boolean;
  /** What is wrong with an answer, and what to write. */
  readonly problem: (text: string) => string | undefined;
}

const words = (text: string | undefined): string[] => (text ?? '').split(/[\s,]+/).filter(word => word !== '');

function list(count: number | undefined, isGood: (word: string) => boolean, what: string) {
  return (text: string): string | undefined => {
    const all = words(text);
    const isRight = all.every(isGood) && (count === undefined ? all.length > 0 : all.length === count);
    return isRight ? undefined : `"${text.slice(0, 60)}" is not ${what}`;
  };
}

const isName = (word: string) => /^[a-z0-9][a-z0-9-]{0,30}$/.test(word);
const isAddress = (word: string) => parseAddress(word) !== undefined;
const isCidr = (word: string) => parseCidr(word) !== undefined;
const isInterface = (word: string) => /^[^\s/:]{1,15}$/.test(word);
const isNat = ({ forwarding }: Answers) => forwarding === 'nat';
const ownAddresses = list(2, isCidr, 'two addresses with their prefix length');
const interfaceName = list(1, isInterface, 'the name of an interface');

export const QUESTIONS: readonly Question[] = [
  {
    name: 'routers',
    ask: 'Host names of the two routers',
    example: 'router-a,router-b',
    problem: list(2, isName, 'two host names of lower-case letters, digits and dashes'),
  },
  { name: 'client-interface', ask: "Their interface on the clients' LAN", example: 'eth0', problem: interfaceName },
  {
    name: 'client-addresses',
    ask: 'Their own addresses there, with the prefix length',
    example: '192.0.2.2/24,192.0.2.3/24',
    problem: ownAddresses,
  },
  {
    name: 'vip',
    ask: 'The virtual IP that clients come to',
    example: '192.0.2.100',
    problem: list(1, isAddress, 'one address'),
  },
  {
    name: 'target',
    ask: "A host on the clients' LAN that always answers, such as its gateway (may be left out)",
    example: '192.0.2.1',
    fallback: '',
    problem: list(1, isAddress, 'one address'),
  },
  {
    name: 'forwarding',
    ask: 'How the servers get their packets: nat (they answer through the pair), dr or tun (they have the VIP themselves)',
    example: 'dr',
    fallback: 'nat',
    problem: list(1, word => ['nat', 'dr', 'tun'].includes(word), 'nat, dr or tun'),
  },
  {
    name: 'servers',
    ask: 'Addresses of the FTP servers',
    example: '198.51.100.11,198.51.100.12',
    problem: list(undefined, isAddress, 'a list of addresses'),
  },
  {
    name: 'servers-interface',
    ask: "The routers' interface on the servers' LAN",
    example: 'eth1',
    isAsked: isNat,
    problem: interfaceName,
  },
  {
    name: 'servers-addresses',
    ask: 'Their own addresses there, with the prefix length',
    example: '198.51.100.2/24,198.51.100.3/24',
    isAsked: isNat,
    problem: ownAddresses,
  },
  {
    name: 'gateway',
    ask: "The servers' default gateway, a free address that will move with the VIP",
    example: '198.51.100.1',
    isAsked: isNat,
    problem: list(1, isAddress, 'one address'),
  },
  {
    name: 'passive-ports',
    ask: 'Passive ports of the FTP servers, first-last',
    example: '10000-20000',
    fallback: '10000-20000',
    problem: list(1, word => /^\d{1,5}-\d{1,5}$/.test(word), 'a range like 10000-20000'),
  },
];

/** The config of one FTP service, as YAML; `tandem check` judges it. */
export function firstConfig(answers: Answers): string {
  const get = (name: string) => words(answers[name]);
  const [first = '', second = ''] = get('routers');
  const forwarding = answers.forwarding ?? 'nat';
  const lan = (of: string) => {
    const [one, other] = get(`${of}-addresses`);
    return { interface: get(`${of}-interface`)[0], addresses: { [first]: one, [second]: other } };
  };
  const [vip] = get('vip');
  const client = { ...lan('client'), vips: [vip], ...(answers.target ? { targets: get('target') } : {}) };
  const isBehind = forwarding === 'nat';
  const config = {
    pair: 'ftp-pair',
    routers: { [first]: { priority: 110 }, [second]: { priority: 100 } },
    lans: { client, ...(isBehind ? { servers: { ...lan('servers'), gateways: get('gateway') } } : {}) },
    heartbeat: { links: isBehind ? ['client', 'servers'] : ['client'] },
    services: {
      ftp: {
        vip,
        ...(isBehind ? { servers_lan: 'servers' } : { forwarding }),
        mark: 21,
        passive_ports: answers['passive-ports'] ?? '10000-20000',
        servers: Object.fromEntries(get('servers').map((address, index) => [`ftp${index + 1}`, { address }])),
      },
    },
  };
  const head = '# Made by `tandem init`; the same file on both routers. Every field: docs/reference/CONFIG.md\n\n';
  return head + stringify(config);
}
