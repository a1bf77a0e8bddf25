// The kernel's IPVS table through ipvsadm: read, counts, batches of changes, time-outs, sync
// daemons. Not pure. Every change goes in one `ipvsadm -R` (seen: its exit status is that of the
// last line only and it goes on after an error, so stderr is what counts, and the caller reads the
// table again to verify).
import { CommandError, type CommandResult, type Run, run } from '../../command/io/run-command.ts';
import { moduleOf } from '../../config/scheduler.ts';
import type { PersistentCounts, ServerCounts } from '../ipvsadm.ts';
import {
  formatBatch,
  parseCounts,
  parseDaemons,
  parsePersistentCounts,
  parseTable,
  parseTimeouts,
} from '../ipvsadm.ts';
import type { KernelDaemon, SyncDaemonLine } from '../sync-daemon.ts';
import {
  type IpvsCommand,
  type IpvsTable,
  type IpvsTimeouts,
  type ServiceOptions,
  withoutScheduler,
} from '../table.ts';

type IpvsadmFailure = 'missing' | 'no-kernel' | 'not-permitted' | 'failed';

/** ipvsadm could not do its part; the message says what to do. */
export class IpvsadmError extends Error {
  readonly failure: IpvsadmFailure;

  constructor(message: string, options: { readonly failure: IpvsadmFailure; readonly cause?: unknown }) {
    super(message, options);
    this.name = 'IpvsadmError';
    this.failure = options.failure;
  }
}

/** What the director and the sync need of IPVS. All reject with {@link IpvsadmError}. */
export interface Ipvsadm {
  readTable(): Promise<IpvsTable>;
  readCounts(): Promise<readonly ServerCounts[]>;
  readPersistentCounts(): Promise<readonly PersistentCounts[]>;
  readTimeouts(): Promise<IpvsTimeouts>;
  /**
   * Runs the changes as one batch; returns what ipvsadm complained of, one entry a line, at most
   * 20.
   */
  apply(commands: readonly IpvsCommand[]): Promise<readonly string[]>;
  listDaemons(): Promise<readonly KernelDaemon[]>;
  /** Group, port and length are the kernel's defaults when left out. */
  startDaemon(daemon: SyncDaemonLine & Partial<KernelDaemon>): Promise<void>;
  stopDaemon(daemon: SyncDaemonLine): Promise<void>;
}

/** Reads of the table that may find it changing under them. */
const READS_MAX = 4;
const COMPLAINTS_MAX = 20;
/** Words of libipvs 1.31 (ipvs_strerror). */
const NO_SCHEDULER = /^Scheduler (or persistence engine )?not found/;
const NO_SERVICE = 'Service not defined';

export function createIpvsadm(runCommand: Run = run): Ipvsadm {
  const text = async (args: readonly string[]) => check(await call(runCommand, args)).stdout;
  const readCounts = async () =>
    parseCounts(await text(['-Ln', '--thresholds']), await text(['-Ln', '--persistent-conn']));
  const table = () => readTable(() => text(['-Sn']), readCounts);
  return {
    readCounts,
    readTable: table,
    readPersistentCounts: async () => parsePersistentCounts(await text(['-Ln', '--persistent-conn'])),
    readTimeouts: async () => parseTimeouts(await text(['-L', '--timeout'])),
    listDaemons: async () => parseDaemons(await text(['-L', '--daemon'])),
    apply: async commands => {
      const result = await call(runCommand, ['-R'], formatBatch(commands));
      if (isNoKernel(result.stderr)) check(result);
      const lines = result.stderr.split('\n').filter(line => line.trim() !== '');
      if (!lines.some(line => NO_SCHEDULER.test(line))) return lines.slice(0, COMPLAINTS_MAX);
      // It does not say which one: the table does. What is said of its servers follows from that.
      const lacking = withoutScheduler(commands, await table()).map(noScheduler);
      const others = lines.filter(line => !NO_SCHEDULER.test(line) && line !== NO_SERVICE);
      return [...lacking, ...others].slice(0, COMPLAINTS_MAX);
    },
    startDaemon: async daemon => {
      check(await call(runCommand, ['--start-daemon', daemon.state, ...daemonOptions(daemon)]));
    },
    stopDaemon: async daemon => {
      check(await call(runCommand, ['--stop-daemon', daemon.state]));
    },
  };
}

function noScheduler({ key, scheduler }: ServiceOptions): string {
  const module = moduleOf(scheduler);
  return (
    `service "${key}": this kernel has no scheduler ${scheduler}: its module ${module} is missing ` +
    `(\`modprobe ${module}\`); install the distribution’s full kernel, or write another scheduler`
  );
}

function daemonOptions(daemon: SyncDaemonLine & Partial<KernelDaemon>): string[] {
  const { interface: name, syncId, group, port, lengthMax } = daemon;
  return [
    ...['--mcast-interface', name, '--syncid', `${syncId}`],
    ...(group === undefined ? [] : ['--mcast-group', group]),
    ...(port === undefined ? [] : ['--mcast-port', `${port}`]),
    ...(lengthMax === undefined ? [] : ['--sync-maxlen', `${lengthMax}`]),
  ];
}

async function readTable(
  rules: () => Promise<string>,
  counts: () => Promise<readonly ServerCounts[]>,
): Promise<IpvsTable> {
  for (let attempt = 0; attempt < READS_MAX; attempt += 1) {
    const table = parseTable(await rules(), await counts());
    if (table) return table;
  }
  throw new IpvsadmError(`the IPVS table changed during each of ${READS_MAX} reads; is another program writing it?`, {
    failure: 'failed',
  });
}

async function call(runCommand: Run, args: readonly string[], input?: string): Promise<CommandResult> {
  try {
    return await runCommand('ipvsadm', args, input === undefined ? {} : { input });
  } catch (cause) {
    if (cause instanceof CommandError && cause.failure === 'missing') {
      throw new IpvsadmError('ipvsadm is not installed: `apt-get install ipvsadm`', { failure: 'missing', cause });
    }
    throw new IpvsadmError(cause instanceof Error ? cause.message : String(cause), { failure: 'failed', cause });
  }
}

/** The result, or the error that ipvsadm's words stand for. */
function check(result: CommandResult): CommandResult {
  const words = result.stderr.trim().split('\n').pop() ?? '';
  if (/Permission denied|you must be root/.test(result.stderr)) {
    throw new IpvsadmError('ipvsadm needs root (CAP_NET_ADMIN): run the director as root', {
      failure: 'not-permitted',
    });
  }
  if (isNoKernel(result.stderr)) {
    throw new IpvsadmError(
      'this kernel has no IPVS: `modprobe ip_vs`; if the module is missing, boot the distribution’s full kernel ' +
        '(`apt-get install linux-image-amd64`), not a cloud or container one',
      { failure: 'no-kernel' },
    );
  }
  if (result.status !== 0)
    throw new IpvsadmError(`ipvsadm failed with status ${result.status}: ${words}`, { failure: 'failed' });
  return result;
}

function isNoKernel(stderr: string): boolean {
  return /Can't initialize ipvs|Protocol not available/.test(stderr);
}
