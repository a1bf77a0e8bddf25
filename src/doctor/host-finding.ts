// What `tandem doctor` says: findings with the command that mends each, and how bad the whole is.
// Pure.

/**
 * The worst first. problem: clients are not served, or would not be after a takeover; warning: to
 * be mended; notice: nothing to mend; unseen: could not be looked at; ok: looked at, and well.
 */
const HOST_SEVERITIES = ['problem', 'warning', 'notice', 'unseen', 'ok'] as const;
export type HostSeverity = (typeof HOST_SEVERITIES)[number];

export interface HostFinding {
  /** Stable, for scripts; what it is about follows a colon: `sysctl:net.ipv4.ip_forward`. */
  readonly id: string;
  readonly severity: HostSeverity;
  readonly sentence: string;
  /** The command that mends it, as root on this router; null: the sentence says what there is. */
  readonly fix: string | null;
  /** A problem of the director that holds one of these texts is the same one. */
  readonly covers?: readonly string[];
}

export function wellFound(id: string, sentence: string): HostFinding {
  return { id, severity: 'ok', sentence, fix: null };
}

/** `why` is a sentence of the tool or socket that refused. */
export function unseen(id: string, what: string, why: string, isRoot: boolean): HostFinding {
  const fix = isRoot ? null : 'sudo tandem doctor';
  return { id, severity: 'unseen', sentence: `could not look at ${what}: ${why}`, fix };
}

/** Problems first; in each severity as found. */
export function worstFirst(found: readonly HostFinding[]): HostFinding[] {
  return HOST_SEVERITIES.flatMap(severity => found.filter(one => one.severity === severity));
}

/** How many of each. */
export function countFindings(found: readonly HostFinding[]): Readonly<Record<HostSeverity, number>> {
  const count = (severity: HostSeverity) => found.filter(one => one.severity === severity).length;
  return {
    problem: count('problem'),
    warning: count('warning'),
    notice: count('notice'),
    unseen: count('unseen'),
    ok: count('ok'),
  };
}
