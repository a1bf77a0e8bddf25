// How a command ends: the exit codes of `tandem`, and the error that carries one. Pure.

export const EXIT = {
  ok: 0,
  /**
   * The thing asked for is not so: mistakes in the config, a refused command, a handover that did
   * not happen.
   */
  no: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The daemon does not answer, or you may not ask it. */
  unreachable: 3,
  /** `tandem status`: served, but something is wrong, such as no fit standby. */
  degraded: 4,
  /** `tandem status`: nobody is served. */
  failed: 5,
  /** `tandem drain`: the wait is over or was interrupted, and sessions may be left. */
  left: 7,
  /** `tandem replay`: this version decides something else than was recorded. */
  otherwise: 8,
  /**
   * `tandem import`: a config was printed, and something of the old one was lost or means something
   * else in it.
   */
  lossy: 6,
  /**
   * A daemon cannot start with this config or key: EX_CONFIG of sysexits.h. The units do not
   * restart it then, since only a person can mend that. A host name that is no router of the config
   * is not among these: it may come late at boot.
   */
  config: 78,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command with a message on stderr: what is wrong, and what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: ExitCode;

  constructor(message: string, options: { readonly exitCode: ExitCode } & ErrorOptions) {
    super(message, options);
    this.exitCode = options.exitCode;
  }
}
