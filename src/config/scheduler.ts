// The schedulers that IPVS has, and their options. Pure. Source: net/netfilter/ipvs/Kconfig of
// Linux 6.1 and later; ipvsadm passes any name on, the kernel loads the module of that name.

export const SCHEDULERS = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'sed',
  'nq',
  'fo',
  'ovf',
  'twos',
  'sh',
  'mh',
  'dh',
  'lblc',
  'lblcr',
] as const;

export const SCHEDULER_OPTIONS = ['fallback', 'port'] as const;
type SchedulerOption = (typeof SCHEDULER_OPTIONS)[number];

/** Those that choose by a hash of the client's address: only these have options. */
const BY_CLIENT: ReadonlySet<string> = new Set(['sh', 'mh']);
/** Those that choose by the address the client asks for: the VIP, which is one for all clients. */
const BY_VIP: ReadonlySet<string> = new Set(['dh', 'lblc', 'lblcr']);

interface Scheduling {
  readonly scheduler: string;
  readonly scheduler_options?: readonly SchedulerOption[] | undefined;
}

export const hasOptions = (scheduler: string): boolean => BY_CLIENT.has(scheduler);
export const choosesByVip = (scheduler: string): boolean => BY_VIP.has(scheduler);

/**
 * The flags of ipvsadm's -b, sorted; '': none. Without a word it is fallback, since without that
 * flag both schedulers refuse every client whose own server is down or draining (ip_vs_sh.c,
 * ip_vs_mh.c).
 */
export function schedulerFlags({ scheduler, scheduler_options }: Scheduling): string {
  if (!hasOptions(scheduler)) return '';
  const options = scheduler_options ?? ['fallback'];
  return [...new Set(options)]
    .sort()
    .map(option => `${scheduler}-${option}`)
    .join(',');
}

/** The module that has it. */
export function moduleOf(scheduler: string): string {
  return `ip_vs_${scheduler}`;
}
