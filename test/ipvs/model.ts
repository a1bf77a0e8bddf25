// A small model of ipvsadm and the kernel's IPVS table, on the level of ipvsadm's text: what it does not know, it refuses. For
// tests of everything above src/ipvs/io.
import type { CommandResult, Run } from '../../src/command/io/run-command.ts';
import type { Forwarding, IpvsServer, IpvsService, IpvsTable, ServiceKey } from '../../src/ipvs/table.ts';
import { type Address, hostPort, parseAddress } from '../../src/units/address.ts';

type MutableServer = { -readonly [K in keyof IpvsServer]: IpvsServer[K] };
type MutableService = { -readonly [K in keyof Omit<IpvsService, 'servers'>]: IpvsService[K] } & {
  servers: MutableServer[];
};

export interface IpvsModel {
  readonly services: Map<string, MutableService>;
  timeouts: [number, number, number];
  readonly daemons: Map<string, string>;
  /** All batches given to `-R`. */
  readonly batches: string[];
  /** Schedulers that this kernel lacks. */
  readonly lacks: Set<string>;
}

const FORWARDING: Readonly<Record<string, Forwarding>> = { '-m': 'nat', '-g': 'dr', '-i': 'tun' };
const OPTION: Readonly<Record<Forwarding, string>> = { nat: '-m', dr: '-g', tun: '-i' };

export function ipvsModel(table: IpvsTable = { services: [] }): IpvsModel {
  const services = new Map(
    table.services.map(service => [
      service.key as string,
      { ...service, servers: service.servers.map(s => ({ ...s })) },
    ]),
  );
  return { services, timeouts: [900, 120, 300], daemons: new Map(), batches: [], lacks: new Set() };
}

export function tableOf(model: IpvsModel): IpvsTable {
  return { services: [...model.services.values()].map(service => ({ ...service, servers: [...service.servers] })) };
}

/** The model of `table` after a batch; throws where ipvsadm would complain. */
export function applyBatch(table: IpvsTable, batch: string): IpvsModel {
  const model = ipvsModel(table);
  const complaints = runBatch(model, batch);
  if (complaints !== '') throw new Error(complaints);
  return model;
}

/** Runs `-R` lines; returns what goes to stderr. Like ipvsadm it goes on after an error. */
export function runBatch(model: IpvsModel, batch: string): string {
  model.batches.push(batch);
  const lines = batch.split('\n').filter(line => line !== '');
  return lines
    .map(line => runLine(model, line))
    .filter(words => words !== '')
    .map(words => `${words}\n`)
    .join('');
}

function runLine(model: IpvsModel, line: string): string {
  const [command, ...words] = line.split(' ');
  if (command === '--set') {
    const [tcp, fin, udp] = words.map(Number) as [number, number, number];
    model.timeouts = [tcp || model.timeouts[0], fin || model.timeouts[1], udp || model.timeouts[2]];
    return '';
  }
  const six = words[2] === '-6';
  const key = words.slice(0, six ? 3 : 2).join(' ');
  const option = (name: string) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
  const service = model.services.get(key);
  if (command === '-A' || command === '-E') {
    if (command === '-A' && service) return 'Service already exists';
    if (command === '-E' && !service) return 'No such service';
    if (model.lacks.has(option('-s') ?? 'wlc')) return 'Scheduler or persistence engine not found';
    model.services.set(key, {
      key: key as ServiceKey,
      scheduler: option('-s') ?? 'wlc',
      persistenceS: option('-p') === undefined ? undefined : Number(option('-p')),
      mask: option('-M') ?? '',
      schedulerFlags: option('-b') ?? '',
      extras: '',
      servers: service?.servers ?? [],
    });
    return '';
  }
  if (!service) return 'Service not defined';
  if (command === '-D') {
    model.services.delete(key);
    return '';
  }
  return runServerLine(service, command ?? '', words, option);
}

function runServerLine(
  service: MutableService,
  command: string,
  words: readonly string[],
  option: (name: string) => string | undefined,
): string {
  const match = /^\[?([^\]]+?)\]?:(\d+)$/.exec(option('-r') ?? '');
  const address = match && (parseAddress(match[1] as string) as Address);
  if (!match || !address) return 'illegal real server address';
  const port = Number(match[2]);
  const found = service.servers.findIndex(server => server.address === address && server.port === port);
  if (command === '-d') {
    if (found < 0) return 'No such destination';
    service.servers.splice(found, 1);
    return '';
  }
  const forwarding = FORWARDING[words.find(word => word in FORWARDING) ?? '-g'] as Forwarding;
  const fresh = {
    address,
    port,
    forwarding,
    weight: Number(option('-w') ?? 1),
    upperThreshold: Number(option('-x') ?? 0),
    lowerThreshold: Number(option('-y') ?? 0),
  };
  if (fresh.lowerThreshold > fresh.upperThreshold) return 'lower threshold is higher than upper threshold';
  if (command === '-a') {
    if (found >= 0) return 'Destination already exists';
    service.servers.push({ ...fresh, activeConnections: 0, inactiveConnections: 0, templates: 0 });
    return '';
  }
  if (command !== '-e') throw new Error(`the model knows no ${command}`);
  const server = service.servers[found];
  if (!server) return 'No such destination';
  Object.assign(server, fresh);
  return '';
}

/** `ipvsadm` as the model runs it. */
export function modelIpvsadm(model: IpvsModel): Run {
  return async (program, args, options = {}): Promise<CommandResult> => {
    if (program !== 'ipvsadm') throw new Error(`the model runs no ${program}`);
    const answer = (stdout: string) => ({ status: 0, stdout, stderr: '' });
    switch (args.join(' ')) {
      case '-Sn':
        return answer(rulesText(model));
      case '-Ln --thresholds':
        return answer(countsText(model, s => `${s.upperThreshold} ${s.lowerThreshold}`));
      case '-Ln --persistent-conn':
        return answer(countsText(model, s => `${s.weight} ${s.templates}`));
      case '-L --timeout':
        return answer(`Timeout (tcp tcpfin udp): ${model.timeouts.join(' ')}\n`);
      case '-L --daemon':
        return answer([...model.daemons.values()].map(line => `${line}\n`).join(''));
      case '-R': {
        const stderr = runBatch(model, options.input ?? '');
        return { status: stderr === '' ? 0 : 255, stdout: '', stderr };
      }
    }
    return runDaemon(model, args);
  };
}

function runDaemon(model: IpvsModel, args: readonly string[]): CommandResult {
  const [action, state, , name, , syncId] = args as [string, string, string, string, string, string];
  if (action === '--start-daemon') {
    if (model.daemons.has(state)) return { status: 255, stdout: '', stderr: 'Daemon has already run\n' };
    const line = `${state} sync daemon (mcast=${name}, syncid=${syncId}, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)`;
    model.daemons.set(state, line);
  } else if (action === '--stop-daemon') model.daemons.delete(state);
  else throw new Error(`the model knows no ipvsadm ${args.join(' ')}`);
  return { status: 0, stdout: '', stderr: '' };
}

function rulesText(model: IpvsModel): string {
  const lines = [...model.services.values()].flatMap(service => {
    const { key, scheduler, persistenceS, mask, schedulerFlags, extras, servers } = service;
    const options = [
      ...(persistenceS === undefined ? [] : [`-p ${persistenceS}`]),
      ...(mask === '' ? [] : [`-M ${mask}`]),
      ...(extras === '' ? [] : [extras]),
      ...(schedulerFlags === '' ? [] : [`-b ${schedulerFlags}`]),
    ];
    return [
      [`-A ${key} -s ${scheduler}`, ...options].join(' '),
      ...servers.map(s => `-a ${key} -r ${hostPort(s.address, s.port)} ${OPTION[s.forwarding]} -w ${s.weight}`),
    ];
  });
  return lines.map(line => `${line}\n`).join('');
}

function countsText(model: IpvsModel, columns: (server: MutableServer) => string): string {
  const lines = [...model.services.values()].flatMap(({ key, scheduler, servers }) => {
    const [option, value, six] = key.split(' ');
    const head = option === '-f' ? `FWM  ${value}${six ? ' IPv6' : ''}` : `TCP  ${value}`;
    return [
      `${head} ${scheduler}`,
      ...servers.map(
        s => `  -> ${hostPort(s.address, s.port)}  ${columns(s)} ${s.activeConnections} ${s.inactiveConnections}`,
      ),
    ];
  });
  return [
    'IP Virtual Server version 1.2.1 (size=4096)',
    'Prot LocalAddress:Port',
    '  -> RemoteAddress:Port',
    ...lines,
    '',
  ].join('\n');
}
